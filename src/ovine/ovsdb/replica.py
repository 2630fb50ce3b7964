"""A copy in memory of the monitored tables, as model rows, with indexes and change batches.

Terms: a *change* is one row before and after; a *batch* is all changes of one update notification, that is of one
committed transaction (or of the initial dump).

Invariants: a batch is decoded as a whole before the first row is touched, so a malformed one changes nothing; no
change has equal `old` and `new`; indexes always agree with the rows.

Tests: tests/unit/ovsdb/test_replica.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, cast

from ovine.model.base import Database, Row, Uuid
from ovine.ovsdb.codec import TableCodec
from ovine.ovsdb.conditions import column_of
from ovine.ovsdb.errors import ProtocolError
from ovine.ovsdb.framing import collector_paused
from ovine.ovsdb.plan import Missing, Plan

R = TypeVar("R", bound=Row)


class Change(NamedTuple):
    """One row before and after: `old` is None for a new row, `new` for one that is gone."""

    table: type[Row]
    uuid: Uuid
    old: Row | None
    new: Row | None


Batch = Sequence[Change]

SLICE = 1000
"""So many rows are decoded in one step: some milliseconds of work."""

_by_uuid = attrgetter("uuid")
_by_table = attrgetter("table")
_Decode = Callable[[TableCodec, Uuid, "Row | None", Any], "Row | None"]


class Index(Generic[R]):
    """Rows of one table by the values of some columns; kept up to date by the replica.

    With `members`, rows by each member of one column, a set.
    """

    def __init__(self, attributes: tuple[str, ...], rows: Mapping[Uuid, R], *, members: bool = False) -> None:
        self._key = attrgetter(*attributes)
        self._single = len(attributes) == 1
        self._members = members
        self._rows: dict[Any, dict[Uuid, R]] = {}
        for row in rows.values():
            self._put(row)

    def find(self, *values: Any) -> tuple[R, ...]:
        """The rows whose columns have these values, in the order of their uuids."""
        rows = self._rows.get(self._lookup(values))
        if not rows:
            return ()
        return tuple(rows.values()) if len(rows) == 1 else tuple(sorted(rows.values(), key=_by_uuid))

    def one(self, *values: Any) -> R | None:
        """The first of `find`, or None."""
        rows = self._rows.get(self._lookup(values))
        return min(rows.values(), key=_by_uuid) if rows else None

    def has(self, *values: Any) -> bool:
        """Whether there are such rows."""
        return self._lookup(values) in self._rows

    def keys(self) -> Iterator[Any]:
        """The values that occur; tuples of them if the index has several columns."""
        return iter(self._rows)

    def _lookup(self, values: tuple[Any, ...]) -> Any:
        return values[0] if self._single and len(values) == 1 else values

    def _keys(self, row: R) -> tuple[Any, ...]:
        return tuple(self._key(row)) if self._members else (self._key(row),)

    def _put(self, row: R) -> None:
        for key in self._keys(row):
            self._rows.setdefault(key, {})[row.uuid] = row

    def _drop(self, row: R) -> None:
        for key in self._keys(row):
            rows = self._rows[key]
            del rows[row.uuid]
            if not rows:
                del self._rows[key]

    def _apply(self, change: Change) -> None:
        if change.old is not None:
            self._drop(cast(R, change.old))
        if change.new is not None:
            self._put(cast(R, change.new))


class _Store:
    """The rows of one table and the indexes over them."""

    def __init__(self) -> None:
        self.rows: dict[Uuid, Row] = {}
        self.view: Mapping[Uuid, Row] = MappingProxyType(self.rows)
        self.indexes: dict[tuple[str, ...] | str, Index[Any]] = {}
        """By columns; those over the members of a column by its name."""


class Replica:
    """The rows that a client has seen. Readers get live views; only the client's session changes them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.missing_columns: frozenset[Missing] = frozenset()
        """Monitored tables (table, None) and columns (table, column) that the server's schema lacks."""
        self._stores = {table.name: _Store() for table in database.tables.values()}
        self._asked: dict[tuple[type[Row], tuple[str, ...]], Index[Any]] = {}
        """The indexes by the names that they were asked for with."""

    def rows(self, table: type[R]) -> Mapping[Uuid, R]:
        """A live, read-only view of a table."""
        return cast(Mapping[Uuid, R], self._store(table).view)

    def get(self, table: type[R], uuid: Uuid) -> R | None:
        return cast("R | None", self._store(table).rows.get(uuid))

    def index(self, table: type[R], *columns: str) -> Index[R]:
        """The index of a table over these columns (database or attribute names), made at the first call."""
        return self._asked.get((table, columns)) or self._index(table, columns)

    def _index(self, table: type[R], columns: tuple[str, ...]) -> Index[R]:
        if not columns:
            raise ValueError("an index needs at least one column")
        attributes = tuple(name if name == "uuid" else column_of(table, name).attribute for name in columns)
        store = self._store(table)
        index = store.indexes.get(attributes)
        if index is None:
            index = store.indexes[attributes] = Index(attributes, cast(Mapping[Uuid, R], store.rows))
        self._asked[table, columns] = index
        return index

    def holders(self, table: type[R], column: str) -> Index[R]:
        """The index of a table over the members of a set column, made at the first call."""
        attribute, store = column_of(table, column).attribute, self._store(table)
        index = store.indexes.get(attribute)
        if index is None:
            rows = cast(Mapping[Uuid, R], store.rows)
            index = store.indexes[attribute] = Index((attribute,), rows, members=True)
        return index

    def _store(self, table: type[Row]) -> _Store:
        store = self._stores.get(table.spec.name)
        if store is None:
            raise ValueError(f"table {table.spec.name} is not one of database {self.database.name}")
        return store

    # --- changes, made by the session ---

    def apply(self, plan: Plan, updates: Any, *, old_format: bool = False, whole: bool = False) -> tuple[Change, ...]:
        """Applies `<table-updates2>` (or, in the old format, `<table-updates>`) and returns what changed.

        With `whole` the updates are everything there is: rows that they do not name are removed. Raises
        ProtocolError, and has then changed nothing. `updates` is used up.
        """
        steps = self.applying(plan, updates, old_format=old_format, whole=whole)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return cast("tuple[Change, ...]", done.value)

    def applying(
        self, plan: Plan, updates: Any, *, old_format: bool = False, whole: bool = False
    ) -> Generator[None, None, tuple[Change, ...]]:
        """As `apply`, a step at a time. All changes are made by the last step, which returns them.

        Nothing else may be applied meanwhile; without the last step nothing has changed. `updates` is used up.
        """
        decode: _Decode = _row_update if old_format else _row_update2
        changes: list[Change] = []
        rows = 0
        for codec, updated in _slices(plan, updates):
            if rows >= SLICE:
                yield
                rows = 0
            with collector_paused(True):
                changes += self._decode(codec, updated, decode)
            rows += len(updated)
        if whole:
            changes += self._left_over(updates)
        self._commit(changes)
        return tuple(changes)

    def _decode(self, codec: TableCodec, updated: Iterable[tuple[Uuid, Any]], decode: _Decode) -> Iterator[Change]:
        table, rows = codec.table.row, self._stores[codec.table.name].rows
        for uuid, update in updated:
            old = rows.get(uuid)
            new = decode(codec, uuid, old, update)
            if new != old:
                yield Change(table, uuid, old, new)

    def _left_over(self, updates: Mapping[str, Mapping[str, Any]]) -> Iterable[Change]:
        for name, store in self._stores.items():
            table, named = self.database.tables[name].row, updates.get(name, {})
            for uuid, row in store.rows.items():
                if uuid not in named:
                    yield Change(table, uuid, row, None)

    def _commit(self, changes: Sequence[Change]) -> None:
        for table, group in groupby(changes, _by_table):
            store, changed = self._stores[table.spec.name], list(group)
            for change in changed:
                if change.new is None:
                    del store.rows[change.uuid]
                else:
                    store.rows[change.uuid] = change.new
            for index in store.indexes.values():
                for change in changed:
                    index._apply(change)


