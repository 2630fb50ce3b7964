"""ACLs: each is one flow that notes its verdict; what a verdict means is said once, for all switches with ACLs.

An ACL of a port group is one flow for all switches that have ports of the group, and its match keeps the names of
groups and address sets; so neither ports, nor members of sets, nor switches multiply with it.

Verdicts: to go on is to allow. `denied` is noted for drop and reject, and `rejected` besides for reject; the flows of
`ovine.northd.acl_shared` carry that out. allow-stateless costs a second flow where there is connection tracking: it
keeps the packets out of it. log-related costs one that logs the replies; samples of known connections cost two more,
for replies and for errors about the connection, which are known by a label that is committed with it.

Of several ACLs with the same priority and match on the same switches the strictest holds, and the others are reported.
An ACL that cannot be understood is reported, and has no effect.

Wire behaviour is that of ovn-nb(5), "ACL TABLE", and ovn-northd(8), "ACLs".
Tests: tests/cases/northd/acl.txt, tests/unit/northd/test_acl.py, tests/cases/packets/acl_*.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.acl_scopes import group_scope, is_after, is_stateful, stateful_somewhere
from ovine.northd.acl_shared import KNOWN_REPLY, PRIORITY, REPLIES, SKIP, SOURCE, TIERS, decided, passed_on
from ovine.northd.flows import FLOWS, Place, flow, place_of, quoted
from ovine.northd.matches import require_match
from ovine.northd.meters import meter_of
from ovine.northd.pipeline import (
    IN_ACL,
    IN_ACL_AFTER,
    IN_RULING,
    IN_TRACK,
    OUT_ACL,
    OUT_TRACK,
    STAGES,
)
from ovine.northd.ports import LOCALNET, PORTS
from ovine.northd.samples import sample_of
from ovine.northd.stages import Stage

STAGE_CALLED = {stage.name: stage for stage in STAGES}
STRICTNESS = {"reject": 0, "drop": 1, "allow-stateless": 2, "allow": 3, "allow-related": 4, "pass": 5}
VERDICTS = {"reject": "reject", "drop": "drop"}
ALLOWS = frozenset({"allow", "allow-related"})


class Spot(NamedTuple):
    """Where a flow stands; only one can stand there."""

    place: Place
    stage: str
    """Its name."""
    priority: int
    match: str


@dataclass(frozen=True)
class Written:
    """A flow that an ACL wants."""

    spot: Spot
    actions: str
    acl: Uuid
    action: str
    """The ACL's."""


WRITTEN: Relation[tuple[Uuid, Spot], Written] = Relation("flows of ACLs")
"""By (ACL, spot)."""

SWITCHES_WITH = Index(nb.LogicalSwitch, lambda row: row.acls, "switches by ACL")
GROUPS_WITH = Index(nb.PortGroup, lambda row: row.acls, "port groups by ACL")
BY_SPOT = Index(WRITTEN, lambda one: (one.spot,), "flows of ACLs by where they stand")
UNTRACKED = Index(PORTS, lambda port: (port.key,) if port.type in (LOCALNET, "router") else (), "untracked ports")


@query
def places(q: Reader, acl: Uuid) -> tuple[Place, ...]:
    """The switches of an ACL: each one that has it, and those of each group that has it."""
    of_groups = (place_of(q, group_scope(group)) for group in q.find(GROUPS_WITH, acl))
    return (*q.find(SWITCHES_WITH, acl), *(place for place in of_groups if place is not None))


