"""The `.ovsschema` file of a declared database, and the comparison of a declaration with a server's schema.

Format: RFC 7047, section 3.2, and ovsdb(7). Tests: tests/unit/model/test_schema.py.
"""

from __future__ import annotations

from typing import Any

from ovine.model.base import UNLIMITED, Atom, Column, Database, Table


def to_json(database: Database) -> dict[str, Any]:
    """The schema as the JSON object that `ovsdb-tool create` takes. Plain types are written in their short form."""
    return {
        "name": database.name,
        "version": database.version,
        "tables": {name: _table(table) for name, table in database.tables.items()},
    }


def _table(table: Table) -> dict[str, Any]:
    spec: dict[str, Any] = {"columns": {name: _column(column) for name, column in table.columns.items()}}
    if table.root:
        spec["isRoot"] = True
    if table.max_rows is not None:
        spec["maxRows"] = table.max_rows
    if table.indexes:
        spec["indexes"] = [list(index) for index in table.indexes]
    return spec


def _column(column: Column) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": column_type(column)}
    if column.ephemeral:
        spec["ephemeral"] = True
    if not column.mutable:
        spec["mutable"] = False
    return spec


def column_type(column: Column) -> Any:
    """The `<type>` of RFC 7047 for one column."""
    key = _atom(column.key)
    if column.is_scalar and isinstance(key, str):
        return key
    spec: dict[str, Any] = {"key": key}
    if column.value is not None:
        spec["value"] = _atom(column.value)
    if not column.is_scalar:
        spec["min"] = column.min
        spec["max"] = "unlimited" if column.max == UNLIMITED else column.max
    return spec


def _atom(atom: Atom) -> Any:
    spec: dict[str, Any] = {"type": atom.kind}
    if atom.low is not None:
        spec["minInteger"] = atom.low
    if atom.high is not None:
        spec["maxInteger"] = atom.high
    if atom.enum:
        spec["enum"] = ["set", list(atom.enum)]
    if atom.max_length is not None:
        spec["maxLength"] = atom.max_length
    if atom.ref_table is not None:
        spec["refTable"] = atom.ref_table
        spec["refType"] = "strong" if atom.ref_strong else "weak"
    return atom.kind if len(spec) == 1 else spec


def normal_type(spec: Any) -> tuple[Any, ...]:
    """A `<type>` in one comparable form, whichever of its several spellings a schema file used."""
    if isinstance(spec, str):
        spec = {"key": spec}
    return (
        _normal_atom(spec["key"]),
        _normal_atom(spec["value"]) if "value" in spec else None,
        spec.get("min", 1),
        spec.get("max", 1),
    )


def _normal_atom(spec: Any) -> tuple[tuple[str, Any], ...]:
    if isinstance(spec, str):
        return (("type", spec),)
    spec = dict(spec)
    if "refTable" in spec:
        spec.setdefault("refType", "strong")
    if "enum" in spec:
        values = spec["enum"]
        spec["enum"] = tuple(sorted(values[1])) if isinstance(values, list) and values[0] == "set" else (values,)
    return tuple(sorted(spec.items()))
