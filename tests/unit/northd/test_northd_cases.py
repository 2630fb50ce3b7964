"""The cases of tests/cases/northd: a northbound in words, and the flows and failures that northd makes of it.

In a file, `case:` begins a case and names what it shows; northbound commands follow (`support.northd`), then `---`,
then what is expected: all flows that belong to single datapaths and what switches know (`known_lines`) or, after
`shared`, all flows that belong to scopes (after `shared FEATURE` or `of FEATURE …`, those of some features); and
`failure | TEXT` lines. A line `only PLACE …` or `only PLACE:STAGE …` among the commands leaves out what concerns other
places and stages. Every flow is also read by the parser of the language.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ovine.language import parse_actions, parse_match
from ovine.northd.flows import FLOWS
from support.northd import Northbound, compiled, flow_lines, known_lines

CASES = Path(__file__).parents[2] / "cases" / "northd"


@dataclass
class Case:
    title: str
    commands: str
    expected: list[str]

    def __str__(self) -> str:
        return self.title


def read(path: Path) -> Iterator[Case]:
    for text in path.read_text().split("\ncase: ")[1:]:
        head, _, expected = text.partition("\n---\n")
        title, _, commands = head.partition("\n")
        lines = [line.strip() for line in expected.splitlines() if line.strip() and not line.startswith("#")]
        yield Case(f"{path.stem}: {title}", commands, lines)


def check(case: Case) -> None:
    """Compiles the case and compares everything that it speaks of."""
    northbound = Northbound()
    lines = case.commands.splitlines()
    narrowed = [place for line in lines if line.startswith("only ") for place in line.split()[1:]]
    northbound.apply("\n".join(line for line in lines if not line.startswith("only ")))
    engine = compiled(northbound)
    chosen = [line for line in case.expected if line.split()[0] in ("shared", "of")]
    words = " ".join(chosen).split()
    found = list(flow_lines(engine, shared="shared" in words, sources=words[1:]))
    found += () if chosen else known_lines(engine)
    found = [line for line in found if not narrowed or _asked(line, narrowed)]
    found += [f"failure | {failure.error.partition(': ')[2]}" for failure in engine.failures()]
    assert sorted(found) == sorted(line for line in case.expected if line not in chosen)
    for row in engine.rows(FLOWS).values():
        parse_match(row.match)
        if "^" not in row.actions:  # else it can be read when its variables have values
            parse_actions(row.actions, row.pipeline)  # type: ignore[arg-type]
    assert engine.audit() == []


def _asked(line: str, places: list[str]) -> bool:
    """Whether a case speaks of this flow or known address."""
    flow, bar, _ = line.partition(" | ")
    if not bar:
        return line.partition(" has ")[0] in places
    place, stage, _ = flow.rsplit(" ", 2)
    return place in places or f"{place}:{stage}" in places or f"*:{stage}" in places


@pytest.mark.parametrize("case", [case for path in sorted(CASES.glob("*.txt")) for case in read(path)], ids=str)
def test_a_case_compiles_to_the_expected_flows(case: Case) -> None:
    check(case)
