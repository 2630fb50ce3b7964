"""Messages that make the switch forget connections: all of a conntrack zone, or those that look so and so.

NXT_CT_FLUSH came with Open vSwitch 3.1. Its body is the protocol's number and seven zero bytes, then properties: 0 is
the tuple of the first packet, 1 that of the answers, 2 the zone. A tuple is four zero bytes and properties once more: 0
and 1 are source and destination address (16 bytes, IPv4 in ::ffff:0:0/96), 2 and 3 the ports. What is not said may be
anything.

Source: ovs-ofctl(8), "ct-flush", and what ovs-ofctl 3.1 sends. Tests: tests/unit/openflow/test_openflow_messages.py,
tests/packets/openflow/test_openflow_switch.py.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import msgspec

from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.wire import properties, property_bytes

Address = IPv4Address | IPv6Address

_FIRST, _ANSWERS, _ZONE = range(3)
_SRC, _DST, _SPORT, _DPORT = range(4)
_MAPPED: Final = bytes(10) + b"\xff\xff"
_HEAD: Final = struct.Struct("!B7x")


class CtFlushZone(msgspec.Struct, frozen=True):
    """Forget all connections of a conntrack zone."""

    zone: int


class CtTuple(msgspec.Struct, frozen=True):
    """What is known of the packets one way; None, or port 0, is anything."""

    src: Address | None = None
    dst: Address | None = None
    sport: int = 0
    dport: int = 0


class CtFlush(msgspec.Struct, frozen=True):
    """Forget the connections whose first packets and answers are like this; without a zone, in all of them.

    `protocol` is an IP protocol number, 0 for any.
    """

    protocol: int = 0
    first: CtTuple = CtTuple()
    answers: CtTuple = CtTuple()
    zone: int | None = None


def encode_flush(message: CtFlush) -> bytes:
    """The body of NXT_CT_FLUSH."""
    parts = [_HEAD.pack(message.protocol)]
    for kind, one in ((_FIRST, message.first), (_ANSWERS, message.answers)):
        if one != CtTuple():
            parts.append(property_bytes(kind, bytes(4) + _tuple(one)))
    if message.zone is not None:
        parts.append(property_bytes(_ZONE, message.zone.to_bytes(2)))
    return b"".join(parts)


def _tuple(one: CtTuple) -> bytes:
    if one.src is not None and one.dst is not None and one.src.version != one.dst.version:
        raise EncodeError(f"{one.src} and {one.dst} are of different IP versions")
    parts = [property_bytes(kind, _packed(ip)) for kind, ip in ((_SRC, one.src), (_DST, one.dst)) if ip is not None]
    parts += [
        property_bytes(kind, port.to_bytes(2)) for kind, port in ((_SPORT, one.sport), (_DPORT, one.dport)) if port
    ]
    return b"".join(parts)


def _packed(ip: Address) -> bytes:
    return ip.packed if ip.version == 6 else _MAPPED + ip.packed


def decode_flush(data: bytes, at: int, end: int) -> CtFlush:
    """NXT_CT_FLUSH from its body."""
    (protocol,) = _HEAD.unpack_from(data, at)
    tuples, zone = {_FIRST: CtTuple(), _ANSWERS: CtTuple()}, None
    for kind, payload in properties(data, at + _HEAD.size, end):
        if kind in tuples:
            tuples[kind] = _read_tuple(payload)
        elif kind == _ZONE and len(payload) == 2:
            zone = int.from_bytes(payload)
        else:
            raise ProtocolError(f"property {kind} of {len(payload)} bytes in a request to forget connections")
    return CtFlush(protocol, tuples[_FIRST], tuples[_ANSWERS], zone)


def _read_tuple(payload: bytes) -> CtTuple:
    addresses: dict[int, Address] = {}
    ports: dict[int, int] = {}
    for kind, value in properties(payload, 4, len(payload)):
        if kind in (_SRC, _DST) and len(value) == 16:
            addresses[kind] = IPv4Address(value[12:]) if value.startswith(_MAPPED) else IPv6Address(value)
        elif kind in (_SPORT, _DPORT) and len(value) == 2:
            ports[kind] = int.from_bytes(value)
        else:
            raise ProtocolError(f"property {kind} of {len(value)} bytes in a connection's tuple")
    return CtTuple(addresses.get(_SRC), addresses.get(_DST), ports.get(_SPORT, 0), ports.get(_DPORT, 0))
