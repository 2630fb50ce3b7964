"""QoS rules of switches: packets get a DSCP, and what exceeds a bandwidth is dropped.

A rule is one flow for its DSCP and one for its bandwidth, in stages of their own: the marking of one rule and the meter
of another may hold for the same packet. They come behind the verdict of the ACLs, or leave out what that denies, so
that only what passes uses up bandwidth. Of several rules with the same priority and match the strictest holds, and that
is reported.

Wire behaviour is that of ovn-nb(5), "QoS TABLE", and ovn-northd(8), "QoS Marking" and "QoS Meter".
Tests: tests/cases/northd/qos.txt, tests/cases/packets/qos_*.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.datapaths import SWITCHES
from ovine.northd.flows import FLOWS, Shared, flow
from ovine.northd.matches import require_match
from ovine.northd.pipeline import IN_LIMIT, IN_MARK, OUT_LIMIT, OUT_MARK, OUT_RULING, STAGES
from ovine.northd.stages import Stage

SOURCE = "qos"

SHARED = tuple(Shared(SWITCHES, stage, 0, "1", "next;", SOURCE) for stage in (IN_MARK, IN_LIMIT, OUT_MARK, OUT_LIMIT))

_STAGES = {"from-lport": (IN_MARK, IN_LIMIT), "to-lport": (OUT_MARK, OUT_LIMIT)}
_CALLED = {stage.name: stage for stage in STAGES}


class Spot(NamedTuple):
    """Where a flow stands; only one can stand there."""

    switch: Uuid
    stage: str
    priority: int
    match: str


@dataclass(frozen=True, order=True)
class Wanted:
    """A flow that a rule wants: the lower the values, the stricter."""

    values: tuple[int, ...]
    actions: str
    rule: Uuid
    spot: Spot


WANTED: Relation[tuple[Uuid, Spot], Wanted] = Relation("flows of QoS rules")

SWITCHES_WITH = Index(nb.LogicalSwitch, lambda row: row.qos_rules, "switches by QoS rule")
BY_SPOT = Index(WANTED, lambda one: (one.spot,), "flows of QoS rules by where they stand")


@rule(over=SWITCHES_WITH, writes=(WANTED,))
def qos_rule(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The flows of one rule, on each switch that has it."""
    row = q.get(nb.QoS, key)
    if row is None:
        return
    _check(row)
    mark, limit = _STAGES.get(row.direction, _STAGES["from-lport"])
    match = row.match
    if row.direction == "to-lport":
        match = f"!{OUT_RULING.denied.field} && ({match})"
    wanted: list[tuple[Stage, tuple[int, ...], str]] = []
    if "dscp" in row.action:
        dscp = row.action["dscp"]
        wanted.append((mark, (dscp,), f"ip.dscp = {dscp}; next;"))
    if "rate" in row.bandwidth:
        values = tuple(row.bandwidth[name] for name in ("rate", "burst") if name in row.bandwidth)
        wanted.append((limit, values, f"set_meter({', '.join(map(str, values))}); next;"))
    for switch in q.find(SWITCHES_WITH, key):
        for stage, values, actions in wanted:
            spot = Spot(switch, stage.name, row.priority, match)
            yield WANTED((key, spot), Wanted(values, actions, key, spot))


def _check(row: nb.QoS) -> None:
    """Raises ValueError for what is no rule."""
    called = f"QoS rule {row.direction} {row.priority}"
    require_match(called, row.match)
    if row.bandwidth and "rate" not in row.bandwidth:
        raise ValueError(f"{called} with match {row.match!r} has no effect: it has a burst, but no rate")


def _at(q: Reader, spot: Spot) -> list[Wanted]:
    """What rules want at a spot, the strictest first."""
    found = (q.value(WANTED, key) for key in q.find(BY_SPOT, spot))
    return sorted(one for one in found if one is not None)


def _strictest(q: Reader, spot: Spot) -> Iterator[Emit]:
    one = _at(q, spot)[0]
    stage = _CALLED[spot.stage]
    yield flow(spot.switch, stage, spot.priority, spot.match, one.actions, source=SOURCE, hint=one.rule)


@rule(over=BY_SPOT, writes=(FLOWS,), on_failure=_strictest)
def qos_flow(q: Reader, spot: Spot) -> Iterator[Emit]:
    """The flow at one spot."""
    said = list(dict.fromkeys(one.actions.removesuffix("; next;") for one in _at(q, spot)))
    if len(said) > 1:
        several = " and ".join(said)
        raise ValueError(f"QoS rules with the same priority and match {spot.match!r} say {several}; the first holds")
    yield from _strictest(q, spot)
