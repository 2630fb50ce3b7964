"""Packets in the words of Open vSwitch, which is asked for its own."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import pytest

from ovine.controller.services.packet_text import packet_text
from support.dummy_switch import Switch, running_switch
from support.frames import build

MACS = build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 1>2")[:12]


def ip4(protocol: int, payload: bytes, tos: int = 0) -> bytes:
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), 0, 0, 64, protocol, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )
    return MACS + b"\x08\x00" + header + payload


FRAMES = {
    "udp": build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 1>2"),
    "udp6": build("02:00:00:00:00:01>02:00:00:00:00:02 ip6 fd00::1>fd00::2 udp 1>2"),
    "icmp": build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 icmp echo"),
    "vlan": build("02:00:00:00:00:01>02:00:00:00:00:02 vlan 101 ip 10.0.0.1>10.0.0.2 udp 1>2"),
    "tcp": ip4(6, struct.pack("!HHIIHHHH", 1, 2, 3, 4, 5 << 12 | 0x12, 0, 0, 0), tos=0x2E),
    "tcp without flags": ip4(6, struct.pack("!HHIIHHHH", 1, 2, 3, 4, 5 << 12, 0, 0, 0)),
    "sctp": ip4(132, struct.pack("!HHII", 1, 2, 3, 4)),
    "gre": ip4(47, bytes(8)),
    "lldp": MACS + b"\x88\xcc" + bytes(46),
    "arp": build(
        "02:00:00:00:00:01>ff:ff:ff:ff:ff:ff arp request 02:00:00:00:00:01/10.0.0.1>00:00:00:00:00:00/10.0.0.2"
    ),
}


@pytest.fixture(scope="module")
def switch() -> Iterator[Switch]:
    with running_switch() as made:
        yield made


@pytest.mark.parametrize("name", FRAMES)
def test_a_packet_is_written_as_the_switch_writes_it(switch: Switch, name: str) -> None:
    said = switch.appctl("ofproto/trace", "br0", "in_port=1", FRAMES[name].hex())
    flow = re.search(r"^Flow: (.*)$", said, re.M)
    assert flow is not None
    theirs = flow[1].replace("in_port=1,", "")
    theirs = re.sub(
        r"dl_vlan=(\d+),dl_vlan_pcp=0,vlan_tci1=0x0000", lambda m: f"vlan_tci=0x{int(m[1]) | 0x1000:04x}", theirs
    )
    assert packet_text(FRAMES[name]) == theirs


def test_what_is_cut_off_is_written_as_far_as_it_goes() -> None:
    for length in range(len(FRAMES["tcp"])):
        assert packet_text(FRAMES["tcp"][:length])
