"""DHCPv6: `R = put_dhcpv6_opts(…)` turns a client's message into the server's answer.

With `ia_addr` the server is stateful: the first IA_NA of a message gets that address, for ever. Others get the status
NoAddrsAvail, prefixes NoPrefixAvail. What RFC 8415 §16 tells a server to discard, and what is no DHCPv6 from a
client, goes on unchanged with result 0. The reply keeps addresses and ports: the logical flow that looks at the
result turns them round.

Sources: RFC 8415, 3646, 4704, 5970; ovn-sb(5). Tests: tests/unit/controller/services/test_dhcp6.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.answers import resume
from ovine.controller.services.dhcp_values import domain_name, encode
from ovine.controller.services.frames import Malformed, ethernet, ipv6, make_ipv6, make_udp, udp
from ovine.engine import Index, Reader, query
from ovine.language.actions import PutDhcpv6Opts
from ovine.model import sb
from ovine.openflow import Message, PacketIn

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION_REQUEST: Final = 11

_CLIENT, _SERVER, _IA_NA, _IA_ADDR, _WANTED, _STATUS = 1, 2, 3, 5, 6, 13
_USER_CLASS, _DOMAINS, _IA_PD, _FQDN, _BOOTFILE, _BOOTFILE_ALT = 15, 24, 25, 39, 59, 254
"""Option codes; the last is a number of the DHCPv6_Options table, for what is no option on the wire."""

_SUCCESS, _NO_ADDRESS, _NOT_ON_LINK, _NO_PREFIX = 0, 2, 4, 6
_FOR_EVER: Final = 0xFFFFFFFF
_TO_ANY_SERVER: Final = frozenset({SOLICIT, CONFIRM, REBIND})
_TO_ONE_SERVER: Final = frozenset({REQUEST, RENEW, RELEASE, DECLINE})

OPTION_BY_NAME = Index(sb.DHCPv6Options, lambda row: (row.name,), "DHCPv6_Options by name")

Pairs = Sequence[tuple[int, bytes]]
"""Options as they come: code and data."""


# --- what the flow carries: options as on the wire --------------------------------------------------------------------


@query
def option(q: Reader, name: str) -> tuple[int, str] | None:
    """An option's code and type."""
    for uuid in q.find(OPTION_BY_NAME, name):
        row = q.row(sb.DHCPv6Options, uuid)
        return row.code, row.type
    return None


def payload(q: Reader, action: PutDhcpv6Opts) -> bytes:
    """The options, encoded; ValueError names the one that cannot be."""
    parts = b""
    for given in action.options:
        try:
            known = option(q, given.name)
            if known is None:
                raise ValueError("is not in the table DHCPv6_Options")
            parts += wire(known[0], _data(known[0], encode(known[1], given.values)))
        except ValueError as error:
            shown = ", ".join(str(value) for value in given.values)
            raise ValueError(f"DHCPv6 option {given.name} = {{{shown}}}: {error}") from error
    return parts


def _data(code: int, data: bytes) -> bytes:
    """Options that are texts in the database and names on the wire (RFC 3646, RFC 4704)."""
    if code == _DOMAINS:
        return b"".join(domain_name(name) for name in data.decode().split(",") if name.strip())
    if code == _FQDN:
        name = domain_name(data.decode())
        return name if b"." in data else name[:-1]
    if (code == _SERVER and len(data) != 6) or (code == _IA_ADDR and len(data) != 16):
        raise ValueError("takes one address")
    return data


def wire(code: int, data: bytes) -> bytes:
    """An option's bytes."""
    return struct.pack("!HH", code, len(data)) + data


