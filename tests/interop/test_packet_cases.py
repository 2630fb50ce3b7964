"""The packet cases in every combination of our daemons and Debian's, and with both kinds of host in one cloud.

tests/cases/packets/ holds the cases; `support.packet_cases` says how they are written. Each combination is a class with
a lab of its own, so that they can run beside each other.
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


@pytest.fixture(scope="class")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if reason := why_not(c_daemons=True):
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    northd, controllers = COMBINATIONS[request.param]
    with Lab(northd=northd, controllers=controllers, api=False) as made:  # type: ignore[arg-type]
        yield made


class Packets:
    """All cases in one lab."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_packets(self, lab: Lab, case: Case) -> None:
        if case.only_ours and "c" in (lab.spec.northd, *(host.controller for host in lab.spec.hosts)):
            pytest.skip(case.only_ours)
        with running(lab, case):
            check(lab)


def combination(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lab", [name], indirect=True, scope="class")


@combination("ours")
class TestOurs(Packets):
    """Our northd and controllers."""


@combination("our-northd")
class TestOurNorthd(Packets):
    """Our northd, Debian's controllers."""


@combination("our-controllers")
class TestOurControllers(Packets):
    """Debian's northd, our controllers."""


@combination("theirs")
class TestTheirs(Packets):
    """Debian's northd and controllers: what the cases are measured by."""


@combination("mixed")
class TestMixed(Packets):
    """Our northd; hosts of both kinds in one cloud."""


@combination("mixed-under-c")
class TestMixedUnderC(Packets):
    """Debian's northd; hosts of both kinds in one cloud."""


def check(lab: Lab) -> None:
    """Nothing that our daemons were told has been left out."""
    for name in lab.compilers:
        left_out = [line for line in lab.ask(name, "ovine/failures").splitlines() if not _is_of_debians(lab, line)]
        assert left_out == [], name


def _is_of_debians(lab: Lab, failure: str) -> bool:
    """What Debian's northd always asks for: prefix delegation, and two answers to one packet that is too old."""
    asked = "'handle_dhcpv6_reply' is not supported" in failure or "rules want different actions" in failure
    return asked and lab.spec.northd == "c"
