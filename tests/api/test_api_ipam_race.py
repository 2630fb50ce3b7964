"""Several API processes on one database give nothing out twice, and use up everything there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.api_server import Cloud, running_cloud


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory: Path = tmp_path_factory.mktemp("two")
    with running_cloud(directory, daemons=(1, 1)) as running:
        yield running


def test_two_processes_and_four_clients_fill_a_slash_24_exactly_and_without_duplicates(two_processes: Cloud) -> None:
    admin = two_processes.user("admin")
    network = admin.make("network", name="full")
    subnet = admin.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    held_by_metadata = 1
    room = 253 - held_by_metadata

    def fill(number: int) -> tuple[list[str], Any]:
        caller = two_processes.user("admin", daemon=number % 2)
        mine = []
        while True:
            status, body = caller.post("/v2.0/ports", {"port": {"network_id": network["id"]}})
            if status != 201:
                return mine, (status, body["NeutronError"]["type"])
            mine.append(body["port"]["fixed_ips"][0]["ip_address"])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(fill, range(4)))

    assert {end for _, end in results} == {(409, "IpAddressGenerationFailure")}
    given = Counter(address for mine, _ in results for address in mine)
    assert [address for address, times in given.items() if times > 1] == []
    assert len(given) == room
    assert all(len(mine) > 0 for mine, _ in results)
    stored = Counter((a["subnet_id"], a["ip_address"]) for port in admin.list("port") for a in port["fixed_ips"])
    assert len(stored) == sum(stored.values()) == 253
    assert {subnet_id for subnet_id, _ in stored} == {subnet["id"]}


def test_one_address_asked_for_by_four_clients_is_given_to_one_of_them(two_processes: Cloud) -> None:
    admin = two_processes.user("admin")
    network = admin.make("network")
    admin.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.1.0/24")
    body = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.1.77"}]}}
    with ThreadPoolExecutor(4) as pool:
        callers = [two_processes.user("admin", daemon=number % 2) for number in range(4)]
        replies = list(pool.map(lambda caller: caller.post("/v2.0/ports", body), callers))
    refused = [reply["NeutronError"]["type"] for status, reply in replies if status == 409]
    assert sorted(status for status, _ in replies) == [201, 409, 409, 409]
    assert refused == ["IpAddressAlreadyAllocated"] * 3


def test_networks_made_at_once_get_different_segments(two_processes: Cloud) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(
                lambda n: two_processes.user("admin", daemon=n % 2).make("network")["provider:segmentation_id"],
                range(24),
            )
        )
    assert len(set(made)) == 24


def test_overlapping_subnets_made_at_once_become_one(two_processes: Cloud) -> None:
    network = two_processes.user("admin").make("network")

    def make(number: int) -> int:
        cidr = ("10.5.0.0/16", "10.5.7.0/24")[number // 2]
        body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": cidr}}
        return two_processes.user("admin", daemon=number % 2).post("/v2.0/subnets", body)[0]

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == [201, 400, 400, 400]


def test_no_port_misses_the_automatic_address_of_a_subnet_made_at_the_same_time(two_processes: Cloud) -> None:
    network = two_processes.user("admin").make("network")

    def make(number: int) -> None:
        caller = two_processes.user("admin", daemon=number % 2)
        if number == 3:
            modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
            caller.make("subnet", network_id=network["id"], ip_version=6, cidr="fd00::/64", **modes)
        else:
            caller.make("port", network_id=network["id"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(12)))
    ports = two_processes.user("admin").list("port", f"network_id={network['id']}")
    assert len(ports) == 12
    assert [len(port["fixed_ips"]) for port in ports] == [1] * 12


def test_a_write_through_one_process_is_seen_at_once_through_the_other(two_processes: Cloud) -> None:
    one, other = (two_processes.user("admin", daemon=n) for n in range(2))
    for number in range(20):
        made = one.make("network", name=f"n{number}")
        assert other.show("network", made["id"])["name"] == f"n{number}"
        other.remove("network", made["id"])
        assert one.get(f"/v2.0/networks/{made['id']}")[0] == 404


def test_of_updates_that_expect_the_same_revision_one_succeeds(two_processes: Cloud) -> None:
    network = two_processes.user("admin").make("network")

    def rename(number: int) -> int:
        caller = two_processes.user("admin", daemon=number % 2)
        body = {"network": {"name": f"name{number}"}}
        expected = f"revision_number={network['revision_number']}"
        return caller.put(f"/v2.0/networks/{network['id']}", body, If_Match=expected)[0]

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(rename, range(4))) == [200, 412, 412, 412]
