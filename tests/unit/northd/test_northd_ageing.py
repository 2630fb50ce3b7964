"""Learned addresses grow old: what is to be deleted at which time, and what hosts are told of it."""

from __future__ import annotations

import pytest

from ovine import northd
from ovine.engine import Engine
from ovine.model import ages
from ovine.northd import thresholds
from ovine.northd.ageing import PAUSE, Ageing
from ovine.northd.datapaths import KEYS
from ovine.northd.expiry import EXPIRY, FDB_EXPIRY
from ovine.northd.flows import DATAPATHS
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
    ageing = Ageing(EXPIRY)
    assert ageing.due(engine, 0, 10_999) == []
    assert ageing.next_look(10_999) == 1
    assert ageing.due(engine, 0, 11_000) == [FIRST]
    assert ageing.next_look(11_000) == 3000
    assert ageing.due(engine, 0, 14_000) == [SECOND]


def test_without_the_option_bindings_do_not_age() -> None:
    for options in ("", "options:mac_binding_age_threshold=0"):
        _, engine = world(options)
        ageing = Ageing(EXPIRY)
        assert ageing.due(engine, 0, 10**12) == []
        assert ageing.next_look(10**12) is None


def test_what_was_learned_again_stays_as_long_again() -> None:
    northbound, engine = world()
    ageing = Ageing(EXPIRY)
    ageing.due(engine, 0, 5000)
    northbound.apply("learned r1 r1-a 10.0.0.1 0a:00:00:00:00:01 9000")
    compiled(northbound, engine)
    assert ageing.due(engine, 0, 14_000) == [SECOND]
    assert ageing.due(engine, 0, 19_000) == [FIRST, SECOND]


def test_a_deletion_that_came_to_nothing_is_asked_for_again_later() -> None:
    _, engine = world()
    ageing = Ageing(EXPIRY)
    assert ageing.due(engine, 0, 11_000) == [FIRST]
    assert ageing.due(engine, 0, 11_001) == []
    assert ageing.due(engine, 0, 11_000 + PAUSE) == [SECOND, FIRST]


def test_with_a_limit_the_oldest_go_first_and_the_others_after_a_pause() -> None:
    northbound, engine = world()
    ageing = Ageing(EXPIRY)
    assert ageing.due(engine, 1, 20_000) == [FIRST]
    northbound.rows = {key: row for key, row in northbound.rows.items() if key[1] != FIRST}
    compiled(northbound, engine)
    assert ageing.due(engine, 1, 20_001) == []
    assert ageing.next_look(20_001) == PAUSE - 1
    assert ageing.due(engine, 1, 20_000 + PAUSE) == [SECOND]


def test_another_engine_is_looked_at_as_a_whole() -> None:
    northbound, engine = world()
    ageing = Ageing(EXPIRY)
    ageing.due(engine, 0, 5000)
    other = compiled(northbound, northd.new_engine())
    assert ageing.due(other, 0, 14_000) == [FIRST, SECOND]


def test_a_binding_of_a_deleted_router_has_no_age_but_is_stale() -> None:
    northbound, engine = world()
    northbound.apply("unrouter r1")
    compiled(northbound, engine)
    assert Ageing(EXPIRY).due(engine, 0, 10**12) == []
    assert {key for _, key in engine.rows(northd.learned.STALE)} == {FIRST, SECOND}


# --- thresholds of networks -------------------------------------------------------------------------------------------


def test_the_longest_network_of_a_binding_decides() -> None:
    northbound, engine = world("'options:mac_binding_age_threshold=10.0.0.0/24:5;10.0.0.2/32:0;fd00::/8:7;60'")
    assert dict(engine.rows(EXPIRY)) == {FIRST: 6000}
    northbound.apply("learned r1 r1-a 10.9.0.1 0a:00:00:00:00:01 1000\nlearned r1 r1-a fd00::1 0a:00:00:00:00:01 1000")
    compiled(northbound, engine)
    assert sorted(engine.rows(EXPIRY).values()) == [6000, 8000, 61_000]


# --- Ethernet addresses -----------------------------------------------------------------------------------------------

LEARNED = row_uuid("fdb 1 0a:00:00:00:00:77")


