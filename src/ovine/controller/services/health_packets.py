"""The packets of health checks: what is asked, and what an answer says. Pure bytes.

A TCP service is asked with a SYN; a SYN with ACK says that it is open, a reset that it is closed. A UDP service is sent
an empty datagram; an ICMP error "port unreachable" about it says that it is closed, and silence that it is open.

Sources: RFC 9293, 768, 792, 4443. Tests: tests/unit/controller/services/test_health.py.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from ovine.controller.services.frames import (
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    TCP,
    UDP,
    Ethernet,
    Malformed,
    ethernet,
    ipv4,
    ipv6,
    make_ipv4,
    make_ipv6,
    make_udp,
    with_checksum,
)

_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_WINDOW: Final = 65160
_UNREACHABLE: Final = {ICMP: (3, 3), ICMPV6: (1, 4)}
"""Type and code of "port unreachable"."""


class Ends(NamedTuple):
    """Who asks whom; Ethernet addresses as bytes."""

    mac: bytes
    source: IPv4Address | IPv6Address
    source_port: int
    to_mac: bytes
    to: IPv4Address | IPv6Address
    port: int
    protocol: str


class Said(NamedTuple):
    """What an answer says of a service."""

    service: IPv4Address | IPv6Address
    port: int
    source_port: int
    protocol: str
    open: bool
    confirms: int
    """TCP: the sequence number that is expected next; 0 otherwise."""


def question(ends: Ends, number: int) -> bytes:
    """The frame that asks; `number` is the sequence number of a TCP SYN."""
    if ends.protocol == "tcp":
        return _framed(ends, TCP, _tcp(ends, number, _SYN))
    datagram = make_udp(ends.source.packed, ends.to.packed, (ends.source_port, ends.port), b"")
    return _framed(ends, UDP, datagram)


def reset(ends: Ends, number: int) -> bytes:
    """The frame that ends a connection which is not wanted."""
    return _framed(ends, TCP, _tcp(ends, number, _RST))


def _tcp(ends: Ends, number: int, flags: int) -> bytes:
    header = struct.pack("!HHIIBBHHH", ends.source_port, ends.port, number, 0, 5 << 4, flags, _WINDOW, 0, 0)
    return with_checksum(ends.source.packed, ends.to.packed, TCP, header, 16)


def _framed(ends: Ends, protocol: int, segment: bytes) -> bytes:
    make, kind = (make_ipv4, IPV4) if ends.to.version == 4 else (make_ipv6, IPV6)
    packet = make(ends.source.packed, ends.to.packed, protocol, segment)
    return Ethernet(ends.to_mac, ends.mac, b"", kind, packet).encode()


def answer(frame: bytes) -> Said | None:
    """What a frame says; None if it says nothing about a service. Raises Malformed."""
    outer = ethernet(frame)
    packet = ipv4(outer) if outer.type == IPV4 else ipv6(outer)
    if packet.fragment:
        return None
    data = packet.payload
    if packet.protocol == TCP:
        return _of_tcp(packet.src, data)
    if len(data) >= 8 and (data[0], data[1]) == _UNREACHABLE.get(packet.protocol):
        return _about(packet.protocol, data[8:])
    return None


def _of_tcp(source: bytes, data: bytes) -> Said | None:
    if len(data) < 20:
        raise Malformed("a TCP segment is cut off")
    port, source_port, _, confirms = struct.unpack_from("!HHII", data)
    flags = data[13]
    if not flags & _ACK or not flags & (_SYN | _RST):
        return None
    return Said(ip_address(source), port, source_port, "tcp", not flags & _RST, confirms)


def _about(error: int, quoted: bytes) -> Said | None:
    """Of the packet that an error is about at least the UDP header must be there, but perhaps not the rest."""
    if error == ICMP:
        length, protocol, at, size = (quoted[0] & 15) * 4 if quoted else 0, 9, 16, 4
    else:
        length, protocol, at, size = 40, 6, 24, 16
    if length < 20 or len(quoted) < length + 8:
        raise Malformed("what an ICMP error is about is cut off")
    if quoted[protocol] != UDP:
        return None
    source_port, port = struct.unpack_from("!HH", quoted, length)
    return Said(ip_address(quoted[at : at + size]), port, source_port, "udp", open=False, confirms=0)
