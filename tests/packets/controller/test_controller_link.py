"""The link to a real switch: what it refuses is named and kept out, and everything else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from ovine.controller.config import Config
from ovine.controller.flows import Body, FlowKey
from ovine.controller.switch import Desired, SwitchState
from ovine.controller.tables import ECMP_NEXT_HOP
from ovine.controller.vswitch import plan
from ovine.daemons.controller.link import SwitchLink
from ovine.openflow import Band, Bucket, Group, GroupEntry, Meter, MeterEntry, Output, SetField, normalise
from support.hosts import Host, host

GOOD: FlowKey = (8, 1, ())
BAD_ACTION: FlowKey = (8, 2, ())
BAD_MATCH: FlowKey = (8, 3, normalise((("tcp_src", 80, None),)))
TOO_LONG: FlowKey = (8, 4, ())
TUNNEL: FlowKey = (8, 5, ())
OUT = Body((Output(1),), 7)


@dataclass
class Bench:
    """A link to br-int, and what is desired of it."""

    host: Host
    desired: dict[FlowKey, Body] = field(default_factory=dict)
    groups: dict[int, GroupEntry] = field(default_factory=dict)
    meters: dict[int, MeterEntry] = field(default_factory=dict)
    worked_out: bool = True

    async def __aenter__(self) -> Bench:
        await self.host.local.transact(plan(self.host.local.replica, Config("hv1", "host"), None))
        self.link = SwitchLink(
            f"unix:{self.host.directory}/br-int.mgmt",
            logging.getLogger("test"),
            desired=lambda: Desired(self.desired, self.groups, self.meters),
            note=self.note,
            packet_in=lambda _: None,
            changed=lambda: None,
        )
        self.task = asyncio.create_task(self.link.run())
        await self.host.until(lambda: self.link.ready, "the link is up")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def note(self, state: SwitchState) -> bool:
        state.flows.note(self.desired)
        state.groups.note(self.groups)
        state.meters.note(self.meters)
        return self.worked_out

    async def want(self) -> None:
        assert await self.link.apply()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with host(start=False) as made, Bench(made) as ready:
        yield ready


@pytest.mark.parametrize(
    ("key", "body", "error"),
    [
        (BAD_ACTION, Body((Group(77),)), "OFPBAC_BAD_OUT_GROUP"),
        (BAD_MATCH, OUT, "OFPBMC_BAD_PREREQ"),
        (TOO_LONG, Body(tuple(SetField("reg0", n) for n in range(5000))), "more than an OpenFlow message can carry"),
    ],
    ids=["action", "match", "length"],
)
async def test_a_flow_that_cannot_be_is_named_and_the_rest_is_installed(
    bench: Bench, key: FlowKey, body: Body, error: str
) -> None:
    bench.desired = {GOOD: OUT, key: body, TUNNEL: Body((SetField("tun_metadata0", 5), Output(2)))}
    await bench.want()
    assert set(bench.link.state.flows.actual) == {GOOD, TUNNEL}
    assert error in bench.link.state.flows.rejected[key].error
    assert await bench.link.audit() == []


async def test_a_rejected_flow_is_tried_again_when_something_else_is_wanted_in_its_place(bench: Bench) -> None:
    bench.desired = {GOOD: OUT, BAD_ACTION: Body((Group(77),))}
    await bench.want()
    bench.desired = {GOOD: OUT, BAD_ACTION: OUT}
    await bench.want()
    assert not bench.link.state.flows.rejected and set(bench.link.state.flows.actual) == {GOOD, BAD_ACTION}


async def test_what_is_no_longer_wanted_goes_and_what_is_there_is_not_sent_again(bench: Bench) -> None:
    bench.desired = {GOOD: OUT, TUNNEL: OUT}
    await bench.want()
    bench.link.state.flows.note([TUNNEL])
    bench.desired = {GOOD: OUT}
    await bench.want()
    assert bench.link.sent == 3 and await bench.link.audit() == []


async def test_nothing_is_sent_while_a_flow_may_be_there_before_its_group(bench: Bench) -> None:
    bench.worked_out = False
    bench.desired = {BAD_ACTION: Body((Group(77),))}
    assert not await bench.link.apply() and bench.link.sent == 0
    bench.worked_out = True
    bench.groups = {77: GroupEntry(77, "select", (Bucket(0, (Output(1),), weight=1),))}
    await bench.want()
    assert set(bench.link.state.flows.actual) == {BAD_ACTION} and not bench.link.state.flows.rejected


async def test_the_audit_tells_what_somebody_else_changed(bench: Bench) -> None:
    bench.desired = {GOOD: OUT}
    await bench.want()
    bench.desired = {GOOD: Body((Output(2),), 7), TUNNEL: OUT}
    bench.link.state.flows.actual = dict(bench.desired)
    found = await bench.link.audit()
    assert [line.partition(":")[0] for line in found] == ["differs in the switch", "missing in the switch"]


async def test_reading_the_switch_back_mends_what_somebody_else_changed(bench: Bench) -> None:
    bench.desired = {GOOD: OUT, TUNNEL: OUT}
    await bench.want()
    bridge = f"unix:{bench.host.directory}/br-int.mgmt"
    for change in (("del-flows", bridge, "cookie=7/-1"), ("add-flow", bridge, "table=8,priority=99,actions=drop")):
        subprocess.run(["ovs-ofctl", "-O", "OpenFlow15", *change], check=True)
    assert len(await bench.link.audit()) == 3
    await bench.link.reread()
    assert await bench.link.apply()
    assert await bench.link.audit() == []


def _group(number: int, *outs: int) -> GroupEntry:
    buckets = tuple(Bucket(n, (Output(out),)) for n, out in enumerate(outs))
    return GroupEntry(number, "select", buckets, "dp_hash", 1 << 32)


async def test_groups_and_meters_come_before_the_flows_that_use_them_and_go_behind_them(bench: Bench) -> None:
    bench.groups, bench.meters = {5: _group(5, 1, 2)}, {6: MeterEntry(6, bands=(Band(1000),))}
    bench.desired = {GOOD: Body((Meter(6), Group(5)))}
    await bench.want()
    assert not bench.link.state.flows.rejected and await bench.link.audit() == []
    gone = [*bench.groups, *bench.meters]
    bench.groups, bench.meters, bench.desired = {}, {}, {GOOD: OUT}
    bench.link.state.groups.note(gone)
    bench.link.state.meters.note(gone)
    await bench.want()
    assert await bench.link.audit() == [] and not bench.link.state.groups.actual


async def test_groups_and_meters_are_read_back_and_kept(bench: Bench) -> None:
    bench.groups, bench.meters = {5: _group(5, 1, 2)}, {6: MeterEntry(6, bands=(Band(1000),))}
    await bench.want()
    await bench.link.reread()
    plan = bench.link.state.plan(Desired(bench.desired, bench.groups, bench.meters))
    assert (plan.groups, plan.meters) == ({}, {})


async def test_a_group_that_the_switch_refuses_is_named_and_the_rest_is_installed(bench: Bench) -> None:
    bench.groups, bench.desired = {5: replace(_group(5), selection_method="nonsense")}, {GOOD: OUT}
    await bench.want()
    assert set(bench.link.state.groups.rejected) == {5} and set(bench.link.state.flows.actual) == {GOOD}


async def test_flows_that_the_switch_learned_stay(bench: Bench) -> None:
    bridge = f"unix:{bench.host.directory}/br-int.mgmt"
    learned = f"table={ECMP_NEXT_HOP},priority=32768,idle_timeout=20,tcp,metadata=1 actions=drop"
    subprocess.run(["ovs-ofctl", "-O", "OpenFlow15", "add-flow", bridge, learned], check=True)
    await bench.link.reread()
    bench.desired = {GOOD: OUT}
    await bench.want()
    assert await bench.link.audit() == []
    shown = subprocess.run(["ovs-ofctl", "-O", "OpenFlow15", "dump-flows", bridge], check=True, capture_output=True)
    assert f"table={ECMP_NEXT_HOP}," in shown.stdout.decode()
