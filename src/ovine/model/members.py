"""Large sets, as values of which a changed one costs what has changed.

A row's set column is a sorted tuple; where it has `MANY` members or more it is a `Members`, which reads as that tuple,
is equal to it and hashes like it. `Members.changed` makes the next value in the time that the change takes; what two
values of one line of descent differ in is found in that time, too (`difference`), and so is whether they are equal. So
one member more or less of ten thousand is one member's work for whoever looks at differences, and rules stay pure
functions of values.

How: of a line of values only the newest has the members; each older one knows how its successor differs from it (H. G.
Baker, "Shallow Binding Makes Functional Arrays Fast", 1991). Old values stay right, but are slow to read as a whole.

Invariants: what a value holds never changes, whoever changes a copy; a value never keeps its predecessors alive.

Tests: tests/unit/model/test_members.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T", bound=Hashable)

MANY = 64
"""From so many members on, a set column is a Members."""
_NOTHING: frozenset[Any] = frozenset()


class Members(Sequence[T]):
    """An immutable set that reads as a sorted tuple."""

    __slots__ = ("_come", "_gone", "_hash", "_next", "_order", "_set", "_size")

    def __init__(self, members: Iterable[T] = ()) -> None:
        """Of members that can be ordered."""
        self._order: tuple[T, ...] | None = _in_order(members)
        self._set: set[T] | None = None
        """The members of the newest value of a line, once somebody has asked; the next one takes it over."""
        self._next: Members[T] | None = None
        self._come: frozenset[T] = _NOTHING
        self._gone: frozenset[T] = _NOTHING
        """What the next value has more and less."""
        self._size = len(self._order)
        self._hash: int | None = None

    def changed(self, come: Iterable[T] = (), gone: Iterable[T] = ()) -> Members[T]:
        """This set without `gone` and with `come`; itself if that is no change."""
        if self._next is not None:
            return Members(self._all()).changed(come, gone)
        members, entering = self._all(), frozenset(come)
        leaving = frozenset(each for each in gone if each in members and each not in entering)
        entering = frozenset(each for each in entering if each not in members)
        if not entering and not leaving:
            return self
        new: Members[T] = Members()
        members -= leaving
        members |= entering
        new._set, new._order, new._size = members, None, len(members)
        self._set = self._order = None
        self._next, self._come, self._gone = new, entering, leaving
        return new

    def _all(self) -> set[T]:
        """The members: of the newest value its own set, which is not to be changed; of an older one a new set."""
        if self._next is None:
            if self._set is None:
                self._set = set(self._order or ())
            return self._set
        line = [self]
        while line[-1]._next is not None:
            line.append(line[-1]._next)
        members = set(line.pop()._all())
        for value in reversed(line):
            members -= value._come
            members |= value._gone
        return members

    def way_to(self, other: Members[T]) -> tuple[set[T], set[T]] | None:
        """(gone, come) from this value to a later one of its line; None if that is not one."""
        gone: set[T] = set()
        come: set[T] = set()
        at: Members[T] = self
        while at is not other:
            if at._next is None:
                return None
            for into, out_of, members in ((come, gone, at._come), (gone, come, at._gone)):
                back = members & out_of
                out_of -= back
                into |= members - back
            at = at._next
        return gone, come

    def ordered(self) -> tuple[T, ...]:
        """The members in order."""
        if self._next is not None:
            return _in_order(self._all())
        if self._order is None:
            self._order = _in_order(self._all())
        return self._order

    def __contains__(self, member: object) -> bool:
        at: Members[T] = self
        while at._next is not None:
            if member in at._gone:
                return True
            if member in at._come:
                return False
            at = at._next
        return member in at._all()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[T]:
        return iter(self.ordered())

    def __getitem__(self, at: Any) -> Any:
        return self.ordered()[at]

    def __add__(self, other: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.ordered() + tuple(other)

    def __radd__(self, other: tuple[Any, ...]) -> tuple[Any, ...]:
        return other + self.ordered()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Members):
            return self._size == other._size and not any(difference(self, other))
        return self.ordered() == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.ordered())
        return self._hash

    def __repr__(self) -> str:
        return repr(self.ordered())

    def __reduce__(self) -> tuple[Any, ...]:
        return Members, (self.ordered(),)


def _in_order(members: Iterable[T]) -> tuple[T, ...]:
    distinct: set[Any] = set(members)
    return tuple(sorted(distinct))


def as_column(members: Members[T]) -> tuple[T, ...]:
    """The value of a set column that has these members."""
    return cast("tuple[T, ...]", members) if len(members) >= MANY else members.ordered()


class Tagged(Generic[T]):
    """The pairs (tag, member) of the members for which `only` holds: entries of an index over rows with large sets."""

    __slots__ = ("_members", "_only", "_tag")

    def __init__(self, tag: Hashable, members: Collection[T], only: Callable[[T], bool] | None = None) -> None:
        self._tag, self._members, self._only = tag, members, only

    def __iter__(self) -> Iterator[tuple[Hashable, T]]:
        return self._pairs(self._members)

    def _pairs(self, members: Iterable[T]) -> Iterator[tuple[Hashable, T]]:
        return ((self._tag, each) for each in members if self._only is None or self._only(each))

    def to(self, other: Tagged[T]) -> tuple[set[Any], set[Any]]:
        """(gone, come) of the pairs."""
        if (self._tag, self._only) != (other._tag, other._only):
            return difference(iter(self), iter(other))
        gone, come = difference(self._members, other._members)
        return set(self._pairs(gone)), set(self._pairs(come))


def difference(old: Iterable[Any], new: Iterable[Any]) -> tuple[set[Any], set[Any]]:
    """(gone, come) from one set to another, whatever they are given as."""
    if old is new:
        return set(), set()
    if isinstance(old, Tagged) and isinstance(new, Tagged):
        return old.to(new)
    if isinstance(old, Members) and isinstance(new, Members):
        if (way := old.way_to(new)) is not None:
            return way
        if (back := new.way_to(old)) is not None:
            return back[1], back[0]
        before, after = old._all(), new._all()
    else:
        before, after = set(old), set(new)
    return before - after, after - before
