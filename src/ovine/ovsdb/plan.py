"""What to monitor on one server: our declared tables laid over the schema that it really has.

A server with an older schema lacks tables or columns; those read as their defaults and are reported as *missing*. A
newer one has more than we declare; that is never asked for.

Tests: tests/unit/ovsdb/test_plan.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ovine.model.base import Database, Row, Table
from ovine.ovsdb.codec import TableCodec, same_kinds, server_max, table_codec
from ovine.ovsdb.conditions import Where, column_of, columns_in
from ovine.ovsdb.errors import ProtocolError

Missing = tuple[str, str | None]
"""(table, column); the column is None where the whole table is missing."""


@dataclass(frozen=True)
class Monitor:
    """What to replicate of one table: its columns (None for all that are declared) and rows (any condition true)."""

    table: type[Row]
    columns: Sequence[str] | None = None
    where: Where = ()


@dataclass(frozen=True)
class Plan:
    """A server's schema as far as it concerns us.

    `codecs` has the monitored tables by name, `missing` the monitored tables and columns that the server lacks,
    `absent` everything declared that it lacks, monitored or not.
    """

    codecs: Mapping[str, TableCodec]
    missing: frozenset[Missing]
    absent: frozenset[Missing]


def monitors_of(database: Database, wanted: Iterable[Monitor | type[Row]] | None) -> dict[str, Monitor]:
    """The monitors by table name; None stands for every declared table. Raises ValueError for what is not declared."""
    if wanted is None:
        wanted = [table.row for table in database.tables.values()]
    monitors: dict[str, Monitor] = {}
    for item in wanted:
        monitor = item if isinstance(item, Monitor) else Monitor(item)
        spec = monitor.table.spec
        if database.tables.get(spec.name) is not spec:
            raise ValueError(f"table {spec.name} is not one of database {database.name}")
        if spec.name in monitors:
            raise ValueError(f"table {spec.name} is monitored twice; give it one Monitor")
        for column in monitor.columns or ():
            column_of(monitor.table, column)
        monitors[spec.name] = monitor
    return monitors


def plan(database: Database, monitors: Mapping[str, Monitor], schema: Any) -> Plan:
    """Compares the declaration with a `get_schema` reply. Raises ProtocolError if that is not a schema."""
    try:
        served = {name: _columns(spec) for name, spec in schema["tables"].items()}
        absent = frozenset(lack for table in database.tables.values() for lack in _lacks(table, served.get(table.name)))
        codecs = {
            name: table_codec(monitor.table.spec, _chosen(monitor, served[name], absent))
            for name, monitor in monitors.items()
            if name in served
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProtocolError(f"database {database.name}: the server's schema cannot be read: {error!r}") from None
    wanted = {(name, column) for name, monitor in monitors.items() for column in (None, *_wanted(monitor))}
    return Plan(codecs, frozenset(lack for lack in absent if lack in wanted), absent)


def request(plan: Plan, where: Mapping[str, list[Any]], *, conditional: bool = True) -> dict[str, Any]:
    """The `<monitor-cond-requests>` (or, not conditional, `<monitor-requests>`) object."""
    requests: dict[str, Any] = {}
    for name, codec in plan.codecs.items():
        spec: dict[str, Any] = {"columns": list(codec.columns)}
        if conditional and (conditions := usable_where(plan, name, where.get(name, []))):
            spec["where"] = conditions
        requests[name] = [spec]
    return requests


def usable_where(plan: Plan, table: str, where: list[Any]) -> list[Any]:
    """The conditions, or none at all (every row) if one names a column that the server cannot know."""
    return [] if any((table, column) in plan.absent for column in columns_in(where)) else where


def _columns(table: Any) -> dict[str, Any]:
    return {name: spec["type"] for name, spec in table["columns"].items()}


def _lacks(table: Table, served: Mapping[str, Any] | None) -> Iterable[Missing]:
    if served is None:
        return [(table.name, None), *((table.name, name) for name in table.columns)]
    return [
        (table.name, name)
        for name, column in table.columns.items()
        if name not in served or not same_kinds(column, served[name])
    ]


def _wanted(monitor: Monitor) -> list[str]:
    if monitor.columns is None:
        return list(monitor.table.spec.columns)
    return [column_of(monitor.table, name).name for name in monitor.columns]


def _chosen(monitor: Monitor, served: Mapping[str, Any], absent: frozenset[Missing]) -> dict[str, int]:
    table = monitor.table.spec.name
    return {name: server_max(served[name]) for name in _wanted(monitor) if (table, name) not in absent}
