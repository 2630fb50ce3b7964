"""What a derivation is declared with: relations, indexes, sticky allocations, queries and rules.

These are plain declarations, shared by any number of engines; they hold no data. A *relation* is a set of values by
key. An input relation is named by the class of its values (a table's row class) and is fed from outside; a derived one
is a `Relation` and is filled by rules. Everything that a rule or query is told about the world it reads through a
`Reader` (`ovine.engine.reader`), which records the reads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    from ovine.engine.reader import Reader

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
P = ParamSpec("P")


class Emit(NamedTuple):
    """One output of a rule: the relation holds `value` under `key` for as long as the rule says so."""

    relation: AnyRelation
    key: Hashable
    value: Any


class Relation(Generic[K, V]):
    """A derived relation. Calling it makes the output that a rule yields: `yield FLOWS(key, value)`.

    Several rules may emit one key if they agree on the value; if they do not, the value whose origin sorts first holds
    and the engine reports the conflict.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, key: K, value: V) -> Emit:
        return Emit(self, key, value)

    def __repr__(self) -> str:
        return f"<Relation {self.name}>"


class Sticky(Relation[K, int]):
    """Numbers given to keys: a relation from key to number, for tunnel keys, conntrack zones and the like.

    A rule asks with `yield KEYS.request(key, pool=…)`, and reads with `q.get(KEYS, key)`. Numbers are unique within a
    pool. A key that has a number keeps it for as long as it is asked for; this is the one place where output depends on
    history, and `Engine.seed` lets that history be read back from the target database.
    """

    def __init__(self, name: str, low: int, high: int) -> None:
        super().__init__(name)
        self.low, self.high = low, high
        self.requests: Relation[K, tuple[Hashable, int | None]] = Relation(f"{name} (requests)")

    def request(self, key: K, *, pool: Hashable = None, wanted: int | None = None) -> Emit:
        """Asks for a number for `key`, distinct from all others in `pool`; `wanted` is taken if it is free."""
        return self.requests(key, (pool, wanted))


AnyRelation: TypeAlias = "Relation[Any, Any] | type[Any]"


class Index(Generic[V]):
    """A way to find keys of a relation by something computed from their values.

    `keys_of(value)` gives the entries under which a row is found: none, one or several. It must be pure; of a large set
    in a row it best gives the `Members` themselves, or `Tagged` ones (`ovine.model.members`), so that a change of the
    set costs what has changed. The optional `name` is for messages.
    """

    def __init__(
        self, relation: Relation[Any, V] | type[V], keys_of: Callable[[V], Iterable[Hashable]], name: str = ""
    ) -> None:
        self.relation: AnyRelation = relation
        self.keys_of = keys_of
        self.name = name or f"index of {relation_name(relation)}"


class Gather(Generic[K, V]):
    """Sets put together from a relation's rows: `Reader.members(gather, entry)`.

    `pairs_of(key, value)` gives the pairs (entry, member) that a row contributes; it must be pure. A set is given as
    the value of a set column: one member more or less costs a reader that passes it on the same, whatever its size.
    """

    def __init__(
        self, relation: Relation[K, V], pairs_of: Callable[[K, V], Iterable[tuple[Hashable, Hashable]]]
    ) -> None:
        self.relation: AnyRelation = relation
        self.pairs_of = pairs_of


class Query(Generic[P, T]):
    """A memoised pure function. Called as `query(q, *args)`; the arguments must be hashable."""

    def __init__(self, function: Callable[Concatenate[Reader, P], T]) -> None:
        self.function = function
        self.name = function.__qualname__
        self.__doc__ = function.__doc__

    def __call__(self, q: Reader, *args: P.args, **kwargs: P.kwargs) -> T:
        assert not kwargs, "a query takes positional arguments only"
        return q.query(self, args)


def query(function: Callable[Concatenate[Reader, P], T]) -> Query[P, T]:
    """Makes a pure function of a Reader and hashable arguments a memoised query."""
    return Query(function)


RuleFunction: TypeAlias = "Callable[[Reader, Any], Iterable[Emit]]"


class Rule:
    """A pure function from one key to output rows; see `rule`."""

    def __init__(
        self,
        function: RuleFunction,
        over: AnyRelation | Index[Any] | None,
        writes: tuple[AnyRelation, ...],
        on_failure: RuleFunction | None,
    ) -> None:
        self.function = function
        self.over = over
        self.writes = writes
        self.on_failure = on_failure
        self.name = f"{function.__module__.removeprefix('ovine.')}.{function.__qualname__}"
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<Rule {self.name}>"


def rule(
    *,
    over: AnyRelation | Index[Any] | None = None,
    writes: Iterable[Relation[Any, Any]],
    on_failure: RuleFunction | None = None,
) -> Callable[[Callable[[Reader, Any], Iterator[Emit]]], Rule]:
    """Makes a generator function `f(q, key)` a rule that runs once for each key of `over`.

    `over` is a relation (each of its keys), an index (each distinct entry), or None (once, with the key `()`).
    `writes` names every relation that the function may emit to. If the function raises, its output is withdrawn and
    `on_failure(q, key)`, if given, says what to emit in its place (a policy rule fails closed this way).
    """

    def declare(function: Callable[[Reader, Any], Iterator[Emit]]) -> Rule:
        targets = tuple(r.requests if isinstance(r, Sticky) else r for r in writes)
        return Rule(function, over, targets, on_failure)

    return declare


def relation_name(relation: AnyRelation) -> str:
    return relation.__name__ if isinstance(relation, type) else relation.name
