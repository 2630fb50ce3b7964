"""Rows in the southbound that nothing in the northbound stands for: ours deletes what Debian's northd deletes.

Of every table of the southbound some are there when a northd starts, and some come while it runs: left from a northd
that knew other features, from hosts that are gone, or written by hand.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovine.model import sb
from ovine.model.base import Map, Row, StrMap, Uuid
from ovine.ovsdb import Client, Transaction
from support.northd_bed import NorthdBed, northd_bed, replica
from support.ovsdb import DEADLINE, until

Strays = dict[str, tuple[type[Row], Uuid]]
"""The rows by what they are called here."""

HOSTS_OWN = {
    "chassis",
    "encap",
    "chassis of nobody",
    "event",
    "learned address of a port",
    "address at a learning port",
}
"""What belongs to hosts, and stays."""
OURS_DELETES = {"group of a switch that does not snoop"}
"""Debian's northd keeps what hosts heard on a switch after it ceased to snoop; nobody reads it."""


def network(bed: NorthdBed) -> None:
    bed.nbctl("ls-add", "s", "--", "lsp-add", "s", "p", "--", "lsp-set-addresses", "p", "0a:00:00:00:00:01 10.0.0.1")
    bed.nbctl("lsp-add", "s", "u", "--", "lsp-set-addresses", "u", "unknown")
    bed.nbctl("lr-add", "r", "--", "lrp-add", "r", "rp", "0a:00:00:00:01:00", "10.0.0.254/24")
    bed.nbctl("lsp-add", "s", "sr", "--", "lsp-set-type", "sr", "router", "--", "lsp-set-addresses", "sr", "router")
    bed.nbctl("--wait=sb", "lsp-set-options", "sr", "router-port=rp")


def scatter(below: Client, txn: Transaction, mark: str) -> Strays:
    """Inserts a stray row or more of each table; `mark` makes names and numbers unique."""
    number = int(mark)
    bindings = below.replica.index(sb.PortBinding, "logical_port")
    port, learner, router_port = (bindings.one(name) for name in ("p", "u", "rp"))
    assert port is not None and learner is not None and router_port is not None
    switch, router = port.datapath, router_port.datapath
    switch_row = below.replica.get(sb.DatapathBinding, switch)
    assert switch_row is not None
    dp_key = switch_row.tunnel_key
    strays: Strays = {}

    def add(name: str, row: Row) -> Uuid:
        uuid = txn.insert(row)
        strays[name] = (type(row), uuid)
        return uuid

    name, mac, ip = f"stray{mark}", f"0a:00:00:00:99:{number:02x}", f"10.0.99.{number}"
    encap = add("encap", sb.Encap(type="geneve", ip=ip, chassis_name=name))
    chassis = add("chassis", sb.Chassis(name=name, encaps=(encap,)))
    add("chassis of nobody", sb.ChassisPrivate(name=f"gone{mark}"))
    add("address set", sb.AddressSet(name=name, addresses=(ip,)))
    add("port group", sb.PortGroup(name=name, ports=("p",)))
    gone = add("datapath", sb.DatapathBinding(tunnel_key=1000 + number, external_ids=StrMap({"name": name})))
    add("port of a stray datapath", sb.PortBinding(logical_port=f"{name}-1", datapath=gone, tunnel_key=1))
    add("port", sb.PortBinding(logical_port=name, datapath=switch, tunnel_key=100 + number))
    flow = {"pipeline": "ingress", "table_id": 3, "priority": number, "match": "ip4", "actions": "drop;"}
    add("flow", sb.LogicalFlow(logical_datapath=switch, **flow))
    add("flow of a stray datapath", sb.LogicalFlow(logical_datapath=gone, **flow))
    group = add("datapath group", sb.LogicalDPGroup(datapaths=(switch, router)))
    add("flow of a group", sb.LogicalFlow(logical_dp_group=group, **flow))
    add("multicast group", sb.MulticastGroup(datapath=switch, name=name, tunnel_key=40000 + number, ports=(port.uuid,)))
    band = add("band", sb.MeterBand(action="drop", rate=1))
    add("meter", sb.Meter(name=name, unit="pktps", bands=(band,)))
    add("learned address of a port", sb.MACBinding(logical_port="rp", ip=ip, mac=mac, datapath=router))
    add("learned address of a stray datapath", sb.MACBinding(logical_port=name, ip=ip, mac=mac, datapath=gone))
    add("address at a learning port", sb.FDB(mac=mac, dp_key=dp_key, port_key=learner.tunnel_key))
    add("address in a stray datapath", sb.FDB(mac=mac, dp_key=5000 + number, port_key=1))
    add("address at a stray port", sb.FDB(mac=f"0a:00:00:00:98:{number:02x}", dp_key=dp_key, port_key=200 + number))
    add("dhcp option", sb.DHCPOptions(name=name, code=200, type="str"))
    add("dhcpv6 option", sb.DHCPv6Options(name=name, code=200, type="str"))
    add("records", sb.DNS(records=StrMap({"a": ip}), datapaths=(switch,)))
    right = add("right", sb.RBACPermission(table=name))
    add("role", sb.RBACRole(name=name, permissions=Map({name: right})))
    member = add("member", sb.HAChassis(chassis=chassis, priority=1))
    add("group of chassis", sb.HAChassisGroup(name=name, ha_chassis=(member,)))
    add("event", sb.ControllerEvent(event_type="empty_lb_backends", chassis=chassis, seq_num=number))
    add("multicast of a stray datapath", sb.IPMulticast(datapath=gone))
    add("group of a stray datapath", sb.IGMPGroup(address="239.1.1.1", datapath=gone, chassis=chassis))
    add("group of no chassis", sb.IGMPGroup(address=f"239.1.2.{number}", datapath=switch))
    add("group of a switch that does not snoop", sb.IGMPGroup(address="239.1.3.1", datapath=switch, chassis=chassis))
    add("balancer", sb.LoadBalancer(name=name, datapaths=(switch,)))
    add("session", sb.BFD(logical_port="rp", dst_ip=ip, src_port=50000 + number, disc=number, status="down"))
    add("static address", sb.StaticMACBinding(logical_port="rp", ip=ip, mac=mac, datapath=router))
    add("monitor", sb.ServiceMonitor(ip=ip, protocol="tcp", port=80, logical_port=name))
    add("variables", sb.ChassisTemplateVar(chassis=name, variables=StrMap({"x": "1"})))
    add("mirror", sb.Mirror(name=name, filter="from-lport", sink=ip, type="gre", index=number))
    return strays


