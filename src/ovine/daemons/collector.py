"""The garbage collector, at times that suit a daemon.

Python's collector walks all objects again and again as their number grows: with a hundred thousand rows that is a pause
of a good part of a second, in the midst of somebody's change. What a daemon holds is freed by reference counts, but for
a few cycles, so here old objects are put aside (gc.freeze) and only new ones are walked.

Invariant: cycles that die young are found as ever; of those that die old only what `start_over` lets go is found.
Tests: tests/unit/daemons/test_daemon_collector.py.
"""

from __future__ import annotations

import asyncio
import gc

YOUNG, MIDDLE, NEVER = 10_000, 5, 1_000_000
"""Thresholds of gc.set_threshold: the oldest generation is walked by `settle` only."""
INTERVAL = 10.0
"""Seconds between two calls of `settle`."""


def start() -> None:
    """Call it once what is large has been imported: from now on this is not walked."""
    gc.freeze()


def settle() -> None:
    """Looks through what is new for dead cycles, and puts the rest aside."""
    gc.collect(1)
    gc.freeze()


def start_over() -> None:
    """Looks through everything: for when something large was replaced. Takes about 0.1 s for a million objects."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def tend() -> None:
    """Keeps the collector from long pauses for ever; to be cancelled. For processes whose objects live long."""
    gc.set_threshold(YOUNG, MIDDLE, NEVER)
    while True:
        await asyncio.sleep(INTERVAL)
        settle()
