"""Work beside the loops of the controller, all of which ends with it.

Tests: tests/interop/controller/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


class Tasks:
    """Work that was begun. One that fails is nobody's loss but its own."""

    def __init__(self) -> None:
        self._named: dict[str, asyncio.Future[None]] = {}
        self._short: set[asyncio.Future[None]] = set()

    def replace(self, name: str, work: Awaitable[None]) -> None:
        """Begins work that goes on until other work of its name takes its place."""
        old = self._named.pop(name, None)
        if old is not None:
            old.cancel()
        self._named[name] = asyncio.ensure_future(work)

    def begin(self, work: Awaitable[None]) -> None:
        """Begins work that ends by itself."""
        task = asyncio.ensure_future(work)
        self._short.add(task)
        task.add_done_callback(self._short.discard)

    def cancel(self) -> list[asyncio.Future[None]]:
        """Has all of it end; returns what to wait for."""
        tasks = [*self._named.values(), *self._short]
        for task in tasks:
            task.cancel()
        return tasks
