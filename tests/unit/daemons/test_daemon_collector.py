"""The garbage collector of daemons: what is put aside, and what is found nevertheless."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from ovine.daemons import collector


class Knot:
    """Refers to itself, so only the collector can free it."""

    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def knot() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


def test_settling_frees_a_young_cycle_and_puts_the_rest_aside() -> None:
    alive, dead = Knot(), knot()
    collector.settle()
    assert dead() is None
    assert not any(found is alive for found in gc.get_objects())


def test_starting_over_frees_a_cycle_that_died_after_it_was_put_aside() -> None:
    alive = Knot()
    dead = weakref.ref(alive)
    collector.settle()
    del alive
    gc.collect()
    assert dead() is not None
    collector.start_over()
    assert dead() is None
