"""Router advertisements; dpkt judges checksums."""

from __future__ import annotations

import random
import struct

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.frames import ip_bytes, mac_bytes
from support.service_bed import resumed, userdata

USUAL = 'addr_mode = "slaac", slla = 02:00:00:00:00:fe'
CARRIED = userdata(f"reg0[3] = put_nd_ra_opts({USUAL}); next;")
FOR_EVER = b"\xff" * 4


def solicitation(kind: int = 133, hops: int = 255, code: int = 0) -> bytes:
    body = struct.pack("!BBHI", kind, code, 0, 0) + b"\1\1" + mac_bytes("02:00:00:00:00:01")
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, hops) + ip_bytes("fe80::1") + ip_bytes("ff02::2")
    return mac_bytes("33:33:00:00:00:02") + mac_bytes("02:00:00:00:00:01") + b"\x86\xdd" + header + body


def advertised(arguments: str) -> tuple[bytes, list[bytes]]:
    """The fixed part, and the options."""
    frame = resumed(solicitation(), userdata(f"reg0[3] = put_nd_ra_opts({arguments}); next;"))
    assert frame is not None and frame[:14] == solicitation()[:14]
    body = frame[54:]
    assert dpkt.in_cksum(frame[22:54] + struct.pack("!II", len(body), 58) + body) == 0
    assert (frame[21], int.from_bytes(frame[18:20])) == (255, len(body))
    options, rest = [], body[16:]
    while rest:
        options.append(rest[: rest[1] * 8])
        rest = rest[rest[1] * 8 :]
    return body[:16], options


@pytest.mark.parametrize(
    ("mode", "flags", "prefix_flags"),
    [("slaac", 0, 0xC0), ("dhcpv6_stateless", 0x40, 0xC0), ("dhcpv6_stateful", 0x80, 0x80)],
)
def test_the_mode_says_where_addresses_come_from(mode: str, flags: int, prefix_flags: int) -> None:
    fixed, options = advertised(f'addr_mode = "{mode}", slla = 02:00:00:00:00:fe, prefix = fd00::/64')
    assert (fixed[0], fixed[5], fixed[6:8]) == (134, flags, b"\xff\xff")
    assert options == [
        b"\1\1" + mac_bytes("02:00:00:00:00:fe"),
        b"\3\4\x40" + bytes((prefix_flags,)) + FOR_EVER * 2 + bytes(4) + ip_bytes("fd00::"),
    ]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("mtu = 1450", b"\5\1\0\0" + struct.pack("!I", 1450)),
        ("rdnss = fd00::53", b"\x19\3\0\0" + FOR_EVER + ip_bytes("fd00::53")),
        ('dnssl = "a.example,b"', b"\x1f\3\0\0" + FOR_EVER + b"\1a\7example\0" + b"\1b\0" + bytes(2)),
        ('route_info = "HIGH-fd01::/48"', b"\x18\2\x30\x08" + FOR_EVER + ip_bytes("fd01::")[:8]),
        ('route_info = "LOW-::/0"', b"\x18\1\0\x18" + FOR_EVER),
    ],
)
def test_options_are_as_on_the_wire(argument: str, expected: bytes) -> None:
    _, options = advertised(f"{USUAL}, {argument}")
    assert options[1:] == [expected]


def test_several_prefixes_and_a_preference() -> None:
    fixed, options = advertised(f'{USUAL}, prefix = fd00::/64, prefix = fd01::/64, router_preference = "LOW"')
    assert fixed[5] == 0x18
    assert [option[16:18] for option in options[1:]] == [b"\xfd\0", b"\xfd\1"]


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("prefix = 10.0.0.0/8", "takes one IPv6 prefix"),
        ('router_preference = "BEST"', "takes one of HIGH, MEDIUM, LOW"),
        ('route_info = "fd00::/64"', "does not start with one of HIGH, MEDIUM, LOW and a dash"),
        ('route_info = "LOW-10.0.0.0/8"', "is no IPv6 prefix"),
        ("nonsense = 1", "router advertisement, nonsense = {1}: is not an option of router advertisements"),
    ],
)
def test_an_option_that_cannot_be_refuses_the_flow(argument: str, problem: str) -> None:
    with pytest.raises(ValueError) as error:
        userdata(f"reg0[3] = put_nd_ra_opts({USUAL}, {argument}); next;")
    assert problem in str(error.value)


@pytest.mark.parametrize("frame", [solicitation(134), solicitation(hops=64), solicitation(code=1), b""])
def test_what_is_no_solicitation_goes_on_unchanged(frame: bytes) -> None:
    assert resumed(frame, CARRIED) is None


@settings(max_examples=500, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 10))
def test_no_packet_breaks_the_service(random_: random.Random, changes: int) -> None:
    frame = bytearray(solicitation())
    for _ in range(changes):
        frame[random_.randrange(len(frame))] = random_.randrange(256)
    made = resumed(bytes(frame), CARRIED)
    assert made is None or made[54] == 134
