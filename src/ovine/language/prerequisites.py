"""What an action asks of the packets that it is for: the expression to add to a flow's match.

Assigning to a field, or reading one, needs the field's prerequisites; some actions need a kind of packet. What stands
inside a block that makes a new packet (`arp { … }`) is about that packet and asks nothing of the original one; what
stands in `clone { … }` and `ct_commit { … }` is about the packet itself.

Tests: tests/unit/language/test_action_cases.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Final

from ovine.language import actions as act
from ovine.language.actions import Action
from ovine.language.match import TRUE, Expr, all_of
from ovine.language.parser import parse_match
from ovine.language.symbols import OVN_FIELDS, Subfield

_NEEDS: Final[dict[type, str]] = {
    act.DecTtl: "ip",
    act.CtNext: "ip",
    act.CtCommit: "ip",
    act.CtCommitBlock: "ip",
    act.CtCommitToZone: "ip",
    act.CtCommitNat: "ip",
    act.CtNat: "ip",
    act.CtLb: "ip",
    # Open vSwitch knows a connection's original tuple only for tracked, valid IP packets.
    act.CtNwDst: "ct.trk && !ct.inv && ip4",
    act.CtIp6Dst: "ct.trk && !ct.inv && ip6",
    act.CtTpDst: "ct.trk && !ct.inv && ip",
    act.CtProto: "ct.trk && !ct.inv && ip",
    act.Arp: "ip4",
    act.Icmp4: "ip4",
    act.Icmp4Error: "ip4",
    act.NdNs: "ip6",
    act.Icmp6: "ip6",
    act.Icmp6Error: "ip6",
    act.NdNa: "nd_ns",
    act.NdNaRouter: "nd_ns",
    act.TcpReset: "tcp",
    act.SctpAbort: "sctp",
    act.DnsLookup: "udp",
    act.Igmp: "igmp || mldv1 || mldv2",
}


def prerequisite(action: Action) -> Expr:
    """The expression that an action implies; `1` if it is for every packet."""
    return _all(_texts(action))


def prerequisites(actions: Iterable[Action]) -> Expr:
    """The expression that actions imply together."""
    return _all(text for action in actions for text in _texts(action))


def _all(texts: Iterable[str]) -> Expr:
    return all_of(parse_match(text) for text in dict.fromkeys(texts) if text) if texts else TRUE


def _texts(action: Action) -> list[str]:
    needed = [_NEEDS.get(type(action), "")]
    for attribute in fields(action):
        value = getattr(action, attribute.name)
        if isinstance(value, Subfield):
            needed.append(value.field.prerequisite)
    if isinstance(action, act.SetOvnField):
        needed.append(OVN_FIELDS[action.name].prerequisite)
    if isinstance(action, act.Clone | act.CtCommitBlock):
        needed += [text for inner in action.actions for text in _texts(inner)]
    return needed
