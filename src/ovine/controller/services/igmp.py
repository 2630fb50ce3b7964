"""Messages about who wants which multicast: IGMP (versions 1 to 3) and MLD (versions 1 and 2), read; queries, made.

To *join* a group is to want packets for it, from whatever source: sources are not told apart, as switches forward by
group (RFC 4541 §2.1.2). Addresses that are never held back (of the local network, of neighbour discovery) are left out.

Sources: RFC 1112, 2236, 3376 (IGMP), 2710, 3810 (MLD), 2113, 2711 (router alert).
Tests: tests/unit/controller/services/test_igmp.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final, NamedTuple

from ovine.controller.services.frames import (
    ICMPV6,
    IPV4,
    IPV6,
    Ethernet,
    Malformed,
    checksum,
    ethernet,
    ipv4,
    ipv6,
    make_icmpv6,
)

IGMP: Final = 2
_QUERY, _REPORT1, _REPORT2, _LEAVE, _REPORT3 = 0x11, 0x12, 0x16, 0x17, 0x22
_MLD_QUERY, _MLD_REPORT, _MLD_DONE, _MLD_REPORT2 = 130, 131, 132, 143
_IS_INCLUDE, _IS_EXCLUDE, _TO_INCLUDE, _TO_EXCLUDE, _ALLOW = 1, 2, 3, 4, 5
_LOCAL: Final = IPv4Network("224.0.0.0/24")
_NEIGHBOURS: Final = IPv6Address("ff02::1:ff00:0").packed[:13]
_INTERNETWORK_CONTROL: Final = 0xC0
"""Traffic class of IGMP (RFC 3376 §4)."""
_ALERT: Final = b"\x94\x04\x00\x00"
_ALERT6: Final = b"\x3a\x00\x05\x02\x00\x00\x01\x00"
"""A hop-by-hop header in front of ICMPv6, with a router alert for MLD and padding."""
_QRV: Final = 2
"""How many packets in a row may be lost (robustness variable)."""

Group = IPv4Address | IPv6Address


class Message(NamedTuple):
    """What one packet says. `asks`: it is a router's query, from somebody who has an address to be known by."""

    query: bool
    asks: bool = False
    joined: tuple[Group, ...] = ()
    left: tuple[Group, ...] = ()


def parse(frame: bytes) -> Message:
    """Reads a frame; Malformed if it is no such message, or its checksum is wrong."""
    outer = ethernet(frame)
    if outer.type == IPV4:
        packet = ipv4(outer)
        if packet.protocol != IGMP or packet.fragment or len(packet.payload) < 8 or checksum(packet.payload):
            raise Malformed("not an IGMP message")
        return _igmp(packet.payload, any(packet.src))
    packet6 = ipv6(outer)
    body = packet6.payload
    if packet6.protocol != ICMPV6 or packet6.fragment or len(body) < 8:
        raise Malformed("not an MLD message")
    if checksum(packet6.src + packet6.dst + struct.pack("!II", len(body), ICMPV6) + body):
        raise Malformed("an MLD message whose checksum is wrong")
    return _mld(body, any(packet6.src))


def _igmp(body: bytes, named: bool) -> Message:
    kind = body[0]
    if kind == _QUERY:
        return Message(query=True, asks=named)
    if kind == _REPORT3:
        return _records(body, 4)
    group = _snooped(body[4:8])
    if kind in (_REPORT1, _REPORT2):
        return Message(query=False, joined=group)
    if kind == _LEAVE:
        return Message(query=False, left=group)
    raise Malformed(f"an IGMP message of type {kind:#x}")


def _mld(body: bytes, named: bool) -> Message:
    kind = body[0]
    if kind == _MLD_REPORT2:
        return _records(body, 16)
    if len(body) < 24:
        raise Malformed("an MLD message is cut off")
    if kind == _MLD_QUERY:
        return Message(query=True, asks=named)
    group = _snooped(body[8:24])
    if kind == _MLD_REPORT:
        return Message(query=False, joined=group)
    if kind == _MLD_DONE:
        return Message(query=False, left=group)
    raise Malformed(f"an ICMPv6 message of type {kind} is not MLD")


