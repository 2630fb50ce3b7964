"""A long message, parsed piece by piece while it comes, so that no step of its work is long.

What makes messages long is table updates: rows by uuid in tables by name, in the message itself or in an array of it:

    {"method": "update3", "params": ["ovine", "…", {"Table": {"uuid": {…}, "uuid": {…}}, "Table": {…}}], "id": null}

Such a message may be cut between two rows, where three braces are open. Each piece is made a document of its own by
what is open before and after it, parsed, and added to what there is.

Invariant: the message is what parsing its whole text gives, in the order of its members, too.

Tests: tests/unit/ovsdb/test_framing.py.
"""

from __future__ import annotations

import secrets
from typing import Any

import orjson

ROWS = 3
"""So many braces are open between two rows."""
END_OF_ROW = b'}},"'
"""What may be the end of a row and the start of the next; only if so many braces are open and no string is."""

_MORE = secrets.token_hex(8)
"""Stands for the name of a member that a piece goes on with; no server can know it."""
_OPEN = _MORE.encode()
_SHAPES = (
    (b'{"' + _OPEN + b'":[{"' + _OPEN + b'":{', b"}}]}"),
    (b'{"' + _OPEN + b'":{"' + _OPEN + b'":{', b"}}}"),
)
"""What opens and closes the rows: in an array of the message, or directly in it."""


class Pieces:
    """The message as far as it has come. `begin` makes one."""

    def __init__(self, message: dict[str, Any], opening: bytes, closing: bytes) -> None:
        self._message = message
        self._opening, self._closing = opening, closing

    @classmethod
    def begin(cls, text: bytes) -> Pieces | None:
        """From the text up to the end of a row; None if the message is no table update."""
        for opening, closing in _SHAPES:
            try:
                return cls(orjson.loads(text + closing), opening, closing)
            except ValueError:
                continue
        return None

    def add(self, text: bytes) -> bool:
        """Goes on, up to the end of another row. False, and nothing is done, if that is no place to cut."""
        try:
            piece = orjson.loads(b"".join((self._opening, text.removeprefix(b","), self._closing)))
        except ValueError:
            return False
        self._join(piece)
        return True

    def end(self, text: bytes) -> dict[str, Any]:
        """The message, with its last piece. Raises ValueError if that is malformed."""
        self._join(orjson.loads(self._opening + text.removeprefix(b",")))
        return self._message

    def _join(self, piece: dict[str, Any]) -> None:
        value, more = _last(self._message), piece.pop(_MORE)
        if isinstance(value, list):
            items, others = value, more[1:]
            value, more = value[-1], more[0]
            items += others
        _last(value).update(more.pop(_MORE))
        value.update(more)
        self._message.update(piece)


def _last(members: dict[str, Any]) -> Any:
    return members[next(reversed(members))]
