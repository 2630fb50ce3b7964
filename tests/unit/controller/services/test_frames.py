"""Frames taken apart and put together, with dpkt as the judge."""

from __future__ import annotations

import struct

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services import frames
from ovine.controller.services.frames import Malformed, checksum, ethernet, ipv4, ipv6, make_ipv4, make_udp, udp
from support.frames import build

IP4 = build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 1>2")
IP6 = build("02:00:00:00:00:01>02:00:00:00:00:02 ip6 fd00::1>fd00::2 udp 1>2")
HEADER6 = IP6[14:54]


def with_extensions(*headers: tuple[int, bytes]) -> frames.Ethernet:
    """The IPv6 frame with headers, (number, bytes after the next header's number), before its UDP."""
    numbers = [number for number, _ in headers] + [17]
    chain = b"".join(bytes((number,)) + body for number, (_, body) in zip(numbers[1:], headers, strict=True))
    payload = chain + IP6[54:]
    header = HEADER6[:4] + struct.pack("!HB", len(payload), numbers[0]) + HEADER6[7:]
    return ethernet(IP6[:14] + header + payload)


@given(st.binary(max_size=64))
def test_checksums_are_the_internets(data: bytes) -> None:
    assert checksum(data) == dpkt.in_cksum(data)


@pytest.mark.parametrize("tags", [b"", b"\x81\x00\x00\x65", b"\x88\xa8\x00\x0a\x81\x00\x00\x65"])
def test_a_frame_is_put_together_as_it_was(tags: bytes) -> None:
    tagged = IP4[:12] + tags + IP4[12:]
    assert (ethernet(tagged).tags, ethernet(tagged).encode()) == (tags, tagged)


def test_padding_is_no_part_of_a_packet() -> None:
    for whole, parse in ((IP4, ipv4), (IP6, ipv6)):
        assert parse(ethernet(whole + bytes(10))) == parse(ethernet(whole))


@pytest.mark.parametrize(
    "headers",
    [
        [(0, b"\0" + bytes(6))],
        [(0, b"\1" + bytes(14)), (43, b"\0" + bytes(6)), (60, b"\0" + bytes(6))],
    ],
)
def test_extension_headers_are_skipped(headers: list[tuple[int, bytes]]) -> None:
    assert udp(ipv6(with_extensions(*headers))).payload == b"ovine"


def test_fragments_have_no_datagram() -> None:
    with pytest.raises(Malformed):
        udp(ipv6(with_extensions((44, bytes(7)))))
    with pytest.raises(Malformed):
        udp(ipv4(ethernet(IP4[:20] + b"\x20" + IP4[21:])))


def test_a_chain_of_headers_that_runs_over_the_end_is_malformed() -> None:
    with pytest.raises(Malformed):
        ipv6(with_extensions((0, b"\xff" + bytes(6))))


@given(st.binary(max_size=50))
def test_a_datagram_is_read_as_it_was_made(payload: bytes) -> None:
    src, dst = b"\x0a\0\0\1", b"\x0a\0\0\2"
    packet = make_ipv4(src, dst, 17, make_udp(src, dst, (1, 2), payload))
    assert dpkt.in_cksum(packet[:20]) == 0
    assert udp(ipv4(ethernet(IP4[:14] + packet))) == (1, 2, payload)


@pytest.mark.parametrize("make", [frames.make_ipv4, frames.make_ipv6])
def test_a_packet_that_is_too_long_cannot_be_made(make: object) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        make(b"", b"", 17, bytes(70000))  # type: ignore[operator]


@settings(max_examples=2000, deadline=None)
@given(st.sampled_from([IP4, IP6]), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=10))
def test_what_cannot_be_read_is_malformed_and_nothing_worse(frame: bytes, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(frame)
    for at, value in changes:
        broken[at % len(broken)] = value
    for parse in (ipv4, ipv6):
        try:
            udp(parse(ethernet(bytes(broken))))
        except Malformed:
            continue
