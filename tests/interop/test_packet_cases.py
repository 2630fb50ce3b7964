"""The packet cases in every combination of our daemons and Debian's, and with both kinds of host in one cloud.

tests/cases/packets/ holds the cases; `support.packet_cases` says how they are written. After each case our daemons
compare what they have computed step by step with a computation from nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.daemons.appctl import appctl
from ovine.lab import Lab
from ovine.lab.requirements import why_not
from support.packet_cases import Case, read, running

CASES = [read(path) for path in sorted((Path(__file__).parents[1] / "cases/packets").glob("*.txt"))]
COMBINATIONS = {
    "ours": ("ovine", ("ovine", "ovine")),
    "our-northd": ("ovine", ("c", "c")),
    "our-controllers": ("c", ("ovine", "ovine")),
    "theirs": ("c", ("c", "c")),
    "mixed": ("ovine", ("ovine", "c")),
    "mixed-under-c": ("c", ("c", "ovine")),
}


@pytest.fixture(scope="module", params=COMBINATIONS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if reason := why_not(c_daemons=True):
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    northd, controllers = COMBINATIONS[request.param]
    with Lab(northd=northd, controllers=controllers, api=False) as made:  # type: ignore[arg-type]
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_packets(lab: Lab, case: Case) -> None:
    with running(lab, case):
        audit(lab)


def audit(lab: Lab) -> None:
    """Asks each of our daemons to compare its state with a recompute."""
    for process in lab.processes.recorded():
        ours = process.name == "northd" and lab.spec.northd == "ovine"
        for host in lab.spec.hosts:
            ours = ours or (process.name == f"{host.name}-controller" and host.controller == "ovine")
        if ours:
            socket = next(lab.spec.directory.rglob(f"*.{process.pid}.ctl"))
            assert appctl(str(socket), "ovine/audit", timeout=30) == "", process.name
            assert appctl(str(socket), "ovine/failures", timeout=30) == "", process.name
