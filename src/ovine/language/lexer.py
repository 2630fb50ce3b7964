"""Text to tokens, for matches and actions alike.

Kinds of tokens: `id`, `string`, `int` (any integer constant, its mask included), `as` ($name), `pg` (@name), `tv`
(^name), `end`, and punctuation, whose kind is its own text.

`/` straight after a constant starts its mask, unless it starts a comment.

Tests: tests/unit/language/test_lexer.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from ovine.language.errors import SyntaxProblem
from ovine.language.values import Constant, parse_constant


class Token(NamedTuple):
    """One word of the language. `value` is the name or string without its marks; `constant` is set for `int`."""

    kind: str
    value: str
    start: int
    end: int
    constant: Constant | None = None


_PLAIN: Final = (
    r"(?:[0-9a-fA-F]{1,4}:|::)[0-9a-fA-F:.]*"  # Ethernet or IPv6; a lone ':' is punctuation
    r"|0[xX][0-9a-fA-F]+"
    r"|[0-9]+(?:\.[0-9]+){3}"
    r"|[0-9]+"
)
_TOKEN: Final = re.compile(
    rf"""(?P<space>[ \t\r\n]+|//[^\n]*|/\*[^\n]*?\*/)
       |(?P<int>(?:{_PLAIN})(?:/(?![/*])(?:{_PLAIN}))?)
       |(?P<id>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)
       |(?P<string>"(?:[^"\\\n]|\\.)*")
       |(?P<as>\$[A-Za-z_.][A-Za-z0-9_.]*)
       |(?P<pg>@[A-Za-z_.][A-Za-z0-9_.]*)
       |(?P<tv>\^[A-Za-z_.][A-Za-z0-9_.]*)
       |(?P<punct><->|\.\.|--|==|!=|<=|>=|&&|\|\||[(){{}}\[\]<>!=,;:\-])""",
    re.VERBOSE | re.ASCII,
)
_WORD_AFTER_NUMBER: Final = re.compile(r"[A-Za-z0-9_]", re.ASCII)
_TEMPLATE: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*[^\n]*?\*/|\^([A-Za-z_.][A-Za-z0-9_.]*)', re.ASCII)


def tokenize(text: str) -> list[Token]:
    """Split a match or actions into tokens; the last one is `end`. Raises SyntaxProblem."""
    tokens: list[Token] = []
    position, size = 0, len(text)
    match = _TOKEN.match
    while position < size:
        found = match(text, position)
        if found is None:
            raise SyntaxProblem(text, position, _complaint(text, position))
        end = found.end()
        kind = found.lastgroup
        if kind == "id":
            tokens.append(Token("id", found.group(), position, end))
        elif kind == "punct":
            tokens.append(Token(found.group(), found.group(), position, end))
        elif kind == "int":
            tokens.append(_integer(text, found.group(), position, end))
        elif kind == "string":
            tokens.append(Token("string", _string(text, found.group(), position), position, end))
        elif kind != "space":
            assert kind is not None
            tokens.append(Token(kind, found.group()[1:], position, end))
        position = end
    tokens.append(Token("end", "", size, size))
    return tokens


def expand_templates(text: str, template: Callable[[str], str | None]) -> str:
    """Put the values of `^name` variables into a match or actions, outside strings and comments.

    Raises SyntaxProblem for a variable that has no value on this chassis.
    """
    if "^" not in text:
        return text

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group()
        expansion = template(name)
        if expansion is None:
            raise SyntaxProblem(text, found.start(), f"the template variable ^{name} has no value on this chassis")
        return expansion

    return _TEMPLATE.sub(value, text)


def _integer(text: str, word: str, start: int, end: int) -> Token:
    if _WORD_AFTER_NUMBER.match(text, end):
        raise SyntaxProblem(text, start, "this is neither a number nor a name")
    try:
        return Token("int", word, start, end, parse_constant(word))
    except ValueError as problem:
        raise SyntaxProblem(text, start, str(problem)) from None


def _string(text: str, word: str, start: int) -> str:
    try:
        value = json.loads(word)
        value.encode()  # half of a surrogate pair is no text, and no OVSDB value
    except ValueError:
        raise SyntaxProblem(text, start, "this is not a JSON string") from None
    assert isinstance(value, str)
    return value


def _complaint(text: str, position: int) -> str:
    here = text[position]
    if here == '"':
        return "this string has no end"
    if here in "$@^":
        return f"a name must follow {here}"
    if text.startswith("/*", position):
        return "this comment has no end on its line"
    if here in "&|":
        return f"a single {here} has no meaning; use {here * 2}"
    return f"{here!r} has no meaning here"
