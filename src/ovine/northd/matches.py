"""Matches that users write. Tests: tests/unit/northd/test_acl.py, tests/unit/northd/test_northd_rules.py."""

from __future__ import annotations

from ovine.language import SyntaxProblem, parse_match


def require_match(called: str, text: str) -> None:
    """Raises ValueError, with the place, if a match cannot be read; `called` names its row to the user."""
    try:
        parse_match(text)
    except SyntaxProblem as problem:
        where = f"at character {problem.position + 1} of {text!r}"
        raise ValueError(
            f"{called} has no effect, for its match cannot be read: {problem.message}, {where}"
        ) from problem
