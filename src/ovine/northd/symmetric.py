"""Symmetric replies: options:ecmp_symmetric_reply of static routes, on gateway routers.

What comes in by the port of such a route, from the route's prefix, has the Ethernet address and the port that it came
by remembered with its connection; replies go back there, whatever routes and policies say. Hosts also remember senders
themselves (`commit_ecmp_nh`, `chk_ecmp_nh`, `chk_ecmp_nh_mac`), so that a sender whose address changes is noticed.

Wire behaviour is that of ovn-northd(8), "ECMP stateful" and the parts about symmetric replies of other tables.
Tests: tests/cases/northd/symmetric.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import member
from ovine.northd.flows import FLOWS, MEMBERS, Shared, flow, quoted, scope
from ovine.northd.ports import KEYS
from ovine.northd.router_pipeline import (
    OWN4,
    OWN6,
    POLICY,
    REMEMBER,
    RESOLVE,
    RETURNS,
    ROUTE,
    SYMMETRIC,
    TRACK,
)
from ovine.northd.router_ports import ROUTER_PORTS
from ovine.northd.routes import ROUTES, Group, Route

SOURCE = "symmetric"

SYMMETRIC_ROUTERS = scope("routers with symmetric replies")
_PEER = "push(xxreg1); xxreg1 = ct_label; eth.dst = xxreg1[32..79]; pop(xxreg1); next;"

SHARED = (
    Shared(SYMMETRIC_ROUTERS, POLICY, 65535, RETURNS.field, "next;", SOURCE),
    Shared(SYMMETRIC_ROUTERS, RESOLVE, 200, RETURNS.field, _PEER, SOURCE),
)

Prefix = tuple[Uuid, bool, str]
"""Router, whether the route is by source, and prefix; for all tables."""

PREFIXES = Index(
    ROUTES,
    lambda route: ((route.group.router, route.group.by_source, route.group.prefix),) if route.symmetric else (),
    "symmetric routes by prefix",
)


def _reversed(group: Group) -> str:
    """The packets that come from where the group's routes lead."""
    return group._replace(by_source=not group.by_source).selects()


@rule(over=PREFIXES, writes=(FLOWS, MEMBERS))
def symmetric(q: Reader, prefix: Prefix) -> Iterator[Emit]:
    """What symmetric routes for one prefix need: to look, to remember, and to go back."""
    routes = [q.row(ROUTES, key) for key in q.find(PREFIXES, prefix)]
    group, hint, router = routes[0].group, routes[0].key, prefix[0]
    yield member(SYMMETRIC_ROUTERS, router)
    look = f"{SYMMETRIC.field} = chk_ecmp_nh(); ct_next;"
    yield flow(router, TRACK, 100, group.selects(), look, source=SOURCE, hint=hint)
    ports = {route.way.port: route for route in routes if route.way is not None}
    for key, route in ports.items():
        port = q.row(ROUTER_PORTS, key)
        number = q.get(KEYS, (router, port.name))
        if number is None:
            continue
        coming = f"inport == {quoted(port.name)} && {_reversed(group)}"
        look = f"{SYMMETRIC.field} = chk_ecmp_nh_mac(); ct_next;"
        yield flow(router, TRACK, 110, coming, look, source=SOURCE, hint=route.key)
        remember = f"ct_commit {{ ct_label.ecmp_reply_eth = eth.src; ct_mark.ecmp_reply_port = {number}; }};"
        first = f"((ct.new && !ct.est) || (!ct.rpl && ct.est && !{SYMMETRIC.field}))"
        for protocol in ("tcp", "udp", "sctp"):
            wide = "true" if group.version == 6 else "false"
            actions = f"{remember} commit_ecmp_nh(ipv6 = {wide}, proto = {protocol}); next;"
            match = f"{coming} && {first} && {protocol}"
            yield flow(router, REMEMBER, 100, match, actions, source=SOURCE, hint=route.key)
        yield from _back(q, route, number)


def _back(q: Reader, route: Route, number: int) -> Iterator[Emit]:
    """Replies, and what follows them, leave by the port that the connection came by."""
    if route.way is None:
        return
    group, port = route.group, q.row(ROUTER_PORTS, route.way.port)
    own = OWN6 if group.version == 6 else OWN4
    match = f"ct.rpl && {SYMMETRIC.field} && ct_mark.ecmp_reply_port == {number} && {group.selects()}"
    actions = (
        f"ip.ttl--; {RETURNS.field} = 1; {own.field} = {route.way.address}; eth.src = {port.mac}; "
        f"outport = {quoted(port.name)}; flags.loopback = 1; next;"
    )
    yield flow(group.router, ROUTE, 10300, match, actions, source=SOURCE, hint=route.key)
