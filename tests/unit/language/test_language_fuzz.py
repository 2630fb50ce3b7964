"""No text whatsoever makes the parsers raise anything but SyntaxProblem, with a place inside the text."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ovine.language import (
    FIELDS,
    PREDICATES,
    SyntaxProblem,
    action_forms,
    compile_match,
    expand_templates,
    format_actions,
    format_match,
    parse_actions,
    parse_match,
    prerequisites,
)
from support.language_cases import ENVIRONMENT, blocks, lines

_SYMBOLS = """
== != < <= > >= && || ! ( ) { } [ ] , ; : - -- <-> = .. $as @pg ^tv 0 1 80 0x5 5/7 10.0.0.1 10.0.0.0/8 fe80::1
00:00:00:00:00:01 next ct_lb_mark backends hash_fields table pipeline select values log sample ct_commit trigger_event
event commit_lb_aff vip liveness childports obs_point is_chassis_resident "lsp" "" // /* \\
"""
WORDS = st.sampled_from(
    [
        *_SYMBOLS.split(),
        *sorted(FIELDS)[::5],
        *sorted(PREDICATES)[::5],
        *action_forms.CALLS,
        *action_forms.BLOCKS,
        *action_forms.PUT_OPTIONS,
    ]
)


def check_match(text: str) -> None:
    try:
        expr = parse_match(text)
    except SyntaxProblem as problem:
        check_problem(problem, text)
        return
    assert parse_match(format_match(expr)) == expr
    compile_match(expr, ENVIRONMENT)


def check_actions(text: str) -> None:
    try:
        found = parse_actions(text)
    except SyntaxProblem as problem:
        check_problem(problem, text)
        return
    assert parse_actions(format_actions(found)) == found
    prerequisites(found)


def check_problem(problem: SyntaxProblem, text: str) -> None:
    assert problem.text == text
    assert 0 <= problem.position <= len(text)
    assert problem.message
    assert "^" in str(problem).splitlines()[-1]


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60))
@example("\ud800")
@example('inport == "\\ud800"')
@example("9" * 5000)
@example("²")
@example("ip4.src == \uff11")
@example("{" * 5000)
@example("\x00")
def test_any_text_is_read_or_refused(text: str) -> None:
    check_match(text)
    check_actions(text)


@settings(max_examples=600, deadline=None)
@given(st.lists(WORDS, max_size=12), st.sampled_from(["", " "]))
def test_any_row_of_words_is_read_or_refused(words: list[str], between: str) -> None:
    check_match(between.join(words))
    check_actions(between.join(words))


@pytest.mark.parametrize(("name", "check"), [("match.txt", check_match), ("actions.txt", check_actions)])
def test_damaged_cases_are_read_or_refused(name: str, check: Callable[[str], None]) -> None:
    rng = random.Random(5)
    for text, _ in lines(name):
        for _ in range(6):
            at, size = rng.randrange(len(text) + 1), rng.choice([0, 0, 1, 3])
            check(
                text[:at] + rng.choice(["", ")", "(", ";", "=", '"', "}", "{", "9", "x", "$", ","]) + text[at + size :]
            )
        for end in range(len(text)):
            check(text[:end])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30), st.none() | st.text(max_size=5))
def test_expanding_templates_raises_nothing_else_either(text: str, value: str | None) -> None:
    try:
        expand_templates(text + "^a", lambda _: value)
    except SyntaxProblem as problem:
        check_problem(problem, text + "^a")


def test_flow_cases_are_matches() -> None:
    for text, _ in blocks("flows.txt"):
        check_match(text)
