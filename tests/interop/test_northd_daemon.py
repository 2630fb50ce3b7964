"""Our northd as a process between real databases: what is written, how it is told, and the control commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.model import nb, sb
from ovine.northd.arp_nd import is_book
from ovine.ovsdb import Client, Transaction
from support.daemons import Daemon
from support.northd_bed import NorthdBed, dump, northd_bed, replica, until_status
from support.ovsdb import until, wait_until


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[NorthdBed]:
    with northd_bed(tmp_path) as made:
        yield made


@pytest.fixture
def daemon(bed: NorthdBed) -> Iterator[Daemon]:
    """A running northd; at the end, what it has must equal what a recompute gives."""
    with bed.ours() as running:
        until_status(running, "active")
        yield running
        running.command("inc-engine/recompute")
        assert "recompute differs" not in running.messages()


def make_switch(bed: NorthdBed) -> None:
    bed.nbctl(
        *("ls-add", "s1", "--", "lsp-add", "s1", "p1", "--", "lsp-add", "s1", "p2"),
        *("--", "lsp-set-addresses", "p1", "0a:00:00:00:00:01 10.0.0.1"),
        *("--", "lsp-set-addresses", "p2", "0a:00:00:00:00:02 10.0.0.2"),
    )


async def test_a_switch_and_its_ports_are_bound_and_go_with_the_switch(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.sync()
    async with replica(bed.below, sb.DATABASE) as client:
        (datapath,) = client.replica.rows(sb.DatapathBinding).values()
        assert datapath.external_ids["name"] == "s1"
        bindings = {
            row.logical_port: row
            for row in client.replica.rows(sb.PortBinding).values()
            if not is_book(row.logical_port)
        }
        assert {name: (row.datapath, row.up) for name, row in bindings.items()} == {
            "p1": (datapath.uuid, False),
            "p2": (datapath.uuid, False),
        }
        assert len({row.tunnel_key for row in bindings.values()}) == 2
        (flood,) = client.replica.rows(sb.MulticastGroup).values()
        assert (flood.name, set(flood.ports)) == ("_MC_flood", {row.uuid for row in bindings.values()})
        bed.nbctl("--wait=sb", "ls-del", "s1")
        await client.barrier()
        for table in (sb.DatapathBinding, sb.PortBinding, sb.MulticastGroup, sb.LogicalFlow):
            assert not client.replica.rows(table)


async def test_tunnel_keys_are_changed_and_swapped_while_rows_stay(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.nbctl("--wait=sb", "ls-add", "s2")
    async with replica(bed.below, sb.DATABASE) as client:

        async def keys() -> dict[str, tuple[str, int]]:
            await client.barrier()
            found = {row.external_ids["name"]: row for row in client.replica.rows(sb.DatapathBinding).values()}
            ports = {row.logical_port: row for row in client.replica.rows(sb.PortBinding).values()}
            rows = {"s1": found["s1"], "s2": found["s2"], "p1": ports["p1"], "p2": ports["p2"]}
            return {name: (row.uuid, row.tunnel_key) for name, row in rows.items()}

        def request(**wanted: int) -> None:
            words: list[str] = []
            for name, key in wanted.items():
                if name.startswith("s"):
                    words += ["--", "set", "Logical_Switch", name, f"other_config:requested-tnl-key={key}"]
                else:
                    words += ["--", "set", "Logical_Switch_Port", name, f"options:requested-tnl-key={key}"]
            bed.nbctl("--wait=sb", *words)

        first = await keys()
        for wanted in ({"s1": 70, "s2": 71, "p1": 10, "p2": 11}, {"s1": 71, "s2": 70, "p1": 11, "p2": 10}):
            request(**wanted)
            assert await keys() == {name: (first[name][0], key) for name, key in wanted.items()}
        request(s1=70, p2=500)
        now = await keys()
        assert {name: uuid for name, (uuid, _) in now.items()} == {name: uuid for name, (uuid, _) in first.items()}
        assert now["p2"][1] == 500
        assert now["s1"][1] != now["s2"][1] and 70 in (now["s1"][1], now["s2"][1])


async def test_sequence_numbers_go_down_and_up(bed: NorthdBed, daemon: Daemon) -> None:
    bed.sync()
    async with replica(bed.above, nb.DATABASE) as above, replica(bed.below, sb.DATABASE) as below:
        (row,) = above.replica.rows(nb.NBGlobal).values()
        assert (row.sb_cfg, row.hv_cfg) == (row.nb_cfg, row.nb_cfg)
        assert row.sb_cfg_timestamp >= row.nb_cfg_timestamp > 1_600_000_000_000
        await add_host(below, "h1", nb_cfg=0)
        bed.sync()
        await above.barrier()
        (row,) = above.replica.rows(nb.NBGlobal).values()
        assert (row.sb_cfg, row.hv_cfg) == (row.nb_cfg, 0)
        (private,) = below.replica.rows(sb.ChassisPrivate).values()
        transaction = Transaction()
        transaction.update(sb.ChassisPrivate, private.uuid, nb_cfg=row.nb_cfg, nb_cfg_timestamp=1234)
        await below.transact(transaction)
        await until(lambda: hv(above) == (row.nb_cfg, 1234), "hv_cfg")


def hv(above: Client) -> tuple[int, int]:
    (row,) = above.replica.rows(nb.NBGlobal).values()
    return row.hv_cfg, row.hv_cfg_timestamp


async def add_host(below: Client, name: str, nb_cfg: int) -> None:
    transaction = Transaction()
    encap = transaction.insert(sb.Encap(type="geneve", ip="127.0.0.1", chassis_name=name))
    chassis = transaction.insert(sb.Chassis(name=name, hostname=f"{name}.example", encaps=(encap,)))
    transaction.insert(sb.ChassisPrivate(name=name, chassis=chassis, nb_cfg=nb_cfg))
    await below.transact(transaction)


async def test_a_port_is_up_when_a_host_says_so_and_down_when_it_lets_go(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.nbctl("lsp-set-options", "p1", "requested-chassis=h1.example")
    bed.sync()
    assert bed.nbctl("get", "logical_switch_port", "p1", "up").strip() == "false"
    async with replica(bed.above, nb.DATABASE) as above, replica(bed.below, sb.DATABASE) as below:
        await add_host(below, "h1", nb_cfg=0)
        (chassis,) = below.replica.rows(sb.Chassis)
        binding = below.replica.index(sb.PortBinding, "logical_port")
        await until(lambda: binding.one("p1").requested_chassis == chassis, "requested_chassis")
        port = above.replica.index(nb.LogicalSwitchPort, "name")
        for chosen, said, up in ((chassis, False, False), (chassis, True, True), (None, True, False)):
            transaction = Transaction()
            transaction.update(sb.PortBinding, binding.one("p1").uuid, chassis=chosen, up=said)
            await below.transact(transaction)
            bed.sync()
            await until(lambda up=up: port.one("p1").up is up, f"up is {up}")
            row = binding.one("p1")
            assert (row.chassis, row.up) == (chosen, said), "what hosts write is theirs"


def test_the_northbound_is_told_the_highest_tunnel_key(bed: NorthdBed, daemon: Daemon) -> None:
    def told() -> str:
        return bed.nbctl("--if-exists", "get", "NB_Global", ".", "options:max_tunid").strip()

    for wrong in ("", "7"):
        if wrong:
            bed.nbctl("set", "NB_Global", ".", f"options:max_tunid={wrong}")
        wait_until(lambda: told() == '"16711680"', "max_tunid is written")


async def test_a_foreign_change_of_our_columns_is_put_back_and_said(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.sync()
    async with replica(bed.below, sb.DATABASE) as below:
        before = below.replica.index(sb.PortBinding, "logical_port").one("p1")
        transaction = Transaction()
        transaction.update(sb.PortBinding, before.uuid, mac=("unknown",))
        await below.transact(transaction)
        await until(lambda: below.replica.get(sb.PortBinding, before.uuid) == before, "the binding is as it was")
    wait_until(lambda: "was changed by somebody else; put back" in daemon.messages(), "the message")


async def test_what_no_flow_names_is_not_written_again_and_again(bed: NorthdBed, daemon: Daemon) -> None:
    """The group of two routers on a switch without instances, as on the external network of a cloud."""
    bed.nbctl("ls-add", "outside")
    for number in (1, 2):
        mac, ip = f"0a:00:00:00:00:{number}e", f"192.0.2.{number}/24"
        bed.nbctl("lr-add", f"r{number}", "--", "lrp-add", f"r{number}", f"r{number}-out", mac, ip)
        bed.nbctl("lsp-add", "outside", f"out-r{number}", "--", "lsp-set-type", f"out-r{number}", "router")
        bed.nbctl("lsp-set-options", f"out-r{number}", f"router-port=r{number}-out")
        bed.nbctl("lsp-set-addresses", f"out-r{number}", "router")
    bed.sync()
    bed.nbctl("lsp-add", "outside", "p1", "--", "lsp-set-addresses", "p1", "0a:00:00:00:00:01 192.0.2.9")
    bed.sync()
    assert "put back" not in daemon.messages()
    async with replica(bed.below, sb.DATABASE) as below:
        named = {row.logical_dp_group for row in below.replica.rows(sb.LogicalFlow).values()}
        assert below.replica.rows(sb.LogicalDPGroup).keys() <= named


async def test_learned_rows_go_with_their_datapath_and_not_before(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.nbctl("ls-add", "s2", "--", "lsp-add", "s2", "q1")
    bed.sync()
    async with replica(bed.below, sb.DATABASE) as below:
        transaction = Transaction()
        for row in below.replica.rows(sb.DatapathBinding).values():
            transaction.insert(sb.FDB(mac="0a:00:00:00:00:09", dp_key=row.tunnel_key, port_key=1))
            transaction.insert(sb.MACBinding(logical_port=row.external_ids["name"], ip="10.0.0.9", datapath=row.uuid))
        await below.transact(transaction)
        bed.nbctl("--wait=sb", "ls-del", "s2")
        await below.barrier()
        (left,) = below.replica.rows(sb.DatapathBinding).values()
        assert {row.datapath for row in below.replica.rows(sb.MACBinding).values()} == {left.uuid}
        assert {row.dp_key for row in below.replica.rows(sb.FDB).values()} == {left.tunnel_key}
        assert any(not is_book(row.logical_port) for row in below.replica.rows(sb.MACBinding).values())


def test_what_is_not_compiled_is_said_once_for_each_kind_and_listed_in_full(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.nbctl("lr-add", "r1")
    for n in ("1", "2"):
        bed.nbctl("lrp-add", "r1", f"rp{n}", f"02:00:00:00:00:0{n}", f"10.0.{n}.1/24")
        bed.nbctl("set", "logical_router_port", f"rp{n}", "options:prefix_delegation=true")
    bed.nbctl("lsp-add", "s1", "v1", "--", "lsp-set-type", "v1", "vtep")
    bed.sync()
    failures = daemon.failures()
    assert sorted((f["rule"], f["error"].partition(":")[0]) for f in failures) == [
        ("northd.gaps.port_type", "NotCompiled"),
        ("northd.gaps.prefix_delegation", "NotCompiled"),
        ("northd.gaps.prefix_delegation", "NotCompiled"),
    ]
    assert "prefixes are not asked for" in next(f["error"] for f in failures if "prefix" in f["rule"])
    assert len(re.findall(r"WARN.*port_type", daemon.messages())) == 1
    assert len(re.findall(r"WARN.*prefix_delegation", daemon.messages())) == 1


def test_a_row_that_cannot_be_read_leaves_the_rest_working(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.nbctl("set", "logical_switch_port", "p1", 'addresses="no address"')
    bed.sync()
    assert [f["error"] for f in daemon.failures()] == ["ValueError: port p1: 'no' is not an Ethernet address"]
    assert "10.0.0.2" in bed.tool("ovn-sbctl", "--columns=ip", "list", "MAC_Binding")
    bed.nbctl("lsp-set-addresses", "p1", "0a:00:00:00:00:01 10.0.0.1")
    bed.sync()
    assert daemon.failures() == []


def test_paused_it_writes_nothing_and_resumed_it_catches_up(bed: NorthdBed) -> None:
    with bed.ours("northd", "--dry-run") as daemon:
        until_status(daemon, "paused")
        assert daemon.command("is-paused").strip() == "true"
        make_switch(bed)
        wait_until(lambda: daemon.command("nb-connection-status").strip() == "connected", "the northbound")
        wait_until(lambda: daemon.command("sb-connection-status").strip() == "connected", "the southbound")
        assert bed.flows() == ""
        daemon.command("resume")
        bed.sync()
        assert "ls_in_forward" in bed.flows()
        daemon.command("pause")
        assert daemon.command("status").strip() == "Status: paused"


def test_counters_tell_what_ran_and_an_unrelated_change_runs_nothing(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.sync()
    daemon.command("inc-engine/clear-stats")
    bed.nbctl("set", "logical_switch", "s1", "external_ids:mine=1")
    bed.sync()
    counted = re.findall(
        r"Node: (\S+)\n- recompute: +(\d+)\n- compute: +(\d+)", daemon.command("inc-engine/show-stats")
    )
    ran = {node for node, recompute, compute in counted if int(compute) or int(recompute)}
    assert ran == {"northd.config.global_row", "northd.datapaths.datapath"}


async def test_a_recompute_changes_no_row(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.sync()
    before = await dump(bed.below, sb.DATABASE)
    daemon.command("inc-engine/recompute")
    bed.sync()
    after = await dump(bed.below, sb.DATABASE)
    assert [key for key, row in after.items() if before.get(key) != row and not isinstance(row, sb.SBGlobal)] == []
    assert after.keys() == before.keys()
    assert daemon.command("ovine/audit") == ""


async def test_a_restarted_database_is_caught_up_with(bed: NorthdBed, daemon: Daemon) -> None:
    make_switch(bed)
    bed.sync()
    before = await dump(bed.below, sb.DATABASE)
    daemon.command("inc-engine/clear-stats")
    for number, server in enumerate((bed.below, bed.above, bed.below)):
        server.restart()
        bed.nbctl("--wait=sb", "lsp-add", "s1", f"late{number}")
    after = await dump(bed.below, sb.DATABASE)
    kept = {key: row for key, row in before.items() if isinstance(row, sb.PortBinding | sb.DatapathBinding)}
    assert kept.items() <= after.items()
    bindings = (row.logical_port for row in after.values() if isinstance(row, sb.PortBinding))
    assert {name for name in bindings if not is_book(name)} == {*("p1", "p2", "late0", "late1", "late2")}
    assert daemon.command("inc-engine/show-stats", "engine", "recompute").strip() == "0", "the keys agree"


async def test_rows_of_hosts_are_left_alone(bed: NorthdBed, daemon: Daemon) -> None:
    async with replica(bed.below, sb.DATABASE) as below:
        await add_host(below, "h1", nb_cfg=0)
        transaction = Transaction()
        transaction.insert(sb.ControllerEvent(event_type="empty_lb_backends", seq_num=1))
        await below.transact(transaction)
        tables = (sb.ControllerEvent, sb.Chassis, sb.ChassisPrivate, sb.Encap)
        before = {table: dict(below.replica.rows(table)) for table in tables}
        make_switch(bed)
        bed.nbctl("--wait=sb", "ls-del", "s1")
        await below.barrier()
        assert {table: dict(below.replica.rows(table)) for table in tables} == before


def test_exit_is_answered_though_both_databases_are_gone(bed: NorthdBed) -> None:
    with bed.ours() as daemon:
        until_status(daemon, "active")
        bed.above.kill()
        bed.below.kill()
        wait_until(lambda: daemon.command("sb-connection-status").strip() == "not connected", "the end is noticed")
        assert daemon.command("exit").strip() == ""
        assert daemon.process is not None and daemon.process.wait(5) == 0
