"""Multicast groups of switches that snoop, what hosts are told, and how little runs."""

from __future__ import annotations

import pytest

from ovine.engine import Engine
from ovine.northd import learned, multicast, snooping
from support.northd import Northbound, row_uuid, rules_run, start

CLOUD = """
switch s1 mcast_snoop=true
switch s2
port s1 a addresses='0a:00:00:00:00:01'
port s1 b addresses='0a:00:00:00:00:02'
port s1 c addresses='0a:00:00:00:00:03'
port s2 d addresses='0a:00:00:00:00:04'
"""


def made(text: str = "") -> tuple[Northbound, Engine]:
    return start(CLOUD + text)


def groups(engine: Engine) -> dict[str, set[str]]:
    """Ports by group, of the switches that snoop; the flood group is left out."""
    found = {}
    for (_, name), row in engine.rows(multicast.GROUPS).items():
        if name not in (multicast.FLOOD_GROUP, "_MC_unknown", "_MC_flood_l2"):
            found[name] = {str(port).split("'")[1] for port in row.ports}
    return found


def test_what_several_hosts_heard_is_put_together() -> None:
    northbound, engine = made("heard s1 239.1.1.1 h1 a b\nheard s1 239.1.1.1 h2 c\nheard s1 239.1.1.2 h1 a")
    special: dict[str, set[str]] = {"_MC_static": set(), "_MC_mrouter_flood": set()}
    assert groups(engine) == {"239.1.1.1": {"a", "b", "c"}, "239.1.1.2": {"a"}, **special}
    rules_run(northbound, engine, "heard s1 239.1.1.1 h1 b\nheard s1 239.1.1.2 h1")
    assert groups(engine) == {"239.1.1.1": {"b", "c"}, **special}


def test_who_gets_everything_is_in_no_group_of_an_address() -> None:
    northbound, engine = made("heard s1 239.1.1.1 h1 a b c")
    rules_run(northbound, engine, "port s1 a options:mcast_flood=true\nheard s1 mrouters h2 b")
    assert groups(engine) == {"239.1.1.1": {"c"}, "_MC_static": {"a", "b"}, "_MC_mrouter_flood": {"b"}}
    rules_run(northbound, engine, "port s1 a options:mcast_flood_reports=true\nheard s1 mrouters h2")
    assert groups(engine) == {"239.1.1.1": {"a", "b", "c"}, "_MC_static": set(), "_MC_mrouter_flood": {"a"}}


@pytest.mark.parametrize("address", ["224.0.0.5", "10.0.0.1", "ff02::1", "ff02::1:ff00:2", "ff05::", "nonsense"])
def test_what_is_not_snooped_has_no_group(address: str) -> None:
    _, engine = made(f"heard s1 {address} h1 a")
    assert groups(engine).keys() == {"_MC_static", "_MC_mrouter_flood"}


def test_a_switch_that_does_not_snoop_has_none_of_it_and_what_was_heard_there_is_stale() -> None:
    northbound, engine = made("heard s2 239.1.1.1 h1 d")
    assert "239.1.1.1" not in groups(engine)
    assert [table.__name__ for table, _ in engine.rows(learned.STALE)] == ["IGMPGroup"]
    rules_run(northbound, engine, "switch s2 mcast_snoop=true")
    assert not engine.rows(learned.STALE) and "239.1.1.1" in groups(engine)


def test_hosts_are_told_how_to_snoop_and_how_to_ask() -> None:
    settings = "mcast_eth_src=0a:00:00:00:00:fe mcast_ip4_src=10.0.0.254 mcast_idle_timeout=60 mcast_querier=false"
    northbound, engine = made()
    (row,) = engine.rows(snooping.IP_MULTICAST).values()
    assert (row.enabled, row.querier, row.table_size) == (True, True, 2048)
    assert (row.idle_timeout, row.query_interval, row.query_max_resp) == (300, 150, 1)
    rules_run(northbound, engine, f"switch s1 mcast_snoop=true {settings}")
    (row,) = engine.rows(snooping.IP_MULTICAST).values()
    assert (row.querier, row.idle_timeout, row.query_interval) == (False, 60, 30)
    assert (row.eth_src, row.ip4_src) == ("0a:00:00:00:00:fe", "10.0.0.254")


def test_a_setting_that_makes_no_sense_is_reported_and_the_default_holds() -> None:
    _, engine = made("switch s1 mcast_snoop=true mcast_table_size=0 mcast_query_interval=x mcast_idle_timeout=20")
    (failure,) = engine.failures()
    assert "mcast_table_size '0' is not a number from 1 to 32766; mcast_query_interval 'x'" in failure.error
    (row,) = engine.rows(snooping.IP_MULTICAST).values()
    assert (row.table_size, row.query_interval, row.idle_timeout) == (2048, 10, 20)


def test_a_further_member_changes_one_group_and_a_further_switch_no_flow() -> None:
    northbound, engine = made("bind b h1\nheard s1 239.1.1.1 h1 a\nheard s1 239.1.1.2 h1 a")
    ran = rules_run(northbound, engine, "heard s1 239.1.1.1 h1 a b")
    assert sorted(ran) == ["snooping.address", "snooping.wanted"]
    ran = rules_run(northbound, engine, "switch s3 mcast_snoop=true")
    assert "snooping.address" not in ran


def test_keys_of_addresses_stay() -> None:
    northbound, engine = made("heard s1 239.1.1.1 h1 a\nheard s1 239.1.1.2 h1 a")
    before = engine.rows(snooping.KEYS)[row_uuid("s1"), "239.1.1.2"]
    rules_run(northbound, engine, "heard s1 239.1.1.1 h1")
    assert engine.rows(snooping.KEYS) == {(row_uuid("s1"), "239.1.1.2"): before}
