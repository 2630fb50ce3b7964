"""Load balancing as OpenFlow actions: the choice of a backend, sessions that stay with theirs, and hairpins.

A backend is chosen by a group; its bucket commits the connection with the destination changed, and notes in ct_mark
(ct_label for the older word) that it was, and which translation of the source it wants. `commit_lb_aff` has the switch
learn which backend a client got; `chk_lb_aff` asks that: an IPv6 one is in xxreg0 on switches, in xxreg1 on routers.
Hairpins are tables of load balancers (`ovine.controller.services.lb_hairpin`).

Sources: ovn-sb(5), ct_lb_mark, chk_lb_hairpin, commit_lb_aff; ovs-ofctl(8), "Group Syntax". Tests:
tests/cases/controller/load_balancers.txt, tests/unit/controller/test_controller_groups.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ovine import openflow as of
from ovine.controller import tables as t
from ovine.controller.action_scope import Encoded, Encoder, Scope, flag_result
from ovine.controller.environment import is_switch
from ovine.controller.flows import cookie_of
from ovine.controller.services import UnsupportedAction
from ovine.controller.switch_tables import number
from ovine.language import actions as act
from ovine.openflow.fields import FIELDS, canonical

_NATTED, _SKIP_SNAT, _FORCE_SNAT = 1 << 1, 1 << 2, 1 << 3
_NUMBERS: Final = {"tcp": 6, "udp": 17, "sctp": 132}
_HASH_FIELDS: Final = {"ip_proto": "nw_proto"}


def _mark(action: act.CtLb) -> of.SetField:
    field = "ct_label" if action.word == "ct_lb" else "ct_mark"
    bits = _NATTED | {None: 0, "skip_snat": _SKIP_SNAT, "force_snat": _FORCE_SNAT}[action.flag]
    return of.SetField(field, bits, bits)


def _bucket(place: int, backend: act.Endpoint, action: act.CtLb, scope: Scope) -> of.Bucket:
    nat = of.Nat("dst", str(backend.address), port_min=backend.port or 0)
    then = of.Ct(commit=True, zone=scope.zone(), table=scope.next_table(), actions=(nat, _mark(action)))
    return of.Bucket(place, (then,), 100)


def _choice(action: act.CtLb, scope: Scope) -> of.GroupEntry:
    """The group; with fields to hash, the same fields always choose the same backend."""
    if action.word == "ct_lb_mark_local":
        raise UnsupportedAction("the action 'ct_lb_mark_local' is not supported")
    buckets = tuple(_bucket(n, backend, action, scope) for n, backend in enumerate(action.backends))
    if not action.hash_fields:
        return of.GroupEntry(0, "select", buckets, "dp_hash")
    names = [canonical(_HASH_FIELDS.get(name, name)) for name in action.hash_fields]
    fields = tuple((name, FIELDS[name].ones, None) for name in names)
    return of.GroupEntry(0, "select", buckets, "hash", 0, fields)


def contents(action: act.CtLb, scope: Scope) -> tuple[of.GroupEntry, ...]:
    """The group that an action needs; none if it only undoes a translation."""
    return (_choice(action, scope),) if action.backends else ()


def _ct_lb(action: act.CtLb, scope: Scope) -> Encoded:
    if not action.backends:
        return (of.Ct(zone=scope.zone(), table=scope.next_table(), actions=(of.Nat(),)),)
    return (of.Group(number(scope.q, _choice(action, scope)) or 0),)


# --- sessions ---------------------------------------------------------------------------------------------------------


def _commit_affinity(action: act.CommitLbAff, scope: Scope) -> Encoded:
    """Learns: this client of this address gets this backend, as long as it comes back within `timeout` seconds."""
    six = action.vip.address.style == "ip6"
    family, bits = ("ipv6", 128) if six else ("ip", 32)
    specs: list[of.LearnMatch | of.LearnLoad] = [
        of.LearnMatch((t.DATAPATH, 0, 64), (t.DATAPATH, 0, 64)),
        of.LearnMatch(("eth_type", 0, 16), 0x86DD if six else 0x800),
        of.LearnMatch((f"{family}_src", 0, bits), (f"{family}_src", 0, bits)),
        of.LearnMatch((f"{family}_dst", 0, bits), action.vip.address.value),
    ]
    if action.protocol is not None:
        specs.append(of.LearnMatch(("nw_proto", 0, 8), _NUMBERS[action.protocol]))
        specs += [of.LearnMatch((f"{action.protocol}_dst", 0, 16), action.vip.port)] if action.vip.port else []
    specs.append(of.LearnLoad((t.FLAGS, t.USE_LB_AFFINITY, 1), 1))
    wide = "xxreg0" if is_switch(scope.q, scope.datapath) else "xxreg1"
    specs.append(of.LearnLoad((wide if six else "reg4", 0, bits), action.backend.address.value))
    specs += [of.LearnLoad(("reg8", 0, 16), action.backend.port)] if action.backend.port else []
    cookie = cookie_of(scope.flow)
    table = t.LB_AFFINITY
    return (of.Learn(table, tuple(specs), idle_timeout=action.timeout, cookie=cookie, delete_learned=True),)


def _check(table: int, flag: int) -> Encoder:
    def encoder(action: Any, scope: Scope) -> Encoded:
        del scope
        return flag_result((), table, flag, action.dst)

    return encoder


def _snat_to_vip(action: act.CtSnatToVip, scope: Scope) -> Encoded:
    del action, scope
    return (of.Resubmit(table=t.LB_HAIRPIN_SNAT),)


ENCODERS: Final[Mapping[type[Any], Encoder]] = {
    act.CtLb: _ct_lb,
    act.ChkLbHairpin: _check(t.LB_HAIRPIN, t.LOOKUP_LB_HAIRPIN),
    act.ChkLbHairpinReply: _check(t.LB_HAIRPIN_REPLY, t.LOOKUP_LB_HAIRPIN),
    act.CtSnatToVip: _snat_to_vip,
    act.ChkLbAff: _check(t.LB_AFFINITY, t.USE_LB_AFFINITY),
    act.CommitLbAff: _commit_affinity,
}
