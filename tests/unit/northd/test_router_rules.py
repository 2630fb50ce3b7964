"""Routers in the engine: what a change costs, and rows other than flows."""

from __future__ import annotations

from collections import Counter

import pytest

from ovine import northd
from ovine.engine import Engine
from ovine.northd import bfd, mac_bindings
from ovine.northd.flows import FLOWS
from ovine.northd.router_pipeline import RESOLVE
from ovine.northd.router_ports import ROUTER_PORTS, Way, parse_network
from ovine.northd.routes import MAIN, ROUTES, table_number
from ovine.northd.sets import ADDRESS_SETS
from support.northd import Northbound, compiled, row_uuid


def after(northbound: Northbound, engine: Engine, commands: str) -> tuple[set[object], Counter[str]]:
    """Applies commands; returns the keys of the flows that changed, and how often each rule ran."""
    engine.take(FLOWS)
    engine.log = []
    northbound.apply(commands)
    northbound.feed(engine)
    engine.run()
    return {delta.key for delta in engine.take(FLOWS)}, Counter(name for name, _ in engine.log)


def shared_network(routers: int) -> tuple[Northbound, Engine]:
    """A switch with several routers, each with a network behind it."""
    northbound = Northbound()
    northbound.apply("switch out\nport out x addresses='0a:00:00:00:01:00 172.16.0.200'")
    for number in range(routers):
        northbound.apply(
            f"""
            switch in{number}
            router r{number}
            rport r{number} r{number}-out 0a:00:00:00:02:{number:02x} 172.16.0.{number + 1}/24 gateways=gw1:1
            rport r{number} r{number}-in 0a:00:00:00:03:{number:02x} 10.{number}.0.1/24
            port out out-r{number} type=router options:router-port=r{number}-out
            port in{number} in-r{number} type=router options:router-port=r{number}-in
            route r{number} default{number} 0.0.0.0/0 172.16.0.254
            """
        )
    return northbound, compiled(northbound)


def test_an_address_on_a_switch_costs_its_routers_an_entry_of_a_set_and_no_flow() -> None:
    northbound, engine = shared_network(10)
    engine.take(ADDRESS_SETS)
    changed, ran = after(northbound, engine, "port out y addresses='0a:00:00:00:01:01 172.16.0.201'")
    assert not [key for key in changed if key[1:3] == ("ingress", RESOLVE.table)]
    (delta,) = engine.take(ADDRESS_SETS)
    assert set(engine.rows(ADDRESS_SETS)[delta.key].addresses) == {"172.16.0.200", "172.16.0.201"}
    assert ran["northd.next_hops.neighbour"] == ran["northd.next_hops.hand_over"] == 1
    assert ran["northd.next_hops.take_over"] == 0


def test_an_address_becomes_a_next_hop_with_the_first_route_that_names_it() -> None:
    northbound, engine = shared_network(10)
    changed, ran = after(northbound, engine, "route r1 one 192.168.0.0/24 172.16.0.200")
    assert len([key for key in changed if key[1:3] == ("ingress", RESOLVE.table)]) == 1
    assert ran["northd.next_hops.neighbour"] == 1
    changed, _ = after(northbound, engine, "route r2 two 192.168.0.0/24 172.16.0.200")
    assert not [key for key in changed if key[1:3] == ("ingress", RESOLVE.table)]


def test_a_router_more_costs_its_own_flows_and_one_for_each_address_that_others_see() -> None:
    northbound, engine = shared_network(10)
    before = len(engine.rows(FLOWS))
    _, twenty = shared_network(20)
    each = (len(twenty.rows(FLOWS)) - before) / 10
    assert each == len(shared_network(3)[1].rows(FLOWS)) - len(shared_network(2)[1].rows(FLOWS))
    again = len(engine.rows(FLOWS))
    northbound.apply("router empty")
    northbound.feed(engine)
    engine.run()
    assert len(engine.rows(FLOWS)) == again


def test_a_route_more_runs_the_rules_of_that_route_alone() -> None:
    northbound, engine = shared_network(10)
    changed, ran = after(northbound, engine, "route r1 extra 192.168.0.0/24 172.16.0.253")
    assert len(changed) == 1
    assert ran["northd.routes.static_route"] == ran["northd.routes.group_flows"] == 1
    assert sum(ran.values()) < 12, ran


def test_a_further_next_hop_changes_the_flow_of_its_prefix_and_adds_one_for_each_member() -> None:
    northbound, engine = shared_network(2)
    changed, _ = after(northbound, engine, "route r1 more 0.0.0.0/0 172.16.0.253")
    assert sorted(key[2] for key in changed) == [9, 10, 10]  # the route, and what is drawn


def test_a_name_for_people_changes_no_flow() -> None:
    northbound, engine = shared_network(2)
    changed, _ = after(northbound, engine, "router r1 mac_binding_age_threshold=10")
    assert changed == set()


# --- ports ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address", "cidr", "broadcast"),
    [
        ("10.0.0.1/24", "10.0.0.1", "10.0.0.0/24", "10.0.0.255"),
        ("10.0.0.1/31", "10.0.0.1", "10.0.0.0/31", None),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1/32", None),
        ("FD00::0001/64", "fd00::1", "fd00::/64", None),
    ],
)
def test_a_network_is_read_into_canonical_form(text: str, address: str, cidr: str, broadcast: str | None) -> None:
    read = parse_network(text)
    assert (read.address, read.cidr, read.broadcast) == (address, cidr, broadcast)


