"""The OpenFlow connection of the controller: kept up, read back when it begins, and brought up to what is desired.

Whenever the connection comes up (first start, restart of the switch), the switch is asked for its flows, groups and
meters; the difference to what is desired follows in one atomic bundle. Nothing is sent before that, and nothing is
cleared.

Tests: tests/packets/controller/test_controller_link.py, tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from ovine.controller.flows import Body, FlowKey, as_flow
from ovine.controller.switch import SwitchState, body_of
from ovine.openflow import (
    OVN_GENEVE_TLV,
    CtFlushZone,
    EncodeError,
    FlowMod,
    FlowStatsRequest,
    GroupDescRequest,
    Message,
    MeterConfigRequest,
    PacketIn,
    ProtocolError,
    SetAsync,
    SetPacketInFormat,
    SwitchConfig,
    TlvTableMod,
    TlvTableRequest,
    encode,
)
from ovine.openflow.connection import Connection, RefusedError
from ovine.openflow.session import Received, Refused
from ovine.openflow.text import flow_text

FIRST_RETRY, LAST_RETRY = 0.05, 1.0
"""Seconds between attempts to connect."""


class SwitchLink:
    """One bridge, by its management socket. `changed` is called when the link comes up or goes down."""

    def __init__(
        self,
        target: str,
        log: logging.Logger,
        *,
        desired: Callable[[], Mapping[FlowKey, Body]],
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
        await connection.send(SetPacketInFormat(2), SwitchConfig(0, 0xFFFF), SetAsync())
        await self._map_geneve_option(connection)
        await self._read(connection)
        self._connection, self.last_error = connection, None
        self._log.info("%s: connected, %d flows", self.target, len(self.state.actual))
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

    # --- bringing the switch up to date -------------------------------------------------------------------------------

    async def apply(self) -> bool:
        """Makes the switch equal to what is desired; True when it has acknowledged, False if the link is down."""
        async with self._exclusive:
            return await self._apply()

    async def _apply(self) -> bool:
        while self.ready:
            connection = self._connection
            assert connection is not None
            mods = self.state.plan(self._desired())
            messages: list[Message] = [*mods.values(), *self.state.leftovers]
            if not messages:
                return True
            try:
                await self._transact(connection, messages, mods)
            except (OSError, ProtocolError) as error:
                # What the switch holds is no longer known for certain: it is read back when the connection is back.
                self._note_error(error)
                await connection.close()
                return False
        return False

    async def _transact(self, connection: Connection, messages: list[Message], mods: Mapping[FlowKey, FlowMod]) -> None:
        """Sends a bundle; what the switch refuses, or what cannot be said, is rejected by name for the next attempt."""
        try:
            await connection.transact(messages)
        except RefusedError as error:
            self._refused(error, mods)
        except EncodeError as error:
            self._unencodable(error, mods)
        else:
            self.sent += len(mods)
            self.state.done(mods)

    def _refused(self, error: RefusedError, mods: Mapping[FlowKey, FlowMod]) -> None:
        blamed = 0
        for refusal in error.refusals:
            if isinstance(refusal.message, FlowMod) and refusal.message.flow.key in mods:
                self._reject(refusal.message.flow.key, refusal.message, refusal.error.name)
                blamed += 1
        if not blamed:
            # A leftover group or meter: without it the rest must go on.
            self._log.warning("%s: %s", self.target, error)
            if not self.state.leftovers:
                raise ProtocolError(f"the switch refused a change without naming a flow: {error}")
            self.state.leftovers = []

    def _unencodable(self, error: EncodeError, mods: Mapping[FlowKey, FlowMod]) -> None:
        found = False
        for key, mod in mods.items():
            try:
                encode(mod)
            except EncodeError as fault:
                self._reject(key, mod, str(fault))
                found = True
        if not found:
            raise ProtocolError(f"a change cannot be sent: {error}") from error

    def _reject(self, key: FlowKey, mod: FlowMod, error: str) -> None:
        self.state.reject(key, mod, error)
        self._log.error("flow refused (%s): %s", error, mod.flow)

    async def audit(self) -> list[str]:
        """Reads the switch back and says, a line each, where it differs from what is desired (and not rejected)."""
        async with self._exclusive:
            if self._connection is None or not await self._apply():
                return ["the switch is not connected"]
            desired = dict(self._desired())
            described = await self._connection.multipart(FlowStatsRequest())
        there = {found.flow.key: body_of(found.flow) for found in described}
        wanted = {key: body for key, body in desired.items() if key not in self.state.rejected}
        lines = [
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

    async def flush_zones(self, zones: list[int]) -> None:
        """Forgets the connections of zones that are given to somebody new."""
        await self.send(*(CtFlushZone(zone) for zone in zones))
