"""Who writes the southbound may change: our northd after ours, ours after Debian's, and the other way round."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ovine.model import nb, sb
from ovine.northd.arp_nd import is_book
from ovine.northd.pipeline import STAGES
from ovine.ovsdb import Transaction
from support.northd_bed import NorthdBed, dump, northd_bed, replica, until_status
from support.ovsdb import Server, until, wait_until


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[NorthdBed]:
    with northd_bed(tmp_path) as made:
        made.nbctl("ls-add", "s1", "--", "ls-add", "s2", "--", "ls-add", "s3")
        for number, switch in enumerate(("s3", "s1", "s2", "s3", "s1", "s1")):
            name, address = f"p{number}", f"0a:00:00:00:00:0{number} 10.0.0.{number}"
            made.nbctl("lsp-add", switch, name, "--", "lsp-set-addresses", name, address)
        made.nbctl("lsp-add", "s1", "ln", "--", "lsp-set-type", "ln", "localnet")
        made.nbctl("lsp-set-addresses", "ln", "unknown")
        made.nbctl("pg-add", "pg", "p1", "p2", "--", "create", "address_set", "name=as", "addresses=10.0.0.9")
        made.nbctl("acl-add", "pg", "to-lport", "1000", "outport == @pg && ip4.src == $as", "allow-related")
        made.nbctl("meter-add", "m", "drop", "10", "pktps", "5", "--", "set", "meter", "m", "fair=true")
        made.nbctl("--log", "--meter=m", "acl-add", "pg", "from-lport", "999", "inport == @pg && ip", "reject")
        yield made


def identities(rows: dict[Any, Any]) -> dict[str, tuple[str, int, object]]:
    """What hosts hold on to: rows and tunnel keys of datapaths and ports, and where ports are."""
    found = {}
    for row in rows.values():
        if isinstance(row, sb.DatapathBinding):
            found[row.external_ids["logical-switch"]] = (row.uuid, row.tunnel_key, None)
        elif isinstance(row, sb.PortBinding) and not is_book(row.logical_port):
            found[row.logical_port] = (row.uuid, row.tunnel_key, (row.chassis, row.up, row.encap))
    return found


async def everything(server: Server, database: Any) -> dict[Any, Any]:
    """All rows but the global ones, which count what was asked for."""
    rows = await dump(server, database)
    return {key: row for key, row in rows.items() if not isinstance(row, nb.NBGlobal | sb.SBGlobal)}


async def bind(bed: NorthdBed, port: str) -> None:
    """Does what a host does that has the port."""
    async with replica(bed.below, sb.DATABASE) as below:
        transaction = Transaction()
        encap = transaction.insert(sb.Encap(type="geneve", ip="127.0.0.1", chassis_name="h1"))
        chassis = transaction.insert(sb.Chassis(name="h1", encaps=(encap,)))
        row = below.replica.index(sb.PortBinding, "logical_port").one(port)
        transaction.update(sb.PortBinding, row.uuid, chassis=chassis, encap=encap, up=True)
        await below.transact(transaction)


async def test_the_standby_takes_over_without_changing_a_row(bed: NorthdBed) -> None:
    with bed.ours("one") as one:
        until_status(one, "active")
        bed.sync()
        with bed.ours("two") as two:
            until_status(two, "standby")
            bed.nbctl("lsp-del", "p0", "--", "lsp-add", "s2", "late")  # keys that the standby would choose otherwise
            bed.sync()
            await bind(bed, "late")
            wait_until(lambda: bed.nbctl("get", "logical_switch_port", "late", "up").strip() == "true", "up")
            before, above = await everything(bed.below, sb.DATABASE), await everything(bed.above, nb.DATABASE)
            one.stop(signal.SIGKILL)
            until_status(two, "active")
            bed.sync()  # the new one has written whatever it had to write
            assert await everything(bed.below, sb.DATABASE) == before
            assert await everything(bed.above, nb.DATABASE) == above
            bed.nbctl("--wait=sb", "lsp-add", "s2", "later")
            after = await everything(bed.below, sb.DATABASE)
            assert identities(before).items() <= identities(after).items()
            assert two.failures() == []
            assert two.command("inc-engine/show-stats", "engine", "recompute").strip() == "1", "only at its start"


async def test_a_standby_that_chose_other_keys_than_the_active_one_uses_those_of_the_active_one(bed: NorthdBed) -> None:
    """Keys depend on the order of events; a standby that was held up sees several of them as one."""
    with bed.ours("one") as one, bed.ours("two", "--dry-run") as two:
        until_status(one, "active")
        bed.sync()
        two.command("resume")
        for name in ("nb", "sb"):
            wait_until(lambda name=name: two.command(f"{name}-connection-status").strip() == "connected", name)
        assert two.process is not None
        two.process.send_signal(signal.SIGSTOP)
        bed.nbctl("--wait=sb", "lsp-add", "s3", "m")
        bed.nbctl("--wait=sb", "lsp-add", "s3", "n")
        bed.nbctl("--wait=sb", "lsp-del", "m")
        bed.nbctl("--wait=sb", "lsp-add", "s3", "z")
        before = await dump(bed.below, sb.DATABASE)
        two.process.send_signal(signal.SIGCONT)
        one.stop(signal.SIGKILL)
        until_status(two, "active")
        bed.sync()
        assert identities(await dump(bed.below, sb.DATABASE)) == identities(before)
        assert two.command("inc-engine/show-stats", "engine", "recompute").strip() == "2", "it disagreed"


async def test_a_standby_beside_debians_northd_takes_over_in_place(bed: NorthdBed) -> None:
    with bed.debians() as theirs:
        bed.sync()
        with bed.ours() as daemon:
            until_status(daemon, "standby")
            bed.nbctl("--wait=sb", "lsp-del", "p0", "--", "ls-del", "s2", "--", "lsp-add", "s3", "first")
            bed.nbctl("--wait=sb", "ls-add", "s4", "--", "lsp-add", "s3", "second")
            before = await dump(bed.below, sb.DATABASE)
            theirs.kill()
            until_status(daemon, "active")
            bed.sync()
            assert identities(await dump(bed.below, sb.DATABASE)) == identities(before)


async def test_a_restart_changes_no_row(bed: NorthdBed) -> None:
    with bed.ours("one") as one:
        until_status(one, "active")
        bed.sync()
    before = await everything(bed.below, sb.DATABASE)
    with bed.ours("two") as two:
        until_status(two, "active")
        bed.sync()
        two.command("inc-engine/recompute")
        bed.sync()
        assert await everything(bed.below, sb.DATABASE) == before


async def test_what_debians_northd_made_is_taken_over_in_place(bed: NorthdBed) -> None:
    with bed.debians():
        bed.nbctl("--wait=sb", "lsp-set-options", "p4", "requested-tnl-key=77")
        await bind(bed, "p4")
        bed.nbctl("--wait=sb", "lsp-del", "p0")
        wait_until(lambda: bed.nbctl("get", "logical_switch_port", "p4", "up").strip() == "true", "up")
    before = await dump(bed.below, sb.DATABASE)
    with bed.ours() as daemon:
        bed.sync()
        after = await dump(bed.below, sb.DATABASE)
        assert daemon.failures() == []
    assert identities(after) == identities(before)
    assert identities(after)["p4"][1] == 77
    assert [row.uuid for row in before.values() if isinstance(row, sb.DHCPOptions)] == [
        row.uuid for row in after.values() if isinstance(row, sb.DHCPOptions)
    ]
    stages = {row.external_ids["stage-name"] for row in after.values() if isinstance(row, sb.LogicalFlow)}
    assert stages <= {stage.name for stage in STAGES}


OURS = {
    "ls_in_admit",
    "ls_in_guard",
    "ls_in_answer",
    "ls_in_forward",
    "ls_in_unknown",
    "ls_out_check",
    "ls_out_deliver",
}


async def test_what_debians_northd_made_of_other_features_does_not_hold_datapaths(bed: NorthdBed) -> None:
    """Load balancers, DNS records, multicast settings and learned rows refer to datapaths strongly."""
    with bed.debians():
        bed.nbctl("lb-add", "lb", "10.0.0.100:80", "10.0.0.1:80", "--", "ls-lb-add", "s1", "lb")
        record = bed.nbctl("create", "dns", 'records:a.example="10.0.0.1"').strip()
        bed.nbctl("set", "logical_switch", "s1", f"dns_records={record}")
        bed.nbctl("lr-add", "r", "--", "lrp-add", "r", "rp", "0a:00:00:00:01:00", "10.0.0.254/24")
        bed.nbctl("static-mac-binding-add", "rp", "10.0.0.9", "0a:00:00:00:00:09")
        bed.sync()
    before = await dump(bed.below, sb.DATABASE)
    assert {sb.LoadBalancer, sb.DNS, sb.StaticMACBinding, sb.IPMulticast} <= {type(row) for row in before.values()}
    with bed.ours():
        bed.nbctl("--wait=sb", "ls-del", "s1", "--", "ls-del", "s2", "--", "ls-del", "s3", "--", "lr-del", "r")
        after = await dump(bed.below, sb.DATABASE)
    assert not {sb.DatapathBinding, sb.PortBinding, sb.LogicalFlow, sb.DNS} & {type(row) for row in after.values()}


async def test_an_empty_northbound_gets_its_row_and_the_southbounds_is_kept(tmp_path: Path) -> None:
    with northd_bed(tmp_path) as bed, bed.ours() as daemon:
        until_status(daemon, "active")
        bed.tool("ovn-sbctl", "set-connection", "ptcp:0:127.0.0.1")
        async with replica(bed.above, nb.DATABASE) as above:
            transaction = Transaction()
            transaction.delete(nb.NBGlobal, next(iter(above.replica.rows(nb.NBGlobal))))
            await above.transact(transaction)
            await until(lambda: bool(above.replica.rows(nb.NBGlobal)), "the row is back")
        assert bed.tool("ovn-sbctl", "get-connection").strip() != ""


async def test_debians_northd_takes_over_what_ours_made(bed: NorthdBed) -> None:
    with bed.ours() as daemon:
        until_status(daemon, "active")
        bed.sync()
        await bind(bed, "p4")
        before = await dump(bed.below, sb.DATABASE)
        with bed.debians():
            daemon.stop(signal.SIGKILL)
            bed.sync()
            after = await dump(bed.below, sb.DATABASE)
    assert identities(after) == identities(before)


async def test_what_both_copy_down_is_the_same_from_either(bed: NorthdBed) -> None:
    """Bindings, groups, sets, options and roles of ours and of Debian's northd, compared column for column."""
    bed.nbctl(
        *("lsp-set-port-security", "p1", "0a:00:00:00:00:01 10.0.0.1", "--", "lsp-set-enabled", "p2", "disabled"),
        *("--", "set", "logical_switch_port", "p3", "external_ids:neutron\\:port_name=three", "tag_request=5"),
        *("--", "set", "logical_switch", "s1", "external_ids:neutron\\:network_name=one"),
        *(
            "--",
            "lsp-set-options",
            "ln",
            "network_name=phys",
            "--",
            "set",
            "logical_switch_port",
            "ln",
            "tag_request=9",
        ),
    )
    with bed.debians():
        bed.sync()
        theirs = await dump(bed.below, sb.DATABASE)
    with bed.ours():
        bed.sync()
        ours = await dump(bed.below, sb.DATABASE)
    for table in (sb.DatapathBinding, sb.PortBinding, sb.DHCPOptions, sb.DHCPv6Options, sb.PortGroup):
        assert rows_of(ours, table) == rows_of(theirs, table)
    bands = [
        {row.uuid: (row.rate, row.burst_size) for row in rows_of(one, sb.MeterBand).values()} for one in (ours, theirs)
    ]
    meters = [
        {
            row.uuid: (row.name, row.unit, *(known[band] for band in row.bands))
            for row in rows_of(one, sb.Meter).values()
        }
        for one, known in zip((ours, theirs), bands, strict=True)
    ]
    assert meters[0] == meters[1] and len(meters[0]) == 2
    rights = [rows_of(one, sb.RBACPermission) for one in (ours, theirs)]
    (fdb,) = (uuid for uuid, row in rights[0].items() if row.table == "FDB")
    assert set(rights[0].pop(fdb).update) - set(rights[1].pop(fdb).update) == {"timestamp"}
    assert rights[0] == rights[1]
    assert rows_of(ours, sb.RBACRole) == rows_of(theirs, sb.RBACRole)
    sets = {row.name: row.addresses for row in rows_of(theirs, sb.AddressSet).values()}
    del sets["svc_monitor_mac"]  # for load balancers' health checks, which ours does not compile
    assert {row.name: row.addresses for row in rows_of(ours, sb.AddressSet).values()} == sets


def rows_of(rows: dict[Any, Any], table: Any) -> dict[str, Any]:
    """All of a table but the ports that our northd makes for itself."""
    chosen = (row for row in rows.values() if isinstance(row, table))
    return {row.uuid: row for row in chosen if not is_book(getattr(row, "logical_port", ""))}
