"""Learned MAC bindings grow old: what is to be deleted at which time."""

from __future__ import annotations

from ovine import northd
from ovine.engine import Engine
from ovine.northd.ageing import PAUSE, Ageing
from support.northd import Northbound, row_uuid

FIRST, SECOND = row_uuid("learned r1-a 10.0.0.1"), row_uuid("learned r1-a 10.0.0.2")


def world(options: str = "options:mac_binding_age_threshold=10") -> tuple[Northbound, Engine]:
    """Two bindings: learned at 1000 and at 4000 milliseconds."""
    northbound = Northbound()
    northbound.apply(f"router r1 {options}")
    northbound.apply("learned r1 r1-a 10.0.0.1 0a:00:00:00:00:01 1000\nlearned r1 r1-a 10.0.0.2 0a:00:00:00:00:02 4000")
    return northbound, compiled(northbound, northd.new_engine())


def compiled(northbound: Northbound, engine: Engine) -> Engine:
    northbound.feed(engine)
    engine.run()
    return engine


def test_a_binding_goes_when_it_is_as_old_as_the_router_says() -> None:
    _, engine = world()
    ageing = Ageing()
    assert ageing.due(engine, 0, 10_999) == []
    assert ageing.next_look(10_999) == 1
    assert ageing.due(engine, 0, 11_000) == [FIRST]
    assert ageing.next_look(11_000) == 3000
    assert ageing.due(engine, 0, 14_000) == [SECOND]


def test_without_the_option_bindings_do_not_age() -> None:
    for options in ("", "options:mac_binding_age_threshold=0"):
        _, engine = world(options)
        ageing = Ageing()
        assert ageing.due(engine, 0, 10**12) == []
        assert ageing.next_look(10**12) is None


def test_what_was_learned_again_stays_as_long_again() -> None:
    northbound, engine = world()
    ageing = Ageing()
    ageing.due(engine, 0, 5000)
    northbound.apply("learned r1 r1-a 10.0.0.1 0a:00:00:00:00:01 9000")
    compiled(northbound, engine)
    assert ageing.due(engine, 0, 14_000) == [SECOND]
    assert ageing.due(engine, 0, 19_000) == [FIRST, SECOND]


def test_a_deletion_that_came_to_nothing_is_asked_for_again_later() -> None:
    _, engine = world()
    ageing = Ageing()
    assert ageing.due(engine, 0, 11_000) == [FIRST]
    assert ageing.due(engine, 0, 11_001) == []
    assert ageing.due(engine, 0, 11_000 + PAUSE) == [SECOND, FIRST]


def test_with_a_limit_the_oldest_go_first_and_the_others_after_a_pause() -> None:
    northbound, engine = world()
    ageing = Ageing()
    assert ageing.due(engine, 1, 20_000) == [FIRST]
    northbound.rows = {key: row for key, row in northbound.rows.items() if key[1] != FIRST}
    compiled(northbound, engine)
    assert ageing.due(engine, 1, 20_001) == []
    assert ageing.next_look(20_001) == PAUSE - 1
    assert ageing.due(engine, 1, 20_000 + PAUSE) == [SECOND]


def test_another_engine_is_looked_at_as_a_whole() -> None:
    northbound, engine = world()
    ageing = Ageing()
    ageing.due(engine, 0, 5000)
    other = compiled(northbound, northd.new_engine())
    assert ageing.due(other, 0, 14_000) == [FIRST, SECOND]


def test_a_binding_of_a_deleted_router_has_no_age_but_is_stale() -> None:
    northbound, engine = world()
    northbound.apply("unrouter r1")
    compiled(northbound, engine)
    assert Ageing().due(engine, 0, 10**12) == []
    assert {key for _, key in engine.rows(northd.learned.STALE)} == {FIRST, SECOND}
