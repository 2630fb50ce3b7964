"""The plugin's clock for agents: asks all hosts for a sign of life, by raising NB_Global.nb_cfg now and then.

What was asked when is kept in the Cloud database (`AgentCheck`), so that whichever plugin works goes on where another
stopped. The numbers only rise, even if the northbound was made anew: an old answer never looks like one to a new
question. What follows from the answers is `ovine.plugin.agents`. Tests: tests/interop/test_plugin_agents_daemon.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from ovine.model import cloud, nb
from ovine.model.base import Map
from ovine.ovsdb import Client, NotConnected, Transaction, TransactionError

PER_DOWN_TIME = 3
"""Rounds in the time after which a silent agent counts as down: one may be lost, and the next is still in time."""
KEPT = 5
"""Rounds that are remembered."""
RETRY = 1.0
"""Seconds before a round that was refused is tried again."""


class Rounds:
    """Asks while `allowed()`, through clients of the Cloud (`above`) and the northbound database (`below`)."""

    def __init__(
        self,
        above: Client,
        below: Client,
        down_time: int,
        log: logging.Logger,
        allowed: Callable[[], bool],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`down_time` is in seconds."""
        self._above, self._below, self._log, self._allowed, self._now = above, below, log, allowed, now
        self._interval = down_time / PER_DOWN_TIME
        self._changed = asyncio.Event()
        for client in (above, below):
            client.on_state(self._changed.set)

    async def run(self) -> None:
        """Asks for ever; to be cancelled."""
        while True:
            wait = await self._turn()
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _turn(self) -> float:
        """Asks if it is time; seconds until it is again."""
        if not (self._allowed() and self._above.connected and self._below.connected):
            return self._interval
        left = self._left()
        if left > 0:
            return left
        try:
            await self._ask()
        except (TransactionError, NotConnected) as error:
            self._log.debug("a round was refused: %s", error)
            return RETRY
        return self._interval

    def _left(self) -> float:
        """Seconds until the next round; a clock that was set back makes it no longer than an interval."""
        asked = self._check().asked
        if not asked:
            return 0.0
        last = datetime.fromisoformat(max(asked.items())[1])
        return min(self._interval - (self._now() - last).total_seconds(), self._interval)

    def _check(self) -> cloud.AgentCheck:
        return next(iter(self._above.replica.rows(cloud.AgentCheck).values()), cloud.AgentCheck())

    async def _ask(self) -> None:
        below = next(iter(self._below.replica.rows(nb.NBGlobal).values()), None)
        if below is None:
            return  # northd makes it
        check = self._check()
        number = max(below.nb_cfg, *check.asked, 0) + 1
        question = Transaction()
        question.wait_row(below, "nb_cfg")
        question.update(nb.NBGlobal, below.uuid, nb_cfg=number)
        await self._below.transact(question)
        kept = sorted(check.asked.items())[1 - KEPT :]
        asked = Map([*kept, (number, self._now().strftime("%Y-%m-%dT%H:%M:%SZ"))])
        note = Transaction()
        if check.uuid in self._above.replica.rows(cloud.AgentCheck):
            note.update(cloud.AgentCheck, check.uuid, asked=asked)
        else:
            note.insert(cloud.AgentCheck(asked=asked))
        await self._above.transact(note)
