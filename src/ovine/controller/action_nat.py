"""Logical actions that translate addresses, to OpenFlow actions.

A router has two conntrack zones: reg11 for what is translated on its way in (DNAT), reg12 for what is on its way out
(SNAT). A distributed router with one gateway port keeps both in the common zone, which is the DNAT zone. Without an
address, a translation that the connection already has is applied or undone, and nothing is committed.

Sources: ovn-sb(5), "actions"; ovn-architecture(7). Tests: tests/cases/controller/actions.txt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ovine import openflow as of
from ovine.controller import tables as t
from ovine.controller.action_scope import Encoded, Encoder, Scope
from ovine.language import actions as act


def _zone(action: act.CtNat, scope: Scope) -> tuple[str, int, int]:
    if action.common_zone:
        return scope.zone()
    return (t.DNAT_ZONE if action.direction == "dnat" else t.SNAT_ZONE, 0, 16)


def _ct_nat(action: act.CtNat, scope: Scope) -> Encoded:
    zone, table = _zone(action, scope), scope.next_table()
    if action.address is None:
        return (of.Ct(zone=zone, table=table, actions=(of.Nat(),)),)
    first, last = action.ports or (0, 0)
    direction = "dst" if action.direction == "dnat" else "src"
    nat = of.Nat(direction, str(action.address), port_min=first, port_max=last)
    return (of.Ct(commit=True, zone=zone, table=table, actions=(nat,)),)


def _ct_commit_nat(action: act.CtCommitNat, scope: Scope) -> Encoded:
    del action
    return (of.Ct(commit=True, zone=scope.zone(), table=scope.next_table(), actions=(of.Nat(),)),)


def _ct_commit_to_zone(action: act.CtCommitToZone, scope: Scope) -> Encoded:
    del scope
    return (of.Ct(commit=True, zone=(t.DNAT_ZONE if action.zone == "dnat" else t.SNAT_ZONE, 0, 16)),)


ENCODERS: Final[Mapping[type[Any], Encoder]] = {
    act.CtNat: _ct_nat,
    act.CtCommitNat: _ct_commit_nat,
    act.CtCommitToZone: _ct_commit_to_zone,
}
