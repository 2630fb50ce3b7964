"""Derived rows into a target database, by difference.

A *projection* keeps the tables that it owns in a target database equal to derived relations of an engine. Each `Target`
says which relation becomes which table, how an actual row is recognised (its *natural key*), and which columns are
ours. Desired rows are the engine's; actual rows are the replica's; what is to be written is their difference, worked
out anew whenever either side changes, so that a lost transaction, a restart and another writer's interference are all
the same case.

Invariants:
- A row that is there keeps its uuid; a row with the same natural key made by another program is taken over.
- Rows whose natural key is None belong to others and are never touched; nor are columns that a Target does not name.
- Foreign changes of owned columns are put back, and said so in `put_back`.
- A row that its database keeps only while another refers to it (not of the root set, RFC 7047, section 3.2) is made
  with what refers to it, and not before: it would be gone as soon as it was there, and be missing again for ever.
- A large set is compared by what has changed on either side (`ovine.comparison`), and written by what differs.
- A key stays dirty until it is seen to be equal, whatever was sent. Only one transaction may be under way at a time,
  its own changes must have reached the replica before `plan` is called again, and if it fails `lost` is to be called.

Tests: tests/interop/test_projection.py.
"""

from __future__ import annotations

import uuid as uuids
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast
from weakref import WeakValueDictionary

from ovine.comparison import Comparison
from ovine.engine import Engine, Relation
from ovine.model.base import Column, Map, Row, Uuid
from ovine.model.members import Members
from ovine.ovsdb import Change, Replica, Transaction

R = TypeVar("R", bound=Row)

NAMESPACE = uuids.UUID("6f76696e-6500-5000-8000-70726f6a6563")
"""Of the uuids of new rows: they depend on table and natural key alone, so that a rebuilt database gets the same."""

MUTATE_FROM = 8
"""A set or map column that has at least so many members is changed by what differs instead of being written whole."""


class Names(Protocol):
    """Finds the natural key of an actual row; the Target of its table must stand before the one that asks."""

    def __call__(self, table: type[Row], uuid: Uuid | None) -> Hashable | None: ...


class Ref(str):
    """Stands in a reference column of a derived row for the uuid of another derived row; made by `ref`."""

    relation: Relation[Any, Any]
    key: Hashable


_REFS: WeakValueDictionary[tuple[Relation[Any, Any], Hashable], Ref] = WeakValueDictionary()
"""One object for all who refer to the same row: sets of thousands are made again whenever one member comes or goes."""


def ref(relation: Relation[Any, Any], key: Hashable) -> Uuid:
    """The uuid, not known yet, of the row that `relation` has under `key`."""
    made = _REFS.get((relation, key))
    if made is None:
        made = _REFS[relation, key] = Ref(f"ref:{relation.name}:{key!r}")
        made.relation, made.key = relation, key
    return Uuid(made)


@dataclass(frozen=True, eq=False)
class Target(Generic[R]):
    """One table of the target database.

    `key(row, names)` gives the natural key of an actual row, which is the relation's key of the row that it should
    equal; None for a row of somebody else's. `columns` are the attributes that we own. With `update_only` rows are
    never made or deleted, only those that are there are changed. With `shared` rows that the relation does not have are
    somebody else's and stay. In the sets of references `partial`, rows of others stay. `new_uuid(key)` may choose the
    uuid of a new row.
    """

    relation: Relation[Any, R]
    table: type[R]
    key: Callable[[R, Names], Hashable | None]
    columns: tuple[str, ...]
    update_only: bool = False
    shared: bool = False
    partial: tuple[str, ...] = ()
    new_uuid: Callable[[Any], str] | None = None


