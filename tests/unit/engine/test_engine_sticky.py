"""Sticky numbers: unique in their pool, kept while asked for, wanted ones first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Engine, Reader, Relation, Sticky, rule


class Ask(NamedTuple):
    pool: str
    wanted: int | None = None


NUMBERS: Sticky[str] = Sticky("number", 1, 3)
OUT: Relation[str, int] = Relation("out")


@rule(over=Ask, writes=(NUMBERS,))
def asks(q: Reader, key: str) -> Iterator[Emit]:
    ask = q.row(Ask, key)
    yield NUMBERS.request(key, pool=ask.pool, wanted=ask.wanted)


@rule(over=Ask, writes=(OUT,))
def uses(q: Reader, key: str) -> Iterator[Emit]:
    number = q.get(NUMBERS, key)
    if number is not None:
        yield OUT(key, number)


def engine() -> Engine:
    return Engine([asks, uses], watch=[OUT])


def numbers(made: Engine) -> dict[str, int]:
    made.run()
    assert made.audit() == []
    return dict(made.rows(OUT))


def test_numbers_are_unique_in_a_pool_only() -> None:
    made = engine()
    for key in "abc":
        made.feed(Ask, key, Ask("p"))
    made.feed(Ask, "d", Ask("other"))
    assert numbers(made) == {"a": 1, "b": 2, "c": 3, "d": 1}


def test_a_key_keeps_its_number_when_others_go() -> None:
    made = engine()
    for key in "abc":
        made.feed(Ask, key, Ask("p"))
    numbers(made)
    made.feed(Ask, "a", None)
    assert numbers(made) == {"b": 2, "c": 3}
    made.feed(Ask, "d", Ask("p"))
    assert numbers(made) == {"b": 2, "c": 3, "d": 1}


def test_seeds_are_preferred() -> None:
    made = engine()
    made.seed(NUMBERS, {"a": 3, "b": 2})
    for key in "abc":
        made.feed(Ask, key, Ask("p"))
    assert numbers(made) == {"a": 3, "b": 2, "c": 1}


def test_a_wanted_number_turns_out_one_who_did_not_want_it() -> None:
    made = engine()
    made.feed(Ask, "a", Ask("p"))
    assert numbers(made) == {"a": 1}
    made.feed(Ask, "b", Ask("p", wanted=1))
    assert numbers(made) == {"a": 2, "b": 1}


def test_of_two_who_want_a_number_its_holder_keeps_it() -> None:
    made = engine()
    made.feed(Ask, "b", Ask("p", wanted=2))
    numbers(made)
    made.feed(Ask, "a", Ask("p", wanted=2))
    assert numbers(made) == {"a": 1, "b": 2}


def test_an_exhausted_pool_is_a_failure_that_ends_when_a_number_is_given_back() -> None:
    made = engine()
    for key in "abcd":
        made.feed(Ask, key, Ask("p"))
    assert numbers(made) == {"a": 1, "b": 2, "c": 3}
    (failure,) = made.failures()
    assert failure.key == "'d'" and "no number left from 1 to 3" in failure.error
    made.feed(Ask, "b", None)
    assert numbers(made) == {"a": 1, "c": 3, "d": 2}
    assert made.failures() == []


def test_a_key_that_changes_its_pool_asks_anew() -> None:
    made = engine()
    made.feed(Ask, "a", Ask("p"))
    made.feed(Ask, "b", Ask("p"))
    numbers(made)
    made.feed(Ask, "b", Ask("other"))
    assert numbers(made) == {"a": 1, "b": 1}


def test_an_impossible_wish_is_answered_with_another_number() -> None:
    made = engine()
    made.feed(Ask, "a", Ask("p", wanted=99))
    assert numbers(made) == {"a": 1}
