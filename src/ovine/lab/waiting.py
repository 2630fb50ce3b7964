"""Waiting on a condition with a deadline; the lab never just sleeps. Tests: tests/unit/lab/test_waiting.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ovine.lab.errors import LabTimeout

T = TypeVar("T")

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.02


def wait_for(
    condition: Callable[[], T | None],
    what: str,
    timeout: float,
    *,
    diagnose: Callable[[], str] | None = None,
) -> T:
    """Calls `condition` until it gives something true, and returns that.

    The pauses grow from 2 to 20 ms. After `timeout` seconds raises LabTimeout, whose details are `diagnose()`.
    An error raised by `condition` is passed on at once: that is how a condition says that waiting is of no use.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabTimeout(f"{what}: not within {timeout:g} s", diagnose() if diagnose else "")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
