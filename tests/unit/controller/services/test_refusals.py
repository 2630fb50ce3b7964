"""What is said to whom one does not let through; dpkt judges checksums."""

from __future__ import annotations

import random
import struct

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services.refusals import crc32c
from ovine.openflow import PacketOut
from support.frames import build, ip_bytes, mac_bytes
from support.service_bed import handle, userdata

WORDS = ("icmp4", "icmp4_error", "icmp6", "icmp6_error", "tcp_reset", "sctp_abort", "reject")
CARRIED = {word: userdata(f"{word} {{ output; }};") for word in WORDS}
UDP4 = build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 1>2")
UDP6 = build("02:00:00:00:00:01>02:00:00:00:00:02 ip6 fd00::1>fd00::2 udp 1>2")
MACS = mac_bytes("02:00:00:00:00:02") + mac_bytes("02:00:00:00:00:01")
FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16


def made(word: str, frame: bytes) -> bytes | None:
    outs = [out for out in handle(frame, CARRIED[word]) if isinstance(out, PacketOut)]
    return outs[0].data if outs else None


def ip4(protocol: int, payload: bytes, src: str = "10.0.0.1", dst: str = "10.0.0.2", fragment: int = 0) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, fragment, 64, protocol, 0)
    return MACS + b"\x08\x00" + header + ip_bytes(src) + ip_bytes(dst) + payload


def ip6(protocol: int, payload: bytes, src: str = "fd00::1", dst: str = "fd00::2") -> bytes:
    return (
        MACS
        + b"\x86\xdd"
        + struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        + ip_bytes(src)
        + ip_bytes(dst)
        + payload
    )


def tcp(flags: int, payload: bytes = b"", seq: int = 1000, ack: int = 0) -> bytes:
    return struct.pack("!HHIIBBHHH", 1, 2, seq, ack, 6 << 4, flags, 0, 0, 0) + bytes(4) + payload


def sound(frame: bytes) -> object:
    """The IP packet in a frame, after checks of its checksums and lengths."""
    packet = dpkt.ethernet.Ethernet(frame).data
    inner = frame[34 if isinstance(packet, dpkt.ip.IP) else 54 :]
    if isinstance(packet, dpkt.ip.IP):
        assert dpkt.in_cksum(frame[14:34]) == 0
        assert (packet.ttl, packet.len) == (255, 20 + len(inner))
        pseudo = packet.src + packet.dst + struct.pack("!BBH", 0, packet.p, len(inner)) if packet.p != 1 else b""
        number = packet.p
    else:
        assert (packet.hlim, packet.plen) == (255, len(inner))
        pseudo = packet.src + packet.dst + struct.pack("!II", len(inner), packet.nxt)
        number = packet.nxt
    if number != 132:
        assert dpkt.in_cksum(pseudo + inner) == 0
    return packet


@pytest.mark.parametrize("word", ["icmp4", "icmp4_error"])
def test_an_error_about_an_ipv4_packet_holds_it_and_keeps_its_addresses(word: str) -> None:
    frame = made(word, UDP4 + bytes(10))
    assert frame is not None and frame[:14] == UDP4[:14]
    packet = sound(frame)
    assert (packet.src, packet.dst) == (ip_bytes("10.0.0.1"), ip_bytes("10.0.0.2"))  # type: ignore[attr-defined]
    assert frame[34:36] == b"\x03\x01"
    assert frame[42:] == UDP4[14:]


@pytest.mark.parametrize("word", ["icmp6", "icmp6_error"])
def test_an_error_about_an_ipv6_packet_holds_it_and_keeps_its_addresses(word: str) -> None:
    frame = made(word, UDP6 + bytes(10))
    assert frame is not None and frame[:14] == UDP6[:14]
    sound(frame)
    assert frame[54:56] == b"\x01\x01"
    assert frame[62:] == UDP6[14:]


@pytest.mark.parametrize(("frame", "largest"), [(ip4(17, bytes(1400)), 576), (ip6(17, bytes(1400)), 1280)])
def test_an_error_is_no_longer_than_any_link_takes(frame: bytes, largest: int) -> None:
    refused = made("reject", frame)
    assert refused is not None and len(refused) == 14 + largest
    sound(refused)


@pytest.mark.parametrize(("frame", "kind"), [(UDP4, b"\x03\x03"), (UDP6, b"\x01\x04")])
def test_a_rejected_datagram_is_refused_on_its_way_back(frame: bytes, kind: bytes) -> None:
    refused = made("reject", frame)
    assert refused is not None
    assert (refused[:6], refused[6:12]) == (frame[6:12], frame[:6])
    packet = sound(refused)
    assert bytes(packet.data)[:2] == kind  # type: ignore[attr-defined]
    assert packet.dst == dpkt.ethernet.Ethernet(frame).data.src  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrap", [ip4, ip6])
