"""The one error of the logical-flow language: text that does not parse, and where.

Tests: tests/unit/language/test_match_cases.py, test_language_fuzz.py.
"""

from __future__ import annotations

_SHOWN = 60  # characters shown on either side of the place in a long line


class SyntaxProblem(ValueError):
    """A match or an action that cannot be understood.

    `text` is the whole input, `position` the offset in it (in characters; `len(text)` at the end), `message` one
    sentence for the author. `str()` shows the line with a caret under the place.
    """

    def __init__(self, text: str, position: int, message: str) -> None:
        super().__init__(text, position, message)
        self.text = text
        self.position = position
        self.message = message

    def __str__(self) -> str:
        start = self.text.rfind("\n", 0, self.position) + 1
        end = self.text.find("\n", self.position)
        line = self.text[start : end if end >= 0 else len(self.text)].replace("\t", " ")
        column = self.position - start
        cut = max(0, column - _SHOWN)
        shown = line[cut : column + _SHOWN]
        return f"{self.message}\n  {shown}\n  {' ' * (column - cut)}^"
