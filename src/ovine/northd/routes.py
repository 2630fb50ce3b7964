"""Routing: connected networks, static routes with several next hops or none, and route tables.

The longest prefix goes first; of one length a connected network before a static route before a route by source address.
Of static routes for one prefix, those with options:origin=connected take the place of others.
Routes of one *group* (router, table, policy and prefix) are alternatives: the host draws one by hash of the connection
(RFC 2991), and the next stage matches the prefix again with what was drawn. So groups need no numbers of their own.

A route whose BFD session is down is left out. A static route that cannot be used is reported.
Cost: a flow for each network, group, and member of a group with several.
Wire behaviour is that of ovn-northd(8), "IP Routing" and "IP_ROUTING_ECMP".
Tests: tests/cases/northd/routes.txt.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.bfd import is_down
from ovine.northd.datapaths import ROUTERS
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.inputs import ROUTER_OF_ROUTE, ROUTER_PORT_NAMED
from ovine.northd.router_pipeline import ECMP, NOTHING_DRAWN, PREPARE, ROUTE, ROUTE_DRAW, TABLE
from ovine.northd.router_ports import ENABLED, NEXT_HOPS, ROUTER_PORTS, RouterPort, Way, next_hop_used, sent_by, way_to
from ovine.northd.routers import ROUTERS as ROUTER_ROWS

SOURCE = "routes"
BY_SOURCE, STATIC, CONNECTED = 1, 2, 3
"""Added to three times the prefix length; 0 is for what has no route."""
DISCARD = "discard"
MAIN = ""
"""The name of the main route table."""

SHARED = (
    Shared(ROUTERS, PREPARE, 0, "1", "next;", SOURCE),
    Shared(ROUTERS, ROUTE, 0, "1", "drop;", SOURCE),
    Shared(ROUTERS, ECMP, 0, "1", f"{NOTHING_DRAWN} next;", SOURCE),
)


class Group(NamedTuple):
    """What routes that are alternatives have in common."""

    router: Uuid
    table: str
    by_source: bool
    prefix: str
    joined_elsewhere: bool = False
    """Learned from another cloud, where the network is connected: goes before what is static here."""

    @property
    def version(self) -> int:
        return 6 if ":" in self.prefix else 4

    @property
    def length(self) -> int:
        return int(self.prefix.rpartition("/")[2])

    def selects(self) -> str:
        """The packets that the prefix is about, in any table."""
        return f"ip{self.version}.{'src' if self.by_source else 'dst'} == {self.prefix}"

    def match(self) -> str:
        return f"{TABLE.field} == {table_number(self.table)} && {self.selects()}"

    def priority(self) -> int:
        return 3 * self.length + (BY_SOURCE if self.by_source else STATIC)


@dataclass(frozen=True)
class Route:
    """A static route that can be used."""

    key: Uuid
    """The northbound row."""
    group: Group
    next_hop: str
    """An address, or DISCARD."""
    way: Way | None
    """None for DISCARD."""
    symmetric: bool
    """Replies go back by where the request came from."""


ROUTES: Relation[Uuid, Route] = Relation("static routes")
GROUPS = Index(ROUTES, lambda route: (route.group,), "static routes by group")
TABLES = Index(
    ROUTES, lambda route: ((route.group.router, table_number(route.group.table)),), "static routes by table number"
)
CONNECTIONS = Index(
    ROUTER_PORTS,
    lambda port: (
        tuple((port.router, network.cidr) for network in port.networks if not network.link_local)
        if port.enabled
        else ()
    ),
    "router ports by network",
)


def table_number(name: str) -> int:
    """The number of a route table: 0 for the main one, else 24 bits that depend on the name alone."""
    return 0 if name == MAIN else int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "big") | 1


@rule(over=ENABLED, writes=(FLOWS,))
def port_table(q: Reader, key: Uuid) -> Iterator[Emit]:
    """options:route_table: what comes in by the port is routed by that table."""
    port = q.row(ROUTER_PORTS, key)
    table = port.options.get("route_table", MAIN)
    if table != MAIN:
        actions = f"{TABLE.field} = {table_number(table)}; next;"
        yield flow(port.router, PREPARE, 100, f"inport == {quoted(port.name)}", actions, source=SOURCE, hint=key)


# --- connected networks ---------------------------------------------------------------------------------------------


def _routed(port: RouterPort, next_hop: str, address: str) -> str:
    return f"ip.ttl--; {sent_by(port, next_hop, address)} next;"


@rule(over=ENABLED, writes=(FLOWS,))
def link_local_network(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What is for a link-local address stays on the link that it came from."""
    port = q.row(ROUTER_PORTS, key)
    for cidr, address in {network.cidr: network.address for network in port.networks6 if network.link_local}.items():
        match = f"inport == {quoted(port.name)} && ip6.dst == {cidr}"
        priority = 3 * int(cidr.rpartition("/")[2]) + CONNECTED
        yield flow(port.router, ROUTE, priority, match, _routed(port, "ip6.dst", address), source=SOURCE, hint=key)


