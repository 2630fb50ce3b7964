"""Ends that come from outside. Tests: tests/unit/lab/test_lab_interrupts.py, tests/lab/test_lab_down.py."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Makes SIGTERM end the program as Ctrl-C does, so that what it started is cleaned up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM have no effect meanwhile: who presses it again while things are put away must not stop that.

    What is started meanwhile inherits this. In other threads than the main one, which signals don't reach, it does
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