def _slices(plan: Plan, updates: Any) -> Iterator[tuple[TableCodec, list[tuple[Uuid, Any]]]]:
    """The updates of each table, some rows at a time."""
    for name, rows in _items(updates, "table updates"):
        codec = plan.codecs.get(name)
        if codec is None:
            raise ProtocolError(f"an update for table {name!r}, which is not monitored")
        items = iter(_items(rows, f"updates of table {name}"))
        while updated := list(islice(items, SLICE)):
            yield codec, updated
            # What has been decoded is let go by slices, too; all at once would be another long step.
            for uuid, _ in updated:
                rows[uuid] = None


def _items(value: Any, what: str) -> Iterable[tuple[Any, Any]]:
    if value.__class__ is not dict:
        raise ProtocolError(f"expected an object of {what}, got {repr(value)[:60]}")
    return value.items()


def _row_update2(codec: TableCodec, uuid: Uuid, old: Row | None, update: Any) -> Row | None:
    """The row after one `<row-update2>` (ovsdb-server(7), 4.1.14)."""
    for kind, row in _items(update, f"updates of row {uuid}"):
        if kind == "initial" or kind == "insert":
            return codec.decode(uuid, row)
        if kind == "delete":
            return None
        if kind == "modify":
            if old is None:
                raise ProtocolError(f"table {codec.table.name}: a change of the unknown row {uuid}")
            return codec.patch(old, row)
    raise ProtocolError(f"table {codec.table.name}, row {uuid}: unknown kind of update {repr(update)[:60]}")


def _row_update(codec: TableCodec, uuid: Uuid, old: Row | None, update: Any) -> Row | None:
    """The row after one `<row-update>` (RFC 7047, 4.1.6): whole rows, old and new."""
    if update.__class__ is not dict or not update.keys() & {"old", "new"}:
        raise ProtocolError(f"table {codec.table.name}, row {uuid}: unknown kind of update {repr(update)[:60]}")
    row = update.get("new")
    return None if row is None else codec.decode(uuid, row)
