"""Every action of the language ends somewhere: it is carried out, or the trace says that it stops there."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.language import Action, SyntaxProblem, actions, parse_actions
from ovine.language.actions import Pipeline
from ovine.trace import Origins, Stopped, endings, render, run, walk
from ovine.trace.interpreter import HANDLERS
from support.language_cases import lines
from support.trace_cases import Text

UNKNOWN = {actions.FloodRemote, actions.GetRemoteFdb, actions.ChkEvpnArp}
TEXTS = [text for text, expected in lines("actions.txt") if not expected.startswith("error ")]
PACKETS = (
    "ip4.src == 10.0.0.1 && tcp.dst == 80 && ip.ttl == 9",
    "ip6.dst == fd00::1 && udp.dst == 53 && ip.ttl == 9",
    "ip4 && sctp.dst == 80 && ct.trk && ct.est && vlan.present",
    "icmp4.type == 8",
    "igmp",
    "arp.op == 1",
    "nd_ns && nd.target == fd00::1",
    "nd_rs",
    "eth.type == 0x88cc",
)
SIDES: dict[Pipeline, str] = {"ingress": "in", "egress": "out"}
BED = """
    switch s1
    port s1 vif0
    port s1 lsp1
    port s1 lsp2
    group s1 all vif0 lsp1 lsp2
    flow s1 in 0 0 1 => next;
    flow s1 in 1 0 1 => outport = "all"; output;
    flow s1 out 0 0 1 => output;
    flow s1 out 1 0 1 => output;
"""


def traced(text: str, pipeline: Pipeline, packet: str) -> str:
    """All forms of a trace where the first flow of a pipeline has these actions."""
    world = Text().read(BED)
    world.line(f"flow s1 {SIDES[pipeline]} 0 99 1 => {text}")
    trace = run(world.world, "s1", f'inport == "lsp2" && {packet}')
    assert render.as_json(trace, Origins())["outcome"]
    assert endings(trace) or any("omitted" in line for line in render.summary(trace).splitlines())
    assert not any(isinstance(node, Stopped) and "circles" in node.reason for node in walk((trace.root,)))
    return "\n".join((render.detailed(trace, Origins()), render.summary(trace), render.minimal(trace, Origins())))


def test_every_action_of_the_language_has_a_handler_or_is_known_to_have_none() -> None:
    assert set(get_args(Action)) - set(HANDLERS) == UNKNOWN


def runs_in(pipeline: Pipeline, text: str) -> bool:
    """Whether actions are valid in a pipeline, and don't lead back to where they are."""
    try:
        parse_actions(text, pipeline)
    except SyntaxProblem:
        return False
    return "next(0)" not in text and "pipeline=" not in text


@pytest.mark.parametrize(
    ("pipeline", "text"), [(pipeline, text) for pipeline in SIDES for text in TEXTS if runs_in(pipeline, text)]
)
def test_each_action_ends_with_any_packet(pipeline: Pipeline, text: str) -> None:
    for packet in PACKETS:
        assert traced(text, pipeline, packet)


LIVE = [text for text in TEXTS if text not in ("drop;", "") and "next(" not in text]


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.sampled_from(LIVE), min_size=1, max_size=4), packet=st.sampled_from(PACKETS))
def test_actions_in_any_order_end(parts: list[str], packet: str) -> None:
    assert traced(" ".join(parts), "ingress", packet)
