"""The relation of OpenFlow flows that the switch should hold, and short ways to write them.

A flow's key is what identifies it in the switch: (table, priority, match in normal form). Several rules may want one
key: logical flows that say the same twice, or alternatives of equal priority. Then the one whose origin sorts first
holds, on every host and after every restart; that they differ in their actions is reported by `clashes`.

Tests: tests/unit/controller/test_controller_incremental.py.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from ovine.engine import Emit, Engine, Relation
from ovine.model.base import Uuid
from ovine.openflow import Action, Conjunction, Entry, Flow, Match, normalise

FlowKey = tuple[int, int, Match]


class Body(NamedTuple):
    """What a flow does, and the first 32 bits of the uuid of the row that it is for (0: for none in particular)."""

    actions: tuple[Action, ...]
    cookie: int = 0


FLOWS: Relation[FlowKey, Body] = Relation("OpenFlow flow")


def cookie_of(uuid: Uuid) -> int:
    """The first 32 bits of a row's uuid, by which ovn-detrace(1) finds it."""
    return int(uuid[:8], 16)


def flow(
    table: int, priority: int, match: tuple[Entry, ...], actions: tuple[Action, ...], uuid: Uuid | None = None
) -> Emit:
    """The output of a rule that wants this flow; without actions it drops."""
    return FLOWS((table, priority, normalise(match)), Body(actions, cookie_of(uuid) if uuid is not None else 0))


def as_flow(key: FlowKey, body: Body) -> Flow:
    """The flow as the switch is told."""
    table, priority, match = key
    return Flow(table, priority, match, body.actions, body.cookie)


def bit(field: str, number: int, value: int = 1) -> Entry:
    """A match on one bit of a register."""
    return field, value << number, 1 << number


def clashes(engine: Engine) -> list[FlowKey]:
    """Keys for which rules want different actions, in a stable order.

    Clauses of conjunctions are left out: they give way to a plain flow (`ovine.controller.sums`).
    """
    store = engine.table(FLOWS)
    wanted = ((key, {body.actions for body in store.rivals[key].values()}) for key in store.conflicts)
    different = (key for key, bodies in wanted if sum(not _is_clause(actions) for actions in bodies) > 1)
    return sorted(cast("list[FlowKey]", list(different)))


def _is_clause(actions: tuple[Action, ...]) -> bool:
    return bool(actions) and all(isinstance(action, Conjunction) for action in actions)
