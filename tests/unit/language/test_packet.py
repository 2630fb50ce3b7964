"""Packets, and what a match says about one."""

from __future__ import annotations

import pytest

from ovine.language import FlowMatch, Packet, Subfield, SyntaxProblem, compile_match, evaluate, flows_match, parse_match
from support.language_cases import ENVIRONMENT

TCP4 = {"eth.type": 0x800, "ip.proto": 6, "ip4.src": "10.0.0.1", "ip4.dst": "10.0.1.1", "tcp.dst": 80}


def holds(text: str, values: dict[str, int | str]) -> bool:
    return evaluate(parse_match(text), Packet.of(values, ENVIRONMENT), ENVIRONMENT)


def test_views_of_a_register_agree() -> None:
    packet = Packet.of({"xxreg0": 0x0000000100000002_0000000300000004, "reg1[0..3]": 0xF})
    assert [packet.get(f"reg{n}") for n in range(4)] == [1, 0xF, 3, 4]
    assert packet.get("xreg0") == 0x1_0000000F
    assert packet.get("reg1[3]") == 1
    assert packet.get(Subfield("xxreg0", 64, 4)) == 0xF
    assert packet.openflow("reg3") == 4


def test_ports_are_their_keys() -> None:
    packet = Packet.of({"inport": "lsp2", "outport": 7}, ENVIRONMENT)
    assert packet.openflow("reg14") == 2
    assert packet.get("__outport") == 7
    assert evaluate(parse_match('inport == "lsp2"'), packet, ENVIRONMENT)
    assert not evaluate(parse_match('inport == "lsp1"'), packet, ENVIRONMENT)
    with pytest.raises(ValueError, match="the port gone has no key"):
        Packet.of({"inport": "gone"}, ENVIRONMENT)


def test_values_must_fit() -> None:
    with pytest.raises(ValueError, match=r"65536 does not fit into tcp\.dst, which has 16 bits"):
        Packet.of({"tcp.dst": 65536})
    with pytest.raises(ValueError, match="-1 does not fit"):
        Packet.of({"tcp.dst": -1})
    with pytest.raises(SyntaxProblem, match="there is no field nothing"):
        Packet.of({"nothing": 1})
    with pytest.raises(SyntaxProblem, match="the end of the field"):
        Packet().get("reg0 reg1")


def test_assignment_changes_only_its_bits() -> None:
    packet = Packet.of({"reg0": 0xFFFFFFFF}).with_value("reg0[4..7]", 0)
    assert packet.get("reg0") == 0xFFFFFF0F
    assert Packet.of({"reg0": 0xFFFFFFFF}).get("reg0") == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", True),
        ("0", False),
        ("ip4 && tcp", True),
        ("ip6", False),
        ("tcp.dst == {80, 443}", True),
        ("tcp.dst != {80, 443}", False),
        ("!(tcp.dst == {443, 8080})", True),
        ("79 < tcp.dst <= 80", True),
        ("80 < tcp.dst < 90", False),
        ("tcp.dst >= 80 && tcp.dst <= 80", True),
        ("ip4.src == $four && ip4.dst == $five", True),
        ("ip4.src != $four", False),
        ("ip4.src == $unknown || ip4.src != $unknown", False),
        ("ip4.src == 10.0.0.0/8", True),
        ("ip4.src != 10.0.0.0/8", False),
        ('is_chassis_resident("lsp1") && !is_chassis_resident("lsp2")', True),
        ("ip4.dst == ^unset", False),
        ("reg0[0]", False),
        ("!reg0[0]", True),
        ("!(reg0[0] || reg0[1])", True),
        ("!(reg0[0] || !reg0[1])", False),
    ],
)
def test_a_match_is_judged_on_a_packet(text: str, expected: bool) -> None:
    assert holds(text, TCP4) is expected


def test_a_negated_comparison_keeps_its_prerequisites() -> None:
    udp = {"eth.type": 0x800, "ip.proto": 17}
    assert not holds("tcp.dst == 80", udp)
    assert not holds("!(tcp.dst == 80)", udp)
    assert not holds("!ct.new", {})
    assert holds("!ct.new", {"ct.trk": 1})


def test_flows_with_conjunctions_are_judged_as_a_switch_does() -> None:
    flows = compile_match(parse_match("ip4.src == $four && ip4.dst == $five"), ENVIRONMENT)
    assert flows_match(flows, Packet.of(TCP4))
    assert not flows_match(flows, Packet.of({**TCP4, "ip4.dst": "10.9.9.9"}))
    assert not flows_match(flows, Packet.of({**TCP4, "ip4.src": "10.9.9.9"}))
    clauses_only = [flow for flow in flows if flow.conjunctions]
    assert not flows_match(clauses_only, Packet.of(TCP4))
    assert flows_match([FlowMatch(())], Packet())
    assert not flows_match([], Packet())
