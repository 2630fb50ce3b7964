"""Routers and their interfaces."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller
from support.routed import act, inside, join, part, refused

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_a_router_has_neutrons_defaults_and_can_be_changed_and_deleted(alice: Caller) -> None:
    router = alice.make("router", name="r", tags=["blue"])
    shown = {k: v for k, v in router.items() if k not in ("id", "project_id", "tenant_id", "created_at", "updated_at")}
    assert shown == {
        "name": "r",
        "description": "",
        "admin_state_up": True,
        "status": "ACTIVE",
        "external_gateway_info": None,
        "external_gateways": [],
        "availability_zone_hints": [],
        "availability_zones": [],
        "enable_snat": True,
        "enable_default_route_bfd": False,
        "enable_default_route_ecmp": False,
        "routes": [],
        "tags": ["blue"],
        "revision_number": 1,
    }
    changed = alice.change("router", router["id"], name="s", admin_state_up=False, description="d")
    assert (changed["name"], changed["admin_state_up"], changed["revision_number"]) == ("s", False, 2)
    assert [found["id"] for found in alice.list("router", "name=s&fields=id")] == [router["id"]]
    alice.remove("router", router["id"])
    assert refused(alice.get(f"/v2.0/routers/{router['id']}")) == (404, "RouterNotFound")


def test_an_interface_by_subnet_takes_the_subnets_gateway_address(alice: Caller) -> None:
    network, subnet = inside(alice)
    router = alice.make("router")
    told = join(alice, router, subnet)
    assert told == {
        "id": router["id"],
        "project_id": router["project_id"],
        "port_id": told["port_id"],
        "network_id": network["id"],
        "subnet_id": subnet["id"],
        "subnet_ids": [subnet["id"]],
    }
    port = alice.show("port", told["port_id"])
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}]
    assert (port["device_owner"], port["device_id"]) == ("network:router_interface", router["id"])
    assert (port["security_groups"], port["port_security_enabled"]) == ([], False)
    assert alice.show("router", router["id"])["revision_number"] == 2
    assert part(alice, router, subnet) == (200, told)
    assert refused(alice.get(f"/v2.0/ports/{port['id']}")) == (404, "PortNotFound")
    assert part(alice, router, subnet) == (404, "RouterInterfaceNotFoundForSubnet")


def test_an_interface_by_port_becomes_the_routers_and_goes_with_it(alice: Caller) -> None:
    network, subnet = inside(alice)
    router, other = alice.make("router"), alice.make("router")
    port = alice.make("port", network_id=network["id"])
    status, told = act(alice, router, "add_router_interface", port_id=port["id"])
    assert (status, told["subnet_ids"]) == (200, [subnet["id"]])
    assert alice.show("port", port["id"])["device_owner"] == "network:router_interface"
    assert act(alice, other, "add_router_interface", port_id=port["id"]) == (409, "PortInUse")
    assert act(alice, other, "remove_router_interface", port_id=port["id"]) == (404, "RouterInterfaceNotFound")
    mismatch = {"port_id": port["id"], "subnet_id": UNKNOWN}
    assert act(alice, router, "remove_router_interface", **mismatch) == (400, "SubnetMismatchForPort")
    assert act(alice, router, "remove_router_interface", port_id=port["id"])[0] == 200
    assert refused(alice.get(f"/v2.0/ports/{port['id']}")) == (404, "PortNotFound")


def test_subnets_that_overlap_cannot_join_one_router(alice: Caller) -> None:
    router = alice.make("router")
    _, subnet = inside(alice, "10.0.0.0/16")
    join(alice, router, subnet)
    _, overlapping = inside(alice, "10.0.7.0/24")
    assert act(alice, router, "add_router_interface", subnet_id=overlapping["id"]) == (400, "BadRequest")
    assert act(alice, router, "add_router_interface", subnet_id=subnet["id"]) == (400, "BadRequest")
    join(alice, alice.make("router"), overlapping)


def test_a_gateway_address_serves_one_router(alice: Caller) -> None:
    _, subnet = inside(alice)
    join(alice, alice.make("router"), subnet)
    taken = act(alice, alice.make("router"), "add_router_interface", subnet_id=subnet["id"])
    assert taken == (409, "IpAddressAlreadyAllocated")
    assert refused(alice.put(f"/v2.0/subnets/{subnet['id']}", {"subnet": {"gateway_ip": "10.0.0.9"}})) == (
        409,
        "GatewayIpInUse",
    )


def test_what_cannot_be_joined_is_refused(alice: Caller) -> None:
    router = alice.make("router")
    _, without = inside(alice, gateway_ip=None)
    network, _ = inside(alice, "10.9.0.0/24")
    empty = alice.make("port", network_id=network["id"], fixed_ips=[])
    external = {"ipv6_address_mode": "slaac"}
    _, advertised = inside(alice, "fd00:77::/64", **external)
    for body in ({"subnet_id": without["id"]}, {"port_id": empty["id"]}, {"subnet_id": advertised["id"]}, {}):
        assert act(alice, router, "add_router_interface", **body) == (400, "BadRequest"), body
    both = {"subnet_id": without["id"], "port_id": empty["id"]}
    assert act(alice, router, "add_router_interface", **both) == (400, "BadRequest")
    assert act(alice, router, "add_router_interface", subnet_id="x") == (400, "HTTPBadRequest")
    assert act(alice, router, "add_router_interface", subnet_id=UNKNOWN) == (404, "SubnetNotFound")
    assert act(alice, router, "add_router_interface", port_id=UNKNOWN) == (404, "PortNotFound")
    assert act(alice, {"id": UNKNOWN}, "add_router_interface", port_id=UNKNOWN) == (404, "RouterNotFound")
    assert act(alice, router, "nothing", port_id=UNKNOWN) == (404, "HTTPNotFound")


def test_ipv6_subnets_of_a_network_share_one_interface(alice: Caller) -> None:
    network, _ = inside(alice, "10.3.0.0/24")
    slaac = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    one, two = (
        alice.make("subnet", network_id=network["id"], ip_version=6, cidr=cidr, **slaac)
        for cidr in ("fd00:a::/64", "fd00:b::/64")
    )
    router = alice.make("router")
    first, second = join(alice, router, one), join(alice, router, two)
    assert first["port_id"] == second["port_id"]
    assert second["subnet_ids"] == [two["id"]]
    port = alice.show("port", first["port_id"])
    assert [item["ip_address"] for item in port["fixed_ips"]] == ["fd00:a::", "fd00:b::"]
    other = alice.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": one["id"]}])
    assert act(alice, router, "add_router_interface", port_id=other["id"]) == (400, "BadRequest")
    assert part(alice, router, one)[0] == 200
    assert [item["subnet_id"] for item in alice.show("port", first["port_id"])["fixed_ips"]] == [two["id"]]
    assert part(alice, router, two)[0] == 200
    alice.remove("router", router["id"])


def test_a_router_in_use_stays_and_so_does_all_that_it_uses(alice: Caller) -> None:
    network, subnet = inside(alice)
    router = alice.make("router")
    port = join(alice, router, subnet)["port_id"]
    assert refused(alice.delete(f"/v2.0/routers/{router['id']}")) == (409, "RouterInUse")
    assert refused(alice.delete(f"/v2.0/ports/{port}")) == (409, "ServicePortInUse")
    assert refused(alice.delete(f"/v2.0/subnets/{subnet['id']}")) == (409, "SubnetInUse")
    assert refused(alice.delete(f"/v2.0/networks/{network['id']}")) == (409, "NetworkInUse")
    for change in ({"fixed_ips": []}, {"device_id": "x"}, {"device_owner": ""}):
        assert refused(alice.put(f"/v2.0/ports/{port}", {"port": change})) == (400, "BadRequest"), change
    assert alice.change("port", port, name="way")["name"] == "way"


def test_a_port_that_only_says_so_is_not_a_routers(alice: Caller, bob: Caller) -> None:
    router = alice.make("router")
    network, _ = inside(bob)
    says = {"device_owner": "network:router_interface", "device_id": router["id"]}
    port = bob.make("port", network_id=network["id"], **says)
    assert act(alice, router, "remove_router_interface", port_id=port["id"]) == (404, "RouterInterfaceNotFound")
    bob.remove("port", port["id"])
    alice.remove("router", router["id"])


def test_routers_are_their_projects(alice: Caller, bob: Caller, cloud: Any) -> None:
    router = alice.make("router")
    _, subnet = inside(bob)
    assert refused(bob.get(f"/v2.0/routers/{router['id']}")) == (404, "RouterNotFound")
    assert act(bob, router, "add_router_interface", subnet_id=subnet["id"]) == (404, "RouterNotFound")
    assert act(alice, router, "add_router_interface", subnet_id=subnet["id"]) == (404, "SubnetNotFound")
    reader = cloud.user("reader")
    assert reader.show("router", router["id"])["id"] == router["id"]
    assert "ha" not in reader.show("router", router["id"])
    assert act(reader, router, "add_router_interface", subnet_id=UNKNOWN) == (403, "PolicyNotAuthorized")
    assert refused(alice.post("/v2.0/routers", {"router": {"ha": True}})) == (403, "PolicyNotAuthorized")


def test_what_is_not_offered_is_refused_by_name(admin: Caller) -> None:
    for name, alias in (("distributed", "dvr"), ("flavor_id", "l3-flavors")):
        status, body = admin.post("/v2.0/routers", {"router": {name: None}})
        assert (status, alias in body["NeutronError"]["message"]) == (400, True)
    assert refused(admin.post("/v2.0/routers", {"router": {"ha": False}})) == (400, "BadRequest")
    assert admin.make("router", ha=True)["ha"] is True


def test_if_match_guards_interfaces_too(alice: Caller) -> None:
    router = alice.make("router")
    _, subnet = inside(alice)
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    status, body = alice.put(path, {"subnet_id": subnet["id"]}, If_Match="revision_number=7")
    assert (status, body["NeutronError"]["type"]) == (412, "RevisionNumberConstraintFailed")
    assert alice.put(path, {"subnet_id": subnet["id"]}, If_Match="revision_number=1")[0] == 200


@pytest.mark.parametrize("body", [None, [], "x", {"subnet_id": 1}, {"subnet_id": {}}, {"port_id": ["x"]}])
def test_bad_bodies_are_told_as_such(alice: Caller, body: Any) -> None:
    router = alice.make("router")
    for action in ("add_router_interface", "remove_router_interface", "add_extraroutes", "add_external_gateways"):
        status, reply = alice.put(f"/v2.0/routers/{router['id']}/{action}", body)
        assert status == 400, (action, reply)