def _first_connected(q: Reader, entry: tuple[Uuid, str]) -> Iterator[Emit]:
    """The network of the port that is first by name."""
    router, cidr = entry
    port = min((q.row(ROUTER_PORTS, key) for key in q.find(CONNECTIONS, entry)), key=lambda port: port.name)
    network = next(network for network in port.networks if network.cidr == cidr)
    ip = f"ip{network.version}"
    priority = 3 * network.prefix + CONNECTED
    actions = _routed(port, f"{ip}.dst", network.address)
    yield flow(router, ROUTE, priority, f"{ip}.dst == {cidr}", actions, source=SOURCE, hint=port.key)


@rule(over=CONNECTIONS, writes=(FLOWS,), on_failure=_first_connected)
def connected(q: Reader, entry: tuple[Uuid, str]) -> Iterator[Emit]:
    """A network of a port, in all route tables; if several ports have it, that is reported."""
    names = sorted(q.row(ROUTER_PORTS, key).name for key in q.find(CONNECTIONS, entry))
    if len(names) > 1:
        raise ValueError(f"router ports {' and '.join(names)} have the same network {entry[1]}; {names[0]} is taken")
    yield from _first_connected(q, entry)


# --- static routes --------------------------------------------------------------------------------------------------


@rule(over=nb.LogicalRouterStaticRoute, writes=(ROUTES, NEXT_HOPS))
def static_route(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reads a static route, and finds the port that it leaves by."""
    routers: tuple[Uuid, ...] = q.find(ROUTER_OF_ROUTE, key)
    if not routers or q.get(ROUTER_ROWS, routers[0]) is None:
        return
    row = q.row(nb.LogicalRouterStaticRoute, key)
    if row.bfd is not None and is_down(q, row.bfd):
        return
    router = q.row(ROUTER_ROWS, routers[0])
    who = f"route {row.ip_prefix} of router {router.name}"
    prefix = _prefix(row.ip_prefix, who)
    joined = row.options.get("origin") == "connected"
    group = Group(routers[0], row.route_table, row.policy == "src-ip", prefix, joined)
    next_hop, way = row.nexthop, None
    if next_hop != DISCARD:
        next_hop = host(next_hop, who)
        if (":" in next_hop) != (":" in prefix):
            raise ValueError(f"{who}: the next hop {next_hop} is of another IP version")
        way = way_to(q, routers[0], next_hop, _output(q, row.output_port, who))
        if way is None:
            raise ValueError(f"{who}: no port of the router has a network with the next hop {next_hop}")
    symmetric = bool(router.chassis) and row.options.get("ecmp_symmetric_reply", "").lower() == "true"
    yield ROUTES(key, Route(key, group, next_hop, way, symmetric and way is not None))
    if way is not None:
        yield from next_hop_used(q, key, way, next_hop)


def _prefix(text: str, who: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{who}: {text!r} is not a prefix") from None


def host(text: str, who: str) -> str:
    """An address in canonical form, of "10.0.0.1" or "10.0.0.1/32". Raises ValueError."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or network.prefixlen != network.max_prefixlen:
        raise ValueError(f"{who}: the next hop {text!r} is not an address")
    return str(network.network_address)


def _output(q: Reader, name: str | None, who: str) -> Uuid | None:
    if not name:
        return None
    found: tuple[Uuid, ...] = q.find(ROUTER_PORT_NAMED, name)
    if not found:
        raise ValueError(f"{who}: there is no router port {name}")
    return found[0]


@rule(over=TABLES, writes=())
def tables_differ(q: Reader, entry: tuple[Uuid, int]) -> Iterator[Emit]:
    """Reports tables of a router that would be taken for each other; that is so unlikely that it is not prevented."""
    names = sorted({q.row(ROUTES, key).group.table for key in q.find(TABLES, entry)})
    if len(names) > 1:
        raise ValueError(f"the route tables {' and '.join(names)} have the same number; rename one of them")
    yield from ()


@rule(over=GROUPS, writes=(FLOWS,))
def group_flows(q: Reader, group: Group) -> Iterator[Emit]:
    """One route is taken at once; of several one is drawn."""
    if not group.joined_elsewhere and q.find(GROUPS, group._replace(joined_elsewhere=True)):
        return
    routes = [q.row(ROUTES, key) for key in q.find(GROUPS, group)]
    match, priority = group.match(), group.priority()
    if len(routes) == 1:
        actions = _taken(q, routes[0], "ip.ttl--; ")
        yield flow(group.router, ROUTE, priority, match, actions, source=SOURCE, hint=routes[0].key)
        return
    numbers = ", ".join(str(number + 1) for number in range(len(routes)))
    draw = f"ip.ttl--; flags.loopback = 1; {ROUTE_DRAW.field} = select({numbers});"
    yield flow(group.router, ROUTE, priority, match, draw, source=SOURCE, hint=routes[0].key)
    for number, route in enumerate(routes, start=1):
        drawn = f"{match} && {ROUTE_DRAW.field} == {number}"
        taken = _taken(q, route, f"{NOTHING_DRAWN} ")
        yield flow(group.router, ECMP, priority, drawn, taken, source=SOURCE, hint=route.key)


def _taken(q: Reader, route: Route, before: str) -> str:
    way = route.way
    port = q.get(ROUTER_PORTS, way.port) if way is not None else None
    if way is None or port is None:
        return "drop;"
    return f"{before}{sent_by(port, route.next_hop, way.address)} next;"
