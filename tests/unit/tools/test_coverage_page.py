"""docs/coverage.md: each line shows what it says, or says why it cannot, and nothing that is shown is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parents[3]
TESTS = TOP / "tests"
TEXT = (TOP / "docs/coverage.md").read_text()
TABLES = TEXT.partition("\n## Options\n")[0]


def lines() -> Iterator[tuple[str, str, str]]:
    """Feature, what we do, and what shows it."""
    for line in TABLES.splitlines():
        if line.startswith("| ") and not line.startswith("| feature "):
            feature, doing, shown = (cell.strip() for cell in line.strip("|").split("|"))
            yield feature, doing, shown


def shown() -> set[str]:
    return {name for _, _, cell in lines() for name in re.findall(r"`([^`]+)`", cell)}


def test_all_that_is_named_exists() -> None:
    for name in shown():
        if name.endswith(".py"):
            assert len(list(TESTS.rglob(name))) == 1, name
        else:
            path = TESTS / "cases" / (name if name.endswith(".txt") else f"packets/{name}.txt")
            assert path.is_file(), name


def test_all_packet_cases_are_named() -> None:
    assert {path.stem for path in (TESTS / "cases/packets").glob("*.txt")} <= shown()


def test_what_is_not_shown_has_a_reason() -> None:
    assert len(list(lines())) > 60
    for feature, doing, cell in lines():
        assert cell or re.match(r"no: |not in 23\.03", doing), feature
