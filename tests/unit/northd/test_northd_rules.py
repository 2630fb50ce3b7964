"""Rules beyond flows: keys, bindings, groups, sets, sequence numbers, what is stale; and how little a change runs."""

from __future__ import annotations

import re

import pytest

from ovine import northd
from ovine.engine import Engine
from ovine.model import nb, sb
from ovine.model.base import StrMap
from ovine.northd import config, datapaths, flows, gaps, learned, multicast, ports, sets
from ovine.northd.config import Reached, progress
from ovine.northd.flows import FLOWS
from ovine.northd.pipeline import STAGES
from support.northd import Northbound, compiled, row_uuid, rules_run

PORT = "addresses='0a:00:00:00:00:01 10.0.0.1'"


def after(northbound: Northbound, engine: Engine, command: str) -> list[str]:
    """Applies a command to what was compiled; returns the names of the rules and queries that ran."""
    return sorted({f"northd.{name}" for name in rules_run(northbound, engine, command)})


@pytest.fixture
def northbound() -> Northbound:
    made = Northbound()
    made.apply(
        f"""
        switch s1
        switch s2
        port s1 p1 {PORT}
        port s1 p2 addresses='0a:00:00:00:00:02 10.0.0.2 fd00::2'
        port s2 q1 {PORT}
        host h1
        """
    )
    return made


# --- how little runs --------------------------------------------------------------------------------------------------


def test_a_change_that_nobody_reads_runs_nothing(northbound: Northbound) -> None:
    engine = compiled(northbound)
    northbound.change(nb.LogicalSwitch, "s1", external_ids=StrMap({"a": "b"}))
    assert after(northbound, engine, "") == ["northd.datapaths.datapath"]  # it copies the network's name
    northbound.change(nb.LogicalSwitchPort, "port p1", external_ids=StrMap({"a": "b"}))
    assert after(northbound, engine, "") == ["northd.ports.port_binding"]
    northbound.change(nb.LogicalSwitchPort, "port p1", up=True)
    assert after(northbound, engine, "") == []
    northbound.change(sb.ChassisPrivate, "private h1", external_ids=StrMap({"a": "b"}))
    assert after(northbound, engine, "") == []


def test_a_new_port_runs_nothing_of_other_ports_and_switches(northbound: Northbound) -> None:
    engine = compiled(northbound)
    engine.log = []
    northbound.apply("port s1 p3 addresses='0a:00:00:00:00:03 10.0.0.3'")
    northbound.feed(engine)
    engine.run()
    keys = {key for _, key in engine.log or ()}
    mine, switch = row_uuid("port p3"), row_uuid("s1")
    assert keys == {
        mine,
        (switch, "_MC_flood"),
        (switch, "0a:00:00:00:00:03"),
        (switch, "10.0.0.3"),
    }


def test_a_new_switch_changes_groups_and_no_shared_flow(northbound: Northbound) -> None:
    engine = compiled(northbound)
    before = dict(engine.rows(FLOWS))
    ran = after(northbound, engine, "switch s3")
    assert "northd.flows.shared_flows.<locals>.shared_flow" not in ran
    assert engine.rows(FLOWS) == before
    assert len(engine.rows(flows.DP_GROUPS)[datapaths.SWITCHES].datapaths) == 3


def test_a_port_that_comes_up_runs_no_flow(northbound: Northbound) -> None:
    engine = compiled(northbound)
    ran = after(northbound, engine, "bind p1 h1")
    assert ran == ["northd.ha_groups.presence", "northd.ports.port_binding", "northd.ports.port_state"]
    assert engine.rows(ports.STATES)[row_uuid("port p1")].up is True


# --- scopes -----------------------------------------------------------------------------------------------------------


def test_a_scope_of_one_switch_needs_no_group() -> None:
    northbound = Northbound()
    northbound.apply("switch s1")
    engine = compiled(northbound)
    assert not engine.rows(flows.DP_GROUPS)
    one = dict(engine.rows(FLOWS))
    assert all(row.logical_datapath is not None for row in one.values())
    after(northbound, engine, "switch s2")
    assert all(row.logical_dp_group is not None for row in engine.rows(FLOWS).values())
    after(northbound, engine, "delete s2")
    assert engine.rows(FLOWS) == one


