"""What a change runs, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from ovine.engine import CycleError, Delta, Emit, Engine, Index, Reader, Relation, query, rule


class Port(NamedTuple):
    name: str
    switch: str
    up: bool = False


@dataclass(frozen=True)
class Person:
    first: str
    last: str
    age: int = 0

    @property
    def full(self) -> str:
        return f"{self.first} {self.last}"


class Switch(NamedTuple):
    name: str
    key: int = 0


OUT: Relation[str, tuple[str, int]] = Relation("out")
COUNT: Relation[str, int] = Relation("count")
NAMES: Relation[str, str] = Relation("names")
PORTS_OF: Index[Port] = Index(Port, lambda port: (port.switch,))


@query
def key_of(q: Reader, switch: str) -> int | None:
    row = q.get(Switch, switch)
    return row.key % 10 if row is not None else None


@rule(over=Port, writes=(OUT,))
def port_out(q: Reader, key: str) -> Iterator[Emit]:
    port = q.row(Port, key)
    number = key_of(q, port.switch)
    if number is not None:
        yield OUT(port.name, (port.switch, number))


@rule(over=PORTS_OF, writes=(COUNT,))
def count(q: Reader, switch: str) -> Iterator[Emit]:
    yield COUNT(switch, len(q.find(PORTS_OF, switch)))


@pytest.fixture
def engine() -> Engine:
    made = Engine([port_out, count], watch=[OUT, COUNT])
    made.feed(Switch, "s1", Switch("s1", 1))
    made.feed(Port, "p1", Port("p1", "s1"))
    made.feed(Port, "p2", Port("p2", "s1"))
    made.run()
    made.take(OUT), made.take(COUNT)
    made.log = []
    return made


def test_rows_come_from_rules(engine: Engine) -> None:
    assert dict(engine.rows(OUT)) == {"p1": ("s1", 1), "p2": ("s1", 1)}
    assert dict(engine.rows(COUNT)) == {"s1": 2}
    assert engine.origins(OUT, "p1") == [(port_out.name, "p1")]
    assert engine.origins(OUT, "nothing") == []


def test_a_column_that_nobody_read_runs_nothing(engine: Engine) -> None:
    engine.feed(Port, "p1", Port("p1", "s1", up=True))
    engine.run()
    assert engine.log == []
    assert engine.take(OUT) == []


def test_an_unrelated_row_runs_nothing(engine: Engine) -> None:
    engine.feed(Switch, "s9", Switch("s9", 9))
    engine.run()
    assert engine.log == []


def test_an_equal_row_runs_nothing(engine: Engine) -> None:
    engine.feed(Switch, "s1", Switch("s1", 1))
    engine.run()
    assert engine.log == []


def test_a_query_with_an_equal_result_stops_the_wave(engine: Engine) -> None:
    engine.feed(Switch, "s1", Switch("s1", 11))
    engine.run()
    assert engine.log == [("key_of", ("s1",))]


def test_a_query_with_a_new_result_runs_its_readers(engine: Engine) -> None:
    engine.feed(Switch, "s1", Switch("s1", 2))
    engine.run()
    assert sorted(engine.log or []) == [("key_of", ("s1",)), (port_out.name, "p1"), (port_out.name, "p2")]
    assert engine.take(OUT) == [Delta("p1", ("s1", 1), ("s1", 2)), Delta("p2", ("s1", 1), ("s1", 2))]


def test_a_row_that_goes_takes_its_output_along(engine: Engine) -> None:
    engine.feed(Port, "p1", None)
    engine.run()
    assert engine.take(OUT) == [Delta("p1", ("s1", 1), None)]
    assert engine.log == [(count.name, "s1")]
    assert dict(engine.rows(COUNT)) == {"s1": 1}


def test_changes_that_cancel_out_are_no_change(engine: Engine) -> None:
    engine.feed(Port, "p1", None)
    engine.run()
    engine.feed(Port, "p1", Port("p1", "s1"))
    engine.run()
    assert engine.take(OUT) == [] == engine.take(COUNT)


def test_a_query_that_nobody_reads_any_more_is_forgotten(engine: Engine) -> None:
    assert engine.sizes()["key_of"][0] == 1
    engine.feed(Port, "p1", None)
    engine.feed(Port, "p2", None)
    engine.run()
    assert engine.sizes()["key_of"] == (0, 0)


def test_a_limited_run_stops_and_can_be_continued(engine: Engine) -> None:
    for number in range(20):
        engine.feed(Port, f"q{number}", Port(f"q{number}", "s1"))
    turns = 1
    while not engine.run(3):
        turns += 1
    assert turns >= 6
    assert engine.audit() == []


def test_a_view_is_not_a_value(engine: Engine) -> None:
    @rule(over=Port, writes=(OUT,))
    def leaks(q: Reader, key: str) -> Iterator[Emit]:
        yield OUT(key, q.row(Port, key))  # type: ignore[arg-type]

    leaking = Engine([leaks])
    leaking.feed(Port, "p1", Port("p1", "s1"))
    leaking.run()
    assert "only values can be emitted" in leaking.failures()[0].error


def test_a_property_counts_as_the_columns_that_it_reads() -> None:
    @rule(over=Person, writes=(NAMES,))
    def name(q: Reader, key: str) -> Iterator[Emit]:
        yield NAMES(key, q.row(Person, key).full)

    made = Engine([name])
    made.feed(Person, "p", Person("Ada", "Byron"))
    made.run()
    made.log = []
    made.feed(Person, "p", Person("Ada", "Byron", 36))
    made.run()
    assert made.log == []
    made.feed(Person, "p", Person("Ada", "Lovelace", 36))
    made.run()
    assert dict(made.rows(NAMES)) == {"p": "Ada Lovelace"}


def test_a_derived_relation_cannot_be_fed(engine: Engine) -> None:
    with pytest.raises(ValueError, match="derived"):
        engine.feed(OUT, "p1", ("s1", 1))


def test_only_watched_relations_can_be_taken() -> None:
    with pytest.raises(ValueError, match="not watched"):
        Engine([port_out]).take(OUT)


def test_an_undeclared_output_is_refused() -> None:
    @rule(over=Port, writes=(OUT,))
    def strays(q: Reader, key: str) -> Iterator[Emit]:
        yield COUNT(key, 1)

    made = Engine([strays])
    made.feed(Port, "p1", Port("p1", "s1"))
    made.run()
    assert "does not declare" in made.failures()[0].error


def test_a_rule_that_needs_its_own_output_is_refused() -> None:
    @rule(over=Port, writes=(COUNT,))
    def selfish(q: Reader, key: str) -> Iterator[Emit]:
        yield COUNT(key, (q.get(COUNT, "other") or 0) + 1)

    made = Engine([selfish])
    made.feed(Port, "p1", Port("p1", "s1"))
    made.run()
    assert "CycleError" in made.failures()[0].error

    @rule(over=COUNT, writes=(COUNT,))
    def worse(q: Reader, key: str) -> Iterator[Emit]:
        yield COUNT(key, 1)

    with pytest.raises(CycleError):
        Engine([worse])


def test_a_query_that_asks_for_itself_is_refused() -> None:
    @query
    def circle(q: Reader, key: str) -> int:
        return circle(q, key)

    @rule(over=Port, writes=(COUNT,))
    def asks(q: Reader, key: str) -> Iterator[Emit]:
        yield COUNT(key, circle(q, key))

    made = Engine([asks])
    made.feed(Port, "p1", Port("p1", "s1"))
    made.run()
    assert "needs its own result" in made.failures()[0].error


def test_a_relation_can_be_settled_ahead_of_the_rest_some_runs_at_a_time() -> None:
    engine = Engine([count, port_out], watch=(OUT,))
    engine.feed(Switch, "a", Switch("a", 1))
    for name in ("p", "q", "r"):
        engine.feed(Port, name, Port(name, "a"))
    engine.log = []
    assert not engine.settle(OUT, 2)
    assert engine.settle(OUT, 100)
    assert [key for name, key in engine.log if name.endswith("port_out")] == ["p", "q", "r"]
    assert len(engine.take(OUT)) == 3 and not engine.rows(COUNT)
    engine.run()
    assert engine.rows(COUNT) == {"a": 3} and engine.audit() == [] and engine.take(OUT) == []
