"""Subnet pools: what they may be, what is allocated from them, and that nothing is allocated twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from itertools import combinations
from typing import Any

import pytest

from support.api_server import UNLIMITED, Caller, Cloud, running_cloud
from support.routed import refused

PATH = "/v2.0/subnetpools"
POOL = {"name": "p", "prefixes": ["10.0.0.0/16"]}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Two daemons with two workers each."""
    with running_cloud(tmp_path_factory.mktemp("cloud"), daemons=(2, 2), config=UNLIMITED) as running:
        yield running


@pytest.fixture
def network(alice: Caller) -> Any:
    return alice.make("network")


def subnet(caller: Caller, network: Any, **asked: Any) -> tuple[int, Any]:
    return caller.post("/v2.0/subnets", {"subnet": {"network_id": network["id"], "ip_version": 4} | asked})


def cidr_of(reply: tuple[int, Any]) -> str:
    status, body = reply
    assert status == 201, body
    return str(body["subnet"]["cidr"])


# --- pools ------------------------------------------------------------------------------------------------------------


def test_a_pool_has_neutrons_defaults_and_merged_prefixes(alice: Caller) -> None:
    pool = alice.make("subnetpool", name="p", prefixes=["10.1.0.0/16", "10.0.0.0/16", "10.0.3.0/24"], tags=["t"])
    assert (pool["prefixes"], pool["ip_version"], pool["default_quota"]) == (["10.0.0.0/15"], 4, None)
    assert (pool["min_prefixlen"], pool["max_prefixlen"], pool["default_prefixlen"]) == ("8", "32", "8")
    assert (pool["shared"], pool["is_default"], pool["tags"], pool["revision_number"]) == (False, False, ["t"], 0)
    six = alice.make("subnetpool", name="six", prefixes=["fd00::/48"], default_prefixlen="64")
    assert (six["ip_version"], six["min_prefixlen"], six["max_prefixlen"]) == (6, "64", "128")
    assert [p["id"] for p in alice.list("subnetpool", "ip_version=6&min_prefixlen=64")] == [six["id"]]
    for made in (pool, six):
        alice.remove("subnetpool", made["id"])
    assert refused(alice.get(f"{PATH}/{six['id']}")) == (404, "SubnetPoolNotFound")


