"""Conditions of RFC 7047 (section 5.1) written with Python values.

A condition is `(column, function, value)` or a bool; a *where* is a sequence of them. In a transaction all must hold,
in a monitor any (ovsdb-server(7), 4.1.12). The column is the database's name or the row's attribute, or "_uuid". The
value is a value of the column, or one member of a set; a `list` is taken as JSON and passed on untouched.

Tests: tests/unit/ovsdb/test_conditions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from ovine.model.base import Column, Row
from ovine.model.members import Members
from ovine.ovsdb.codec import Encode, encode_atom, encoder

Condition = tuple[str, str, Any] | list[Any] | bool
Where = Sequence[Condition]

FUNCTIONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "includes", "excludes"})


def column_of(table: type[Row], name: str) -> Column:
    """The column with that name in the database or in Python. Raises ValueError."""
    column = _by_any_name(table).get(name)
    if column is None:
        raise ValueError(f"table {table.spec.name} has no column {name!r}")
    return column


@cache
def _by_any_name(table: type[Row]) -> dict[str, Column]:
    columns = table.spec.columns
    return {column.attribute: column for column in columns.values()} | dict(columns)


@cache
def encoders(table: type[Row]) -> dict[str, Encode]:
    """The encoder of each column, by database name."""
    return {name: encoder(column) for name, column in table.spec.columns.items()}


def encode_column(table: type[Row], column: Column, value: Any) -> Any:
    """A whole value of a column to JSON. Raises ValueError that names the column."""
    try:
        return encoders(table)[column.name](value)
    except ValueError as error:
        raise ValueError(f"table {table.spec.name}, column {column.name}: {error}") from None


def encode_row(row: Row) -> dict[str, Any]:
    """The columns of a row that differ from their types' defaults. Raises ValueError that names the column."""
    wire: dict[str, Any] = {}
    name = ""
    try:
        for name, attribute, default, encode in _fields(type(row)):
            value = getattr(row, attribute)
            if value != default:
                wire[name] = encode(value)
    except ValueError as error:
        raise ValueError(f"table {type(row).spec.name}, column {name}: {error}") from None
    return wire


@cache
def _fields(table: type[Row]) -> tuple[tuple[str, str, Any, Encode], ...]:
    columns = table.spec.columns.values()
    return tuple((column.name, column.attribute, column.default, encoder(column)) for column in columns)


def encode_part(table: type[Row], column: Column, value: Any) -> Any:
    """Like `encode_column`, but one member of a set may stand alone, and JSON (a list) is passed on."""
    if isinstance(value, list):
        return value
    atom = column.value is None and value is not None and not isinstance(value, tuple | set | frozenset | Members)
    return encode_column(table, column, value if not atom or column.is_scalar or column.is_optional else (value,))


def encode_where(table: type[Row], where: Where) -> list[Any]:
    """Conditions to JSON. Raises ValueError for an unknown column, function or a value of another type."""
    return [_encode_condition(table, condition) for condition in where]


def _encode_condition(table: type[Row], condition: Condition) -> Any:
    if isinstance(condition, bool):
        return condition
    if len(condition) != 3:
        raise ValueError(f"a condition is (column, function, value), not {condition!r}")
    name, function, value = condition
    if function not in FUNCTIONS:
        raise ValueError(f"unknown function {function!r} in a condition; one of {', '.join(sorted(FUNCTIONS))}")
    if name == "_uuid":
        return [name, function, value if isinstance(value, list) else encode_atom("uuid", value)]
    column = column_of(table, name)
    return [column.name, function, encode_part(table, column, value)]


def columns_in(where: Sequence[Any]) -> set[str]:
    """The columns that encoded conditions name."""
    return {condition[0] for condition in where if not isinstance(condition, bool)}
