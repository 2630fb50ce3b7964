"""Packets between switch and controller: packet-in (Nicira's format 2), resume, packet-out.

A packet-in made by `Controller(pause=True)` carries a *continuation*, an opaque value in which the switch keeps the
rest of its work; `Resume` sends it back with the packet and pipeline fields to go on with.

Source: ovs-actions(7), controller; OpenFlow 1.5.1 §7.3.6.  Tests: tests/unit/openflow/test_openflow_messages.py,
tests/packets/openflow/test_openflow_switch.py.
"""

from __future__ import annotations

import struct

import msgspec
from msgspec.structs import force_setattr

from ovine.openflow.action_codec import decode_actions, encode_actions
from ovine.openflow.actions import PORTS, REASON_NUMBERS, Action, port_number
from ovine.openflow.errors import ProtocolError
from ovine.openflow.match import Match, decode_match, decode_oxms, encode_match, encode_oxms, normalise
from ovine.openflow.wire import properties, property_bytes

_NO_BUFFER = 0xFFFFFFFF
_REASON_NAMES = {number: name for name, number in REASON_NUMBERS.items()}
_PACKET, _FULL_LEN, _BUFFER_ID, _TABLE, _COOKIE, _REASON, _METADATA, _USERDATA, _CONTINUATION = range(9)


class PacketIn(msgspec.Struct, frozen=True):
    """A packet that reached the controller.

    `match` holds the pipeline fields (in_port, registers, metadata, tunnel, conntrack).  `full_len` is the packet's
    length in the switch, more than len(packet) if the action's max_len cut it.  `table` and `cookie` are those of the
    flow that sent it (None if the switch does not say).
    """

    packet: bytes
    match: Match = ()
    table: int | None = None
    cookie: int | None = None
    reason: str = "action"
    userdata: bytes = b""
    continuation: bytes = b""
    full_len: int = 0

    @property
    def in_port(self) -> int | None:
        """The OpenFlow port number it came in by, or None."""
        return self.field("in_port")

    def field(self, name: str) -> int | None:
        """The value of a pipeline field, or None if the switch did not report it (then it is zero)."""
        for entry in self.match:
            if entry[0] == name:
                return entry[1]
        return None


class Resume(msgspec.Struct, frozen=True):
    """Let a paused packet go on, as `packet` (None: unchanged), with pipeline fields in `changes` overwritten."""

    packet_in: PacketIn
    packet: bytes | None = None
    changes: Match = ()


class PacketOut(msgspec.Struct, frozen=True):
    """Run actions on a packet.

    `in_port` is the port it seems to have come from; `metadata` may give further pipeline fields.
    """

    in_port: int | str
    actions: tuple[Action, ...]
    data: bytes
    metadata: Match = ()

    def __post_init__(self) -> None:
        force_setattr(self, "in_port", port_number(self.in_port))
        force_setattr(self, "metadata", normalise(self.metadata))


def encode_packet_in(message: PacketIn) -> bytes:
    """The body of NXT_PACKET_IN2, as the switch sends it."""
    parts = [property_bytes(_PACKET, message.packet)]
    if message.full_len:
        parts.append(property_bytes(_FULL_LEN, struct.pack("!I", message.full_len)))
    if message.table is not None:
        parts.append(property_bytes(_TABLE, struct.pack("!B3x", message.table)))
    if message.cookie is not None:
        parts.append(property_bytes(_COOKIE, struct.pack("!4xQ", message.cookie)))
    parts.append(property_bytes(_REASON, struct.pack("!B3x", REASON_NUMBERS[message.reason])))
    parts.append(property_bytes(_METADATA, encode_oxms(message.match)))
    if message.userdata:
        parts.append(property_bytes(_USERDATA, message.userdata))
    if message.continuation:
        parts.append(property_bytes(_CONTINUATION, message.continuation))
    return b"".join(parts)


def decode_packet_in(data: bytes, at: int, end: int) -> PacketIn:
    """NXT_PACKET_IN2 from its body; ProtocolError if it has no packet or a property is malformed."""
    found = dict(properties(data, at, end))
    if _PACKET not in found:
        raise ProtocolError("a packet-in carries no packet")
    table, cookie, length = found.get(_TABLE), found.get(_COOKIE), found.get(_FULL_LEN)
    reason = int.from_bytes(found.get(_REASON, b"\x01")[:1], "big")
    if reason not in _REASON_NAMES:
        raise ProtocolError(f"unknown packet-in reason {reason}")
    metadata = found.get(_METADATA, b"")
    return PacketIn(
        found[_PACKET],
        decode_oxms(metadata, 0, len(metadata)),
        None if table is None else int.from_bytes(table[:1], "big"),
        None if cookie is None else int.from_bytes(cookie, "big"),
        _REASON_NAMES[reason],
        found.get(_USERDATA, b""),
        found.get(_CONTINUATION, b""),
        0 if length is None else int.from_bytes(length, "big"),
    )


def encode_resume(message: Resume) -> bytes:
    """The body of NXT_RESUME."""
    changed = {entry[0] for entry in normalise(message.changes)}
    kept = tuple(entry for entry in message.packet_in.match if entry[0] not in changed)
    packet = message.packet_in.packet if message.packet is None else message.packet
    return encode_packet_in(
        PacketIn(
            packet,
            normalise(kept + message.changes),
            message.packet_in.table,
            message.packet_in.cookie,
            message.packet_in.reason,
            message.packet_in.userdata,
            message.packet_in.continuation,
        )
    )


def encode_packet_out(message: PacketOut) -> bytes:
    """The body of a packet-out."""
    actions = encode_actions(message.actions)
    port = port_number(message.in_port)
    head = struct.pack("!IH2x", _NO_BUFFER, len(actions))
    # PORTS["ANY"] and TABLE make no sense here; the switch refuses them by name.
    return head + encode_match(normalise((*message.metadata, ("in_port", port, None)))) + actions + message.data


def decode_packet_out(data: bytes, at: int, end: int) -> PacketOut:
    """A packet-out from its body."""
    _buffer, length = struct.unpack_from("!IH2x", data, at)
    entries, at = decode_match(data, at + 8, end)
    if at + length > end:
        raise ProtocolError("the actions of a packet-out run over its end")
    ports = [entry[1] for entry in entries if entry[0] == "in_port"]
    metadata = tuple(entry for entry in entries if entry[0] != "in_port")
    in_port = ports[0] if ports else PORTS["ANY"]
    return PacketOut(in_port, decode_actions(data, at, at + length), data[at + length : end], metadata)
