"""From next hop to Ethernet address: known neighbours, MAC_Binding for the rest, and the question for those not there.

What is on a switch is known to all routers there by the same flows. So that these need not name the router's port,
the stage before notes the *segment*: the tunnel key of the switch that the output port is attached to. An address costs
one flow, a router port one on its switch and one in its router.

Terms: a router that is `dynamic` (options:dynamic_neigh_routers) asks for the addresses of routers on its switches.
Wire behaviour is that of ovn-northd(8), "ARP/ND Resolution" and "ARP Request".
Tests: tests/cases/northd/next_hops.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import KEYS, ROUTERS, member
from ovine.northd.flows import FLOWS, MEMBERS, Scope, Shared, flow, one_of, place_of, quoted, scope
from ovine.northd.ports import EXTERNAL, LOCALPORT, PORTS, VIF, owners_in_order
from ovine.northd.router_pipeline import NEXT_HOP4, NEXT_HOP6, OUTPORT, OWN4, REQUEST, RESOLVE, SEGMENT
from ovine.northd.router_ports import ENABLED, PORTS_ON_SWITCH, ROUTER_PORTS, RouterPort
from ovine.northd.routers import ROUTERS as ROUTER_ROWS

SOURCE = "next_hops"

_UNKNOWN = "eth.dst == 00:00:00:00:00:00"
_ASK4 = (
    f"arp {{ eth.dst = ff:ff:ff:ff:ff:ff; arp.spa = {OWN4.field}; arp.tpa = {NEXT_HOP4.field}; arp.op = 1; output; }};"
)
# The destination is the solicited-node address of the next hop (RFC 4291, section 2.7.1), not of the packet's receiver.
_ASK6 = (
    f"nd_ns {{ eth.dst = 33:33:ff:00:00:00; eth.dst[0..23] = {NEXT_HOP6.field}[0..23]; "
    f"ip6.dst = ff02::1:ff00:0; ip6.dst[0..23] = {NEXT_HOP6.field}[0..23]; nd.target = {NEXT_HOP6.field}; output; }};"
)

SHARED = (
    Shared(ROUTERS, OUTPORT, 0, "1", "next;", SOURCE),
    Shared(ROUTERS, RESOLVE, 500, "ip4.mcast || ip6.mcast", "next;", SOURCE),
    Shared(ROUTERS, RESOLVE, 1, "ip4", f"get_arp(outport, {NEXT_HOP4.field}); next;", SOURCE),
    Shared(ROUTERS, RESOLVE, 1, "ip6", f"get_nd(outport, {NEXT_HOP6.field}); next;", SOURCE),
    Shared(ROUTERS, RESOLVE, 0, "1", "drop;", SOURCE),
    Shared(ROUTERS, REQUEST, 100, f"{_UNKNOWN} && ip4", _ASK4, SOURCE, "arp-resolve"),
    Shared(ROUTERS, REQUEST, 100, f"{_UNKNOWN} && ip6", _ASK6, SOURCE, "nd-ns-resolve"),
    Shared(ROUTERS, REQUEST, 0, "1", "output;", SOURCE),
)

NEIGHBOURS = Index(
    PORTS,
    lambda port: (
        tuple((port.switch, ip) for owned in port.owned for ip in owned.ip4 + owned.ip6)
        if port.type in (VIF, LOCALPORT, EXTERNAL)
        else ()
    ),
    "neighbours of routers by address",
)


def on_switch(switch: Uuid) -> Scope:
    """The routers that are attached to a switch."""
    return scope(f"routers on switch {switch}")


def trusting(switch: Uuid) -> Scope:
    """Those of them that know each other's addresses without asking."""
    return scope(f"routers on switch {switch} that know each other")


def segment(q: Reader, port: RouterPort) -> str:
    """The action that notes the switch that a port leads to; "" where it leads to none."""
    key = q.get(KEYS, port.switch) if port.switch is not None else None
    return "" if key is None else f"{SEGMENT.field} = {key}; "


@rule(over=ENABLED, writes=(FLOWS, MEMBERS))
def attachment(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A port that leads to a switch: the flow that says so."""
    port = q.row(ROUTER_PORTS, key)
    noted = segment(q, port)
    if port.switch is None or not noted:
        return
    yield member(on_switch(port.switch), port.router)
    if not q.row(ROUTER_ROWS, port.router).dynamic_neighbours:
        yield member(trusting(port.switch), port.router)
    yield flow(port.router, OUTPORT, 50, f"outport == {quoted(port.name)}", f"{noted}next;", source=SOURCE, hint=key)


def _hop(addresses: list[str]) -> str:
    """The next hop is one of these, which are of one IP version."""
    register = NEXT_HOP6 if ":" in addresses[0] else NEXT_HOP4
    return f"ip{6 if ':' in addresses[0] else 4} && {register.field} == {one_of(addresses)}"


@rule(over=NEIGHBOURS, writes=(FLOWS,))
def neighbour(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """An address on a switch, for all routers there."""
    switch, ip = owned
    place, number = place_of(q, on_switch(switch)), q.get(KEYS, switch)
    port = owners_in_order(q, q.find(NEIGHBOURS, owned))[0]
    if place is None or number is None or not port.enabled:
        return
    mac = next(one.mac for one in port.owned if ip in one.ip4 or ip in one.ip6)
    match = f"{SEGMENT.field} == {number} && {_hop([ip])}"
    yield flow(place, RESOLVE, 100, match, f"eth.dst = {mac}; next;", source=SOURCE, hint=port.key)


def _families(port: RouterPort) -> Iterator[list[str]]:
    for networks in (port.networks4, port.networks6):
        if networks:
            yield [network.address for network in networks]


def _claims(port: RouterPort) -> tuple[tuple[Uuid, str], ...]:
    if port.switch is None or not port.enabled:
        return ()
    return tuple((port.switch, network.address) for network in port.networks)


ROUTER_NEIGHBOURS = Index(ROUTER_PORTS, _claims, "router ports by switch and address")


@query
def _several(q: Reader, switch: Uuid) -> bool:
    """Whether there is a router on a switch for another to know."""
    return len(q.find(PORTS_ON_SWITCH, switch)) > 1


@rule(over=ROUTER_NEIGHBOURS, writes=(FLOWS,))
def neighbour_router(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """An address of a router on a switch, for the others there; if two have it, the first by name.

    A port of the switch with the same address goes first.
    """
    switch, ip = owned
    keys: tuple[Uuid, ...] = q.find(ROUTER_NEIGHBOURS, owned)
    place, number = place_of(q, trusting(switch)), q.get(KEYS, switch)
    if place is None or number is None or q.find(NEIGHBOURS, owned) or not _several(q, switch):
        return
    port = min((q.row(ROUTER_PORTS, key) for key in keys), key=lambda port: port.name)
    match = f"{SEGMENT.field} == {number} && {_hop([ip])}"
    yield flow(place, RESOLVE, 100, match, f"eth.dst = {port.mac}; next;", source=SOURCE, hint=port.key)


@rule(over=ENABLED, writes=(FLOWS,))
def joined_router(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The addresses of the port of another router that a port is joined to."""
    port = q.row(ROUTER_PORTS, key)
    peer = q.get(ROUTER_PORTS, port.peer) if port.peer is not None else None
    if peer is None:
        return
    for addresses in _families(peer):
        match = f"outport == {quoted(port.name)} && {_hop(addresses)}"
        yield flow(port.router, RESOLVE, 100, match, f"eth.dst = {peer.mac}; next;", source=SOURCE, hint=key)
