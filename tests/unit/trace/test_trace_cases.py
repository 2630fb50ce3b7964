"""What becomes of packets, as text: tests/cases/trace/*.txt, written as support.trace_cases says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ovine.trace import Options, Origins, render, run
from support.trace_cases import Case, read

CASES = Path(__file__).parents[2] / "cases/trace"


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{path.stem}:{case.line}") for path in sorted(CASES.glob("*.txt")) for case in read(path)],
)
def test_the_packet_fares_as_the_case_says(case: Case) -> None:
    trace = run(case.world, "", case.microflow, Options(ct=case.ct))
    assert re.sub(r", flow [0-9a-f]{8} ", " ", render.minimal(trace, Origins())) == case.expected
