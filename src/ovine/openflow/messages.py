"""Whole OpenFlow 1.5 messages: the header, the table of kinds, `encode` and `decode`, multipart replies, bundles.

A message is one of the frozen values of this package; `encode(message, xid)` gives its bytes, `decode(data)` the pair
(xid, message).  A message of a kind that is not in the tables is read as `Unknown`.

Invariant: `decode` raises nothing but ProtocolError, whatever the bytes.
Source: OpenFlow 1.5.1 §7.1.  Tests: tests/unit/openflow/test_openflow_messages.py, test_openflow_garbage.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from ovine.openflow import conntrack, flow, group, packet, switch
from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.fields import NX_EXPERIMENTER

VERSION = switch.VERSION
HEADER_SIZE = 8
_HEADER = struct.Struct("!BBHI")


class EchoRequest(msgspec.Struct, frozen=True):
    """Are you there?  The reply repeats `data`."""

    data: bytes = b""


class EchoReply(msgspec.Struct, frozen=True):
    """The answer to an echo request."""

    data: bytes = b""


class FeaturesRequest(msgspec.Struct, frozen=True):
    """Ask what the switch is."""


class BarrierRequest(msgspec.Struct, frozen=True):
    """Ask the switch to finish all that was sent before."""


class BarrierReply(msgspec.Struct, frozen=True):
    """All that was sent before the barrier is done."""


BundleStep = Literal["open", "open_reply", "close", "close_reply", "commit", "commit_reply", "discard", "discard_reply"]
_BUNDLE_STEPS: tuple[BundleStep, ...] = (
    "open",
    "open_reply",
    "close",
    "close_reply",
    "commit",
    "commit_reply",
    "discard",
    "discard_reply",
)
BUNDLE_ATOMIC, BUNDLE_ORDERED = 1, 2


class BundleControl(msgspec.Struct, frozen=True):
    """A step in a bundle's life, or the switch's answer to it."""

    bundle_id: int
    step: BundleStep
    flags: int = BUNDLE_ATOMIC | BUNDLE_ORDERED


class BundleAdd(msgspec.Struct, frozen=True):
    """Put a message into a bundle; it takes effect when the bundle is committed."""

    bundle_id: int
    message: Message
    flags: int = BUNDLE_ATOMIC | BUNDLE_ORDERED


class MultipartReply(msgspec.Struct, frozen=True):
    """One part of the answer to a multipart request; `more` says that others follow."""

    kind: int
    more: bool
    items: tuple[Any, ...]


class Unknown(msgspec.Struct, frozen=True):
    """A message that this package does not interpret."""

    type: int
    body: bytes


Message: TypeAlias = msgspec.Struct


def _nothing(message: Any) -> bytes:
    return b""


def _data(message: Any) -> bytes:
    found: bytes = message.data
    return found


def _nicira(subtype: int, body: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    head = struct.pack("!II", NX_EXPERIMENTER, subtype)

    def encode(message: Any) -> bytes:
        return head + body(message)

    return encode


def _multipart(kind: int, body: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    head = struct.pack("!HH4x", kind, 0)

    def encode(message: Any) -> bytes:
        return head + body(message)

    return encode


def _bundle_control(message: BundleControl) -> bytes:
    return struct.pack("!IHH", message.bundle_id, _BUNDLE_STEPS.index(message.step), message.flags)


_FLOW_DESC, _AGGREGATE, _GROUP_DESC, _METER_CONFIG, _PORT_DESC = 1, 2, 7, 10, 13
_ERROR, _EXPERIMENTER, _MULTIPART_REQUEST, _MULTIPART_REPLY, _BUNDLE_ADD = 1, 4, 18, 19, 34

# Kind of message -> (OpenFlow type, encoder of the body).  BundleAdd is apart: its content repeats the header's xid.
_ENCODERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    switch.Hello: (0, switch.encode_hello),
    switch.Error: (_ERROR, switch.encode_error),
    EchoRequest: (2, _data),
    EchoReply: (3, _data),
    FeaturesRequest: (5, _nothing),
    switch.FeaturesReply: (6, switch.encode_features),
    switch.SwitchConfig: (9, lambda m: struct.pack("!HH", m.flags, m.miss_send_len)),
    switch.PortStatus: (12, switch.encode_port_status),
    packet.PacketOut: (13, packet.encode_packet_out),
    flow.FlowMod: (14, flow.encode_flow_mod),
    group.GroupMod: (15, group.encode_group_mod),
    BarrierRequest: (20, _nothing),
    BarrierReply: (21, _nothing),
    switch.SetAsync: (28, switch.encode_set_async),
    group.MeterMod: (29, group.encode_meter_mod),
    BundleControl: (33, _bundle_control),
    flow.FlowStatsRequest: (_MULTIPART_REQUEST, _multipart(_FLOW_DESC, flow.encode_flow_stats_request)),
    flow.AggregateRequest: (_MULTIPART_REQUEST, _multipart(_AGGREGATE, flow.encode_flow_stats_request)),
    group.GroupDescRequest: (_MULTIPART_REQUEST, _multipart(_GROUP_DESC, group.encode_group_desc_request)),
    group.MeterConfigRequest: (_MULTIPART_REQUEST, _multipart(_METER_CONFIG, group.encode_meter_config_request)),
    switch.PortDescRequest: (_MULTIPART_REQUEST, _multipart(_PORT_DESC, switch.encode_port_desc_request)),
    switch.SetPacketInFormat: (_EXPERIMENTER, _nicira(16, lambda m: struct.pack("!I", m.format))),
    switch.SetControllerId: (_EXPERIMENTER, _nicira(20, lambda m: struct.pack("!6xH", m.controller_id))),
    switch.TlvTableMod: (_EXPERIMENTER, _nicira(24, switch.encode_tlv_mod)),
    switch.TlvTableRequest: (_EXPERIMENTER, _nicira(25, _nothing)),
    switch.TlvTableReply: (_EXPERIMENTER, _nicira(26, switch.encode_tlv_reply)),
    packet.Resume: (_EXPERIMENTER, _nicira(28, packet.encode_resume)),
    conntrack.CtFlushZone: (_EXPERIMENTER, _nicira(29, lambda m: struct.pack("!6xH", m.zone))),
    packet.PacketIn: (_EXPERIMENTER, _nicira(30, packet.encode_packet_in)),
    conntrack.CtFlush: (_EXPERIMENTER, _nicira(32, conntrack.encode_flush)),
}


def encode(message: Message, xid: int = 0) -> bytes:
    """The bytes of a message.

    EncodeError if a value does not fit, or the message is longer than 65,535 bytes.
    """
    entry = _ENCODERS.get(type(message))
    if entry is not None:
        kind = entry[0]
        try:
            body = entry[1](message)
        except (struct.error, OverflowError) as error:
            raise EncodeError(f"{type(message).__name__}: {error}") from None
    elif isinstance(message, BundleAdd):
        kind, body = _BUNDLE_ADD, _bundle_add(message, xid)
    elif isinstance(message, Unknown):
        kind, body = message.type, message.body
    else:
        raise EncodeError(f"{type(message).__name__} is not a message that can be sent")
    length = len(body) + HEADER_SIZE
    if length > 0xFFFF:
        raise EncodeError(f"{type(message).__name__} of {length} bytes is longer than an OpenFlow message can be")
    return _HEADER.pack(VERSION, kind, length, xid) + body


def _bundle_add(message: BundleAdd, xid: int) -> bytes:
    return struct.pack("!I2xH", message.bundle_id, message.flags) + encode(message.message, xid)


def bundle(
    messages: Iterable[Message], bundle_id: int = 1, flags: int = BUNDLE_ATOMIC | BUNDLE_ORDERED
) -> Iterator[Message]:
    """The messages that make `messages` one transaction, but for the commit: open, and one add for each.

    Atomic: all take effect or none, and no packet sees a mixture.  Only flow-mods, group-mods and packet-outs can be
    in a bundle; the switch refuses others.
    """
    yield BundleControl(bundle_id, "open", flags)
    for message in messages:
        yield BundleAdd(bundle_id, message, flags)


def commit(bundle_id: int = 1, flags: int = BUNDLE_ATOMIC | BUNDLE_ORDERED) -> Message:
    """The message that lets a bundle take effect."""
    return BundleControl(bundle_id, "commit", flags)


# --- decoding -----------------------------------------------------------------------------------------------------

Decoder = Callable[[bytes, int, int], Any]


def _decode_bundle_control(data: bytes, at: int, end: int) -> BundleControl:
    bundle_id, number, flags = struct.unpack_from("!IHH", data, at)
    if number >= len(_BUNDLE_STEPS):
        raise ProtocolError(f"unknown bundle control type {number}")
    return BundleControl(bundle_id, _BUNDLE_STEPS[number], flags)


def _decode_bundle_add(data: bytes, at: int, end: int) -> BundleAdd:
    bundle_id, flags = struct.unpack_from("!I2xH", data, at)
    at += 8
    if at + HEADER_SIZE > end:
        raise ProtocolError("a bundle-add without a message")
    length = data[at + 2] << 8 | data[at + 3]
    # Properties may follow the message, behind padding; none are in use.
    if length < HEADER_SIZE or at + length > end:
        raise ProtocolError(f"length {length} of a message in a bundle does not fit")
    if data[at + 1] == _BUNDLE_ADD:
        raise ProtocolError("a bundle inside a bundle")
    return BundleAdd(bundle_id, decode(data[at : at + length])[1], flags)


_MULTIPART_ITEMS: dict[int, Decoder] = {
    _FLOW_DESC: flow.decode_flow_descs,
    _AGGREGATE: flow.decode_aggregate,
    _GROUP_DESC: group.decode_group_descs,
    _METER_CONFIG: group.decode_meter_configs,
    _PORT_DESC: switch.decode_ports,
}


def _decode_multipart(data: bytes, at: int, end: int) -> Any:
    kind, flags = struct.unpack_from("!HH4x", data, at)
    decoder = _MULTIPART_ITEMS.get(kind)
    items = (data[at + 8 : end],) if decoder is None else tuple(decoder(data, at + 8, end))
    return MultipartReply(kind, bool(flags & 1), items)


def _decode_pair(make: Callable[[int, int], Any]) -> Decoder:
    return lambda data, at, end: make(*struct.unpack("!HH", data[at:end]))


_DECODERS: dict[int, Decoder] = {
    0: switch.decode_hello,
    _ERROR: switch.decode_error,
    2: lambda data, at, end: EchoRequest(data[at:end]),
    3: lambda data, at, end: EchoReply(data[at:end]),
    5: lambda data, at, end: FeaturesRequest(),
    6: switch.decode_features,
    9: _decode_pair(switch.SwitchConfig),
    11: flow.decode_flow_removed,
    12: switch.decode_port_status,
    13: packet.decode_packet_out,
    14: flow.decode_flow_mod,
    15: group.decode_group_mod,
    _MULTIPART_REPLY: _decode_multipart,
    20: lambda data, at, end: BarrierRequest(),
    21: lambda data, at, end: BarrierReply(),
    28: switch.decode_set_async,
    29: group.decode_meter_mod,
    33: _decode_bundle_control,
    _BUNDLE_ADD: _decode_bundle_add,
}

_NICIRA_DECODERS: dict[int, Decoder] = {
    16: lambda data, at, end: switch.SetPacketInFormat(*struct.unpack("!I", data[at:end])),
    20: lambda data, at, end: switch.SetControllerId(*struct.unpack("!6xH", data[at:end])),
    24: switch.decode_tlv_mod,
    25: lambda data, at, end: switch.TlvTableRequest(),
    26: switch.decode_tlv_reply,
    29: lambda data, at, end: conntrack.CtFlushZone(*struct.unpack("!6xH", data[at:end])),
    30: packet.decode_packet_in,
    32: conntrack.decode_flush,
}


def _decoder(kind: int, data: bytes) -> tuple[Decoder | None, int]:
    """The decoder for a message and the offset where its body begins."""
    if kind != _EXPERIMENTER:
        return _DECODERS.get(kind), HEADER_SIZE
    if len(data) < 16:
        raise ProtocolError("an experimenter message is shorter than 16 bytes")
    experimenter, subtype = struct.unpack_from("!II", data, HEADER_SIZE)
    return (_NICIRA_DECODERS.get(subtype) if experimenter == NX_EXPERIMENTER else None), HEADER_SIZE + 8


def check_version(version: int, kind: int) -> None:
    """ProtocolError unless a message of this type may carry this version: hello and error may carry any."""
    if version != VERSION and (kind not in (0, _ERROR) or not version or version > 0x10):
        raise ProtocolError(f"OpenFlow version {version:#04x} instead of {VERSION:#04x}")


def decode(data: bytes) -> tuple[int, Message]:
    """(xid, message) of exactly one message; ProtocolError if its header or content is malformed.

    A hello or an error may carry another version than 1.5 in its header: that is how versions are negotiated.
    """
    if len(data) < HEADER_SIZE:
        raise ProtocolError(f"{len(data)} bytes are no OpenFlow message")
    version, kind, length, xid = _HEADER.unpack_from(data)
    if length != len(data):
        raise ProtocolError(f"the header says {length} bytes, but the message has {len(data)}")
    check_version(version, kind)
    decoder, at = _decoder(kind, data)
    if decoder is None:
        return xid, Unknown(kind, data[HEADER_SIZE:])
    try:
        return xid, decoder(data, at, length)
    except (struct.error, EncodeError) as error:
        raise ProtocolError(f"malformed message of type {kind}: {error}") from None