class Actual:
    """What the target database has of one table, by natural key."""

    def __init__(self, target: Target[Any]) -> None:
        self.target = target
        self.columns = [c for c in target.table.spec.columns.values() if c.attribute in target.columns]
        unknown = set(target.columns) - {c.attribute for c in self.columns}
        if unknown:
            raise ValueError(f"{target.table.spec.name} has no column {', '.join(sorted(unknown))}")
        self.uuid_of: dict[Hashable, Uuid] = {}
        self.key_of: dict[Uuid, Hashable] = {}
        self.surplus: dict[Hashable, set[Uuid]] = {}
        """Further rows with a key that another row has already; they are deleted."""
        self.touched: dict[Uuid, None] = {}
        self.dirty: dict[Hashable, None] = {}
        self.expected: set[Hashable] = set()
        """Keys whose difference is due to us: the engine changed its mind, and that has not been sent yet."""
        self.sent: list[Hashable] = []
        """Keys of the last plan."""
        self.real: dict[str, Uuid] = {}
        """Uuids of rows that were referred to and are there, by reference; kept in step with `uuid_of`."""
        self.compared: dict[Hashable, dict[str, Comparison]] = {}
        """Of rows with large sets, by key and attribute."""
        self.moved = 0
        """How often a row that is still wanted has lost its uuid: references to it may mean another one now."""

    def identify(self, uuid: Uuid, key: Hashable | None) -> None:
        """Records that the row `uuid` now has this natural key."""
        old = self.key_of.pop(uuid, None)
        if old is not None:
            self._forget(uuid, old)
        if key is not None:
            self.key_of[uuid] = key
            self.dirty[key] = None
            holder = self.uuid_of.setdefault(key, uuid)  # no reference to a row that is new can be in `real`
            if holder != uuid:
                self.surplus.setdefault(key, set()).add(uuid)

    def _forget(self, uuid: Uuid, key: Hashable) -> None:
        self.dirty[key] = None
        surplus = self.surplus.get(key, set())
        surplus.discard(uuid)
        if self.uuid_of.get(key) == uuid:
            del self.uuid_of[key]
            self.real.pop(ref(self.target.relation, key), None)
            if surplus:
                heir = min(surplus)
                surplus.discard(heir)
                self.uuid_of[key] = heir
        if not surplus:
            self.surplus.pop(key, None)


