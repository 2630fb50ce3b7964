"""A rule that fails fails alone and closed; rules that disagree are told apart the same way in every order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

from ovine.engine import Emit, Engine, Reader, Relation, rule


class Item(NamedTuple):
    value: int
    target: str = "shared"


OUT: Relation[str, int] = Relation("out")
DROP = -1


@rule(over=Item, writes=(OUT,))
def strict(q: Reader, key: str) -> Iterator[Emit]:
    item = q.row(Item, key)
    yield OUT(f"{key} before", item.value)
    yield OUT(key, 100 // item.value)


def instead(q: Reader, key: str) -> Iterator[Emit]:
    yield OUT(key, DROP)


@rule(over=Item, writes=(OUT,), on_failure=instead)
def closed(q: Reader, key: str) -> Iterator[Emit]:
    yield OUT(key, 100 // q.row(Item, key).value)


def engine_of(*rules: object, **items: Item) -> Engine:
    made = Engine(rules, watch=[OUT])  # type: ignore[arg-type]
    for key, item in items.items():
        made.feed(Item, key, item)
    made.run()
    return made


def test_a_failing_rule_loses_its_whole_output_and_others_keep_theirs() -> None:
    made = engine_of(strict, a=Item(0), b=Item(4))
    assert dict(made.rows(OUT)) == {"b before": 4, "b": 25}
    (failure,) = made.failures()
    assert (failure.rule, failure.key) == (strict.name, "'a'")
    assert failure.error.startswith("ZeroDivisionError")
    assert "item.value" in failure.trace


def test_a_failure_ends_when_its_cause_does() -> None:
    made = engine_of(strict, a=Item(0))
    made.feed(Item, "a", Item(5))
    made.run()
    assert made.failures() == []
    assert made.rows(OUT)["a"] == 20


def test_a_failure_goes_with_its_row() -> None:
    made = engine_of(strict, a=Item(0))
    made.feed(Item, "a", None)
    made.run()
    assert made.failures() == []


def test_a_policy_rule_fails_closed() -> None:
    made = engine_of(closed, a=Item(0), b=Item(4))
    assert dict(made.rows(OUT)) == {"a": DROP, "b": 25}
    assert [f.key for f in made.failures()] == ["'a'"]
    assert made.audit() == []


@rule(over=Item, writes=(OUT,))
def share(q: Reader, key: str) -> Iterator[Emit]:
    item = q.row(Item, key)
    yield OUT(item.target, item.value)


def test_rules_that_agree_share_an_output_until_the_last_withdraws() -> None:
    made = engine_of(share, a=Item(7), b=Item(7))
    assert made.failures() == []
    assert len(made.origins(OUT, "shared")) == 2
    made.feed(Item, "a", None)
    made.run()
    assert dict(made.rows(OUT)) == {"shared": 7}
    made.feed(Item, "b", None)
    made.run()
    assert dict(made.rows(OUT)) == {}


def test_a_conflict_has_one_winner_in_every_order() -> None:
    for order in permutations([("a", 3), ("b", 2), ("c", 1)]):
        made = Engine([share], watch=[OUT])
        for key, value in order:
            made.feed(Item, key, Item(value))
            made.run()
        assert dict(made.rows(OUT)) == {"shared": 3}
        assert "disagree" in made.failures()[0].error
        assert made.audit() == []


def test_a_conflict_ends_when_rivals_agree_or_go() -> None:
    made = engine_of(share, a=Item(3), b=Item(2))
    made.feed(Item, "a", None)
    made.run()
    assert (dict(made.rows(OUT)), made.failures()) == ({"shared": 2}, [])
    made.feed(Item, "a", Item(2))
    made.run()
    assert made.failures() == []
