"""DNS: `R = dns_lookup()` turns a question for a name that the southbound knows into its answer.

Terms: a *record* is an entry of the column `DNS.records`, from a name in lower case to addresses, or, for names in
`in-addr.arpa` and `ip6.arpa`, to the name that they stand for. A row holds for the switches in `DNS.datapaths`; what
several rows say about a name is put together, in the order of their uuids. A row with `external_ids:ovn-owned` speaks
for its names: for those it answers, with no record, what it has no address for.

A question is passed on, unchanged and with result 0, if its name is not known, if it is for another type or class, and
if it is no plain query with one question. Additional records do not change that, except that one which signs the
message (TSIG) would no longer fit. A reply that would be longer than the client takes has fewer addresses; it is not
marked as truncated, since nobody here answers over TCP.

Sources: RFC 1034, 1035, 2308, 3225, 6891; ovn-sb(5), dns_lookup, table DNS.
Tests: tests/unit/controller/services/test_dns.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.answers import resume
from ovine.controller.services.frames import (
    IPV4,
    UDP,
    Ethernet,
    IPv4,
    IPv6,
    Malformed,
    Udp,
    ethernet,
    ipv4,
    ipv6,
    make_ipv4,
    make_ipv6,
    make_udp,
    udp,
)
from ovine.model import sb
from ovine.openflow import Message, PacketIn

A, PTR, AAAA, OPT, TSIG, ANY = 1, 12, 28, 41, 250, 255
_REVERSE: Final = (".in-addr.arpa", ".ip6.arpa")
_IN: Final = 1
_TTL: Final = 3600
"""Seconds for which an answer may be kept."""
_PLAIN: Final = 512
"""Bytes of a message that every client takes (RFC 1035, 4.2.1)."""
_MOST: Final = 1232
"""Bytes of a message that we send at most: it fits every IPv6 path."""
_RESPONSE, _AUTHORITATIVE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
_NOT_A_QUERY: Final = 0xF800
"""QR and opcode."""
_BAD_VERSION: Final = 16
_DNSSEC_OK: Final = 0x8000


class Extension(NamedTuple):
    """What a query's OPT record says: bytes that the client takes, version, flags."""

    size: int
    version: int
    flags: int


class Query(NamedTuple):
    """A plain query. `question` is as on the wire; `name` is in lower case, without a dot at the end."""

    number: int
    flags: int
    question: bytes
    name: str
    type: int
    extension: Extension | None


# --- questions --------------------------------------------------------------------------------------------------------


def parse(message: bytes) -> Query:
    """Reads a query of class IN that has one question; Malformed if it is none."""
    if len(message) < 12:
        raise Malformed("a DNS message is cut off")
    number, flags, questions, answers, authorities, additional = struct.unpack_from("!6H", message)
    if flags & _NOT_A_QUERY or (questions, answers, authorities) != (1, 0, 0):
        raise Malformed("not a plain DNS query")
    labels, at = _labels(message, 12)
    if at + 4 > len(message):
        raise Malformed("a DNS question is cut off")
    kind, family = struct.unpack_from("!HH", message, at)
    if family != _IN:
        raise Malformed(f"a DNS question of class {family}")
    extension = _extension(message, at + 4, additional)
    name = b".".join(labels).lower().decode("latin-1")
    return Query(number, flags, message[12 : at + 4], name, kind, extension)


def _labels(message: bytes, at: int) -> tuple[list[bytes], int]:
    """A name that is not compressed, and where it ends. A label with a dot in it is no name that we could know."""
    labels = []
    while at < len(message) and message[at]:
        length = message[at]
        label = message[at + 1 : at + 1 + length]
        if length > 63 or len(label) < length or b"." in label:
            raise Malformed("a name in a DNS question cannot be read")
        labels.append(label)
        at += 1 + length
    if at >= len(message):
        raise Malformed("a name in a DNS question is cut off")
    return labels, at + 1


def _extension(message: bytes, at: int, count: int) -> Extension | None:
    """What the additional records of a query say; Malformed if there is one that an answer of ours would break."""
    found = None
    for _ in range(count):
        at = _skip_name(message, at)
        if at + 10 > len(message):
            raise Malformed("a DNS record is cut off")
        kind, size, _, version, flags, length = struct.unpack_from("!HHBBHH", message, at)
        at += 10 + length
        if at > len(message) or kind == TSIG or (kind == OPT and found is not None):
            raise Malformed("additional records of a DNS query cannot be answered")
        found = Extension(size, version, flags) if kind == OPT else found
    return found