def test_a_switch_port_that_comes_later_attaches_the_router_port() -> None:
    northbound = Northbound()
    northbound.apply("switch s\nrouter r\nrport r r-s 0a:00:00:00:00:01 10.0.0.1/24")
    engine = compiled(northbound)
    assert engine.rows(ROUTER_PORTS)[row_uuid("rport r-s")].switch is None
    after(northbound, engine, "port s s-r type=router options:router-port=r-s")
    port = engine.rows(ROUTER_PORTS)[row_uuid("rport r-s")]
    assert (port.switch, port.switch_port) == (row_uuid("s"), row_uuid("port s-r"))


def test_of_two_switch_ports_at_one_router_port_the_first_by_name_is_taken_and_that_is_reported() -> None:
    northbound = Northbound()
    northbound.apply("switch s\nrouter r\nrport r r-s 0a:00:00:00:00:01 10.0.0.1/24")
    northbound.apply("port s b type=router options:router-port=r-s\nport s a type=router options:router-port=r-s")
    engine = compiled(northbound)
    assert engine.rows(ROUTER_PORTS)[row_uuid("rport r-s")].switch_port == row_uuid("port a")
    assert any("2 switch ports are attached to it" in failure.error for failure in engine.failures())


# --- routes -----------------------------------------------------------------------------------------------------------


def test_a_link_local_next_hop_needs_a_port_unless_there_is_one_only() -> None:
    northbound = Northbound()
    northbound.apply("router r\nrport r r-a 0a:00:00:00:00:01 fd00::1/64\nroute r x fd09::/64 fe80::9")
    engine = compiled(northbound)
    assert engine.rows(ROUTES)[row_uuid("route x")].way == Way(row_uuid("rport r-a"), "fe80::800:ff:fe00:1")
    after(northbound, engine, "rport r r-b 0a:00:00:00:00:02 fd01::1/64")
    assert engine.rows(ROUTES) == {}
    assert any("no port of the router" in failure.error for failure in engine.failures())


def test_route_tables_are_numbered_by_their_names_alone() -> None:
    assert table_number(MAIN) == 0
    numbers = [table_number(f"table {n}") for n in range(100)]
    assert len(set(numbers)) == 100
    assert all(0 < number < 2**24 for number in numbers)


# --- BFD --------------------------------------------------------------------------------------------------------------


def monitored() -> tuple[Northbound, Engine]:
    northbound = Northbound()
    northbound.apply("router r\nrport r r-a 0a:00:00:00:00:01 10.0.0.1/24\nbfd b r-a 10.0.0.9 min_tx=500")
    return northbound, compiled(northbound)


def status(engine: Engine) -> tuple[str | None, str]:
    """The state of the session in the northbound and in the southbound."""
    return engine.rows(bfd.STATES)[row_uuid("bfd b")].status, engine.rows(bfd.SESSIONS)["r-a", "10.0.0.9"].status


def test_a_session_runs_while_a_route_needs_it() -> None:
    northbound, engine = monitored()
    assert status(engine) == ("admin_down", "admin_down")
    after(northbound, engine, "route r x 192.168.0.0/24 10.0.0.9 bfd=b")
    assert status(engine) == ("down", "down")
    after(northbound, engine, "said r-a 10.0.0.9 up")
    assert status(engine) == ("up", "up")
    after(northbound, engine, "router r enabled=false")
    assert status(engine) == ("admin_down", "admin_down")


def test_a_session_starts_down_although_the_southbound_still_says_admin_down() -> None:
    northbound, engine = monitored()
    after(northbound, engine, "said r-a 10.0.0.9 admin_down\nroute r x 192.168.0.0/24 10.0.0.9 bfd=b")
    assert status(engine) == ("down", "down")


def test_sessions_have_numbers_of_their_own_and_defaults_for_the_rest() -> None:
    northbound, engine = monitored()
    after(northbound, engine, "bfd c r-a 10.0.0.8")
    rows = engine.rows(bfd.SESSIONS)
    assert len({row.src_port for row in rows.values()}) == len({row.disc for row in rows.values()}) == 2
    row = rows["r-a", "10.0.0.9"]
    assert (row.min_tx, row.min_rx, row.detect_mult) == (500, 1000, 5)


def test_a_session_keeps_the_numbers_that_it_has() -> None:
    northbound, _ = monitored()
    engine = northd.new_engine()
    engine.seed(bfd.SOURCE_PORTS, {("r-a", "10.0.0.9"): 50_000})
    engine.seed(bfd.DISCRIMINATORS, {("r-a", "10.0.0.9"): 3_000_000_000})
    northbound.feed(engine)
    engine.run()
    row = engine.rows(bfd.SESSIONS)["r-a", "10.0.0.9"]
    assert (row.src_port, row.disc) == (50_000, 3_000_000_000)


# --- MAC bindings -----------------------------------------------------------------------------------------------------


def test_a_static_binding_is_passed_on_while_its_router_port_is_there() -> None:
    northbound, engine = monitored()
    after(northbound, engine, "mac r-a 10.0.0.7 0A:00:00:00:00:07")
    (row,) = engine.rows(mac_bindings.STATIC).values()
    assert (row.logical_port, row.ip, row.mac) == ("r-a", "10.0.0.7", "0a:00:00:00:00:07")
    after(northbound, engine, "unrport r-a")
    assert engine.rows(mac_bindings.STATIC) == {}


def test_a_static_binding_that_cannot_be_read_is_reported() -> None:
    northbound, engine = monitored()
    after(northbound, engine, "mac r-a 10.0.0.7 nobody")
    assert [failure.error for failure in engine.failures()] == [
        "ValueError: static MAC binding of r-a: 'nobody' is not an Ethernet address"
    ]
