"""Transactions, built in their wire form as they are written down (RFC 7047, section 5.2).

Rows are inserted with a uuid chosen here (ovsdb-server(7), 5.2.1: the "uuid" member, Open vSwitch 2.13), so that
later operations and the caller can refer to them at once. For servers that do not know that member,
`with_named_uuids` rewrites the operations to RFC 7047's named uuids; `Outcome.uuid` then tells the real one.

Tests: tests/unit/ovsdb/test_transaction.py, tests/interop/test_ovsdb_server.py.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, cast

from ovine.model.base import NO_UUID, Row, Uuid
from ovine.model.members import Members
from ovine.ovsdb.codec import TableCodec, table_codec
from ovine.ovsdb.conditions import Where, column_of, columns_in, encode_column, encode_part, encode_row, encode_where
from ovine.ovsdb.errors import ProtocolError, TransactionError
from ovine.ovsdb.plan import Missing

R = TypeVar("R", bound=Row)

MUTATORS = frozenset({"+=", "-=", "*=", "/=", "%=", "insert", "delete"})


class Transaction:
    """Operations that happen all together or not at all. False when it has none.

    The methods check names and types at once and raise ValueError; each but `insert` returns the operation's index,
    by which `Outcome` knows its result.
    """

    def __init__(self) -> None:
        self.operations: list[dict[str, Any]] = []

    def __bool__(self) -> bool:
        return bool(self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def insert(self, row: Row, *, name: str | None = None) -> Uuid:
        """Inserts a row and returns its uuid: the row's own, or a fresh one if that is NO_UUID.

        Only columns that differ from their type's default are written. `name` makes it known as a named uuid too.
        """
        uuid = Uuid(str(uuids.uuid4())) if row.uuid == NO_UUID else row.uuid
        values = encode_row(row)
        operation: dict[str, Any] = {"op": "insert", "table": row.spec.name, "uuid": uuid, "row": values}
        if name is not None:
            operation["uuid-name"] = name
        self._add(operation)
        return uuid

    def update(self, table: type[Row], uuid: Uuid, **columns: Any) -> int:
        """Sets columns of one row."""
        return self.update_where(table, _this(uuid), **columns)

    def update_where(self, table: type[Row], where: Where, **columns: Any) -> int:
        """Sets columns of all rows for which every condition holds."""
        return self._on(table, "update", where, row=_values(table, columns))

    def mutate(self, table: type[Row], uuid: Uuid, column: str, mutator: str, value: Any) -> int:
        """Changes a column relative to what it holds: arithmetic, or "insert"/"delete" of members.

        To delete from a map, give a Map (pairs that must match) or a tuple of keys.
        """
        return self.mutate_where(table, _this(uuid), column, mutator, value)

    def mutate_where(self, table: type[Row], where: Where, column: str, mutator: str, value: Any) -> int:
        return self._on(table, "mutate", where, mutations=[_mutation(table, column, mutator, value)])

    def delete(self, table: type[Row], uuid: Uuid) -> int:
        return self.delete_where(table, _this(uuid))

    def delete_where(self, table: type[Row], where: Where) -> int:
        return self._on(table, "delete", where)

    def wait(
        self,
        table: type[Row],
        where: Where,
        columns: Sequence[str],
        rows: Iterable[Row | Mapping[str, Any]],
        until: str = "==",
        timeout: int = 0,
    ) -> int:
        """Goes on only if the rows selected by `where` are (`==`) or are not (`!=`) exactly `rows` in these columns.

        `timeout` is in milliseconds; when it is over, the transaction fails with "timed out".
        """
        if until not in ("==", "!="):
            raise ValueError(f'until is "==" or "!=", not {until!r}')
        chosen = [column_of(table, name) for name in columns]
        wire = [{c.name: encode_column(table, c, _value_in(row, c.attribute, c.name)) for c in chosen} for row in rows]
        names = [column.name for column in chosen]
        return self._on(table, "wait", where, columns=names, rows=wire, until=until, timeout=timeout)

    def wait_row(self, row: Row, *columns: str) -> int:
        """Fails with "timed out" if these columns (all, if none is named) no longer hold what `row` holds."""
        table = type(row)
        return self.wait(table, _this(row.uuid), columns or tuple(table.spec.columns), [row])

    def select(self, table: type[Row], where: Where = (), columns: Sequence[str] | None = None) -> int:
        """Reads rows on the server; `Outcome.rows` has them."""
        names = [column_of(table, name).name for name in columns or table.spec.columns]
        return self._on(table, "select", where, columns=["_uuid", *names])

    def assert_lock(self, name: str) -> int:
        """Fails with "not owner" unless this client holds the lock."""
        return self._add({"op": "assert", "lock": name})

    def comment(self, text: str) -> int:
        """A note for the server's log."""
        return self._add({"op": "comment", "comment": text})

    def abort(self) -> int:
        """Fails with "aborted": what comes before it is checked and undone."""
        return self._add({"op": "abort"})

    def commit(self, *, durable: bool = True) -> int:
        """With `durable`, the reply comes after the transaction is on disk."""
        return self._add({"op": "commit", "durable": durable})

    def _on(self, table: type[Row], op: str, where: Where, **members: Any) -> int:
        return self._add({"op": op, "table": table.spec.name, "where": encode_where(table, where), **members})

    def _add(self, operation: dict[str, Any]) -> int:
        self.operations.append(operation)
        return len(self.operations) - 1


