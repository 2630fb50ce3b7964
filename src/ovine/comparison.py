"""What a large set column lacks and what it has too much, kept up to date by what changes on either side.

`wanted` has members as a derivation names them, `there` as the database does: for references these are a `Ref` and a
uuid, otherwise the same. A member is *in doubt* where it has come or gone on either side, or was found different the
last time; only those are looked at. The first comparison, and one after a change of what names mean (`moved`), looks at
all.

Tests: tests/interop/test_projection.py, tests/unit/test_comparison.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ovine.model.members import difference


class Comparison:
    """One column of one row."""

    def __init__(self, moved: int) -> None:
        self.moved = moved
        """How often names of the referenced table had changed their meaning when this was begun."""
        self._wanted: Collection[Any] = ()
        self._there: Collection[Any] = ()
        self._lacking: set[Any] = set()
        self._surplus: set[Any] = set()

    def look(
        self,
        wanted: Collection[Any],
        there: Collection[Any],
        real: Callable[[Any], Any],
        named: Callable[[Any], Any],
    ) -> tuple[set[Any], set[Any]]:
        """(surplus, lacking), both as the database names members.

        `real` finds what stands in the database for a wanted member (None: nothing yet), `named` the reverse.
        """
        left, entered = difference(self._wanted, wanted)
        lost, found = difference(self._there, there)
        self._wanted, self._there = wanted, there
        lacking = self._lacking | entered | {named(each) for each in lost}
        surplus = self._surplus | found | {real(each) for each in left}
        self._lacking = {each for each in lacking if each in wanted and real(each) not in there}
        self._surplus = {each for each in surplus if each in there and named(each) not in wanted}
        return self._surplus, {real(each) for each in self._lacking} - {None}
