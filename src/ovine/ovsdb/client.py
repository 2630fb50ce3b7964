"""The asyncio shell: sockets, clocks and futures around `Session`.

A client keeps one connection to one of its remotes and moves on to the next when that is lost; subscribers see an
unbroken sequence of batches, as if nothing had happened but time.

    client = Client(nb.DATABASE, "unix:/run/ovn/ovnnb_db.sock")
    client.subscribe(print)
    await client.start()
    await client.ready(timeout=10)
    txn = Transaction()
    switch = txn.insert(nb.LogicalSwitch(name="blue"))
    await client.transact(txn)
    assert client.replica.get(nb.LogicalSwitch, switch)
    await client.close()

Invariants: callbacks run in the event loop, in commit order, after the replica has changed; when `transact` returns,
its changes have been applied and told.

Tests: tests/interop/test_ovsdb_server.py, tests/faults/test_ovsdb_faults.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from ovine.model.base import Database, Row
from ovine.ovsdb.conditions import Where, encode_where
from ovine.ovsdb.errors import NotConnected, RemoteError, TransactionError
from ovine.ovsdb.plan import Monitor, monitors_of
from ovine.ovsdb.remotes import Backoff, Remote, Tls, parse_remotes
from ovine.ovsdb.replica import Batch, Replica
from ovine.ovsdb.session import (
    ConditionsApplied,
    Event,
    LockChanged,
    Lost,
    Paused,
    Replied,
    Session,
    Standing,
    Synced,
    Updated,
)
from ovine.ovsdb.transaction import Outcome, Transaction, outcome, refuses_uuids

_log = logging.getLogger("ovine.ovsdb")

CONNECT_TIMEOUT = 10.0
STABLE = 1.0
"""A connection that was in use for so many seconds makes the next attempt immediate."""
_GRACE = 1.0
_MUCH = 1 << 16
"""After a read of so many bytes others in the event loop have their turn before the next one."""


class Client:
    """A replica of one database, kept up to date, and a way to change the database. See the module for an example."""

    def __init__(
        self,
        database: Database,
        remotes: str,
        *,
        monitors: Iterable[Monitor | type[Row]] | None = None,
        leader_only: bool = False,
        probe_interval: float = 5.0,
        tls: Tls | None = None,
        name: str = "",
        named_uuids: bool = False,
    ) -> None:
        """`probe_interval` is in seconds, 0 for none. `named_uuids` spares the one failed attempt with old servers.

        Raises RemoteError for a remote or TLS files that cannot be used, ValueError for a foreign table or condition.
        """
        self.database = database
        self.name = name or database.name
        self._remotes = parse_remotes(remotes)
        _tls_context(self._remotes, tls)
        self._tls = tls
        self._server_name = tls.server_name if tls is not None else None
        self._probe_interval = probe_interval
        self._standing = Standing.of(database, monitors_of(database, monitors), leader_only=leader_only)
        self._standing.named_uuids = named_uuids
        self.replica: Replica = self._standing.replica
        self.generation = 0
        """How often a monitor has come up."""
        self.resumed = False
        """Whether the last time it did, only the gap had to be sent."""
        self.last_error: str | None = None
        self.remote = ""
        """The remote in use, or tried last."""
        self._link: _Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._subscribers: list[Callable[[Batch], None]] = []
        self._watchers: list[Callable[[], None]] = []
        self._closed = False
        self._waiting: set[asyncio.Future[None]] = set()

    # --- life ---

    async def start(self) -> None:
        """Begins to connect, and goes on trying until `close`. See `ready`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"ovsdb {self.name}")

    async def ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Waits until `connected`. Raises NotConnected after `timeout` seconds, with the last reason."""
        try:
            await asyncio.wait_for(self._until(lambda: self.connected), timeout)
        except TimeoutError:
            reason = self.last_error or "no answer yet"
            raise NotConnected(f"{self.name}: not connected to {self.remote} after {timeout:g} s: {reason}") from None

    async def close(self) -> None:
        """Closes the connection for good; transactions under way end in NotConnected."""
        task, self._task = self._task, None
        self._closed = True
        self._changed()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def connected(self) -> bool:
        """Whether the monitor is up and its initial data has been applied."""
        return self._link is not None and self._link.session.synced

    @property
    def reconnects(self) -> int:
        """How often a monitor came up after the first time."""
        return max(0, self.generation - 1)

    def probe_every(self, seconds: float) -> None:
        """Changes the probe interval, of the present connection too; 0 for no probes."""
        if seconds != self._probe_interval:
            self._probe_interval = seconds
            if self._link is not None:
                self._link.session.probe_every(seconds)
                self._link.set_timer()

    # --- reading ---

    def subscribe(self, callback: Callable[[Batch], None]) -> None:
        """Calls `callback` with each batch from now on. One that raises is reported to the loop, the others go on."""
        self._subscribers.append(callback)

    def on_state(self, callback: Callable[[], None]) -> None:
        """Calls `callback` when `connected` or `lock_held` may have changed."""
        self._watchers.append(callback)

    def set_condition(self, table: type[Row], where: Where) -> None:
        """Replicates from now on the rows of `table` for which any condition holds; none for every row.

        The batch with what comes and goes is delivered before `condition_applied` returns. A server before Open
        vSwitch 2.6 sends every row whatever the conditions. Raises ValueError for an unmonitored table.
        """
        if table.spec.name not in self._standing.monitors:
            raise ValueError(f"table {table.spec.name} is not monitored")
        self._standing.where[table.spec.name] = encode_where(table, where)
        # Conditions set in one turn of the loop go out in one request, and what they bring comes in one batch.
        if self._link is not None:
            asyncio.get_running_loop().call_soon(self._tell_conditions)

    def _tell_conditions(self) -> None:
        if self._link is not None:
            self._link.session.conditions_changed()
            self._link.flush()

    async def condition_applied(self) -> None:
        """Waits until the replica holds what the conditions set so far select."""
        await self._until(lambda: self._standing.applied == self._standing.where)

    # --- writing ---

    async def transact(self, txn: Transaction, timeout: float | None = None) -> Outcome:  # noqa: ASYNC109
        """Commits a transaction; its changes have been applied to the replica when this returns.

        Raises TransactionError if the server refuses it (also "timed out" and "canceled" when `timeout` seconds are
        over before it could be done), NotConnected if there is no connection, or if that breaks before the answer.
        """
        try:
            return await self._transact(txn, timeout)
        except TransactionError as error:
            if self._standing.named_uuids or not refuses_uuids(error):
                raise
        self._standing.named_uuids = True
        return await self._transact(txn, timeout)

    async def _transact(self, txn: Transaction, limit: float | None) -> Outcome:
        link = self._link
        if link is None or not link.session.synced:
            raise NotConnected(f"{self.name}: not connected to {self.remote}: {self.last_error or 'no answer yet'}")
        self._tell_conditions()
        id, operations = link.session.transact(txn.operations)
        reply = link.expect(id)
        link.flush()
        try:
            result, error = await self._answer(link, id, reply, limit)
        finally:
            link.forget(id)
        if error is not None:
            kind = error.get("error", error) if isinstance(error, dict) else error
            raise TransactionError(str(kind), str(error.get("details", "")) if isinstance(error, dict) else "")
        given = outcome(operations, result)
        return Outcome(given.results, _renamed(txn, given.results)) if self._standing.named_uuids else given

    async def _answer(self, link: _Link, id: int, reply: asyncio.Future[Any], limit: float | None) -> Any:
        try:
            done, _ = await asyncio.wait([reply], timeout=limit)
        except asyncio.CancelledError:
            # The caller is gone; a transaction that still waits must not happen behind its back.
            link.session.cancel(id)
            link.flush()
            raise
        if not done:
            link.session.cancel(id)
            link.flush()
            done, _ = await asyncio.wait([reply], timeout=_GRACE)
        if not done:
            raise NotConnected(f"{self.name}: no answer within {limit:g} s; the outcome is unknown")
        return reply.result()

    async def barrier(self) -> None:
        """Returns when every update that the server had sent out before this call's request has been applied."""
        await self.transact(Transaction())

    # --- locks ---

    @property
    def lock_name(self) -> str | None:
        return self._standing.lock

    @property
    def lock_held(self) -> bool:
        return self._link is not None and self._link.session.lock_held

    def lock(self, name: str, *, steal: bool = False) -> None:
        """Asks for a lock now and after each reconnect; `on_state` tells when `lock_held` changes."""
        if self._standing.lock == name and not steal:
            return
        self.unlock()
        self._standing.lock, self._standing.steal = name, steal
        if self._link is not None:
            self._link.session.lock()
            self._link.flush()

    def unlock(self) -> None:
        """Gives the lock back, or no longer waits for it."""
        name, self._standing.lock = self._standing.lock, None
        if name is not None and self._link is not None:
            self._link.dispatch(self._link.session.unlock(name))

    # --- the connection ---

    async def _run(self) -> None:
        backoff, attempt = Backoff(len(self._remotes)), 0
        loop = asyncio.get_running_loop()
        while True:
            remote = self._remotes[attempt % len(self._remotes)]
            attempt += 1
            self.remote = remote.text
            try:
                # Not wait_for: it may lose a cancellation that comes just as the attempt fails.
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    link = await self._connect(remote)
            except TimeoutError:
                self._note(f"no connection within {CONNECT_TIMEOUT:g} s")
            except RemoteError as error:
                self._note(str(error))
            except OSError as error:
                self._note(f"cannot connect: {error.strerror or error}")
            else:
                try:
                    reason = await link.ended
                finally:
                    link.close("closed by the client")
                    self._link = None
                    self._changed()
                if link.synced_at is not None and loop.time() - link.synced_at >= STABLE:
                    backoff.succeeded()
                    self._note(reason)
                    continue
                self._note(reason)
            await asyncio.sleep(backoff.failed())

    async def _connect(self, remote: Remote) -> _Link:
        loop = asyncio.get_running_loop()

        def make() -> _Link:
            return _Link(Session(self._standing, probe_interval=self._probe_interval), self._event)

        if remote.path is not None:
            _, link = await loop.create_unix_connection(make, remote.path)
        else:
            # Made anew each time: keys are renewed while we run.
            context = _tls_context((remote,), self._tls) if remote.tls else None
            name = self._server_name if context is not None else None
            _, link = await loop.create_connection(make, remote.host, remote.port, ssl=context, server_hostname=name)
        self._link = link
        return link

    def _note(self, reason: str) -> None:
        self.last_error = reason
        _log.info("%s: %s: %s", self.name, self.remote, reason)

    def _event(self, event: Event) -> None:
        match event:
            case Synced(batch, resumed):
                self.generation += 1
                self.resumed, self.last_error = resumed, None
                how = "resumed" if resumed else "read anew"
                _log.info("%s: %s: connected, %s, %d rows differ", self.name, self.remote, how, len(batch))
                self._tell(batch)
                self._changed()
            case Updated(batch):
                self._tell(batch)
            case LockChanged():
                self._changed()
            case ConditionsApplied():
                self._look_again()

    def _tell(self, batch: Batch) -> None:
        if batch:
            for callback in self._subscribers:
                _shielded(callback, batch)

    def _changed(self) -> None:
        for callback in self._watchers:
            _shielded(callback)
        self._look_again()

    def _look_again(self) -> None:
        """Wakes those who wait in `_until`."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._closed:
                raise NotConnected(f"{self.name}: the client was closed")
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            await future


class _Link(asyncio.Protocol):
    """One socket with its session: moves bytes, fires the probe timer, resolves replies."""

    def __init__(self, session: Session, deliver: Callable[[Event], None]) -> None:
        self.session = session
        self.synced_at: float | None = None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._deliver = deliver
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received: deque[Iterator[Event]] = deque()
        """What was received and is not worked off; while there is some, nothing more is read."""

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self.session.start(self._loop.time())
        self.flush()
        self.set_timer()

    def data_received(self, data: bytes) -> None:
        self._received.append(self.session.receive(data, self._loop.time()))
        if len(self._received) == 1:
            self._work()
            if not self._received and len(data) >= _MUCH:
                self._give_way()

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(f"the connection broke: {exc}" if exc else "the server closed the connection")

    # --- ours ---

    def expect(self, id: int) -> asyncio.Future[Any]:
        future = self._replies[id] = self._loop.create_future()
        return future

    def forget(self, id: int) -> None:
        self._replies.pop(id, None)

    def flush(self) -> None:
        output = self.session.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    def close(self, reason: str) -> None:
        self.dispatch(self.session.end(reason))

    def dispatch(self, events: Iterator[Event]) -> None:
        for event in events:
            self._handle(event)
        self.flush()

    def _handle(self, event: Event) -> None:
        match event:
            case Replied(id, result, error):
                future = self._replies.get(id)
                if future is not None and not future.done():
                    future.set_result((result, error))
            case Lost(reason):
                self._end(reason)
            case _:
                if isinstance(event, Synced):
                    self.synced_at = self._loop.time()
                self._deliver(event)

    def _work(self) -> None:
        """Works off what was received, up to a pause."""
        while self._received:
            for event in self._received[0]:
                if isinstance(event, Paused):
                    self.flush()
                    self._give_way()
                    return
                self._handle(event)
            if self._received:  # the session may have ended
                self._received.popleft()
        self.flush()

    def _give_way(self) -> None:
        """Goes on after the others in the event loop had their turn."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._work()
        if not self._received and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _end(self, reason: str) -> None:
        self._received.clear()
        if self._timer is not None:
            self._timer.cancel()
        for future in self._replies.values():
            if not future.done():
                future.set_exception(NotConnected(f"{reason}; whether the transaction was done is unknown"))
        if self._transport is not None:
            self._transport.abort()
        if not self.ended.done():
            self.ended.set_result(reason)

    def set_timer(self) -> None:
        """To be called when the session's `next_tick` has changed."""
        if self._timer is not None:
            self._timer.cancel()
        due = self.session.next_tick()
        if due is not None:
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self.dispatch(self.session.tick(self._loop.time()))
        self.set_timer()


def _tls_context(remotes: Iterable[Remote], tls: Tls | None) -> ssl.SSLContext | None:
    if tls is not None:
        return tls.context()
    if any(remote.tls for remote in remotes):
        raise RemoteError("an ssl: remote needs a private key, a certificate and a CA certificate")
    return None


def _renamed(txn: Transaction, results: tuple[Any, ...]) -> dict[Any, Any]:
    pairs = zip(txn.operations, results, strict=False)
    return {op["uuid"]: result["uuid"][1] for op, result in pairs if "uuid" in op}


def _shielded(callback: Callable[..., None], *args: Any) -> None:
    """A subscriber's bug is its own: it is reported, and neither the connection nor the others suffer."""
    try:
        callback(*args)
    except Exception as error:
        context = {"message": f"a subscriber of the replica failed: {callback!r}", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