def _this(uuid: Uuid) -> Where:
    return [("_uuid", "==", uuid)]


def _value_in(row: Row | Mapping[str, Any], attribute: str, name: str) -> Any:
    if isinstance(row, Row):
        return getattr(row, attribute)
    if attribute not in row and name not in row:
        raise ValueError(f"a row to wait for has no column {name!r}")
    return row[attribute] if attribute in row else row[name]


def _values(table: type[Row], columns: Mapping[str, Any]) -> dict[str, Any]:
    if not columns:
        raise ValueError(f"an update of table {table.spec.name} names no column")
    chosen = [(column_of(table, name), value) for name, value in columns.items()]
    return {column.name: encode_column(table, column, value) for column, value in chosen}


def _mutation(table: type[Row], name: str, mutator: str, value: Any) -> list[Any]:
    if mutator not in MUTATORS:
        raise ValueError(f"unknown mutator {mutator!r}; one of {', '.join(sorted(MUTATORS))}")
    column = column_of(table, name)
    if column.is_map and mutator == "delete" and not isinstance(value, Mapping | list):
        keys = value if isinstance(value, tuple | set | frozenset | Members) else (value,)
        kind = column.key.kind
        return [column.name, mutator, ["set", [["uuid", key] if kind == "uuid" else key for key in keys]]]
    if mutator in ("insert", "delete"):
        return [column.name, mutator, encode_part(table, column, value)]
    # Arithmetic takes one number, also on a set of numbers.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"table {table.spec.name}, column {column.name}: {mutator} needs a number, got {value!r}")
    return [column.name, mutator, value]


# --- results -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a committed transaction gave: one object per operation, as the server wrote it."""

    results: tuple[Any, ...]
    renamed: Mapping[Uuid, Uuid] = field(default_factory=dict)
    """Only where the server chose the uuids of inserted rows: from the one `insert` returned to the real one."""

    def uuid(self, inserted: Uuid) -> Uuid:
        """The real uuid of a row for which `Transaction.insert` returned `inserted`."""
        return self.renamed.get(inserted, inserted)

    def count(self, index: int) -> int:
        """How many rows an update, mutate or delete operation found."""
        return int(self.results[index]["count"])

    def rows(self, table: type[R], index: int) -> tuple[R, ...]:
        """The rows that a select operation found; columns that were not asked for hold their defaults."""
        codec = _whole_codec(table)
        rows = (dict(row) for row in self.results[index]["rows"])
        return tuple(cast(R, codec.decode(Uuid(row.pop("_uuid")[1]), row)) for row in rows)


