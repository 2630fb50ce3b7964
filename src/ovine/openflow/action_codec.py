"""Actions to bytes and back: one encoder and one decoder per kind, in two tables.

A standard action begins with type and length; a Nicira one with type 0xffff, length, experimenter 0x2320 and a
16-bit subtype.  All are padded to a multiple of 8 bytes.  An action of a kind that is not in the tables is read as
`Raw`; one that is in the tables but malformed is a ProtocolError.

Invariant: `decode_actions(encode_actions(a)) == a`.
Source: OpenFlow 1.5.1 §7.2.6, ovs-actions(7).  Tests: tests/unit/openflow/test_openflow_actions.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from ovine.openflow.actions import (
    REASON_NUMBERS,
    Action,
    Bundle,
    CheckPktLarger,
    Clone,
    Conjunction,
    Controller,
    Ct,
    CtClear,
    DecTtl,
    DeleteField,
    Exit,
    Group,
    Learn,
    Meter,
    Move,
    Nat,
    Note,
    Output,
    OutputReg,
    Pop,
    PopVlan,
    Push,
    PushVlan,
    Raw,
    Resubmit,
    Sample,
    SetField,
    SetQueue,
    Subfield,
    port_number,
)
from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.fields import NX_EXPERIMENTER
from ovine.openflow.learn_codec import decode_learn, encode_learn
from ovine.openflow.match import field_value, port16, port32, read_oxm
from ovine.openflow.wire import field_header, pad8, properties, property_bytes, read_field_header

_REASON_NAMES = {number: name for name, number in REASON_NUMBERS.items()}
_NX = struct.Struct("!HHIH")


def _standard(kind: int, body: bytes) -> bytes:
    data = pad8(b"\0\0\0\0" + body)
    return struct.pack("!HH", kind, len(data)) + data[4:]


def nicira(subtype: int, body: bytes) -> bytes:
    """A Nicira action; EncodeError if it is longer than its 16-bit length can say."""
    data = pad8(bytes(10) + body)
    if len(data) > 0xFFFF:
        raise EncodeError(f"an action of {len(data)} bytes is longer than OpenFlow allows")
    return _NX.pack(0xFFFF, len(data), NX_EXPERIMENTER, subtype) + data[10:]


def _ofs_nbits(sub: tuple[str, int, int]) -> int:
    return sub[1] << 6 | sub[2] - 1


def _read_ofs_nbits(name: str, packed: int) -> Subfield:
    return Subfield(name, packed >> 6, (packed & 0x3F) + 1)


def _short_header(name: str) -> bytes:
    header = field_header(name)
    if len(header) != 4:
        raise EncodeError(f"field {name} cannot be used here: its header is longer than 32 bits")
    return header


# --- standard actions ---------------------------------------------------------------------------------------------


def _output(action: Output) -> bytes:
    return _standard(0, struct.pack("!IH6x", port_number(action.port), 0))


def _read_output(body: bytes) -> Action:
    port, max_len = struct.unpack("!IH6x", body)
    return Controller(max_len=max_len) if port == 0xFFFFFFFD else Output(port)


def _u32(kind: int, attribute: str) -> Callable[[Any], bytes]:
    def encode(action: Any) -> bytes:
        return struct.pack("!HHI", kind, 8, getattr(action, attribute))

    return encode


def _read_u32(make: Callable[[int], Action]) -> Callable[[bytes], Action]:
    def decode(body: bytes) -> Action:
        return make(int.from_bytes(body, "big"))

    return decode


def _read_set_field(body: bytes) -> Action:
    known, value, mask, _end = read_oxm(body, 0, len(body))
    if known is None:
        return _unknown_field(body)
    return SetField(known.name, value if mask is None else value & mask, mask)


def _unknown_field(body: bytes) -> Raw:
    return Raw(struct.pack("!HH", 25, len(body) + 4) + body)


def _move(action: Move) -> bytes:
    offsets = struct.pack("!HHH2x", action.n_bits, action.src_offset, action.dst_offset)
    return _standard(28, offsets + field_header(action.src) + field_header(action.dst))


def _read_copy(body: bytes) -> Action:
    n_bits, src_offset, dst_offset = struct.unpack_from("!HHH2x", body)
    src, at = read_field_header(body, 8)
    dst, _at = read_field_header(body, at)
    return Move(src, src_offset, dst, dst_offset, n_bits)


# --- Nicira actions -----------------------------------------------------------------------------------------------


def _resubmit(action: Resubmit) -> bytes:
    port = 0xFFF8 if action.port is None else port16(port_number(action.port))
    return nicira(44 if action.ct else 14, struct.pack("!HB3x", port, 255 if action.table is None else action.table))


def _read_resubmit(ct: bool) -> Callable[[bytes], Action]:
    def decode(body: bytes) -> Action:
        port, table = struct.unpack("!HB3x", body)
        return Resubmit(port32(port), table, ct)

    return decode


def _stack(subtype: int) -> Callable[[Any], bytes]:
    def encode(action: Any) -> bytes:
        header = field_header(action.field)
        return nicira(subtype, struct.pack("!H", action.offset) + header + struct.pack("!H", action.n_bits))

    return encode


def _read_stack(make: type[Push] | type[Pop]) -> Callable[[bytes], Action]:
    def decode(body: bytes) -> Action:
        name, at = read_field_header(body, 2)
        return make(name, int.from_bytes(body[:2], "big"), struct.unpack_from("!H", body, at)[0])

    return decode


def _output_reg(action: OutputReg) -> bytes:
    packed, header = _ofs_nbits(action.source), field_header(action.source[0])
    if len(header) == 4:
        return nicira(15, struct.pack("!H", packed) + header + struct.pack("!H6x", 0xFFFF))
    return nicira(32, struct.pack("!HH", packed, 0xFFFF) + header)


def _read_output_reg(body: bytes) -> Action:
    name, _at = read_field_header(body, 2)
    return OutputReg(_read_ofs_nbits(name, int.from_bytes(body[:2], "big")))


def _read_output_reg2(body: bytes) -> Action:
    name, _at = read_field_header(body, 4)
    return OutputReg(_read_ofs_nbits(name, int.from_bytes(body[:2], "big")))


def _ct(action: Ct) -> bytes:
    if isinstance(action.zone, int):
        zone_src, zone = bytes(4), action.zone
    else:
        zone_src, zone = _short_header(action.zone[0]), _ofs_nbits(action.zone)
    flags = action.commit | action.force << 1
    table = 255 if action.table is None else action.table
    head = struct.pack("!H4sHB3xH", flags, zone_src, zone, table, action.alg)
    return nicira(35, head + encode_actions(action.actions))


def _read_ct(body: bytes, depth: int) -> Action:
    flags, zone_src, packed, table, alg = struct.unpack_from("!H4sHB3xH", body)
    zone: int | Subfield = packed
    if zone_src != bytes(4):
        zone = _read_ofs_nbits(read_field_header(zone_src, 0)[0], packed)
    inner = decode_actions(body, 14, len(body), depth)
    return Ct(bool(flags & 1), bool(flags & 2), zone, None if table == 255 else table, alg, inner)


_NAT_FLAGS = ((4, "persistent"), (8, "hash"), (16, "random"))


def _nat(action: Nat) -> bytes:
    flags = {"": 0, "src": 1, "dst": 2}[action.direction]
    flags |= sum(bit for bit, name in _NAT_FLAGS if getattr(action, name))
    present, values = 0, b""
    for shift, text in enumerate((action.ip_min, action.ip_max)):
        if text:
            address = ip_address(text)
            present |= (1 if address.version == 4 else 4) << shift
            values += address.packed
    for bit, port in ((16, action.port_min), (32, action.port_max)):
        if port:
            present |= bit
            values += struct.pack("!H", port)
    return nicira(36, struct.pack("!2xHH", flags, present) + values)


def _read_nat(body: bytes) -> Action:
    flags, present = struct.unpack_from("!2xHH", body)
    found: list[str] = ["", "", "", ""]
    ports, at = [0, 0], 6
    sizes = (4, 4, 16, 16)
    for i, size in enumerate(sizes):
        if present & 1 << i:
            raw = _exactly(body, at, size)
            found[i] = str(IPv4Address(raw) if size == 4 else IPv6Address(raw))
            at += size
    for i in range(2):
        if present & 16 << i:
            ports[i] = int.from_bytes(_exactly(body, at, 2), "big")
            at += 2
    direction = {0: "", 1: "src", 2: "dst"}.get(flags & 3)
    if direction is None:
        raise ProtocolError("a NAT action asks for both source and destination")
    named = {name: bool(flags & bit) for bit, name in _NAT_FLAGS}
    return Nat(direction, found[0] or found[2], found[1] or found[3], ports[0], ports[1], **named)


def _exactly(body: bytes, at: int, size: int) -> bytes:
    if at + size > len(body):
        raise ProtocolError("a NAT action ends inside its range")
    return body[at : at + size]


def _controller(action: Controller) -> bytes:
    reason = REASON_NUMBERS[action.reason]
    if not action.userdata and not action.pause and action.meter_id is None:
        return nicira(20, struct.pack("!HHBx", action.max_len, action.controller_id, reason))
    parts = [bytes(6)]
    if action.max_len != 0xFFFF:
        parts.append(property_bytes(0, struct.pack("!H2x", action.max_len)))
    if action.controller_id:
        parts.append(property_bytes(1, struct.pack("!H2x", action.controller_id)))
    if reason != 1:
        parts.append(property_bytes(2, struct.pack("!B3x", reason)))
    if action.userdata:
        parts.append(property_bytes(3, action.userdata))
    if action.pause:
        parts.append(property_bytes(4, b""))
    if action.meter_id is not None:
        parts.append(property_bytes(5, struct.pack("!I", action.meter_id)))
    return nicira(37, b"".join(parts))


def _read_controller(body: bytes) -> Action:
    max_len, controller_id, reason = struct.unpack("!HHBx", body)
    return Controller(max_len=max_len, controller_id=controller_id, reason=_reason(reason))


def _read_controller2(body: bytes) -> Action:
    given: dict[str, Any] = {}
    for kind, payload in properties(body, 6, len(body)):
        if kind == 0:
            given["max_len"] = int.from_bytes(payload[:2], "big")
        elif kind == 1:
            given["controller_id"] = int.from_bytes(payload[:2], "big")
        elif kind == 2:
            given["reason"] = _reason(int.from_bytes(payload[:1], "big"))
        elif kind == 3:
            given["userdata"] = payload
        elif kind == 4:
            given["pause"] = True
        elif kind == 5:
            given["meter_id"] = int.from_bytes(payload, "big")
        else:
            raise ProtocolError(f"unknown property {kind} of a controller action")
    return Controller(**given)


def _reason(number: int) -> str:
    if number not in _REASON_NAMES:
        raise ProtocolError(f"unknown packet-in reason {number}")
    return _REASON_NAMES[number]


def _conjunction(action: Conjunction) -> bytes:
    return nicira(34, struct.pack("!BBI", action.clause - 1, action.n_clauses, action.id))


def _read_conjunction(body: bytes) -> Action:
    clause, n_clauses, conj_id = struct.unpack("!BBI", body)
    return Conjunction(conj_id, clause + 1, n_clauses)


def _clone(action: Clone) -> bytes:
    return nicira(42, bytes(6) + encode_actions(action.actions))


def _read_clone(body: bytes, depth: int) -> Action:
    return Clone(decode_actions(body, 6, len(body), depth))


def _check_pkt_larger(action: CheckPktLarger) -> bytes:
    head = struct.pack("!HH", action.length, action.dst[1])
    return nicira(49, head + field_header(action.dst[0]))


def _read_check_pkt_larger(body: bytes) -> Action:
    length, offset = struct.unpack_from("!HH", body)
    return CheckPktLarger(length, Subfield(read_field_header(body, 4)[0], offset, 1))


def _sample(action: Sample) -> bytes:
    common = (action.probability, action.collector_set_id, action.obs_domain_id, action.obs_point_id)
    if action.sampling_port is None and not action.direction:
        return nicira(29, struct.pack("!HIII", *common))
    port = 0xFFFF if action.sampling_port is None else port16(port_number(action.sampling_port))
    return nicira(41, struct.pack("!HIIIHB5x", *common, port, action.direction))


def _read_sample(body: bytes) -> Action:
    if len(body) == 14:
        return Sample(*struct.unpack("!HIII", body))
    probability, collector, domain, point, port, direction = struct.unpack("!HIIIHB5x", body)
    return Sample(probability, collector, domain, point, None if port == 0xFFFF else port32(port), direction)


_IN_PORT_HEADER = 0x00000002


def _bundle(action: Bundle) -> bytes:
    # Algorithm 0 is active_backup; the hash fields and basis of the other algorithm mean nothing to it.
    head = struct.pack("!HHHIHHI4x", 0, 0, 0, _IN_PORT_HEADER, len(action.members), 0, 0)
    return nicira(12, head + struct.pack(f"!{len(action.members)}H", *action.members))


def _read_bundle(body: bytes) -> Action:
    algorithm, fields, basis, kind, count = struct.unpack_from("!HHHIH", body)
    if (algorithm, fields, basis, kind) != (0, 0, 0, _IN_PORT_HEADER):
        return Raw(nicira(12, body))
    return Bundle(struct.unpack_from(f"!{count}H", body, 22))


ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Output: _output,
    PushVlan: lambda action: _standard(17, struct.pack("!H", action.ethertype)),
    PopVlan: lambda action: _standard(18, bytes(4)),
    SetQueue: _u32(21, "queue_id"),
    Group: _u32(22, "group_id"),
    DecTtl: lambda action: _standard(24, bytes(4)),
    SetField: lambda action: _standard(25, field_value(action.field, action.value, action.mask)),
    Move: _move,
    Meter: _u32(29, "meter_id"),
    Bundle: _bundle,
    Note: lambda action: nicira(8, action.data),
    Resubmit: _resubmit,
    OutputReg: _output_reg,
    Learn: lambda action: nicira(*encode_learn(action)),
    Exit: lambda action: nicira(17, bytes(6)),
    Controller: _controller,
    Push: _stack(27),
    Pop: _stack(28),
    Sample: _sample,
    Conjunction: _conjunction,
    Ct: _ct,
    Nat: _nat,
    Clone: _clone,
    CtClear: lambda action: nicira(43, bytes(6)),
    CheckPktLarger: _check_pkt_larger,
    DeleteField: lambda action: nicira(50, field_header(action.field).ljust(14, b"\0")),
    Raw: lambda action: action.data,
}

_STANDARD_DECODERS: dict[int, Callable[[bytes], Action]] = {
    0: _read_output,
    17: lambda body: PushVlan(int.from_bytes(body[:2], "big")),
    18: lambda body: PopVlan(),
    21: _read_u32(SetQueue),
    22: _read_u32(Group),
    24: lambda body: DecTtl(),
    25: _read_set_field,
    28: _read_copy,
    29: _read_u32(Meter),
}

_NICIRA_DECODERS: dict[int, Callable[[bytes], Action]] = {
    8: Note,
    12: _read_bundle,
    14: _read_resubmit(False),
    15: _read_output_reg,
    16: lambda body: decode_learn(body, False),
    17: lambda body: Exit(),
    20: _read_controller,
    27: _read_stack(Push),
    28: _read_stack(Pop),
    29: _read_sample,
    32: _read_output_reg2,
    34: _read_conjunction,
    36: _read_nat,
    37: _read_controller2,
    41: _read_sample,
    43: lambda body: CtClear(),
    44: _read_resubmit(True),
    45: lambda body: decode_learn(body, True),
    49: _read_check_pkt_larger,
    50: lambda body: DeleteField(read_field_header(body, 0)[0]),
}


# Kinds that hold other actions.
_NESTING_DECODERS: dict[int, Callable[[bytes, int], Action]] = {35: _read_ct, 42: _read_clone}
# Open vSwitch itself gives up far below this.
_MAX_DEPTH = 64


@lru_cache(maxsize=16384)
def _encode_action(action: Action) -> bytes:
    encoder = ENCODERS.get(type(action))
    if encoder is None:
        raise EncodeError(f"{type(action).__name__} cannot stand in a list of actions")
    try:
        return encoder(action)
    except (struct.error, OverflowError) as error:
        raise EncodeError(f"a value in {str(action)[:200]} is too large: {error}") from None


def encode_actions(actions: tuple[Action, ...]) -> bytes:
    """A list of actions; EncodeError if one has a value that does not fit."""
    return b"".join([_encode_action(action) for action in actions])


def _one_deeper(decoder: Callable[[bytes, int], Action], depth: int) -> Callable[[bytes], Action]:
    return lambda body: decoder(body, depth + 1)


@lru_cache(maxsize=16384)
def _decode_action(data: bytes, depth: int) -> Action:
    kind = data[0] << 8 | data[1]
    decoder, start = _STANDARD_DECODERS.get(kind), 4
    if kind == 0xFFFF:
        if len(data) < 16:
            raise ProtocolError("an experimenter action is shorter than 16 bytes")
        _kind, _length, experimenter, subtype = _NX.unpack_from(data)
        known = experimenter == NX_EXPERIMENTER
        decoder, start = _NICIRA_DECODERS.get(subtype) if known else None, 10
        if known and subtype in _NESTING_DECODERS:
            decoder = _one_deeper(_NESTING_DECODERS[subtype], depth)
    if decoder is None:
        return Raw(data)
    try:
        return decoder(data[start:])
    except (struct.error, EncodeError) as error:
        raise ProtocolError(f"malformed action {data[:16].hex()}: {error}") from None


def decode_actions(data: bytes, at: int, end: int, depth: int = 0) -> tuple[Action, ...]:
    """The actions between two offsets, `depth` levels inside others.

    ProtocolError if a length lies, a known action is malformed, or the nesting is too deep.
    """
    if depth > _MAX_DEPTH:
        raise ProtocolError(f"actions are nested more than {_MAX_DEPTH} deep")
    actions = []
    while at < end:
        if at + 8 > end:
            raise ProtocolError("an action runs over the end of its list")
        length = data[at + 2] << 8 | data[at + 3]
        if length < 8 or length & 7 or at + length > end:
            raise ProtocolError(f"action length {length} does not fit its list")
        actions.append(_decode_action(data[at : at + length], depth))
        at += length
    return tuple(actions)
