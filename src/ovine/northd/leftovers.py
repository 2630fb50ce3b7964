"""Tables that another northd fills for features that are not compiled here: emptied.

Their rows would be out of date, and some of them hold on to datapaths, which could then not be deleted.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ovine.engine import Relation
from ovine.model import sb
from ovine.model.base import Row, Uuid
from ovine.projection import Names, Target

TABLES: tuple[type[Row], ...] = (sb.LoadBalancer,)


def _key(row: Row, names: Names) -> Hashable:
    return row.uuid


def _target(table: type[Row]) -> Target[Any]:
    nothing: Relation[Uuid, Row] = Relation(f"{table.spec.name} (none)")
    return Target(nothing, table, _key, ())


TARGETS = tuple(_target(table) for table in TABLES)
