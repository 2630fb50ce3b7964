"""How rules and queries see the world: every read goes through a Reader, and is recorded.

A row is handed out as a *view*: it has the row's attributes, and each attribute read is recorded as a read of that
column only, so that a change of another column does not run the reader again. A property of the row's class counts as
the columns that it reads. A view is not a value: it can be neither compared, hashed nor emitted; use `Reader.value` for
the whole row.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, overload

from ovine.engine.relation import AnyRelation, Gather, Index, K, Query, Relation, V
from ovine.engine.store import EVERYTHING, EXISTENCE, Store, columns_of, stable_order
from ovine.model.members import as_column

if TYPE_CHECKING:
    from ovine.engine.engine import Engine

R = TypeVar("R")

MANY = 32
"""An index entry with more keys is left in order when it has been read, so that ordering it again is quick."""


class View:
    """A row whose attribute reads are recorded. Subclasses, one for each value type, are made by `view_class`."""

    __slots__ = ("_deps", "_slot", "_value")

    def __init__(self, value: Any, deps: dict[tuple[Store, Hashable], int], slot: tuple[Store, Hashable]) -> None:
        self._value = value
        self._deps = deps
        self._slot = slot

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a view of a row is not a value: read its columns, or take the whole row with q.value(…)")

    __hash__ = _refuse
    __eq__ = _refuse
    __reduce__ = _refuse

    def __repr__(self) -> str:
        return f"<view of {self._value!r}>"


def _column(name: str, bit: int) -> property:
    def read(self: View) -> Any:
        self._deps[self._slot] |= bit
        return getattr(self._value, name)

    return property(read)


_VIEWS: dict[type[Any], type[View] | None] = {}


def view_class(kind: type[Any]) -> type[View] | None:
    """The View subclass for a value type; None for a type without columns, which is read as a whole."""
    if kind not in _VIEWS:
        columns = columns_of(kind)
        body: dict[str, Any] = {
            name: member
            for base in reversed(kind.__mro__)
            for name, member in vars(base).items()
            if isinstance(member, property)
        }
        body |= {name: _column(name, 2 << n) for n, name in enumerate(columns)}
        _VIEWS[kind] = type(f"{kind.__name__}View", (View,), body | {"__slots__": ()}) if columns else None
    return _VIEWS[kind]


class Reader:
    """The only way for a rule or query to learn anything; conventionally called `q`."""

    __slots__ = ("_deps", "_engine")

    def __init__(self, engine: Engine, deps: dict[tuple[Store, Hashable], int]) -> None:
        """`deps` collects what is read: (store, key) → mask."""
        self._engine = engine
        self._deps = deps

    @overload
    def get(self, relation: Relation[K, R], key: K) -> R | None: ...
    @overload
    def get(self, relation: type[R], key: Hashable) -> R | None: ...
    def get(self, relation: Any, key: Hashable) -> Any:
        """The row under `key` as a view (or the value itself where it has no columns), or None."""
        store = self._engine.settled_table(relation)
        slot = (store, key)
        value = store.rows.get(key)
        if value is None:
            self._deps.setdefault(slot, EXISTENCE)
            return None
        made = view_class(type(value))
        if made is None:
            self._deps[slot] = EVERYTHING
            return value
        self._deps.setdefault(slot, EXISTENCE)
        return made(value, self._deps, slot)

    @overload
    def row(self, relation: Relation[K, R], key: K) -> R: ...
    @overload
    def row(self, relation: type[R], key: Hashable) -> R: ...
    def row(self, relation: Any, key: Hashable) -> Any:
        """As `get`, where the row must exist: LookupError otherwise."""
        found = self.get(relation, key)
        if found is None:
            raise LookupError(f"{relation!r} has no row {key!r}")
        return found

    @overload
    def value(self, relation: Relation[K, R], key: K) -> R | None: ...
    @overload
    def value(self, relation: type[R], key: Hashable) -> R | None: ...
    def value(self, relation: Any, key: Hashable) -> Any:
        """The whole row as a value; any change of it runs the reader again."""
        store = self._engine.settled_table(relation)
        self._deps[store, key] = EVERYTHING
        return store.rows.get(key)

    def keys(self, relation: AnyRelation) -> tuple[Any, ...]:
        """All keys of a relation, in a stable order; runs the reader again when one comes or goes."""
        store = self._engine.settled_table(relation)
        self._deps[store.membership, None] = EVERYTHING
        return stable_order(store.rows)

    def find(self, index: Index[V], entry: Hashable) -> tuple[Any, ...]:
        """The keys that an index has under `entry`, in a stable order."""
        store = self._engine.settled_index(index)
        self._deps[store, entry] = EVERYTHING
        keys = store.entries.get(entry)
        if not keys:
            return ()
        ordered = stable_order(keys)
        if len(ordered) > MANY:
            store.entries[entry] = dict.fromkeys(ordered)
        return ordered

    def members(self, gather: Gather[Any, Any], entry: Hashable) -> tuple[Any, ...]:
        """The set that was gathered for `entry`, as the value of a set column."""
        store = self._engine.settled_gather(gather)
        self._deps[store, entry] = EVERYTHING
        found = store.entries.get(entry)
        return as_column(found) if found is not None else ()

    def find_rows(self, index: Index[V], entry: Hashable) -> list[V]:
        """The rows that an index has under `entry`, as views."""
        relation = cast(Any, index.relation)
        return [self.row(relation, key) for key in self.find(index, entry)]

    def entries(self, index: Index[Any]) -> tuple[Any, ...]:
        """All entries of an index, in a stable order."""
        store = self._engine.settled_index(index)
        self._deps[store.membership, None] = EVERYTHING
        return stable_order(store.entries)

    def query(self, query: Query[Any, R], args: tuple[Hashable, ...]) -> R:
        """A query's result; used by calling the query itself."""
        store = self._engine.query_store(query)
        self._deps[store, args] = EVERYTHING
        return cast(R, self._engine.ask(store, args))
