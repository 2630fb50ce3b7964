"""Subnets: what may be asked for, what comes of it, what is in use."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller


def error(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


@pytest.fixture
def network(alice: Caller) -> Any:
    return alice.make("network")


SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "IPv4": (
        {"cidr": "10.0.0.0/24"},
        {"gateway_ip": "10.0.0.1", "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.254"}]},
    ),
    "gateway in the middle": (
        {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.100"},
        {
            "gateway_ip": "10.0.0.100",
            "allocation_pools": [
                {"start": "10.0.0.1", "end": "10.0.0.99"},
                {"start": "10.0.0.101", "end": "10.0.0.254"},
            ],
        },
    ),
    "no gateway": (
        {"cidr": "10.0.0.0/24", "gateway_ip": None},
        {"gateway_ip": None, "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.254"}]},
    ),
    "gateway elsewhere": (
        {"cidr": "10.0.0.0/24", "gateway_ip": "192.0.2.1"},
        {"gateway_ip": "192.0.2.1", "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.254"}]},
    ),
    "own pools": (
        {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.20", "end": "10.0.0.30"}]},
        {"gateway_ip": "10.0.0.1", "allocation_pools": [{"start": "10.0.0.20", "end": "10.0.0.30"}]},
    ),
    "point to point": (
        {"cidr": "10.0.0.0/31", "enable_dhcp": False, "gateway_ip": "10.0.0.0"},
        {"gateway_ip": "10.0.0.0", "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.1"}]},
    ),
    "IPv6": (
        {"cidr": "FD00:0::/64", "ip_version": 6},
        {"cidr": "fd00::/64", "gateway_ip": "fd00::", "ipv6_address_mode": None},
    ),
    "IPv6 stateful": (
        {
            "cidr": "fd00::/64",
            "ip_version": 6,
            "ipv6_ra_mode": "dhcpv6-stateful",
            "ipv6_address_mode": "dhcpv6-stateful",
            "gateway_ip": "FD00::0001",
        },
        {
            "gateway_ip": "fd00::1",
            "ipv6_ra_mode": "dhcpv6-stateful",
            "allocation_pools": [{"start": "fd00::2", "end": "fd00::ffff:ffff:ffff:ffff"}],
        },
    ),
    "host bits are dropped": ({"cidr": "10.0.0.77/24"}, {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1"}),
    "lists keep their order": (
        {"cidr": "10.0.0.0/24", "dns_nameservers": ["9.9.9.9", "1.1.1.1", "FD00::5"]},
        {"dns_nameservers": ["9.9.9.9", "1.1.1.1", "fd00::5"]},
    ),
}


@pytest.mark.parametrize("asked, got", SHAPES.values(), ids=SHAPES.keys())
def test_a_subnet_has_what_was_asked_for_and_neutrons_defaults(
    alice: Caller, network: Any, asked: dict[str, Any], got: dict[str, Any]
) -> None:
    subnet = alice.make("subnet", **{"network_id": network["id"], "ip_version": 4} | asked)
    assert {name: subnet[name] for name in got} == got
    assert alice.show("subnet", subnet["id"]) == subnet
    assert alice.show("network", network["id"])["subnets"] == [subnet["id"]]


POOL = {"start": "10.0.0.10", "end": "10.0.0.20"}
REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no cidr": ({}, 400, "BadRequest"),
    "no CIDR at all": ({"cidr": "hello"}, 400, "InvalidInput"),
    "cidr is an object": ({"cidr": {"a": 1}}, 400, "HTTPBadRequest"),
    "wrong family": ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
    "no such family": ({"cidr": "10.0.0.0/24", "ip_version": 5}, 400, "HTTPBadRequest"),
    "everything": ({"cidr": "0.0.0.0/0"}, 400, "InvalidInput"),
    "no room for DHCP": ({"cidr": "10.0.0.0/31"}, 400, "InvalidInput"),
    "multicast": ({"cidr": "224.0.0.0/24"}, 400, "InvalidInput"),
    "loopback": ({"cidr": "127.0.0.0/24"}, 400, "InvalidInput"),
    "gateway of the other family": ({"cidr": "10.0.0.0/24", "gateway_ip": "fd00::1"}, 400, "InvalidInput"),
    "gateway is broadcast": ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.255"}, 400, "InvalidInput"),
    "gateway is text": ({"cidr": "10.0.0.0/24", "gateway_ip": "up"}, 400, "HTTPBadRequest"),
    "gateway in pool": (
        {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.15", "allocation_pools": [POOL]},
        409,
        "GatewayConflictWithAllocationPools",
    ),
    "pool outside": (
        {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.1.2", "end": "10.0.1.9"}]},
        400,
        "OutOfBoundsAllocationPool",
    ),
    "pool holds broadcast": (
        {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.255"}]},
        400,
        "OutOfBoundsAllocationPool",
    ),
    "pool backwards": (
        {"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]},
        400,
        "InvalidAllocationPool",
    ),
    "pools overlap": (
        {"cidr": "10.0.0.0/24", "allocation_pools": [POOL, {"start": "10.0.0.20", "end": "10.0.0.30"}]},
        409,
        "OverlappingAllocationPools",
    ),
    "pool is no pool": ({"cidr": "10.0.0.0/24", "allocation_pools": ["10.0.0.2"]}, 400, "InvalidInput"),
    "too many name servers": (
        {"cidr": "10.0.0.0/24", "dns_nameservers": [f"192.0.2.{n}" for n in range(6)]},
        400,
        "DNSNameServersExhausted",
    ),
    "name server is no address": ({"cidr": "10.0.0.0/24", "dns_nameservers": ["dns"]}, 400, "HTTPBadRequest"),
    "route of the other family": (
        {"cidr": "10.0.0.0/24", "host_routes": [{"destination": "fd00::/64", "nexthop": "10.0.0.9"}]},
        400,
        "InvalidInput",
    ),
    "route without nexthop": (
        {"cidr": "10.0.0.0/24", "host_routes": [{"destination": "10.1.0.0/24"}]},
        400,
        "HTTPBadRequest",
    ),
    "IPv6 mode in IPv4": ({"cidr": "10.0.0.0/24", "ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
    "modes differ": (
        {"cidr": "fd00::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
        400,
        "InvalidInput",
    ),
    "modes without DHCP": (
        {"cidr": "fd00::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "enable_dhcp": False},
        400,
        "InvalidInput",
    ),
    "slaac in a /80": (
        {"cidr": "fd00::/80", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"},
        400,
        "InvalidInput",
    ),
    "from no pool": ({"prefixlen": 26}, 400, "BadRequest"),
}


@pytest.mark.parametrize("asked, status, kind", REFUSED.values(), ids=REFUSED.keys())
def test_an_impossible_subnet_is_refused(
    alice: Caller, network: Any, asked: dict[str, Any], status: int, kind: str
) -> None:
    body = {"network_id": network["id"], "ip_version": 4} | asked
    assert error(alice.post("/v2.0/subnets", {"subnet": body})) == (status, kind)
    assert alice.show("network", network["id"])["subnets"] == []


def test_subnets_of_one_network_do_not_overlap_but_those_of_two_may(alice: Caller, network: Any) -> None:
    body = {"ip_version": 4, "cidr": "10.0.0.0/24"}
    alice.make("subnet", network_id=network["id"], **body)
    for cidr in ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16"):
        reply = alice.post("/v2.0/subnets", {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": cidr}})
        assert error(reply) == (400, "InvalidInput")
    alice.make("subnet", network_id=alice.make("network")["id"], **body)
    both = [{"network_id": network["id"], "ip_version": 4, "cidr": "10.7.0.0/24"}] * 2
    assert error(alice.post("/v2.0/subnets", {"subnets": both})) == (400, "InvalidInput")


def test_update_changes_gateway_pools_and_lists(alice: Caller, network: Any) -> None:
    subnet = alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    path = f"/v2.0/subnets/{subnet['id']}"
    assert error(alice.put(path, {"subnet": {"gateway_ip": "10.0.0.9"}})) == (409, "GatewayConflictWithAllocationPools")
    changed = alice.change(
        "subnet",
        subnet["id"],
        name="s",
        gateway_ip="10.0.0.254",
        allocation_pools=[{"start": "10.0.0.5", "end": "10.0.0.9"}],
        dns_nameservers=["192.0.2.53"],
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}],
    )
    assert changed["gateway_ip"] == "10.0.0.254"
    assert changed["allocation_pools"] == [{"start": "10.0.0.5", "end": "10.0.0.9"}]
    assert changed["host_routes"] == [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}]
    assert changed["revision_number"] == subnet["revision_number"] + 1
    assert alice.change("subnet", subnet["id"], gateway_ip=None)["gateway_ip"] is None
    assert error(alice.put(path, {"subnet": {"cidr": "10.1.0.0/24"}})) == (400, "HTTPBadRequest")


def test_the_metadata_port_follows_dhcp(alice: Caller, network: Any) -> None:
    subnet = alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24", enable_dhcp=False)

    def served() -> list[str]:
        (port,) = alice.list("port", f"network_id={network['id']}&device_owner=network:distributed")
        return [address["ip_address"] for address in port["fixed_ips"]]

    assert served() == []
    alice.change("subnet", subnet["id"], enable_dhcp=True)
    assert served() == ["10.0.0.2"]
    alice.change("subnet", subnet["id"], enable_dhcp=False)
    assert served() == []


def test_ports_get_and_lose_the_automatic_addresses_of_a_subnet(alice: Caller, network: Any) -> None:
    port = alice.make("port", network_id=network["id"], mac_address="fa:16:3e:01:02:03")
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    subnet = alice.make("subnet", network_id=network["id"], ip_version=6, cidr="fd00:5::/64", **modes)
    seen = alice.show("port", port["id"])
    assert seen["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "fd00:5::f816:3eff:fe01:203"}]
    assert seen["revision_number"] == port["revision_number"] + 1
    alice.remove("subnet", subnet["id"])
    assert alice.show("port", port["id"])["fixed_ips"] == []


def test_a_subnet_with_an_address_that_was_asked_for_is_in_use(alice: Caller, network: Any) -> None:
    subnet = alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    port = alice.make("port", network_id=network["id"])
    assert error(alice.delete(f"/v2.0/subnets/{subnet['id']}")) == (409, "SubnetInUse")
    alice.change("port", port["id"], fixed_ips=[])
    alice.remove("subnet", subnet["id"])
    assert error(alice.get(f"/v2.0/subnets/{subnet['id']}")) == (404, "SubnetNotFound")


def test_a_networks_owner_says_for_which_ports_a_subnet_is(alice: Caller, network: Any) -> None:
    subnet = alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.1.0.0/24", service_types=["test:x"])
    assert subnet["service_types"] == ["test:x"]
    assert alice.change("subnet", subnet["id"], service_types=[])["service_types"] == []


def test_who_sees_an_external_network_sees_its_subnets(admin: Caller, alice: Caller) -> None:
    for external, seen in ((True, True), (False, False)):
        network = admin.make("network", **{"router:external": external})
        subnet = admin.make("subnet", network_id=network["id"], ip_version=4, cidr="203.0.113.0/24")
        assert (alice.get(f"/v2.0/subnets/{subnet['id']}")[0] == 200) is seen
        assert bool(alice.list("subnet", f"network_id={network['id']}")) is seen


def test_a_networks_owner_sees_the_subnets_that_others_made_in_it(admin: Caller, alice: Caller, network: Any) -> None:
    subnet = admin.make("subnet", network_id=network["id"], ip_version=4, cidr="10.2.0.0/24")
    assert alice.show("subnet", subnet["id"])["id"] == subnet["id"]


def test_subnets_for_one_kind_of_port_serve_no_other(admin: Caller) -> None:
    network = admin.make("network")
    special = admin.make(
        "subnet", network_id=network["id"], ip_version=4, cidr="10.1.0.0/24", service_types=["compute:nova"]
    )
    reply = admin.post("/v2.0/ports", {"port": {"network_id": network["id"]}})
    assert error(reply) == (409, "IpAddressGenerationFailureNoMatchingSubnet")
    port = admin.make("port", network_id=network["id"], device_owner="compute:nova")
    assert [address["subnet_id"] for address in port["fixed_ips"]] == [special["id"]]
