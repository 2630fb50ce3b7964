"""Ends from outside clean up once, and putting things away is not stopped by a second Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ovine.lab.interrupts import ended_by_sigterm, undisturbed

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_while_things_are_put_away_has_no_effect(number: signal.Signals) -> None:
    handlers = [signal.getsignal(each) for each in BOTH]
    with undisturbed():
        os.kill(os.getpid(), number)
    assert [signal.getsignal(each) for each in BOTH] == handlers


def test_sigterm_ends_like_an_interrupt_where_that_is_asked_for() -> None:
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)


def test_in_another_thread_handlers_are_left_alone() -> None:
    seen: list[object] = []

    def put_away() -> None:
        with undisturbed():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=put_away)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
