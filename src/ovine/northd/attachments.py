"""Switch ports of type router: where a router is attached to a switch.

The entry "router" of their addresses stands for those of the router port. The binding is of type `patch`, or
`l3gateway` if the router is a gateway router; its option `peer` names the other side.

Requests for an address of the router (ARP, neighbour solicitations) that nobody answered for it on the spot go to it
and to all ports but other routers; requests by the router itself go to no other router, unless they are for it. With
other_config:broadcast-arps-to-all-routers=false of the switch, requests for other addresses go to no router at all.

Wire behaviour is that of ovn-northd(8), "ARP/ND responder" and "Destination Lookup".
Tests: tests/cases/northd/attachments.txt, tests/unit/northd/test_router_bindings.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.northd.addresses import Owned
from ovine.northd.datapaths import member, passes_tags, requested_key, switch_of
from ovine.northd.flows import FLOWS, MEMBERS, Shared, datapath_ref, flow, one_of, quoted, scope
from ovine.northd.garp import announced
from ovine.northd.inputs import ROUTER_PORT_NAMED
from ovine.northd.ipam import DYNAMIC
from ovine.northd.multicast import L2_GROUP, has_others
from ovine.northd.pipeline import ANSWER, FORWARD
from ovine.northd.ports import (
    FLOODED,
    KEYS,
    PORT_BINDINGS,
    PORTS,
    ROUTER,
    Flooded,
    Port,
    addresses_of,
    binding_ids,
    binding_ref,
    disputed,
    owners_in_order,
    read_addresses,
    reported_up,
)
from ovine.northd.router_ports import ROUTER_PORTS, RouterPort
from ovine.northd.routers import ROUTERS

SOURCE = "attachments"

QUIET = scope("switches that keep requests from routers")
SHARED = (
    Shared(QUIET, FORWARD, 72, "eth.mcast && (arp.op == 1 || nd_ns)", f'outport = "{L2_GROUP}"; output;', SOURCE),
)

OF_TYPE_ROUTER = Index(
    nb.LogicalSwitchPort, lambda row: (row.uuid,) if row.type == ROUTER else (), "switch ports of type router"
)
TO_ROUTERS = Index(PORTS, lambda port: (port.key,) if port.type == ROUTER else (), "ports to routers")
ANSWERED = Index(
    PORTS,
    lambda port: (
        tuple((port.switch, ip) for owned in port.owned for ip in owned.ip4 + owned.ip6)
        if port.type == ROUTER and not port.unknown
        else ()
    ),
    "ports to routers by IP address",
)
SERVING = Index(
    ROUTER_PORTS,
    lambda port: (port.key,) if port.enabled and port.switch_port is not None else (),
    "enabled router ports on switches",
)
QUIETENED = Index(
    nb.LogicalSwitch,
    lambda row: (row.uuid,) if row.other_config.get("broadcast-arps-to-all-routers", "").lower() == "false" else (),
    "switches that keep requests from routers",
)


@rule(over=OF_TYPE_ROUTER, writes=(PORTS, FLOODED, KEYS))
def attachment(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reads a port's columns into a Port, as `ovine.northd.ports.port` does for other types."""
    row = q.row(nb.LogicalSwitchPort, key)
    switch = switch_of(q, key)
    if switch is None:
        return
    addresses = addresses_of(row.addresses, q.get(DYNAMIC, key))
    router_port = _router_port(q, row.options.get("router-port", ""))
    owned, problems = read_addresses(tuple(entry for entry in addresses if entry != "router"))
    wanted, complaint = requested_key(row.options, KEYS.high)
    as_router = "router" in addresses and router_port is not None
    if as_router and router_port is not None:
        owned = _with(owned, router_port)
    enabled, unknown = row.enabled is not False, "unknown" in addresses
    made = Port(
        key=key,
        name=row.name,
        switch=switch,
        type=ROUTER,
        enabled=enabled,
        owned=owned,
        unknown=unknown,
        learns=False,
        switched=True,
        problems=(*problems, *complaint),
        router_port=router_port.key if router_port is not None else None,
        as_router=as_router,
    )
    yield PORTS(key, made)
    if enabled:
        yield FLOODED(binding_ref(row.name), Flooded(switch, unknown, router=True))
    yield KEYS.request((switch, row.name), pool=switch, wanted=wanted)


