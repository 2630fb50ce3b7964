"""Connections that are to end: in a real switch, and when it was away as their backend went."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from ipaddress import ip_address

from ovine.controller.config import Config, Startup
from ovine.controller.rules import new_engine
from ovine.controller.services.lb_flush import Balanced, Way
from ovine.controller.services.lb_hairpin import End
from ovine.controller.switch import Desired
from ovine.controller.vswitch import plan
from ovine.daemons.controller.connections import Connections
from ovine.daemons.controller.link import SwitchLink
from ovine.model.base import Uuid
from ovine.openflow import Connection, Ct, Flow, FlowMod, Nat, PacketOut, Resubmit, normalise
from support.frames import build
from support.hosts import Host, host

ROW, DATAPATH = Uuid("row"), Uuid("datapath")
VIP, BACKEND = End(ip_address("10.9.9.9"), 53), End(ip_address("10.0.0.2"), 5353)


def balanced(*ways: Way) -> dict[Uuid, Balanced]:
    return {ROW: Balanced(frozenset(ways), frozenset({DATAPATH}), True)}


def connections(one: Host) -> list[str]:
    command = ["ovs-appctl", "-t", f"{one.directory}/vswitchd.ctl", "dpctl/dump-conntrack"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout
    return [line for line in said.splitlines() if "10.9.9.9" in line]


async def test_what_ended_while_the_switch_was_away_is_forgotten_when_it_is_back() -> None:
    engine, ending = new_engine(Startup(None, "host")), Connections()
    async with host(start=False) as one:
        await one.local.transact(plan(one.local.replica, Config("hv1", "host"), None))
        await one.until((one.directory / "br-int.mgmt").exists, "the bridge is there")
        link = SwitchLink(
            f"unix:{one.directory}/br-int.mgmt",
            logging.getLogger("test"),
            desired=lambda: Desired({}),
            packet_in=lambda _: None,
            changed=lambda: None,
        )
        balance = Ct(commit=True, zone=7, actions=(Nat("dst", str(BACKEND.ip), port_min=5353),))
        async with await Connection.open(link.target) as connection:
            await connection.transact([FlowMod("add", Flow(8, 1, normalise((("eth_type", 0x800, None),)), (balance,)))])
            frame = build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.9.9.9 udp 5000>53")
            await connection.send(PacketOut("LOCAL", (Resubmit(None, 8),), frame))
            await connection.barrier()
        assert len(connections(one)) == 1
        assert await ending.end(engine, balanced(Way(17, VIP, BACKEND)), link), "nothing has to be sent"
        assert not await ending.end(engine, balanced(), link), "the link is down"
        assert len(connections(one)) == 1
        task = asyncio.create_task(link.run())
        try:
            await one.until(lambda: link.ready, "the link is up")
            assert await ending.end(engine, balanced(), link)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert connections(one) == []