def test_flows_that_only_the_ports_own_host_needs_say_so(northbound: Northbound) -> None:
    """A wrong tag would hide a flow from a host that needs it: only matches on the very port may have one."""
    northbound.apply("port s1 off enabled=false\nport s1 any addresses=unknown\nport s1 ln type=localnet")
    for row in compiled(northbound).rows(FLOWS).values():
        named = re.match(r'(inport|outport) == "(\w+)"', row.match)
        if named is None or named[2] == "none":
            assert not row.tags, row.match
        else:
            assert row.tags == {"in_out_port": named[2]}
            assert (named[1] == "inport") == (row.pipeline == "ingress")
            assert "||" not in row.match.partition("(")[0], "the port must be required"


def test_flows_say_where_they_come_from(northbound: Northbound) -> None:
    engine = compiled(northbound)
    stages = {(stage.pipeline, stage.table): stage.name for stage in STAGES}
    for key, row in engine.rows(FLOWS).items():
        assert row.external_ids["stage-name"] == stages[row.pipeline, row.table_id]
        assert row.external_ids["source"]
        assert engine.origins(FLOWS, key)
    hints = {row.external_ids["stage-hint"] for row in engine.rows(FLOWS).values() if "stage-hint" in row.external_ids}
    assert hints == {row_uuid(name)[:8] for name in ("s1", "s2")}


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keys_are_unique_and_stay(northbound: Northbound) -> None:
    engine = compiled(northbound)
    before = dict(engine.rows(ports.KEYS))
    assert sorted(before[row_uuid("s1"), name] for name in ("p1", "p2")) == [1, 2]
    after(northbound, engine, "delete p1\nport s1 p0")
    kept = engine.rows(ports.KEYS)
    assert kept[row_uuid("s1"), "p2"] == before[row_uuid("s1"), "p2"]


def test_a_requested_key_is_given_even_if_another_has_it(northbound: Northbound) -> None:
    engine = compiled(northbound)
    taken = engine.rows(ports.KEYS)[row_uuid("s1"), "p1"]
    after(northbound, engine, f"port s1 p3 options:requested-tnl-key={taken}\nswitch s2 requested-tnl-key=99")
    assert engine.rows(ports.KEYS)[row_uuid("s1"), "p3"] == taken
    assert engine.rows(ports.KEYS)[row_uuid("s1"), "p1"] != taken
    assert engine.rows(datapaths.KEYS)[row_uuid("s2")] == 99


def test_a_key_that_cannot_be_requested_is_reported_and_another_given(northbound: Northbound) -> None:
    engine = compiled(northbound)
    after(northbound, engine, "port s1 p3 options:requested-tnl-key=40000\nswitch s2 requested-tnl-key=x")
    assert "p3" in engine.rows(ports.PORT_BINDINGS)
    assert row_uuid("s2") in engine.rows(flows.DATAPATHS)
    assert [f.error for f in engine.failures()] == [
        "ValueError: switch s2: requested-tnl-key 'x' is not a number from 1 to 16777215; it is given another",
        "ValueError: port p3: requested-tnl-key '40000' is not a number from 1 to 32767; it is given another",
    ]


def test_vxlan_leaves_twelve_bits_for_datapaths(northbound: Northbound) -> None:
    engine = compiled(northbound)
    after(northbound, engine, "switch s2 requested-tnl-key=5000")
    assert row_uuid("s2") in engine.rows(flows.DATAPATHS)
    engine.feed(sb.Encap, row_uuid("encap"), sb.Encap(type="vxlan"))
    engine.run()
    assert row_uuid("s2") not in engine.rows(flows.DATAPATHS)
    assert "does not fit" in engine.failures()[0].error
    assert engine.rows(config.SB_GLOBAL)[""].options["max_tunid"] == "4095"


# --- bindings ---------------------------------------------------------------------------------------------------------


def test_a_binding_names_the_requested_hosts(northbound: Northbound) -> None:
    northbound.apply("host h2\nport s1 p1 'options:requested-chassis=h1.example, h2,h9,'\nport s1 p2")
    northbound.put(sb.Chassis(uuid=row_uuid("nameless"), name="h3", hostname=""))
    bindings = compiled(northbound).rows(ports.PORT_BINDINGS)
    row = bindings["p1"]
    assert row.requested_chassis == row_uuid("host h1")
    assert row.requested_additional_chassis == (row_uuid("host h2"),)
    assert bindings["p2"].requested_chassis is None