def _router_port(q: Reader, name: str) -> RouterPort | None:
    """The router port of this name; none while its router is disabled."""
    found: tuple[Uuid, ...] = q.find(ROUTER_PORT_NAMED, name)
    return q.get(ROUTER_PORTS, found[0]) if found else None


def _with(owned: tuple[Owned, ...], port: RouterPort) -> tuple[Owned, ...]:
    """The addresses that a switch port has itself, and those of its router port."""
    before = next((one for one in owned if one.mac == port.mac), Owned(port.mac))
    ip4 = (*before.ip4, *(network.address for network in port.networks4))
    ip6 = (*before.ip6, *(network.address for network in port.networks6))
    own = Owned(port.mac, tuple(dict.fromkeys(ip4)), tuple(dict.fromkeys(ip6)))
    return (*(one for one in owned if one.mac != port.mac), own)


@rule(over=TO_ROUTERS, writes=(PORT_BINDINGS,))
def attachment_binding(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The switch's side of a patch. It names its peer even while that is not there."""
    port = q.row(PORTS, key)
    row = q.row(nb.LogicalSwitchPort, key)
    number = q.get(KEYS, (port.switch, port.name))
    if number is None:
        return
    options = {"peer": name} if (name := row.options.get("router-port")) else {}
    chassis = home_of(q, port.router_port)
    if chassis:
        options["l3gateway-chassis"] = chassis
    yield PORT_BINDINGS(
        port.name,
        sb.PortBinding(
            logical_port=port.name,
            type="l3gateway" if chassis else "patch",
            options=StrMap(options),
            datapath=datapath_ref(port.switch),
            tunnel_key=number,
            mac=tuple(sorted(addresses_of(row.addresses, q.get(DYNAMIC, key)))),
            port_security=row.port_security,
            nat_addresses=announced(q, key, port.router_port),
            external_ids=binding_ids(row.external_ids),
            up=reported_up(q, port.name),
        ),
    )


def home_of(q: Reader, router_port: Uuid | None) -> str:
    """The chassis of the gateway router that has this port; "" if there is none, or it is distributed."""
    port = q.get(ROUTER_PORTS, router_port) if router_port is not None else None
    router = q.get(ROUTERS, port.router) if port is not None else None
    return router.chassis if router is not None else ""


# --- answers ----------------------------------------------------------------------------------------------------------


def _first_answer(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    switch, ip = owned
    port = owners_in_order(q, q.find(ANSWERED, owned))[0]
    mac = next(one.mac for one in port.owned if ip in one.ip4 or ip in one.ip6)
    reply = nd_reply(mac, ip) if ":" in ip else arp_reply(mac, ip)
    if not passes_tags(q, switch):
        yield flow(switch, ANSWER, 50, request_for(ip), reply, source=SOURCE, hint=port.key)


@rule(over=ANSWERED, writes=(FLOWS,), on_failure=_first_answer)
def answers(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """The switch answers for an address of a port to a router; if several claim it, for the first, and reports that."""
    ports = owners_in_order(q, q.find(ANSWERED, owned))
    if len(ports) > 1:
        raise ValueError(disputed(owned[1], ports))
    yield from _first_answer(q, owned)


@rule(over=TO_ROUTERS, writes=(FLOWS,))
def own_requests_pass(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What a router asks for its own addresses goes on to the others."""
    port = q.row(PORTS, key)
    if port.unknown or passes_tags(q, port.switch):
        return
    own = own_requests([ip for owned in port.owned for ip in owned.ip4 + owned.ip6])
    if own:
        match = f"inport == {quoted(port.name)} && {own}"
        yield flow(port.switch, ANSWER, 100, match, "next;", source=SOURCE, hint=key)


def own_requests(addresses: list[str]) -> str:
    """Matches requests for any of these addresses; "" if there are none."""
    ip4, ip6 = [ip for ip in addresses if ":" not in ip], [ip for ip in addresses if ":" in ip]
    parts = [request_for(one_of(ips)) for ips in (ip4, ip6) if ips]
    return parts[0] if len(parts) == 1 else "(" + " || ".join(f"({part})" for part in parts) + ")" if parts else ""


def arp_reply(mac: str, ip: str) -> str:
    """Turns an ARP request into the reply that `mac` has `ip`, and sends it back."""
    return (
        f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; "
        f"arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;"
    )


def nd_reply(mac: str, ip: str) -> str:
    """Sends back the neighbour advertisement that `mac`, a router, has `ip` (RFC 4861, section 4.4)."""
    return (
        f"nd_na_router {{ eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; "
        "outport = inport; flags.loopback = 1; output; };"
    )


# --- requests ---------------------------------------------------------------------------------------------------------


def request_for(address: str) -> str:
    """Matches ARP requests or neighbour solicitations for an address, or a set of them."""
    return f"nd_ns && nd.target == {address}" if ":" in address else f"arp.op == 1 && arp.tpa == {address}"


def to_router(q: Reader, switch: Uuid, name: str) -> str:
    """Sends a request to the switch port `name`, and to all that are no routers."""
    alone = f"outport = {quoted(name)}; output;"
    return f'clone {{ {alone} }}; outport = "{L2_GROUP}"; output;' if has_others(q, switch) else alone


class Asked(NamedTuple):
    """Requests for an address on a switch are for the router at this port."""

    switch: Uuid
    address: str
    port: Uuid


ASKED_FOR: Relation[Asked, Asked] = Relation("requests for routers")
BY_ADDRESS = Index(ASKED_FOR, lambda asked: ((asked.switch, asked.address),), "requests for routers by address")


def asked_for(at: Port, address: str) -> Emit:
    """The router at a switch port is to hear requests for an address."""
    asked = Asked(at.switch, address, at.key)
    return ASKED_FOR(asked, asked)


@rule(over=SERVING, writes=(ASKED_FOR,))
def requests_for_router(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Requests for the addresses of a router port."""
    port = q.row(ROUTER_PORTS, key)
    at = q.get(PORTS, port.switch_port) if port.switch_port is not None else None
    if at is not None and at.enabled:
        for network in (*port.networks4, *port.networks6):
            yield asked_for(at, network.address)


def _first_asked(q: Reader, where: tuple[Uuid, str]) -> Iterator[Emit]:
    switch, address = where
    at = _hearing(q, where)[0]
    actions = to_router(q, switch, at.name)
    yield flow(switch, FORWARD, 80, request_for(address), actions, source=SOURCE, hint=at.key)


@rule(over=BY_ADDRESS, writes=(FLOWS,), on_failure=_first_asked)
def request(q: Reader, where: tuple[Uuid, str]) -> Iterator[Emit]:
    """Where requests for an address go; if several routers claim it, to the first one, and that is reported."""
    ports = _hearing(q, where)
    if len(ports) > 1:
        raise ValueError(disputed(where[1], ports))
    yield from _first_asked(q, where)


def _hearing(q: Reader, where: tuple[Uuid, str]) -> list[Port]:
    return owners_in_order(q, tuple(asked.port for asked in q.find_rows(BY_ADDRESS, where)))


@rule(over=SERVING, writes=(FLOWS,))
def requests_by_router(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Requests that a router port sends."""
    port = q.row(ROUTER_PORTS, key)
    at = q.get(PORTS, port.switch_port) if port.switch_port is not None else None
    if at is not None and at.enabled and has_others(q, at.switch):
        yield from_router(at, port.mac)


def from_router(at: Port, mac: str) -> Emit:
    """Keeps requests of an Ethernet address of a router from other routers; alike for all that have it."""
    match = f"eth.src == {mac} && (arp.op == 1 || rarp.op == 3 || nd_ns)"
    return flow(at.switch, FORWARD, 75, match, f'outport = "{L2_GROUP}"; output;', source=SOURCE, hint=at.switch)


@rule(over=QUIETENED, writes=(MEMBERS,))
def quiet(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """The switches whose routers hear only requests for their own addresses."""
    yield member(QUIET, switch)
