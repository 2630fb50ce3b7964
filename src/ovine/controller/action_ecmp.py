"""Symmetric replies over equal-cost routes: which next hop a connection came from, remembered by the switch itself.

`commit_ecmp_nh` learns two flows from a packet that came in: one for further packets that come the same way from the
same MAC address, one for the answers. `chk_ecmp_nh_mac` and `chk_ecmp_nh` ask them. Only what is not yet known is
committed again, so the learned flows need not live long.

Source: ovn-sb(5), commit_ecmp_nh. Tests: tests/cases/controller/actions.txt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ovine import openflow as of
from ovine.controller import tables as t
from ovine.controller.action_scope import Encoded, Encoder, Scope, flag_result
from ovine.controller.flows import cookie_of
from ovine.language import actions as act

IDLE, LIFETIME = 20, 30
"""Seconds."""
_NUMBERS: Final = {"tcp": 6, "udp": 17, "sctp": 132}
_Spec = of.LearnMatch | of.LearnLoad


def _same(field: str, bits: int) -> of.LearnMatch:
    return of.LearnMatch((field, 0, bits), (field, 0, bits))


def _pair(one: str, other: str, bits: int, answers: bool) -> tuple[_Spec, ...]:
    if not answers:
        return _same(one, bits), _same(other, bits)
    return of.LearnMatch((one, 0, bits), (other, 0, bits)), of.LearnMatch((other, 0, bits), (one, 0, bits))


def _learn(action: act.CommitEcmpNh, scope: Scope, *, answers: bool) -> of.Action:
    family = "ipv6" if action.ipv6 else "ip"
    specs: list[_Spec] = [_same(t.DATAPATH, 64)]
    if not answers:
        specs.append(_same("eth_src", 48))
    specs.append(of.LearnMatch(("eth_type", 0, 16), 0x86DD if action.ipv6 else 0x800))
    specs += _pair(f"{family}_src", f"{family}_dst", 128 if action.ipv6 else 32, answers)
    if action.protocol is not None:
        specs.append(of.LearnMatch(("nw_proto", 0, 8), _NUMBERS[action.protocol]))
        specs += _pair(f"{action.protocol}_src", f"{action.protocol}_dst", 16, answers)
    specs.append(of.LearnLoad((t.FLAGS, t.LOOKUP_ECMP_HIT, 1), 1))
    return of.Learn(
        t.ECMP_NEXT_HOP if answers else t.ECMP_NEXT_HOP_MAC,
        tuple(specs),
        idle_timeout=IDLE,
        hard_timeout=LIFETIME,
        cookie=cookie_of(scope.flow),
        delete_learned=True,
    )


def _commit(action: act.CommitEcmpNh, scope: Scope) -> Encoded:
    return _learn(action, scope, answers=False), _learn(action, scope, answers=True)


def _check_mac(action: act.ChkEcmpNhMac, scope: Scope) -> Encoded:
    del scope
    return flag_result((), t.ECMP_NEXT_HOP_MAC, t.LOOKUP_ECMP_HIT, action.dst)


def _check(action: act.ChkEcmpNh, scope: Scope) -> Encoded:
    del scope
    return flag_result((), t.ECMP_NEXT_HOP, t.LOOKUP_ECMP_HIT, action.dst)


ENCODERS: Final[Mapping[type[Any], Encoder]] = {
    act.CommitEcmpNh: _commit,
    act.ChkEcmpNhMac: _check_mac,
    act.ChkEcmpNh: _check,
}
