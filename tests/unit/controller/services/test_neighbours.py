"""Packets that blocks of actions are run on: ARP requests, neighbour solicitations and advertisements."""

from __future__ import annotations

import random

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.openflow import PacketOut, Resubmit, SetField
from support.frames import build, describe
from support.service_bed import handle, userdata

IP4 = "02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 1>2"
IP6 = "02:00:00:00:00:01>02:00:00:00:00:02 ip6 fd00::1>fd00::2 udp 1>2"
NS = "02:00:00:00:00:01>33:33:ff:00:00:02 ip6 fd00::1>ff02::1:ff00:2 ns fd00::2 02:00:00:00:00:01"
CASES = [
    (
        "arp",
        IP4,
        "02:00:00:00:00:01>02:00:00:00:00:02 arp request 02:00:00:00:00:01/10.0.0.1>00:00:00:00:00:00/10.0.0.2",
    ),
    ("nd_ns", IP6, "02:00:00:00:00:01>33:33:ff:00:00:02 ip6 fd00::1>ff02::1:ff00:2 ns fd00::2 02:00:00:00:00:01"),
    ("nd_na", NS, "33:33:ff:00:00:02>02:00:00:00:00:01 ip6 fd00::2>fd00::1 na 60 fd00::2 33:33:ff:00:00:02"),
    ("nd_na_router", NS, "33:33:ff:00:00:02>02:00:00:00:00:01 ip6 fd00::2>fd00::1 na e0 fd00::2 33:33:ff:00:00:02"),
    # Duplicate address detection has no address to answer to.
    (
        "nd_na",
        "02:00:00:00:00:01>33:33:ff:00:00:02 ip6 ::>ff02::1:ff00:2 ns fd00::2",
        "33:33:ff:00:00:02>02:00:00:00:00:01 ip6 fd00::2>ff02::1 na 20 fd00::2 33:33:ff:00:00:02",
    ),
]
PLACE = (("in_port", 7, None), ("metadata", 1, None), ("reg14", 2, None), ("ct_state", 1, None), ("tun_id", 5, None))


def made(word: str, frame: bytes) -> list[PacketOut]:
    carried = userdata(
        f"{word} {{ eth.src = 02:00:00:00:00:99; output; }};", {"arp": "ip4", "nd_ns": "ip6"}.get(word, "nd_ns")
    )
    return [message for message in handle(frame, carried, PLACE) if isinstance(message, PacketOut)]


@pytest.mark.parametrize(("word", "given_", "expected"), CASES)
def test_a_block_is_run_on_a_new_packet(word: str, given_: str, expected: str) -> None:
    (out,) = made(word, build(given_))
    assert describe(out.data) == expected
    assert out.actions == (SetField("eth_src", 0x020000000099), Resubmit(table=48))


def test_a_block_is_run_where_the_packet_was_in_the_pipeline() -> None:
    (out,) = made("arp", build(IP4))
    assert {entry[0]: entry[1] for entry in out.metadata} == {"metadata": 1, "reg14": 2}


@pytest.mark.parametrize(("word", "given_", "expected"), CASES)
def test_tags_of_the_frame_stay(word: str, given_: str, expected: str) -> None:
    source, rest = given_.split(" ", 1)
    (out,) = made(word, build(f"{source} vlan 101 {rest}"))
    source, rest = expected.split(" ", 1)
    assert describe(out.data) == f"{source} vlan 101 {rest}"


@pytest.mark.parametrize(("word", "given_", "expected"), CASES[1:])
def test_checksums_and_hop_limits_are_as_neighbours_want_them(word: str, given_: str, expected: str) -> None:
    packet = dpkt.ethernet.Ethernet(made(word, build(given_))[0].data).data
    assert packet.hlim == 255
    pseudo = packet.src + packet.dst + packet.plen.to_bytes(4) + (58).to_bytes(4)
    assert dpkt.in_cksum(pseudo + bytes(packet.data)) == 0


@pytest.mark.parametrize(("word", "given_"), [("arp", IP6), ("nd_ns", IP4), ("nd_na", IP6), ("nd_na", IP4)])
def test_other_packets_make_nothing(word: str, given_: str) -> None:
    assert made(word, build(given_)) == []


@settings(max_examples=2000, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(CASES), st.integers(0, 20))
def test_no_packet_breaks_a_maker(random_: random.Random, case: tuple[str, str, str], changes: int) -> None:
    frame = bytearray(build(case[1]))
    for _ in range(changes):
        frame[random_.randrange(len(frame))] = random_.randrange(256)
    cut = random_.randrange(len(frame) + 1) if changes & 1 else len(frame)
    carried = CARRIED[case[0]]
    answers = handle(bytes(frame[:cut]), carried, PLACE)
    assert all(isinstance(answer, PacketOut) for answer in answers)


CARRIED = {word: userdata(f"{word} {{ output; }};") for word in ("arp", "nd_ns", "nd_na", "nd_na_router")}
