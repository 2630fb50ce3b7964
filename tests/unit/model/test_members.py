"""Large sets as values: they stay what they were, and what two differ in is found from what has changed."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.model.members import MANY, Members, Tagged, as_column, difference

numbers = st.frozensets(st.integers(0, 12), max_size=6)
steps = st.lists(st.tuples(st.integers(0, 20), numbers, numbers), max_size=12)


def family(history: list[tuple[int, frozenset[int], frozenset[int]]]) -> list[tuple[Members[int], frozenset[int]]]:
    """Sets made of one another, with what each has to have; some have several successors."""
    made = [(Members((1, 2, 3)), frozenset((1, 2, 3)))]
    for parent, come, gone in history:
        members, model = made[parent % len(made)]
        made.append((members.changed(come, gone), model - (gone - come) | come))
    return made


@given(steps)
def test_a_set_never_changes_whatever_is_made_of_it(history: list[Any]) -> None:
    for members, model in family(history):
        assert members.ordered() == tuple(members) == tuple(sorted(model))
        assert len(members) == len(model)
        assert [n for n in range(13) if n in members] == sorted(model)


@given(steps)
def test_it_is_equal_to_its_sorted_tuple_and_hashes_like_it(history: list[Any]) -> None:
    for members, model in family(history):
        assert members == tuple(sorted(model))
        assert tuple(sorted(model)) == members
        assert hash(members) == hash(tuple(sorted(model)))
        assert pickle.loads(pickle.dumps(members)) == members


@given(steps)
def test_what_any_two_differ_in_is_found(history: list[Any]) -> None:
    made = family(history)
    for one, first in made:
        for other, second in made:
            assert difference(one, other) == (first - second, second - first)
            assert (one == other) == (first == second)


@given(steps, st.sampled_from([None, lambda n: n % 2 == 0]))
def test_pairs_with_a_tag_differ_as_the_sets_do(history: list[Any], only: Any) -> None:
    made = family(history)
    (one, first), (other, second) = made[0], made[-1]
    pairs = [{("a", n) for n in model if only is None or only(n)} for model in (first, second)]
    assert difference(Tagged("a", one, only), Tagged("a", other, only)) == (pairs[0] - pairs[1], pairs[1] - pairs[0])
    assert difference(Tagged("a", one, only), Tagged("b", one, only)) == (pairs[0], {("b", n) for _, n in pairs[0]})
    assert difference(Tagged("a", one, None), Tagged("a", one, lambda n: n > 2))[1] == set()


def test_what_differs_is_found_without_a_look_at_the_members() -> None:
    looks: list[int] = []

    class Counted(int):
        def __hash__(self) -> int:
            looks.append(1)
            return int.__hash__(self)

    big = Members(Counted(n) for n in range(5000))
    new = big.changed(come=(Counted(5000),))
    looks.clear()
    newest = new.changed(come=(Counted(5001),), gone=(Counted(7),))
    assert difference(big, newest) == ({7}, {5000, 5001})
    assert big != newest
    assert newest != new
    assert len(looks) < 100


def test_a_change_that_changes_nothing_is_the_same_value() -> None:
    members = Members((1, 2))
    assert members.changed(come=(1,), gone=(5,)) is members


def test_only_a_large_set_is_given_to_a_row_as_members() -> None:
    assert isinstance(as_column(Members(range(MANY - 1))), tuple)
    assert isinstance(as_column(Members(range(MANY))), Members)


def test_it_is_added_to_tuples_and_indexed_like_one() -> None:
    members, more = Members((3, 1)), (9,)
    assert (more + members, members + more, members[0], members[-1]) == ((9, 1, 3), (1, 3, 9), 1, 3)


def test_it_is_equal_to_nothing_else() -> None:
    assert Members((1,)) != [1]
    with pytest.raises(TypeError):
        sorted([Members((1,)), 2])  # type: ignore[type-var]
