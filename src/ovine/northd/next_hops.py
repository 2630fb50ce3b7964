"""From next hop to Ethernet address: known neighbours, MAC_Binding for the rest, and the question for those not there.

What is on a switch is known to all routers there by the same flows. So that these need not name the router's port,
the stage before notes the *segment*: the tunnel key of the switch that the output port is attached to.

A packet whose next hop is its destination, and on record at the switch (`ovine.northd.arp_nd`), is *handed over*: the
router sends it to an Ethernet address that stands for nobody, and the switch finds the receiver's when the packet comes
in by the port to the router. So these addresses cost the routers an entry of an address set each, and a flow for all.

A flow each have addresses that are used as next hops, those that are not on record (of ports that are down, or take
unknown addresses, or are elsewhere on a physical network), and all on switches of gateway ports with
redirect-type=bridged, from which packets go out to physical networks before they reach the switch.

Terms: a router that is `dynamic` (options:dynamic_neigh_routers) asks for the addresses of routers on its switches.
Wire behaviour is that of ovn-northd(8), "ARP/ND Resolution" and "ARP Request".
Tests: tests/cases/northd/next_hops.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.northd import arp_nd
from ovine.northd.datapaths import KEYS, ROUTERS, member
from ovine.northd.flows import FLOWS, MEMBERS, Scope, Shared, flow, one_of, place_of, quoted, scope
from ovine.northd.pipeline import ADMIT, REFUSED
from ovine.northd.ports import EXTERNAL, L2GATEWAY, LOCALPORT, PORTS, VIF, owners_in_order
from ovine.northd.router_pipeline import DIRECT, NEXT_HOP4, NEXT_HOP6, OUTPORT, OWN4, REQUEST, RESOLVE, SEGMENT
from ovine.northd.router_ports import ENABLED, PORTS_ON_SWITCH, ROUTER_PORTS, USED, RouterPort, Used
from ovine.northd.routers import ROUTERS as ROUTER_ROWS
from ovine.northd.sets import ADDRESS_SETS

SOURCE = "next_hops"
HANDED_OVER = "02:6f:76:69:6e:65"
"""The destination of packets whose receiver the switch is to find: locally administered, and given to no port."""

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
        if port.type in (VIF, LOCALPORT, L2GATEWAY, EXTERNAL)
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


def known(segment_key: int, ip: str) -> str:
    """Matches packets whose next hop is an address on a switch, by the switch's tunnel key."""
    return f"{SEGMENT.field} == {segment_key} && {_hop([ip])}"


# --- receivers on a switch --------------------------------------------------------------------------------------------

RECEIVERS: Relation[tuple[Uuid, str], tuple[Uuid, int]] = Relation("addresses that packets are handed over for")
"""By switch and address; the value is the switch and the IP version."""
RECEIVERS_OF = Index(RECEIVERS, lambda where: (where,), "handed over addresses by switch and IP version")
BRIDGING = Index(
    ROUTER_PORTS,
    lambda port: (port.switch,) if port.switch is not None and port.options.get("redirect-type") == "bridged" else (),
    "bridging router ports by switch",
)


@query
def _bridged(q: Reader, switch: Uuid) -> bool:
    """Whether packets for a switch may be on a physical network before they are there."""
    return bool(q.find(BRIDGING, switch))


@query
def _hands_over(q: Reader, where: tuple[Uuid, int]) -> bool:
    return bool(q.find(RECEIVERS_OF, where))


@rule(over=NEIGHBOURS, writes=(FLOWS, RECEIVERS))
def neighbour(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """An address on a switch, for all routers there."""
    switch, ip = owned
    place, number = place_of(q, on_switch(switch)), q.get(KEYS, switch)
    port = owners_in_order(q, q.find(NEIGHBOURS, owned))[0]
    if place is None or number is None or not port.enabled:
        return
    mac = next(one.mac for one in port.owned if ip in one.ip4 or ip in one.ip6)
    on_record = q.get(arp_nd.NEIGHBOURS, owned)
    if on_record is not None and on_record.mac == mac and not _bridged(q, switch):
        yield RECEIVERS(owned, (switch, 6 if ":" in ip else 4))
        if not q.find(USED, Used(switch, ip)):
            return
    yield flow(place, RESOLVE, 100, known(number, ip), f"eth.dst = {mac}; next;", source=SOURCE, hint=port.key)


@rule(over=RECEIVERS_OF, writes=(FLOWS, ADDRESS_SETS))
def hand_over(q: Reader, where: tuple[Uuid, int]) -> Iterator[Emit]:
    """The receivers on a switch, for all routers there."""
    switch, version = where
    place, number = place_of(q, on_switch(switch)), q.get(KEYS, switch)
    if place is None or number is None:
        return
    name, hop = f"ovine_neighbours_{number}_ip{version}", NEXT_HOP6 if version == 6 else NEXT_HOP4
    receivers: tuple[tuple[Uuid, str], ...] = q.find(RECEIVERS_OF, where)
    yield ADDRESS_SETS(name, sb.AddressSet(name=name, addresses=tuple(sorted(address for _, address in receivers))))
    match = f"{SEGMENT.field} == {number} && {DIRECT.field} && ip{version} && {hop.field} == ${name}"
    yield flow(place, RESOLVE, 90, match, f"eth.dst = {HANDED_OVER}; next;", source=SOURCE, hint=switch)


_LOOK_UP = {4: "get_arp(outport, ip4.dst)", 6: "get_nd(outport, ip6.dst)"}


@rule(over=ENABLED, writes=(FLOWS,))
def take_over(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Finds the receiver of what a router hands over, as the packet comes in: before anybody looks at its address."""
    port = q.row(ROUTER_PORTS, key)
    at = q.get(PORTS, port.switch_port) if port.switch_port is not None else None
    book = arp_nd.book_of(q, at.switch) if at is not None else None
    if at is None or book is None:
        return
    for version, look_up in _LOOK_UP.items():
        if _hands_over(q, (at.switch, version)):
            match = f"inport == {quoted(at.name)} && eth.dst == {HANDED_OVER} && ip{version}"
            actions = f'{REFUSED.field} = check_in_port_sec(); outport = {quoted(book)}; {look_up}; outport = ""; next;'
            yield flow(at.switch, ADMIT, 60, match, actions, source=SOURCE, hint=key)


# --- routers ----------------------------------------------------------------------------------------------------------


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
def several_routers(q: Reader, switch: Uuid) -> bool:
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
    if place is None or number is None or q.find(NEIGHBOURS, owned) or not several_routers(q, switch):
        return
    port = min((q.row(ROUTER_PORTS, key) for key in keys), key=lambda port: port.name)
    yield flow(place, RESOLVE, 100, known(number, ip), f"eth.dst = {port.mac}; next;", source=SOURCE, hint=port.key)


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