@pytest.mark.parametrize("word", ["tcp_reset", "reject"])
@pytest.mark.parametrize(
    ("segment", "seq", "ack", "flags"),
    [
        (tcp(SYN), 0, 1001, RST | ACK),
        (tcp(SYN, b"early"), 0, 1006, RST | ACK),
        (tcp(FIN, b"abc"), 0, 1004, RST | ACK),
        (tcp(0, seq=0xFFFFFFFF, payload=b"ab"), 0, 1, RST | ACK),
        (tcp(ACK, ack=77), 77, 0, RST),
        (tcp(ACK | PUSH, b"data", ack=77), 77, 0, RST),
    ],
)
def test_a_segment_is_reset(wrap: object, word: str, segment: bytes, seq: int, ack: int, flags: int) -> None:
    frame = made(word, wrap(6, segment))  # type: ignore[operator]
    assert frame is not None
    packet = sound(frame)
    reset = packet.data  # type: ignore[attr-defined]
    assert (reset.seq, reset.ack, reset.flags, len(reset)) == (seq, ack, flags, 20)
    assert (reset.sport, reset.dport) == (2, 1)
    assert (packet.src == ip_bytes("10.0.0.2") or packet.src == ip_bytes("fd00::2")) == (word == "reject")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("chunk", "tag", "flags"), [(b"\1\0\0\x14\0\0\0\x55" + bytes(12), 0x55, 0), (b"\0\3\0\x10" + bytes(12), 0x44, 1)]
)
def test_an_association_is_aborted(chunk: bytes, tag: int, flags: int) -> None:
    frame = made("sctp_abort", ip4(132, struct.pack("!HHII", 1, 2, 0x44, 0) + chunk))
    assert frame is not None
    sound(frame)
    data = frame[34:]
    assert data[:8] == struct.pack("!HHI", 2, 1, tag)
    assert data[12:] == bytes((6, flags, 0, 4))
    assert data[8:12] == crc32c(data[:8] + bytes(4) + data[12:]).to_bytes(4, "little")


def test_the_checksum_of_sctp_is_that_of_rfc_3720() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize(
    "frame",
    [
        ip4(1, b"\3\1\0\0" + bytes(8)),
        ip4(1, b"\x0b\0\0\0" + bytes(8)),
        ip4(6, tcp(RST)),
        ip4(6, tcp(SYN), fragment=0x2000),
        ip4(17, bytes(8), fragment=0x00FF),
        ip4(17, bytes(8), dst="224.0.0.1"),
        ip4(17, bytes(8), dst="255.255.255.255"),
        ip4(17, bytes(8), src="0.0.0.0"),
        ip4(132, struct.pack("!HHII", 1, 2, 0x44, 0) + b"\6\0\0\4"),
        ip6(58, b"\1\1\0\0" + bytes(8)),
        ip6(58, b"\x89\0\0\0" + bytes(8)),
        ip6(17, bytes(8), dst="ff02::1"),
        ip6(17, bytes(8), src="::"),
        b"",
    ],
)
def test_what_must_not_be_answered_is_not(frame: bytes) -> None:
    assert made("reject", frame) is None


@settings(max_examples=2000, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from(WORDS),
    st.sampled_from([UDP4, UDP6, ip4(6, tcp(SYN)), ip6(6, tcp(ACK, b"x")), ip4(132, bytes(28))]),
    st.integers(0, 20),
)
def test_no_packet_breaks_a_refusal(random_: random.Random, word: str, frame: bytes, changes: int) -> None:
    broken = bytearray(frame)
    for _ in range(changes):
        broken[random_.randrange(len(broken))] = random_.randrange(256)
    cut = random_.randrange(len(broken) + 1) if changes & 1 else len(broken)
    refused = made(word, bytes(broken[:cut]))
    assert refused is None or len(refused) >= 34


@pytest.mark.parametrize(("word", "field", "frame"), [("icmp4_error", "icmp4", UDP4), ("icmp6_error", "icmp6", UDP6)])
def test_an_error_tells_the_mtu_that_its_block_assigns(word: str, field: str, frame: bytes) -> None:
    carried = userdata(f"{word} {{ {field}.type = 2; {field}.frag_mtu = 1400; output; }};")
    (out,) = handle(frame, carried)
    assert isinstance(out, PacketOut)
    sound(out.data)
    message = out.data[34:] if field == "icmp4" else out.data[54:]
    assert int.from_bytes(message[4:8]) == 1400
    assert [type(action).__name__ for action in out.actions] == ["SetField", "Resubmit"]


@pytest.mark.parametrize("actions", ["arp { icmp4.frag_mtu = 1400; };", "icmp4 { icmp6.frag_mtu = 1400; };"])
def test_an_mtu_is_told_by_errors_of_its_family_only(actions: str) -> None:
    with pytest.raises(ValueError, match=r"frag_mtu cannot be set here|prerequisites"):
        userdata(actions)


def test_an_error_quotes_all_that_fits_and_no_more() -> None:
    long4, long6 = ip4(17, bytes(3000)), ip6(17, bytes(3000))
    out4, out6 = made("icmp4_error", long4), made("icmp6_error", long6)
    assert out4 is not None and len(out4) == 14 + 576 and out4[42:] == long4[14 : 14 + 548]
    assert out6 is not None and len(out6) == 14 + 1280 and out6[62:] == long6[14 : 14 + 1232]
