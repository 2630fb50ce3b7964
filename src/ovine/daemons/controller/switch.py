"""The integration bridge: what it should hold is what the engine derives, and it is brought up to that.

`Switch` has a link to the bridge that the settings name (`ovine.daemons.controller.link`), and remembers what it may
not do twice: which conntrack zones were given to whom, and which connections load balancers had. Nothing is sent, and
no change is noted, while `known()` is false.

Tests: tests/packets/controller/test_controller_link.py, tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ovine.controller.flows import FLOWS
from ovine.controller.switch import Desired, SwitchState
from ovine.controller.switch_tables import GROUPS, METERS
from ovine.controller.zones import ZONES
from ovine.daemons.controller.computation import Computation
from ovine.daemons.controller.connections import Connections, balanced
from ovine.daemons.controller.link import UNDER_WAY, SwitchLink
from ovine.daemons.controller.tasks import Tasks
from ovine.engine import Failure
from ovine.openflow import Message, PacketIn

AUDIT_PATIENCE = 5.0
"""Seconds for which an audit waits until it is known what the switch should hold."""


class Switch:
    """The bridge, once the settings name one."""

    def __init__(
        self,
        run_directory: Path,
        computation: Computation,
        tasks: Tasks,
        *,
        known: Callable[[], bool],
        packet_in: Callable[[PacketIn], None],
        changed: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        """Open vSwitch has its sockets in `run_directory`; `changed` is called when the link comes up or goes down."""
        self.link: SwitchLink | None = None
        self._run_directory = run_directory
        self._computation = computation
        self._tasks = tasks
        self._known = known
        self._packet_in = packet_in
        self._changed = changed
        self._log = log
        self._zones: Mapping[str, int] = {}
        self._connections = Connections()

    # --- the link -----------------------------------------------------------------------------------------------------

    def follow(self, bridge: str) -> None:
        """Leaves the bridge, if any, for the one of this name."""
        self.link = SwitchLink(
            f"unix:{self._run_directory}/{bridge}.mgmt",
            self._log,
            desired=self._desired,
            note=self._note,
            packet_in=self._packet_in,
            changed=self._changed,
        )
        self._tasks.replace("switch", self.link.run())

    @property
    def ready(self) -> bool:
        """Whether it is connected and has been read back."""
        return self.link is not None and self.link.ready

    def hurry(self) -> None:
        """The bridge may have appeared."""
        if self.link is not None:
            self.link.hurry()

    async def idle(self) -> None:
        """Returns when nobody is changing it."""
        if self.link is not None:
            await self.link.idle()

    async def send(self, messages: Sequence[Message]) -> None:
        """Sends messages without waiting; they are lost if the link is down."""
        if self.link is not None:
            await self.link.send(*messages)

    async def ask(self, request: Message) -> list[Any] | None:
        """The items of the answer to a multipart request; None if the link is down or the switch refuses."""
        return await self.link.ask(request) if self.link is not None else None

    # --- what it should hold ------------------------------------------------------------------------------------------

    def _desired(self) -> Desired:
        rows = self._computation.engine.rows
        return Desired(rows(FLOWS), rows(GROUPS), rows(METERS))

    def _note(self, state: SwitchState) -> bool:
        """Tells the switch's state what has changed; False while the engine is under way, or knows too little."""
        if not self._known():
            return False
        take = self._computation.engine.take
        state.flows.note(delta.key for delta in take(FLOWS))
        state.groups.note(delta.key for delta in take(GROUPS))
        state.meters.note(delta.key for delta in take(METERS))
        return True

    def zones_in_use(self, zones: Mapping[str, int]) -> None:
        """Takes notice of zones whose connections are those of their owners already."""
        self._zones = zones

    async def write(self) -> bool:
        """Brings it up to what is known now; True when it has acknowledged that, and forgotten what has ended."""
        link = self.link
        if link is None:
            return False
        now = balanced(self._computation.engine)
        await self._flush_new_zones(link)
        return link.ready and await link.apply() and await self._connections.end(self._computation.engine, now, link)

    async def _flush_new_zones(self, link: SwitchLink) -> None:
        zones = dict(self._computation.engine.rows(ZONES))
        new = [number for name, number in zones.items() if self._zones.get(name) != number]
        self._zones = zones
        if new:
            await link.flush_zones(sorted(new))

    # --- reports ------------------------------------------------------------------------------------------------------

    def failures(self) -> list[Failure]:
        """What it has refused."""
        return self.link.failures() if self.link is not None else []

    async def reread(self) -> None:
        """Asks it once more what it holds, so that the next `write` mends what others changed there."""
        if self.link is not None:
            await self.link.reread()

    async def audit(self) -> list[str]:
        """Where it differs from what it should hold; nothing if it is away.

        Changes that come meanwhile are waited for, for `AUDIT_PATIENCE` seconds.
        """
        deadline = time.monotonic() + AUDIT_PATIENCE
        while self.link is not None and self.link.ready:
            differences = await self.link.audit()
            if differences != [UNDER_WAY] or time.monotonic() > deadline:
                return differences
            await asyncio.sleep(AUDIT_PATIENCE / 100)
        return []
