"""One OpenFlow conversation without I/O: bytes in, events out.

The session cuts the byte stream into messages, negotiates the version (1.5 and nothing else), answers echo requests,
numbers what is sent, and remembers it until a barrier (or a bundle's commit) confirms it, so that an error can name
the message it refuses.  It reads no clock and no socket.

Invariants.  Events come in the order of the bytes, however the bytes are cut.  After a ProtocolError the session is
spent.  Memory is bounded: at most `MEMORY` unconfirmed messages are remembered, the oldest are forgotten first.
Tests: tests/unit/openflow/test_openflow_session.py, test_openflow_garbage.py.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

import msgspec

from ovine.openflow.errors import ProtocolError
from ovine.openflow.messages import (
    HEADER_SIZE,
    VERSION,
    BarrierReply,
    BundleAdd,
    BundleControl,
    EchoReply,
    EchoRequest,
    Message,
    check_version,
    decode,
    encode,
)
from ovine.openflow.switch import Error, Hello
from ovine.openflow.text import message_text

MEMORY = 65536
# Numbers wrap below 2^32; 0 is left to messages that nobody asked for.
_XID_LIMIT = 0xFFFFFFFF


class Ready(msgspec.Struct, frozen=True):
    """Both sides speak OpenFlow 1.5."""


class Received(msgspec.Struct, frozen=True):
    """A message came: an answer if `xid` is that of a message sent, else by the switch's own initiative."""

    xid: int
    message: Message


class Refused(msgspec.Struct, frozen=True):
    """The switch refused a message.  `message` is what was sent (None if the session no longer knows it)."""

    xid: int
    error: Error
    message: Message | None = None

    def __str__(self) -> str:
        what = "a message" if self.message is None else message_text(self.message)
        return f"{self.error.name}: the switch refused {what}"


Event: TypeAlias = Ready | Received | Refused


class Session:
    """The state of one conversation.  Feed it with `receive`, and send what `greet`, `send` and `receive` return."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._next_xid = 1
        self._ready = False
        self._unconfirmed: OrderedDict[int, Message] = OrderedDict()

    def greet(self) -> bytes:
        """The hello to begin with."""
        return encode(Hello(), self._take_xid())

    def _take_xid(self) -> int:
        xid = self._next_xid
        self._next_xid = xid + 1 if xid + 1 < _XID_LIMIT else 1
        return xid

    def send(self, message: Message) -> tuple[int, bytes]:
        """The number given to the message, and its bytes.  EncodeError leaves the session as it was."""
        data = encode(message, self._next_xid)
        xid = self._take_xid()
        self._unconfirmed[xid] = message
        if len(self._unconfirmed) > MEMORY:
            self._unconfirmed.popitem(last=False)
        return xid, data

    def receive(self, data: bytes) -> tuple[list[Event], bytes]:
        """What the bytes say, and the bytes to answer with (possibly none).  ProtocolError if they are no OpenFlow."""
        self._buffer += data
        events: list[Event] = []
        answer = b""
        for whole in self._cut():
            event, reply = self._take(*decode(whole))
            answer += reply
            if event is not None:
                events.append(event)
        return events, answer

    def _cut(self) -> list[bytes]:
        """The complete messages in the buffer, which are removed from it."""
        found, at, size = [], 0, len(self._buffer)
        while size - at >= HEADER_SIZE:
            length = self._buffer[at + 2] << 8 | self._buffer[at + 3]
            # Judged before the length is believed: whoever speaks another protocol would be awaited for ever.
            check_version(self._buffer[at], self._buffer[at + 1])
            if length < HEADER_SIZE:
                raise ProtocolError(f"a message header says {length} bytes, less than a header has")
            if size - at < length:
                break
            found.append(bytes(self._buffer[at : at + length]))
            at += length
        del self._buffer[:at]
        return found

    def _take(self, xid: int, message: Message) -> tuple[Event | None, bytes]:
        if isinstance(message, Hello):
            return self._greeted(message), b""
        if isinstance(message, EchoRequest):
            return None, encode(EchoReply(message.data), xid)
        if isinstance(message, Error):
            if not self._ready and message.type == 0:
                raise ProtocolError(f"the switch refuses OpenFlow 1.5: {_printable(message.data)}")
            sent = self._sent(xid)
            if isinstance(sent, BundleControl):
                self._end_bundle(sent.bundle_id)
            return Refused(xid, message, sent), b""
        if not self._ready:
            raise ProtocolError(f"the switch sent {type(message).__name__} before its hello")
        if isinstance(message, BarrierReply):
            self._confirm(xid)
        elif isinstance(message, BundleControl) and message.step in ("commit_reply", "discard_reply"):
            self._confirm(xid, message.bundle_id)
        return Received(xid, message), b""

    def _sent(self, xid: int) -> Message | None:
        """What was sent with this number; for a message in a bundle, that message."""
        message = self._unconfirmed.get(xid)
        return message.message if isinstance(message, BundleAdd) else message

    def _greeted(self, hello: Hello) -> Event:
        if VERSION not in hello.versions:
            offered = ", ".join(f"1.{version - 1}" for version in hello.versions) or "none"
            raise ProtocolError(
                f"the switch does not offer OpenFlow 1.5 (it offers {offered}); set the bridge's protocols"
            )
        self._ready = True
        return Ready()

    def _confirm(self, last_xid: int, bundle_id: int | None = None) -> None:
        """All that was sent up to this message has been judged: no error can come for it any more.

        It was a barrier, or the end of a bundle: Open vSwitch does one thing after the other.
        """
        if last_xid not in self._unconfirmed:
            if bundle_id is not None:
                self._end_bundle(bundle_id)
            return
        bundled: list[tuple[int, Message]] = []
        while self._unconfirmed:
            xid, message = self._unconfirmed.popitem(last=False)
            if isinstance(message, BundleAdd) and message.bundle_id != bundle_id:
                bundled.append((xid, message))
            if xid == last_xid:
                break
        # What is in a bundle is judged when the bundle is committed, not before.
        for xid, message in reversed(bundled):
            self._unconfirmed[xid] = message
            self._unconfirmed.move_to_end(xid, last=False)

    def _end_bundle(self, bundle_id: int) -> None:
        """The bundle was committed, refused or thrown away: its messages have been judged."""
        done = [x for x, m in self._unconfirmed.items() if isinstance(m, BundleAdd) and m.bundle_id == bundle_id]
        for xid in done:
            del self._unconfirmed[xid]


def _printable(data: bytes) -> str:
    return data.decode("ascii", "replace").rstrip("\0") or "no reason given"
