"""Two executors of the language judge each other: for every small expression and every packet of a small world,
`evaluate` of the tree equals what a switch with the compiled flows does.

The switch here is written apart from `flows_match`, as sets of packets: a flow is the set that it matches, a
conjunction the intersection over its clauses of their unions.
"""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import combinations_with_replacement, product

import pytest

from ovine.language import (
    Expr,
    FlowMatch,
    Packet,
    StaticEnvironment,
    SyntaxProblem,
    compile_match,
    evaluate,
    flows_match,
    format_match,
    parse_match,
)

ENV = StaticEnvironment(
    address_sets={"s": ["10.0.0.0", "10.0.0.1", "10.0.0.3"], "none": []},
    port_groups={"g": ["a", "b", "elsewhere"]},
    port_keys={"a": 1, "b": 2, "c": 3},
    residents={"a"},
)

WORLD = [
    Packet.of(
        {
            "eth.type": kind,
            "ip.proto": proto,
            "tcp.dst": tcp,
            "ip4.src": src,
            "reg0": reg,
            "inport": port,
            "ct_state": ct,
        }
    )
    for kind, proto in ((0x800, 6), (0x86DD, 6), (0x800, 17), (0x806, 6))
    for tcp, src, port in product((0, 2), (0x0A000000, 0x0A000002), (1, 3))
    for reg, ct in ((0, 0), (1, 0x20), (2, 0x21), (3, 1), (5, 0), (6, 0x20), (7, 0x21))
]

LEAVES = [
    "0",
    "ip4",
    "ip",
    "tcp",
    "tcp.dst == {0, 1, 3}",
    "tcp.dst != {0, 3}",
    "tcp.dst == 2",
    "ip4.src == $s",
    "ip4.src != $s",
    "ip4.src == 10.0.0.2/255.0.0.2",
    "ip4.src == $none",
    "reg0[0..2] == {1, 2, 5, 6}",
    "reg0[0..2] > 2",
    "reg0[0..2] <= 5",
    "1 <= reg0[0..2] < 6",
    "reg0[1]",
    "reg0[0..1] != 2/2",
    "xxreg0[96..98] != {0, 7}",
    'inport == "a"',
    "inport == @g",
    'inport == {"a", "c"}',
    "ct.new",
    "ct.trk",
    'is_chassis_resident("b")',
]


def _literals() -> list[Expr]:
    found = []
    for leaf in LEAVES:
        for text in (leaf, f"!({leaf})"):
            try:
                found.append(parse_match(text))
            except SyntaxProblem:
                continue  # nominal fields can't be negated
    return found


LITERALS = _literals()


def packets_of(expr: Expr) -> int:
    """The packets of the world that match by evaluation, as a bit set."""
    return sum(1 << n for n, packet in enumerate(WORLD) if evaluate(expr, packet, ENV))


def _matching(flow: FlowMatch) -> int:
    fields = [field for field in flow.fields if field[0] != "conj_id"]
    bits = 0
    for n, packet in enumerate(WORLD):
        if all(packet.openflow(name) & mask == value for name, value, mask in fields):
            bits |= 1 << n
    return bits


def packets_of_flows(flows: tuple[FlowMatch, ...]) -> int:
    """The packets of the world on which a switch carries out the actions, as a bit set."""
    clauses: defaultdict[int, dict[int, int]] = defaultdict(dict)
    totals: dict[int, int] = {}
    plain = 0
    finals: dict[int, int] = {}
    for flow in flows:
        bits = _matching(flow)
        number = next((value for name, value, _ in flow.fields if name == "conj_id"), None)
        if number is not None:
            finals[number] = bits
        elif not flow.conjunctions:
            plain |= bits
        for conj_id, clause, total in flow.conjunctions:
            clauses[conj_id][clause] = clauses[conj_id].get(clause, 0) | bits
            totals[conj_id] = total
    for number, bits in finals.items():
        assert sorted(clauses[number]) == list(range(1, totals[number] + 1))
        for clause in clauses[number].values():
            bits &= clause
        plain |= bits
    assert set(finals) == set(clauses) == set(range(len(finals)))
    return plain


def check(expr: Expr) -> bool:
    """Assert that both executors agree; true if there was a conjunction."""
    flows = compile_match(expr, ENV)
    assert packets_of_flows(flows) == packets_of(expr), format_match(expr)
    return any(flow.conjunctions for flow in flows)


def join(operator: str, *parts: Expr) -> Expr:
    return parse_match(f" {operator} ".join(f"({format_match(part)})" for part in parts))


def test_every_expression_of_one_term_agrees() -> None:
    assert len(LITERALS) > 30
    for expr in LITERALS:
        check(expr)


@pytest.mark.parametrize("operator", ["&&", "||"])
def test_every_expression_of_two_terms_agrees(operator: str) -> None:
    conjunctions = sum(check(join(operator, left, right)) for left, right in combinations_with_replacement(LITERALS, 2))
    assert (conjunctions > 0) == (operator == "&&")


def test_sampled_expressions_of_three_and_four_terms_agree() -> None:
    rng = random.Random(20)
    conjunctions = 0
    for _ in range(700):
        a, b, c, d = (rng.choice(LITERALS) for _ in range(4))
        outer, inner = rng.choice([("&&", "||"), ("||", "&&")])
        conjunctions += check(join(outer, a, join(inner, b, c)))
        conjunctions += check(join(outer, join(inner, a, b), join(inner, c, d)))
    assert conjunctions > 20


def test_negations_of_nested_expressions_agree() -> None:
    rng = random.Random(21)
    free = [expr for expr in LITERALS if not any(word in format_match(expr) for word in ("inport", "ip", "tcp"))]
    ordinal = [*free, *(parse_match(text) for text in ("tcp.dst != {0, 3}", "ip4.src == $s", "1 <= tcp.dst <= 2"))]
    for _ in range(300):
        a, b, c = (rng.choice(ordinal) for _ in range(3))
        outer, inner = rng.choice([("&&", "||"), ("||", "&&")])
        check(parse_match(f"!({format_match(join(outer, a, join(inner, b, c)))})"))


def test_the_module_s_own_switch_agrees_with_this_one() -> None:
    rng = random.Random(22)
    for _ in range(60):
        expr = join("&&", rng.choice(LITERALS), join("||", rng.choice(LITERALS), rng.choice(LITERALS)))
        flows = compile_match(expr, ENV)
        expected = packets_of(expr)
        for n, packet in enumerate(WORLD):
            assert flows_match(flows, packet) == bool(expected >> n & 1)
