"""BFD (RFC 5880) towards next hops of routers: the sessions that hosts keep, and what they say.

A session of the northbound is run while a static route of an enabled router refers to it; it is `admin_down` otherwise.
Where the host that keeps it reports its state in the southbound, that becomes the state in the northbound.
Packets of a session go past the checks for other packets to the router, and leave with the TTL that they must have.

Tests: tests/cases/northd/bfd.txt, tests/unit/northd/test_router_rules.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Index, Reader, Relation, Sticky, query, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.copp import limit
from ovine.northd.flows import FLOWS, flow, one_of, quoted
from ovine.northd.inputs import ROUTER_OF_ROUTE, ROUTER_PORT_NAMED
from ovine.northd.router_pipeline import INPUT, OUT_DELIVER
from ovine.northd.router_ports import ROUTER_PORTS
from ovine.northd.routers import ROUTERS
from ovine.projection import Names, Target

SOURCE = "bfd"
PACKETS = "udp.dst == 3784"
"""Single-hop control packets (RFC 5881, section 4)."""
MIN_TX, MIN_RX, DETECT_MULT = 1000, 1000, 5
"""What ovn-nb(5) has as defaults; times in milliseconds."""
DOWN, ADMIN_DOWN = "down", "admin_down"
REPORTED = frozenset({DOWN, "init", "up"})

SessionKey = tuple[str, str]
"""Logical port and remote address."""

SOURCE_PORTS: Sticky[SessionKey] = Sticky("BFD source ports", 49152, 65535)
DISCRIMINATORS: Sticky[SessionKey] = Sticky("BFD discriminators", 1, 2**32 - 1)
SESSIONS: Relation[SessionKey, sb.BFD] = Relation("BFD")
STATES: Relation[Uuid, nb.BFD] = Relation("BFD states")
"""What is written back to the northbound: `status`."""

REFERRING = Index(
    nb.LogicalRouterStaticRoute, lambda route: (route.bfd,) if route.bfd is not None else (), "routes by BFD session"
)
KEPT = Index(sb.BFD, lambda row: ((row.logical_port, row.dst_ip),), "BFD sessions of hosts")
BY_PORT = Index(nb.BFD, lambda row: (row.logical_port,), "BFD sessions by port")


@query
def is_wanted(q: Reader, key: Uuid) -> bool:
    """Whether a route of an enabled router refers to a session."""
    routers = [router for route in q.find(REFERRING, key) for router in q.find(ROUTER_OF_ROUTE, route)]
    return any(q.get(ROUTERS, router) is not None for router in routers)


@query
def state(q: Reader, key: Uuid) -> str:
    """The state of a session: what its host says, "down" until then."""
    row = q.get(nb.BFD, key)
    if row is None or not is_wanted(q, key):
        return ADMIN_DOWN
    said = [kept.status for kept in q.find_rows(KEPT, (row.logical_port, row.dst_ip))]
    return said[0] if said and said[0] in REPORTED else DOWN


@query
def is_down(q: Reader, key: Uuid) -> bool:
    """Whether what depends on a session is not to be used."""
    return state(q, key) == DOWN


@rule(over=nb.BFD, writes=(SOURCE_PORTS, DISCRIMINATORS))
def session_numbers(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Asks for what tells sessions apart."""
    row = q.row(nb.BFD, key)
    yield SOURCE_PORTS.request((row.logical_port, row.dst_ip))
    yield DISCRIMINATORS.request((row.logical_port, row.dst_ip))


@rule(over=nb.BFD, writes=(SESSIONS, STATES))
def session(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The southbound row of a session, and its state for the northbound."""
    row = q.row(nb.BFD, key)
    name = (row.logical_port, row.dst_ip)
    status = state(q, key)
    yield STATES(key, nb.BFD(status=status))
    port, number = q.get(SOURCE_PORTS, name), q.get(DISCRIMINATORS, name)
    if port is None or number is None:
        return
    made = sb.BFD(
        logical_port=row.logical_port,
        dst_ip=row.dst_ip,
        src_port=port,
        disc=number,
        min_tx=MIN_TX if row.min_tx is None else row.min_tx,
        min_rx=MIN_RX if row.min_rx is None else row.min_rx,
        detect_mult=DETECT_MULT if row.detect_mult is None else row.detect_mult,
        status=status,
        external_ids=row.external_ids,
        options=row.options,
    )
    yield SESSIONS(name, made)


@rule(over=BY_PORT, writes=(FLOWS,))
def session_packets(q: Reader, name: str) -> Iterator[Emit]:
    """At a port with sessions: its own packets pass as such, and those of its peers go to the host's BFD."""
    for key in q.find(ROUTER_PORT_NAMED, name):
        port = q.get(ROUTER_PORTS, key)
        if port is None:
            continue
        for version, networks in ((4, port.networks4), (6, port.networks6)):
            if not networks:
                continue
            own = one_of(network.address for network in networks)
            sent, received = f"ip{version}.src == {own} && {PACKETS}", f"ip{version}.dst == {own} && {PACKETS}"
            leaving = f"outport == {quoted(name)} && {sent}"
            yield flow(port.router, INPUT, 110, sent, "next;", source=SOURCE, hint=key)
            meter = limit(q, port.router, "bfd")
            yield flow(port.router, INPUT, 110, received, "handle_bfd_msg();", source=SOURCE, hint=key, meter=meter)
            # Routing has taken one from the TTL; the peer takes nothing but 255 (RFC 5881, section 5).
            yield flow(port.router, OUT_DELIVER, 110, leaving, "ip.ttl = 255; output;", source=SOURCE, hint=key)


def _key(row: sb.BFD, names: Names) -> Hashable:
    return (row.logical_port, row.dst_ip)


TARGET = Target(
    SESSIONS,
    sb.BFD,
    _key,
    (
        "logical_port",
        "dst_ip",
        "src_port",
        "disc",
        "min_tx",
        "min_rx",
        "detect_mult",
        "status",
        "external_ids",
        "options",
    ),
)
