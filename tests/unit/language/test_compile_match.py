"""Matches to OpenFlow: cases of tests/cases/language/flows.txt, and claims on size and stability."""

from __future__ import annotations

import pytest

from ovine.language import Comparison, StaticEnvironment, compile_match, parse_match, whole
from ovine.language.compiler import MAX_CLAUSES
from support.language_cases import ENVIRONMENT, blocks, flow_text


@pytest.mark.parametrize(("text", "flows"), list(blocks("flows.txt")))
def test_a_match_becomes_the_flows_of_its_case(text: str, flows: list[str]) -> None:
    compiled = compile_match(parse_match(text), ENVIRONMENT)
    assert sorted(map(flow_text, compiled)) == flows
    assert list(compiled) == sorted(compiled)


def hosts(net: int, n: int) -> list[str]:
    return [f"10.{net}.{i >> 8}.{i & 255}" for i in range(n)]


SETS = StaticEnvironment(
    address_sets={"a": hosts(1, 300), "b": hosts(2, 200), "c": hosts(3, 150), "d": hosts(4, 100)},
    port_groups={"pg": [f"lsp{n}" for n in range(50)]},
    port_keys={f"lsp{n}": n + 1 for n in range(50)},
)


@pytest.mark.parametrize(
    ("text", "flows"),
    [
        ("ip4.src == $a && ip4.dst == $b", 300 + 200 + 1),
        ("inport == @pg && ip4.src == $a", 50 + 300 + 1),
        ("inport == @pg && ip4.src == $a && tcp.dst == {1, 2, 3, 4}", 50 + 300 + 4 + 1),
        ("(ip4.src == $a && ip4.dst == $b) || (ip4.src == $c && ip4.dst == $d)", 300 + 200 + 1 + 150 + 100 + 1),
        ("((ip4.src == $a && ip4.dst == $b) || udp) && inport == @pg", 50 + 300 + 200 + 1 + 2 * 50),
        ("ip4.src == {$a, $b} && ip4.src == {$b, $c}", 200),
        ("ip4.src == $a && ip4.src == 10.1.0.0/24 && ip4.dst == $b", 256 + 200 + 1),
        ("ip4.src == $a && ip4.dst == 10.9.9.9 && tcp.dst == 80", 300),
        ("ip4.src == $a || ip4.dst == $b", 500),
        ("(ip4.src == $a || ip6) && (ip4.dst == $b || ip6)", 300 + 200 + 1 + 1),
    ],
)
def test_sets_cost_their_sum(text: str, flows: int) -> None:
    assert len(compile_match(parse_match(text), SETS)) == flows


def test_one_more_address_adds_one_flow_and_changes_no_other() -> None:
    expr = parse_match("ip4.src == $a && ip4.dst == $b && tcp.dst == {80, 443, 8080}")
    before = set(compile_match(expr, SETS))
    grown = StaticEnvironment({**SETS.address_sets, "b": ["10.2.255.255", *SETS.address_sets["b"]]})
    after = set(compile_match(expr, grown))
    assert before - after == set()
    assert len(after - before) == 1


def test_what_plain_flows_match_already_needs_no_clause() -> None:
    text = "ip4.src == 10.1.0.0/16 || (ip4.src == $a && ip4.dst == $b)"
    assert len(compile_match(parse_match(text), SETS)) == 1


def test_a_flow_may_serve_several_conjunctions() -> None:
    text = (
        "(reg0 == {1, 2, 3} && reg1 == {1, 2, 3}) || (reg0 == {3, 4, 5} && reg1 == {6, 7, 8})"
        " || (reg0 == {9, 10, 11} && reg1 == {12, 13, 14})"
    )
    flows = compile_match(parse_match(text), ENVIRONMENT)
    numbers = {flow.fields[0][1] for flow in flows if flow.fields[0][0] == "conj_id"}
    assert numbers == {0, 1, 2}
    shared = [flow for flow in flows if len(flow.conjunctions) > 1]
    assert [flow_text(flow).split(" ")[0] for flow in shared] == ["reg0=0x3"]
    for flow in flows:
        used = [number for number, _, _ in flow.conjunctions]
        assert len(used) == len(set(used)), "a flow may not serve two dimensions of one conjunction"


def test_conjunctions_stay_within_the_switch_s_limit_of_clauses() -> None:
    # 70 dimensions, each on a bit pair of its own, so that nothing can be merged.
    pairs = [f"xxreg{n}[{2 * k}..{2 * k + 1}]" for n in range(2) for k in range(35)]
    expr = parse_match(" && ".join(f"{pair} == {{1, 2}}" for pair in pairs))
    flows = compile_match(expr, ENVIRONMENT)
    totals = {total for flow in flows for _, _, total in flow.conjunctions}
    assert totals == {MAX_CLAUSES}
    assert len(flows) < 200


def test_negation_of_a_nominal_field_in_a_tree_made_by_hand_is_refused() -> None:
    with pytest.raises(ValueError, match="inport can only be tested for equality"):
        compile_match(Comparison(whole("inport"), "!=", ("lsp1",)), ENVIRONMENT)


@pytest.mark.parametrize(
    ("template", "flows"),
    [("80", 1), ("80, 443", 2), ("", 0), ("80 443", 0), ("http", 0), ('"lsp1"', 0), ("65536", 0), ("$a", 0), ('"', 0)],
)
def test_template_variables_hold_constants_with_commas(template: str, flows: int) -> None:
    env = StaticEnvironment(templates={"v": template})
    assert len(compile_match(parse_match("ip4 && tcp.dst == ^v"), env)) == flows


def test_above_and_below_a_template_of_several_values_means_all_of_them() -> None:
    env = StaticEnvironment(templates={"v": "4, 6"})
    above = compile_match(parse_match("reg0[0..2] > ^v"), env)
    below = compile_match(parse_match("reg0[0..2] < ^v"), env)
    assert [flow_text(flow) for flow in above] == ["reg0=0x7/0x7"]
    assert [flow_text(flow) for flow in below] == ["reg0=0x0/0x4"]
