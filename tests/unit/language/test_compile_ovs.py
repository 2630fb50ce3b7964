"""Open vSwitch judges the compiled flows: ovs-ofctl knows every field, value, mask and prerequisite in them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ovine.language import FIELDS, FlowMatch, compile_match, parse_match
from support.language_cases import ENVIRONMENT, blocks
from support.ofctl_flows import ofctl_match

pytestmark = pytest.mark.skipif(shutil.which("ovs-ofctl") is None, reason="ovs-ofctl is not installed")


def _actions(flow: FlowMatch) -> str:
    return ",".join(f"conjunction({number},{clause}/{total})" for number, clause, total in flow.conjunctions) or "drop"


def judge(flows: list[FlowMatch], tmp_path: Path) -> None:
    file = tmp_path / "flows"
    file.write_text("".join(f"{ofctl_match(flow)} actions={_actions(flow)}\n" for flow in flows))
    run = subprocess.run(
        ["ovs-ofctl", "-O", "OpenFlow15", "parse-flows", file], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("OFPT_FLOW_MOD") == len(flows)


def test_the_flows_of_all_cases_are_accepted(tmp_path: Path) -> None:
    flows = [flow for text, _ in blocks("flows.txt") for flow in compile_match(parse_match(text), ENVIRONMENT)]
    assert len(flows) > 80
    judge(flows, tmp_path)


def test_every_field_of_the_language_is_one_that_open_vswitch_matches(tmp_path: Path) -> None:
    flows: list[FlowMatch] = []
    for field in FIELDS.values():
        value = '"lsp1"' if field.kind == "string" else 1
        found = compile_match(parse_match(f"{field.name} == {value}"), ENVIRONMENT)
        assert found, field.name
        flows += found
    judge(flows, tmp_path)
