"""Frames taken apart and put together: Ethernet with VLAN tags, IPv4, IPv6, UDP, checksums.

Parsing trusts no length: what is cut off or contradicts itself raises `Malformed`, and nothing else does. Checksums
of what comes in are not verified, since an instance's network card may leave them to somebody further on; those of
what goes out are right.

Sources: IEEE 802.3, 802.1Q; RFC 768, 791, 1071, 8200. Tests: tests/unit/controller/services/test_frames.py.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

IPV4: Final = 0x0800
ARP: Final = 0x0806
IPV6: Final = 0x86DD
_TAGS: Final = frozenset({0x8100, 0x88A8})

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58
SCTP: Final = 132
_EXTENSIONS: Final = frozenset({0, 43, 60})
"""IPv6 extension headers that say nothing about who the packet is for: hop-by-hop, routing, destination."""
_FRAGMENT: Final = 44


class Malformed(ValueError):
    """A packet that is not what it pretends to be."""


class Ethernet(NamedTuple):
    """A frame; `tags` are its VLAN tags as on the wire."""

    dst: bytes
    src: bytes
    tags: bytes
    type: int
    payload: bytes

    def encode(self) -> bytes:
        """The frame's bytes."""
        return self.dst + self.src + self.tags + self.type.to_bytes(2) + self.payload


class IPv4(NamedTuple):
    """An IPv4 packet without its padding; `header` includes options."""

    header: bytes
    src: bytes
    dst: bytes
    protocol: int
    fragment: bool
    payload: bytes


class IPv6(NamedTuple):
    """An IPv6 packet without its padding; `protocol` and `payload` are what comes after extension headers."""

    src: bytes
    dst: bytes
    protocol: int
    hop_limit: int
    fragment: bool
    payload: bytes


class Udp(NamedTuple):
    """A UDP datagram."""

    src: int
    dst: int
    payload: bytes


def ethernet(frame: bytes) -> Ethernet:
    """A frame's parts."""
    at = 12
    while int.from_bytes(frame[at : at + 2]) in _TAGS:
        at += 4
    if len(frame) < at + 2:
        raise Malformed(f"a frame of {len(frame)} bytes is cut off")
    return Ethernet(frame[:6], frame[6:12], frame[12:at], int.from_bytes(frame[at : at + 2]), frame[at + 2 :])


def ipv4(frame: Ethernet) -> IPv4:
    """The IPv4 packet in a frame."""
    data = frame.payload
    if frame.type != IPV4 or len(data) < 20 or data[0] >> 4 != 4:
        raise Malformed("not an IPv4 packet")
    header, total = (data[0] & 15) * 4, int.from_bytes(data[2:4])
    if not 20 <= header <= total <= len(data):
        raise Malformed(f"IPv4 lengths do not fit: header {header}, packet {total}, received {len(data)}")
    fragment = bool(int.from_bytes(data[6:8]) & 0x3FFF)
    return IPv4(data[:header], data[12:16], data[16:20], data[9], fragment, data[header:total])


def ipv6(frame: Ethernet) -> IPv6:
    """The IPv6 packet in a frame."""
    data = frame.payload
    if frame.type != IPV6 or len(data) < 40 or data[0] >> 4 != 6:
        raise Malformed("not an IPv6 packet")
    end = 40 + int.from_bytes(data[4:6])
    if end > len(data):
        raise Malformed(f"IPv6 lengths do not fit: packet {end}, received {len(data)}")
    protocol, at, fragment = data[6], 40, False
    while protocol in _EXTENSIONS or protocol == _FRAGMENT:
        if at + 8 > end:
            raise Malformed("an IPv6 extension header is cut off")
        fragment = fragment or protocol == _FRAGMENT
        length = 8 if protocol == _FRAGMENT else 8 * (data[at + 1] + 1)
        protocol, at = data[at], at + length
    if at > end:
        raise Malformed("an IPv6 extension header is cut off")
    return IPv6(data[8:24], data[24:40], protocol, data[7], fragment, data[at:end])


def udp(packet: IPv4 | IPv6) -> Udp:
    """The UDP datagram in a packet that is no fragment."""
    data = packet.payload
    if packet.protocol != UDP or packet.fragment or len(data) < 8:
        raise Malformed("not a whole UDP datagram")
    src, dst, length = struct.unpack_from("!HHH", data)
    if not 8 <= length <= len(data):
        raise Malformed(f"UDP lengths do not fit: datagram {length}, received {len(data)}")
    return Udp(src, dst, data[8:length])


# --- the other way ----------------------------------------------------------------------------------------------------


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of data in which its own field is zero."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(src: bytes, dst: bytes, protocol: int, segment: bytes, at: int) -> bytes:
    """A segment with the checksum over it and its pseudo-header written at offset `at`, where it has zeros."""
    length = struct.pack("!I", len(segment))
    value = checksum(src + dst + length + bytes((0, 0, 0, protocol)) + segment)
    if protocol == UDP and value == 0:
        value = 0xFFFF
    return segment[:at] + value.to_bytes(2) + segment[at + 2 :]


def make_ipv4(src: bytes, dst: bytes, protocol: int, payload: bytes, ttl: int = 64, tos: int = 0) -> bytes:
    """An IPv4 packet without options; ValueError if it is too long."""
    total = 20 + len(payload)
    if total > 0xFFFF:
        raise ValueError(f"an IPv4 packet of {total} bytes cannot be")
    header = struct.pack("!BBHHHBBH", 0x45, tos, total, 0, 0, ttl, protocol, 0) + src + dst
    return header[:10] + checksum(header).to_bytes(2) + header[12:] + payload


def readdressed(packet: IPv4, dst: bytes, payload: bytes) -> bytes:
    """A packet with another destination and payload; the rest of its header, options too, is as it was."""
    old = packet.header
    total = len(old) + len(payload)
    if total > 0xFFFF:
        raise ValueError(f"an IPv4 packet of {total} bytes cannot be")
    header = old[:2] + total.to_bytes(2) + old[4:10] + bytes(2) + old[12:16] + dst + old[20:]
    return header[:10] + checksum(header).to_bytes(2) + header[12:] + payload


def make_ipv6(src: bytes, dst: bytes, protocol: int, payload: bytes, hop_limit: int = 64) -> bytes:
    """An IPv6 packet without extension headers; ValueError if it is too long."""
    if len(payload) > 0xFFFF:
        raise ValueError(f"an IPv6 packet with {len(payload)} bytes of payload cannot be")
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, hop_limit) + src + dst + payload


def make_udp(src: bytes, dst: bytes, ports: tuple[int, int], payload: bytes) -> bytes:
    """A UDP datagram between two addresses of one family."""
    segment = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    return with_checksum(src, dst, UDP, segment, 6)


def make_icmpv6(src: bytes, dst: bytes, message: bytes) -> bytes:
    """An ICMPv6 message with its checksum, which is at offset 2."""
    return with_checksum(src, dst, ICMPV6, message, 2)


def link_local(mac: bytes) -> bytes:
    """The IPv6 link-local address that is made from a MAC address (RFC 4291, appendix A)."""
    return b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:6]