def test_a_nested_port_has_its_parent_and_tag(northbound: Northbound) -> None:
    northbound.apply("port s1 c1 parent_name=p1 tag=42\nport s1 c2 parent_name=p1 tag_request=43")
    engine = compiled(northbound)
    bindings = engine.rows(ports.PORT_BINDINGS)
    assert [(bindings[n].parent_port, bindings[n].tag) for n in ("c1", "c2")] == [("p1", 42), ("p1", 43)]
    assert engine.rows(ports.STATES)[row_uuid("port c2")].tag == 43


def test_groups_have_enabled_ports_that_are_switched(northbound: Northbound) -> None:
    northbound.apply(
        "port s1 off enabled=false\nport s1 vip type=virtual\nport s1 any addresses=unknown\nport s1 ln type=localnet"
    )
    groups = compiled(northbound).rows(multicast.GROUPS)
    members = {
        key: {ref.key for ref in row.ports}  # type: ignore[attr-defined]
        for key, row in groups.items()
        if key[0] == row_uuid("s1")
    }
    assert members == {
        (row_uuid("s1"), "_MC_flood"): {"p1", "p2", "any", "ln"},
        (row_uuid("s1"), "_MC_unknown"): {"any"},
    }


# --- sets -------------------------------------------------------------------------------------------------------------


def test_a_port_group_becomes_a_row_for_each_datapath_and_two_address_sets(northbound: Northbound) -> None:
    northbound.apply("group pg p1 p2 q1\nset as 10.9.0.0/16")
    engine = compiled(northbound)
    key = engine.rows(datapaths.KEYS)
    assert {name: row.ports for name, row in engine.rows(sets.PORT_GROUPS).items()} == {
        f"{key[row_uuid('s1')]}_pg": ("p1", "p2"),
        f"{key[row_uuid('s2')]}_pg": ("q1",),
    }
    assert {name: row.addresses for name, row in engine.rows(sets.ADDRESS_SETS).items()} == {
        "as": ("10.9.0.0/16",),
        "pg_ip4": ("10.0.0.1", "10.0.0.2"),
        "pg_ip6": ("fd00::2",),
    }


# --- sequence numbers -------------------------------------------------------------------------------------------------


def test_hosts_have_reached_what_the_slowest_has() -> None:
    northbound = Northbound()
    northbound.apply("host h1 nb_cfg=3 at=10\nhost h2 nb_cfg=2 at=20\nhost h3 nb_cfg=2 at=30")
    assert compiled(northbound).rows(config.REACHED)[""] == Reached(2, 30)
    for name in ("h2", "h3"):
        northbound.change(sb.Chassis, f"host {name}", other_config=StrMap({"is-remote": "true"}))
    assert compiled(northbound).rows(config.REACHED)[""] == Reached(3, 10)


def test_the_southbounds_own_row_stays_though_the_northbounds_is_missing() -> None:
    engine = northd.new_engine()
    engine.run()
    assert engine.rows(config.SB_GLOBAL)[""].nb_cfg == 0


def test_without_hosts_what_the_southbound_has_is_what_hosts_have() -> None:
    assert not compiled(Northbound()).rows(config.REACHED)
    assert progress(nb.NBGlobal(nb_cfg=7), 7, None, 100, 200) == {
        "sb_cfg": 7,
        "sb_cfg_timestamp": 200,
        "nb_cfg_timestamp": 100,
        "hv_cfg": 7,
        "hv_cfg_timestamp": 0,
    }


def test_nothing_is_told_twice() -> None:
    assert progress(nb.NBGlobal(nb_cfg=7, sb_cfg=7, hv_cfg=6), 7, Reached(6, 50), 100, 200) == {}


# --- stale rows -------------------------------------------------------------------------------------------------------


