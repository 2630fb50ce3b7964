"""IGMP and MLD messages: what they say, and the queries that are made; dpkt judges checksums."""

from __future__ import annotations

import random
import struct

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services.frames import Malformed
from ovine.controller.services.igmp import Message, code, code16, parse, query4, query6
from support.frames import build, describe, ip_bytes, mac_bytes

MACS = "02:00:00:00:00:01>01:00:5e:00:00:16"
OVER4 = f"{MACS} ip 10.0.0.1>224.0.0.22 ttl 1"
OVER6 = f"{MACS} ip6 fe80::1>ff02::16 ttl 1"


def said(text: str) -> tuple[list[str], list[str]]:
    """Groups joined and left."""
    message = parse(build(text))
    assert not message.query
    return [str(group) for group in message.joined], [str(group) for group in message.left]


@pytest.mark.parametrize(
    ("text", "joined", "left"),
    [
        (f"{OVER4} igmp1 report 239.1.1.1", ["239.1.1.1"], []),
        (f"{OVER4} igmp2 report 239.1.1.1", ["239.1.1.1"], []),
        (f"{OVER4} igmp2 leave 239.1.1.1", [], ["239.1.1.1"]),
        (f"{OVER4} igmp3 join 239.1.1.1 224.0.0.251 239.1.1.2", ["239.1.1.1", "239.1.1.2"], []),
        (f"{OVER4} igmp3 leave 239.1.1.1", [], ["239.1.1.1"]),
        (f"{OVER4} igmp2 report 10.0.0.1", [], []),
        (f"{OVER6} mld1 report ff0a::1", ["ff0a::1"], []),
        (f"{OVER6} mld1 done ff0a::1", [], ["ff0a::1"]),
        (f"{OVER6} mld2 join ff0a::1 ff02::1 ff02::1:ff00:1 ff02::fb", ["ff0a::1", "ff02::fb"], []),
        (f"{OVER6} mld2 leave ff0a::1", [], ["ff0a::1"]),
    ],
)
def test_reports_say_which_groups_are_wanted(text: str, joined: list[str], left: list[str]) -> None:
    assert said(text) == (joined, left)


def test_whoever_asks_from_an_address_is_a_router() -> None:
    assert parse(build(f"{OVER4} igmp query")) == Message(query=True, asks=True)
    assert parse(build(f"{OVER6} mld query")) == Message(query=True, asks=True)
    nobody = f"{MACS} ip 0.0.0.0>224.0.0.1 ttl 1 igmp query"
    assert parse(build(nobody)) == Message(query=True, asks=False)


def record(kind: int, sources: int, count: int = 1) -> bytes:
    """An IGMPv3 report with one kind of record for 239.1.1.1."""
    one = struct.pack("!BBH", kind, 0, sources) + ip_bytes("239.1.1.1") + bytes(4 * sources)
    body = struct.pack("!BBHHH", 0x22, 0, 0, 0, count) + one
    body = body[:2] + struct.pack("!H", dpkt.in_cksum(body)) + body[4:]
    packet = dpkt.ip.IP(src=ip_bytes("10.0.0.1"), dst=ip_bytes("224.0.0.22"), p=2, ttl=1, data=body)
    packet.len = len(packet)
    return mac_bytes("01:00:5e:00:00:16") + mac_bytes("02:00:00:00:00:01") + b"\x08\x00" + bytes(packet)


@pytest.mark.parametrize(
    ("kind", "sources", "outcome"),
    [
        *((1, 1, "joined"), (2, 0, "joined"), (3, 2, "joined"), (4, 3, "joined"), (5, 1, "joined"), (6, 1, "nothing")),
        *((1, 0, "left"), (3, 0, "left"), (9, 0, "nothing")),
    ],
)
def test_sources_are_not_told_apart(kind: int, sources: int, outcome: str) -> None:
    message = parse(record(kind, sources))
    found = "joined" if message.joined else "left" if message.left else "nothing"
    assert found == outcome


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        build(f"{OVER4} udp 1>2"),
        build(f"{OVER6} icmp6 echo"),
        record(4, 0, count=2),
        build(f"{OVER4} igmp2 report 239.1.1.1")[:-1] + b"\2",
        build(f"{OVER6} mld1 report ff0a::1")[:-1] + b"\2",
        build(f"{OVER4} igmp2 report 239.1.1.1")[:-4],
    ],
)
def test_what_is_damaged_or_something_else_is_not_read(frame: bytes) -> None:
    with pytest.raises(Malformed):
        parse(frame)


@settings(max_examples=1000, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(("igmp3 join 239.1.1.1", "mld2 join ff0a::1", "mld query")))
def test_no_packet_breaks_the_reader(random_: random.Random, text: str) -> None:
    frame = bytearray(build(f"{OVER4 if text.startswith('igmp') else OVER6} {text}"))
    for _ in range(random_.randrange(8)):
        frame[random_.randrange(len(frame))] = random_.randrange(256)
    try:
        parse(bytes(frame[: random_.randrange(len(frame) + 1)]))
    except Malformed:
        return


# --- queries ----------------------------------------------------------------------------------------------------------


def test_a_query_is_one_that_routers_may_send() -> None:
    mac = mac_bytes("02:00:00:00:00:fe")
    made = query4(mac, ip_bytes("10.0.0.254"), 1, 60)
    assert describe(made).startswith("02:00:00:00:00:fe>01:00:5e:00:00:01 ip 10.0.0.254>224.0.0.1 ttl 1")
    assert parse(made) == Message(query=True, asks=True)
    packet = dpkt.ethernet.Ethernet(made).data
    assert (packet.opts, packet.hl, dpkt.in_cksum(made[14:38])) == (b"\x94\x04\0\0", 6, 0)
    body = made[38:]
    assert (body[1], body[8] & 7, body[9], len(body)) == (10, 2, 60, 12)

    made = query6(mac, ip_bytes("fe80::fe"), 1, 60)
    assert describe(made) == "02:00:00:00:00:fe>33:33:00:00:00:01 ip6 fe80::fe>ff02::1 ttl 1 mld query"
    assert parse(made) == Message(query=True, asks=True)
    body = made[14 + 40 + 8 :]
    assert (struct.unpack("!H", body[4:6])[0], body[25], len(body)) == (1000, 60, 28)
    assert made[54:62] == b"\x3a\x00\x05\x02\x00\x00\x01\x00"


@pytest.mark.parametrize("value", [0, 1, 127, 128, 150, 300, 1000, 3600])
def test_large_numbers_are_nearly_what_they_were(value: int) -> None:
    made = code(value)
    read = made if made < 128 else ((made & 15) + 16) << ((made >> 4 & 7) + 3)
    assert made < 256 and value * 0.93 <= read <= value
    made = code16(value * 20)
    read = made if made < 32768 else ((made & 0xFFF) + 0x1000) << ((made >> 12 & 7) + 3)
    assert made < 65536 and value * 20 * 0.999 <= read <= value * 20