def _skip_name(message: bytes, at: int) -> int:
    while at < len(message) and 0 < message[at] < 64:
        at += 1 + message[at]
    if at >= len(message):
        raise Malformed("a DNS record is cut off")
    return at + (2 if message[at] else 1)


# --- answers ----------------------------------------------------------------------------------------------------------


class Known(NamedTuple):
    """What the rows of a switch say about a name, and whether one of them speaks for it."""

    values: tuple[str, ...]
    owned: bool


def known(rows: Iterable[sb.DNS], name: str) -> Known | None:
    """What is known about a name; None if nothing is."""
    found = [row for row in rows if name in row.records]
    if not found:
        return None
    values = (value for row in found for value in row.records[name].replace(",", " ").split())
    owned = any(row.external_ids.get("ovn-owned", "").lower() == "true" for row in found)
    return Known(tuple(dict.fromkeys(values)), owned)


def records(query: Query, values: Iterable[str]) -> list[bytes]:
    """The answers to a query, encoded; each names the owner by pointing at the question."""
    found = []
    for value in values:
        kind, data = _data(query.name, value)
        if data and query.type in (kind, ANY):
            found.append(struct.pack("!HHHIH", 0xC00C, kind, _IN, _TTL, len(data)) + data)
    return found


def _data(name: str, value: str) -> tuple[int, bytes]:
    """A value as record type and data; no data if it cannot be read."""
    if name.endswith(_REVERSE):
        return PTR, _name(value)
    kind, family = (AAAA, AF_INET6) if ":" in value else (A, AF_INET)
    try:
        return kind, inet_pton(family, value)
    except (OSError, ValueError):
        return kind, b""


def _name(text: str) -> bytes:
    labels = text.rstrip(".").encode("latin-1", "replace").split(b".")
    if any(not 0 < len(label) < 64 for label in labels):
        return b""
    made = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return made if len(made) <= 255 else b""


def answer(query: Query, rows: Iterable[sb.DNS]) -> bytes | None:
    """The reply to a query; None if somebody else has to answer it."""
    there = known(rows, query.name)
    if there is None:
        return None
    found = records(query, there.values)
    if not found and not there.owned:
        return None
    extension, code = b"", 0
    most = _PLAIN
    if query.extension is not None:
        code = _BAD_VERSION if query.extension.version else 0
        most = min(max(query.extension.size, _PLAIN), _MOST)
        extension = struct.pack("!BHHBBHH", 0, OPT, _MOST, code >> 4, 0, query.extension.flags & _DNSSEC_OK, 0)
    chosen = list(_fitting([] if code else found, most - 12 - len(query.question) - len(extension)))
    flags = _RESPONSE | _AUTHORITATIVE | query.flags & _RECURSION_DESIRED | _RECURSION_AVAILABLE | code & 15
    head = struct.pack("!6H", query.number, flags, 1, len(chosen), 0, 1 if extension else 0)
    return head + query.question + b"".join(chosen) + extension


def _fitting(parts: list[bytes], room: int) -> Iterator[bytes]:
    for part in parts:
        if len(part) > room:
            return
        room -= len(part)
        yield part


def reply(frame: bytes, rows: Iterable[sb.DNS]) -> bytes | None:
    """The reply's frame, with the addresses and ports of the query; None if it is not ours to answer, or no query."""
    outer = ethernet(frame)
    packet = ipv4(outer) if outer.type == IPV4 else ipv6(outer)
    datagram = udp(packet)
    message = answer(parse(datagram.payload), rows)
    return _wrapped(outer, packet, datagram, message) if message is not None else None


def _wrapped(outer: Ethernet, packet: IPv4 | IPv6, datagram: Udp, message: bytes) -> bytes:
    segment = make_udp(packet.src, packet.dst, (datagram.src, datagram.dst), message)
    make = make_ipv4 if isinstance(packet, IPv4) else make_ipv6
    return outer._replace(payload=make(packet.src, packet.dst, UDP, segment)).encode()


def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message]:
    """The packet goes on as the reply, or as it was."""
    datapath = world.southbound.index(sb.DatapathBinding, "tunnel_key").one(packet.field(t.DATAPATH) or 0)
    try:
        new = reply(packet.packet, _rows(world, datapath)) if datapath is not None else None
    except Malformed:
        new = None
    yield resume(packet, userdata, new)


def _rows(world: World, datapath: sb.DatapathBinding) -> list[sb.DNS]:
    rows = (row for row in world.southbound.rows(sb.DNS).values() if datapath.uuid in row.datapaths)
    return sorted(rows, key=lambda row: row.uuid)


SERVICE: Final = Service(Opcode.DNS_LOOKUP, handle)
