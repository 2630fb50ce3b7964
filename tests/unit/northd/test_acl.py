"""What ACLs cost when something changes, which switches they concern, and meters."""

from __future__ import annotations

import gc

import pytest

from ovine import northd
from ovine.engine import Engine
from ovine.northd import acl_scopes, meters
from ovine.northd.flows import BY_SCOPE, DP_GROUPS, FLOWS, GROUPS_KNOWN, MEMBERS, Scope
from ovine.northd.pipeline import IN_RULING, OUT_RULING
from support.northd import Northbound, compiled, flow_lines, row_uuid

SWITCHES = 5


@pytest.fixture
def northbound() -> Northbound:
    """A port group with a port on each switch but the last, and ten stateful ACLs of it."""
    made = Northbound()
    for number in range(SWITCHES):
        made.apply(f"switch s{number}\nport s{number} p{number} addresses='0a:00:00:00:00:0{number} 10.0.0.{number}'")
    made.apply(f"group pg {' '.join(f'p{number}' for number in range(SWITCHES - 1))}\nset as 10.1.0.1")
    for number in range(10):
        made.apply(f"acl @pg a{number} to-lport {number} 'outport == @pg && ip4.src == $as && tcp' allow-related")
    return made


def change(northbound: Northbound, engine: Engine, command: str) -> tuple[set[str], int]:
    """Applies a command; returns the rules and queries of ACLs that ran, and how many flows have changed."""
    northbound.apply(command)
    engine.take(FLOWS)
    engine.log = []
    northbound.feed(engine)
    engine.run()
    changed = [delta for delta in engine.take(FLOWS) if delta.old != delta.new]
    return {name for name, _ in engine.log if ".acl" in name}, len(changed)


def switches_in(engine: Engine, scope: Scope) -> set[str]:
    names = {row_uuid(f"s{number}"): f"s{number}" for number in range(SWITCHES)}
    return {names[one.datapath] for one in engine.rows(MEMBERS) if one.scope == scope}


def test_a_group_on_many_switches_costs_one_flow_for_each_of_its_acls(northbound: Northbound) -> None:
    engine = compiled(northbound)
    assert len([line for line in flow_lines(engine) if " ls_out_acl " in line]) == 10
    assert switches_in(engine, acl_scopes.STATEFUL) == {"s0", "s1", "s2", "s3"}
    ran, changed = change(northbound, engine, "acl @pg more to-lport 99 tcp drop")
    assert changed == 1
    assert "northd.acl_scopes.presence" not in ran and "northd.acl_scopes.acl_scopes" not in ran
    assert change(northbound, engine, "unacl more")[1] == 1


def test_a_port_that_joins_a_group_on_its_switch_runs_nothing_of_acls(northbound: Northbound) -> None:
    engine = compiled(northbound)
    change(northbound, engine, "port s0 new addresses='0a:00:00:00:01:00 10.0.1.0'")
    assert change(northbound, engine, "group pg p0 p1 p2 p3 new") == (set(), 0)
    assert change(northbound, engine, "group pg p0 p1 p2 p3") == (set(), 0)


def test_a_switch_that_comes_to_have_ports_of_a_group_changes_no_flow(northbound: Northbound) -> None:
    engine = compiled(northbound)
    ran, changed = change(northbound, engine, "group pg p0 p1 p2 p3 p4")
    assert changed == 0
    assert "northd.acl.written" not in ran and "northd.acl.acl_flow" not in ran
    assert len(switches_in(engine, acl_scopes.STATEFUL)) == SWITCHES


def test_an_address_that_joins_a_set_changes_no_flow(northbound: Northbound) -> None:
    assert change(northbound, compiled(northbound), "set as 10.1.0.1 10.1.0.2") == (set(), 0)


