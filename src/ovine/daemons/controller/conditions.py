"""The conditions of a controller's southbound monitor: they follow INTEREST, and what they bring is waited for.

Tests: tests/interop/controller/test_controller_daemon.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ovine.engine import Engine
    from ovine.ovsdb import Client


class Conditions:
    """What one client is asked for; `arrived` is called when everything has come."""

    def __init__(self, client: Client, arrived: Callable[[], None], *, everything: bool) -> None:
        """`everything` says that the client began without conditions."""
        self.awaited = False
        """Conditions were sent whose rows have not all arrived."""
        self._client = client
        self._arrived = arrived
        self._everything = everything
        self._clauses: dict[str, dict[Any, None]] = {}
        self._waiting: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Waits for nothing any more."""
        if self._waiting is not None:
            self._waiting.cancel()

    def follow(self, engine: Engine, *, everything: bool) -> None:
        """Asks for what the engine is interested in, or for all rows."""
        if everything:
            self._ask_for_all()
        else:
            self._ask(engine)

    def _ask(self, engine: Engine) -> None:
        from ovine.controller.interest import CONDITIONAL, INTEREST

        if self._everything:
            self._everything, self._clauses = False, {}
        changed = {delta.key[0] for delta in engine.take(INTEREST)}
        if not self._clauses:
            changed = {table.spec.name for table in CONDITIONAL}
        if not changed:
            return
        wanted: dict[str, dict[Any, None]] = {name: {} for name in changed}
        for table, clause in engine.rows(INTEREST):
            if table in changed:
                wanted[table][clause] = None
        for table in CONDITIONAL:
            name = table.spec.name
            before = self._clauses.get(name)
            if name in changed and wanted[name] != before:
                self._clauses[name] = wanted[name]
                self._client.set_condition(table, list(wanted[name]) or [False])
                if before is None or not wanted[name].keys() <= before.keys():
                    self.awaited = True  # fewer conditions bring no rows that would have to be waited for
        self._watch()

    def _ask_for_all(self) -> None:
        """Drops the conditions. Not by a new connection: nothing that is here already is to go in between."""
        from ovine.controller.interest import CONDITIONAL

        if not self._everything:
            self._everything = self.awaited = True
            for table in CONDITIONAL:
                self._client.set_condition(table, [])
            self._watch()

    def _watch(self) -> None:
        if self.awaited:
            self.close()
            self._waiting = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        await self._client.condition_applied()
        self.awaited = False
        self._arrived()
