"""Labs for tests. They need root and Open vSwitch: without, the tests are skipped, but under CI=true they fail."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.lab import Lab
from ovine.lab.requirements import why_not


@pytest.fixture(scope="session")
def lab_machine() -> None:
    """This machine can run labs with any daemons."""
    reason = why_not(c_daemons=True)
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def c_lab(lab_machine: None) -> Iterator[Lab]:
    """Two hosts with Debian's northd and controllers, and no API."""
    with Lab(northd="c", controllers=["c", "c"], api=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def labs(lab_machine: None) -> Iterator[Path]:
    """A directory for labs that are started as commands, so that what they leave can be told from other labs."""
    directory = Path("/run") / f"ovine-{secrets.token_hex(4)}"
    directory.mkdir()
    yield directory
    directory.rmdir()