def test_every_table_that_northd_or_hosts_write_is_strewn(tmp_path: Path) -> None:
    async def tables() -> set[type[Row]]:
        with northd_bed(tmp_path) as bed, bed.debians():
            network(bed)
            async with replica(bed.below, sb.DATABASE) as below:
                return {table for table, _ in scatter(below, Transaction(), "1").values()}

    configured = {sb.SBGlobal, sb.Connection, sb.SSL, sb.GatewayChassis}
    assert asyncio.run(tables()) == {table.row for table in sb.DATABASE.tables.values()} - configured


async def strewn_and_swept(bed: NorthdBed, start: Callable[[], Any]) -> dict[str, set[str]]:
    """What is left of strays that were there at the start, and of those that came later, in two batches each."""
    left: dict[str, set[str]] = {}
    with bed.debians("first"):
        network(bed)
    async with replica(bed.below, sb.DATABASE) as below:
        early = await _strewn(below, "1")
        with start():
            bed.sync()
            late = await _strewn(below, "2")
            # Something that northd has to carry out after that, so that it has seen them.
            bed.nbctl("--wait=sb", "ls-add", "later")
            await until(lambda: below.replica.get(*late["port"]) is None, "swept", DEADLINE)
            bed.nbctl("--wait=sb", "ls-del", "later")
            await below.barrier()
            for when, strays in (("early", early), ("late", late)):
                left[when] = {name for name, row in strays.items() if below.replica.get(*row) is not None}
    return left


async def _strewn(below: Client, mark: str) -> Strays:
    txn = Transaction()
    strays = scatter(below, txn, mark)
    random.Random(mark).shuffle(txn.operations)
    await below.transact(txn)
    return strays


@pytest.mark.parametrize("northd", ["debians", "ours"])
async def test_a_northd_deletes_strays_of_its_own_tables_and_keeps_those_of_hosts(tmp_path: Path, northd: str) -> None:
    with northd_bed(tmp_path) as bed:
        left = await strewn_and_swept(bed, bed.ours if northd == "ours" else bed.debians)
    print(left)
    assert left["early"] == HOSTS_OWN | (set() if northd == "ours" else OURS_DELETES)
    assert left["late"] == left["early"]