@rule(over=nb.ACL, writes=(WRITTEN,))
def written(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The flows of one ACL."""
    row = q.row(nb.ACL, key)
    _check(row)
    flows = list(_flows(q, row, key))
    for place in places(q, key):
        for stage, priority, match, actions in flows:
            spot = Spot(place, stage.name, priority, match)
            action = "allow" if priority == KNOWN_REPLY else row.action  # these contradict nobody
            yield WRITTEN((key, spot), Written(spot, actions, key, action))


def _check(row: nb.ACL) -> None:
    """Raises ValueError for what is no ACL."""
    called = f"ACL {row.name!r}" if row.name else f"ACL {row.direction} {row.priority}"
    require_match(called, row.match)


def _flows(q: Reader, row: nb.ACL, key: Uuid) -> Iterator[tuple[Stage, int, str, str]]:
    """(stage, priority, match, actions) of its flows."""
    incoming = row.direction == "from-lport"
    priority = PRIORITY + row.priority
    log = _log(q, row, key)
    own = (IN_ACL_AFTER if is_after(row) else IN_ACL) if incoming else OUT_ACL
    stage, match = own, row.match
    if row.tier:
        stage, match = TIERS[own], f"{IN_RULING.tier.field} == {row.tier} && ({row.match})"
    new, known = sample_of(q, row.sample_new, "acl-new"), sample_of(q, row.sample_est, "acl-est")
    label = _label(q, row, known)
    verdict = f"{log}{_verdict(row, own, label)}"
    if new == known:
        yield stage, priority, match, f"{new}{verdict}"
    else:
        yield stage, priority, f"({match}) && !ct.est", f"{new}{verdict}"
        yield stage, priority, f"({match}) && ct.est", f"{known}{verdict}"
    if row.action == "allow-stateless" and stateful_somewhere(q):
        stage = IN_TRACK if incoming else OUT_TRACK
        yield stage, priority, row.match, SKIP[stage]
    logged = log if row.label and row.options.get("log-related", "").lower() == "true" else ""
    if label and (known or logged):
        # Replies go the other way; errors about a connection may go either.
        of_it = f"{REPLIES} && ct_label.label == {label}"
        yield OUT_ACL if incoming else IN_ACL, KNOWN_REPLY, of_it, f"{known}{logged}next;"
        if known:
            yield own, KNOWN_REPLY, f"{of_it} && !ct.rpl", f"{known}next;"


def _label(q: Reader, row: nb.ACL, known: str) -> int:
    """What connections that an ACL allows are known by: the number of its samples goes before its own label."""
    if row.action not in ALLOWS:
        return 0
    sample = q.get(nb.Sample, row.sample_est) if known and row.sample_est is not None else None
    return sample.metadata if sample is not None else row.label


def _verdict(row: nb.ACL, stage: Stage, label: int) -> str:
    """What an ACL does; `stage` is that of tier 0."""
    ruling = IN_RULING  # the same bits in both directions
    if row.action == "pass":
        return passed_on(stage, ruling, row.tier)
    onward = decided(stage, row.tier)
    if row.action == "drop":
        return f"{ruling.denied.field} = 1; {onward}"
    if row.action == "reject":
        return f"{ruling.denied.field} = 1; {ruling.rejected.field} = 1; {onward}"
    if label:
        return f"{ruling.labelled.field} = 1; {ruling.label.field} = {label}; {onward}"
    return onward


def _log(q: Reader, row: nb.ACL, key: Uuid) -> str:
    if not row.log:
        return ""
    words = [f"name={quoted(row.name)}"] if row.name else []
    words.append(f"severity={row.severity or 'info'}")
    if row.action != "pass":  # a word that the hosts of OVN 23.03 do not know
        words.append(f"verdict={VERDICTS.get(row.action, 'allow')}")
    if row.meter:
        words.append(f"meter={quoted(meter_of(q, row.meter, key))}")
    return f"log({', '.join(words)}); "


def _strictest(q: Reader, spot: Spot) -> list[Written]:
    found = [q.row(WRITTEN, key) for key in q.find(BY_SPOT, spot)]
    return sorted(found, key=lambda one: (STRICTNESS[one.action], one.actions, one.acl))


def _first(q: Reader, spot: Spot) -> Iterator[Emit]:
    one = _strictest(q, spot)[0]
    yield flow(
        spot.place, STAGE_CALLED[spot.stage], spot.priority, spot.match, one.actions, source=SOURCE, hint=one.acl
    )


@rule(over=BY_SPOT, writes=(FLOWS,), on_failure=_first)
def acl_flow(q: Reader, spot: Spot) -> Iterator[Emit]:
    """The flow at one spot."""
    found = _strictest(q, spot)
    if len({one.action for one in found}) > 1:
        actions = " and ".join(dict.fromkeys(one.action for one in found))
        raise ValueError(f"ACLs with the same priority and match {spot.match!r} say {actions}; {found[0].action} holds")
    yield from _first(q, spot)


@rule(over=UNTRACKED, writes=(FLOWS,))
def untracked_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What comes from and goes to a physical network or a router is not tracked at that port: many hosts see it."""
    port = q.row(PORTS, key)
    if not is_stateful(q, port.switch):
        return
    for stage, side in ((IN_TRACK, "inport"), (OUT_TRACK, "outport")):
        match = f"{side} == {quoted(port.name)}"
        yield flow(port.switch, stage, 110, match, SKIP[stage], source=SOURCE, hint=key, port=port.name)
