"""Matches: the parser, its errors and the printer, by tests/cases/language/match.txt."""

from __future__ import annotations

import pytest

from ovine.language import (
    TRUE,
    And,
    Comparison,
    Constant,
    Literal,
    Not,
    References,
    SyntaxProblem,
    all_of,
    any_of,
    format_match,
    negation,
    parse_match,
    references,
    whole,
)
from support.language_cases import lines


@pytest.mark.parametrize(("text", "expected"), list(lines("match.txt")))
def test_a_match_is_printed_or_refused_as_the_case_says(text: str, expected: str) -> None:
    try:
        result = format_match(parse_match(text))
    except SyntaxProblem as problem:
        result = f"error {problem.position}: {problem.message}"
    assert result == expected


@pytest.mark.parametrize(
    ("text", "expected"), [case for case in lines("match.txt") if not case[1].startswith("error ")]
)
def test_what_is_printed_parses_to_an_equal_tree(text: str, expected: str) -> None:
    assert parse_match(expected) == parse_match(text)


def test_a_problem_shows_the_place_with_a_caret() -> None:
    with pytest.raises(SyntaxProblem) as caught:
        parse_match("ip4 &&\ntcp.dst == {80, foo}")
    assert str(caught.value) == "expected a constant or }\n  tcp.dst == {80, foo}\n                  ^"


def test_a_problem_in_a_very_long_line_shows_only_its_surroundings() -> None:
    with pytest.raises(SyntaxProblem) as caught:
        parse_match(" && ".join(["ip4"] * 200) + " && oops && " + " && ".join(["ip4"] * 200))
    shown = str(caught.value).splitlines()
    assert len(shown[1]) < 140
    assert shown[1][shown[2].index("^") :].startswith("oops")


def test_nesting_is_limited_instead_of_exhausting_the_stack() -> None:
    for text in ("(" * 5000 + "1" + ")" * 5000, "!" * 5000 + "ip.is_frag"):
        with pytest.raises(SyntaxProblem, match="nested deeper than 100"):
            parse_match(text)


def test_builders_keep_one_shape() -> None:
    bit = parse_match("reg0[0]")
    other = parse_match("reg0[1]")
    assert all_of([all_of([bit, other]), bit]) == And((bit, other, bit))
    assert any_of([bit]) == bit
    assert all_of([]) == TRUE
    assert any_of([]) == Literal(False)
    assert negation(negation(bit)) == bit
    assert negation(TRUE) == Literal(False)


def test_a_tree_holds_field_operator_and_constants() -> None:
    assert parse_match("!(tcp.src >= 0x50)") == Not(Comparison(whole("tcp.src"), ">=", (Constant(0x50, None, "hex"),)))


def test_references_name_everything_outside_the_packet() -> None:
    text = (
        'inport == {"a", @g} && (ip4.src == {$s, 10.0.0.1} || ip4.dst == ^t) && !is_chassis_resident("r")'
        ' && !(outport != "b")'
    )
    assert references(parse_match(text)) == References(
        frozenset({"s"}), frozenset({"g"}), frozenset({"a", "b"}), frozenset({"t"}), frozenset({"r"})
    )
    assert references(parse_match("ip4 || reg0 == 1")) == References()
