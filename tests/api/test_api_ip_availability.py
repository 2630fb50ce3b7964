"""How many addresses networks have, and how many are used."""

from __future__ import annotations

from typing import Any

from support.api_server import Caller, Cloud
from support.routed import refused

PATH = "/v2.0/network-ip-availabilities"


def of(admin: Caller, network: Any, query: str = "") -> Any:
    status, body = admin.get(f"{PATH}?network_id={network['id']}&{query}")
    assert status == 200, body
    return body["network_ip_availabilities"]


def test_the_addresses_of_pools_and_of_ports_are_counted(cloud: Cloud, admin: Caller, alice: Caller) -> None:
    network = alice.make("network", name="sea")
    pools = [{"start": "10.0.0.10", "end": "10.0.0.19"}, {"start": "10.0.0.30", "end": "10.0.0.30"}]
    four = alice.make(
        "subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24", allocation_pools=pools, name="four"
    )
    six = alice.make("subnet", network_id=network["id"], ip_version=6, cidr="fd00::/120", enable_dhcp=False)
    alice.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": four["id"]}, {"subnet_id": six["id"]}])
    admin.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.200"}])
    counted = {
        "network_id": network["id"],
        "network_name": "sea",
        "project_id": cloud.project_id("demo"),
        "tenant_id": cloud.project_id("demo"),
        "total_ips": 11 + 255,
        "used_ips": 4,
        "subnet_ip_availability": [
            {
                "subnet_id": four["id"],
                "subnet_name": "four",
                "ip_version": 4,
                "cidr": "10.0.0.0/24",
                "total_ips": 11,
                "used_ips": 3,
            },
            {
                "subnet_id": six["id"],
                "subnet_name": "",
                "ip_version": 6,
                "cidr": "fd00::/120",
                "total_ips": 255,
                "used_ips": 1,
            },
        ],
    }
    status, body = admin.get(f"{PATH}/{network['id']}")
    found = body["network_ip_availability"]
    for item in (found, counted):
        item["subnet_ip_availability"].sort(key=lambda subnet: subnet["ip_version"])
    assert (status, found) == (200, counted)
    (only,) = of(admin, network, "ip_version=6")
    assert (only["total_ips"], only["used_ips"], len(only["subnet_ip_availability"])) == (255, 1, 1)


def test_networks_without_subnets_have_none_and_are_listed(admin: Caller, alice: Caller) -> None:
    network = alice.make("network", name="empty")
    (found,) = of(admin, network)
    assert (found["total_ips"], found["used_ips"], found["subnet_ip_availability"]) == (0, 0, [])
    assert of(admin, network, "ip_version=4") == []


def test_a_network_may_have_more_addresses_than_fit_64_bits(admin: Caller, alice: Caller) -> None:
    network = alice.make("network")
    alice.make("subnet", network_id=network["id"], ip_version=6, cidr="fd00::/48", enable_dhcp=False)
    assert of(admin, network)[0]["total_ips"] == 2**80 - 1


def test_lists_are_filtered_and_paged(cloud: Cloud, admin: Caller, bob: Caller) -> None:
    names = sorted(bob.make("network", name=f"b{number}")["name"] for number in range(3))
    mine = f"tenant_id={cloud.project_id('other')}"
    pages, marker = [], ""
    for _ in names:
        body = admin.get(f"{PATH}?{mine}&limit=1&fields=network_name&fields=network_id{marker}")[1]
        (item,) = body["network_ip_availabilities"]
        assert set(item) == {"network_name", "network_id"}
        pages.append(item["network_name"])
        marker = f"&marker={item['network_id']}"
        assert body["network_ip_availabilities_links"][0]["rel"] == "next"
    assert sorted(pages) == names
    assert [item["network_name"] for item in admin.get(f"{PATH}?network_name=b1")[1]["network_ip_availabilities"]] == [
        "b1"
    ]


def test_only_administrators_may_know_and_nobody_may_write(admin: Caller, alice: Caller) -> None:
    network = alice.make("network")
    assert alice.get(PATH) == (200, {"network_ip_availabilities": []})
    assert refused(alice.get(f"{PATH}/{network['id']}")) == (404, "NetworkNotFound")
    assert refused(admin.get(f"{PATH}/{network['id'][:-4]}ffff")) == (404, "NetworkNotFound")
    assert refused(admin.post(PATH, {})) == (405, "HTTPMethodNotAllowed")
    assert refused(admin.delete(f"{PATH}/{network['id']}")) == (405, "HTTPMethodNotAllowed")
    for unknown in ("cheese=1", "ip_version=x", "tags=a"):
        assert refused(admin.get(f"{PATH}?{unknown}"))[0] == 400
