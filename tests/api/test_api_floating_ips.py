"""Floating IPs: whom they stand for, and what they keep."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller
from support.routed import Outside, act, another_than, inside, join, outside, part, refused

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def public(cloud: Any) -> Outside:
    return outside(cloud.user("admin"))


def routed(caller: Caller, public: Outside, cidr: str) -> tuple[Any, Any, Any]:
    """A network with a subnet, and a router between it and the outside."""
    network, subnet = inside(caller, cidr)
    router = caller.make("router", external_gateway_info={"network_id": public.id})
    join(caller, router, subnet)
    return network, subnet, router


def change(caller: Caller, floating: Any, **attributes: Any) -> tuple[int, str]:
    return refused(caller.put(f"/v2.0/floatingips/{floating['id']}", {"floatingip": attributes}))


def test_a_floating_ip_stands_for_nobody_until_it_is_told(alice: Caller, admin: Caller, public: Outside) -> None:
    floating = alice.make("floatingip", floating_network_id=public.id, description="d", tags=["t"])
    shown = {k: v for k, v in floating.items() if k not in ("id", "tenant_id", "created_at", "updated_at")}
    assert shown == {
        "floating_network_id": public.id,
        "floating_ip_address": floating["floating_ip_address"],
        "project_id": alice.make("router")["project_id"],
        "description": "d",
        "tags": ["t"],
        "status": "DOWN",
        "router_id": None,
        "port_id": None,
        "fixed_ip_address": None,
        "port_details": None,
        "qos_policy_id": None,
        "qos_network_policy_id": None,
        "dns_name": "",
        "dns_domain": "",
        "port_forwardings": [],
        "revision_number": 0,
    }
    (port,) = admin.list("port", f"device_id={floating['id']}")
    assert (port["device_owner"], port["project_id"]) == ("network:floatingip", "")
    assert port["fixed_ips"][0]["ip_address"] == floating["floating_ip_address"]
    assert refused(admin.delete(f"/v2.0/ports/{port['id']}")) == (409, "ServicePortInUse")
    alice.remove("floatingip", floating["id"])
    assert refused(admin.get(f"/v2.0/ports/{port['id']}")) == (404, "PortNotFound")
    assert refused(alice.get(f"/v2.0/floatingips/{floating['id']}")) == (404, "FloatingIPNotFound")


def test_a_request_that_says_nothing_frees_it(alice: Caller, public: Outside) -> None:
    network, _, _ = routed(alice, public, "10.12.0.0/24")
    port = alice.make("port", network_id=network["id"])
    floating = alice.make("floatingip", floating_network_id=public.id, port_id=port["id"])
    assert alice.change("floatingip", floating["id"], description="d")["port_id"] == port["id"]
    assert alice.change("floatingip", floating["id"])["port_id"] is None


def test_an_external_network_that_goes_takes_those_that_stand_for_nobody(admin: Caller, alice: Caller) -> None:
    public = outside(admin, "198.51.100.0/24")
    network, _, router = routed(alice, public, "10.13.0.0/24")
    port = alice.make("port", network_id=network["id"])
    floating = alice.make("floatingip", floating_network_id=public.id, port_id=port["id"])
    in_use = (409, "NetworkInUse")
    assert refused(admin.delete(f"/v2.0/networks/{public.id}")) == in_use
    alice.change("floatingip", floating["id"], port_id=None)
    assert refused(admin.delete(f"/v2.0/networks/{public.id}")) == in_use  # of the router's gateway
    assert alice.show("floatingip", floating["id"])["status"] == "DOWN"
    alice.change("router", router["id"], external_gateway_info={})
    admin.remove("network", public.id)
    assert refused(alice.get(f"/v2.0/floatingips/{floating['id']}")) == (404, "FloatingIPNotFound")
    assert refused(admin.get(f"/v2.0/subnets/{public.subnet['id']}")) == (404, "SubnetNotFound")


def test_it_is_associated_moved_and_freed(alice: Caller, public: Outside) -> None:
    network, _, router = routed(alice, public, "10.10.0.0/24")
    one, two = (alice.make("port", network_id=network["id"]) for _ in range(2))
    floating = alice.make("floatingip", floating_network_id=public.id, port_id=one["id"])
    assert (floating["port_id"], floating["router_id"]) == (one["id"], router["id"])
    assert floating["fixed_ip_address"] == one["fixed_ips"][0]["ip_address"]
    assert floating["port_details"]["mac_address"] == one["mac_address"]
    assert [f["id"] for f in alice.list("floatingip", f"port_id={one['id']}")] == [floating["id"]]
    assert [f["id"] for f in alice.list("floatingip", f"router_id={router['id']}&status=DOWN")] == [floating["id"]]
    second = alice.make("floatingip", floating_network_id=public.id)
    assert change(alice, second, port_id=one["id"]) == (409, "FloatingIPPortAlreadyAssociated")
    assert alice.change("floatingip", floating["id"], port_id=two["id"])["port_id"] == two["id"]
    assert alice.change("floatingip", second["id"], port_id=one["id"])["port_id"] == one["id"]
    assert alice.change("floatingip", second["id"], description="kept")["port_id"] == one["id"]
    freed = alice.change("floatingip", floating["id"], port_id=None)
    assert (freed["port_id"], freed["fixed_ip_address"], freed["router_id"]) == (None, None, None)
    alice.remove("port", one["id"])
    assert alice.show("floatingip", second["id"])["port_id"] is None


def test_it_stands_for_one_address_of_a_port(alice: Caller, public: Outside) -> None:
    network, _, _ = routed(alice, public, "10.11.0.0/24")
    addresses = [{"ip_address": "10.11.0.8"}, {"ip_address": "10.11.0.9"}]
    port = alice.make("port", network_id=network["id"], fixed_ips=addresses)
    floating = alice.make("floatingip", floating_network_id=public.id)
    assert change(alice, floating, port_id=port["id"]) == (400, "BadRequest")
    assert change(alice, floating, port_id=port["id"], fixed_ip_address="10.11.0.7") == (400, "BadRequest")
    assert change(alice, floating, fixed_ip_address="10.11.0.8") == (400, "BadRequest")
    chosen = alice.change("floatingip", floating["id"], port_id=port["id"], fixed_ip_address="10.11.0.9")
    assert chosen["fixed_ip_address"] == "10.11.0.9"
    moved = alice.change("floatingip", floating["id"], fixed_ip_address="10.11.0.8")
    assert (moved["port_id"], moved["fixed_ip_address"]) == (port["id"], "10.11.0.8")
    other = alice.make("floatingip", floating_network_id=public.id, port_id=port["id"], fixed_ip_address="10.11.0.9")
    assert other["fixed_ip_address"] == "10.11.0.9"
    without = {"port": {"fixed_ips": [{"ip_address": "10.11.0.9"}]}}
    assert refused(alice.put(f"/v2.0/ports/{port['id']}", without)) == (400, "BadRequest")
    alice.remove("floatingip", floating["id"])
    assert alice.put(f"/v2.0/ports/{port['id']}", without)[0] == 200


def test_what_it_needs_stays(alice: Caller, admin: Caller, public: Outside) -> None:
    network, subnet, router = routed(alice, public, "10.12.0.0/24")
    port = alice.make("port", network_id=network["id"])
    floating = alice.make("floatingip", floating_network_id=public.id, port_id=port["id"])
    assert part(alice, router, subnet) == (409, "RouterInterfaceInUseByFloatingIP")
    none = {"router": {"external_gateway_info": None}}
    in_use = (409, "RouterExternalGatewayInUseByFloatingIp")
    assert refused(alice.put(f"/v2.0/routers/{router['id']}", none)) == in_use
    gone = {"router": {"external_gateways": [{"network_id": public.id}]}}
    assert refused(alice.put(f"/v2.0/routers/{router['id']}/remove_external_gateways", gone)) == in_use
    internal = {"network": {"router:external": False}}
    assert refused(admin.put(f"/v2.0/networks/{public.id}", internal)) == (409, "ExternalNetworkInUse")
    alice.remove("floatingip", floating["id"])
    assert part(alice, router, subnet)[0] == 200
    alice.remove("router", router["id"])


def test_without_a_way_to_the_outside_there_is_no_association(alice: Caller, admin: Caller, public: Outside) -> None:
    network, subnet = inside(alice, "10.13.0.0/24")
    port = alice.make("port", network_id=network["id"])
    floating = alice.make("floatingip", floating_network_id=public.id)
    nowhere = (404, "ExternalGatewayForFloatingIPNotFound")
    assert change(alice, floating, port_id=port["id"]) == nowhere
    router = alice.make("router")
    join(alice, router, subnet)
    assert change(alice, floating, port_id=port["id"]) == nowhere
    elsewhere = outside(admin, "198.51.100.0/24")
    alice.change("router", router["id"], external_gateway_info={"network_id": elsewhere.id})
    assert change(alice, floating, port_id=port["id"]) == nowhere
    alice.change("router", router["id"], external_gateway_info={"network_id": public.id})
    assert alice.change("floatingip", floating["id"], port_id=port["id"])["router_id"] == router["id"]


def test_of_two_routers_that_which_is_the_subnets_gateway_is_taken(alice: Caller, public: Outside) -> None:
    network, subnet = inside(alice, "10.14.0.0/24")
    other, router = (alice.make("router", external_gateway_info={"network_id": public.id}) for _ in range(2))
    way = alice.make("port", network_id=network["id"])
    assert act(alice, other, "add_router_interface", port_id=way["id"])[0] == 200
    port = alice.make("port", network_id=network["id"])
    floating = alice.make("floatingip", floating_network_id=public.id, port_id=port["id"])
    assert floating["router_id"] == other["id"]
    join(alice, router, subnet)
    again = alice.change("floatingip", floating["id"], port_id=port["id"])
    assert again["router_id"] == router["id"]
    assert change(alice, floating, port_id=way["id"]) == (400, "BadRequest")


def test_an_administrator_may_choose_the_address(alice: Caller, admin: Caller) -> None:
    public = outside(admin)  # of its own: nobody else has taken the address there
    wanted = {"floating_network_id": public.id, "floating_ip_address": "172.24.5.101"}
    assert refused(alice.post("/v2.0/floatingips", {"floatingip": wanted})) == (403, "PolicyNotAuthorized")
    assert admin.make("floatingip", **wanted)["floating_ip_address"] == "172.24.5.101"
    taken = refused(admin.post("/v2.0/floatingips", {"floatingip": wanted}))
    assert taken == (409, "IpAddressAlreadyAllocated")
    more = admin.make("subnet", network_id=public.id, ip_version=4, cidr="172.24.6.0/24")
    chosen = alice.make("floatingip", floating_network_id=public.id, subnet_id=more["id"])
    assert chosen["floating_ip_address"].startswith("172.24.6.")
    alice.remove("floatingip", chosen["id"])
    admin.remove("subnet", more["id"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"floating_network_id": "x"},
        {"floating_network_id": None},
        {"floating_network_id": "PUBLIC", "floating_ip_address": "fd00::1"},
        {"floating_network_id": "PUBLIC", "floating_ip_address": "x"},
        {"floating_network_id": "PUBLIC", "floating_ip_address": "10.99.0.1"},
        {"floating_network_id": "PUBLIC", "subnet_id": UNKNOWN},
        {"floating_network_id": "PUBLIC", "fixed_ip_address": "10.0.0.1"},
        {"floating_network_id": "PUBLIC", "port_id": "x"},
        {"floating_network_id": "PUBLIC", "dns_name": "x."},
        {"floating_network_id": "PUBLIC", "port_forwardings": []},
    ],
)
def test_what_makes_no_sense_is_refused(admin: Caller, public: Outside, body: dict[str, Any]) -> None:
    given = {name: public.id if value == "PUBLIC" else value for name, value in body.items()}
    status, reply = admin.post("/v2.0/floatingips", {"floatingip": given})
    assert status == 400, reply


def test_the_network_must_be_external_and_have_addresses(alice: Caller, admin: Caller) -> None:
    network, _ = inside(alice, "10.15.0.0/24")
    plain = {"floatingip": {"floating_network_id": network["id"]}}
    assert refused(alice.post("/v2.0/floatingips", plain)) == (400, "BadRequest")
    empty = {"floatingip": {"floating_network_id": admin.make("network", **{"router:external": True})["id"]}}
    assert refused(alice.post("/v2.0/floatingips", empty)) == (400, "ExternalIpAddressExhausted")
    narrow = outside(admin, "192.0.2.0/30")
    alice.make("floatingip", floating_network_id=narrow.id)
    full = {"floatingip": {"floating_network_id": narrow.id}}
    assert refused(alice.post("/v2.0/floatingips", full)) == (409, "IpAddressGenerationFailure")
    unknown = {"floatingip": {"floating_network_id": UNKNOWN}}
    assert refused(alice.post("/v2.0/floatingips", unknown)) == (404, "NetworkNotFound")


def test_floating_ips_are_their_projects(alice: Caller, bob: Caller, admin: Caller, public: Outside) -> None:
    floating = alice.make("floatingip", floating_network_id=public.id)
    assert refused(bob.get(f"/v2.0/floatingips/{floating['id']}")) == (404, "FloatingIPNotFound")
    assert refused(bob.delete(f"/v2.0/floatingips/{floating['id']}")) == (404, "FloatingIPNotFound")
    assert bob.list("floatingip") == []
    network, _, _ = routed(bob, public, "10.16.0.0/24")
    port = bob.make("port", network_id=network["id"])
    assert change(alice, floating, port_id=port["id"]) == (404, "PortNotFound")
    assert change(admin, floating, port_id=port["id"], fixed_ip_address=another_than(port)) == (400, "BadRequest")
    assert admin.change("floatingip", floating["id"], port_id=port["id"])["port_id"] == port["id"]
