"""From a stream of bytes to JSON texts: JSON-RPC over OVSDB puts no mark between messages (RFC 7047, section 4).

A message ends where its outermost brace closes. Most reads hold whole messages, but an initial monitor reply may be
tens of megabytes in hundreds of reads; each byte of it is looked at once, by C code only:

1. escapes are removed, then all bytes but quotes and braces (`bytes.translate`);
2. splitting at the quotes leaves what lies outside strings in every second part;
3. pairs `{}` are removed until none is left, so that closing braces, then opening ones remain: `}}{{{`.

If fewer braces close than are open, the message goes on. Only a read in which a message begins or ends is searched
with a regular expression, brace by brace. What has come of a long message is parsed while the rest comes, where it can
be cut (`ovine.ovsdb.pieces`).

Tests: tests/unit/ovsdb/test_framing.py.
"""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator
from typing import Any

import orjson

from ovine.ovsdb.errors import ProtocolError
from ovine.ovsdb.pieces import END_OF_ROW, ROWS, Pieces

MAX_MESSAGE = 1 << 30
"""The longest message that is accepted, in bytes."""
PIECE = 1 << 16
"""So many bytes of an unfinished message are parsed ahead."""

_BIG = 1 << 20
_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'{}"')))
_WHITESPACE = b" \t\r\n"
_TOKEN = re.compile(rb'[{}]|"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_STRING_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class Framer:
    """Cuts a byte stream into parsed JSON objects. `feed` raises ProtocolError; the framer is then of no more use."""

    def __init__(self, max_message: int = MAX_MESSAGE, piece: int = PIECE) -> None:
        self._max, self._piece = max_message, piece
        self._parts: list[bytes] = []
        """What has come of a message and is not parsed."""
        self._size = self._unparsed = 0
        self._depth = 0
        self._in_string = False
        self._escape = b""
        self._pieces: Pieces | None = None
        """What is parsed of a long message."""
        self._uncut = False
        """Whether the message is none that can be cut."""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yields the messages that `data` completes, in order."""
        if not self._depth and data[:1] == b"{" and data[-1:] == b"}" and b"}{" not in data:
            # Nearly always one whole message. If not, there is more to find out.
            try:
                message = parse(data)
            except ProtocolError:
                pass
            else:
                yield message
                return
        # A lone backslash at the end of the last read belongs to the first byte of this one.
        data, self._escape = self._escape + data, b""
        end = data.rfind(END_OF_ROW) if self._unparsed + len(data) >= self._piece else -1
        if end < 0:
            yield from self._take(data)
            return
        end = data.index(b",", end)
        yield from self._take(data[:end])
        if self._depth == ROWS and not self._in_string and not self._uncut:
            self._parse_ahead()
        yield from self._take(data[end:])

    def _take(self, data: bytes) -> Iterator[dict[str, Any]]:
        closing, opening, in_string, escape = _outline(data, self._in_string)
        if closing < self._depth:
            self._keep(data, self._depth - closing + opening, in_string, escape)
            return
        rest = 0
        for start, end, depth in _cut(data, self._depth, self._in_string):
            if end is None:
                self._keep(data[start:], depth, in_string, escape)
                return
            self._parts.append(data[start:end])
            text = b"".join(self._parts)
            pieces, self._pieces = self._pieces, None
            self._parts, self._size, self._unparsed, self._depth, self._in_string = [], 0, 0, 0, False
            self._uncut = False
            rest = end
            message = parse(text, pieces)
            # A big text must not live on while its message is worked on.
            del text, pieces
            yield message
        _only_space(data[rest:])

    def _keep(self, data: bytes, depth: int, in_string: bool, escape: bool) -> None:
        if escape:
            data, self._escape = data[:-1], data[-1:]
        self._parts.append(data)
        self._size += len(data)
        self._unparsed += len(data)
        self._depth, self._in_string = depth, in_string
        if self._size > self._max:
            raise ProtocolError(f"a message is longer than {self._max} bytes")

    def _parse_ahead(self) -> None:
        """Parses what has come, up to the end of a row."""
        text = b"".join(self._parts)
        with collector_paused(True):
            if self._pieces is None:
                self._pieces = Pieces.begin(text)
                self._uncut = self._pieces is None
            else:
                self._uncut = not self._pieces.add(text)
        if self._uncut:
            self._parts = [text]
        else:
            self._parts, self._unparsed = [], 0


def _cut(data: bytes, depth: int, in_string: bool) -> Iterator[tuple[int, int | None, int]]:
    """For each message where in `data` its bytes start and end, and 0; for an unfinished one start, None and depth."""
    start = position = 0
    if in_string:
        match = _STRING_END.match(data)
        if match is None:
            yield 0, None, depth
            return
        position = match.end()
    for match in _TOKEN.finditer(data, position):
        first = data[match.start()]
        if not depth:
            _only_space(data[start : match.start()])
        if first == 0x7B:
            depth += 1
        elif not depth:
            raise ProtocolError(f"expected a JSON object, got {_show(data[match.start() :])}")
        elif first == 0x7D:
            depth -= 1
            if not depth:
                yield start, match.end(), 0
                start = match.end()
    if depth:
        yield start, None, depth


def _only_space(data: bytes) -> None:
    rest = data.strip(_WHITESPACE)
    if rest:
        raise ProtocolError(f"expected a JSON object, got {_show(rest)}")


def _outline(data: bytes, in_string: bool) -> tuple[int, int, bool, bool]:
    """How many braces `data` closes and then opens, whether it ends inside a string, and inside an escape."""
    escape = False
    if b"\\" in data:
        escape = (len(data) - len(data.rstrip(b"\\"))) % 2 == 1
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts = data.translate(None, _NOT_STRUCTURE).split(b'"')
    outside = b"".join(parts[1 if in_string else 0 :: 2])
    ends_in_string = in_string == (len(parts) % 2 == 1)
    closing, opening = _balance(outside)
    return closing, opening, ends_in_string, escape


def _balance(braces: bytes) -> tuple[int, int]:
    for _ in range(32):
        shorter = braces.replace(b"{}", b"")
        if len(shorter) == len(braces):
            closing = braces.count(b"}")
            return closing, len(braces) - closing
        braces = shorter
    # Deeply nested, which no honest server sends: one pass, byte by byte, is still linear.
    closing = opening = 0
    for brace in braces:
        if brace == 0x7B:
            opening += 1
        elif opening:
            opening -= 1
        else:
            closing += 1
    return closing, opening


def parse(text: bytes, pieces: Pieces | None = None) -> dict[str, Any]:
    """One JSON object, or the rest of one."""
    with collector_paused(len(text) > _BIG):
        try:
            message = orjson.loads(text) if pieces is None else pieces.end(text)
        except ValueError as error:
            raise ProtocolError(f"malformed JSON: {error}: {_show(text)}") from None
    if not isinstance(message, dict):
        raise ProtocolError(f"expected a JSON object, got {_show(text)}")
    return message


@contextlib.contextmanager
def collector_paused(big: bool) -> Iterator[None]:
    """Lets the garbage collector rest during something big: it would walk a million new objects again and again."""
    pause = big and gc.isenabled()
    if pause:
        gc.disable()
    try:
        yield
    finally:
        if pause:
            gc.enable()


def encode(message: dict[str, Any]) -> bytes:
    """The bytes of one message. Raises ValueError for what JSON cannot carry, as an integer beyond 64 bits."""
    try:
        return orjson.dumps(message)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _show(data: bytes) -> str:
    return repr(data[:40]) + ("…" if len(data) > 40 else "")