@pytest.mark.parametrize(
    "asked, kind",
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.0.0.0/16", "fd00::/48"]}, "PrefixVersionMismatch"),
        ({"prefixes": ["10.0.0.0/33"]}, "HTTPBadRequest"),
        ({"min_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
        ({"max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 7}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 28, "max_prefixlen": 26}, "IllegalSubnetPoolPrefixBounds"),
        ({"min_prefixlen": -1}, "HTTPBadRequest"),
        ({"default_quota": 2**40}, "InvalidInput"),
        ({"name": ""}, "HTTPBadRequest"),
        ({"address_scope_id": None}, "HTTPBadRequest"),
    ],
)
def test_an_impossible_pool_is_refused(alice: Caller, asked: dict[str, Any], kind: str) -> None:
    assert refused(alice.post(PATH, {"subnetpool": POOL | asked})) == (400, kind)


def test_a_pool_grows_by_a_put_and_shrinks_by_remove_prefixes(alice: Caller, network: Any) -> None:
    pool = alice.make("subnetpool", **POOL)
    path = f"{PATH}/{pool['id']}"
    grown = alice.change("subnetpool", pool["id"], prefixes=["10.0.0.0/16", "10.2.0.0/16"], name="q", description="d")
    assert (grown["prefixes"], grown["name"]) == (["10.0.0.0/16", "10.2.0.0/16"], "q")
    for smaller in (["10.2.0.0/16"], ["10.0.0.0/17", "10.2.0.0/16"]):
        assert refused(alice.put(path, {"subnetpool": {"prefixes": smaller}})) == (400, "IllegalSubnetPoolPrefixUpdate")
    assert refused(alice.put(path, {"subnetpool": {"prefixes": ["fd00::/48"]}})) == (400, "PrefixVersionMismatch")
    assert refused(alice.put(path, {"subnetpool": {"min_prefixlen": 33}})) == (400, "IllegalSubnetPoolPrefixBounds")
    added = alice.put(f"{path}/add_prefixes", {"prefixes": ["10.3.0.0/16", "10.2.0.0/24"]})
    assert added == (200, {"prefixes": ["10.0.0.0/16", "10.2.0.0/15"]})
    cidr_of(subnet(alice, network, subnetpool_id=pool["id"], cidr="10.3.7.0/24"))
    taken = alice.put(f"{path}/remove_prefixes", {"prefixes": ["10.3.4.0/22"]})
    assert refused(taken) == (400, "IllegalSubnetPoolPrefixUpdate")
    assert alice.put(f"{path}/remove_prefixes", {"prefixes": ["10.0.0.0/15", "10.2.0.0/16"]}) == (
        200,
        {"prefixes": ["10.3.0.0/16"]},
    )
    for body in ({}, {"prefixes": "10.0.0.0/8"}, {"prefixes": ["x"]}, []):
        assert refused(alice.put(f"{path}/add_prefixes", body))[0] == 400
    other = alice.make("subnetpool", **POOL)
    all_of_it = alice.put(f"{PATH}/{other['id']}/remove_prefixes", {"prefixes": ["0.0.0.0/0"]})
    assert refused(all_of_it) == (400, "EmptySubnetPoolPrefixList")


def test_a_pool_stays_while_subnets_are_of_it(alice: Caller, network: Any) -> None:
    pool = alice.make("subnetpool", **POOL)
    made = subnet(alice, network, subnetpool_id=pool["id"], prefixlen=24)
    assert refused(alice.delete(f"{PATH}/{pool['id']}")) == (400, "SubnetPoolDeleteError")
    alice.remove("subnet", made[1]["subnet"]["id"])
    alice.remove("subnetpool", pool["id"])


def test_pools_are_their_projects_unless_they_are_shared(admin: Caller, alice: Caller, bob: Caller) -> None:
    own = alice.make("subnetpool", **POOL)
    assert refused(bob.get(f"{PATH}/{own['id']}")) == (404, "SubnetPoolNotFound")
    assert refused(bob.put(f"{PATH}/{own['id']}/add_prefixes", {"prefixes": ["1.0.0.0/8"]}))[0] == 404
    assert refused(alice.post(PATH, {"subnetpool": POOL | {"shared": True}})) == (403, "PolicyNotAuthorized")
    assert refused(alice.post(PATH, {"subnetpool": POOL | {"is_default": True}})) == (403, "PolicyNotAuthorized")
    shared = admin.make("subnetpool", **POOL, shared=True)
    assert bob.show("subnetpool", shared["id"])["shared"] is True
    for attempt in (
        bob.put(f"{PATH}/{shared['id']}", {"subnetpool": {"name": "x"}}),
        bob.put(f"{PATH}/{shared['id']}/remove_prefixes", {"prefixes": ["10.0.0.0/24"]}),
        bob.delete(f"{PATH}/{shared['id']}"),
    ):
        assert refused(attempt) == (403, "PolicyNotAuthorized")
    assert ip_network(cidr_of(subnet(bob, bob.make("network"), subnetpool_id=shared["id"], prefixlen=20)))


def test_tags_and_quota_of_pools(admin: Caller, alice: Caller, cloud: Cloud) -> None:
    pool = alice.make("subnetpool", **POOL)
    assert alice.put(f"{PATH}/{pool['id']}/tags", {"tags": ["a"]})[0] == 200
    assert [p["id"] for p in alice.list("subnetpool", "tags=a")] == [pool["id"]]
    quota = f"/v2.0/quotas/{cloud.project_id('other')}"
    assert admin.put(quota, {"quota": {"subnetpool": 0}})[1]["quota"]["subnetpool"] == 0
    assert refused(cloud.user("bob").post(PATH, {"subnetpool": POOL})) == (409, "OverQuota")
    assert admin.delete(quota)[0] == 204


# --- allocation -------------------------------------------------------------------------------------------------------


def test_a_subnet_gets_the_smallest_free_block_that_is_large_enough(alice: Caller, network: Any) -> None:
    pool = alice.make("subnetpool", name="p", prefixes=["10.0.0.0/16"], default_prefixlen=26)
    asks = [{"prefixlen": 24}, {"cidr": "10.0.4.0/25"}, {"prefixlen": 25}, {"prefixlen": 24}, {}]
    found = [cidr_of(subnet(alice, network, subnetpool_id=pool["id"], **ask)) for ask in asks]
    assert found == ["10.0.0.0/24", "10.0.4.0/25", "10.0.4.128/25", "10.0.1.0/24", "10.0.5.0/26"]
    shown = alice.list("subnet", f"subnetpool_id={pool['id']}")
    assert {item["cidr"] for item in shown} == set(found)
    first = next(item for item in shown if item["cidr"] == "10.0.0.0/24")
    assert (first["gateway_ip"], first["allocation_pools"]) == (
        "10.0.0.1",
        [{"start": "10.0.0.2", "end": "10.0.0.254"}],
    )


def test_what_a_deleted_subnet_had_is_free_again(alice: Caller, network: Any) -> None:
    pool = alice.make("subnetpool", name="p", prefixes=["10.0.0.0/24"])
    made = subnet(alice, network, subnetpool_id=pool["id"], prefixlen=24)
    for asked in ({"prefixlen": 30}, {"cidr": "10.0.0.0/28"}):
        other = subnet(alice, alice.make("network"), subnetpool_id=pool["id"], **asked)
        assert refused(other) == (409, "SubnetAllocationError")
    alice.remove("subnet", made[1]["subnet"]["id"])
    assert cidr_of(subnet(alice, network, subnetpool_id=pool["id"], prefixlen=24)) == "10.0.0.0/24"


@pytest.mark.parametrize(
    "asked, status, kind",
    [
        ({"prefixlen": 15}, 400, "MinPrefixSubnetAllocationError"),
        ({"prefixlen": 29}, 400, "MaxPrefixSubnetAllocationError"),
        ({"cidr": "10.0.0.0/29"}, 400, "MaxPrefixSubnetAllocationError"),
        ({"cidr": "10.7.0.0/24"}, 409, "SubnetAllocationError"),
        ({"cidr": "10.0.0.0/24", "prefixlen": 24}, 400, "BadRequest"),
        ({"ip_version": 6, "prefixlen": 64}, 400, "BadRequest"),
        ({"cidr": "fd00::/64"}, 400, "BadRequest"),
        ({"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"}]}, 400, "BadRequest"),
        ({"use_default_subnetpool": True}, 400, "BadRequest"),
        ({"gateway_ip": "fd00::1"}, 400, "InvalidInput"),
        ({"subnetpool_id": "prefix_delegation"}, 400, "BadRequest"),
        ({"subnetpool_id": "00000000-0000-4000-8000-000000000000"}, 404, "SubnetPoolNotFound"),
    ],
)
def test_what_the_pool_cannot_give_is_refused(
    alice: Caller, network: Any, asked: dict[str, Any], status: int, kind: str
) -> None:
    pool = alice.make("subnetpool", **POOL, min_prefixlen=20, max_prefixlen=28, default_prefixlen=24)
    assert refused(subnet(alice, network, **{"subnetpool_id": pool["id"]} | asked)) == (status, kind)
    assert alice.show("subnetpool", pool["id"])["revision_number"] == 0


def test_a_named_range_may_have_pools_and_a_gateway_of_its_own(alice: Caller, network: Any) -> None:
    pool = alice.make("subnetpool", **POOL)
    pools = [{"start": "10.0.9.10", "end": "10.0.9.20"}]
    made = subnet(
        alice, network, subnetpool_id=pool["id"], cidr="10.0.9.0/24", gateway_ip="10.0.9.254", allocation_pools=pools
    )
    assert (made[1]["subnet"]["allocation_pools"], made[1]["subnet"]["gateway_ip"]) == (pools, "10.0.9.254")
    found = refused(alice.put(f"/v2.0/subnets/{made[1]['subnet']['id']}", {"subnet": {"subnetpool_id": pool["id"]}}))
    assert found == (400, "HTTPBadRequest")


def test_the_subnets_of_a_network_are_of_one_pool_or_of_none(alice: Caller, network: Any) -> None:
    one, other, six = (
        alice.make("subnetpool", name="p", prefixes=[prefix]) for prefix in ("10.0.0.0/16", "10.1.0.0/16", "fd00::/48")
    )
    cidr_of(subnet(alice, network, subnetpool_id=one["id"], prefixlen=24))
    cidr_of(subnet(alice, network, subnetpool_id=six["id"], ip_version=6))
    cidr_of(subnet(alice, network, subnetpool_id=one["id"], prefixlen=24))
    for asked in ({"subnetpool_id": other["id"], "prefixlen": 24}, {"cidr": "192.168.0.0/24"}):
        assert refused(subnet(alice, network, **asked)) == (400, "NetworkSubnetPoolAffinityError")


def test_of_each_ip_version_one_pool_is_the_default(admin: Caller, alice: Caller, bob: Caller, network: Any) -> None:
    ask: dict[str, Any] = {"use_default_subnetpool": True, "prefixlen": 24}
    assert refused(subnet(alice, network, **ask)) == (400, "BadRequest")
    four = admin.make("subnetpool", name="d", prefixes=["10.0.0.0/16"], is_default=True, shared=True)
    six = admin.make("subnetpool", name="d6", prefixes=["fd00::/48"], is_default=True)
    assert refused(admin.post(PATH, {"subnetpool": POOL | {"is_default": True}})) == (400, "InvalidInput")
    assert alice.list("subnetpool", "is_default=true")[0]["id"] == four["id"]
    status, body = subnet(alice, network, **ask)
    assert (status, body["subnet"]["subnetpool_id"]) == (201, four["id"])
    assert refused(subnet(alice, network, use_default_subnetpool=True, ip_version=6)) == (400, "BadRequest")
    assert subnet(admin, network, use_default_subnetpool=True, cidr="fd00::/64", ip_version=6)[0] == 201
    other = admin.make("subnetpool", **POOL)
    asked = {"subnetpool": {"is_default": True}}
    assert refused(admin.put(f"{PATH}/{other['id']}", asked)) == (400, "InvalidInput")
    assert admin.change("subnetpool", four["id"], is_default=False)["is_default"] is False
    assert admin.change("subnetpool", other["id"], is_default=True)["is_default"] is True
    for pool in (other, six):
        admin.change("subnetpool", pool["id"], is_default=False)
    assert alice.list("subnetpool", "is_default=true") == []


@pytest.mark.parametrize(
    "version, prefix, quota, lengths, last",
    [(4, "10.0.0.0/16", 768, [24, 23], 30), (6, "fd00::/48", 3, [64, 63], 128)],
)
def test_a_project_may_have_so_much_of_a_pool(
    admin: Caller, alice: Caller, bob: Caller, version: int, prefix: str, quota: int, lengths: list[int], last: int
) -> None:
    pool = admin.make("subnetpool", name="p", prefixes=[prefix], default_quota=quota, shared=True, min_prefixlen=16)
    ask: dict[str, Any] = {"subnetpool_id": pool["id"], "ip_version": version}
    for length in lengths:
        cidr_of(subnet(alice, alice.make("network"), prefixlen=length, **ask))
    over = subnet(alice, alice.make("network"), prefixlen=last, enable_dhcp=False, **ask)
    assert refused(over) == (409, "SubnetPoolQuotaExceeded")
    cidr_of(subnet(bob, bob.make("network"), prefixlen=lengths[0], **ask))
    assert admin.change("subnetpool", pool["id"], default_quota=quota + 4)["default_quota"] == quota + 4
    cidr_of(subnet(alice, alice.make("network"), prefixlen=last, enable_dhcp=False, **ask))


def test_many_processes_never_allocate_the_same_range_nor_more_than_the_quota(cloud: Cloud, admin: Caller) -> None:
    pool = admin.make(
        "subnetpool", name="p", prefixes=["10.0.0.0/16"], default_quota=20 * 256, shared=True, default_prefixlen=24
    )
    callers = [cloud.user("alice", daemon=number % 2) for number in range(30)]
    networks = [callers[0].make("network") for _ in callers]
    with ThreadPoolExecutor(6) as workers:
        jobs = [workers.submit(subnet, *pair, subnetpool_id=pool["id"]) for pair in zip(callers, networks, strict=True)]
        replies = [job.result() for job in jobs]
    made = [ip_network(body["subnet"]["cidr"]) for status, body in replies if status == 201]
    assert len(made) == 20
    assert {refused(reply) for reply in replies if reply[0] != 201} == {(409, "SubnetPoolQuotaExceeded")}
    assert not any(one.overlaps(other) for one, other in combinations(made, 2))


def test_a_bulk_request_gets_ranges_that_do_not_overlap(alice: Caller) -> None:
    pool = alice.make("subnetpool", **POOL)
    items = [
        {"network_id": alice.make("network")["id"], "ip_version": 4, "subnetpool_id": pool["id"], "prefixlen": 24}
        for _ in range(3)
    ]
    status, body = alice.post("/v2.0/subnets", {"subnets": items})
    assert (status, [item["cidr"] for item in body["subnets"]]) == (201, ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"])
