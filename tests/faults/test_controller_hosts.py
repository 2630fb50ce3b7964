"""Hosts that come into each other's way, change their names, and are removed while they run."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ovine.daemons.appctl import Unreachable
from ovine.model import sb, vs
from ovine.model.base import StrMap
from ovine.ovsdb import Transaction
from support.hosts import Host, debians_controller, host, machine


@pytest.fixture
async def bench() -> AsyncIterator[Host]:
    async with host() as made:
        yield made


@contextlib.asynccontextmanager
async def another(bench: Host, directory: Path, **ids: str) -> AsyncIterator[Host]:
    """A second host on the southbound of the first; `_` stands for `-`. Its controller runs."""
    given = {key.replace("_", "-"): value for key, value in ids.items()}
    directory.mkdir()
    async with machine(directory, bench.southbound_server, bench.southbound, given) as made:
        made.controller.start()
        yield made


def complaints(one: Host) -> list[str]:
    """What it says of its name and addresses; nothing while it does not listen yet."""
    try:
        return [failure["error"] for failure in one.controller.failures() if failure["rule"] == "chassis"]
    except Unreachable:
        return []


def encaps(one: Host) -> set[tuple[str, str]]:
    rows = one.southbound.replica.rows(sb.Encap)
    return {(rows[uuid].type, rows[uuid].ip) for uuid in one.chassis.encaps}


async def test_of_two_hosts_with_one_system_id_the_newcomer_gives_way_and_says_why(bench: Host, tmp_path: Path) -> None:
    await bench.network("sw0", 1, "a", "b")
    await bench.set_up("a")
    async with another(bench, tmp_path / "two", hostname="rival", ovn_encap_ip="10.9.0.2") as rival:
        told = await rival.until(lambda: complaints(rival) or complaints(bench), "one of them gives way")
        assert "another host goes by hv1" in told[0]
        loser, winner = (rival, bench) if complaints(rival) else (bench, rival)
        assert told[0].count("10.9.0.1" if winner is bench else "10.9.0.2") == 1
        assert told[0] in loser.controller.messages() and complaints(winner) == []
        changes: list[object] = []
        bench.southbound.subscribe(changes.append)
        await bench.until(
            lambda: winner.chassis.hostname == ("machine" if winner is bench else "rival"), "the winner's"
        )
        await loser.configure(system_id="hv2")
        await bench.until(lambda: bench.row(bench.southbound, sb.Chassis, name="hv2"), "registered by another name")
        await bench.until(lambda: not complaints(loser), "nothing to complain about")
        names = [row.name for row in bench.southbound.replica.rows(sb.Chassis).values()]
        assert sorted(names) == ["hv1", "hv2"]
        assert len(changes) < 20


async def test_beside_debians_controller_of_the_same_name_ours_gives_way_and_comes_back(
    bench: Host, tmp_path: Path
) -> None:
    """Debian's writes its row again and again."""
    directory = tmp_path / "two"
    directory.mkdir()
    ids = {"hostname": "rival", "ovn-encap-ip": "10.9.0.2"}
    async with machine(directory, bench.southbound_server, bench.southbound, ids) as rival:
        with debians_controller(rival):
            await bench.until(lambda: complaints(bench), "ours gives way")
            await bench.until(lambda: encaps(bench) == {("geneve", "10.9.0.2")}, "the row is the rival's")
        txn = Transaction()
        txn.delete(sb.Chassis, bench.chassis.uuid)
        await bench.southbound.transact(txn)
        await bench.until(lambda: bench.chassis and encaps(bench) == {("geneve", "10.9.0.1")}, "ours again")
        await bench.until(lambda: not complaints(bench), "nothing to complain about")


async def test_who_has_given_way_takes_nothing_with_it_when_it_ends(bench: Host, tmp_path: Path) -> None:
    async with another(bench, tmp_path / "two", hostname="rival", ovn_encap_ip="10.9.0.2") as rival:
        await rival.until(lambda: complaints(rival) or complaints(bench), "one of them gives way")
        loser = rival if complaints(rival) else bench
        winner = "machine" if loser is rival else "rival"
        before = await bench.until(lambda: bench.chassis.hostname == winner and bench.chassis, "the winner's row")
        loser.controller.command("exit")
        await bench.southbound.barrier()
        assert bench.chassis == before


async def test_a_host_with_the_address_of_another_registers_with_its_other_addresses(
    bench: Host, tmp_path: Path
) -> None:
    ids = {"system_id": "hv2", "ovn_encap_ip": "10.9.0.1,10.9.0.2", "ovn_encap_type": "geneve"}
    async with another(bench, tmp_path / "two", **ids) as second:
        await second.until(lambda: second.row(second.southbound, sb.Chassis, name="hv2"), "registered")
        second.name = "hv2"
        assert encaps(second) == {("geneve", "10.9.0.2")} and encaps(bench) == {("geneve", "10.9.0.1")}
        told = [text for text in complaints(second) if "geneve 10.9.0.1 belongs to chassis hv1" in text]
        assert told and told[0] in second.controller.messages()
        bench.controller.command("exit")
        await second.until(lambda: encaps(second) == {("geneve", "10.9.0.1"), ("geneve", "10.9.0.2")}, "both now")
        await second.until(lambda: not complaints(second), "nothing to complain about")


