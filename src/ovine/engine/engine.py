"""The engine: keeps derived relations equal to what their rules say of the present input, doing only what is needed.

Terms are those of `ovine.engine.relation`. The theory, in four steps:

1. `feed` changes an input row. Nodes that read a column that changed become DIRTY; nodes that read a query which did
   become MAYBE, and so on upwards. Rule nodes so marked are *pending*.
2. `run` takes pending nodes. A MAYBE node first brings the queries that it read up to date, in the order it read them;
   if none has a new value it is clean again and nothing ran (early cut-off). Otherwise its function runs.
3. What a rule emitted is compared with what it emitted before, and only the difference goes into the derived
   relations, where it marks their readers in turn. Reading a derived relation first settles the rules that write it, so
   that nobody sees a half-made relation; a rule that would have to wait for itself is refused with CycleError.
4. When nothing is pending, watched relations hand out their net difference since the last `take`.

Invariants: derived values depend on the present input and the sticky numbers only, never on the order of changes (the
tests walk random histories to compare with `recomputed()`); a rule that raises loses its output and nothing else.

Tests: tests/unit/engine/, tests/paths/.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, TypeVar, cast

from ovine.engine.reader import Reader, View
from ovine.engine.relation import AnyRelation, Emit, Gather, Index, Query, Relation, Rule, Sticky, relation_name
from ovine.engine.sticky import Numbers
from ovine.engine.store import (
    EVERYTHING,
    GatherStore,
    IndexStore,
    Node,
    QueryStore,
    RuleStore,
    State,
    Store,
    TableStore,
    changed_mask,
    pack,
    stable_order,
    unpack,
)
from ovine.model.members import difference

V = TypeVar("V")
T = TypeVar("T")


class CycleError(RuntimeError):
    """A derivation needs its own result."""


class Delta(NamedTuple):
    """A derived row's net change; None means that it does not exist."""

    key: Any
    old: Any
    new: Any


@dataclass(frozen=True)
class Failure:
    """A rule that raised at one key, or two rules that disagree on one output (then `rule` names the relation)."""

    rule: str
    key: str
    error: str
    trace: str = field(default="", compare=False)