class Projection:
    """Feeds on an engine's watched relations and a replica's batches; yields transactions."""

    def __init__(self, engine: Engine, replica: Replica, targets: Sequence[Target[Any]]) -> None:
        self._replica = replica
        self._actual = [Actual(target) for target in targets]
        self._by_table: dict[type[Row], Actual] = {a.target.table: a for a in self._actual}
        self._by_relation: dict[Relation[Any, Any], Actual] = {a.target.relation: a for a in self._actual}
        self._settled = False
        self.put_back: deque[str] = deque(maxlen=100)
        """The last foreign changes that were put back, a line each."""
        self.put_back_count = 0
        self._needed: dict[tuple[Relation[Any, Any], Hashable], None] = {}
        """Rows that are not there, and to which one refers that this plan has looked at."""
        self.use(engine)
        for actual in self._actual:
            actual.touched.update(dict.fromkeys(replica.rows(actual.target.table)))

    def use(self, engine: Engine) -> None:
        """Takes derived rows from this engine from now on; everything is compared once more."""
        self._engine = engine
        for actual in self._actual:
            actual.dirty.update(dict.fromkeys(actual.uuid_of))
            actual.dirty.update(dict.fromkeys(engine.rows(actual.target.relation)))

    def note(self, batch: Iterable[Change]) -> None:
        """Takes notice of changes in the target database; subscribe it to the target's client."""
        for change in batch:
            actual = self._by_table.get(change.table)
            if actual is not None:
                actual.touched[change.uuid] = None

    def name(self, table: type[Row], uuid: Uuid | None) -> Hashable | None:
        """The natural key of an actual row; None if there is no such row or it is not ours."""
        return self._by_table[table].key_of.get(uuid) if uuid is not None else None

    def uuid_of(self, relation: Relation[Any, Any], key: Hashable) -> Uuid | None:
        """The uuid of the actual row that stands for a derived one, if it is there already."""
        return self._by_relation[relation].uuid_of.get(key)

    def plan(self) -> Transaction:
        """What has to be written for the target to equal the derived rows; empty (false) when it does."""
        for actual in self._actual:
            self._look(actual)
            actual.sent.clear()
        self._needed.clear()
        transaction = Transaction()
        dependent: dict[tuple[Relation[Any, Any], Hashable], None] = {}
        for actual in self._actual:
            for key in list(actual.dirty):
                if self._is_dependent(actual, key):
                    dependent[actual.target.relation, key] = None
                else:
                    self._settle(transaction, actual, key)
        self._make_needed(transaction, dependent)
        self._settled = True
        return transaction

    def _is_dependent(self, actual: Actual, key: Hashable) -> bool:
        """Whether a row is to be made that is there only while another refers to it."""
        missing = key not in actual.uuid_of and not actual.target.update_only
        return missing and not actual.target.table.spec.root and key in self._engine.rows(actual.target.relation)

    def _make_needed(
        self, transaction: Transaction, dependent: dict[tuple[Relation[Any, Any], Hashable], None]
    ) -> None:
        """Makes the dependent rows that others refer to; the rest waits until one does."""
        made: set[tuple[Relation[Any, Any], Hashable]] = set()
        while self._needed:
            relation, key = needed = self._needed.popitem()[0]
            actual = self._by_relation[relation]
            if needed not in made and self._is_dependent(actual, key):
                made.add(needed)
                actual.dirty[key] = None
                self._settle(transaction, actual, key)
        for relation, key in dependent:
            if (relation, key) not in made:
                actual = self._by_relation[relation]
                del actual.dirty[key]
                actual.expected.add(key)

    def _settle(self, transaction: Transaction, actual: Actual, key: Hashable) -> None:
        """Adds what one key needs, and notes whether it needs anything."""
        if self._write(transaction, actual, key):
            if self._settled and key not in actual.expected:
                self._report(actual, key)
            actual.sent.append(key)
        else:
            del actual.dirty[key]
        actual.expected.discard(key)

    def lost(self) -> None:
        """The transaction planned last was not done: what it was to change is still our own difference."""
        for actual in self._actual:
            actual.expected.update(actual.sent)

    def _look(self, actual: Actual) -> None:
        """Finds out what changed on both sides."""
        touched, actual.touched = actual.touched, {}
        for uuid in touched:
            row = self._replica.get(actual.target.table, uuid)
            old, new = actual.key_of.get(uuid), actual.target.key(row, self.name) if row is not None else None
            actual.identify(uuid, new)
            if old is not None and old != new and old in self._engine.rows(actual.target.relation):
                actual.moved += 1
        for delta in self._engine.take(actual.target.relation):
            actual.dirty[delta.key] = None
            actual.expected.add(delta.key)

    def _report(self, actual: Actual, key: Hashable) -> None:
        self.put_back_count += 1
        self.put_back.append(f"{actual.target.table.spec.name} {key!r} was changed by somebody else; put back")

    def _write(self, transaction: Transaction, actual: Actual, key: Hashable) -> bool:
        """Adds what one key needs; False if it needs nothing."""
        table = actual.target.table
        want = self._engine.rows(actual.target.relation).get(key)
        uuid = actual.uuid_of.get(key)
        surplus = actual.surplus.get(key, ())
        if actual.target.update_only and (want is None or uuid is None):
            return False
        if actual.target.shared and want is None:
            return False
        for extra in surplus:
            transaction.delete(table, extra)
        if want is None:
            actual.compared.pop(key, None)
            if uuid is not None:
                transaction.delete(table, uuid)
            return uuid is not None or bool(surplus)
        large = frozenset(c.attribute for c in actual.columns if uuid and _is_compared(c, getattr(want, c.attribute)))
        values = self._resolved(actual, want, large)
        if values is None:
            return True
        if uuid is None:
            actual.compared.pop(key, None)
            columns = {name: _in_order(value) for name, value in values.items()}
            transaction.insert(table(uuid=self._new_uuid(actual, key), **columns))
            return True
        changed = self._update(transaction, actual, uuid, values)
        if large or key in actual.compared:
            changed |= self._update_large(transaction, actual, key, uuid, want, large)
        return changed or bool(surplus)

    def _update_large(
        self, transaction: Transaction, actual: Actual, key: Hashable, uuid: Uuid, want: Row, large: frozenset[str]
    ) -> bool:
        """Writes what differs in the large sets of a row."""
        row, before = self._replica.get(actual.target.table, uuid), actual.compared.pop(key, {})
        mutated = False
        for column in actual.columns:
            name = column.attribute
            if name not in large or (actual.target.table.spec.name, column.name) in self._replica.missing_columns:
                continue
            there = next((a for a in self._actual if a.target.table.spec.name == column.key.ref_table), None)
            moved, comparison = there.moved if there is not None else 0, before.get(name)
            if comparison is None or comparison.moved != moved:
                comparison = Comparison(moved)
            actual.compared.setdefault(key, {})[name] = comparison
            wanted = getattr(want, name)
            gone, come = comparison.look(wanted, getattr(row, name), self._real, _namer(there, wanted))
            if there is not None and name in actual.target.partial:
                gone = {each for each in gone if each in there.key_of}
            _mutate(transaction, actual.target.table, uuid, column, gone, come)
            mutated |= bool(gone or come)
        return mutated

    def _update(self, transaction: Transaction, actual: Actual, uuid: Uuid, values: dict[str, Any]) -> bool:
        row = self._replica.get(actual.target.table, uuid)
        plain = {}
        mutated = False
        for column in actual.columns:
            if column.attribute not in values:
                continue
            old, new = getattr(row, column.attribute), values[column.attribute]
            if column.attribute in actual.target.partial:
                new = new | self._foreign(column, old)
            if _equal(old, new) or (actual.target.table.spec.name, column.name) in self._replica.missing_columns:
                continue
            if _is_large(column, old, new):
                _mutate(transaction, actual.target.table, uuid, column, *_differences(column, old, new))
                mutated = True
            else:
                plain[column.attribute] = _in_order(new)
        if plain:
            transaction.update(actual.target.table, uuid, **plain)
        return mutated or bool(plain)

    def _foreign(self, column: Column, members: Iterable[Uuid]) -> set[Uuid]:
        """Those of a set of references that are not of ours."""
        ours = next(a.key_of for a in self._actual if a.target.table.spec.name == column.key.ref_table)
        return {uuid for uuid in members if uuid not in ours}

    def _resolved(self, actual: Actual, want: Row, leave_out: frozenset[str]) -> dict[str, Any] | None:
        """A derived row's owned columns with real uuids; None while a required reference has no target.

        A set of references is a set, not a tuple: ordering a big one would cost more than all the rest.
        """
        values = {}
        for column in actual.columns:
            if column.attribute in leave_out:
                continue
            value = getattr(want, column.attribute)
            if column.key.kind == "uuid" or (column.value is not None and column.value.kind == "uuid"):
                value = self._resolve(column, value)
                if value is None and not column.is_optional:
                    return None
            values[column.attribute] = value
        return values

    def _resolve(self, column: Column, value: Any) -> Any:
        if isinstance(value, tuple | Members):
            found = self._all_real(tuple(value))
            return found if len(found) >= column.min else None
        if isinstance(value, Map):
            pairs = ((k, self._real(v)) for k, v in value.items())
            return Map({k: v for k, v in pairs if v is not None})
        return self._real(value)

    def _all_real(self, values: tuple[Any, ...]) -> set[Uuid]:
        """The uuids of a whole set. Of a big one nearly all have been found before, so those cost next to nothing."""
        first = values[0] if values else None
        known = self._by_relation[first.relation].real if isinstance(first, Ref) else {}
        found = set(map(known.get, values))
        if None in found:
            found.update(self._real(value) for value in values if value not in known)
            found.discard(None)
        return cast("set[Uuid]", found)

    def _real(self, value: Any) -> Any:
        if not isinstance(value, Ref):
            return value
        actual = self._by_relation[value.relation]
        found = actual.uuid_of.get(value.key)
        if found is not None:
            actual.real[value] = found
        elif value.key in self._engine.rows(value.relation):
            found = self._new_uuid(actual, value.key)
            self._needed[value.relation, value.key] = None
        return found

    def _new_uuid(self, actual: Actual, key: Hashable) -> Uuid:
        name = f"{actual.target.table.spec.name} {key!r}"
        choose = actual.target.new_uuid
        made = Uuid(choose(key) if choose is not None else str(uuids.uuid5(NAMESPACE, name)))
        while self._replica.get(actual.target.table, made) is not None:
            made = Uuid(str(uuids.uuid5(NAMESPACE, f"{name} beside {made}")))
        return made


