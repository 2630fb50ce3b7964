"""The loop of a compiler: changes in, an engine run to its end, differences out.

A `Derivation` owns an engine, the clients that feed it, and a `Writer` for each database that it writes to. It wakes
when a change arrives, computes in bounded turns (other events are served in between), and lets each writer send what
its projection plans: one transaction at a time, planned anew after each answer, so that a change that arrives meanwhile
rides on the next one. A transaction that fails loses nothing: the difference is still there, and is tried again.

Tests: tests/interop/test_plugin_daemon.py, and those of the daemons that use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import orjson

from ovine.daemons import collector, statistics
from ovine.daemons.unixctl import Commands
from ovine.engine import Engine, Failure
from ovine.model.base import Row
from ovine.ovsdb import Client, NotConnected, Transaction, TransactionError
from ovine.ovsdb.replica import Batch
from ovine.projection import Projection, Target

TURN = 500
"""Rule runs between two looks at other events: some milliseconds."""
RETRY = 1.0
"""Seconds before a refused transaction is tried again."""
AUDIT_PATIENCE = 5.0
"""Seconds in which a writer comes to an end if nothing else changes."""


class Planner(Protocol):
    """What a Writer needs of a projection."""

    put_back: deque[str]

    def note(self, batch: Batch) -> None: ...
    def plan(self) -> Transaction: ...
    def lost(self) -> None: ...
    def use(self, engine: Engine) -> None: ...


async def _at_rest() -> None:
    return


class Writer:
    """Sends to one database what its projection plans, while `allowed()`."""

    def __init__(
        self,
        client: Client,
        projection: Planner,
        log: logging.Logger,
        *,
        settle: Callable[[], Awaitable[None]] = _at_rest,
        allowed: Callable[[], bool] = lambda: True,
        extend: Callable[[Transaction], None] = lambda _: None,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """`settle` brings the engine to rest before each plan: half-made output, or output from before a change that
        the replica has already, must not be written. `extend` may add operations to each transaction; `written` is
        called when nothing is left to write.
        """
        self.client = client
        self.projection = projection
        self.error: str | None = None
        """Why the last transaction was refused; None when it was not."""
        self.at_rest = asyncio.Event()
        """Set while there is nothing to write."""
        self.at_rest.set()
        self._log = log
        self._settle = settle
        self._allowed = allowed
        self._extend = extend
        self._written = written
        self._wake = asyncio.Event()
        client.subscribe(projection.note)
        client.on_state(self._wake.set)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Writes for ever; to be cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.client.connected and self._allowed():
                self.at_rest.clear()
                try:
                    await self._catch_up()
                finally:
                    self.at_rest.set()

    async def _catch_up(self) -> None:
        try:
            while transaction := await self._planned():
                await self.client.transact(transaction)
                self.error = None
        except TransactionError as error:
            self.projection.lost()
            self._refused(error)
            await asyncio.sleep(RETRY)
            self._wake.set()
        except NotConnected:
            self.projection.lost()  # on_state wakes us when the connection is back
        else:
            self._written()

    async def _planned(self) -> Transaction:
        await self._settle()
        if not self._allowed():
            return Transaction()
        transaction = self.projection.plan()
        for line in self._news():
            self._log.warning("%s", line)
        self._extend(transaction)
        return transaction

    def _news(self) -> list[str]:
        put_back = list(self.projection.put_back)
        self.projection.put_back.clear()
        return put_back

    def _refused(self, error: TransactionError) -> None:
        if str(error) != self.error:
            self._log.error("%s refused a transaction: %s", self.client.name, error)
        self.error = str(error)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


class Derivation:
    """An engine, fed by clients, and the writers of what it derives; these write in the order in which they came."""

    def __init__(
        self, engine: Engine, log: logging.Logger, report: Callable[[Sequence[Failure]], None] | None = None
    ) -> None:
        """`report` is told of failures that have appeared; if it is not given, each of them is logged as an error."""
        self.engine = engine
        self._tell = report or self._log_failures
        self.log = log
        self.writers: list[Writer] = []
        self.paused = False
        self.computed: list[Callable[[], None]] = []
        """Called after each time the engine has come to rest."""
        self._wake = asyncio.Event()
        self._reported: frozenset[Failure] = frozenset()
        self._cleared: dict[str, int] = {}
        self._recomputes = 0

    def feed(self, client: Client, tables: Iterable[type[Row]]) -> None:
        """Lets these tables of a client's database be inputs, with what they hold now and all changes to come."""
        chosen = frozenset(tables)

        def take(batch: Batch) -> None:
            for change in batch:
                if change.table in chosen:
                    self.engine.feed(change.table, change.uuid, change.new)
            self._wake.set()

        for table in chosen:
            for uuid, row in client.replica.rows(table).items():
                self.engine.feed(table, uuid, row)
        client.subscribe(take)
        self._wake.set()

    def write(self, client: Client, targets: Sequence[Target[Any]], **options: Any) -> Writer:
        """Adds a writer of derived rows; `options` are Writer's."""
        return self.add(client, Projection(self.engine, client.replica, targets), **options)

    def add(self, client: Client, planner: Planner, **options: Any) -> Writer:
        """As `write`, for another kind of projection."""
        writer = Writer(client, planner, self.log, settle=self.settle, **options)
        self.writers.append(writer)
        client.subscribe(lambda _: self._wake.set())
        return writer

    async def settle(self) -> None:
        """Brings the engine to rest, in bounded turns; with nothing to do, returns without giving up the turn."""
        while not self.engine.run(TURN):  # noqa: ASYNC110 (a turn for the others, not a wait)
            await asyncio.sleep(0)

    def wake(self) -> None:
        self._wake.set()

    def statistics(self) -> dict[str, dict[str, int]]:
        """Runs of each rule and query since the last `clear_statistics`, and full recomputes, by name."""
        counted = {name: {"compute": runs - self._cleared.get(name, 0)} for name, runs in self.engine.counts().items()}
        return {"engine": {"recompute": self._recomputes}} | counted

    def clear_statistics(self) -> None:
        self._cleared = self.engine.counts()
        self._recomputes = 0

    def failures(self) -> list[Failure]:
        """What does not work: rules that raised, and writes that were refused."""
        refused = [Failure(w.client.name, "transaction", w.error) for w in self.writers if w.error]
        return self.engine.failures() + refused

    def recompute(self) -> list[str]:
        """Replaces the engine by one computed from nothing; returns the differences, which should be none."""
        self.engine.run()
        fresh = self.engine.recomputed()
        differences = self.engine.differences(fresh)
        self.replace(fresh)
        for line in differences[:20]:
            self.log.error("recompute differs: %s", line)
        return differences

    async def audit(self) -> list[str]:
        """What differs from a recompute, and which databases are written without end; nothing if all is well."""
        return self.engine.audit() + [
            f"{writer.client.name}: what is written does not come to an end"
            for writer in self.writers
            if not await _within(AUDIT_PATIENCE, writer.at_rest)
        ]

    def replace(self, engine: Engine) -> None:
        """Derives by this engine from now on, which must have the same input."""
        self.engine = engine
        self._recomputes += 1
        self._cleared = {}
        for writer in self.writers:
            writer.projection.use(engine)
            writer.wake()
        self._wake.set()
        collector.start_over()  # the old engine is one great cycle

    def register(self, commands: Commands) -> None:
        """Adds the control commands that every compiler answers: what fails, how much ran, and a recompute."""

        def failures(words: list[str]) -> str:
            rows = ({"rule": f.rule, "key": f.key, "error": f.error} for f in self.failures())
            return "".join(orjson.dumps(row).decode() + "\n" for row in rows)

        commands.register("ovine/failures", "", 0, 0, failures)

        def recompute(words: list[str]) -> str:
            self.recompute()
            return ""

        commands.register("inc-engine/recompute", "", 0, 0, recompute)

        async def audit(words: list[str]) -> str:
            return "".join(f"{line}\n" for line in await self.audit())

        commands.register("ovine/audit", "", 0, 0, audit)
        statistics.register(commands, self.statistics, self.clear_statistics)

    async def run(self) -> None:
        """Computes and writes for ever; to be cancelled. Raises what a writer raises."""
        tasks = [asyncio.create_task(writer.run()) for writer in self.writers]
        tasks += [asyncio.create_task(self._compute()), asyncio.create_task(collector.tend())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _compute(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.paused:
                continue
            await self.settle()
            self._report()
            for callback in self.computed:
                callback()
            for writer in self.writers:
                writer.wake()

    def _report(self) -> None:
        """Logs each failure once, when it appears."""
        now = frozenset(self.engine.failures())
        if news := sorted(now - self._reported, key=lambda f: (f.rule, f.key)):
            self._tell(news)
        self._reported = now

    def _log_failures(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            self.log.error("%s at %s: %s", failure.rule, failure.key, failure.error)
