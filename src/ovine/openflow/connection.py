"""The asyncio shell around `Session`: one connection to a switch, over a unix socket or TCP.

One task reads.  It resolves the futures of requests, and queues what the switch says by itself (packet-ins, port
status, flow removals, refusals of messages that nobody awaits) for `async for event in connection`.

Back-pressure.  `send` waits while the socket's buffer is full.  The read task never waits for the consumer of events,
since that one may itself be waiting for a reply; instead packet-ins beyond `packet_in_limit` are dropped and counted
in `dropped_packet_ins`.  Nothing else is ever dropped.

Tests: tests/packets/openflow/test_openflow_switch.py, tests/unit/openflow/test_openflow_connection.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from itertools import chain, islice
from typing import Any

from ovine.openflow.errors import ProtocolError
from ovine.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    BundleControl,
    EchoReply,
    EchoRequest,
    Message,
    MultipartReply,
    bundle,
    commit,
)
from ovine.openflow.packet import PacketIn
from ovine.openflow.session import Event, Ready, Received, Refused, Session

_CHUNK = 1 << 18
# Messages encoded between two waits for the socket: enough to fill it, little enough to let others run.
_BATCH = 256


class RefusedError(Exception):
    """The switch refused what was asked.  `refusals` has one entry for each error message.

    `rest_done` says that everything else has taken effect.
    """

    def __init__(self, refusals: list[Refused], *, rest_done: bool = False) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refusals[:3]))
        self.refusals = refusals
        self.rest_done = rest_done


def _split_target(target: str) -> tuple[str, str, int]:
    kind, _, rest = target.partition(":")
    if kind == "unix" and rest:
        return "unix", rest, 0
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdigit():
        return "tcp", host.strip("[]"), int(port)
    raise ValueError(f"{target!r} is no OpenFlow target; use unix:PATH or tcp:HOST:PORT")


class Connection:
    """An open connection.  Make one with `await Connection.open(target)`; it is also an async context manager."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        packet_in_limit: int = 4096,
        probe_interval: float | None = None,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._session = Session()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._parts: dict[int, list[Any]] = {}
        self._collecting: dict[int, list[Refused]] = {}
        self._abandoned: deque[int] = deque(maxlen=64)
        self._events: deque[Event] = deque()
        self._packet_ins = 0
        self._wake = asyncio.Event()
        self._failure: Exception | None = None
        self._closing = False
        self._next_bundle = 1
        self._packet_in_limit, self._probe_interval = packet_in_limit, probe_interval
        self.dropped_packet_ins = 0
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, target: str, *, within: float = 10.0, **options: Any) -> Connection:
        """Connect to `unix:PATH` or `tcp:HOST:PORT` and agree on OpenFlow 1.5, in `within` seconds.

        Options: `packet_in_limit` (queued packet-ins), `probe_interval` (seconds of silence before an echo request;
        after as many more without an answer the connection is lost).  Raises OSError (TimeoutError among them),
        ProtocolError, or ValueError for a bad target.
        """
        kind, address, port = _split_target(target)
        async with asyncio.timeout(within):
            if kind == "unix":
                reader, writer = await asyncio.open_unix_connection(address)
            else:
                reader, writer = await asyncio.open_connection(address, port)
            made = cls(reader, writer, **options)
            try:
                writer.write(made._session.greet())
                await made._ready
            except BaseException:
                await made.close()
                raise
        return made

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def closed(self) -> bool:
        """No more messages can be sent or will come."""
        return self._failure is not None or self._closing

    async def close(self) -> None:
        """Close; what awaits a reply gets ConnectionResetError.  Closing twice does nothing."""
        self._closing = True
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._fail(ConnectionResetError("the OpenFlow connection was closed"))
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    # --- sending --------------------------------------------------------------------------------------------------

    def _write(self, messages: Iterable[Message]) -> list[int]:
        if self._failure is not None:
            raise self._failure
        numbered = [self._session.send(message) for message in messages]
        self._writer.write(b"".join([data for _xid, data in numbered]))
        return [xid for xid, _data in numbered]

    async def send(self, *messages: Message) -> list[int]:
        """Send in order; the transaction numbers.  Waits while the socket is full.

        A refusal comes as a `Refused` event with the message in it.
        """
        xids: list[int] = []
        for start in range(0, len(messages), _BATCH):
            xids += self._write(messages[start : start + _BATCH])
            await self._writer.drain()
        return xids

    def _expect(self, message: Message) -> tuple[int, asyncio.Future[Any]]:
        xid = self._write([message])[0]
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[xid] = future
        return xid, future

    async def request(self, message: Message) -> Any:
        """Send one message and wait for the answer with its number.  RefusedError if the switch refuses."""
        xid, future = self._expect(message)
        try:
            await self._writer.drain()
            return await future
        finally:
            self._waiting.pop(xid, None)
            self._parts.pop(xid, None)

    async def barrier(self) -> None:
        """Return when the switch has done all that was sent before; refusals of it are queued by then."""
        reply = await self.request(BarrierRequest())
        if not isinstance(reply, BarrierReply):
            raise ProtocolError(f"the switch answered a barrier with {type(reply).__name__}")

    async def multipart(self, message: Message) -> list[Any]:
        """Send a multipart request; all items of all parts of the reply.  RefusedError if the switch refuses."""
        reply = await self.request(message)
        if not isinstance(reply, list):
            raise ProtocolError(f"the switch answered {type(message).__name__} with {type(reply).__name__}")
        return reply

    async def transact(self, messages: Iterable[Message], *, whole: bool = True) -> None:
        """Send flow-mods, group-mods and packet-outs as one atomic, ordered bundle and wait for its commit.

        RefusedError if the switch refuses any of them, with each refusal; then none takes effect.  Unless that is asked
        for (`whole`), those take effect that were not refused when they entered the bundle, if the commit succeeds
        (`rest_done`): so nothing but the commit has to be waited for.  Nothing is sent for no messages.  They are taken
        and encoded some at a time, with turns for other tasks in between.
        """
        given = iter(messages)
        first = next(given, None)
        if first is None:
            return
        bundle_id, self._next_bundle = self._next_bundle, self._next_bundle % 0xFFFFFFFE + 1
        steps = bundle(chain([first], given), bundle_id)
        refusals: list[Refused] = []
        xids: list[int] = []
        try:
            while batch := list(islice(steps, _BATCH)):
                sent = self._write(batch)
                self._collecting.update(dict.fromkeys(sent, refusals))
                xids += sent
                if len(batch) == _BATCH:
                    await self._writer.drain()
                    await asyncio.sleep(0)  # a turn for the others: encoding takes longer than sending
            # Open vSwitch refuses a malformed message when it is added, and would still commit the others.
            if whole:
                await self.barrier()
            done = not (whole and refusals) and await self._commit(commit(bundle_id), refusals)
        except BaseException:
            self._discard(bundle_id)
            raise
        finally:
            for xid in xids:
                self._collecting.pop(xid, None)
        if not done:
            self._discard(bundle_id)
        if refusals:
            raise RefusedError(refusals, rest_done=done)

    async def perform(self, messages: Iterable[Message]) -> None:
        """Send messages that a bundle cannot hold, such as meter-mods, and wait until the switch has done them.

        RefusedError if it refuses any of them, with each refusal; the others have taken effect.  Nothing is sent, nor
        waited for, for no messages.
        """
        refusals: list[Refused] = []
        xids = self._write(messages)
        if not xids:
            return
        self._collecting.update(dict.fromkeys(xids, refusals))
        try:
            await self.barrier()
        finally:
            for xid in xids:
                self._collecting.pop(xid, None)
        if refusals:
            raise RefusedError(refusals, rest_done=True)

    async def _commit(self, commit: Message, refusals: list[Refused]) -> bool:
        """Whether the bundle has taken effect."""
        try:
            await self.request(commit)
        except RefusedError as error:
            refusals += error.refusals
            return False
        return True

    def _discard(self, bundle_id: int) -> None:
        """Free the bundle in the switch.  A failed commit has freed it already, and this is refused, quietly."""
        if self._failure is None:
            xid = self._write([BundleControl(bundle_id, "discard")])[0]
            self._abandoned.append(xid)

    # --- receiving ------------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[Event]:
        """What the switch says by itself, until the connection ends: quietly after `close`, else with its failure."""
        while True:
            while self._events:
                event = self._events.popleft()
                self._packet_ins -= _is_packet_in(event)
                yield event
            if self._closing:
                return
            if self._failure is not None:
                raise self._failure
            self._wake.clear()
            await self._wake.wait()

    async def _read(self) -> None:
        try:
            while data := await self._read_some():
                events, answer = self._session.receive(data)
                if answer:
                    self._writer.write(answer)
                for event in events:
                    self._dispatch(event)
            self._fail(ConnectionResetError("the switch closed the OpenFlow connection"))
        except (OSError, ProtocolError) as error:
            self._fail(error)
        except Exception as error:
            # Nobody awaits this task: whatever goes wrong must reach those who await replies and events.
            self._fail(error)
            raise

    async def _read_some(self) -> bytes:
        if self._probe_interval is None:
            return await self._reader.read(_CHUNK)
        for probing in (False, True):
            try:
                async with asyncio.timeout(self._probe_interval):
                    return await self._reader.read(_CHUNK)
            except TimeoutError:
                if not probing:
                    self._write([EchoRequest()])
        raise TimeoutError(f"the switch has been silent for {2 * self._probe_interval:g} s")

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, Ready):
            if not self._ready.done():
                self._ready.set_result(None)
            return
        future = self._waiting.get(event.xid)
        if isinstance(event, Refused):
            self._refuse(event, future)
        elif isinstance(event.message, MultipartReply) and future is not None:
            self._collect(event.xid, event.message, future)
        elif future is not None and not future.done():
            future.set_result(event.message)
        elif not isinstance(event.message, EchoReply) and not self._is_step(event):
            self._queue(event)

    def _is_step(self, event: Received) -> bool:
        """The answers to a bundle's opening and discarding say nothing that its commit does not."""
        return isinstance(event.message, BundleControl)

    def _refuse(self, event: Refused, future: asyncio.Future[Any] | None) -> None:
        if future is not None and not future.done():
            future.set_exception(RefusedError([event]))
        elif event.xid in self._collecting:
            self._collecting[event.xid].append(event)
        elif event.xid not in self._abandoned:
            self._queue(event)

    def _collect(self, xid: int, part: MultipartReply, future: asyncio.Future[Any]) -> None:
        items = self._parts.setdefault(xid, [])
        items += part.items
        if not part.more and not future.done():
            future.set_result(items)

    def _queue(self, event: Event) -> None:
        if _is_packet_in(event):
            if self._packet_ins >= self._packet_in_limit:
                self.dropped_packet_ins += 1
                return
            self._packet_ins += 1
        self._events.append(event)
        self._wake.set()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        for future in (self._ready, *self._waiting.values()):
            if not future.done():
                future.set_exception(self._failure)
                future.exception()  # mark it as seen: a request given up leaves a future that nobody awaits
        self._wake.set()


def _is_packet_in(event: Event) -> bool:
    return isinstance(event, Received) and isinstance(event.message, PacketIn)
