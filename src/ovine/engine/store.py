"""Where an engine keeps values and who has read them. Internal to the package.

A *store* holds the values of one relation, one index, one membership or one query, and for each key its *readers*: the
nodes that read it, with a mask of what they read of it (bit 0: whether it exists; bit n + 1: its n-th column; -1: all).
A *node* is one rule at one key, or one query at its arguments; its `deps` mirror the readers, so that they can be
unlinked. Invariant: `(node, mask)` is among `store.readers_of(key)` exactly when `node.deps` holds `store, key, mask`.

Most keys have one reader, and most nodes a handful of deps and outputs; these are kept as tuples, since there may be
millions of them (`bench/engine_memory.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from ovine.engine.relation import AnyRelation, Gather, Index, Query, Rule
from ovine.model.members import Members

if TYPE_CHECKING:
    from ovine.engine.sticky import Numbers

EVERYTHING = -1
EXISTENCE = 1


class State(IntEnum):
    CLEAN = 0
    MAYBE = 1
    """A query that it read may have changed."""
    DIRTY = 2
    """Something that it read has changed."""
    RUNNING = 3


Packed: TypeAlias = tuple[Any, ...]
"""A dict of pairs, flat: first, second, value, first, second, value …"""


def pack(pairs: Mapping[tuple[Any, Hashable], Any]) -> Packed:
    flat: list[Any] = []
    for (first, second), value in pairs.items():
        flat += (first, second, value)
    return tuple(flat)


def unpack(packed: Packed) -> dict[tuple[Any, Any], Any]:
    if not packed:
        return {}
    parts = iter(packed)
    return {(first, second): value for first, second, value in zip(parts, parts, parts, strict=True)}


class Node:
    """One rule at one key (owner: RuleStore) or one query at its arguments (owner: QueryStore)."""

    __slots__ = ("deps", "error", "key", "output", "owner", "state", "value")

    def __init__(self, owner: RuleStore | QueryStore, key: Hashable) -> None:
        self.owner = owner
        self.key = key
        self.state = State.DIRTY
        self.deps: Packed = ()
        """store, key, mask, store, key, mask …: what it read when it last ran."""
        self.output: Packed = ()
        """table, key, value, table, key, value …: what it emitted."""
        self.value: Any = None
        self.error: BaseException | None = None

    @property
    def origin(self) -> tuple[str, str]:
        return (self.owner.name, repr(self.key))


class Store:
    """Readers by key. Subclasses hold the values."""

    __slots__ = ("readers",)

    def __init__(self) -> None:
        self.readers: dict[Hashable, tuple[Node, int] | dict[Node, int]] = {}

    def readers_of(self, key: Hashable) -> Sequence[tuple[Node, int]]:
        """Who read `key`, and what of it; stays valid while readers come and go."""
        readers = self.readers.get(key)
        if readers is None:
            return ()
        return (readers,) if isinstance(readers, tuple) else tuple(readers.items())

    def link(self, key: Hashable, node: Node, mask: int) -> None:
        readers = self.readers.get(key)
        if readers is None or (isinstance(readers, tuple) and readers[0] is node):
            self.readers[key] = (node, mask)
        elif isinstance(readers, tuple):
            self.readers[key] = {readers[0]: readers[1], node: mask}
        else:
            readers[node] = mask

    def unlink(self, key: Hashable, node: Node) -> None:
        readers = self.readers.get(key)
        if isinstance(readers, dict):
            readers.pop(node, None)
            if not readers:
                del self.readers[key]
        elif readers is not None and readers[0] is node:
            del self.readers[key]


class Membership(Store):
    """Stands for the set of keys of a relation or the set of entries of an index; its one key is None."""

    __slots__ = ()


class TableStore(Store):
    """The values of one relation, input or derived."""

    __slots__ = (
        "before",
        "conflicts",
        "gathers",
        "indexes",
        "membership",
        "numbers",
        "origins",
        "relation",
        "rivals",
        "rows",
        "writers",
    )

    def __init__(self, relation: AnyRelation) -> None:
        super().__init__()
        self.relation = relation
        self.rows: dict[Hashable, Any] = {}
        self.membership = Membership()
        self.indexes: list[IndexStore] = []
        self.gathers: list[GatherStore] = []
        self.writers: list[RuleStore] = []
        self.numbers: Numbers | None = None
        """The state behind a Sticky relation."""
        self.origins: dict[Hashable, Node] = {}
        """The node whose value holds; only for derived relations."""
        self.rivals: dict[Hashable, dict[Node, Any]] = {}
        """All (node, value) pairs of a key that more than one node emits."""
        self.conflicts: set[Hashable] = set()
        self.before: dict[Hashable, Any] | None = None
        """Values before the changes that nobody has taken yet; None where the relation is not watched."""


class IndexStore(Store):
    """Keys of a table by entry."""

    __slots__ = ("entries", "index", "membership", "table")

    def __init__(self, index: Index[Any], table: TableStore) -> None:
        super().__init__()
        self.index = index
        self.table = table
        self.entries: dict[Hashable, dict[Hashable, None]] = {}
        self.membership = Membership()

    def entries_of(self, value: Any) -> Iterable[Hashable]:
        return self.index.keys_of(value) if value is not None else ()


class GatherStore(Store):
    """The members of a gathering, by entry. Its readers read entries."""

    __slots__ = ("entries", "gather", "repeated", "table")

    def __init__(self, gather: Gather[Any, Any], table: TableStore) -> None:
        super().__init__()
        self.gather = gather
        self.table = table
        self.entries: dict[Hashable, Members[Any]] = {}
        self.repeated: dict[tuple[Hashable, Hashable], int] = {}
        """How often a pair of entry and member is there beyond once; few are."""

    def pairs_of(self, key: Hashable, value: Any) -> Iterable[tuple[Hashable, Hashable]]:
        return self.gather.pairs_of(key, value) if value is not None else ()

    def put(self, entry: Hashable, member: Hashable) -> bool:
        """Adds a pair; True if that is another member."""
        members = self.entries.get(entry)
        if members is not None and member in members:
            self.repeated[entry, member] = self.repeated.get((entry, member), 0) + 1
            return False
        self.entries[entry] = Members((member,)) if members is None else members.changed(come=(member,))
        return True

    def drop(self, entry: Hashable, member: Hashable) -> bool:
        """Takes a pair away; True if that is a member less."""
        more = self.repeated.pop((entry, member), 0)
        if more:
            if more > 1:
                self.repeated[entry, member] = more - 1
            return False
        left = self.entries[entry].changed(gone=(member,))
        if left:
            self.entries[entry] = left
        else:
            del self.entries[entry]
        return True


class QueryStore(Store):
    """The memoised results of one query, by arguments."""

    __slots__ = ("name", "nodes", "query", "runs")

    def __init__(self, query: Query[Any, Any]) -> None:
        super().__init__()
        self.query = query
        self.name = query.name
        self.nodes: dict[Hashable, Node] = {}
        self.runs = 0


class RuleStore:
    """The instances of one rule. `pending` holds those that may have to run again, in order of arrival."""

    __slots__ = ("busy", "name", "nodes", "pending", "rule", "runs", "writes")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.name = rule.name
        self.nodes: dict[Hashable, Node] = {}
        self.pending: dict[Node, None] = {}
        self.runs = 0
        self.busy = False
        self.writes: frozenset[TableStore] = frozenset()


_COLUMNS: dict[type[Any], tuple[str, ...]] = {}


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """The names of a value type's columns; empty for a type that is read as a whole."""
    found = _COLUMNS.get(kind)
    if found is None:
        found = _COLUMNS[kind] = _find_columns(kind)
    return found


def _find_columns(kind: type[Any]) -> tuple[str, ...]:
    for attribute in ("__struct_fields__", "_fields"):
        if hasattr(kind, attribute):
            return tuple(getattr(kind, attribute))
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def changed_mask(old: Any, new: Any) -> int:
    """Which bits of a reader's mask a change from `old` to `new` touches."""
    if old is None or new is None or type(old) is not type(new):
        return EVERYTHING
    columns = columns_of(type(new))
    if not columns:
        return EVERYTHING
    mask, bit = 0, 2
    for column in columns:
        if getattr(old, column) != getattr(new, column):
            mask |= bit
        bit <<= 1
    return mask


def stable_order(keys: Iterable[Hashable]) -> tuple[Any, ...]:
    """Keys in an order that does not depend on how they arrived."""
    try:
        return tuple(sorted(keys))
    except TypeError:
        return tuple(sorted(keys, key=repr))
