"""Multicast groups of routers that relay, and of the switches that they are on; and how little runs."""

from __future__ import annotations

from ovine.engine import Engine
from ovine.northd import multicast, snooping
from support.northd import Northbound, row_uuid, rules_run, start

CLOUD = """
switch s1 mcast_snoop=true
switch s2 mcast_snoop=true
port s1 s1-r type=router options:router-port=r-s1
port s2 s2-r type=router options:router-port=r-s2
port s1 a
port s2 b
port s2 c
router r mcast_relay=true
rport r r-s1 0a:00:00:00:01:fe 10.0.1.254/24
rport r r-s2 0a:00:00:00:02:fe 10.0.2.254/24
"""


def made(text: str = "") -> tuple[Northbound, Engine]:
    return start(CLOUD + text)


def groups(engine: Engine, datapath: str) -> dict[str, set[str]]:
    """Ports by group; those of groups that flood are left out."""
    found = {}
    for (of, name), row in engine.rows(multicast.GROUPS).items():
        if of == row_uuid(datapath) and name not in ("_MC_flood", "_MC_unknown", "_MC_flood_l2"):
            found[name] = {str(port).split("'")[1] for port in row.ports}
    return found


def test_a_router_brings_an_address_to_the_switches_where_it_is_wanted() -> None:
    northbound, engine = made("heard s1 239.1.1.1 h1 a\nheard s2 239.1.1.1 h1 b\nheard s2 239.1.1.2 h1 b c")
    every: dict[str, set[str]] = {"_MC_static": set()}
    assert groups(engine, "router r") == {"239.1.1.1": {"r-s1", "r-s2"}, "239.1.1.2": {"r-s2"}, **every}
    rules_run(northbound, engine, "heard s1 239.1.1.1 h1\nheard s2 239.1.1.2 h1")
    assert groups(engine, "router r") == {"239.1.1.1": {"r-s2"}, **every}
    rules_run(northbound, engine, "router r")
    assert groups(engine, "router r") == {}


def test_a_switch_gives_such_a_router_all_multicast_and_all_reports() -> None:
    northbound, engine = made("heard s2 239.1.1.1 h1 b s2-r")
    every = {"_MC_static": {"s2-r"}, "_MC_mrouter_flood": {"s2-r"}}
    assert groups(engine, "s2") == {"239.1.1.1": {"b"}, **every}
    rules_run(northbound, engine, "rport r r-s2 0a:00:00:00:02:fe 10.0.2.254/24 enabled=false")
    assert groups(engine, "s2") == {"239.1.1.1": {"b", "s2-r"}, "_MC_static": set(), "_MC_mrouter_flood": set()}


def test_a_router_port_that_gets_everything_is_in_no_group_of_an_address() -> None:
    northbound, engine = made("heard s1 239.1.1.1 h1 a\nheard s2 239.1.1.1 h1 b")
    rules_run(northbound, engine, "rport r r-s2 0a:00:00:00:02:fe 10.0.2.254/24 options:mcast_flood=true")
    assert groups(engine, "router r") == {"239.1.1.1": {"r-s1"}, "_MC_static": {"r-s2"}}


def test_one_more_who_wants_an_address_runs_nothing_for_the_router() -> None:
    northbound, engine = made("heard s2 239.1.1.1 h1 b")
    ran = rules_run(northbound, engine, "heard s2 239.1.1.1 h1 b c")
    assert "snooping.address" in ran
    assert not {"relay.relayed_address", "relay.relaying"} & set(ran)


def test_a_further_address_runs_nothing_for_the_others() -> None:
    northbound, engine = made("heard s2 239.1.1.1 h1 b\nheard s2 239.1.1.2 h1 b")
    ran = rules_run(northbound, engine, "heard s2 239.1.1.3 h1 b")
    assert set(ran) & {"relay.relaying", "relay.relaying_port"} == set()
    assert 1 <= ran.count("relay.relayed_address") <= 2
    keys = engine.rows(snooping.KEYS)
    assert len({number for (of, _), number in keys.items() if of == row_uuid("router r")}) == 3
