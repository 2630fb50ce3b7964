"""The local Open_vSwitch database: its rows go to the engine, and what the controller says there is written.

Tests: tests/interop/controller/test_controller_daemon.py, tests/interop/controller/test_controller_plans.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from ovine.controller import vswitch
from ovine.controller.config import Config
from ovine.controller.local import Yielded
from ovine.controller.wanted import wanted
from ovine.controller.zones import ZONES, stored
from ovine.daemons.controller.commit import commit
from ovine.daemons.controller.complaints import Complaints
from ovine.daemons.controller.computation import Computation
from ovine.daemons.controller.moments import Moments, now_ms
from ovine.daemons.controller.settings import Settings
from ovine.daemons.controller.wakes import Wakes
from ovine.model import vs
from ovine.ovsdb import Batch, Change, Client

GIVE_WAY = 0.05
"""Seconds for which a write into the local database waits for flows that are on their way into the switch."""


class Local:
    """The client of the local database, read and written."""

    def __init__(
        self,
        client: Client,
        computation: Computation,
        settings: Settings,
        moments: Moments,
        complaints: Complaints,
        wakes: Wakes,
        *,
        bridge_changed: Callable[[], None],
        idle: Callable[[], Awaitable[None]],
    ) -> None:
        """`bridge_changed` is called when a bridge may have appeared; `idle` waits until the switch is not changed."""
        self.client = client
        self._computation = computation
        self._settings = settings
        self._moments = moments
        self._complaints = complaints
        self._wakes = wakes
        self._due = wakes.local
        self._bridge_changed = bridge_changed
        self._idle = idle

    async def start(self) -> Mapping[str, int]:
        """Connects, and feeds all rows; returns the zones that were in use, which the engine knows before any row."""
        await self.client.start()
        await self.client.ready()
        zones = self._zones_in_use()
        for table in (vs.OpenVSwitch, vs.Bridge, vs.Port, vs.Interface):
            for uuid, row in self.client.replica.rows(table).items():
                self._computation.feed(table, uuid, row)
        self.client.subscribe(self._changed)
        self._wakes.compute.set()
        self.client.on_state(self._wakes.connection_changed)
        return zones

    def _zones_in_use(self) -> Mapping[str, int]:
        zones: Mapping[str, int] = {}
        for settings in self._settings.said():
            bridge = self.client.replica.index(vs.Bridge, "name").one(settings.bridge) if settings else None
            if bridge is not None:
                zones = stored(bridge.external_ids)
                self._computation.engine.seed(ZONES, zones)
        return zones

    def _changed(self, batch: Batch) -> None:
        self._due.stale = True
        for change in batch:
            self._computation.feed(change.table, change.uuid, change.new)
            if change.table in (vs.OpenVSwitch, vs.SSL):
                self._settings.changed()
            if change.table is vs.Interface:
                self._forget_yielded(change)
            elif change.table is vs.Bridge:
                self._bridge_changed()
        self._computation.disturbed()

    def _forget_yielded(self, change: Change) -> None:
        """A port that went to another chassis may come back with the next interface that is plugged for it."""
        if change.old is not None:
            before = change.old.external_ids.get("iface-id")  # type: ignore[attr-defined]
            after = change.new.external_ids.get("iface-id") if change.new is not None else None  # type: ignore[attr-defined]
            if before and before != after:
                self._computation.feed(Yielded, before, None)

    async def write(self) -> None:
        """Waits until there is something to look at, and writes what differs."""
        await self._due.event.wait()
        await self._give_way()
        self._due.event.clear()
        self._due.stale = not self._computation.at_rest
        settings, moments = self._settings.now, self._moments
        if settings is None or not self._computation.at_rest or not self.client.connected:
            return
        wishes = wanted(self._computation.engine, moments.progress, now_ms()) if moments.ever_settled else None
        txn = vswitch.plan(self.client.replica, settings, wishes)
        await commit(self.client, txn, self._complaints, self._due.event)

    async def _give_way(self) -> None:
        """Lets flows go first, for a moment: any change of its database has the switch look through all of that.

        What is said when the flows are in (`ovn-installed`) rides on the same transaction then.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_WAY):
                await self._idle()

    async def leave(self, settings: Config) -> None:
        """Takes back what we wrote. OvsdbError or TimeoutError if that does not succeed."""
        if self.client.connected and (txn := vswitch.leave(self.client.replica, settings)):
            await self.client.transact(txn, timeout=2.0)
