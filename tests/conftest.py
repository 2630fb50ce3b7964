"""What holds for every test: when it is over, incremental state equals a recompute.

Each engine that a test made in its own process is compared with a computation from nothing, and each lab that is up is
asked to do the same in all of its daemons (`ovine/audit`; a controller also compares what its switch holds, so what is
under way gets a moment to arrive). `support.daemons` asks the daemons that it ran when they end.

Tests with labs take `lab_machine`.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from ovine.engine import Engine

SETTLED = 10.0
"""Seconds after which what was under way must have arrived."""
_labs: weakref.WeakSet[Any] = weakref.WeakSet()


@pytest.fixture(autouse=True)
def incremental_equals_recompute(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    engines: list[Engine] = []
    make = Engine.__init__

    def recorded(self: Engine, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        engines.append(self)

    monkeypatch.setattr(Engine, "__init__", recorded)
    yield
    monkeypatch.undo()
    for engine in engines:
        engine.log = None
        assert engine.audit() == []
    for lab in list(_labs):
        deadline = time.monotonic() + SETTLED
        while (differences := differences_in(lab)) and time.monotonic() < deadline:
            lab.sync()
        assert differences == []


def differences_in(lab: Any) -> list[str]:
    """What the daemons of a lab that is up say; one that a test has stopped says nothing."""
    from ovine.daemons.appctl import Unreachable
    from ovine.lab import LabError

    lines = []
    for name in lab.compilers:
        try:
            lines += [f"{name}: {line}" for line in lab.ask(name, "ovine/audit").splitlines()]
        except (LabError, Unreachable):
            continue
    return lines


@pytest.fixture(autouse=True, scope="session")
def labs_are_known() -> Iterator[None]:
    """Keeps count of the labs that tests bring up."""
    from ovine.lab import Lab

    with pytest.MonkeyPatch.context() as patch:
        up, down = Lab.up, Lab.down

        def recorded_up(self: Lab, *arguments: Any, **options: Any) -> Lab:
            lab = up(self, *arguments, **options)
            _labs.add(self)
            return lab

        def recorded_down(self: Lab) -> None:
            _labs.discard(self)
            down(self)

        patch.setattr(Lab, "up", recorded_up)
        patch.setattr(Lab, "down", recorded_down)
        yield


@pytest.fixture(scope="session")
def lab_machine() -> None:
    """This machine can run labs with any daemons: if not, the test is skipped, but under CI=true it fails."""
    from ovine.lab.requirements import why_not

    if reason := why_not(c_daemons=True):
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
