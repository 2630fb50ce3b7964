"""What a northbound may ask for and northd does not compile: said as a failure for each row, never passed over.

Each `Gap` becomes a rule that runs, and raises, for the rows that its condition holds for; the others cost nothing, and
the rest of the network goes on.
Tests: tests/unit/northd/test_northd_options.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ovine.engine import Emit, Index, Reader, Rule, rule
from ovine.model import nb
from ovine.model.base import Row, Uuid
from ovine.northd.ports import BOUND_ONLY, COMPILED, ROUTER


class NotCompiled(Exception):
    """The northbound asks for something that is not there yet."""


@dataclass(frozen=True)
class Gap:
    """`asked(row)` says whether a row asks for it; the report is "KIND NAME: text"."""

    name: str
    table: type[Row]
    asked: Callable[[Any], object]
    text: str


_SWITCH, _PORT = nb.LogicalSwitch, nb.LogicalSwitchPort

GAPS = (
    Gap(
        "forwarding_group",
        _SWITCH,
        lambda row: row.forwarding_groups,
        "forwarding groups are not compiled yet; their addresses do not answer",
    ),
    Gap(
        "prefix_delegation",
        nb.LogicalRouterPort,
        lambda row: any(row.options.get(name, "").lower() == "true" for name in ("prefix_delegation", "prefix")),
        "IPv6 prefixes are not asked for yet",
    ),
    Gap(
        "vif_plug",
        _PORT,
        lambda row: "vif-plug-type" in row.options,
        "hosts plug nothing in by themselves; vif-plug-type has no effect",
    ),
    Gap(
        "port_type",
        _PORT,
        lambda row: row.type not in COMPILED | BOUND_ONLY | {ROUTER},
        "ports of its type are not compiled yet; it carries nothing",
    ),
)


def _rule(gap: Gap) -> Rule:
    asking: Index[Any] = Index(gap.table, lambda row: (row.uuid,) if gap.asked(row) else (), gap.name)

    def missing(q: Reader, key: Uuid) -> Iterator[Emit]:
        row: Any = q.row(gap.table, key)
        raise NotCompiled(f"{gap.table.spec.name.replace('_', ' ').lower()} {row.name}: {gap.text}")
        yield from ()  # what makes it a generator

    missing.__qualname__ = gap.name
    return rule(over=asking, writes=())(missing)


RULES = tuple(_rule(gap) for gap in GAPS)
