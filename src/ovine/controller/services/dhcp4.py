"""DHCPv4: `R = put_dhcp_opts(offerip = …, …)` turns a request into the reply that a server would send.

A DISCOVER is offered the address, a REQUEST for it is acknowledged, one for another address is refused (NAK), and an
INFORM gets options without a lease. What is for another server, a DECLINE, a RELEASE and what is no DHCP at all goes
on unchanged, with result 0. The reply keeps the request's Ethernet addresses and ports: the logical flow that looks
at the result turns them round. Only the IP destination depends on what the client can receive and is set here.

Sources: RFC 2131, 2132, 3396, 6842; ovn-sb(5). Tests: tests/unit/controller/services/test_dhcp4.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.answers import resume
from ovine.controller.services.dhcp_values import encode
from ovine.controller.services.frames import Malformed, ethernet, ipv4, make_ipv4, make_udp, udp
from ovine.engine import Index, Reader, query
from ovine.language.actions import PutDhcpOpts
from ovine.model import sb
from ovine.openflow import Message, PacketIn

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)

COOKIE: Final = b"\x63\x82\x53\x63"
FIXED: Final = 240
"""Bytes of a message before its options, with the cookie."""
_MINIMUM: Final = 300
"""Bytes of a BOOTP message: some clients drop shorter ones (RFC 1542 §2.1)."""
_BROADCAST_FLAG: Final = 0x8000
_EVERYBODY: Final = b"\xff\xff\xff\xff"
_NOBODY: Final = bytes(4)

_PAD, _END = 0, 255
_REQUESTED, _LEASE, _OVERLOAD, _TYPE, _SERVER, _T1, _T2, _CLIENT = 50, 51, 52, 53, 54, 58, 59, 61
_BOOTFILE, _ETHERBOOT = 67, 175
_NEXT_SERVER, _BOOTFILE_ALT = 253, 254
"""Numbers that the DHCP_Options table uses for what is no option on the wire."""

OPTION_BY_NAME = Index(sb.DHCPOptions, lambda row: (row.name,), "DHCP_Options by name")

Options = Mapping[int, bytes]


# --- what the flow carries: the offered address, then code, length (16 bits) and data of each option ----------------


@query
def option(q: Reader, name: str) -> tuple[int, str] | None:
    """An option's code and type."""
    for uuid in q.find(OPTION_BY_NAME, name):
        row = q.row(sb.DHCPOptions, uuid)
        return row.code, row.type
    return None


def payload(q: Reader, action: PutDhcpOpts) -> bytes:
    """The offered address and the options, encoded; ValueError names the option that cannot be."""
    offered, parts = _NOBODY, b""
    for given in action.options:
        try:
            if given.name == "offerip":
                offered = encode("ipv4", given.values)
                continue
            known = option(q, given.name)
            if known is None:
                raise ValueError("is not in the table DHCP_Options")
            data = encode(known[1], given.values)
        except ValueError as error:
            shown = ", ".join(str(value) for value in given.values)
            raise ValueError(f"DHCP option {given.name} = {{{shown}}}: {error}") from error
        parts += struct.pack("!BH", known[0], len(data)) + data
    if len(offered) != 4:
        raise ValueError("offerip takes one IPv4 address")
    return offered + parts


class Lease(NamedTuple):
    """What a client may get."""

    address: bytes
    options: dict[int, bytes]


def lease_of(data: bytes) -> Lease:
    """What `payload` wrote."""
    options, at = {}, 4
    while at < len(data):
        code, length = struct.unpack_from("!BH", data, at)
        options[code] = data[at + 3 : at + 3 + length]
        at += 3 + length
    return Lease(data[:4], options)


# --- requests ---------------------------------------------------------------------------------------------------------


class Request(NamedTuple):
    """A client's message."""

    kind: int
    xid: bytes
    flags: int
    ciaddr: bytes
    giaddr: bytes
    chaddr: bytes
    options: Options


def parse_request(data: bytes) -> Request:
    """A BOOTP message with DHCP options from a client; Malformed if it is none."""
    if len(data) < FIXED or data[0] != 1 or data[1:3] != b"\x01\x06" or data[236:240] != COOKIE:
        raise Malformed("not a DHCP request")
    options = options_of(data)
    kind = options.get(_TYPE, b"")
    if len(kind) != 1:
        raise Malformed("a DHCP request without a message type")
    flags = int.from_bytes(data[10:12])
    return Request(kind[0], data[4:8], flags, data[12:16], data[24:28], data[28:44], options)


