"""The controller when things break: itself, the switch, the databases, what others write."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ovine.model import sb, vs
from ovine.model.base import StrMap
from ovine.ovsdb import Transaction
from support.hosts import OVN_SCHEMA, Host, host
from support.ovsdb import connected, start_server

GARBAGE = [
    ("ip4 && ", "next;"),
    ("ip4", "next"),
    ('inport == "', "next;"),
    ("1", "vanish;"),
    ("\udcff".encode("utf-8", "replace").decode(), "drop;"),
]


@pytest.fixture
async def bench() -> AsyncIterator[Host]:
    async with host() as made:
        yield made


async def two_ports(bench: Host) -> list[str]:
    """A network with two ports here, and another chassis with the third; the flows that result."""
    await bench.network("sw0", 1, "a", "b", "c")
    txn = Transaction()
    encap = txn.insert(sb.Encap(type="geneve", ip="10.9.0.2", chassis_name="hv2"))
    chassis = txn.insert(sb.Chassis(name="hv2", encaps=(encap,)))
    txn.update(sb.PortBinding, bench.binding("c").uuid, chassis=chassis)
    await bench.southbound.transact(txn)
    await bench.set_up("a", "b")
    await bench.settled()
    flows = bench.flows()
    assert any("tun_metadata0" in flow for flow in flows)
    return flows


# --- itself -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
async def test_a_restart_sends_the_switch_nothing_and_writes_nothing(bench: Host, how: signal.Signals) -> None:
    flows = await two_ports(bench)
    before = bench.chassis, bench.binding("a"), bench.row(bench.local, vs.Bridge, name="br-int").ports
    bench.controller.stop(how)
    assert bench.flows() == flows
    bench.controller.start()
    await bench.until(lambda: int(bench.status().get("wanted", "0")) == len(flows), "the flows are known again")
    await bench.settled()
    assert bench.status()["sent"] == "0" and bench.flows() == flows
    assert before == (bench.chassis, bench.binding("a"), bench.row(bench.local, vs.Bridge, name="br-int").ports)


async def test_what_changed_while_it_was_away_is_the_only_thing_it_sends(bench: Host) -> None:
    flows = await two_ports(bench)
    bench.controller.stop(signal.SIGKILL)
    (datapath,) = bench.southbound.replica.rows(sb.DatapathBinding)
    await bench.below(bench.logical_flow(datapath, 5, "ip4", "drop;"))
    bench.controller.start()
    await bench.until(lambda: len(bench.flows()) == len(flows) + 1, "the new flow is there")
    await bench.settled()  # it counts what the switch has acknowledged
    assert bench.status()["sent"] == "1"


# --- the switch -------------------------------------------------------------------------------------------------------


async def test_a_switch_that_starts_anew_gets_all_its_flows_again(bench: Host) -> None:
    flows = await two_ports(bench)
    bench.switch.kill()
    await bench.until(lambda: bench.status().get("connected") == "no", "the loss is noticed")
    bench.switch.start()
    await bench.until(lambda: bench.flows() == flows, "all flows are back")
    await bench.settled()


async def test_flows_that_somebody_else_put_there_go_at_the_next_reading(bench: Host) -> None:
    flows = await two_ports(bench)
    bench.controller.stop(signal.SIGKILL)
    target = f"unix:{bench.directory}/br-int.mgmt"
    foreign = "table=8,priority=7,ip actions=drop"
    assert os.spawnlp(os.P_WAIT, "ovs-ofctl", "ovs-ofctl", "-O", "OpenFlow15", "add-flow", target, foreign) == 0
    group = "group_id=5,type=all,bucket=actions=drop"
    assert os.spawnlp(os.P_WAIT, "ovs-ofctl", "ovs-ofctl", "-O", "OpenFlow15", "add-group", target, group) == 0
    assert len(bench.flows()) == len(flows) + 1
    bench.controller.start()
    await bench.until(lambda: bench.flows() == flows, "the foreign flow is gone")
    assert bench.status()["sent"] == "1"


# --- the databases ----------------------------------------------------------------------------------------------------


async def test_flows_and_bindings_stay_while_the_southbound_database_is_away(bench: Host) -> None:
    flows = await two_ports(bench)
    bench.southbound_server.kill()
    await bench.until(lambda: bench.controller.command("connection-status") == "not connected\n", "the loss is noticed")
    assert bench.flows() == flows
    bench.southbound_server.start()
    await bench.until(lambda: bench.controller.command("connection-status") == "connected\n", "it is back")
    await bench.southbound.ready(10)
    await bench.settled()
    assert bench.flows() == flows
    (datapath,) = bench.southbound.replica.rows(sb.DatapathBinding)
    await bench.below(bench.logical_flow(datapath, 5, "ip4", "drop;"))
    await bench.until(lambda: len(bench.flows()) == len(flows) + 1, "changes arrive again")


async def test_the_local_database_may_go_and_come_back(bench: Host) -> None:
    """Without its database the switch answers no OpenFlow either; what changed meanwhile is done when it is back."""
    flows = await two_ports(bench)
    bench.local_server.kill()
    (datapath,) = bench.southbound.replica.rows(sb.DatapathBinding)
    await bench.below(bench.logical_flow(datapath, 5, "ip4", "drop;"))
    assert bench.controller.command("debug/status") == "running\n"
    bench.local_server.start()
    await bench.until(lambda: len(bench.flows()) == len(flows) + 1, "the change is carried out")
    await bench.local.ready(10)
    await bench.unplug("b")
    await bench.until(lambda: bench.binding("b").chassis is None, "changes of the local database arrive again")
    await bench.settled()


async def test_a_new_ovn_remote_is_followed_at_once(bench: Host, tmp_path: Path) -> None:
    await two_ports(bench)
    with start_server(OVN_SCHEMA, tmp_path) as other:
        async with connected(sb.DATABASE, other.remote) as client:
            await bench.configure(ovn_remote_hv1=other.remote)
            await bench.until(lambda: bench.row(client, sb.Chassis, name="hv1"), "registered in the other database")
        await bench.until(lambda: not any("metadata=0x1" in flow for flow in bench.flows()), "the old network is gone")


# --- what others write ------------------------------------------------------------------------------------------------


async def test_garbage_costs_its_own_logical_flow_and_is_named(bench: Host) -> None:
    flows = await two_ports(bench)
    (datapath,) = bench.southbound.replica.rows(sb.DatapathBinding)
    rows = [bench.logical_flow(datapath, 7, match, actions, priority=n) for n, (match, actions) in enumerate(GARBAGE)]
    uuids = await bench.below(*rows, bench.logical_flow(datapath, 7, "ip4", "drop;", priority=99))
    await bench.until(lambda: len(bench.flows()) == len(flows) + 1, "the good one is there")
    told = [failure["error"] for failure in bench.controller.failures()]
    for uuid in uuids[: len(GARBAGE)]:
        assert [uuid in error for error in told].count(True) == 1
    assert all("\n" not in error for error in told)
    txn = Transaction()
    for uuid in uuids:
        txn.delete(sb.LogicalFlow, uuid)
    await bench.southbound.transact(txn)
    await bench.until(lambda: bench.controller.failures() == [] and bench.flows() == flows, "all is well again")


async def test_a_port_that_another_chassis_takes_is_given_up_and_taken_back_when_it_is_free(bench: Host) -> None:
    await two_ports(bench)
    other = bench.row(bench.southbound, sb.Chassis, name="hv2").uuid
    txn = Transaction()
    txn.update(sb.PortBinding, bench.binding("a").uuid, chassis=other, up=True)
    await bench.southbound.transact(txn)
    await bench.settled()
    assert bench.binding("a").chassis == other and bench.binding("a").up is True
    await bench.until(
        lambda: "ovn-installed" not in bench.row(bench.local, vs.Interface, name="v-a").external_ids, "not installed"
    )
    txn = Transaction()
    txn.update(sb.PortBinding, bench.binding("a").uuid, chassis=None, up=False)
    await bench.southbound.transact(txn)
    await bench.until(lambda: bench.binding("a").chassis == bench.chassis.uuid and bench.binding("a").up, "ours again")


async def test_our_rows_that_somebody_deletes_come_back(bench: Host) -> None:
    await two_ports(bench)
    txn = Transaction()
    txn.delete(sb.Chassis, bench.chassis.uuid)
    txn.delete(sb.ChassisPrivate, bench.row(bench.southbound, sb.ChassisPrivate, name="hv1").uuid)
    await bench.southbound.transact(txn)
    await bench.until(
        lambda: bench.chassis and bench.binding("a").chassis == bench.chassis.uuid, "registered and bound again"
    )


async def test_a_second_host_with_our_address_is_told_and_the_rest_goes_on(bench: Host) -> None:
    """The southbound refuses two encapsulations of one type and address."""
    flows = await two_ports(bench)
    encap = bench.row(bench.southbound, sb.Encap, ip="10.9.0.2")
    await bench.configure(ovn_encap_ip=encap.ip)
    await bench.until(lambda: [f for f in bench.controller.failures() if f["key"] == "transaction"], "it is told")
    assert [flow for flow in flows if "output" not in flow] == [f for f in bench.flows() if "output" not in f]
    await bench.configure(ovn_encap_ip="10.9.0.1")
    await bench.until(lambda: not bench.controller.failures(), "all is well again")


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_exit_takes_back_rows_and_tunnels_and_leaves_the_flows(bench: Host) -> None:
    flows = await two_ports(bench)
    bench.controller.command("exit")
    await bench.until(lambda: bench.chassis is None, "the chassis is gone")
    assert bench.binding("a").chassis is None and bench.binding("a").up is False
    assert bench.row(bench.southbound, sb.ChassisPrivate, name="hv1") is None
    assert not [row for row in bench.local.replica.rows(vs.Port).values() if "ovn-chassis-id" in row.external_ids]
    assert {flow for flow in flows if "output" not in flow} <= set(bench.flows())


@pytest.mark.parametrize("way", ["exit --restart", "ovn-cleanup-on-exit=false"])
async def test_exit_before_a_restart_leaves_everything(bench: Host, way: str) -> None:
    flows = await two_ports(bench)
    if way.startswith("exit"):
        bench.controller.command("exit", "--restart")
    else:
        await bench.configure(ovn_cleanup_on_exit="false")
        await bench.settled()
        bench.controller.command("exit")
    await bench.southbound.barrier()
    assert bench.flows() == flows and bench.chassis and bench.binding("a").up


async def test_exit_is_prompt_with_both_databases_gone(bench: Host) -> None:
    await two_ports(bench)
    bench.southbound_server.kill()
    bench.local_server.kill()
    assert bench.controller.command("exit") == ""


async def test_an_unknown_port_type_is_named_and_costs_nothing_else(bench: Host) -> None:
    flows = await two_ports(bench)
    (datapath,) = bench.southbound.replica.rows(sb.DatapathBinding)
    options = StrMap({"peer": "r"})
    await bench.below(sb.PortBinding(logical_port="r", datapath=datapath, tunnel_key=9, type="vtep", options=options))
    await bench.until(lambda: [f for f in bench.controller.failures() if "'vtep'" in f["error"]], "it is told")
    assert bench.flows() == flows
