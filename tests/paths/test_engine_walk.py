"""Random histories of a small network: incremental equals recompute, whatever the order and however it is chopped up.

The rules have every shape that the engine offers: queries over queries, an index over a derived relation, a rule over
an index, gathered sets, indexes over large sets, sticky numbers that feed other rules, shared outputs, conflicts, and a
rule that fails on some input.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.engine import Emit, Engine, Gather, Index, Reader, Relation, Sticky, query, rule
from ovine.model.members import Members, Tagged


class Switch(NamedTuple):
    ports: tuple[str, ...]
    mtu: int


class Port(NamedTuple):
    mac: int
    group: str
    up: bool


FACTS: Relation[tuple[str, int], tuple[int, str]] = Relation("facts")
FLOWS: Relation[int, tuple[str, ...]] = Relation("flows")
BINDINGS: Relation[str, tuple[int, int]] = Relation("bindings")
GROUPS: Relation[str, int] = Relation("groups")
KEYS: Sticky[str] = Sticky("keys", 1, 4)
ROSTERS: Relation[str, tuple[int, ...]] = Relation("rosters")
PLUGS: Relation[tuple[str, str], int] = Relation("plugs")

SWITCH_OF: Index[Switch] = Index(Switch, lambda switch: switch.ports)
BY_MAC: Index[tuple[int, str]] = Index(FACTS, lambda fact: (fact[0],))
BY_GROUP: Index[Port] = Index(Port, lambda port: (port.group,))
MACS_OF_PORT: Gather[tuple[str, int], tuple[int, str]] = Gather(FACTS, lambda key, fact: ((fact[1], fact[0]),))
MACS: Gather[tuple[str, int], tuple[int, str]] = Gather(FACTS, lambda key, fact: (("all", fact[0]), ("all", key[1])))
PORTS_OF: Index[Switch] = Index(Switch, lambda switch: Tagged(switch.mtu, switch.ports))


@query
def switch_of(q: Reader, port: str) -> str | None:
    found = q.find(SWITCH_OF, port)
    return found[0] if found else None


@query
def mtu_of(q: Reader, port: str) -> int:
    switch = switch_of(q, port)
    row = q.get(Switch, switch) if switch is not None else None
    return row.mtu // 2 if row is not None else 0


@rule(over=Port, writes=(KEYS,))
def keys(q: Reader, key: str) -> Iterator[Emit]:
    switch = switch_of(q, key)
    if switch is not None:
        yield KEYS.request(key, pool=switch, wanted=2 if q.row(Port, key).up else None)


@rule(over=BY_MAC, writes=(FLOWS,))
def flows(q: Reader, mac: int) -> Iterator[Emit]:
    """Declared before the rule that makes its input, on purpose."""
    yield FLOWS(mac, tuple(fact[1] for fact in (q.value(FACTS, key) for key in q.find(BY_MAC, mac)) if fact))


@rule(over=Port, writes=(FACTS,))
def facts(q: Reader, key: str) -> Iterator[Emit]:
    port = q.row(Port, key)
    for n in range(1, 1 + mtu_of(q, key) % 3):
        yield FACTS((key, n), (port.mac % n, key))


@rule(over=Port, writes=(BINDINGS,))
def bindings(q: Reader, key: str) -> Iterator[Emit]:
    number = q.get(KEYS, key)
    if number is not None:
        yield BINDINGS(key, (number, 6 // q.row(Port, key).mac))


@rule(over=BY_GROUP, writes=(GROUPS,))
def groups(q: Reader, group: str) -> Iterator[Emit]:
    """Entries that differ by case only write the same output, and may disagree."""
    yield GROUPS(group.lower(), len(q.find(BY_GROUP, group)) + len(q.keys(Switch)))


@rule(over=Port, writes=(ROSTERS,))
def roster(q: Reader, port: str) -> Iterator[Emit]:
    """Sets in which one member is there for several reasons."""
    yield ROSTERS(port, q.members(MACS_OF_PORT, port) + q.members(MACS, "all"))


@rule(over=PORTS_OF, writes=(PLUGS,))
def plug(q: Reader, entry: tuple[int, str]) -> Iterator[Emit]:
    """One instance for each member of a set that is compared by what changes."""
    yield PLUGS((str(entry[0]), entry[1]), len(q.find(PORTS_OF, entry)))


RULES = (flows, keys, facts, bindings, groups, roster, plug)
WATCHED = (FLOWS, BINDINGS, GROUPS, ROSTERS, PLUGS)

port_names = st.sampled_from(["p1", "p2", "p3", "p4", "p5", "p6"])
ports = st.builds(Port, st.integers(0, 4), st.sampled_from(["a", "A", "b"]), st.booleans())
switches = st.builds(Switch, st.lists(port_names, max_size=5, unique=True).map(tuple), st.integers(0, 9))
changes = st.one_of(
    st.tuples(st.just(Port), port_names, st.none() | ports),
    st.tuples(st.just(Switch), st.sampled_from(["s1", "s2"]), st.none() | switches),
)
steps = st.lists(st.tuples(changes, st.sampled_from(["run", "chop", "wait"])), max_size=25)


def walk(history: list[tuple[tuple[Any, str, Any], str]]) -> Engine:
    engine = Engine(RULES, WATCHED)
    mirror: dict[Relation[Any, Any], dict[Any, Any]] = {relation: {} for relation in WATCHED}
    sets: dict[str, Members[str]] = {}
    for (relation, key, value), how in history:
        if isinstance(value, Switch):
            before = sets.get(key, Members())
            sets[key] = before.changed(value.ports, set(before) - set(value.ports))
            value = value._replace(ports=sets[key])
        engine.feed(relation, key, value)
        if how == "chop":
            engine.run(2)
        elif how == "run":
            engine.run()
            assert engine.audit() == []
            follow(engine, mirror)
    engine.run()
    follow(engine, mirror)
    return engine


def follow(engine: Engine, mirror: dict[Relation[Any, Any], dict[Any, Any]]) -> None:
    """A reader of deltas must end up with the relation itself."""
    for relation, rows in mirror.items():
        for key, old, new in engine.take(relation):
            assert rows.get(key) == old
            if new is None:
                del rows[key]
            else:
                rows[key] = new
        assert rows == engine.rows(relation)


@settings(max_examples=int(os.environ.get("OVINE_EXAMPLES", "300")), deadline=None)
@given(steps)
def test_incremental_equals_recompute_on_any_history(history: list[Any]) -> None:
    engine = walk(history)
    assert engine.audit() == []
    assert engine.failures() == engine.recomputed().failures()


@settings(max_examples=150, deadline=None)
@given(steps)
def test_one_by_one_equals_all_at_once(history: list[Any]) -> None:
    """Numbers apart, which may depend on history, the last state alone decides."""
    rules = (flows, facts, groups)
    chopped, whole = Engine(rules, (FLOWS, GROUPS)), Engine(rules, (FLOWS, GROUPS))
    for (relation, key, value), _ in history:
        chopped.feed(relation, key, value)
        chopped.run()
    final = {(relation, key): value for (relation, key, value), _ in history}
    for (relation, key), value in reversed(list(final.items())):
        whole.feed(relation, key, value)
    whole.run()
    assert chopped.differences(whole) == []


@settings(max_examples=100, deadline=None)
@given(steps)
def test_a_second_run_runs_nothing(history: list[Any]) -> None:
    engine = walk(history)
    engine.log = []
    engine.run()
    for (relation, key, _), _ in history:
        engine.feed(relation, key, engine.rows(relation).get(key))
    engine.run()
    assert engine.log == []
