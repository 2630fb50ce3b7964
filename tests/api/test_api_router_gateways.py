"""External gateways of routers, and extra routes."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller
from support.routed import Outside, act, gateway, inside, join, outside, part, refused


@pytest.fixture(scope="module")
def public(cloud: Any) -> Outside:
    return outside(cloud.user("admin"))


def change(caller: Caller, router: Any, **attributes: Any) -> tuple[int, str]:
    return refused(caller.put(f"/v2.0/routers/{router['id']}", {"router": attributes}))


def route(destination: str, nexthop: str) -> dict[str, str]:
    return {"destination": destination, "nexthop": nexthop}


def test_a_gateway_gets_an_address_of_the_external_network(alice: Caller, admin: Caller, public: Outside) -> None:
    router = alice.make("router", external_gateway_info={"network_id": public.id})
    info = router["external_gateway_info"]
    (fixed,) = info["external_fixed_ips"]
    assert (info["network_id"], info["enable_snat"], fixed["subnet_id"]) == (public.id, True, public.subnet["id"])
    assert router["external_gateways"] == [{"network_id": public.id, "external_fixed_ips": [fixed]}]
    (port,) = admin.list("port", f"device_id={router['id']}")
    assert (port["device_owner"], port["project_id"], port["fixed_ips"]) == ("network:router_gateway", "", [fixed])
    assert refused(alice.get(f"/v2.0/ports/{port['id']}")) == (404, "PortNotFound")
    assert refused(admin.delete(f"/v2.0/ports/{port['id']}")) == (409, "ServicePortInUse")
    assert alice.change("router", router["id"], external_gateway_info={})["external_gateway_info"] is None
    assert admin.list("port", f"device_id={router['id']}") == []
    alice.remove("router", router["id"])


def test_an_administrator_chooses_addresses_and_translation(alice: Caller, admin: Caller, public: Outside) -> None:
    router = admin.make("router", external_gateway_info=gateway(public, "172.24.5.20", enable_snat=False))
    assert router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "172.24.5.20"
    assert (router["external_gateway_info"]["enable_snat"], router["enable_snat"]) == (False, False)
    changed = admin.change("router", router["id"], external_gateway_info=gateway(public, "172.24.5.21"))
    assert changed["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "172.24.5.21"
    assert changed["enable_snat"] is True
    kept = admin.change("router", router["id"], external_gateway_info={"network_id": public.id, "enable_snat": False})
    assert kept["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "172.24.5.21"
    for info in (gateway(public, "172.24.5.30"), gateway(public, enable_snat=False)):
        status, kind = refused(alice.post("/v2.0/routers", {"router": {"external_gateway_info": info}}))
        assert (status, kind) == (403, "PolicyNotAuthorized")
    taken = {"router": {"external_gateway_info": gateway(public, "172.24.5.21")}}
    assert refused(admin.post("/v2.0/routers", taken)) == (409, "IpAddressAlreadyAllocated")
    admin.remove("router", router["id"])


def test_a_gateway_moves_to_another_network(admin: Caller, public: Outside) -> None:
    other = outside(admin, "198.51.100.0/24")
    router = admin.make("router", external_gateway_info={"network_id": public.id})
    moved = admin.change("router", router["id"], external_gateway_info=gateway(other, "198.51.100.7"))
    assert [g["network_id"] for g in moved["external_gateways"]] == [other.id]
    assert len(admin.list("port", f"device_id={router['id']}")) == 1
    admin.remove("router", router["id"])
    assert admin.list("port", f"device_id={router['id']}") == []


def test_only_an_external_network_can_be_a_gateway(alice: Caller, public: Outside) -> None:
    network, _ = inside(alice)
    router = alice.make("router")
    assert change(alice, router, external_gateway_info={"network_id": network["id"]}) == (400, "BadRequest")
    unknown = {"network_id": "00000000-0000-4000-8000-000000000000"}
    assert change(alice, router, external_gateway_info=unknown) == (404, "NetworkNotFound")
    for info in (
        {"enable_snat": True},
        {"network_id": "x"},
        [1],
        "x",
        {"network_id": public.id, "qos_policy_id": None},
    ):
        assert change(alice, router, external_gateway_info=info)[0] == 400, info


def test_a_gateway_and_an_interface_do_not_overlap(admin: Caller, public: Outside) -> None:
    _, subnet = inside(admin, "172.24.5.0/25")
    router = admin.make("router", external_gateway_info={"network_id": public.id})
    assert act(admin, router, "add_router_interface", subnet_id=subnet["id"]) == (400, "BadRequest")
    other = admin.make("router")
    join(admin, other, subnet)
    assert change(admin, other, external_gateway_info={"network_id": public.id}) == (400, "BadRequest")


def test_a_network_with_gateways_stays_external_and_its_subnet_stays(admin: Caller) -> None:
    network = outside(admin)
    router = admin.make("router", external_gateway_info={"network_id": network.id})
    internal = {"network": {"router:external": False}}
    assert refused(admin.put(f"/v2.0/networks/{network.id}", internal)) == (409, "ExternalNetworkInUse")
    assert refused(admin.delete(f"/v2.0/subnets/{network.subnet['id']}")) == (409, "SubnetInUse")
    assert refused(admin.delete(f"/v2.0/networks/{network.id}")) == (409, "NetworkInUse")
    admin.remove("router", router["id"])
    assert admin.put(f"/v2.0/networks/{network.id}", internal)[0] == 200


def test_an_external_network_without_subnets_gives_a_gateway_without_addresses(admin: Caller) -> None:
    network = admin.make("network", **{"router:external": True})
    router = admin.make("router", external_gateway_info={"network_id": network["id"]})
    assert router["external_gateway_info"]["external_fixed_ips"] == []


def test_several_gateways_come_change_and_go(admin: Caller, public: Outside) -> None:
    second = outside(admin, "203.0.113.0/24")
    router = admin.make("router", external_gateway_info=gateway(public, "172.24.5.40"))
    more = {"router": {"external_gateways": [gateway(second, "203.0.113.4")]}}
    path = f"/v2.0/routers/{router['id']}"
    status, body = admin.put(f"{path}/add_external_gateways", more)
    assert status == 200, body
    assert [g["network_id"] for g in body["router"]["external_gateways"]] == [public.id, second.id]
    moved = {"router": {"external_gateways": [gateway(second, "203.0.113.5"), gateway(public)]}}
    _, body = admin.put(f"{path}/update_external_gateways", moved)
    shown = [g["external_fixed_ips"][0]["ip_address"] for g in body["router"]["external_gateways"]]
    assert shown == ["203.0.113.5", "172.24.5.40"]
    alone = {"router": {"external_gateways": [gateway(public, "172.24.5.40")]}}
    _, body = admin.put(f"{path}/update_external_gateways", alone)
    assert [g["network_id"] for g in body["router"]["external_gateways"]] == [public.id]
    assert len(admin.list("port", f"device_id={router['id']}")) == 1
    both = {"router": {"external_gateways": [gateway(public), gateway(second, "203.0.113.5")]}}
    _, body = admin.put(f"{path}/update_external_gateways", both)
    assert [g["network_id"] for g in body["router"]["external_gateways"]] == [public.id, second.id]
    wrong = {"router": {"external_gateways": [gateway(second, "203.0.113.77")]}}
    assert refused(admin.put(f"{path}/remove_external_gateways", wrong)) == (400, "UnableToMatchGateways")
    first = {"router": {"external_gateways": [{"network_id": public.id}]}}
    _, body = admin.put(f"{path}/remove_external_gateways", first)
    assert body["router"]["external_gateway_info"]["network_id"] == second.id
    split = {"router": {"external_gateways": [gateway(public, enable_snat=True), gateway(public, enable_snat=False)]}}
    assert refused(admin.put(f"{path}/add_external_gateways", split)) == (400, "BadRequest")
    assert refused(admin.put(f"{path}/add_external_gateways", {"router": {"external_gateways": "x"}}))[0] == 400
    twice = {"router": {"external_gateways": [gateway(second)]}}
    assert refused(admin.put(f"{path}/add_external_gateways", twice)) == (400, "BadRequest")
    _, body = admin.put(f"{path}/remove_external_gateways", {"router": {"external_gateways": {}}})
    assert (body["router"]["external_gateways"], body["router"]["external_gateway_info"]) == ([], None)
    admin.remove("router", router["id"])


def test_extra_routes_are_replaced_added_and_removed(alice: Caller) -> None:
    _, subnet = inside(alice, "10.6.0.0/24")
    router = alice.make("router")
    join(alice, router, subnet)
    one, two = route("192.168.1.0/24", "10.6.0.9"), route("fd00::/64", "10.6.0.9")
    assert change(alice, router, routes=[two]) == (400, "InvalidRoutes")
    two = route("192.168.2.0/24", "10.6.0.8")
    assert alice.change("router", router["id"], routes=[one])["routes"] == [one]
    path = f"/v2.0/routers/{router['id']}"
    for _ in range(2):
        status, body = alice.put(f"{path}/add_extraroutes", {"router": {"routes": [two]}})
        assert (status, body["router"]["routes"]) == (200, [one, two])
    for _ in range(2):
        status, body = alice.put(f"{path}/remove_extraroutes", {"router": {"routes": [one]}})
        assert (status, body["router"]["routes"]) == (200, [two])
    assert part(alice, router, subnet) == (409, "RouterInterfaceInUseByRoute")
    assert alice.change("router", router["id"], routes=None)["routes"] == []
    assert part(alice, router, subnet)[0] == 200


def test_a_next_hop_is_in_a_subnet_of_the_router_and_not_the_router(alice: Caller) -> None:
    _, subnet = inside(alice, "10.7.0.0/24")
    router = alice.make("router")
    join(alice, router, subnet)
    for hop in ("10.8.0.1", "10.7.0.1", "fd00::1"):
        assert change(alice, router, routes=[route("192.168.1.0/24", hop)]) == (400, "InvalidRoutes")
    same = route("10.0.0.0/8", "10.7.0.9")
    for bad in (
        "x",
        [1],
        [{"destination": "10.0.0.0/8"}],
        [route("10.0.0.0/8", "x")],
        [route("x", "10.7.0.9")],
        [same, same],
    ):
        assert change(alice, router, routes=bad)[0] == 400, bad
        status, _ = alice.put(f"/v2.0/routers/{router['id']}/add_extraroutes", {"router": {"routes": bad}})
        assert status == 400, bad
    many = [route(f"192.168.{n}.0/24", "10.7.0.9") for n in range(31)]
    assert change(alice, router, routes=many) == (400, "RoutesExhausted")
