"""Agents with real databases: hosts are asked, their silence is noticed, and who is forgotten leaves the southbound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ovine.model import cloud, nb, sb
from ovine.model.base import Map, Uuid
from ovine.model.chassis import METADATA_ID, METADATA_SB_CFG
from ovine.ovsdb import Client, Transaction
from support.daemons import Daemon, run_daemon
from support.ovsdb import start_server

HV1, HV2 = (Uuid(f"1111111{n}-0000-4000-8000-000000000000") for n in (1, 2))
MD1 = Uuid("22222222-0000-4000-8000-000000000000")


@dataclass
class Bed:
    """Three databases with a plugin between them, and hosts that answer as long as they are in `answering`."""

    above: Client
    below: Client
    hosts: Client
    plugin: Daemon
    answering: set[str] = field(default_factory=set)

    def agent(self, uuid: Uuid) -> cloud.Agent | None:
        return self.above.replica.get(cloud.Agent, uuid)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                change = asyncio.Event()
                for client in (self.above, self.below, self.hosts):
                    client.subscribe(lambda _, seen=change: seen.set())
                await change.wait()

    async def register(self, name: str, *, metadata: str = "") -> None:
        txn = Transaction()
        encap = txn.insert(sb.Encap(type="geneve", ip=f"192.0.2.{name[7]}", chassis_name=name))
        chassis = txn.insert(sb.Chassis(name=name, hostname=f"host-{name[7]}", encaps=(encap,)))
        marks = Map({METADATA_ID: metadata} if metadata else {})
        txn.insert(sb.ChassisPrivate(name=name, chassis=chassis, external_ids=marks))
        await self.hosts.transact(txn)

    async def answer(self) -> None:
        """What a controller and a metadata service do, again and again."""
        while True:
            asked = max((row.nb_cfg for row in self.below.replica.rows(nb.NBGlobal).values()), default=0)
            txn = Transaction()
            for row in self.hosts.replica.rows(sb.ChassisPrivate).values():
                if row.name in self.answering and row.nb_cfg != asked:
                    txn.update(sb.ChassisPrivate, row.uuid, nb_cfg=asked)
                mark = row.external_ids.get(METADATA_ID)
                if mark in self.answering and row.external_ids.get(METADATA_SB_CFG) != str(asked):
                    marks = Map({**row.external_ids, METADATA_SB_CFG: str(asked)})
                    txn.update(sb.ChassisPrivate, row.uuid, external_ids=marks)
            if txn:
                await self.hosts.transact(txn)
            await asyncio.sleep(0.05)


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    (tmp_path / "ovine.toml").write_text("agent_down_time = 3\n")
    async with AsyncExitStack() as stack:
        clients, remotes = [], []
        for name, database in (("cloud", cloud.DATABASE), ("nb", nb.DATABASE), ("sb", sb.DATABASE)):
            (tmp_path / name).mkdir()
            server = stack.enter_context(start_server(database, tmp_path / name))
            client = Client(database, server.remote)
            stack.push_async_callback(client.close)
            await client.start()
            await client.ready(10)
            clients.append(client)
            remotes.append(f"--{name if name == 'cloud' else f'ovn{name}'}-db={server.remote}")
        start = Transaction()
        start.insert(nb.NBGlobal(nb_cfg=41))
        await clients[1].transact(start)
        options = [*remotes, f"--config={tmp_path / 'ovine.toml'}"]
        plugin = stack.enter_context(run_daemon("plugin", tmp_path / "plugin", *options))
        bed = Bed(*clients, plugin)
        answers = asyncio.create_task(bed.answer())
        stack.callback(answers.cancel)
        yield bed
        assert plugin.failures() == []
        assert plugin.command("ovine/audit") == ""


async def test_who_answers_responds_and_who_falls_silent_is_noticed(bed: Bed) -> None:
    await bed.register(HV1, metadata=MD1)
    await bed.register(HV2)
    bed.answering |= {HV1, MD1}
    await bed.until(lambda: all((row := bed.agent(uuid)) is not None and row.responding for uuid in (HV1, MD1)))
    silent = bed.agent(HV2)
    assert silent is not None
    assert (silent.host, silent.responding, silent.heartbeat_at) == ("host-2", False, "")
    bed.answering -= {HV1}
    await bed.until(lambda: not bed.agent(HV1).responding)  # type: ignore[union-attr]
    assert bed.agent(HV1).heartbeat_at != ""  # type: ignore[union-attr]
    bed.answering |= {HV1}
    await bed.until(lambda: bed.agent(HV1).responding)  # type: ignore[union-attr]
    assert bed.agent(MD1).responding  # type: ignore[union-attr]
    (check,) = bed.above.replica.rows(cloud.AgentCheck).values()
    assert min(check.asked) > 41, "numbers that others have used are not used again"


async def test_a_silent_host_that_is_to_be_forgotten_leaves_the_southbound_and_nothing_else_does(bed: Bed) -> None:
    await bed.register(HV1, metadata=MD1)
    await bed.register(HV2)
    bed.answering |= {HV1}
    await bed.until(lambda: all(bed.agent(uuid) is not None for uuid in (HV2, MD1)))
    await bed.until(lambda: bed.agent(HV1).responding)  # type: ignore[union-attr]
    wish = Transaction()
    for uuid in (HV1, HV2, MD1):
        wish.update(cloud.Agent, uuid, removal=True)
    await bed.above.transact(wish)
    await bed.until(lambda: set(bed.above.replica.rows(cloud.Agent)) == {HV1})
    assert [row.name for row in bed.hosts.replica.rows(sb.Chassis).values()] == [HV1]
    (private,) = bed.hosts.replica.rows(sb.ChassisPrivate).values()
    assert (private.name, dict(private.external_ids)) == (HV1, {})
    await bed.until(lambda: not bed.agent(HV1).removal)  # type: ignore[union-attr]


async def test_numbers_go_on_rising_when_the_northbound_starts_anew(bed: Bed) -> None:
    await bed.until(lambda: bool(bed.above.replica.rows(cloud.AgentCheck)))
    await bed.register(HV1)
    bed.answering |= {HV1}
    await bed.until(lambda: bed.agent(HV1) is not None and bed.agent(HV1).responding)  # type: ignore[union-attr]
    (glob,) = bed.below.replica.rows(nb.NBGlobal).values()
    anew = Transaction()
    anew.update(nb.NBGlobal, glob.uuid, nb_cfg=0)
    await bed.below.transact(anew)
    await bed.until(lambda: bed.below.replica.rows(nb.NBGlobal)[glob.uuid].nb_cfg > glob.nb_cfg)
