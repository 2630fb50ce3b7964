"""Small parts that several encodings share: padding, field headers without value, and property lists.

A *property* is a 16-bit type, a 16-bit length (header included, padding not), a payload, and padding to 8 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.openflow.errors import ProtocolError
from ovine.openflow.fields import BY_WIRE, FIELDS, canonical

_PADS = tuple(bytes(-n % 8) for n in range(8))


def pad8(data: bytes) -> bytes:
    """`data` with zeros up to a multiple of 8 bytes."""
    return data + _PADS[len(data) & 7]


def property_bytes(kind: int, payload: bytes) -> bytes:
    """One property with its padding."""
    return pad8(kind.to_bytes(2, "big") + (len(payload) + 4).to_bytes(2, "big") + payload)


def properties(data: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The (type, payload) pairs between two offsets; ProtocolError if a length lies."""
    while at < end:
        if at + 4 > end:
            raise ProtocolError("a property runs over the end of its list")
        kind, length = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        if length < 4 or at + length > end:
            raise ProtocolError(f"property {kind} has length {length}, which does not fit its list")
        yield kind, data[at + 4 : at + length]
        at += length + 7 & ~7


def field_header(name: str) -> bytes:
    """The header that names a field in an action: 4 bytes, or 8 for an experimenter field."""
    return FIELDS[canonical(name)].header


def read_field_header(data: bytes, at: int) -> tuple[str, int]:
    """A field name at `at`, and the offset behind it; ProtocolError if the field is unknown or the data ends."""
    size = 8 if data[at : at + 2] == b"\xff\xff" else 4
    if at + size > len(data):
        raise ProtocolError("an action ends inside a field header")
    oxm_class = data[at] << 8 | data[at + 1]
    experimenter = int.from_bytes(data[at + 4 : at + 8], "big") if size == 8 else 0
    known = BY_WIRE.get((oxm_class, data[at + 2] >> 1, experimenter))
    if known is None:
        raise ProtocolError(f"unknown field header {data[at : at + size].hex()} in an action")
    return known.name, at + size