class Engine:
    """Rules over relations. Not thread-safe; does no I/O and knows no clock."""

    def __init__(self, rules: Iterable[Rule], watch: Iterable[Relation[Any, Any]] = ()) -> None:
        self._tables: dict[AnyRelation, TableStore] = {}
        self._indexes: dict[Index[Any], IndexStore] = {}
        self._gathers: dict[Gather[Any, Any], GatherStore] = {}
        self._queries: dict[Query[Any, Any], QueryStore] = {}
        self._rules: list[RuleStore] = []
        self._by_table: dict[TableStore | IndexStore, list[RuleStore]] = {}
        self._numbers: dict[TableStore, Numbers] = {}
        self._failures: dict[Node, Failure] = {}
        self._contested: dict[TableStore, None] = {}
        """Derived relations of which two rules have emitted the same key; there are few."""
        self._writes = 0
        """Grows with every change of a row; tells a run whether something changed under it."""
        self._orphans: dict[Node, None] = {}
        self._watched = tuple(watch)
        self.log: list[tuple[str, Hashable]] | None = None
        """Set to a list to have every run of a rule or query appended as (name, key)."""
        for relation in self._watched:
            self.table(relation).before = {}
        for declared in rules:
            self._add_rule(declared)

    # --- feeding and taking -------------------------------------------------------------------------------------

    def feed(self, relation: AnyRelation, key: Hashable, value: Any) -> None:
        """Sets an input row, or removes it with None."""
        store = self.table(relation)
        if store.writers:
            raise ValueError(f"{relation_name(relation)} is derived; it cannot be fed")
        self._write(store, key, value)

    def run(self, limit: int | None = None) -> bool:
        """Brings everything up to date; with `limit`, stops after about that many rule runs. True when all is done."""
        budget = limit
        while self._unsettled():
            for store in self._rules:
                if not store.pending:
                    continue
                before = store.runs
                self._settle_rule(store, budget)
                if budget is not None:
                    budget -= store.runs - before
                    if budget <= 0:
                        return not self._unsettled()
        self._collect_orphans()
        return True

    def settle(self, relation: AnyRelation, limit: int | None = None) -> bool:
        """Brings one relation up to date ahead of the rest, with `limit` as in `run`. True when it is.

        For what somebody waits for: its rules run first, with those that they read from, and `run` has them to do no
        more.
        """
        budget = limit
        for writer in self.table(relation).writers:
            before = writer.runs
            self._settle_rule(writer, budget)
            if budget is not None:
                budget -= writer.runs - before
                if budget <= 0:
                    break
        return not any(writer.pending for writer in self.table(relation).writers)

    def take(self, relation: Relation[Any, Any]) -> list[Delta]:
        """The net changes of a watched relation since the last call, in a stable order."""
        store = self.table(relation)
        if store.before is None:
            raise ValueError(f"{relation.name} is not watched")
        if not store.before:
            return []
        before, store.before = store.before, {}
        changes = (Delta(key, before[key], store.rows.get(key)) for key in stable_order(before))
        return [change for change in changes if change.old != change.new]

    def rows(self, relation: Relation[Any, V] | type[V]) -> Mapping[Any, V]:
        """The present rows of a relation; a live view, not to be changed."""
        return self.table(relation).rows

    def seed(self, sticky: Sticky[Any], numbers: Mapping[Any, int]) -> None:
        """Makes keys prefer the numbers they had; call it before they are first asked for."""
        self._numbers_of(sticky).seed(numbers)

    # --- reports --------------------------------------------------------------------------------------------------

    def failures(self) -> list[Failure]:
        """Everything that does not work at present, in a stable order."""
        found = list(self._failures.values())
        for store in self._contested:
            for key in store.conflicts:
                rivals = ", ".join(sorted(f"{n.owner.name} at {n.key!r}" for n in store.rivals[key]))
                found.append(Failure(relation_name(store.relation), repr(key), f"rules disagree: {rivals}"))
        for numbers in self._numbers.values():
            found += [Failure(numbers.sticky.name, repr(key), error) for key, error in numbers.refused.items()]
        return sorted(found, key=lambda f: (f.rule, f.key))

    def origins(self, relation: Relation[Any, Any], key: Hashable) -> list[tuple[str, Any]]:
        """The (rule name, rule key) pairs that say this row should exist; empty if none does."""
        store = self.table(relation)
        rivals = store.rivals.get(key)
        if rivals is not None:
            return sorted(((n.owner.name, n.key) for n in rivals), key=repr)
        node = store.origins.get(key)
        return [(node.owner.name, node.key)] if node is not None else []

    def counts(self) -> dict[str, int]:
        """How often each rule and query has run, by name."""
        counted = {store.name: store.runs for store in self._rules}
        return counted | {store.name: store.runs for store in self._queries.values()}

    def sizes(self) -> dict[str, tuple[int, int]]:
        """For each rule and query: how many nodes it has, and how many reads they record."""
        stores: list[RuleStore | QueryStore] = [*self._rules, *self._queries.values()]
        return {s.name: (len(s.nodes), sum(len(n.deps) // 3 for n in s.nodes.values())) for s in stores}

    # --- the oracle -----------------------------------------------------------------------------------------------

    def recomputed(self) -> Engine:
        """A new engine with the same rules, input and sticky numbers, computed from nothing."""
        fresh = Engine([store.rule for store in self._rules], self._watched)
        for numbers in self._numbers.values():
            fresh.seed(numbers.sticky, numbers.granted)
        for relation, store in self._tables.items():
            if not store.writers and store.numbers is None:
                for key, value in store.rows.items():
                    fresh.feed(relation, key, value)
        fresh.run()
        return fresh

    def differences(self, other: Engine) -> list[str]:
        """Where two engines' derived relations differ, a line each; empty when they are equal."""
        lines = []
        for relation in self._tables.keys() | other._tables.keys():
            mine, theirs = self.table(relation).rows, other.table(relation).rows
            for key in stable_order(mine.keys() | theirs.keys()):
                one, other_one = mine.get(key), theirs.get(key)
                if one != other_one:
                    lines.append(f"{relation_name(relation)} {key!r}: {one!r} != {other_one!r}")
        return sorted(lines)

    def audit(self) -> list[str]:
        """Incremental state against a full recompute; empty when they are equal, as they always must be."""
        self.run()
        return self.differences(self.recomputed())

    # --- stores ---------------------------------------------------------------------------------------------------

    def table(self, relation: AnyRelation) -> TableStore:
        store = self._tables.get(relation)
        if store is None:
            store = self._tables[relation] = TableStore(relation)
            if isinstance(relation, Sticky):
                store.numbers = self._numbers[store] = Numbers(relation, self.table(relation.requests))
        return store

    def settled_table(self, relation: AnyRelation) -> TableStore:
        """The store of a relation, after the rules that write it have run. For readers."""
        store = self._tables.get(relation) or self.table(relation)
        if store.writers:
            self._settle_table(store)
        elif store.numbers is not None:
            self._settle_numbers(store, store.numbers)
        return store

    def settled_index(self, index: Index[Any]) -> IndexStore:
        self.settled_table(index.relation)
        return self._index(index)

    def settled_gather(self, gather: Gather[Any, Any]) -> GatherStore:
        table = self.settled_table(gather.relation)
        store = self._gathers.get(gather)
        if store is None:
            store = self._gathers[gather] = GatherStore(gather, table)
            for key, value in table.rows.items():
                for entry, member in set(store.pairs_of(key, value)):
                    store.put(entry, member)
            table.gathers.append(store)
        return store

    def query_store(self, declared: Query[Any, Any]) -> QueryStore:
        store = self._queries.get(declared)
        if store is None:
            store = self._queries[declared] = QueryStore(declared)
        return store

    def _index(self, index: Index[Any]) -> IndexStore:
        store = self._indexes.get(index)
        if store is None:
            table = self.table(index.relation)
            store = self._indexes[index] = IndexStore(index, table)
            for key, value in table.rows.items():
                for entry in store.entries_of(value):
                    store.entries.setdefault(entry, {})[key] = None
            table.indexes.append(store)
        return store

    def _numbers_of(self, sticky: Sticky[Any]) -> Numbers:
        return self._numbers[self.table(sticky)]

    def _add_rule(self, declared: Rule) -> None:
        store = RuleStore(declared)
        self._rules.append(store)
        targets = [self.table(relation) for relation in declared.writes]
        store.writes = frozenset(targets)
        for table in targets:
            table.writers.append(store)
        if declared.over is None:
            self._add_node(store, ())
            return
        if getattr(declared.over, "relation", declared.over) in declared.writes:
            raise CycleError(f"{store.name} runs over {declared.over!r}, which it writes itself")
        source: TableStore | IndexStore
        if isinstance(declared.over, Index):
            source = self._index(declared.over)
            present: Iterable[Hashable] = source.entries
        else:
            source = self.table(declared.over)
            present = source.rows
        self._by_table.setdefault(source, []).append(store)
        for key in list(present):
            self._add_node(store, key)

    # --- changes --------------------------------------------------------------------------------------------------

    def _write(self, store: TableStore, key: Hashable, value: Any) -> None:
        old = store.rows.get(key)
        if old is None and value is None:
            return
        self._writes += 1
        mask = changed_mask(old, value)
        if not mask or (mask == EVERYTHING and old == value):
            return
        if value is None:
            del store.rows[key]
        else:
            store.rows[key] = value
        if store.before is not None:
            store.before.setdefault(key, old)
        for index in store.indexes:
            self._reindex(index, key, old, value)
        for gather in store.gathers:
            self._regather(gather, key, old, value)
        self._touch(store, key, mask)
        if old is None or value is None:
            self._member(store, key, present=value is not None)

    def _reindex(self, index: IndexStore, key: Hashable, old: Any, new: Any) -> None:
        gone, come = difference(index.entries_of(old), index.entries_of(new))
        for entry in gone:
            keys = index.entries[entry]
            del keys[key]
            self._touch(index, entry, EVERYTHING)
            if not keys:
                del index.entries[entry]
                self._member(index, entry, present=False)
        for entry in come:
            keys = index.entries.setdefault(entry, {})
            keys[key] = None
            self._touch(index, entry, EVERYTHING)
            if len(keys) == 1:
                self._member(index, entry, present=True)

    def _regather(self, gather: GatherStore, key: Hashable, old: Any, new: Any) -> None:
        gone, come = difference(gather.pairs_of(key, old), gather.pairs_of(key, new))
        for entry, member in gone:
            if gather.drop(entry, member):
                self._touch(gather, entry, EVERYTHING)
        for entry, member in come:
            if gather.put(entry, member):
                self._touch(gather, entry, EVERYTHING)

    def _member(self, source: TableStore | IndexStore, key: Hashable, *, present: bool) -> None:
        self._touch(source.membership, None, EVERYTHING)
        for store in self._by_table.get(source, ()):
            if present and key not in store.nodes:
                self._add_node(store, key)
            elif not present:
                self._drop_node(store, key)

    def _add_node(self, store: RuleStore, key: Hashable) -> None:
        node = store.nodes[key] = Node(store, key)
        store.pending[node] = None

    def _drop_node(self, store: RuleStore, key: Hashable) -> None:
        node = store.nodes.pop(key, None)
        if node is None:
            return
        store.pending.pop(node, None)
        self._failures.pop(node, None)
        self._unlink(node, unpack(node.deps))
        output, node.output = unpack(node.output), ()
        for table, out in output:
            self._withdraw(node, table, out)

    def _touch(self, store: Store, key: Hashable, mask: int) -> None:
        for node, read in store.readers_of(key):
            if read & mask:
                self._mark(node, State.DIRTY)

    def _mark(self, node: Node, state: State) -> None:
        before = node.state
        if before is State.RUNNING or before >= state:
            return
        node.state = state
        owner = node.owner
        if isinstance(owner, RuleStore):
            owner.pending[node] = None
        elif before is State.CLEAN:
            for reader, _ in owner.readers_of(node.key):
                self._mark(reader, State.MAYBE)

    # --- running --------------------------------------------------------------------------------------------------

    def _settle_table(self, store: TableStore) -> None:
        for writer in store.writers:
            if writer.busy:
                raise CycleError(f"{writer.name} needs {relation_name(store.relation)}, which it writes itself")
            if writer.pending:
                self._settle_rule(writer, None)

    def _unsettled(self) -> bool:
        """Whether anything is left to do, once sticky numbers have been given out as far as they are asked for."""
        for store, numbers in self._numbers.items():
            self._grant(store, numbers)
        return any(store.pending for store in self._rules)

    def _settle_rule(self, store: RuleStore, limit: int | None) -> None:
        store.busy = True
        pending = store.pending
        last = None if limit is None else store.runs + limit
        try:
            while pending and (last is None or store.runs < last):
                # Several at once: the first key of a dict is slow to find where many have been removed.
                for node in list(islice(pending, limit)):
                    if node in pending:  # not settled by then, nor gone
                        stale = self._is_stale(node)
                        pending.pop(node, None)
                        if stale:
                            self._run_rule(store, node)
        finally:
            store.busy = False

    def _is_stale(self, node: Node) -> bool:
        """Decides a MAYBE node by bringing the queries it read up to date."""
        if node.state is State.MAYBE:
            for dep, key in zip(node.deps[::3], node.deps[1::3], strict=True):
                queried = dep.nodes.get(key) if isinstance(dep, QueryStore) else None
                if queried is not None:
                    self._refresh(queried.owner, queried)
                if node.state != State.MAYBE:
                    break
            else:
                node.state = State.CLEAN
        return node.state == State.DIRTY

    def _run_rule(self, store: RuleStore, node: Node) -> None:
        def attempt(reader: Reader) -> dict[tuple[TableStore, Hashable], Any]:
            try:
                output = self._collect(store, store.rule.function(reader, node.key))
                self._failures.pop(node, None)
            except Exception as error:
                output = self._failed(store, node, reader, error)
            return output

        output = self._track(store, node, attempt)
        if store.nodes.get(node.key) is node:
            self._apply(node, output)
        else:  # what it read took its own key away
            self._failures.pop(node, None)
            self._unlink(node, unpack(node.deps))

    def _track(self, store: RuleStore | QueryStore, node: Node, attempt: Callable[[Reader], T]) -> T:
        """Runs a node's function, and makes what it read its dependencies.

        A read may settle rules whose output this very run has already looked at (through a query that seemed clean).
        Its readers are linked only afterwards, so such a run is repeated; nothing can be left to settle then.
        """
        node.state = State.RUNNING
        while True:
            writes = self._writes
            deps: dict[tuple[Store, Hashable], int] = {}
            store.runs += 1
            if self.log is not None:
                self.log.append((store.name, node.key))
            result = attempt(Reader(self, deps))
            if self._writes == writes:
                break
        node.state = State.CLEAN
        self._relink(node, deps)
        return result

    def _failed(self, store: RuleStore, node: Node, reader: Reader, error: Exception) -> dict[Any, Any]:
        text = f"{type(error).__name__}: {error}"
        self._failures[node] = Failure(store.name, repr(node.key), text, "".join(traceback.format_exception(error)))
        if store.rule.on_failure is None:
            return {}
        try:
            return self._collect(store, store.rule.on_failure(reader, node.key))
        except Exception as second:
            self._failures[node] = Failure(store.name, repr(node.key), f"{text}; and on failure: {second}")
            return {}

    def _collect(self, store: RuleStore, emitted: Iterable[Emit]) -> dict[tuple[TableStore, Hashable], Any]:
        output: dict[tuple[TableStore, Hashable], Any] = {}
        for relation, key, value in emitted:
            table = self.table(relation)
            if table not in store.writes:
                raise ValueError(f"emits to {relation_name(relation)}, which the rule does not declare in `writes`")
            if isinstance(value, View) or value is None:
                raise TypeError(f"emits {value!r} to {relation_name(relation)}; only values can be emitted")
            slot = (table, key)
            if output.setdefault(slot, value) != value:
                raise ValueError(f"emits two values for {key!r} of {relation_name(relation)}")
        return output

    def _apply(self, node: Node, output: dict[tuple[TableStore, Hashable], Any]) -> None:
        packed = pack(output)
        if packed == node.output:
            return
        before, node.output = unpack(node.output), packed
        for slot in before:
            if slot not in output:
                self._withdraw(node, *slot)
        for slot, value in output.items():
            if slot not in before or before[slot] != value:
                self._emit(node, *slot, value)

    def _emit(self, node: Node, table: TableStore, key: Hashable, value: Any) -> None:
        holder = table.origins.get(key)
        if holder is None or (holder is node and key not in table.rivals):
            table.origins[key] = node
            self._write(table, key, value)
            return
        rivals = table.rivals.get(key)
        if rivals is None:
            rivals = table.rivals[key] = {holder: table.rows[key]}
            self._contested[table] = None
        rivals[node] = value
        self._elect(table, key, rivals)

    def _withdraw(self, node: Node, table: TableStore, key: Hashable) -> None:
        rivals = table.rivals.get(key)
        if rivals is None:
            del table.origins[key]
            self._write(table, key, None)
            return
        del rivals[node]
        self._elect(table, key, rivals)

    def _elect(self, table: TableStore, key: Hashable, rivals: dict[Node, Any]) -> None:
        """Settles whose value holds, by the order of origins, whichever came first."""
        winner = min(rivals, key=lambda n: n.origin)
        value = rivals[winner]
        table.origins[key] = winner
        if len(rivals) == 1:
            del table.rivals[key]
            table.conflicts.discard(key)
        elif any(v != value for v in rivals.values()):
            table.conflicts.add(key)
        else:
            table.conflicts.discard(key)
        self._write(table, key, value)

    # --- queries --------------------------------------------------------------------------------------------------

    def ask(self, store: QueryStore, args: tuple[Hashable, ...]) -> Any:
        """A query's up-to-date result. For readers."""
        node = store.nodes.get(args)
        if node is None:
            node = store.nodes[args] = Node(store, args)
        self._refresh(store, node)
        if node.error is not None:
            raise node.error.with_traceback(None)  # else each reader would add its frames
        return node.value

    def _refresh(self, store: RuleStore | QueryStore, node: Node) -> None:
        if node.state is State.CLEAN:
            return
        if node.state is State.RUNNING:
            raise CycleError(f"query {store.name}{node.key!r} needs its own result")
        if self._is_stale(node):
            self._run_query(cast(QueryStore, store), node)

    def _run_query(self, store: QueryStore, node: Node) -> None:
        def attempt(reader: Reader) -> tuple[Any, Exception | None]:
            try:
                value = store.query.function(reader, *cast(tuple[Any, ...], node.key))
                if isinstance(value, View):
                    raise TypeError(f"query {store.name} returns a view; return its columns, or the row by q.value(…)")
            except Exception as raised:
                return None, raised
            return value, None

        value, error = self._track(store, node, attempt)
        if error is not None or node.error is not None or node.value != value:
            node.value, node.error = value, error
            self._touch(store, node.key, EVERYTHING)

    # --- links ----------------------------------------------------------------------------------------------------

    def _relink(self, node: Node, deps: dict[tuple[Store, Hashable], int]) -> None:
        packed = pack(deps)
        if packed == node.deps:
            return
        old, node.deps = unpack(node.deps), packed
        for slot, mask in deps.items():
            if old.pop(slot, None) != mask:
                slot[0].link(slot[1], node, mask)
        if old:
            self._unlink(node, old)

    def _unlink(self, node: Node, deps: Iterable[tuple[Store, Hashable]]) -> None:
        for store, key in deps:
            store.unlink(key, node)
            if isinstance(store, QueryStore) and key not in store.readers:
                orphan = store.nodes.get(key)
                if orphan is not None:
                    self._orphans[orphan] = None

    def _collect_orphans(self) -> None:
        """Forgets query results that nobody reads any more."""
        while self._orphans:
            node, _ = self._orphans.popitem()
            store = node.owner
            if isinstance(store, QueryStore) and node.key not in store.readers:
                store.nodes.pop(node.key, None)
                self._unlink(node, unpack(node.deps))

    # --- sticky numbers -------------------------------------------------------------------------------------------

    def _settle_numbers(self, store: TableStore, numbers: Numbers) -> None:
        self._settle_table(numbers.requests)
        self._grant(store, numbers)

    def _grant(self, store: TableStore, numbers: Numbers) -> None:
        """Answers the requests of a sticky relation once all the rules that ask have run."""
        if numbers.requests.before and not any(writer.pending or writer.busy for writer in numbers.requests.writers):
            for key, number in numbers.settle():
                self._write(store, key, number)
