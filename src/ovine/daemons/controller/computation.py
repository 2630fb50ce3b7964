"""The engine of the controller: fed and run in bounded turns, and computed from nothing beside itself when asked.

All input goes through `Computation.feed`, so that an engine which is being computed from nothing hears it, too. What
comes in great amounts waits in a `Backlog` and is fed in portions. *At rest* is the engine from the end of a `settle`
until the next `disturbed`: whoever has input says so before it is fed, and nothing is at rest as long as a backlog has
something.

Tests: tests/interop/controller/test_controller_daemon.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ovine.controller.config import Startup
from ovine.controller.rules import INPUTS, STICKY, new_engine
from ovine.engine import Delta, Engine, Relation
from ovine.ovsdb import Batch

TURN = 100
"""Rule runs between two looks at other events: some milliseconds. An answer to a packet takes several such looks."""
FEED = 100
"""Rows fed between two looks at other events: some milliseconds, too."""


class Backlog:
    """Changes that are not fed yet; `take` feeds a portion."""

    def __init__(self, take: Callable[[Batch], None]) -> None:
        self._take = take
        self._batches: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, batch: Batch) -> None:
        """Puts changes behind all others."""
        self._batches.append(batch)

    def clear(self) -> None:
        """Forgets what is not fed yet."""
        self._batches.clear()

    async def feed(self) -> None:
        """Feeds all of it, with looks at other events in between."""
        while self._batches:
            batch = self._batches.popleft()
            for start in range(0, len(batch), FEED):
                if start:
                    await asyncio.sleep(0)
                self._take(batch[start : start + FEED])


class Computation:
    """The engine, and whether it is at rest. `engine` is another one after a `recompute`: ask for it each time."""

    def __init__(self, startup: Startup, wake: asyncio.Event) -> None:
        """`wake` is set when there is something to compute."""
        self.engine: Engine = new_engine(startup)
        self.at_rest = False
        self._recomputes = 0
        self._cleared: dict[str, int] = {}
        self._startup = startup
        self._wake = wake
        self._shadow: Engine | None = None
        """An engine that is being computed from nothing, and is told all that the other one is told."""
        self._recomputing = asyncio.Lock()

    def feed(self, relation: Any, key: Any, value: Any) -> None:
        """Tells both engines a row; None takes it away."""
        self.engine.feed(relation, key, value)
        if self._shadow is not None:
            self._shadow.feed(relation, key, value)

    def disturbed(self) -> None:
        """There is, or will be, input."""
        self.at_rest = False
        self._wake.set()

    async def settle_first(self, relation: Relation[Any, Any]) -> list[Delta]:
        """Brings one relation to rest before all else; returns what has changed in it."""
        while not self.engine.settle(relation, TURN):  # noqa: ASYNC110 (a turn for the others, not a wait)
            await asyncio.sleep(0)
        return self.engine.take(relation)

    async def settle(self, backlog: Backlog) -> None:
        """Brings everything to rest, with what comes meanwhile."""
        while not self.engine.run(TURN) or backlog:
            await asyncio.sleep(0)
            await backlog.feed()
        self.at_rest = True

    def changed(self, relations: Iterable[Relation[Any, Any]]) -> bool:
        """Whether any of these watched relations has changed since this was last asked."""
        return bool(sum(len(self.engine.take(relation)) for relation in relations))

    async def compare(self) -> list[str]:
        """Where an engine computed from nothing differs from ours: nowhere."""
        return (await self._recomputed())[1]

    async def recompute(self) -> list[str]:
        """Replaces the engine by one computed from nothing; returns the differences, which should be none."""
        self.engine, differences = await self._recomputed()
        self._recomputes += 1
        self._cleared = {}
        return differences

    async def _recomputed(self) -> tuple[Engine, list[str]]:
        """An engine computed from nothing, and where it differs from ours. In bounded turns.

        What changes meanwhile is fed to both.
        """
        async with self._recomputing:
            fresh = self._shadow = new_engine(self._startup)
            try:
                await self._copy_inputs(fresh)
                while not (self.engine.run(TURN) and fresh.run(TURN)):  # noqa: ASYNC110 (a turn for the others)
                    await asyncio.sleep(0)
                return fresh, self.engine.differences(fresh)
            finally:
                self._shadow = None
                self._wake.set()

    async def _copy_inputs(self, fresh: Engine) -> None:
        for sticky in STICKY:
            fresh.seed(sticky, dict(self.engine.rows(sticky)))
        for relation in INPUTS:
            keys = list(self.engine.rows(relation))
            for start in range(0, len(keys), FEED):
                for key in keys[start : start + FEED]:
                    fresh.feed(relation, key, self.engine.rows(relation).get(key))
                await asyncio.sleep(0)

    # --- counters -----------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, dict[str, int]]:
        """Runs of each rule and query since the last `clear_statistics`, and full recomputes, by name."""
        runs = {name: {"compute": n - self._cleared.get(name, 0)} for name, n in self.engine.counts().items()}
        return {"engine": {"recompute": self._recomputes}} | runs

    def clear_statistics(self) -> None:
        """Counts from nothing."""
        self._cleared = dict(self.engine.counts())
        self._recomputes = 0
