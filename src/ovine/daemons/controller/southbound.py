"""The southbound database: which one, what is asked of it, and how its rows reach the engine.

Rows that have come wait in `Southbound.backlog`, from where the loop that computes has them fed. When the settings name
another database, the rows of the old one leave the engine with it.

Tests: tests/interop/controller/test_controller_daemon.py, tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ovine.controller.config import Config
from ovine.controller.interest import monitors
from ovine.controller.rules import PLANNED_FROM
from ovine.daemons.controller.complaints import Complaints
from ovine.daemons.controller.computation import Backlog, Computation
from ovine.daemons.controller.conditions import Conditions
from ovine.daemons.controller.settings import Settings
from ovine.daemons.controller.takeovers import Takeovers
from ovine.daemons.controller.wakes import Wakes
from ovine.model import sb
from ovine.ovsdb import Batch, Client, RemoteError, Tls

HEARD_AT_ONCE = frozenset({sb.MACBinding, sb.StaticMACBinding, sb.IGMPGroup, sb.ServiceMonitor})
"""Tables that services by the clock look at without waiting for flows."""


class Southbound:
    """The client of the southbound that there is, if any, and its conditions."""

    def __init__(
        self,
        computation: Computation,
        settings: Settings,
        takeovers: Takeovers,
        complaints: Complaints,
        wakes: Wakes,
        left: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        """`left` is called when a database has been left, before its rows leave the engine."""
        self.client: Client | None = None
        self.backlog = Backlog(self._take)
        self._conditions: Conditions | None = None
        self._remote: tuple[str, Tls | None] | None = None
        self._computation = computation
        self._settings = settings
        self._takeovers = takeovers
        self._complaints = complaints
        self._wakes = wakes
        self._left = left
        self._log = log

    @property
    def complete(self) -> bool:
        """Whether we are connected, and everything that was asked for has come."""
        client, asked = self.client, self._conditions
        return client is not None and asked is not None and client.connected and not asked.awaited

    @property
    def nb_cfg(self) -> int:
        """The number that northd asks all chassis to reach."""
        if self.client is None:
            return 0
        return max((row.nb_cfg for row in self.client.replica.rows(sb.SBGlobal).values()), default=0)

    async def follow(self, settings: Config) -> None:
        """Connects to the database that the settings name."""
        if self.client is not None:
            self.client.probe_every(settings.probe_interval)
        remote = (settings.remote, self._settings.tls())
        if settings.remote and remote != self._remote:
            self._remote = remote
            await self._forget()
            await self._connect(settings, remote[1])

    def ask(self, *, everything: bool) -> None:
        """Has the conditions follow what the engine is interested in; or asks for all rows."""
        if self._conditions is not None:
            self._conditions.follow(self._computation.engine, everything=everything)

    def stop(self) -> None:
        """Waits for no rows any more."""
        if self._conditions is not None:
            self._conditions.close()

    async def _connect(self, settings: Config, tls: Tls | None) -> None:
        self._complaints.note("ovn-remote", "")
        try:
            client = Client(
                sb.DATABASE,
                settings.remote,
                monitors=monitors(settings.monitor_all),
                probe_interval=settings.probe_interval,
                tls=tls,
            )
        except RemoteError as error:
            self._complaints.note("ovn-remote", str(error), "ovn-remote: %s")
            return
        client.subscribe(self._changed)
        client.on_state(self._wakes.connection_changed)
        self.client = client
        self._conditions = Conditions(client, self._wakes.compute.set, everything=settings.monitor_all)
        await client.start()

    async def _forget(self) -> None:
        """Leaves the database, if any."""
        client, self.client = self.client, None
        if client is None:
            return
        self.stop()
        self._conditions = None
        await client.close()
        self.backlog.clear()
        self._left()
        for table in client.database.tables.values():
            for uuid in list(self._computation.engine.rows(table.row)):
                self._computation.feed(table.row, uuid, None)
        self._wakes.compute.set()

    def _changed(self, batch: Batch) -> None:
        self.backlog.add(batch)
        self._computation.disturbed()

    def _take(self, batch: Batch) -> None:
        wakes, settings = self._wakes, self._settings.now
        wakes.timed.stale = True
        for change in batch:
            self._computation.feed(change.table, change.uuid, change.new)
            wakes.southbound.stale |= change.table in PLANNED_FROM
            if change.table is sb.PortBinding:
                if self.client is not None and settings is not None:
                    self._takeovers.notice(self.client.replica, settings.chassis, change.old, change.new)  # type: ignore[arg-type]
            elif change.table in HEARD_AT_ONCE:
                wakes.timed.event.set()
