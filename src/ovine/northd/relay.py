"""Multicast relay: routers with options:mcast_relay take IP multicast from one switch to others where it is wanted.

Such a router wants all multicast of its switches that snoop, and gets what they report (`ovine.northd.snooping`). An
address that somebody on one of these switches wants becomes a multicast group of the router: its ports to the switches
where that is so, and a flow. Router ports with options:mcast_flood get all multicast, reports too: behind them may be
routers that know who wants it.

Multicast of the local network, and reserved addresses of IPv6, are not relayed; nor is what has travelled too far, and
of that nobody is told (RFC 1812, section 4.3.2.7).

Wire behaviour is that of ovn-northd(8), "IP Input", "IP Routing" and "Delivery".
Tests: tests/cases/northd/relay.txt, tests/unit/northd/test_northd_relay.py, tests/cases/packets/relay_*.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.datapaths import member
from ovine.northd.flows import FLOWS, MEMBERS, Shared, flow, quoted, scope
from ovine.northd.multicast import GROUPS, snoops
from ovine.northd.ports import PORTS
from ovine.northd.router_pipeline import INPUT, OUT_DELIVER, ROUTE
from ovine.northd.router_ports import ENABLED, PORTS_ON_SWITCH, ROUTER_PORTS
from ovine.northd.routers import ROUTERS
from ovine.northd.snooping import (
    KEYS,
    ROUTER_GROUP,
    SPECIAL,
    STATIC_GROUP,
    STATIC_KEY,
    WANTED,
    Special,
    configured,
    group,
)
from ovine.northd.snooping import ROUTERS as ASKING

SOURCE = "relay"

RELAYING = scope("routers that relay multicast")
REPORTS = "igmp || mldv1 || mldv2"
MULTICAST = "ip4.mcast || ip6.mcast"
LOCAL = "(ip4 && ip4.dst == 224.0.0.0/24) || (ip6 && ip6.dst == {ff01::/16, ff02::/16})"
"""Addresses of one machine, or of one link."""
EXPIRED = f"ip.ttl == {{0, 1}} && ({MULTICAST})"
_FOR_STATIC = f'outport = "{STATIC_GROUP}"; next;'

SHARED = (
    Shared(RELAYING, INPUT, 120, REPORTS, "next;", SOURCE),
    Shared(RELAYING, INPUT, 86, EXPIRED, "drop;", SOURCE),
    Shared(RELAYING, INPUT, 82, MULTICAST, "next;", SOURCE),
    # Above the flows of addresses: a report may be sent to the address that it is about, with a hop limit of 1.
    Shared(RELAYING, ROUTE, 510, REPORTS, _FOR_STATIC, SOURCE),
    # Above the routes, whose priorities end at 387.
    Shared(RELAYING, ROUTE, 455, LOCAL, "drop;", SOURCE),
    Shared(RELAYING, ROUTE, 450, MULTICAST, f"ip.ttl--; {_FOR_STATIC}", SOURCE),
)

RELAYS = Index(
    nb.LogicalRouter,
    lambda row: (row.uuid,) if row.options.get("mcast_relay", "").lower() == "true" else (),
    "routers with mcast_relay",
)


class Relayed(NamedTuple):
    """A router port behind which somebody wants an address."""

    router: Uuid
    address: str
    port: str


RELAYED: Relation[tuple[Uuid, str], Relayed] = Relation("relayed multicast addresses")
"""By (router port, address)."""
BY_ADDRESS = Index(RELAYED, lambda one: ((one.router, one.address),), "relayed multicast addresses by router")


@rule(over=RELAYS, writes=(MEMBERS, GROUPS))
def relaying(q: Reader, router: Uuid) -> Iterator[Emit]:
    """A router that relays, and its group of ports that get everything: if none do, what the flows send there ends."""
    if q.get(ROUTERS, router) is not None:
        yield member(RELAYING, router)
        yield group(router, STATIC_GROUP, STATIC_KEY, configured(q, router, STATIC_GROUP))


@rule(over=ENABLED, writes=(SPECIAL, FLOWS))
def relaying_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A port of such a router: what it sends comes from its address; its switch sends it all multicast and reports."""
    port = q.row(ROUTER_PORTS, key)
    if not q.find(RELAYS, port.router):
        return
    match = f"outport == {quoted(port.name)} && ({MULTICAST})"
    yield flow(port.router, OUT_DELIVER, 110, match, f"eth.src = {port.mac}; output;", source=SOURCE, hint=key)
    if port.options.get("mcast_flood", "").lower() == "true":
        yield SPECIAL((STATIC_GROUP, key), Special(port.router, STATIC_GROUP, port.name))
    at = q.get(PORTS, port.switch_port) if port.switch_port is not None else None
    if at is not None and at.enabled and snoops(q, at.switch):
        for name in (STATIC_GROUP, ROUTER_GROUP):
            yield SPECIAL((name, at.key), Special(at.switch, name, at.name))


@rule(over=WANTED, writes=(RELAYED,))
def relayed(q: Reader, key: tuple[Uuid, str]) -> Iterator[Emit]:
    """What a switch wants, each router there that relays is to bring."""
    switch, address = key
    if address == ASKING or address.startswith(("ff01:", "ff02:")):
        return
    for port_key in q.find(PORTS_ON_SWITCH, switch):
        port = q.row(ROUTER_PORTS, port_key)
        if port.enabled and q.find(RELAYS, port.router):
            yield RELAYED((port_key, address), Relayed(port.router, address, port.name))


@rule(over=BY_ADDRESS, writes=(KEYS,))
def ask_key(q: Reader, wanted: tuple[Uuid, str]) -> Iterator[Emit]:
    """Asks for a tunnel key for an address of a router."""
    yield KEYS.request(wanted, pool=wanted[0])


@rule(over=BY_ADDRESS, writes=(GROUPS, FLOWS))
def relayed_address(q: Reader, wanted: tuple[Uuid, str]) -> Iterator[Emit]:
    """The group and the flow of an address on a router. Ports that get everything are not in the group."""
    router, address = wanted
    number = q.get(KEYS, wanted)
    if number is None:
        return
    ports = frozenset(one.port for one in q.find_rows(BY_ADDRESS, wanted)) - configured(q, router, STATIC_GROUP)
    yield group(router, address, number, ports)
    actions = f"clone {{ ip.ttl--; {_FOR_STATIC} }}; ip.ttl--; outport = {quoted(address)}; next;"
    match = f"ip{6 if ':' in address else 4}.dst == {address}"
    yield flow(router, ROUTE, 500, match, actions, source=SOURCE, hint=router)


RULES = (relaying, relaying_port, relayed, ask_key, relayed_address)