def options_of(message: bytes) -> dict[int, bytes]:
    """The options of a message by code, also those in fields that had room (option 52); Malformed if one is cut off."""
    options = _options(message[FIXED:])
    overload = options.get(_OVERLOAD, b"\0")
    if overload[-1:] and overload[-1] & 1:
        options = _options(message[108:236], options)
    if overload[-1:] and overload[-1] & 2:
        options = _options(message[44:108], options)
    return options


def _options(data: bytes, before: Options | None = None) -> dict[int, bytes]:
    """Options by code. One that comes in several parts is put together (RFC 3396)."""
    found, at = dict(before or {}), 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise Malformed("a DHCP option is cut off")
        found[data[at]] = found.get(data[at], b"") + data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


# --- replies ----------------------------------------------------------------------------------------------------------


def reply_kind(request: Request, lease: Lease) -> int | None:
    """Which message answers a request; None if none does."""
    server, chosen = lease.options.get(_SERVER), request.options.get(_SERVER)
    if chosen is not None and server is not None and chosen != server:
        return None
    if request.kind == DISCOVER:
        return OFFER
    if request.kind == INFORM:
        return ACK
    if request.kind != REQUEST:
        return None
    return ACK if request.options.get(_REQUESTED, request.ciaddr) == lease.address else NAK


def reply_to(request: Request, lease: Lease) -> tuple[bytes, bytes] | None:
    """The address that the reply goes to, and the BOOTP message; None if there is none."""
    kind = reply_kind(request, lease)
    if kind is None:
        return None
    granted = kind == OFFER or (kind == ACK and request.kind == REQUEST)
    yours = lease.address if granted else _NOBODY
    kept = request.ciaddr if kind == ACK else _NOBODY
    siaddr = lease.options.get(_NEXT_SERVER, _NOBODY)[:4] if kind != NAK else _NOBODY
    fixed = struct.pack("!BBBB4sHH", 2, 1, 6, 0, request.xid, 0, request.flags) + kept + yours + siaddr + request.giaddr
    options = [(_TYPE, bytes((kind,))), *_chosen(request, lease, kind)]
    message = fixed + request.chaddr + bytes(192) + COOKIE + b"".join(_option(*item) for item in options) + b"\xff"
    return _destination(request, kind, yours), message.ljust(_MINIMUM, b"\0")


def _chosen(request: Request, lease: Lease, kind: int) -> Iterator[tuple[int, bytes]]:
    if _CLIENT in request.options:
        yield _CLIENT, request.options[_CLIENT]
    without = {_NEXT_SERVER, _BOOTFILE, _BOOTFILE_ALT, _TYPE}
    if request.kind == INFORM:
        without |= {_LEASE, _T1, _T2}
    for code, data in lease.options.items():
        if code == _SERVER or (kind != NAK and code not in without):
            yield code, data
    bootfile = _bootfile(request, lease) if kind != NAK else None
    if bootfile is not None:
        yield _BOOTFILE, bootfile


def _bootfile(request: Request, lease: Lease) -> bytes | None:
    """A client that is already iPXE gets `bootfile_name`, others `bootfile_name_alt` if there are both."""
    usual, other = lease.options.get(_BOOTFILE), lease.options.get(_BOOTFILE_ALT)
    return usual if other is None or usual is None or _ETHERBOOT in request.options else other


def _option(code: int, data: bytes) -> bytes:
    parts = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
    return b"".join(bytes((code, len(part))) + part for part in parts)


def _destination(request: Request, kind: int, yours: bytes) -> bytes:
    """RFC 2131 §4.1: a client without an address hears what is sent to everybody, or to the address it gets."""
    if kind == NAK:
        return _EVERYBODY
    if request.ciaddr != _NOBODY:
        return request.ciaddr
    return _EVERYBODY if request.flags & _BROADCAST_FLAG or yours == _NOBODY else yours


def answer(frame: bytes, lease: Lease) -> bytes | None:
    """The reply's frame; None if there is none. Malformed if the frame is no DHCP request."""
    outer = ethernet(frame)
    packet = ipv4(outer)
    datagram = udp(packet)
    made = reply_to(parse_request(datagram.payload), lease)
    if made is None:
        return None
    destination, message = made
    source = lease.options.get(_SERVER, b"")[:4]
    source = source if len(source) == 4 else packet.dst
    segment = make_udp(source, destination, (datagram.src, datagram.dst), message)
    return outer._replace(payload=make_ipv4(source, destination, packet.protocol, segment, ttl=128)).encode()


def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message]:
    """The packet goes on as the reply, or as it was."""
    del world
    try:
        new = answer(packet.packet, lease_of(userdata.payload))
    except Malformed:
        new = None
    yield resume(packet, userdata, new)


SERVICE: Final = Service(Opcode.PUT_DHCP_OPTS, handle, payload)
