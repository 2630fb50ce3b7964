"""The declared pipelines: consistent in themselves, documented, and those that flows use."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.northd import SHARED, pipeline, router_pipeline
from ovine.northd.pipeline_page import markdown
from ovine.northd.stages import TABLES, Register, overlaps

ROOT = Path(__file__).parents[3]


def test_tables_count_from_zero_and_fit_the_hosts_layout() -> None:
    for stages in (pipeline.INGRESS, pipeline.EGRESS, router_pipeline.INGRESS, router_pipeline.EGRESS):
        assert [stage.table for stage in stages] == list(range(len(stages)))
        assert len(stages) < TABLES
    declared = pipeline.STAGES + router_pipeline.STAGES
    assert len({stage.name for stage in declared}) == len(declared)


def test_no_two_registers_share_bits_while_both_are_live() -> None:
    assert overlaps(pipeline.REGISTERS) == []
    for family in router_pipeline.FAMILIES:
        assert overlaps(family) == []


def test_an_overlap_would_be_found() -> None:
    rival = Register("rival", "xreg0[32..35]", pipeline.GUARD, pipeline.GUARD, "")
    assert ("refused", "rival") in overlaps((*pipeline.REGISTERS, rival))


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
    assert Register("r", field, pipeline.ADMIT, pipeline.ADMIT, "").bits() == bits


def test_every_stage_has_a_flow_for_every_packet() -> None:
    """No packet is dropped for want of a flow: drops are flows, which a trace can show."""
    fallbacks = {one.stage for one in SHARED if one.priority == 0 and one.match == "1"}
    assert fallbacks == {*pipeline.STAGES, *router_pipeline.STAGES}


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "pipeline.md").read_text() == markdown()
