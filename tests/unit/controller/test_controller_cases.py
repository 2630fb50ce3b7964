"""The cases of tests/cases/controller: rows in, flows out, in the words of ovs-ofctl."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.controller_world import replay

CASES = sorted((Path(__file__).parents[2] / "cases" / "controller").glob("*.txt"))


def test_there_are_cases() -> None:
    assert {path.stem for path in CASES} >= {"actions", "localnet", "logical", "multicast", "physical", "tunnels"}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    for line, expected, found in replay(path):
        assert found == expected, f"{path.name}:{line}"