def parse_options(data: bytes) -> list[tuple[int, bytes]]:
    """Options in their order; Malformed if one is cut off."""
    found, at = [], 0
    while at < len(data):
        if at + 4 > len(data):
            raise Malformed("a DHCPv6 option is cut off")
        code, length = struct.unpack_from("!HH", data, at)
        if at + 4 + length > len(data):
            raise Malformed("a DHCPv6 option is cut off")
        found.append((code, data[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


# --- requests ---------------------------------------------------------------------------------------------------------


class Request(NamedTuple):
    """A client's message; `options` are all of them, `first` by code."""

    kind: int
    transaction: bytes
    options: Pairs
    first: Mapping[int, bytes]


def parse_request(data: bytes) -> Request:
    """A message; Malformed if it is cut off."""
    if len(data) < 4:
        raise Malformed("not a DHCPv6 message")
    options = parse_options(data[4:])
    return Request(data[0], data[1:4], options, dict(reversed(options)))


def _accepted(request: Request, duid: bytes | None) -> bool:
    """Whether this server is to answer (RFC 8415 §16)."""
    server = request.first.get(_SERVER)
    if request.kind == INFORMATION_REQUEST:
        return server in (None, duid) and not {_IA_NA, _IA_PD} & request.first.keys()
    if not request.first.get(_CLIENT):
        return False
    if request.kind in _TO_ANY_SERVER:
        return server is None
    return request.kind in _TO_ONE_SERVER and server is not None and server == duid


# --- replies ----------------------------------------------------------------------------------------------------------


def reply_to(request: Request, configured: Mapping[int, bytes]) -> bytes | None:
    """The server's message; None if there is none."""
    mac = configured.get(_SERVER)
    duid = b"\0\3\0\1" + mac if mac is not None else None
    if duid is None or not _accepted(request, duid):
        return None
    specific = _specific(request, configured)
    if specific is None:
        return None
    head = bytes((ADVERTISE if request.kind == SOLICIT else REPLY,)) + request.transaction
    client = wire(_CLIENT, request.first[_CLIENT]) if _CLIENT in request.first else b""
    return head + client + wire(_SERVER, duid) + specific


def _specific(request: Request, configured: Mapping[int, bytes]) -> bytes | None:
    """What depends on the kind of message."""
    ours = configured.get(_IA_ADDR)
    if request.kind in (RELEASE, DECLINE):
        return _status(_SUCCESS, "done")
    if request.kind == CONFIRM:
        asked = [address for code, data in request.options if code == _IA_NA for address in _addresses(data)]
        if not asked or ours is None:
            return None
        good = all(address == ours for address in asked)
        return _status(_SUCCESS, "on link") if good else _status(_NOT_ON_LINK, "these are not the port's addresses")
    given = b"".join(wire(code, data) for code, data in _configuration(request, configured))
    return given if request.kind == INFORMATION_REQUEST else b"".join(_associations(request, ours)) + given


def _associations(request: Request, ours: bytes | None) -> Iterator[bytes]:
    """An answer for each association of the message: the first of addresses gets ours."""
    free = ours
    for code, data in request.options:
        if code == _IA_NA:
            asked, iaid = _addresses(data), data[:4]
            if free is None:
                yield wire(_IA_NA, iaid + bytes(8) + _status(_NO_ADDRESS, "the port has no address for this"))
                continue
            stale = [address for address in asked if address != free] if request.kind in (RENEW, REBIND) else []
            body = _address(free, _FOR_EVER) + b"".join(_address(address, 0) for address in stale)
            yield wire(_IA_NA, iaid + struct.pack("!II", _FOR_EVER, _FOR_EVER) + body)
            free = None
        elif code == _IA_PD:
            if len(data) < 12:
                raise Malformed("an IA_PD is cut off")
            yield wire(_IA_PD, data[:4] + bytes(8) + _status(_NO_PREFIX, "no prefixes are delegated"))


def _addresses(association: bytes) -> list[bytes]:
    """The addresses in an IA_NA."""
    if len(association) < 12:
        raise Malformed("an IA_NA is cut off")
    found = [data for code, data in parse_options(association[12:]) if code == _IA_ADDR]
    if any(len(data) < 24 for data in found):
        raise Malformed("an address is cut off")
    return [data[:16] for data in found]


def _address(address: bytes, lifetime: int) -> bytes:
    return wire(_IA_ADDR, address + struct.pack("!II", lifetime, lifetime))


def _status(code: int, text: str) -> bytes:
    return wire(_STATUS, struct.pack("!H", code) + text.encode())


def _configuration(request: Request, configured: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """The options that do not depend on addresses."""
    for code, data in configured.items():
        if code not in (_SERVER, _IA_ADDR, _BOOTFILE, _BOOTFILE_ALT, _FQDN):
            yield code, data
    usual, other = configured.get(_BOOTFILE), configured.get(_BOOTFILE_ALT)
    boots_itself = b"iPXE" in request.first.get(_USER_CLASS, b"")
    bootfile = usual if other is None or usual is None or boots_itself else other
    if bootfile is not None:
        yield _BOOTFILE, bootfile
    if _FQDN in configured and (_FQDN in request.first or _FQDN in _wanted(request)):
        # The server makes no DNS updates (N), and says so if the client asked it to (O overrides S).
        flags = request.first.get(_FQDN, b"")[:1]
        yield _FQDN, bytes((6 if flags and flags[0] & 1 else 4,)) + configured[_FQDN]


def _wanted(request: Request) -> tuple[int, ...]:
    data = request.first.get(_WANTED, b"")
    return struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])


def answer(frame: bytes, configured: Mapping[int, bytes]) -> bytes | None:
    """The reply's frame; None if there is none. Malformed if the frame is no DHCPv6 message."""
    outer = ethernet(frame)
    packet = ipv6(outer)
    datagram = udp(packet)
    message = reply_to(parse_request(datagram.payload), configured)
    if message is None:
        return None
    segment = make_udp(packet.src, packet.dst, (datagram.src, datagram.dst), message)
    return outer._replace(payload=make_ipv6(packet.src, packet.dst, packet.protocol, segment)).encode()


def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message]:
    """The packet goes on as the reply, or as it was."""
    del world
    try:
        new = answer(packet.packet, dict(parse_options(userdata.payload)))
    except Malformed:
        new = None
    yield resume(packet, userdata, new)


SERVICE: Final = Service(Opcode.PUT_DHCPV6_OPTS, handle, payload)
