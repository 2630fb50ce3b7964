"""The OpenFlow connection of the controller: kept up, read back when it begins, and brought up to what is desired.

Whenever the connection comes up (first start, restart of the switch), the switch is asked for its flows, groups and
meters; the difference to what is desired follows in one atomic bundle. Nothing is sent before that, and nothing is
cleared.

Tests: tests/packets/controller/test_controller_link.py, tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ovine.controller.flows import Body, as_flow
from ovine.controller.switch import Desired, Plan, SwitchState, bodies
from ovine.engine import Failure
from ovine.openflow import (
    OVN_GENEVE_TLV,
    CtFlush,
    CtFlushZone,
    EncodeError,
    FlowMod,
    FlowStatsRequest,
    GroupDescRequest,
    GroupEntry,
    GroupMod,
    Message,
    MeterConfigRequest,
    MeterEntry,
    MeterMod,
    PacketIn,
    ProtocolError,
    SetAsync,
    SetPacketInFormat,
    SwitchConfig,
    TlvTableMod,
    TlvTableRequest,
    encode,
)
from ovine.openflow.actions import REASON_NUMBERS
from ovine.openflow.connection import Connection, RefusedError
from ovine.openflow.session import Received, Refused
from ovine.openflow.text import flow_text

FIRST_RETRY, LAST_RETRY = 0.05, 1.0
"""Seconds between attempts to connect."""
_WANTED = frozenset(number for reason, number in REASON_NUMBERS.items() if reason != "invalid_ttl")
"""Reasons why packets come. Logical flows decide what becomes of a packet whose TTL ends; others are dropped."""


UNDER_WAY = "changes are under way"
"""What `SwitchLink.audit` says when it is not known yet what is desired: ask again."""


class SwitchLink:
    """One bridge, by its management socket. `changed` is called when the link comes up or goes down.

    `note` tells the state under which keys `desired` has changed; False means that this is still being worked out, and
    that what is desired would not fit together: flows are there before the groups that they name.
    """

    def __init__(
        self,
        target: str,
        log: logging.Logger,
        *,
        desired: Callable[[], Desired],
        note: Callable[[SwitchState], bool] = lambda state: True,
        packet_in: Callable[[PacketIn], None],
        changed: Callable[[], None],
    ) -> None:
        self.target = target
        self.state = SwitchState()
        self.sent = 0
        """Flow changes sent so far."""
        self.last_error: str | None = None
        self._log = log
        self._desired = desired
        self._note = note
        self._packet_in = packet_in
        self._changed = changed
        self._connection: Connection | None = None
        self._retry = asyncio.Event()
        self._exclusive = asyncio.Lock()
        """Held by who changes the switch, or reads all of it: what is read is then what changes are worked out from."""

    @property
    def ready(self) -> bool:
        """Whether the switch is connected and has been read back."""
        return self._connection is not None and not self._connection.closed

    def hurry(self) -> None:
        """Try again now: the bridge may have appeared."""
        self._retry.set()

    async def run(self) -> None:
        """Keeps the connection for ever; to be cancelled."""
        delay = FIRST_RETRY
        while True:
            try:
                async with await Connection.open(self.target) as connection:
                    delay = FIRST_RETRY
                    await self._serve(connection)
            except (OSError, ProtocolError, RefusedError) as error:
                self._note_error(error)
            finally:
                was, self._connection = self._connection, None
                if was is not None:
                    self._changed()
            await self._pause(delay)
            delay = min(2 * delay, LAST_RETRY)

    async def _pause(self, seconds: float) -> None:
        self._retry.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._retry.wait()
        except TimeoutError:
            return

    def _note_error(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self.last_error:
            self._log.info("%s: %s", self.target, text)
        self.last_error = text

    async def _serve(self, connection: Connection) -> None:
        await connection.send(SetPacketInFormat(2), SwitchConfig(0, 0xFFFF), SetAsync(packet_in=_WANTED))
        await self._map_geneve_option(connection)
        await self._read(connection)
        self._connection, self.last_error = connection, None
        self._log.info("%s: connected, %d flows", self.target, len(self.state.flows.actual))
        self._changed()
        async for event in connection:
            if isinstance(event, Received) and isinstance(event.message, PacketIn):
                self._packet_in(event.message)
            elif isinstance(event, Refused):
                self._log.warning("%s: %s", self.target, event)

    async def _read(self, connection: Connection) -> None:
        flows = [described.flow for described in await connection.multipart(FlowStatsRequest())]
        groups = await connection.multipart(GroupDescRequest())
        meters = await connection.multipart(MeterConfigRequest())
        self.state.load(flows, groups, meters, self._desired())

    async def reread(self) -> None:
        """Asks the switch once more what it holds, so that the next `apply` mends what others changed there."""
        async with self._exclusive:
            connection = self._connection
            if connection is None or connection.closed:
                return  # It is read when the connection is back.
            try:
                await self._read(connection)
            except (OSError, ProtocolError, RefusedError) as error:
                self._note_error(error)
                await connection.close()

    async def _map_geneve_option(self, connection: Connection) -> None:
        """Flows that name tun_metadata0 are refused before this."""
        table = await connection.request(TlvTableRequest())
        if OVN_GENEVE_TLV not in table.maps:
            await connection.send(TlvTableMod("add", (OVN_GENEVE_TLV,)))
            await connection.barrier()

    async def idle(self) -> None:
        """Returns when nobody is changing the switch or reading all of it."""
        async with self._exclusive:
            return

    # --- bringing the switch up to date -------------------------------------------------------------------------------

    async def apply(self) -> bool:
        """Makes the switch equal to what is desired, and returns True when it has acknowledged.

        False if the link is down, or if it is not known what is desired: whoever works that out calls again.
        """
        async with self._exclusive:
            return await self._apply()

    async def _apply(self) -> bool:
        while self.ready:
            connection = self._connection
            assert connection is not None
            if not self._note(self.state):
                return False
            plan = self.state.plan(self._desired())
            if not any(plan):
                return True
            try:
                if await self._transact(connection, plan):
                    self.state.plan(self._desired())  # What is done is no longer pending.
                    return True
            except (OSError, ProtocolError) as error:
                # What the switch holds is no longer known for certain: it is read back when the connection is back.
                self._note_error(error)
                await connection.close()
                return False
        return False

    async def _transact(self, connection: Connection, plan: Plan) -> bool:
        """Sends a bundle; what the switch refuses, or what cannot be said, is rejected by name for the next attempt.

        That is about the refused only if the rest is in the switch by then, which spares a question before each commit.
        """
        state = self.state
        steps = (
            (state.new_meters, connection.perform),
            (state.bundle, partial(connection.transact, whole=False)),
            (state.old_meters, connection.perform),
        )
        for messages, send in steps:
            if not await self._sent(plan, messages, send):
                return False
        self.sent += len(plan.flows)
        state.done(plan)
        return True

    async def _sent(
        self,
        plan: Plan,
        messages: Callable[[Plan], Iterable[Message]],
        send: Callable[[Iterable[Message]], Awaitable[None]],
    ) -> bool:
        try:
            await send(messages(plan))
        except RefusedError as error:
            if error.rest_done and messages == self.state.bundle:
                self.state.bundled(plan, [refusal.message for refusal in error.refusals])
            blamed = [self._reject(refusal.message, refusal.error.name) for refusal in error.refusals]
            if not any(blamed):
                raise ProtocolError(f"the switch refused a change without naming it: {error}") from error
        except EncodeError as error:
            blamed = [self._unencodable(message) for message in messages(plan)]
            if not any(blamed):
                raise ProtocolError(f"a change cannot be sent: {error}") from error
        else:
            return True
        return False

    def _unencodable(self, message: Message) -> bool:
        try:
            encode(message)
        except EncodeError as fault:
            return self._reject(message, str(fault))
        return False

    def _reject(self, message: Message | None, error: str) -> bool:
        """Keeps what a message says out of the switch; False if it is none of ours."""
        state = self.state
        if isinstance(message, GroupMod | MeterMod) and message.command == "delete":
            return False
        if isinstance(message, FlowMod):
            state.flows.reject(message.flow.key, Body(message.flow.actions, message.flow.cookie), error)
        elif isinstance(message, GroupMod):
            state.groups.reject(message.group.group_id, message.group, error)
        elif isinstance(message, MeterMod):
            state.meters.reject(message.meter.meter_id, message.meter, error)
        else:
            return False
        self._log.error("refused (%s): %s", error, message)
        return True

    def failures(self) -> list[Failure]:
        """What the switch has refused, and is kept out of it."""
        state = self.state
        found = [Failure("switch", flow_text(as_flow(k, body)), e) for k, (body, e) in state.flows.rejected.items()]
        found += [Failure("switch", f"group {n}: {group}", e) for n, (group, e) in state.groups.rejected.items()]
        return found + [Failure("switch", f"meter {n}: {meter}", e) for n, (meter, e) in state.meters.rejected.items()]

    async def audit(self) -> list[str]:
        """Reads the switch back and says, a line each, where it differs from what is desired (and not rejected)."""
        async with self._exclusive:
            if self._connection is None or not await self._apply():
                return [UNDER_WAY if self.ready else "the switch is not connected"]
            desired = self._desired()
            wanted = {key: body for key, body in desired.flows.items() if key not in self.state.flows.rejected}
            described = await self._connection.multipart(FlowStatsRequest())
            lines = _others(await self._connection.multipart(GroupDescRequest()), desired.groups, "group")
            lines += _others(await self._connection.multipart(MeterConfigRequest()), desired.meters, "meter")
        there = bodies(found.flow for found in described)
        lines += [
            f"missing in the switch: {flow_text(as_flow(key, wanted[key]))}" for key in wanted.keys() - there.keys()
        ]
        lines += [f"only in the switch: {flow_text(as_flow(key, there[key]))}" for key in there.keys() - wanted.keys()]
        lines += [
            f"differs in the switch: {flow_text(as_flow(key, there[key]))} instead of {flow_text(as_flow(key, body))}"
            for key, body in wanted.items()
            if there.get(key, body) != body
        ]
        return sorted(lines)

    async def send(self, *messages: Message) -> None:
        """Sends messages without waiting; they are lost if the link is down."""
        if self._connection is not None and not self._connection.closed:
            try:
                await self._connection.send(*messages)
            except (OSError, ProtocolError) as error:
                self._note_error(error)

    async def forget(self, connections: Sequence[CtFlush]) -> bool:
        """Has the switch forget connections; True when it has, False if the link is down."""
        connection = self._connection
        if connection is None or connection.closed:
            return False
        try:
            await connection.send(*connections)
            await connection.barrier()
        except (OSError, ProtocolError) as error:
            self._note_error(error)
            return False
        return True

    async def ask(self, request: Message) -> list[Any] | None:
        """The items of the answer to a multipart request; None if the link is down or the switch refuses."""
        connection = self._connection
        if connection is None or connection.closed:
            return None
        try:
            return await connection.multipart(request)
        except (OSError, ProtocolError, RefusedError) as error:
            self._note_error(error)
            return None

    async def flush_zones(self, zones: list[int]) -> None:
        """Forgets the connections of zones that are given to somebody new."""
        await self.send(*(CtFlushZone(zone) for zone in zones))


def _others(there: Sequence[GroupEntry] | Sequence[MeterEntry], wanted: Mapping[int, object], kind: str) -> list[str]:
    """Where the groups or meters that the switch holds differ from what is desired."""
    found = {entry.group_id if isinstance(entry, GroupEntry) else entry.meter_id: entry for entry in there}
    different = [number for number in {*found, *wanted} if found.get(number) != wanted.get(number)]
    return [f"{kind} {n} in the switch: {found.get(n)} instead of {wanted.get(n)}" for n in different]
