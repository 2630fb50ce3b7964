"""The controller of one host, put together from its parts.

One loop computes (in bounded turns), three write: to the switch, to the southbound database, to the local database; and
one steps the services that act by the clock. Each writer works out anew, whenever it is woken, what differs from what
should be; so nothing is lost when a connection is.

| part | owns |
|---|---|
| `wakes` | the events by which the loops are woken, and what is stale; the only thing that all parts share |
| `computation` | the engine; whether it is at rest |
| `settings` | what we are told to be and to connect to |
| `moments` | what was known when all was settled, and how much of it the switch has |
| `southbound`, `conditions`, `takeovers` | the southbound's client, what is asked of it, what others do to our ports |
| `registrar` | what is written there: identity, contests, fresh claims |
| `local` | the local database's client, and what is written there |
| `switch`, `link`, `connections` | the bridge: its link, the zones that were flushed, the connections that have ended |
| `effects`, `world` | packet services, timed services, what they are told |
| `complaints`, `commit` | what does not work, and whether that has been said |

Invariants: a part reads others by their public names only, and changes its own state only. Parts that come later in
the order of `Controller.__init__` know those before them; the other way there are callables.

Tests: tests/interop/controller/, tests/faults/test_controller_faults.py, tests/interop/test_packet_cases.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from ovine.controller import rules
from ovine.controller.contests import Contests
from ovine.daemons import collector
from ovine.daemons.context import Context
from ovine.daemons.controller.complaints import Complaints
from ovine.daemons.controller.computation import Computation
from ovine.daemons.controller.effects import Effects
from ovine.daemons.controller.local import Local
from ovine.daemons.controller.moments import Moments
from ovine.daemons.controller.registrar import Registrar
from ovine.daemons.controller.settings import Settings
from ovine.daemons.controller.southbound import Southbound
from ovine.daemons.controller.startup import startup
from ovine.daemons.controller.switch import Switch
from ovine.daemons.controller.takeovers import Takeovers
from ovine.daemons.controller.tasks import Tasks
from ovine.daemons.controller.wakes import Wakes
from ovine.daemons.tls import database_tls
from ovine.engine import Engine, Failure
from ovine.ovsdb import Client, OvsdbError


class Controller:
    """The engine, its two databases and the switch."""

    def __init__(self, context: Context, local: Client) -> None:
        self.paused = False
        self._context = context
        self._log = log = context.log
        self._tasks, contests = Tasks(), Contests()
        self._wakes = wakes = Wakes()
        self._complaints = complaints = Complaints(log)
        start = startup(context)
        self.computation = computation = Computation(start, wakes.compute)
        self._settings = settings = Settings(local.replica, start, database_tls(context.tls))
        self._moments = moments = Moments(computation, settings, complete=lambda: self.southbound.complete)
        takeovers = Takeovers(computation, lambda port: contests.taken(port, time.monotonic()), log)
        self.southbound = Southbound(computation, settings, takeovers, complaints, wakes, moments.forget, log)
        self.switch = Switch(
            context.paths.ovs_run,
            computation,
            self._tasks,
            known=lambda: moments.known,
            packet_in=lambda packet: self.effects.packet_in(packet),
            changed=wakes.link_changed,
            log=log,
        )
        self.effects = Effects(self.southbound, settings, self.switch, computation, self._tasks, wakes)
        learned = self.effects.services.add_learned
        self._registrar = Registrar(self.southbound, computation, moments, contests, learned, complaints, wakes, log)
        self.local = Local(
            local,
            computation,
            settings,
            moments,
            complaints,
            wakes,
            bridge_changed=self.switch.hurry,
            idle=self.switch.idle,
        )

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Works for ever; to be cancelled."""
        self.switch.zones_in_use(await self.local.start())
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "compute": self._compute,
            "flows": self._write_flows,
            "southbound": self._registrar.write,
            "local": self.local.write,
            "timed": self.effects.step,
            "collector": collector.tend,
        }
        tasks = [asyncio.create_task(_forever(loop), name=name) for name, loop in loops.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.southbound.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._tasks.cancel(), return_exceptions=True)

    async def leave(self) -> None:
        """After `exit`: takes our rows and tunnels back, unless we are to come again; flows stay in any case."""
        settings, ending = self._settings.now, self._context.ending
        with contextlib.suppress(OvsdbError, TimeoutError):
            if ending is not None and ending.clean_up and settings is not None and settings.cleanup_on_exit:
                await self._registrar.leave(settings.chassis)
                await self.local.leave(settings)
        for client in (self.southbound.client, self.local.client):
            if client is not None:
                await client.close()

    def pause(self) -> None:
        """Computes nothing until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Goes on computing."""
        self.paused = False
        self._wakes.compute.set()

    # --- loops --------------------------------------------------------------------------------------------------------

    async def _compute(self) -> None:
        """Brings the engine to rest, and has everything follow from that."""
        wakes = self._wakes
        await wakes.compute.wait()
        wakes.compute.clear()
        if self.paused:
            return
        await self.southbound.backlog.feed()
        await self._registrar.claim_first()
        await self.computation.settle(self.southbound.backlog)
        if self._settings.stale:
            await self._follow_settings()
        if self._settings.now is not None:
            self.southbound.ask(everything=self._settings.now.monitor_all)
        self._complaints.report(rules.failures(self.engine))
        if self._moments.settled and self._moments.note(self.southbound.nb_cfg):
            wakes.local.stale = True
        self._note_changes()
        if wakes.southbound.stale:
            await self._registrar.write_now()
        wakes.flows.set()
        if wakes.local.stale:
            wakes.local.event.set()

    def _note_changes(self) -> None:
        """Finds out whether what was computed may have to be written."""
        if self.computation.changed(rules.TO_SOUTHBOUND):
            self._wakes.southbound.stale = self._wakes.local.stale = True
        if self.computation.changed(rules.TO_LOCAL):
            self._wakes.local.stale = True

    async def _follow_settings(self) -> None:
        """Connects to the databases and bridges that the settings name."""
        followed = self._settings.follow()
        if followed is None:
            return
        now, before = followed
        if before is not None and now.chassis != before.chassis:
            self._registrar.renamed(before.chassis, now.chassis)
        if before is None or now.bridge != before.bridge:
            self.switch.follow(now.bridge)
        await self.southbound.follow(now)

    async def _write_flows(self) -> None:
        """Brings the switch up to date, and then says what is installed."""
        await self._wakes.flows.wait()
        self._wakes.flows.clear()
        if not self._moments.known:
            return
        moment = self._moments.last
        if await self.switch.write():
            self.effects.installed()
            if self._moments.installed(moment):
                self._wakes.southbound.event.set()
                self._wakes.local.event.set()

    # --- reports ------------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The engine that there is now; a recompute replaces it."""
        return self.computation.engine

    def failures(self) -> list[Failure]:
        """Everything that does not work: rules, flows that the switch refused, transactions, services."""
        found = rules.failures(self.engine) + self.switch.failures()
        return found + self._complaints.failures() + self.effects.failures()

    async def recompute(self) -> list[str]:
        """Replaces the engine by one computed from nothing; returns the differences, which should be none.

        The switch is read back as well, so that this mends what another program did to it.
        """
        differences = await self.computation.recompute()
        await self.switch.reread()
        for line in differences[:20]:
            self._log.error("recompute differs: %s", line)
        return differences

    async def audit(self) -> list[str]:
        """Incremental state against a recompute, and the switch against what it should hold; empty if all agree."""
        found = await self.computation.compare()
        return [*found, *await self.switch.audit()]


async def _forever(step: Callable[[], Awaitable[None]]) -> None:
    while True:
        await step()