def _equal(old: Any, new: Any) -> bool:
    return len(old) == len(new) and new.issuperset(old) if isinstance(new, set) else bool(old == new)


def _in_order(value: Any) -> Any:
    return tuple(sorted(value)) if isinstance(value, set) else value


def _is_large(column: Column, old: Any, new: Any) -> bool:
    return not column.is_scalar and not column.is_optional and min(len(old), len(new)) >= MUTATE_FROM


def _is_compared(column: Column, value: Any) -> bool:
    """Whether a set is so large that it is compared by what changes."""
    return isinstance(value, Members) and column.min == 0


def _namer(there: Actual | None, wanted: Collection[Any]) -> Callable[[Any], Any]:
    """Finds what a derivation calls the row that a member of a set of references refers to."""

    def named(member: Any) -> Any:
        key = there.key_of.get(member) if there is not None else None
        if there is None or key is None or there.uuid_of.get(key) != member:
            return member
        name = ref(there.target.relation, key)
        return name if name in wanted else member

    return named


def _differences(column: Column, old: Any, new: Any) -> tuple[set[Any], Any]:
    """(gone, come): keys of a map or members of a set; what comes to a map comes with its values."""
    if not column.is_map:
        return set(old) - set(new), set(new) - set(old)
    gone = {k for k, v in old.items() if k not in new or new[k] != v}
    return gone, Map({k: v for k, v in new.items() if k not in old or old[k] != v})


def _mutate(transaction: Transaction, table: type[Row], uuid: Uuid, column: Column, gone: set[Any], come: Any) -> None:
    if gone:
        transaction.mutate(table, uuid, column.attribute, "delete", tuple(sorted(gone)))
    if come:
        added = come if isinstance(come, Map) else tuple(sorted(come))
        transaction.mutate(table, uuid, column.attribute, "insert", added)
