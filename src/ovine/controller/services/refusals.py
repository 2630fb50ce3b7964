"""Packets that say no: ICMP errors, TCP resets and SCTP aborts that blocks of actions are run on.

`icmp4 { … }`, `icmp6 { … }` and their `_error` forms make "destination unreachable" from the packet; the block may turn
it into another error, such as "too big" with the MTU that it assigns. `tcp_reset { … }` and `sctp_abort { … }` end its
connection; the block is to turn addresses round. `reject { … }` makes whichever fits and turns addresses round by
itself. Nothing is said to what must not be answered: errors, resets, fragments, groups, and nobody.

Sources: RFC 792, 1122 §3.2.2, 4443 §2.4, 9260 §8.4, 9293 §3.10.7.1; ovn-sb(5). Tests:
tests/unit/controller/services/test_refusals.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from ovine.controller.services import Handle, Opcode, Service, Userdata, World
from ovine.controller.services.answers import run_block
from ovine.controller.services.frames import (
    ICMP,
    ICMPV6,
    IPV4,
    SCTP,
    TCP,
    Ethernet,
    IPv4,
    IPv6,
    Malformed,
    checksum,
    ethernet,
    ipv4,
    ipv6,
    make_icmpv6,
    make_ipv4,
    make_ipv6,
    with_checksum,
)
from ovine.controller.services.userdata import Block
from ovine.openflow import Message, PacketIn

_TTL: Final = 255
_LARGEST_ERROR4: Final = 576
_LARGEST_ERROR6: Final = 1280
_ICMP_ERRORS: Final = frozenset({3, 4, 5, 11, 12})
_REDIRECT6: Final = 137
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_INIT, _ABORT = 1, 6
_HOST_UNREACHABLE, _PORT_UNREACHABLE = 1, 3
_PROHIBITED6, _PORT_UNREACHABLE6 = 1, 4


def _wrapped(outer: Ethernet, packet: IPv4 | IPv6, protocol: int, segment: bytes, swap: bool) -> bytes:
    """The frame for a segment that is ready; `swap` sends it back."""
    src, dst = (packet.dst, packet.src) if swap else (packet.src, packet.dst)
    make = make_ipv4 if isinstance(packet, IPv4) else make_ipv6
    made = outer._replace(payload=make(src, dst, protocol, segment, _TTL))
    return (made._replace(src=outer.dst, dst=outer.src) if swap else made).encode()


# --- ICMP -------------------------------------------------------------------------------------------------------------


def unreachable4(frame: bytes, code: int = _HOST_UNREACHABLE, swap: bool = False, mtu: int = 0) -> bytes:
    """An ICMP error about an IPv4 packet, with as much of it as fits; `mtu` is where RFC 1191 wants it."""
    outer = ethernet(frame)
    packet = ipv4(outer)
    _check4(packet)
    original = (packet.header + packet.payload)[: _LARGEST_ERROR4 - 28]
    message = struct.pack("!BBHHH", 3, code, 0, 0, mtu & 0xFFFF) + original
    message = message[:2] + checksum(message).to_bytes(2) + message[4:]
    return _wrapped(outer, packet, ICMP, message, swap)


def _check4(packet: IPv4) -> None:
    if int.from_bytes(packet.header[6:8]) & 0x1FFF:
        raise Malformed("only a first fragment is answered")
    if packet.protocol == ICMP and packet.payload[:1] and packet.payload[0] in _ICMP_ERRORS:
        raise Malformed("errors are not answered")
    if packet.dst[0] >= 224 or packet.src[0] >= 224 or not any(packet.src):
        raise Malformed("groups and nobody are not answered")


def unreachable6(frame: bytes, code: int = _PROHIBITED6, swap: bool = False, mtu: int = 0) -> bytes:
    """An ICMPv6 error about an IPv6 packet, with as much of it as fits; `mtu` is where RFC 4443 §3.2 wants it."""
    outer = ethernet(frame)
    packet = ipv6(outer)
    if (
        packet.protocol == ICMPV6
        and packet.payload[:1]
        and (packet.payload[0] < 128 or packet.payload[0] == _REDIRECT6)
    ):
        raise Malformed("errors are not answered")
    if packet.dst[0] == 0xFF or packet.src[0] == 0xFF or not any(packet.src):
        raise Malformed("groups and nobody are not answered")
    whole = outer.payload[: 40 + int.from_bytes(outer.payload[4:6])]
    message = struct.pack("!BBHI", 1, code, 0, mtu) + whole[: _LARGEST_ERROR6 - 48]
    return _wrapped(outer, packet, ICMPV6, make_icmpv6(packet.src, packet.dst, message), swap)


# --- connections ------------------------------------------------------------------------------------------------------


def _ip(outer: Ethernet, protocol: int) -> IPv4 | IPv6:
    packet = ipv4(outer) if outer.type == IPV4 else ipv6(outer)
    if packet.protocol != protocol or packet.fragment:
        raise Malformed("not a whole segment of that protocol")
    return packet


def tcp_reset(frame: bytes, swap: bool = False) -> bytes:
    """The reset that answers a TCP segment; ports are turned round."""
    outer = ethernet(frame)
    packet = _ip(outer, TCP)
    data = packet.payload
    if len(data) < 20 or not 20 <= (data[12] >> 4) * 4 <= len(data):
        raise Malformed("a TCP segment is cut off")
    flags = data[13]
    if flags & _RST:
        raise Malformed("resets are not answered")
    sequence, acknowledged = struct.unpack_from("!II", data, 4)
    if flags & _ACK:
        numbers, answer = (acknowledged, 0), _RST
    else:
        length = len(data) - (data[12] >> 4) * 4 + bool(flags & _SYN) + bool(flags & _FIN)
        numbers, answer = (0, (sequence + length) & 0xFFFFFFFF), _RST | _ACK
    segment = data[2:4] + data[:2] + struct.pack("!IIBBHHH", *numbers, 5 << 4, answer, 0, 0, 0)
    return _wrapped(outer, packet, TCP, with_checksum(packet.src, packet.dst, TCP, segment, 16), swap)


def sctp_abort(frame: bytes, swap: bool = False) -> bytes:
    """The ABORT that answers an SCTP packet; ports are turned round."""
    outer = ethernet(frame)
    packet = _ip(outer, SCTP)
    data = packet.payload
    if len(data) < 16:
        raise Malformed("an SCTP packet is cut off")
    if data[12] == _ABORT:
        raise Malformed("aborts are not answered")
    tag, reflected = data[4:8], 1
    if data[12] == _INIT:
        if len(data) < 20:
            raise Malformed("an SCTP INIT is cut off")
        tag, reflected = data[16:20], 0
    head, chunk = data[2:4] + data[:2] + tag, struct.pack("!BBH", _ABORT, reflected, 4)
    # The only little-endian number on this wire (RFC 9260, appendix A).
    segment = head + crc32c(head + bytes(4) + chunk).to_bytes(4, "little") + chunk
    return _wrapped(outer, packet, SCTP, segment, swap)


def crc32c(data: bytes) -> int:
    """The checksum of SCTP (RFC 9260, appendix A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def reject(frame: bytes) -> bytes:
    """The refusal that fits a packet, on its way back."""
    outer = ethernet(frame)
    packet = ipv4(outer) if outer.type == IPV4 else ipv6(outer)
    if packet.protocol in (TCP, SCTP):
        return (tcp_reset if packet.protocol == TCP else sctp_abort)(frame, swap=True)
    if isinstance(packet, IPv4):
        return unreachable4(frame, _PORT_UNREACHABLE, swap=True)
    return unreachable6(frame, _PORT_UNREACHABLE6, swap=True)


def _handle(
    make: Callable[[bytes, Block], bytes], packet: PacketIn, userdata: Userdata, world: World
) -> Iterator[Message]:
    del world
    try:
        new = make(packet.packet, Block.decode(userdata.payload))
    except Malformed:
        return
    yield run_block(packet, userdata, new)


def _error4(frame: bytes, block: Block) -> bytes:
    return unreachable4(frame, mtu=block.mtu)


def _error6(frame: bytes, block: Block) -> bytes:
    return unreachable6(frame, mtu=block.mtu)


def _plain(make: Callable[[bytes], bytes]) -> Handle:
    return partial(_handle, lambda frame, block: make(frame))


SERVICES: Final = (
    Service(Opcode.ICMP4, partial(_handle, _error4)),
    Service(Opcode.ICMP4_ERROR, partial(_handle, _error4)),
    Service(Opcode.ICMP6, partial(_handle, _error6)),
    Service(Opcode.ICMP6_ERROR, partial(_handle, _error6)),
    Service(Opcode.TCP_RESET, _plain(tcp_reset)),
    Service(Opcode.SCTP_ABORT, _plain(sctp_abort)),
    Service(Opcode.REJECT, _plain(reject)),
)
