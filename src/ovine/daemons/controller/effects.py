"""What packets and the clock make the controller do: services answer, learn, ask the switch, and tell the rules facts.

Packets go to their services at once. Services that act by the clock are stepped when one of them is due, or when there
may be news for them: a packet's event, an answer of the switch, southbound rows, or what they are told to do, which
they are told when the switch has all flows for it (`installed`), not before.

Tests: tests/unit/controller/test_controller_packets.py, tests/unit/controller/services/test_timed.py,
tests/interop/test_packet_cases.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

from ovine.controller.packets import PacketServices
from ovine.controller.services import wants
from ovine.controller.services.registry import timed
from ovine.controller.services.timed import Inquiry
from ovine.daemons.controller.computation import Computation
from ovine.daemons.controller.settings import Settings
from ovine.daemons.controller.southbound import Southbound
from ovine.daemons.controller.switch import Switch
from ovine.daemons.controller.tasks import Tasks
from ovine.daemons.controller.wakes import Wakes
from ovine.daemons.controller.world import ServiceWorld
from ovine.engine import Failure
from ovine.openflow import Message, PacketIn


class Effects:
    """All services, and the carrying out of what they answer."""

    def __init__(
        self,
        southbound: Southbound,
        settings: Settings,
        switch: Switch,
        computation: Computation,
        tasks: Tasks,
        wakes: Wakes,
    ) -> None:
        self._southbound = southbound
        self._switch = switch
        self._computation = computation
        self._tasks = tasks
        self._wakes = wakes
        self._due = wakes.timed
        self._world = ServiceWorld(southbound, settings)
        self.services = PacketServices(self._world)
        self._timed = timed()
        self._wants: dict[Any, dict[Any, Any]] = {}
        """What timed services are told: what was wanted when the switch last had all flows for it."""

    def packet_in(self, packet: PacketIn) -> None:
        """Takes a packet that the switch sent up."""
        self._carry_out(self.services.handle(packet))
        for fact in self.services.facts:
            self._computation.feed(*fact)
            self._computation.disturbed()
        self.services.facts.clear()
        if self.services.events:
            self._due.event.set()

    def installed(self) -> None:
        """Takes notice that the switch has all flows: timed services may be told what is wanted."""
        engine = self._computation.engine
        for relation in wants():
            if engine.take(relation) or relation not in self._wants:
                self._wants[relation] = dict(engine.rows(relation))
                self._due.stale = True
        if self._due.stale:
            self._due.stale = False
            self._due.event.set()

    async def step(self) -> None:
        """Waits until a service is due or there may be news, and steps them."""
        deadline = self._timed.deadline() if self._can_send else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                await self._due.event.wait()
        self._due.event.clear()
        events, self.services.events = self.services.events, []
        if not self._can_send:
            return
        now = time.monotonic()
        for event in events:
            self._timed.hear(event, now)
        self._carry_out(self.services.carry_out(self._timed.step(self._wants, self._world, now)))

    @property
    def _can_send(self) -> bool:
        return self._southbound.client is not None and self._switch.ready

    def _carry_out(self, messages: Sequence[Message]) -> None:
        if messages:
            self._tasks.begin(self._switch.send(messages))
        if self.services.learned:
            self._wakes.southbound.event.set()
        inquiries, self.services.inquiries = self.services.inquiries, []
        for inquiry in inquiries:
            self._tasks.begin(self._inquire(inquiry))

    async def _inquire(self, inquiry: Inquiry) -> None:
        """Asks the switch, and has the timed services hear the answer."""
        items = await self._switch.ask(inquiry.request)
        if items is not None:
            self.services.events.append(inquiry.answer(inquiry.request, tuple(items)))
            self._due.event.set()

    def failures(self) -> list[Failure]:
        """Services that failed."""
        return self.services.failures() + self._timed.failures()
