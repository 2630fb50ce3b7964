"""How far the controller has come: what it knew when all was settled, and how much of that the switch has.

*Settled* means that the engine is at rest and the southbound rows that it asked for have arrived. Only what was
computed when settled is called installed: a port is `up`, and an `nb_cfg` reached, when the switch has acknowledged
flows made at or after such a moment. The very first difference is sent when settled, too, so that a start never
removes what it has not yet understood: `ever_settled` is false until then, and again in front of another southbound.

Tests: tests/interop/controller/test_controller_daemon.py, tests/faults/test_controller_faults.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ovine.controller.local import CLAIMS, Claim
from ovine.controller.southbound import Progress
from ovine.daemons.controller.computation import Computation
from ovine.daemons.controller.settings import Settings
from ovine.model.base import Uuid


class Moment(NamedTuple):
    """Claims and `nb_cfg` at a time when everything was settled."""

    claims: Mapping[Uuid, Claim] = {}
    nb_cfg: int = 0


class Moments:
    """The last such moment, and the progress since."""

    def __init__(self, computation: Computation, settings: Settings, complete: Callable[[], bool]) -> None:
        """`complete` says whether the southbound rows that were asked for are there."""
        self.last = Moment()
        self.ever_settled = False
        self.progress = Progress()
        self._computation = computation
        self._settings = settings
        self._complete = complete

    @property
    def settled(self) -> bool:
        """Whether everything that is known has been computed, and everything that was asked for has come."""
        return self._computation.at_rest and self._complete()

    @property
    def known(self) -> bool:
        """Whether what the switch should hold is known, if perhaps not to the last row."""
        return self._computation.at_rest and self.ever_settled and self._settings.now is not None

    def note(self, nb_cfg: int) -> bool:
        """Takes notice that everything is settled; True if it is for the first time."""
        self.last = Moment(dict(self._computation.engine.rows(CLAIMS)), nb_cfg)
        first, self.ever_settled = not self.ever_settled, True
        return first

    def forget(self) -> None:
        """There is another southbound, of which nothing is known."""
        self.ever_settled = False

    def installed(self, moment: Moment) -> bool:
        """Takes notice that the switch has acknowledged all that was computed at a moment; True if that is news."""
        installed, before = frozenset(moment.claims.items()), self.progress
        if moment.nb_cfg == before.nb_cfg and installed == before.installed:
            return False
        timestamp = now_ms() if moment.nb_cfg != before.nb_cfg else before.timestamp
        self.progress = Progress(moment.nb_cfg, timestamp, installed)
        return True


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