@cache
def _whole_codec(table: type[Row]) -> TableCodec:
    return table_codec(table.spec, {name: column.max for name, column in table.spec.columns.items()})


def outcome(operations: Sequence[Mapping[str, Any]], result: Any) -> Outcome:
    """Reads a transact reply. Raises TransactionError if it says that an operation or the commit failed."""
    if not isinstance(result, list):
        raise ProtocolError(f"expected an array as the reply to transact, got {repr(result)[:60]}")
    for index, item in enumerate(result):
        if isinstance(item, dict) and "error" in item:
            where = index if index < len(operations) else None
            raise TransactionError(str(item["error"]), str(item.get("details", "")), where)
    if len(result) < len(operations) or not all(isinstance(item, dict) for item in result):
        raise ProtocolError(f"a reply to {len(operations)} operations has {len(result)} results")
    renamed = {}
    for operation, item in zip(operations, result, strict=False):
        if operation["op"] == "insert" and (given := operation.get("uuid")) is not None:
            real = item.get("uuid", ["uuid", given])[1]
            if real != given:
                renamed[given] = real
    return Outcome(tuple(result), renamed)


# --- servers that know less ----------------------------------------------------------------------------------------


def with_named_uuids(operations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same operations without explicit uuids: each inserted row is named, and referred to by its name."""
    names = {op["uuid"]: op.get("uuid-name", f"row{op['uuid']}".replace("-", "_")) for op in operations if "uuid" in op}
    rewritten = []
    for op in operations:
        new = {key: _rename(value, names) for key, value in op.items() if key != "uuid"}
        if "uuid" in op:
            new["uuid-name"] = names[op["uuid"]]
        rewritten.append(new)
    return rewritten


def _rename(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        if len(value) == 2 and value[0] == "uuid" and value[1] in names:
            return ["named-uuid", names[value[1]]]
        return [_rename(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _rename(item, names) for key, item in value.items()}
    return value


def refuses_uuids(error: TransactionError) -> bool:
    """Whether this is what a server older than Open vSwitch 2.13 says to an insert with a uuid."""
    return error.kind == "syntax error" and "'uuid'" in error.details and "not allowed" in error.details


def fit(
    operations: Sequence[Mapping[str, Any]], absent: frozenset[Missing], default: Callable[[str, str], Any]
) -> list[dict[str, Any]]:
    """The operations without columns that the server lacks, where leaving them out changes nothing.

    That is so if the default is written to such a column, or if it is only read. Raises TransactionError otherwise.
    `default` gives the JSON of a column's default.
    """
    return [_fit(dict(op), index, absent, default) for index, op in enumerate(operations)]


def _fit(
    op: dict[str, Any], index: int, absent: frozenset[Missing], default: Callable[[str, str], Any]
) -> dict[str, Any]:
    table = op.get("table")
    if table is None:
        return op
    if (table, None) in absent:
        raise TransactionError("unknown table", f"the server's schema has no table {table}", index)
    needed = columns_in(op.get("where", ())) | {mutation[0] for mutation in op.get("mutations", ())}
    written = [row for row in (op.get("row"), *op.get("rows", ())) if row is not None]
    needed |= {name for row in written for name, value in row.items() if value != default(table, name)}
    for name in sorted(needed):
        if (table, name) in absent:
            raise TransactionError("unknown column", f"the server's schema has no column {table}.{name}", index)
    if "row" in op:
        op["row"] = {name: value for name, value in op["row"].items() if (table, name) not in absent}
    if "rows" in op:
        op["rows"] = [{k: v for k, v in row.items() if (table, k) not in absent} for row in op["rows"]]
    if "columns" in op:
        op["columns"] = [name for name in op["columns"] if (table, name) not in absent]
    return op
