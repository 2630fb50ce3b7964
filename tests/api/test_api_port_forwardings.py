"""Port forwardings of floating IPs."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from support.api_server import Caller
from support.routed import Outside, another_than, inside, join, outside, part, refused


class Bed(NamedTuple):
    """A port behind a router, and a floating IP."""

    port: Any
    floating: Any
    router: Any
    subnet: Any


@pytest.fixture(scope="module")
def public(cloud: Any) -> Outside:
    return outside(cloud.user("admin"))


def bed(caller: Caller, public: Outside, cidr: str) -> Bed:
    network, subnet = inside(caller, cidr)
    router = caller.make("router", external_gateway_info={"network_id": public.id})
    join(caller, router, subnet)
    port = caller.make("port", network_id=network["id"])
    return Bed(port, caller.make("floatingip", floating_network_id=public.id), router, subnet)


def path(bed: Bed, forwarding: Any = None) -> str:
    base = f"/v2.0/floatingips/{bed.floating['id']}/port_forwardings"
    return f"{base}/{forwarding['id']}" if forwarding else base


def body(bed: Bed, **attributes: Any) -> dict[str, Any]:
    given = {
        "internal_port_id": bed.port["id"],
        "internal_ip_address": bed.port["fixed_ips"][0]["ip_address"],
        "internal_port": 22,
        "external_port": 2222,
        "protocol": "tcp",
    }
    return {"port_forwarding": {k: v for k, v in (given | attributes).items() if v != "unset"}}


def add(caller: Caller, bed: Bed, **attributes: Any) -> Any:
    status, reply = caller.post(path(bed), body(bed, **attributes))
    assert status == 201, reply
    return reply["port_forwarding"]


def test_a_floating_ip_forwards_ports_and_shows_by_which_router(alice: Caller, public: Outside) -> None:
    given = bed(alice, public, "10.50.0.0/24")
    one = add(alice, given, description="ssh")
    assert one == body(given)["port_forwarding"] | {
        "id": one["id"],
        "description": "ssh",
        "external_port_range": "2222:2222",
        "internal_port_range": "22:22",
    }
    two = add(alice, given, protocol="udp", external_port="unset", external_port_range="53:54", internal_port=53)
    assert (two["protocol"], two["external_port"], two["internal_port"]) == ("udp", None, 53)
    shown = alice.show("floatingip", given.floating["id"])
    assert (shown["router_id"], shown["port_id"]) == (given.router["id"], None)
    assert {f["id"] for f in shown["port_forwardings"]} == {one["id"], two["id"]}
    place = {"protocol": "tcp", "internal_port_id": one["internal_port_id"]}
    place["internal_ip_address"] = one["internal_ip_address"]
    of_one, of_two = ({f["id"]: f for f in shown["port_forwardings"]}[made["id"]] for made in (one, two))
    assert of_one == place | {"id": one["id"], "external_port": 2222, "internal_port": 22}
    ranges = {"external_port_range": "53:54", "internal_port": 53}
    assert of_two == place | {"id": two["id"], "protocol": "udp"} | ranges
    assert [f["id"] for f in alice.list("floatingip", f"router_id={given.router['id']}")] == [given.floating["id"]]
    assert [f["id"] for f in alice.get(f"{path(given)}?protocol=udp")[1]["port_forwardings"]] == [two["id"]]
    changed = alice.put(path(given, one), {"port_forwarding": {"external_port": 2200, "description": ""}})
    assert changed[1]["port_forwarding"] == one | {
        "external_port": 2200,
        "external_port_range": "2200:2200",
        "description": "",
    }
    assert alice.delete(path(given, one)) == (204, None)
    assert refused(alice.get(path(given, one))) == (404, "PortForwardingNotFound")
    assert alice.show("floatingip", given.floating["id"])["router_id"] == given.router["id"]
    assert alice.delete(path(given, two)) == (204, None)
    assert alice.show("floatingip", given.floating["id"])["router_id"] is None


def test_each_port_is_forwarded_once(alice: Caller, public: Outside) -> None:
    given = bed(alice, public, "10.51.0.0/24")
    add(alice, given, external_port="unset", external_port_range="100:110")
    duplicate = (400, "BadRequest")
    for twice in ({"external_port": 110, "internal_port": 23}, {"external_port": 99, "internal_port": 22}):
        assert refused(alice.post(path(given), body(given, **twice))) == duplicate
    other = add(alice, given, external_port=111, internal_port=23)
    assert refused(alice.put(path(given, other), {"port_forwarding": {"external_port": 105}})) == duplicate
    add(alice, given, external_port=105, protocol="udp")
    bulk = {"port_forwardings": [body(given, external_port=n, internal_port=n)["port_forwarding"] for n in (5, 5)]}
    assert refused(alice.post(path(given), bulk)) == duplicate
    assert len(alice.get(path(given))[1]["port_forwardings"]) == 3


def test_a_floating_ip_forwards_or_stands_for_a_port(alice: Caller, public: Outside) -> None:
    given = bed(alice, public, "10.52.0.0/24")
    add(alice, given)
    floating = f"/v2.0/floatingips/{given.floating['id']}"
    in_use = (409, "FipInUseByPortForwarding")
    assert refused(alice.put(floating, {"floatingip": {"port_id": given.port["id"]}})) == in_use
    assert refused(alice.delete(floating)) == in_use
    assert alice.put(floating, {"floatingip": {"port_id": None}})[0] == 200
    second = alice.make("floatingip", floating_network_id=public.id)
    associate = {"floatingip": {"port_id": given.port["id"]}}
    assert refused(alice.put(f"/v2.0/floatingips/{second['id']}", associate)) == (409, "PortHasPortForwarding")
    port = alice.make("port", network_id=given.port["network_id"])
    alice.change("floatingip", second["id"], port_id=port["id"])
    named = {"internal_port_id": port["id"], "internal_ip_address": port["fixed_ips"][0]["ip_address"]}
    own = body(given, external_port=1, **named)
    assert refused(alice.post(path(given), own)) == (409, "PortHasBindingFloatingIP")
    elsewhere = body(given)
    whole = f"/v2.0/floatingips/{second['id']}/port_forwardings"
    assert refused(alice.post(whole, elsewhere)) == (409, "FloatingIPPortAlreadyAssociated")


def test_what_it_needs_stays_but_the_port_itself(alice: Caller, public: Outside) -> None:
    given = bed(alice, public, "10.53.0.0/24")
    add(alice, given)
    assert part(alice, given.router, given.subnet) == (409, "RouterInterfaceInUseByFloatingIP")
    none = {"router": {"external_gateway_info": None}}
    in_use = (409, "RouterExternalGatewayInUseByFloatingIp")
    assert refused(alice.put(f"/v2.0/routers/{given.router['id']}", none)) == in_use
    moved = {"port": {"fixed_ips": [{"ip_address": another_than(given.port)}]}}
    assert refused(alice.put(f"/v2.0/ports/{given.port['id']}", moved)) == (400, "BadRequest")
    alice.remove("port", given.port["id"])
    shown = alice.show("floatingip", given.floating["id"])
    assert (shown["router_id"], shown["port_forwardings"]) == (None, [])
    alice.remove("floatingip", given.floating["id"])
    assert part(alice, given.router, given.subnet)[0] == 200


def test_all_go_by_one_router(alice: Caller, public: Outside) -> None:
    one, two = bed(alice, public, "10.54.0.0/24"), bed(alice, public, "10.55.0.0/24")
    add(alice, one)
    elsewhere = body(two, external_port=1)
    assert refused(alice.post(path(one), elsewhere)) == (404, "ExternalGatewayForFloatingIPNotFound")


def test_forwardings_are_their_projects(alice: Caller, bob: Caller, public: Outside) -> None:
    given, other = bed(alice, public, "10.56.0.0/24"), bed(bob, public, "10.57.0.0/24")
    forwarding = add(alice, given)
    assert refused(bob.get(path(given))) == (404, "FloatingIPNotFound")
    assert refused(bob.delete(path(given, forwarding))) == (404, "FloatingIPNotFound")
    assert refused(alice.post(path(given), body(other))) == (404, "PortNotFound")
    assert refused(bob.get(path(other, forwarding))) == (404, "PortForwardingNotFound")


@pytest.mark.parametrize(
    "attributes",
    [
        {"internal_port_id": "unset"},
        {"internal_port_id": "x"},
        {"internal_ip_address": "unset"},
        {"internal_ip_address": "x"},
        {"internal_ip_address": "192.0.2.99"},
        {"external_port": "unset"},
        {"external_port": 0},
        {"external_port": 65536},
        {"external_port": "x"},
        {"external_port": [1]},
        {"external_port": "unset", "external_port_range": "5:4"},
        {"external_port": "unset", "external_port_range": "5:x"},
        {"external_port": "unset", "external_port_range": "1:60000"},
        {"external_port": 5, "external_port_range": "5:6"},
        {"internal_port": "unset", "internal_port_range": "1:2"},
        {
            "internal_port": "unset",
            "internal_port_range": "1:2",
            "external_port_range": "1:3",
            "external_port": "unset",
        },
        {"protocol": "icmp"},
        {"protocol": "nothing"},
        {"protocol": None},
        {"id": "x"},
        {"nothing": 1},
    ],
)
def test_what_makes_no_sense_is_refused(cloud: Any, public: Outside, attributes: dict[str, Any]) -> None:
    alice = cloud.user("alice")
    if not _shared:
        _shared.append(bed(alice, public, "10.58.0.0/24"))
    status, reply = alice.post(path(_shared[0]), body(_shared[0], **attributes))
    assert status == 400, reply
    assert alice.get(path(_shared[0])) == (200, {"port_forwardings": []})


_shared: list[Bed] = []
