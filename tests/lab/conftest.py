"""Labs for tests. They need root and Open vSwitch: without, the tests are skipped, but under CI=true they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator

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