def test_learned_rows_are_stale_when_their_subject_is_gone(northbound: Northbound) -> None:
    engine = compiled(northbound)
    number = engine.rows(datapaths.KEYS)[row_uuid("s2")]
    actual = sb.DatapathBinding(tunnel_key=number, external_ids=StrMap({"logical-switch": row_uuid("s2")}))
    engine.feed(sb.DatapathBinding, row_uuid("datapath"), actual)
    engine.feed(sb.MACBinding, row_uuid("mac"), sb.MACBinding(datapath=row_uuid("datapath")))
    engine.feed(sb.FDB, row_uuid("fdb"), sb.FDB(mac="0a:00:00:00:00:01", dp_key=number, port_key=1))
    engine.feed(sb.FDB, row_uuid("fdb2"), sb.FDB(dp_key=number, port_key=9))
    engine.run()
    assert set(engine.rows(learned.STALE)) == {(sb.FDB, row_uuid("fdb2"))}
    after(northbound, engine, "delete s2")
    assert len(engine.rows(learned.STALE)) == 3


def test_a_host_may_learn_only_where_a_port_learns(northbound: Northbound) -> None:
    northbound.apply("port s2 q2 addresses=unknown")
    engine = compiled(northbound)
    number = engine.rows(datapaths.KEYS)[row_uuid("s2")]
    keys = {name: key for (_, name), key in engine.rows(ports.KEYS).items()}
    for port, mac in (("q1", "0a:00:00:00:00:77"), ("q2", "0a:00:00:00:00:88")):
        engine.feed(sb.FDB, row_uuid(port), sb.FDB(mac=mac, dp_key=number, port_key=keys[port]))
    engine.run()
    assert set(engine.rows(learned.STALE)) == {(sb.FDB, row_uuid("q1"))}
    after(northbound, engine, "port s2 q2 addresses=0a:00:00:00:00:09")
    assert set(engine.rows(learned.STALE)) == {(sb.FDB, row_uuid("q1")), (sb.FDB, row_uuid("q2"))}


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, 5.0), ("0", 0.0), ("60000", 60.0), ("20", 1.0), ("soon", 5.0), ("", 5.0), ("-1", 5.0)]
)
def test_the_probe_interval_of_northd_is_said_in_milliseconds(said: str | None, seconds: float) -> None:
    options = StrMap({} if said is None else {"northd_probe_interval": said})
    assert config.probe_interval(options) == seconds


def test_a_probe_interval_that_is_no_number_is_reported() -> None:
    engine = northd.new_engine()
    options = StrMap({"northd_probe_interval": "soon"})
    engine.feed(nb.NBGlobal, row_uuid("g"), nb.NBGlobal(uuid=row_uuid("g"), options=options))
    engine.run()
    (failure,) = engine.failures()
    assert failure.rule == "northd.config.probe_setting" and "'soon' is no number of milliseconds" in failure.error


# --- ports in several places ------------------------------------------------------------------------------------------


def test_where_a_port_is_active_is_kept_for_as_long_as_it_may_be_there(northbound: Northbound) -> None:
    northbound.apply("host h1\nhost h2\nhost h3")
    engine = compiled(northbound)

    def activated(requested: str, said: str) -> str | None:
        after(northbound, engine, f"port s1 p1 options:requested-chassis={requested}\nbind p1 h1 true activated={said}")
        return engine.rows(ports.PORT_BINDINGS)["p1"].options.get(ports.ACTIVATED)

    assert activated("h1,h2,h3", "h2") == "h2"
    assert activated("h1,h2.example,h3", "h2,h3,h9") == "h2,h3"
    assert activated("h1,h3", "h2,h3") == "h3"
    assert activated("h2", "h2") is None


# --- gaps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", gaps.GAPS, ids=lambda gap: gap.name)
def test_every_gap_is_reported_for_a_row_that_asks_for_it_and_for_no_other(gap: gaps.Gap) -> None:
    asking = {
        "forwarding_group": {"forwarding_groups": (row_uuid("group"),)},
        "prefix_delegation": {"options": StrMap({"prefix_delegation": "true"})},
        "vif_plug": {"options": StrMap({"vif-plug-type": "representor"})},
        "port_type": {"type": "vtep"},
    }
    engine = northd.new_engine()
    engine.feed(gap.table, row_uuid("a"), gap.table(uuid=row_uuid("a"), name="asks", **asking[gap.name]))
    engine.feed(gap.table, row_uuid("b"), gap.table(uuid=row_uuid("b"), name="plain"))
    engine.run()
    (failure,) = engine.failures()
    assert failure.rule == f"northd.gaps.{gap.name}"
    assert "asks: " in failure.error and gap.text in failure.error
    engine.feed(gap.table, row_uuid("a"), None)
    engine.run()
    assert engine.failures() == []
