"""What all ACLs share: which packets are tracked, which pass whatever ACLs say, and how a verdict is carried out.

A connection that an ACL allows is committed to connection tracking when it is new. Once an ACL denies it, it is marked
as blocked, so that its replies, which pass otherwise, stop too; if an ACL allows it again, the mark goes away.

Tests: tests/cases/northd/acl.txt, tests/cases/packets/acl_*.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.northd.acl_scopes import (
    AFTER,
    CLOSED,
    REFUSING,
    RULED,
    STATEFUL,
    STRICT,
    TIERED_AFTER,
    TIERED_IN,
    TIERED_OUT,
)
from ovine.northd.datapaths import SWITCHES
from ovine.northd.flows import Scope, Shared
from ovine.northd.pipeline import (
    BALANCE,
    DELIVER,
    FORWARD,
    IN_ACL,
    IN_ACL_AFTER,
    IN_AFTER_TIERS,
    IN_RULING,
    IN_TIERS,
    IN_TRACK,
    IN_VERDICT,
    OUT_ACL,
    OUT_MARK,
    OUT_RULING,
    OUT_TIERS,
    OUT_TRACK,
    Ruling,
)
from ovine.northd.stages import Stage

SOURCE = "acl"
PRIORITY = 1000
"""Added to an ACL's priority, which is below 2**15, to leave room for flows below."""
SERVICE, ALWAYS, KNOWN_REPLY, INVALID = 34000, 65532, 65533, 65534

SKIP = {IN_TRACK: "next;", OUT_TRACK: "ct_clear; next;"}
"""Goes on untracked. In egress a packet may come with what ingress found out about it, in another zone."""

NEIGHBOURS = "nd || nd_rs || nd_ra || mldv1 || mldv2"
"""IPv6 does not work without these."""


REPLIES = "!ct.new && ct_mark.blocked == 0 && ((ct.est && !ct.rel && ct.rpl) || (!ct.est && ct.rel))"
"""Replies of a connection that was allowed and is not blocked, and errors about it. An invalid packet is of none."""


def _tracked(stage: Stage) -> Iterator[Shared]:
    yield Shared(STATEFUL, stage, 110, f"eth.mcast || {NEIGHBOURS}", SKIP[stage], SOURCE)
    yield Shared(STATEFUL, stage, 100, "ip", "ct_next;", SOURCE)
    yield Shared(SWITCHES, stage, 0, "1", "next;", SOURCE)


def _always(stage: Stage, tracked: bool = True) -> Iterator[Shared]:
    """What passes, or does not, whatever the ACLs of a stage say."""
    yield Shared(RULED if tracked else AFTER, stage, ALWAYS, NEIGHBOURS, "next;", SOURCE)
    yield Shared(STATEFUL if tracked else AFTER, stage, ALWAYS, REPLIES, "next;", SOURCE)
    yield Shared(SWITCHES, stage, 0, "1", "next;", SOURCE)


def _stopped(stage: Stage) -> Iterator[Shared]:
    """Only one flow asks whether a packet is invalid: there are network cards that cannot, hence `use_ct_inv_match`."""
    yield Shared(STRICT, stage, INVALID, "ct.inv", "drop;", SOURCE)
    yield Shared(STATEFUL, stage, ALWAYS, "ct.est && ct.rpl && ct_mark.blocked == 1", "drop;", SOURCE)


def _closed(stage: Stage, ruling: Ruling) -> Iterator[Shared]:
    yield Shared(CLOSED, stage, 1, "1", f"{ruling.denied.field} = 1; next;", SOURCE)


LAST_TIER = 3
TIERS = {IN_ACL: IN_TIERS, IN_ACL_AFTER: IN_AFTER_TIERS, OUT_ACL: OUT_TIERS}
"""Where the ACLs of a stage are that are in tiers above 0."""
_BACK = {IN_ACL: BALANCE, IN_ACL_AFTER: IN_VERDICT, OUT_ACL: OUT_MARK}


def jump(stage: Stage) -> str:
    return f"next(pipeline={stage.pipeline}, table={stage.table});"


