"""Why a packet was dropped, as the last line of a trace says it."""

from __future__ import annotations

import pytest

from ovine.model import nb, sb
from ovine.model.base import Map, Row, Uuid
from ovine.trace import Origins
from ovine.trace.drops import reason
from ovine.trace.tree import NO_REASON, Dropped, Step

ROW = Uuid("aaaaaaaa-0000-4000-8000-000000000001")
POLICY = nb.LogicalRouterPolicy(uuid=ROW, priority=100, match="ip4.dst == 10.8.0.66", action="drop")
ROUTE = nb.LogicalRouterStaticRoute(uuid=ROW, ip_prefix="10.77.0.0/16", nexthop="discard")
ROUTER = nb.LogicalRouter(uuid=ROW, name="neutron-r", external_ids=Map({"neutron:router_name": "edge"}))
ACL = nb.ACL(uuid=ROW, direction="to-lport", priority=9, match="ip", action="drop")


def step(stage: str, match: str, hint: str = "") -> Step:
    ids = Map({"stage-hint": hint} if hint else {})
    return Step(stage, sb.LogicalFlow(match=match, actions="drop;", external_ids=ids), ())


@pytest.mark.parametrize(
    ("stage", "match", "row", "said"),
    [
        ("lr_in_route", "1", None, "the router has no route to its destination"),
        ("lr_in_ip_routing", "1", None, "the router has no route to its destination"),
        ("lr_in_policy", POLICY.match, POLICY,
         "because of Logical_Router_Policy priority 100, ip4.dst == 10.8.0.66: drop"),
        ("lr_in_route", "ip4.dst == 10.77.0.0/16", ROUTE,
         "because of Logical_Router_Static_Route 10.77.0.0/16 by discard"),
        ("lr_in_input", "ip4.dst == {10.0.0.1, 10.1.0.1}", ROUTER,
         'it is for the router itself, which has no use for it: because of Logical_Router of router "edge" (r)'),
        ("ls_in_l2_unknown", 'outport == "none"', None,
         "no port is known to have its destination address, and none takes what is for unknown ones"),
        ("ls_out_acl", "ip", ACL, NO_REASON),  # which has a line of its own
        ("ls_in_elsewhere", "1", None, NO_REASON),
    ],
)  # fmt: skip
def test_a_flow_that_drops_has_a_reason(stage: str, match: str, row: Row | None, said: str) -> None:
    origins = Origins.of([row] if row is not None else [])
    assert reason(Dropped(NO_REASON), step(stage, match, ROW[:8] if row is not None else ""), origins) == said


def test_what_was_found_when_it_was_dropped_comes_first() -> None:
    refused = "port security refuses it"
    assert reason(Dropped(refused), step("lr_in_route", "1"), Origins()) == refused
    assert reason(Dropped("no output port is set"), None, Origins()) == "no output port is set"
