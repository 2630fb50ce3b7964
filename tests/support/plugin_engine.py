"""The plugin's rules in an engine of the test's own."""

from __future__ import annotations

from ovine.engine import Engine
from ovine.model.base import Row
from ovine.plugin import CLOUD, NORTHBOUND, RULES


def new_engine() -> Engine:
    """An engine whose outputs can be looked at."""
    return Engine(RULES, watch=[target.relation for target in (*NORTHBOUND, *CLOUD)])


def feed(engine: Engine, *rows: Row) -> None:
    """Takes rows in and computes what follows, which must not fail."""
    for row in rows:
        engine.feed(type(row), row.uuid, row)
    engine.run()
    assert engine.failures() == []
