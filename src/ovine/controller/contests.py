"""Ports that two chassis claim at a time, both in good faith, because they do not see each other.

Each judges by its own tunnels who is active (`ovine.controller.ha`). While they disagree, each would bind the port
again at once when the other has done so, as fast as the database can write. So a port that was taken from us is left
alone for a moment, in which our view may change. Time is an argument.

Tests: tests/unit/controller/test_controller_contests.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ovine.controller.local import Claim
from ovine.model.base import Uuid

PATIENCE: Final = 0.5
"""Seconds for which a port is left to another chassis that took it."""


class Contests:
    """When ports were taken from us; `now` is any clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        self._taken: dict[Uuid, float] = {}

    def taken(self, port: Uuid, now: float) -> None:
        """Another chassis has bound a port that we claim."""
        self._taken[port] = now

    def undisputed(self, claims: Mapping[Uuid, Claim], now: float) -> tuple[Mapping[Uuid, Claim], float | None]:
        """The claims that may be made now, and after how many seconds to ask again, if some may not."""
        self._taken = {port: since for port, since in self._taken.items() if now < since + PATIENCE and port in claims}
        if not self._taken:
            return claims, None
        again = max(0.0, min(self._taken.values()) + PATIENCE - now)
        return {port: claim for port, claim in claims.items() if port not in self._taken}, again