def test_no_packet_is_tracked_on_a_switch_without_stateful_acls(northbound: Northbound) -> None:
    engine = compiled(northbound)
    change(northbound, engine, "acl s4 plain to-lport 1 tcp allow")
    assert switches_in(engine, acl_scopes.RULED) == {"s0", "s1", "s2", "s3", "s4"}
    assert switches_in(engine, acl_scopes.STATEFUL) == {"s0", "s1", "s2", "s3"}
    change(northbound, engine, "group pg p4")
    assert switches_in(engine, acl_scopes.STATEFUL) == {"s4"}
    change(northbound, engine, "group pg")
    assert switches_in(engine, acl_scopes.STATEFUL) == set()
    tracking = [row.actions for row in engine.rows(FLOWS).values() if "ct_next" in row.actions]
    assert tracking == []


def test_a_default_of_dropping_holds_on_switches_with_acls(northbound: Northbound) -> None:
    engine = compiled(northbound)
    assert switches_in(engine, acl_scopes.CLOSED) == set()
    change(northbound, engine, "global default_acl_drop=true")
    assert switches_in(engine, acl_scopes.CLOSED) == {"s0", "s1", "s2", "s3"}
    assert engine.failures() == []


def test_an_acl_of_several_owners_holds_for_all_of_them(northbound: Northbound) -> None:
    northbound.apply("acl @pg both to-lport 50 udp drop\nacl s4 both to-lport 50 udp drop")
    places = [line.split()[0] for line in flow_lines(compiled(northbound)) if "| udp |" in line]
    assert sorted(places) == ["pg", "s4"]


def test_the_datapath_group_of_a_port_group_is_known_by_its_uuid(northbound: Northbound) -> None:
    """So a northd that starts anew finds it again."""
    engine = compiled(northbound)
    scope = acl_scopes.group_scope(row_uuid("group pg"))
    assert scope in engine.rows(DP_GROUPS)
    assert scope in GROUPS_KNOWN.values()
    assert len(engine.rows(DP_GROUPS)[scope].datapaths) == SWITCHES - 1
    assert BY_SCOPE.relation is MEMBERS


def test_a_port_group_that_is_gone_leaves_no_trace() -> None:
    key = row_uuid("group fleeting")
    before = len(GROUPS_KNOWN)
    held = acl_scopes.group_scope(key)
    assert acl_scopes.group_scope(key) is held and len(GROUPS_KNOWN) == before + 1
    del held
    gc.collect()
    assert len(GROUPS_KNOWN) <= before
    assert f"port group {key}" not in {each.scope for each in GROUPS_KNOWN.values()}


def test_both_directions_note_verdicts_in_the_same_bits() -> None:
    fields = [
        [one.field for one in (ruling.denied, ruling.rejected, ruling.labelled, ruling.label)]
        for ruling in (IN_RULING, OUT_RULING)
    ]
    assert fields[0] == fields[1]


def test_a_fair_meter_is_there_once_more_for_each_acl_that_logs_through_it(northbound: Northbound) -> None:
    northbound.apply("meter m rate=10\nacl s0 x to-lport 1 udp drop log=true meter=m")
    northbound.apply("acl s0 y to-lport 2 udp drop meter=m\nacl s0 z to-lport 3 udp drop log=true meter=other")
    engine = compiled(northbound)
    assert set(engine.rows(meters.METERS)) == {"m"}
    change(northbound, engine, "meter m rate=20 fair=true")
    own = f"m__{row_uuid('acl x')}"
    assert set(engine.rows(meters.METERS)) == {"m", own}
    assert [band.rate for band in engine.rows(meters.BANDS)] == [20]
    (line,) = [line for line in flow_lines(engine) if " 1001 " in line and "udp" in line]
    assert f'meter="{own}"' in line
    change(northbound, engine, "unacl x")
    assert set(engine.rows(meters.METERS)) == {"m"}


def test_meters_of_the_same_band_share_its_row(northbound: Northbound) -> None:
    northbound.apply("meter m rate=10\nmeter n rate=10\nmeter o rate=11")
    engine = compiled(northbound)
    assert len(engine.rows(meters.METERS)) == 3
    assert sorted(band.rate for band in engine.rows(meters.BANDS)) == [10, 11]
    assert set(northd.WATCHED) >= {meters.METERS, meters.BANDS}
