"""Reading the case files of tests/cases/language/, and the surroundings that they speak of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ovine.language import FlowMatch, StaticEnvironment
from ovine.language.layout import FIELDS

CASES = Path(__file__).parents[1] / "cases" / "language"

ENVIRONMENT = StaticEnvironment(
    address_sets={
        "four": [f"10.0.0.{n}" for n in range(4)],
        "five": [f"10.0.1.{n}" for n in range(5)],
        "mixed": ["10.0.0.1", "10.1.2.3/16", "fd00::1", "00:00:00:00:00:01", "no address"],
        "empty": [],
    },
    port_groups={"ports": ["lsp1", "lsp2", "gone"]},
    port_keys={"lsp1": 1, "lsp2": 2, "lsp3": 3},
    residents={"lsp1"},
    templates={"vips": "10.0.0.1, 10.0.0.2"},
)


def lines(name: str) -> Iterator[tuple[str, str]]:
    """(input, expected output) of a file with one case per line."""
    for line in (CASES / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or "=>" not in line:
            continue
        text, _, expected = line.rpartition("=>")
        text = text.rstrip()
        yield text, text if expected.strip() == "same" else expected.strip()


def blocks(name: str) -> Iterator[tuple[str, list[str]]]:
    """(match, flows) of a file with indented lines below each match."""
    match: str | None = None
    flows: list[str] = []
    for line in (CASES / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        if line.startswith(" "):
            flows.append(line.strip())
            continue
        if match is not None:
            yield match, flows
        match, flows = line, []
    if match is not None:
        yield match, flows


def flow_text(flow: FlowMatch) -> str:
    """A flow as the case files write it: masks only where they are not full."""
    parts = []
    for name, value, mask in flow.fields:
        full = mask & (mask + 1) == 0 and mask.bit_length() == FIELDS[name].width
        parts.append(f"{name}={value:#x}" if full else f"{name}={value:#x}/{mask:#x}")
    conjunctions = "".join(f" conjunction({number},{clause}/{n})" for number, clause, n in flow.conjunctions)
    return (",".join(parts) or "any") + conjunctions