def decided(stage: Stage, tier: int) -> str:
    """What an ACL of a tier does when it has decided. `stage` is that of tier 0."""
    return jump(_BACK[stage]) if tier else "next;"


def passed_on(stage: Stage, ruling: Ruling, tier: int) -> str:
    """Has the next tier asked; after the last one, what all tiers leave open is settled."""
    return f"{ruling.tier.field} = {tier + 1 if tier < LAST_TIER else 0}; {jump(TIERS[stage])}"


def _tiers(stage: Stage, ruling: Ruling, tiered: Scope) -> Iterator[Shared]:
    """How packets go from tier to tier, and back."""
    tiers = TIERS[stage]
    yield Shared(tiered, stage, 2, "1", passed_on(stage, ruling, 0), SOURCE)
    for tier in range(1, LAST_TIER):
        yield Shared(tiered, tiers, 2, f"{ruling.tier.field} == {tier}", passed_on(stage, ruling, tier), SOURCE)
    yield Shared(CLOSED, tiers, 1, "1", f"{ruling.denied.field} = 1; {jump(_BACK[stage])}", SOURCE)
    yield Shared(tiered, tiers, 0, "1", jump(_BACK[stage]), SOURCE)


def _carried_out(stage: Stage, ruling: Ruling, onward: str, back: Stage) -> Iterator[Shared]:
    """What a verdict means. `back` is where a refusal enters on its way to the sender."""
    block = "ct_commit { ct_mark.blocked = 1; };"
    where = f"next(pipeline={back.pipeline}, table={back.table});"
    refuse = f"reg0 = 0; reject {{ outport <-> inport; {where} }};"
    allowed = "ct.est && ct_mark.blocked == 0"
    yield Shared(REFUSING, stage, 130, f"{ruling.rejected.field} && {allowed}", f"{block} {refuse}", SOURCE, "reject")
    yield Shared(STATEFUL, stage, 120, f"{ruling.denied.field} && {allowed}", block, SOURCE)
    yield Shared(REFUSING, stage, 110, f"{ruling.rejected.field}", refuse, SOURCE, "reject")
    yield Shared(RULED, stage, 100, f"{ruling.denied.field}", "drop;", SOURCE)
    label = f"ct_label.label = {ruling.label.field};"
    labelled = f"ct.trk && {ruling.labelled.field}"
    yield Shared(STATEFUL, stage, 90, labelled, f"ct_commit {{ ct_mark.blocked = 0; {label} }}; {onward}", SOURCE)
    new = "ct.new || ct_mark.blocked == 1"
    yield Shared(STATEFUL, stage, 80, new, f"ct_commit {{ ct_mark.blocked = 0; }}; {onward}", SOURCE)


_ANSWER = "flags.loopback && ((ip4 && udp.src == 67 && udp.dst == 68) || (ip6 && udp.src == 547 && udp.dst == 546))"
"""What the switch itself said to its client: only such a packet goes back to the port that it came from."""

SHARED = (
    *_tracked(IN_TRACK),
    *_tracked(OUT_TRACK),
    *_always(IN_ACL),
    *_always(IN_ACL_AFTER, tracked=False),
    Shared(AFTER, IN_ACL_AFTER, 65535, IN_RULING.denied.field, "next;", SOURCE),
    *_always(OUT_ACL),
    *_stopped(IN_ACL),
    *_stopped(OUT_ACL),
    Shared(RULED, OUT_ACL, SERVICE, _ANSWER, "next;", SOURCE),
    *_closed(IN_ACL, IN_RULING),
    *_closed(IN_ACL_AFTER, IN_RULING),
    *_closed(OUT_ACL, OUT_RULING),
    *_tiers(IN_ACL, IN_RULING, TIERED_IN),
    *_tiers(IN_ACL_AFTER, IN_RULING, TIERED_AFTER),
    *_tiers(OUT_ACL, OUT_RULING, TIERED_OUT),
    *_carried_out(IN_VERDICT, IN_RULING, "next;", DELIVER),
    Shared(SWITCHES, IN_VERDICT, 0, "1", "next;", SOURCE),
    *_carried_out(DELIVER, OUT_RULING, "output;", FORWARD),
)
