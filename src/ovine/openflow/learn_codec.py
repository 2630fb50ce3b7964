"""The learn action's bytes: a fixed head, then flow-mod specifications, then zero padding.

A specification begins with 16 bits: 2 unused, 1 for "source is an immediate value", 2 for the destination (match,
load, output), 11 for the width in bits.  Then comes the source (field header and offset, or the value in an even
number of bytes) and, unless the destination is output, the destination (field header and offset).

Source: ovs-actions(7), learn.  Tests: tests/unit/openflow/test_openflow_actions.py.
"""

from __future__ import annotations

import struct

from ovine.openflow.actions import Learn, LearnLoad, LearnMatch, LearnOutput, LearnSpec, Subfield
from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.fields import FIELDS
from ovine.openflow.wire import field_header, read_field_header

_HEAD = struct.Struct("!HHHQHBxHH")
_IMMEDIATE = 1 << 13
_LOAD = 1 << 11
_OUTPUT = 2 << 11
_SEND_FLOW_REMOVED, _DELETE_LEARNED, _WRITE_RESULT = 1, 2, 4


def _place(sub: tuple[str, int, int]) -> bytes:
    return field_header(sub[0]) + struct.pack("!H", sub[1])


def _spec(spec: LearnSpec) -> bytes:
    if isinstance(spec, LearnOutput):
        return struct.pack("!H", _OUTPUT | spec.src[2]) + _place(spec.src)
    n_bits = spec.dst[2]
    kind = _LOAD if isinstance(spec, LearnLoad) else 0
    if isinstance(spec.src, int):
        value = spec.src.to_bytes((n_bits + 15) // 16 * 2, "big")
        return struct.pack("!H", _IMMEDIATE | kind | n_bits) + value + _place(spec.dst)
    return struct.pack("!H", kind | n_bits) + _place(spec.src) + _place(spec.dst)


def encode_learn(learn: Learn) -> tuple[int, bytes]:
    """The Nicira subtype (learn, or learn2 where a limit or result is wanted) and what follows it."""
    flags = learn.send_flow_removed * _SEND_FLOW_REMOVED | learn.delete_learned * _DELETE_LEARNED
    wide = bool(learn.limit or learn.result)
    if learn.result is not None:
        flags |= _WRITE_RESULT
    timeouts = (learn.idle_timeout, learn.hard_timeout, learn.priority, learn.cookie)
    body = _HEAD.pack(*timeouts, flags, learn.table, learn.fin_idle_timeout, learn.fin_hard_timeout)
    if wide:
        offset = learn.result[1] if learn.result is not None else 0
        body += struct.pack("!IHH", learn.limit, offset, 0)
        if learn.result is not None:
            body += field_header(learn.result[0])
    body += b"".join(_spec(spec) for spec in learn.specs)
    if len(body) > 0xFF00:
        raise EncodeError("a learn action has too many specifications")
    return (45 if wide else 16), body


def _sub(data: bytes, at: int, n_bits: int) -> tuple[Subfield, int]:
    name, at = read_field_header(data, at)
    (offset,) = struct.unpack_from("!H", data, at)
    if offset + n_bits > FIELDS[name].bits:
        raise ProtocolError(f"learn: {name}[{offset}..{offset + n_bits - 1}] is not inside the field")
    return Subfield(name, offset, n_bits), at + 2


def _read_spec(data: bytes, at: int) -> tuple[LearnSpec, int]:
    head = data[at] << 8 | data[at + 1]
    n_bits, kind = head & 0x7FF, head & 3 << 11
    at += 2
    src: int | Subfield
    if head & _IMMEDIATE:
        size = (n_bits + 15) // 16 * 2
        if at + size > len(data):
            raise ProtocolError("learn: a value runs over the end of the action")
        src, at = int.from_bytes(data[at : at + size], "big"), at + size
    else:
        src, at = _sub(data, at, n_bits)
    if kind == _OUTPUT:
        if isinstance(src, int):
            raise ProtocolError("learn: output to an immediate value")
        return LearnOutput(src), at
    dst, at = _sub(data, at, n_bits)
    if kind == _LOAD:
        return LearnLoad(dst, src), at
    if kind == 0:
        return LearnMatch(dst, src), at
    raise ProtocolError(f"learn: unknown specification {head:#06x}")


def decode_learn(body: bytes, wide: bool) -> Learn:
    """A learn action from what follows its subtype (`wide`: learn2); ProtocolError if malformed."""
    idle, hard, priority, cookie, flags, table, fin_idle, fin_hard = _HEAD.unpack_from(body)
    at, limit, result = _HEAD.size, 0, None
    if wide:
        limit, offset, _pad = struct.unpack_from("!IHH", body, at)
        at += 8
        if flags & _WRITE_RESULT:
            name, at = read_field_header(body, at)
            result = Subfield(name, offset, 1)
    specs = []
    # A zero head is the padding's first byte pair: no specification has width 0.
    while at + 2 <= len(body) and body[at : at + 2] != b"\0\0":
        spec, at = _read_spec(body, at)
        specs.append(spec)
    return Learn(
        table,
        tuple(specs),
        idle_timeout=idle,
        hard_timeout=hard,
        priority=priority,
        cookie=cookie,
        fin_idle_timeout=fin_idle,
        fin_hard_timeout=fin_hard,
        send_flow_removed=bool(flags & _SEND_FLOW_REMOVED),
        delete_learned=bool(flags & _DELETE_LEARNED),
        limit=limit,
        result=result,
    )
