"""Routers and their neighbours: whom they learn (MAC_Binding), and their answers about their own addresses.

A sender is learned from ARP replies and requests, neighbour advertisements and solicitations. With the router's option
always_learn_from_arp_request=false (a *cautious* router), one that asks for somebody else's address, or announces
itself, is only brought up to date if it is known already.

Cost: what does not depend on a port's addresses is shared by all routers; a port has one flow for learning (two on
a cautious router), one for its IPv4 and one for its IPv6 addresses.
Wire behaviour is that of ovn-northd(8), "Neighbor lookup", "Neighbor learning" and "IP Input".
Tests: tests/cases/northd/router_neighbours.txt.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ovine.engine import Emit, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.copp import limit
from ovine.northd.datapaths import ROUTERS, member
from ovine.northd.flows import FLOWS, MEMBERS, Shared, flow, one_of, quoted, scope
from ovine.northd.router_pipeline import INPUT, KNOWN, LEARN, LEARNS, LOOKUP, PORT_MAC
from ovine.northd.router_ports import ENABLED, ROUTER_PORTS, RouterPort, speaks_where
from ovine.northd.routers import ROUTERS as ROUTER_ROWS

SOURCE = "router_neighbours"

EAGER = scope("routers that learn from every request")
CAUTIOUS = scope("routers that learn from requests for themselves")

_LEARNED = f"{LEARNS.field} = 1;"
_ARP_KNOWN = f"{KNOWN.field} = lookup_arp(inport, arp.spa, arp.sha);"
_ARP_SEEN = f"{LEARNS.field} = lookup_arp_ip(inport, arp.spa);"
_ND_KNOWN = f"{KNOWN.field} = lookup_nd(inport, ip6.src, nd.sll);"
_ND_SEEN = f"{LEARNS.field} = lookup_nd_ip(inport, ip6.src);"
_NEW = f"{LEARNS.field} && !{KNOWN.field}"

SHARED = (
    Shared(ROUTERS, LOOKUP, 100, "arp.op == 2", f"{_LEARNED} {_ARP_KNOWN} next;", SOURCE),
    Shared(
        ROUTERS, LOOKUP, 100, "nd_na", f"{_LEARNED} {KNOWN.field} = lookup_nd(inport, nd.target, nd.tll); next;", SOURCE
    ),
    Shared(EAGER, LOOKUP, 100, "nd_ns", f"{_LEARNED} {_ND_KNOWN} next;", SOURCE),
    Shared(CAUTIOUS, LOOKUP, 100, "nd_ns", f"{_ND_SEEN} {_ND_KNOWN} next;", SOURCE),
    Shared(
        CAUTIOUS,
        LOOKUP,
        110,
        "nd_na && ip6.src == fe80::/10 && ip6.dst == ff00::/8",
        f"{_ND_SEEN} {KNOWN.field} = lookup_nd(inport, ip6.src, nd.tll); next;",
        SOURCE,
    ),
    Shared(ROUTERS, LEARN, 100, f"arp && {_NEW}", "put_arp(inport, arp.spa, arp.sha); next;", SOURCE, "arp"),
    Shared(ROUTERS, LEARN, 100, f"nd_na && {_NEW}", "put_nd(inport, nd.target, nd.tll); next;", SOURCE, "nd-na"),
    # Without the option, an advertisement was answered to the address that it comes from (RFC 4861, section 4.4).
    Shared(
        *(ROUTERS, LEARN, 110, f"nd_na && {_NEW} && nd.tll == 0"),
        *("put_nd(inport, nd.target, eth.src); next;", SOURCE, "nd-na"),
    ),
    # Looking for duplicates, and without the option, nothing is said about the sender.
    Shared(ROUTERS, LEARN, 110, "nd_ns && (ip6.src == :: || nd.sll == 0)", "next;", SOURCE),
    Shared(ROUTERS, LEARN, 100, f"nd_ns && {_NEW}", "put_nd(inport, ip6.src, nd.sll); next;", SOURCE, "nd-ns"),
    # What is for nobody here; answers stand before it.
    Shared(ROUTERS, INPUT, 85, "arp || nd", "drop;", SOURCE),
)


@rule(over=ROUTER_ROWS, writes=(MEMBERS,))
def learning(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Whom a router learns from."""
    yield member(EAGER if q.row(ROUTER_ROWS, key).always_learns else CAUTIOUS, key)


@rule(over=ENABLED, writes=(FLOWS,))
def learn_requests(q: Reader, key: Uuid) -> Iterator[Emit]:
    """ARP requests from the port's networks; at a gateway port, where the gateway is."""
    port = q.row(ROUTER_PORTS, key)
    if not port.networks4:
        return
    where = f" && is_chassis_resident({quoted(port.redirect)})" if port.gateway else ""
    match = f"inport == {quoted(port.name)} && arp.op == 1"
    senders = one_of(dict.fromkeys(network.cidr for network in port.networks4))
    always = q.row(ROUTER_ROWS, port.router).always_learns
    actions = f"{_LEARNED if always else _ARP_SEEN} {_ARP_KNOWN} next;"
    yield flow(port.router, LOOKUP, 100, f"{match} && arp.spa == {senders}{where}", actions, source=SOURCE, hint=key)
    if not always:
        actions = f"{_LEARNED} {_ARP_KNOWN} next;"
        yield flow(port.router, LOOKUP, 110, f"{match} && {_asked(port)}{where}", actions, source=SOURCE, hint=key)


def _asked(port: RouterPort) -> str:
    """A request for one of the port's addresses, from the address's network."""
    pairs = [f"arp.tpa == {network.address} && arp.spa == {network.cidr}" for network in port.networks4]
    return pairs[0] if len(pairs) == 1 else "(" + " || ".join(f"({pair})" for pair in pairs) + ")"


def solicited_node(address: str) -> str:
    """The multicast address that neighbour solicitations for an address go to (RFC 4291, section 2.7.1)."""
    low = int(ipaddress.IPv6Address(address)) & 0xFFFFFF
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("ff02::1:ff00:0")) | low))


ARP_REPLY = (
    f"eth.dst = eth.src; eth.src = {PORT_MAC.field}; arp.op = 2; arp.tha = arp.sha; arp.sha = {PORT_MAC.field}; "
    "arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;"
)
"""Turns an ARP request into the reply that the input port has the address, and sends it back."""


def nd_reply(kind: str = "nd_na_router") -> str:
    """Sends back the advertisement that the input port has the address; `kind` may be nd_na, for what is no router."""
    return (
        f"{kind} {{ eth.src = {PORT_MAC.field}; ip6.src = nd.target; nd.tll = {PORT_MAC.field}; outport = inport; "
        "flags.loopback = 1; output; };"
    )


@rule(over=ENABLED, writes=(FLOWS,))
def answer(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The answers for the port's own addresses."""
    port = q.row(ROUTER_PORTS, key)
    only = speaks_where(q, key)
    where = f" && {only}" if only else ""
    inport = f"inport == {quoted(port.name)}"
    if port.networks4:
        match = f"{inport} && arp.op == 1 && {_asked(port)}{where}"
        yield flow(port.router, INPUT, 90, match, ARP_REPLY, source=SOURCE, hint=key)
    own = [network.address for network in port.networks6]
    groups = dict.fromkeys(solicited_node(address) for address in own)
    match = f"{inport} && nd_ns && ip6.dst == {one_of([*own, *groups])} && nd.target == {one_of(own)}{where}"
    meter = limit(q, port.router, "nd-na")
    yield flow(port.router, INPUT, 90, match, nd_reply(), source=SOURCE, hint=key, meter=meter)
