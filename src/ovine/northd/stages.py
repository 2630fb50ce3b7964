"""What a pipeline is declared with: stages and registers, the check that they fit, and the page about them.

A *stage* is one logical flow table with a name and a purpose. A *register* is a range of bits with a name and a *live
range*: it is written in stage `born` and means nothing after stage `dies`. A register whose name says that it *enters*
is set by who sends the packet into the pipeline once more, and is live from its beginning.

The pipelines themselves are `ovine.northd.pipeline` (switches) and `ovine.northd.router_pipeline` (routers).
Tests: tests/unit/northd/test_pipeline.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TABLES = 24
"""ovn-controller lays out 24 OpenFlow tables for each of the two pipelines, in every release since 2.6."""


@dataclass(frozen=True)
class Stage:
    """One logical flow table."""

    name: str
    pipeline: str
    table: int
    purpose: str


@dataclass(frozen=True)
class Register:
    """A named range of bits. `field` is how matches and actions write it."""

    name: str
    field: str
    born: Stage
    dies: Stage
    purpose: str

    def bits(self) -> frozenset[tuple[int, int]]:
        """The bits it occupies, as (32-bit register number, bit) pairs."""
        return frozenset(_bits(self.field))


def declare(pipeline: str, *declared: tuple[str, str]) -> tuple[Stage, ...]:
    """The stages of `pipeline` ("ingress" or "egress") by name and purpose; tables count from 0."""
    return tuple(Stage(name, pipeline, table, purpose) for table, (name, purpose) in enumerate(declared))


def overlaps(registers: Sequence[Register]) -> list[tuple[str, str]]:
    """Pairs of registers that share bits while both are live; there must be none."""
    found = []
    for n, one in enumerate(registers):
        for other in registers[n + 1 :]:
            together = one.born.pipeline == other.born.pipeline and (
                one.born.table <= other.dies.table and other.born.table <= one.dies.table
            )
            if together and one.bits() & other.bits():
                found.append((one.name, other.name))
    return found


_FIELD = re.compile(r"(x{0,2}reg)(\d)(?:\[(\d+)(?:\.\.(\d+))?\])?")


def _bits(field: str) -> list[tuple[int, int]]:
    """Bit positions of `reg4`, `reg0[3]`, `xreg1[0..47]`, `xxreg1`; the first register of a wide one is its highest."""
    parsed = _FIELD.fullmatch(field)
    if parsed is None:
        raise ValueError(f"{field} is not a register")
    width = {"reg": 1, "xreg": 2, "xxreg": 4}[parsed[1]]
    low = int(parsed[3]) if parsed[3] else 0
    high = int(parsed[4]) if parsed[4] else (low if parsed[3] else width * 32 - 1)
    first = int(parsed[2]) * width
    return [(first + width - 1 - bit // 32, bit % 32) for bit in range(low, high + 1)]


def tables(stages: Sequence[Stage], registers: Sequence[Register]) -> Iterator[str]:
    """The lines of the page about one kind of datapath."""
    for pipeline in ("ingress", "egress"):
        yield from ("", f"### {pipeline.capitalize()}", "", "| table | stage | purpose |", "|---|---|---|")
        yield from (f"| {s.table} | `{s.name}` | {s.purpose} |" for s in stages if s.pipeline == pipeline)
    yield from ("", "### Registers", "", "| name | bits | from | to | meaning |", "|---|---|---|---|---|")
    yield from (f"| {r.name} | `{r.field}` | `{r.born.name}` | `{r.dies.name}` | {r.purpose} |" for r in registers)
