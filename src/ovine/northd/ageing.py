"""Which learned addresses are to be deleted, and when to look again: `Ageing`, which is told the time.

`ovine.northd.expiry` derives the hour of each row; here those of one table stand in order of time, so that a look costs
what has changed and what is due, however many there are.
Tests: tests/unit/northd/test_northd_ageing.py.
"""

from __future__ import annotations

import heapq

from ovine.engine import Engine, Relation
from ovine.model.base import Uuid

PAUSE = 5000
"""Milliseconds until more are deleted, where a limit (options:mac_binding_removal_limit) says how many may be at once.
"""


class Ageing:
    """The rows of an engine that watches `expiries`, by the time (milliseconds) at which they are to go."""

    def __init__(self, expiries: Relation[Uuid, int]) -> None:
        self._relation = expiries
        self._engine: Engine | None = None
        self._order: list[tuple[int, Uuid]] = []
        self._resume = 0

    def due(self, engine: Engine, limit: int, now: int) -> list[Uuid]:
        """What is to be deleted at `now` (milliseconds since the epoch), the oldest first, at most `limit` (0: all).

        What has been returned and is still there some seconds later is returned again.
        """
        self._follow(engine)
        if now < self._resume:
            return []
        expiries = engine.rows(self._relation)
        gone: dict[Uuid, None] = {}
        while self._order and self._order[0][0] <= now and (not limit or len(gone) < limit):
            _, key = heapq.heappop(self._order)
            if expiries.get(key, now + 1) <= now:  # else it is gone, or was learned again and stands further back
                gone[key] = None
        for key in gone:  # in case the deletion comes to nothing
            heapq.heappush(self._order, (now + PAUSE, key))
        if limit and len(gone) == limit:
            self._resume = now + PAUSE
        return list(gone)

    def next_look(self, now: int) -> int | None:
        """Milliseconds until there may be something to do; None while there is nothing."""
        return max(self._order[0][0], self._resume, now + 1) - now if self._order else None

    def _follow(self, engine: Engine) -> None:
        """Takes in what has changed; everything, if the engine is another."""
        changed = engine.take(self._relation)
        keys = [delta.key for delta in changed] if engine is self._engine else list(engine.rows(self._relation))
        if engine is not self._engine:
            self._engine, self._order = engine, []
        expiries = engine.rows(self._relation)
        for key in keys:
            if key in expiries:
                heapq.heappush(self._order, (expiries[key], key))
