"""Who let a packet pass: security groups, rules and ACLs by name, and "no rule"."""

from __future__ import annotations

from typing import Any

import pytest

from ovine.model import cloud, nb, sb
from ovine.model.base import Map, Row, Uuid
from ovine.trace import Origins, Section, Step, Trace
from ovine.trace.verdicts import Verdict, text_of, verdicts

GROUP, RULE = Uuid("22222222-0000-4000-8000-000000000007"), Uuid("11111111-0000-4000-8000-000000000006")
DROP_ACL = nb.ACL(uuid=Uuid("dddddddd-0000-4000-8000-000000000001"), direction="to-lport", action="drop")
PORT = nb.LogicalSwitchPort(uuid=Uuid("aaaaaaaa-0000-4000-8000-000000000001"), name="p2")
RULE_ACL = nb.ACL(
    uuid=Uuid("eeeeeeee-0000-4000-8000-000000000001"),
    direction="to-lport",
    action="allow-related",
    external_ids=Map({"neutron:security_group_rule_id": RULE}),
)
ROWS: tuple[Row, ...] = (
    *(DROP_ACL, RULE_ACL, PORT),
    nb.PortGroup(uuid=Uuid("a1"), name="neutron_pg_drop", acls=(DROP_ACL.uuid,), ports=(PORT.uuid,)),
    nb.PortGroup(
        uuid=Uuid("a2"),
        name="pg",
        acls=(RULE_ACL.uuid,),
        ports=(PORT.uuid,),
        external_ids=Map({"neutron:security_group_id": GROUP}),
    ),
    cloud.SecurityGroup(uuid=GROUP, name="web"),
    cloud.SecurityGroupRule(
        uuid=RULE, protocol="tcp", port_range_min=22, port_range_max=23, remote_ip_prefix="10.0.0.0/8"
    ),
)


def decided(acl: nb.ACL | None, stage: str = "ls_out_acl", match: str = "ip", actions: str = "next;") -> Trace:
    """A packet that went from p1 to p2, and met one flow there."""
    ids = Map({"stage-hint": acl.uuid[:8]} if acl is not None else {})
    step = Step(stage, sb.LogicalFlow(match=match, actions=actions, external_ids=ids), ())
    egress = Section("egress", sb.DatapathBinding(), "p1", "p2", (step,))
    return Trace("", "", Section("ingress", sb.DatapathBinding(), "p1", "", (egress,)))


def said(trace: Trace, *rows: Any) -> list[str]:
    return [text_of(each, each.port) for each in verdicts(trace, Origins.of(rows or ROWS))]


def test_a_rule_that_lets_a_packet_pass_is_named_with_its_group() -> None:
    assert said(decided(RULE_ACL)) == [
        f'allowed in to p2 by security group "web" ({GROUP}), '
        f'security group rule "ingress IPv4 tcp 22-23 from 10.0.0.0/8" ({RULE})'
    ]


def test_what_no_rule_allows_is_told_with_the_groups_that_might() -> None:
    assert said(decided(DROP_ACL)) == [f'no rule allows it in to p2; its groups: security group "web" ({GROUP})']
    alone = [row for row in ROWS if getattr(row, "name", "") != "pg"]
    assert said(decided(DROP_ACL), *alone) == ["no rule allows it in to p2; it is in no security group"]


@pytest.mark.parametrize(
    ("action", "outcome"), [("drop", "dropped"), ("reject", "rejected"), ("allow", "allowed"), ("pass", "passed on")]
)
def test_an_acl_of_no_security_group_is_named_itself(action: str, outcome: str) -> None:
    acl = nb.ACL(uuid=Uuid("cccccccc-0000-4000-8000-000000000001"), name="mine", action=action, match="tcp")
    assert said(decided(acl), acl) == [f"{outcome} in to p2 by ACL mine: tcp"]


def test_a_reply_passes_because_of_its_connection() -> None:
    trace = decided(None, match="!ct.new && ct.est && ct.rpl")
    assert said(trace) == ["allowed in to p2: it belongs to a connection that was allowed"]
    assert said(decided(None, match="ct.inv || ct.rpl", actions="drop;")) == []


def test_stages_without_acls_and_flows_of_nobody_decide_nothing() -> None:
    assert said(decided(RULE_ACL, stage="ls_out_track")) == []
    assert said(decided(None)) == []


def test_a_verdict_is_told_once() -> None:
    trace = decided(RULE_ACL)
    doubled = Trace("", "", Section("ingress", sb.DatapathBinding(), "p1", "", (*trace.root.nodes, *trace.root.nodes)))
    (one,) = verdicts(doubled, Origins.of(ROWS))
    assert isinstance(one, Verdict) and one.direction == "in to"


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, "ingress IPv4"),
        ({"direction": "egress", "ethertype": "IPv6", "remote_ip_prefix": "::/0"}, "egress IPv6 to ::/0"),
        ({"protocol": "udp", "port_range_min": 53, "port_range_max": 53}, "ingress IPv4 udp 53"),
        ({"protocol": "icmp", "port_range_min": 8}, "ingress IPv4 icmp 8"),
        ({"remote_group": GROUP}, f'ingress IPv4 from security group "web" ({GROUP})'),
    ],
)
def test_a_rule_reads_as_words(columns: dict[str, Any], text: str) -> None:
    rows = (RULE_ACL, cloud.SecurityGroupRule(uuid=RULE, **columns), cloud.SecurityGroup(uuid=GROUP, name="web"))
    (line,) = said(decided(RULE_ACL), *rows)
    assert f'security group rule "{text}"' in line
