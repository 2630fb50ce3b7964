"""The packet cases in every combination of our daemons and Debian's, and with both kinds of host in one cloud.

tests/cases/packets/ holds the cases; `support.packet_cases` says how they are written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.lab import Lab
from ovine.lab.requirements import why_not
from support.packet_cases import Case, read, running

CASES = [read(path) for path in sorted((Path(__file__).parents[1] / "cases/packets").glob("*.txt"))]
COMBINATIONS = {
    "ours": ("ovine", ("ovine", "ovine", "ovine")),
    "our-northd": ("ovine", ("c", "c", "c")),
    "our-controllers": ("c", ("ovine", "ovine", "ovine")),
    "theirs": ("c", ("c", "c", "c")),
    "mixed": ("ovine", ("ovine", "c", "ovine")),
    "mixed-under-c": ("c", ("c", "ovine", "c")),
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
    if case.has("needs") and lab.compilers and "OVINE_TRY" not in os.environ:
        pytest.skip("our daemons cannot do that yet")
    with running(lab, case):
        check(lab)


def check(lab: Lab) -> None:
    """Nothing that our daemons were told has been left out."""
    for name in lab.compilers:
        assert lab.ask(name, "ovine/failures") == "", name