def switch(threshold: str = "fdb_age_threshold=10") -> tuple[Northbound, Engine]:
    """A switch with a learning port that learned an address at 1000 milliseconds, and has one that is configured."""
    northbound = Northbound()
    northbound.apply(f"switch s1 requested-tnl-key=1 {threshold}")
    northbound.apply("port s1 p1 addresses='0a:00:00:00:00:01 10.0.0.1;unknown' options:requested-tnl-key=1")
    northbound.apply("fdb 1 1 0a:00:00:00:00:77 1000\nfdb 1 1 0a:00:00:00:00:01 1000")
    engine = compiled(northbound, northd.new_engine())
    assert engine.rows(KEYS)[row_uuid("s1")] == 1
    return northbound, engine


def test_a_learned_address_goes_when_it_is_as_old_as_the_switch_says() -> None:
    northbound, engine = switch()
    assert dict(engine.rows(FDB_EXPIRY)) == {LEARNED: 11_000}
    ageing = Ageing(FDB_EXPIRY)
    assert ageing.due(engine, 0, 10_999) == []
    assert ageing.due(engine, 0, 11_000) == [LEARNED]
    northbound.apply("fdb 1 1 0a:00:00:00:00:77 9000")  # a host that uses it says so
    compiled(northbound, engine)
    assert ageing.due(engine, 0, 18_999) == []
    assert ageing.due(engine, 0, 19_000) == [LEARNED]


@pytest.mark.parametrize("threshold", ["", "fdb_age_threshold=0", "fdb_age_threshold=soon"])
def test_without_a_threshold_learned_addresses_do_not_age(threshold: str) -> None:
    _, engine = switch(threshold)
    assert dict(engine.rows(FDB_EXPIRY)) == {}


def test_of_ethernet_addresses_as_many_go_at_a_time_as_their_own_limit_says() -> None:
    options = {"fdb_removal_limit": "1", "mac_binding_removal_limit": "7"}
    assert (thresholds.fdb_removal_limit(options), thresholds.removal_limit(options)) == (1, 7)
    assert thresholds.fdb_removal_limit({}) == thresholds.fdb_removal_limit({"fdb_removal_limit": "many"}) == 0


def test_an_address_without_a_time_does_not_age() -> None:
    northbound, engine = switch()
    northbound.apply("fdb 1 1 0a:00:00:00:00:77 0")
    compiled(northbound, engine)
    assert dict(engine.rows(FDB_EXPIRY)) == {}


def test_a_refreshed_row_runs_the_rule_of_that_row_alone() -> None:
    northbound, engine = switch()
    engine.log = []
    northbound.apply("fdb 1 1 0a:00:00:00:00:77 9000")
    compiled(northbound, engine)
    assert [(rule.rpartition(".")[2], key) for rule, key in engine.log] == [("fdb_expiry", LEARNED)]


# --- hosts ------------------------------------------------------------------------------------------------------------


def told(engine: Engine, owner: str) -> dict[str, str]:
    ids = engine.rows(DATAPATHS)[row_uuid(owner)].external_ids
    return {key: value for key, value in ids.items() if key in (ages.BINDINGS_KEY, ages.FDB_KEY)}


def test_hosts_are_told_thresholds_and_nothing_where_nothing_ages() -> None:
    northbound = Northbound()
    northbound.apply("switch s1 fdb_age_threshold=300\nswitch s2 fdb_age_threshold=0\nrouter r3")
    northbound.apply("router r1 'options:mac_binding_age_threshold=10.0.0.0/8:60;0'")
    northbound.apply("router r2 'options:mac_binding_age_threshold=10.0.0.0/8:0;0'")
    engine = compiled(northbound, northd.new_engine())
    assert told(engine, "s1") == {"fdb_age_threshold": "300"}
    assert told(engine, "router r1") == {"mac_binding_age_threshold": "10.0.0.0/8:60;0"}
    assert told(engine, "s2") == told(engine, "router r2") == told(engine, "router r3") == {}


def test_a_threshold_that_makes_no_sense_is_reported_and_nothing_ages() -> None:
    northbound = Northbound()
    northbound.apply("switch s1 fdb_age_threshold=soon\nrouter r1 'options:mac_binding_age_threshold=10.0.0.300:5'")
    engine = compiled(northbound, northd.new_engine())
    assert told(engine, "s1") == told(engine, "router r1") == {}
    said = sorted(failure.error.split(": ")[1] for failure in engine.failures())
    assert said == ["router r1", "switch s1"]
