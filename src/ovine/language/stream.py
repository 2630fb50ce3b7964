"""A cursor over tokens, and the parts of syntax that matches and actions share.

Every complaint goes through `Stream.fail`, so that it carries the place.

Tests: tests/unit/language/test_match_cases.py, test_action_cases.py.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final, NoReturn

from ovine.language.errors import SyntaxProblem
from ovine.language.lexer import Token, tokenize
from ovine.language.symbols import FIELDS, OVN_FIELDS, PREDICATES, Subfield
from ovine.language.values import Constant

MAX_DEPTH: Final = 100


class Stream:
    """Tokens and a position. `depth` counts open nestings, which are limited."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.index = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        """The token to be read next."""
        return self.tokens[self.index]

    def peek(self, ahead: int = 1) -> Token:
        """A later token; the end token if there are not so many."""
        return self.tokens[min(self.index + ahead, len(self.tokens) - 1)]

    def saw(self, start: int, kinds: Container[str]) -> bool:
        """True if a token of those kinds was read since token number `start`."""
        return any(token.kind in kinds for token in self.tokens[start : self.index])

    def take(self) -> Token:
        """Read the next token; the end token stays."""
        token = self.tokens[self.index]
        if token.kind != "end":
            self.index += 1
        return token

    def accept(self, kind: str) -> bool:
        """Read the next token if it is of that kind."""
        if self.tokens[self.index].kind != kind:
            return False
        self.take()
        return True

    def expect(self, kind: str, what: str | None = None) -> Token:
        """Read a token of that kind, or fail saying what was expected."""
        if self.token.kind != kind:
            self.fail(f"expected {what or kind}")
        return self.take()

    def accept_word(self, word: str) -> bool:
        """Read the next token if it is that name."""
        if self.token.kind != "id" or self.token.value != word:
            return False
        self.take()
        return True

    def expect_word(self, word: str) -> None:
        """Read that very name, or fail."""
        if not self.accept_word(word):
            self.fail(f'expected "{word}"')

    def fail(self, message: str, at: Token | None = None) -> NoReturn:
        """Raise SyntaxProblem at a token, by default the next one."""
        raise SyntaxProblem(self.text, (at or self.token).start, message)

    def descend(self) -> None:
        """Enter a nesting; fails when it is too deep."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels")

    def ascend(self) -> None:
        """Leave a nesting."""
        self.depth -= 1

    def integer(self, low: int, high: int, what: str) -> int:
        """Read a plain integer within bounds (inclusive)."""
        token = self.token
        constant = token.constant
        if constant is None or constant.mask is not None or constant.style not in ("dec", "hex"):
            self.fail(f"expected {what}, an integer")
        if not low <= constant.value <= high:
            self.fail(f"{what} must be between {low} and {high}")
        self.take()
        return constant.value

    def constant(self, what: str = "a constant") -> Constant:
        """Read any integer constant."""
        token = self.token
        if token.constant is None:
            self.fail(f"expected {what}")
        self.take()
        return token.constant

    def subfield(self) -> Subfield:
        """Read a field, or some bits of it: `f`, `f[n]`, `f[low..high]`."""
        token = self.expect("id", "the name of a field")
        entry = FIELDS.get(token.value)
        if entry is None:
            self.fail(_no_such_field(token.value), token)
        if self.token.kind != "[":
            return Subfield(entry.name, 0, entry.width)
        if entry.kind != "ordinal":
            self.fail(f"{entry.name} is a {entry.kind} field; it has no bits to select", token)
        self.take()
        low = self.integer(0, entry.width - 1, f"a bit of {entry.name}")
        high = low
        if self.accept(".."):
            high = self.integer(0, entry.width - 1, f"a bit of {entry.name}")
            if high < low:
                self.fail("the lower bit comes first: [low..high]", self.peek(-1))
        self.expect("]")
        return Subfield(entry.name, low, high - low + 1)


def _no_such_field(name: str) -> str:
    if name in PREDICATES:
        return f"{name} is a predicate, not a field"
    if name in OVN_FIELDS:
        return f"{name} can only be assigned, by itself"
    return f"there is no field {name}"
