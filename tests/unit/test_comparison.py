"""A large set column is compared by what changes, with the same result as when it is compared as a whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ovine.comparison import Comparison
from ovine.model.members import Members

names = st.frozensets(st.sampled_from("abcdefgh"), max_size=5)
uuids = st.frozensets(st.sampled_from("ABCDEFGHXY"), max_size=5)
nameable = st.frozensets(st.sampled_from("abcdefgh"))
"""Of a name in lower case the row is the upper case; X and Y are rows that have no name."""


@given(st.lists(st.tuples(names, uuids, nameable), min_size=1, max_size=12))
def test_by_what_changes_or_as_a_whole_is_the_same(history: list[tuple[frozenset[str], ...]]) -> None:
    incremental = Comparison(0)
    wanted, there = Members[str](), Members[str]()
    for want, have, known in history:
        wanted = wanted.changed(want, set(wanted) - want)
        there = there.changed(have, set(there) - have)
        known |= {uuid.lower() for uuid in have}  # what a database refers to is there

        def real(name: str, known: frozenset[str] = known) -> str | None:
            return name.upper() if name in known else None

        def named(uuid: str) -> str:
            return uuid.lower() if uuid.lower() in "abcdefgh" else uuid

        found = incremental.look(wanted, there, real, named)
        whole = Comparison(0).look(tuple(want), tuple(have), real, named)
        assert found == whole
        assert found == ({u for u in have if named(u) not in want}, {n.upper() for n in want & known} - have)
