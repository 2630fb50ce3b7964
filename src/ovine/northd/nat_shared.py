"""What routers with NAT rules share, however many rules they have.

A gateway router sends all IP packets through the zone of destinations before they leave, and commits new connections
there. So it knows a reply to a connection from outside when it sees one, and leaves its source alone even if a rule
would translate it. A distributed router does so only for addresses that have rules.

Neighbour and router discovery is never translated: the controller injects it without a connection.
Wire behaviour is that of ovn-northd(8), "UNDNAT", "Post UNDNAT" and "SNAT".
Tests: tests/cases/northd/nat_gateway.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import member
from ovine.northd.flows import MEMBERS, Shared, scope
from ovine.northd.nats import BY_ROUTER
from ovine.northd.router_pipeline import OUT_COMMIT, OUT_SNAT, OUT_UNDNAT
from ovine.northd.routers import ROUTERS

SOURCE = "nat"

TRANSLATING = scope("routers that translate")
TRANSLATING_GATEWAYS = scope("gateway routers that translate")

_DISCOVERY = "nd || nd_rs || nd_ra"

SHARED = (
    Shared(TRANSLATING, OUT_UNDNAT, 500, _DISCOVERY, "next;", SOURCE),
    Shared(TRANSLATING_GATEWAYS, OUT_UNDNAT, 50, "ip", "flags.loopback = 1; ct_dnat;", SOURCE),
    Shared(TRANSLATING_GATEWAYS, OUT_COMMIT, 50, "ip && ct.new", "ct_commit { }; next;", SOURCE),
    Shared(TRANSLATING, OUT_SNAT, 65535, _DISCOVERY, "next;", SOURCE),
)


@rule(over=BY_ROUTER, writes=(MEMBERS,))
def translating(q: Reader, router: Uuid) -> Iterator[Emit]:
    """The routers that have rules."""
    yield member(TRANSLATING, router)
    if q.row(ROUTERS, router).chassis:
        yield member(TRANSLATING_GATEWAYS, router)
