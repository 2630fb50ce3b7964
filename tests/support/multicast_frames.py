"""IGMP and MLD as text, both ways (RFC 1112, 2236, 3376, 2710, 3810).

igmp query                     a general query of version 3; `igmp query 239.1.1.1` asks about one group
igmp1 report 239.1.1.1
igmp2 report 239.1.1.1         and `igmp2 leave 239.1.1.1`
igmp3 join 239.1.1.1           and `igmp3 leave 239.1.1.1`; several groups may follow
mld query                      a general query of version 2
mld1 report ff0a::1            and `mld1 done ff0a::1`
mld2 join ff0a::1              and `mld2 leave ff0a::1`
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import dpkt

from support.frame_words import ip_bytes, ip_text

IGMP = 2
_OLD = {("igmp1", "report"): 0x12, ("igmp2", "report"): 0x16, ("igmp2", "leave"): 0x17}
_MLD1 = {"report": 131, "done": 132}
RECORDS = {"join": 4, "leave": 3}
"""Group record types: change to exclude mode, or to include mode, with no sources."""


def igmp(words: Sequence[str]) -> bytes:
    """The message for some words."""
    kind, what, *groups = words
    if kind == "igmp":
        body = struct.pack("!BBH", 0x11, 10, 0) + ip_bytes(groups[0] if groups else "0.0.0.0") + b"\2\x7d\0\0"
    elif kind == "igmp3":
        body = struct.pack("!BBHHH", 0x22, 0, 0, 0, len(groups)) + _records(what, groups)
    else:
        body = struct.pack("!BBH", _OLD[kind, what], 0, 0) + ip_bytes(groups[0])
    return body[:2] + struct.pack("!H", dpkt.in_cksum(body)) + body[4:]


def mld(words: Sequence[str]) -> bytes:
    """The ICMPv6 message, without checksum."""
    kind, what, *groups = words
    if kind == "mld":
        return struct.pack("!BBHHH", 130, 0, 0, 1000, 0) + ip_bytes(groups[0] if groups else "::") + b"\2\x7d\0\0"
    if kind == "mld1":
        return struct.pack("!BBHHH", _MLD1[what], 0, 0, 0, 0) + ip_bytes(groups[0])
    return struct.pack("!BBHHH", 143, 0, 0, 0, len(groups)) + _records(what, groups)


def _records(what: str, groups: Sequence[str]) -> bytes:
    return b"".join(struct.pack("!BBH", RECORDS[what], 0, 0) + ip_bytes(group) for group in groups)


def say_igmp(body: bytes) -> str:
    if body[0] == 0x11:
        return "igmp query" if not any(body[4:8]) else f"igmp query {ip_text(body[4:8])}"
    if body[0] == 0x22:
        return f"igmp3 {_say_records(body[8:], 4)}"
    known = {number: f"{kind} {what}" for (kind, what), number in _OLD.items()}
    return f"{known.get(body[0], body[0])} {ip_text(body[4:8])}"


def say_mld(body: bytes) -> str:
    if body[0] == 130:
        return "mld query" if not any(body[8:24]) else f"mld query {ip_text(body[8:24])}"
    if body[0] == 143:
        return f"mld2 {_say_records(body[8:], 16)}"
    return f"mld1 {'report' if body[0] == 131 else 'done'} {ip_text(body[8:24])}"


def _say_records(raw: bytes, width: int) -> str:
    """The groups after what the first record says; sources are left out."""
    said = []
    known = {number: word for word, number in RECORDS.items()}
    while len(raw) >= 4 + width:
        said.append((known.get(raw[0], str(raw[0])), ip_text(raw[4 : 4 + width])))
        raw = raw[4 + width * (1 + struct.unpack("!H", raw[2:4])[0]) :]
    return " ".join([said[0][0], *(group for _, group in said)]) if said else "nothing"
