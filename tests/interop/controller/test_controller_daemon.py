"""The controller as a process: what it registers, how it reports progress, and its control commands."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import pytest

from ovine.daemons.controller.computation import FEED
from ovine.daemons.unixctl import CommandError
from ovine.model import sb, vs
from ovine.model.base import StrMap
from ovine.ovsdb import Transaction
from support.hosts import Host, host


@pytest.fixture
async def bench() -> AsyncIterator[Host]:
    async with host() as made:
        yield made


async def bump(bench: Host) -> int:
    (root,) = bench.southbound.replica.rows(sb.SBGlobal).values()
    txn = Transaction()
    txn.update(sb.SBGlobal, root.uuid, nb_cfg=root.nb_cfg + 1)
    await bench.southbound.transact(txn)
    return int(root.nb_cfg) + 1


# --- registration and progress ----------------------------------------------------------------------------------------


async def test_the_chassis_says_what_northd_looks_for(bench: Host) -> None:
    other = bench.chassis.other_config
    features = ("port-up-notif", "mac-binding-timestamp", "ct-no-masked-label", "ovn-ct-lb-related")
    assert all(other[feature] == "true" for feature in features)
    assert (bench.chassis.hostname, other["ovn-bridge-mappings"], other["ovn-monitor-all"]) == ("machine", "", "false")
    await bench.until(lambda: "geneve" in bench.chassis.other_config["iface-types"].split(","), "interface types")


async def test_settings_are_followed_while_it_runs(bench: Host) -> None:
    await bench.configure(ovn_encap_type="geneve,vxlan", ovn_encap_ip="10.9.0.7", ovn_bridge_mappings="phys:br-x")
    await bench.until(
        lambda: (
            {(e.type, e.ip) for e in bench.southbound.replica.rows(sb.Encap).values()}
            == {("geneve", "10.9.0.7"), ("vxlan", "10.9.0.7")}
        ),
        "new encapsulations",
    )
    await bench.until(lambda: bench.chassis.other_config["ovn-bridge-mappings"] == "phys:br-x", "new mappings")


async def test_another_bridge_is_made_and_used(bench: Host) -> None:
    await bench.network("sw0", 1, "a")
    await bench.configure(ovn_bridge="br-own")
    await bench.plug("a", bridge="br-own")
    await bench.until(lambda: bench.binding("a").up, "up on the other bridge")
    command = ["ovs-ofctl", "-O", "OpenFlow15", "dump-flows", f"unix:{bench.directory}/br-own.mgmt", "table=105"]
    assert "output:" in subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


async def test_nb_cfg_is_reported_once_the_switch_has_what_belongs_to_it(bench: Host) -> None:
    datapath = await bench.network("sw0", 1, "a")
    await bench.set_up("a")
    for number in range(5):
        await bench.below(bench.logical_flow(datapath, 5, f"ip4.dst == 10.0.0.{number}", "drop;"))
        wanted = await bump(bench)
        private = await bench.until(
            lambda wanted=wanted: bench.row(bench.southbound, sb.ChassisPrivate, name="hv1", nb_cfg=wanted), "nb_cfg"
        )
        assert private.nb_cfg_timestamp > 0
        assert any(f"nw_dst=10.0.0.{number} " in flow for flow in bench.flows())


async def test_a_change_that_is_taken_in_portions_is_there_as_a_whole_when_it_is_reported(bench: Host) -> None:
    datapath = await bench.network("sw0", 1, "a")
    await bench.set_up("a")
    (root,) = bench.southbound.replica.rows(sb.SBGlobal).values()
    txn = Transaction()
    txn.update(sb.SBGlobal, root.uuid, nb_cfg=root.nb_cfg + 1)
    for number in range(3 * FEED):
        txn.insert(bench.logical_flow(datapath, 5, f"ip4.dst == 10.1.{number >> 8}.{number & 255}", "drop;"))
    await bench.southbound.transact(txn)
    await bench.until(
        lambda: bench.row(bench.southbound, sb.ChassisPrivate, name="hv1", nb_cfg=root.nb_cfg + 1), "nb_cfg"
    )
    assert sum("nw_dst=10.1." in flow for flow in bench.flows()) == 3 * FEED
    await bench.settled()


async def test_a_plugged_port_is_bound_installed_and_up_and_an_unplugged_one_is_not(bench: Host) -> None:
    await bench.network("sw0", 1, "a")
    await bench.set_up("a")
    assert bench.binding("a").chassis == bench.chassis.uuid
    interface = await bench.until(
        lambda: bench.row(bench.local, vs.Interface, name="v-a").external_ids.get("ovn-installed"), "ovn-installed"
    )
    assert interface == "true"
    await bench.unplug("a")
    await bench.until(lambda: bench.binding("a").chassis is None and not bench.binding("a").up, "released")
    await bench.until(lambda: not any("metadata=0x1" in flow for flow in bench.flows()), "its flows are gone")


async def test_only_rows_of_local_datapaths_are_replicated(bench: Host) -> None:
    await bench.network("here", 1, "a")
    await bench.network("there", 2, *(f"x{n}" for n in range(20)))
    await bench.set_up("a")
    await bench.settled()
    shown = bench.controller.command("debug/dump-local-datapaths")
    assert "Datapath: here, type: switch, key: 1" in shown and "there" not in shown
    assert not any("metadata=0x2" in flow for flow in bench.flows())


async def test_monitor_all_makes_no_difference_to_the_flows(bench: Host) -> None:
    await bench.network("here", 1, "a")
    await bench.network("there", 2, "x")
    await bench.set_up("a")
    before = bench.flows()
    await bench.configure(ovn_monitor_all="true")
    await bench.until(lambda: bench.chassis.other_config["ovn-monitor-all"] == "true", "it monitors all")
    await bench.settled()
    assert bench.flows() == before


# --- control commands -------------------------------------------------------------------------------------------------


async def test_commands_show_connection_zones_bindings_and_ports(bench: Host) -> None:
    await bench.network("sw0", 1, "a")
    await bench.set_up("a")
    ask = bench.controller.command
    assert ask("connection-status") == "connected\n"
    zones = dict(line.split() for line in ask("ct-zone-list").splitlines())
    stored = bench.row(bench.local, vs.Bridge, name="br-int").external_ids
    assert "a" in zones and {f"ct-zone-{name}": zone for name, zone in zones.items()}.items() <= stored.items()
    assert "name: [a], OVS interface name : [v-a]" in ask("debug/dump-local-bindings")
    assert ask("debug/dump-related-ports") == "Related lports:\na\n"
    assert ask("group-table-list") == ask("meter-table-list") == ask("ovine/failures") == ask("ovine/audit") == ""


async def test_a_paused_controller_does_nothing_until_it_is_resumed(bench: Host) -> None:
    datapath = await bench.network("sw0", 1, "a")
    await bench.set_up("a")
    flows = bench.flows()
    assert bench.controller.command("debug/status") == "running\n"
    bench.controller.command("debug/pause")
    assert bench.controller.command("debug/status") == "paused\n"
    await bench.below(bench.logical_flow(datapath, 5, "ip4", "drop;"))
    await bench.southbound.barrier()
    assert bench.flows() == flows
    bench.controller.command("debug/resume")
    await bench.until(lambda: len(bench.flows()) == len(flows) + 1, "the change is carried out")


async def test_a_recompute_changes_no_flow_and_is_counted(bench: Host) -> None:
    await bench.network("sw0", 1, "a")
    await bench.set_up("a")
    flows, sent = bench.flows(), bench.status()["sent"]
    bench.controller.command("recompute")
    await bench.settled()
    assert bench.flows() == flows and bench.status()["sent"] == sent
    assert bench.controller.command("inc-engine/show-stats", "engine", "recompute").strip() == "1"
    bench.controller.command("inc-engine/clear-stats")
    assert bench.controller.command("inc-engine/show-stats", "engine", "recompute").strip() == "0"
    bench.controller.command("recompute")
    shown = bench.controller.command("inc-engine/show-stats").splitlines()
    counts = [int(line.split()[-1]) for line in shown if line.startswith("- ")]
    assert counts[0] == 1 and min(counts) >= 0, "the new engine is counted from its own beginning"


async def test_an_injected_packet_takes_the_way_of_its_port(bench: Host) -> None:
    await bench.network("sw0", 1, "a", "b")
    await bench.set_up("a", "b")
    microflow = 'inport == "a" && eth.src == 02:00:00:00:00:01 && eth.dst == 02:00:00:00:00:02 && ip4 && ip.ttl == 9'
    bench.controller.command("inject-pkt", microflow)
    command = ["ovs-ofctl", "-O", "OpenFlow15", "dump-flows", f"unix:{bench.directory}/br-int.mgmt"]

    def delivered() -> bool:
        shown = subprocess.run([*command, "table=105,reg15=2"], capture_output=True, text=True, timeout=30).stdout
        return "n_packets=1," in shown

    await bench.until(delivered, "delivered to b")
    with pytest.raises(CommandError, match="no packet on this host matches"):
        bench.controller.command("inject-pkt", 'inport == "nobody"')


async def test_settings_that_make_no_sense_are_failures_and_the_rest_goes_on(bench: Host) -> None:
    await bench.configure(ovn_encap_type="geneve,gre")
    await bench.until(
        lambda: [f for f in bench.controller.failures() if "'gre' is none of" in f["error"]], "the setting is named"
    )
    await bench.network("sw0", 1, "a")
    await bench.set_up("a")


async def test_the_rows_of_a_bridge_stay_those_of_others(bench: Host) -> None:
    await bench.until(lambda: bench.row(bench.local, vs.Bridge, name="br-int"), "br-int")
    bridge = bench.row(bench.local, vs.Bridge, name="br-int")
    txn = Transaction()
    txn.update(vs.Bridge, bridge.uuid, external_ids=StrMap({**bridge.external_ids, "mine": "1", "ct-zone-stale": "5"}))
    await bench.local.transact(txn)
    await bench.until(
        lambda: "ct-zone-stale" not in bench.row(bench.local, vs.Bridge, name="br-int").external_ids, "stale zone gone"
    )
    assert bench.row(bench.local, vs.Bridge, name="br-int").external_ids["mine"] == "1"
