"""The declared pipeline: consistent in itself, documented, and the one that flows use."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.northd import SHARED
from ovine.northd import pipeline as declared

ROOT = Path(__file__).parents[3]


def test_tables_count_from_zero_and_fit_the_hosts_layout() -> None:
    for stages in (declared.INGRESS, declared.EGRESS):
        assert [stage.table for stage in stages] == list(range(len(stages)))
        assert len(stages) < declared.TABLES
    assert len({stage.name for stage in declared.STAGES}) == len(declared.STAGES)


def test_no_two_registers_share_bits_while_both_are_live() -> None:
    assert declared.overlaps() == []


def test_an_overlap_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rival = declared.Register("rival", "xreg0[32..35]", declared.GUARD, declared.GUARD, "")
    monkeypatch.setattr(declared, "REGISTERS", (*declared.REGISTERS, rival))
    assert ("refused", "rival") in declared.overlaps()


@pytest.mark.parametrize(
    ("field", "bits"),
    [
        ("reg0[3]", {(0, 3)}),
        ("reg4", {(4, bit) for bit in range(32)}),
        ("xreg1[0..47]", {(3, bit) for bit in range(32)} | {(2, bit) for bit in range(16)}),
        ("xxreg1", {(register, bit) for register in (4, 5, 6, 7) for bit in range(32)}),
    ],
)
def test_the_bits_of_a_field_are_those_of_its_registers(field: str, bits: set[tuple[int, int]]) -> None:
    assert declared.Register("r", field, declared.ADMIT, declared.ADMIT, "").bits() == bits


def test_every_stage_has_a_flow_for_every_packet() -> None:
    """No packet is dropped for want of a flow: drops are flows, which a trace can show."""
    fallbacks = {one.stage for one in SHARED if one.priority == 0 and one.match == "1"}
    assert fallbacks == set(declared.STAGES)


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "pipeline.md").read_text() == declared.markdown()