def _records(body: bytes, width: int) -> Message:
    """A report of IGMPv3 or MLDv2: what it says of each group."""
    joined: dict[Group, None] = {}
    left: dict[Group, None] = {}
    for kind, address, sources in _each_record(body, width):
        for group in _snooped(address):
            if kind in (_IS_EXCLUDE, _TO_EXCLUDE, _ALLOW) or (kind in (_IS_INCLUDE, _TO_INCLUDE) and sources):
                joined[group] = None
                left.pop(group, None)
            elif kind in (_IS_INCLUDE, _TO_INCLUDE):
                left[group] = None
                joined.pop(group, None)
    return Message(query=False, joined=tuple(joined), left=tuple(left))


def _each_record(body: bytes, width: int) -> Iterator[tuple[int, bytes, int]]:
    """(type, group, number of sources) of each group record."""
    (count,) = struct.unpack_from("!H", body, 6)
    at = 8
    for _ in range(count):
        if at + 4 + width > len(body):
            raise Malformed("a group record is cut off")
        kind, auxiliary, sources = struct.unpack_from("!BBH", body, at)
        yield kind, body[at + 4 : at + 4 + width], sources
        at += 4 + width * (1 + sources) + 4 * auxiliary
    if at > len(body):
        raise Malformed("a group record is cut off")


def _snooped(address: bytes) -> tuple[Group, ...]:
    """The group, if it is one that may be held back."""
    if len(address) == 4:
        group4 = IPv4Address(address)
        return (group4,) if group4.is_multicast and group4 not in _LOCAL else ()
    group6 = IPv6Address(address)
    near = address[1] & 15 <= 2 and address[2:15] == bytes(13) and address[15] in (1, 2)
    if not group6.is_multicast or near or address[:13] == _NEIGHBOURS or not any(address[2:]):
        return ()
    return (group6,)


# --- queries ----------------------------------------------------------------------------------------------------------


def code(value: int) -> int:
    """A number in 8 bits, large ones with an exponent (RFC 3376 §4.1.1)."""
    if value < 128:
        return value
    exponent = min(7, value.bit_length() - 8)
    return 0x80 | exponent << 4 | min(15, (value >> exponent + 3) - 16)


def code16(value: int) -> int:
    """As `code`, in 16 bits (RFC 3810 §5.1.3)."""
    if value < 32768:
        return value
    exponent = min(7, value.bit_length() - 16)
    return 0x8000 | exponent << 12 | min(0xFFF, (value >> exponent + 3) - 0x1000)


def query4(mac: bytes, source: bytes, response: int, interval: int) -> bytes:
    """A general query of IGMPv3 to all hosts; `response` and `interval` in seconds."""
    body = struct.pack("!BBHIBBH", _QUERY, code(10 * response), 0, 0, _QRV, code(interval), 0)
    body = body[:2] + checksum(body).to_bytes(2) + body[4:]
    destination = IPv4Address("224.0.0.1").packed
    header = struct.pack("!BBHHHBBH", 0x46, _INTERNETWORK_CONTROL, 24 + len(body), 0, 0, 1, IGMP, 0)
    header += source + destination + _ALERT
    header = header[:10] + checksum(header).to_bytes(2) + header[12:]
    return Ethernet(b"\x01\x00\x5e\x00\x00\x01", mac, b"", IPV4, header + body).encode()


def query6(mac: bytes, source: bytes, response: int, interval: int) -> bytes:
    """A general query of MLDv2 to all nodes; `source` is a link-local address."""
    body = struct.pack("!BBHHH", _MLD_QUERY, 0, 0, code16(1000 * response), 0) + bytes(16)
    body += struct.pack("!BBH", _QRV, code(interval), 0)
    destination = IPv6Address("ff02::1").packed
    message = _ALERT6 + make_icmpv6(source, destination, body)
    header = struct.pack("!IHBB", 6 << 28, len(message), 0, 1) + source + destination
    return Ethernet(b"\x33\x33\x00\x00\x00\x01", mac, b"", IPV6, header + message).encode()