async def test_a_host_whose_only_address_is_another_s_waits_until_that_one_is_removed(
    bench: Host, tmp_path: Path
) -> None:
    bench.controller.stop()
    async with another(bench, tmp_path / "two", system_id="hv2") as second:
        await second.until(lambda: complaints(second), "it is told")
        assert "ovn-sbctl chassis-del hv1" in complaints(second)[0]
        assert second.row(second.southbound, sb.Chassis, name="hv2") is None
        txn = Transaction()
        txn.delete(sb.Chassis, bench.chassis.uuid)
        await bench.southbound.transact(txn)
        await second.until(lambda: second.row(second.southbound, sb.Chassis, name="hv2"), "registered")


async def test_a_new_system_id_renames_the_chassis_and_leaves_ports_up(bench: Host) -> None:
    await bench.network("sw0", 1, "a", "b")
    await bench.set_up("a")
    row = bench.chassis
    seen = set()
    bench.southbound.subscribe(
        lambda batch: seen.update((bench.binding("a").chassis, bench.binding("a").up) for _ in batch)
    )
    flows = bench.flows()
    await bench.configure(system_id="hv9")
    renamed = await bench.until(lambda: bench.row(bench.southbound, sb.Chassis, name="hv9"), "renamed")
    assert renamed.uuid == row.uuid and bench.chassis is None
    await bench.until(
        lambda: [r.name for r in bench.southbound.replica.rows(sb.ChassisPrivate).values()] == ["hv9"], "private row"
    )
    await bench.settled()
    assert seen == {(row.uuid, True)} and bench.flows() == flows
    assert {encap.chassis_name for encap in bench.southbound.replica.rows(sb.Encap).values()} == {"hv9"}
    assert bench.controller.failures() == []


async def test_without_a_system_id_all_stays_as_it_was(bench: Host) -> None:
    await bench.network("sw0", 1, "a", "b")
    await bench.set_up("a")
    flows, row = bench.flows(), bench.chassis
    (root,) = bench.local.replica.rows(vs.OpenVSwitch).values()
    for ids in ({k: v for k, v in root.external_ids.items() if k != "system-id"}, root.external_ids):
        txn = Transaction()
        txn.update(vs.OpenVSwitch, root.uuid, external_ids=StrMap(ids))
        await bench.local.transact(txn)
        lacks = "system-id" not in ids
        await bench.until(
            lambda lacks=lacks: any("system-id" in f["error"] for f in bench.controller.failures()) == lacks, "told"
        )
        assert bench.flows() == flows and bench.chassis == row and bench.binding("a").up
    await bench.settled()
    assert bench.flows() == flows


async def test_a_host_whose_chassis_is_deleted_comes_back_with_its_ports(bench: Host) -> None:
    """As `ovn-sbctl chassis-del` does."""
    await bench.network("sw0", 1, "a", "b")
    await bench.set_up("a")
    flows, old = bench.flows(), bench.chassis.uuid
    txn = Transaction()
    txn.delete(sb.Chassis, old)
    await bench.southbound.transact(txn)
    back = await bench.until(lambda: bench.chassis, "registered again")
    assert back.uuid != old
    await bench.until(lambda: bench.binding("a").chassis == back.uuid and bench.binding("a").up, "bound and up again")
    privates = list(bench.southbound.replica.rows(sb.ChassisPrivate).values())
    assert [row.name for row in privates] == ["hv1"]
    await bench.until(
        lambda: [r.chassis for r in bench.southbound.replica.rows(sb.ChassisPrivate).values()] == [back.uuid], "private"
    )
    await bench.settled()
    assert bench.flows() == flows and bench.controller.failures() == []


async def test_monitoring_all_or_not_is_switched_without_a_flow_in_between(bench: Host) -> None:
    await bench.network("here", 1, "a")
    await bench.network("there", 2, "x")
    await bench.set_up("a")
    await bench.settled()
    flows, sent = bench.flows(), bench.status()["sent"]
    for value in ("true", "false", "true"):
        await bench.configure(ovn_monitor_all=value)
        await bench.until(lambda value=value: bench.chassis.other_config["ovn-monitor-all"] == value, "told")
        await bench.settled()
        assert bench.flows() == flows and bench.status()["sent"] == sent
        assert bench.controller.command("connection-status") == "connected\n"
    await bench.plug("x")
    await bench.until(lambda: bench.binding("x").up, "up")
