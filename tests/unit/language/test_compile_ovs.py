"""Open vSwitch judges the compiled flows: ovs-ofctl knows every field, value, mask and prerequisite in them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from language_cases import ENVIRONMENT, blocks

from ovine.language import FIELDS, FlowMatch, compile_match, parse_match

pytestmark = pytest.mark.skipif(shutil.which("ovs-ofctl") is None, reason="ovs-ofctl is not installed")

_FRAGMENTS = {(1, 3): "first", (1, 1): "yes", (0, 1): "no", (2, 2): "later", (0, 2): "not_later", (0, 3): "no"}


_UNMASKABLE = {
    *("eth_type", "nw_proto", "nw_ttl", "ip_dscp", "nw_ecn", "arp_op"),
    *("icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code", "conj_id", "ct_nw_proto"),
}


def ofctl_text(flow: FlowMatch) -> str:
    """A flow in the syntax of ovs-ofctl."""
    parts = ["priority=1"]
    for name, value, mask in flow.fields:
        if name == "ip_frag":
            parts.append(f"ip_frag={_FRAGMENTS[value, mask]}")
        elif name in ("eth_src", "eth_dst", "arp_sha", "arp_tha", "nd_sll", "nd_tll"):
            parts.append(f"{name}={value.to_bytes(6).hex(':')}/{mask.to_bytes(6).hex(':')}")
        elif name in ("ip_src", "ip_dst", "arp_spa", "arp_tpa"):
            parts.append(f"{name}={'.'.join(map(str, value.to_bytes(4)))}/{'.'.join(map(str, mask.to_bytes(4)))}")
        elif name in ("ipv6_src", "ipv6_dst", "nd_target"):
            parts.append(f"{name}={value.to_bytes(16).hex(':', 2)}/{mask.to_bytes(16).hex(':', 2)}")
        elif name == "ct_state":
            # ovs-ofctl refuses bits without a name, also where they are asked to be zero, as they are.
            parts.append(f"ct_state={value:#x}/{mask & 0xFF:#x}")
        elif name in _UNMASKABLE:
            assert mask & (mask + 1) == 0, f"{name} can't be masked"
            parts.append(f"{name}={value}")
        else:
            parts.append(f"{name}={value:#x}/{mask:#x}")
    conjunctions = [f"conjunction({number},{clause}/{total})" for number, clause, total in flow.conjunctions]
    return f"{','.join(parts)} actions={','.join(conjunctions) or 'drop'}"


def judge(flows: list[FlowMatch], tmp_path: Path) -> None:
    file = tmp_path / "flows"
    file.write_text("\n".join(map(ofctl_text, flows)) + "\n")
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
