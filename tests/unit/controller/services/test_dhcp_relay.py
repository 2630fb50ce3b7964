"""What a DHCP relay makes of requests and replies; dpkt judges lengths and checksums, and no packet breaks it."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services import services
from ovine.controller.services.dhcp_relay import MAX_HOPS, checked_reply, checked_request
from ovine.controller.services.frames import Malformed, checksum
from ovine.openflow import Resume
from support.frames import build, describe
from support.service_bed import handle, resumed, userdata

RELAY, SERVER = ip_address("10.0.1.254").packed, ip_address("172.16.0.5").packed
CLIENT = "02:00:00:00:00:01>02:00:00:00:01:fe ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp"
BACK = "02:00:00:00:02:05>02:00:00:00:02:fe ip 172.16.0.5>10.0.1.254 udp 67>67 dhcp"
OFFER = f"{BACK} offer 02:00:00:00:00:01 yiaddr 10.0.1.1 giaddr 10.0.1.254 server 172.16.0.5"
ASKS = userdata("reg0[3] = dhcp_relay_req_chk(10.0.1.254, 172.16.0.5); next;")
ANSWERS = userdata("reg0[3] = dhcp_relay_resp_chk(10.0.1.254, 172.16.0.5); next;")
MESSAGE = 14 + 20 + 8
"""Where the DHCP message begins in these frames."""


def judged(frame: bytes | None) -> bytes:
    """A frame that was made, after checks that hold for each."""
    assert frame is not None
    packet = dpkt.ethernet.Ethernet(frame).data
    assert checksum(bytes(frame[14:34])) == 0
    assert packet.len == len(frame) - 14
    written, packet.data.sum = packet.data.sum, 0
    pseudo = packet.src + packet.dst + struct.pack("!HH", 17, packet.data.ulen)
    assert dpkt.in_cksum(pseudo + bytes(packet.data)) == written != 0
    assert dpkt.dhcp.DHCP(packet.data.data).magic == dpkt.dhcp.DHCP_MAGIC
    return frame


@pytest.mark.parametrize("kind", ["discover", "request", "decline", "release", "inform"])
def test_a_request_gets_the_relays_address_and_one_hop_more(kind: str) -> None:
    made = judged(resumed(build(f"{CLIENT} {kind}"), ASKS))
    assert describe(made) == f"{CLIENT} {kind} giaddr 10.0.1.254 hops 1"


def test_nothing_else_of_a_request_changes() -> None:
    sent = build(f"{CLIENT} request 02:00:00:00:00:01 broadcast ciaddr 10.0.1.7 ask 10.0.1.7")
    made = judged(checked_request(sent, RELAY))
    assert made[:40] == sent[:40]
    fields = {at for at in range(MESSAGE, len(sent)) if made[at] != sent[at]}
    assert fields <= {MESSAGE + 3, *range(MESSAGE + 24, MESSAGE + 28)}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("discover 02:00:00:00:00:01 giaddr 10.0.9.9", "another relay has had it"),
        ("discover 02:00:00:00:00:01 giaddr 10.0.1.254", "so it says, at least"),
        (f"discover 02:00:00:00:00:01 hops {MAX_HOPS}", "it has travelled too far"),
        ("offer 02:00:00:00:00:01 yiaddr 10.0.1.1", "it is a reply"),
    ],
)
def test_requests_that_are_not_relayed_go_on_unchanged_for_the_flows_to_drop(words: str, reason: str) -> None:
    assert resumed(build(f"{CLIENT} {words}"), ASKS) is None, reason


def test_a_request_may_have_all_hops_but_one() -> None:
    made = judged(resumed(build(f"{CLIENT} discover 02:00:00:00:00:01 hops {MAX_HOPS - 1}"), ASKS))
    assert describe(made).endswith(f"hops {MAX_HOPS}")


def with_options(frame: bytes, *options: tuple[int, bytes]) -> bytes:
    """A frame of `build` with more options; the lengths in its headers fit."""
    more = b"".join(bytes((code, len(data))) + data for code, data in options)
    udp = bytearray(frame[:-1] + more + b"\xff")
    struct.pack_into("!H", udp, 16, len(udp) - 14)
    struct.pack_into("!H", udp, 38, len(udp) - 34)
    return bytes(udp)


def test_a_client_cannot_pretend_to_be_a_relay() -> None:
    """RFC 3046 §2.1: relay agent information from where no relay is."""
    sent = build(f"{CLIENT} discover")
    assert resumed(with_options(sent, (12, b"vm1")), ASKS) is not None
    assert resumed(with_options(sent, (82, b"\x01\x01x")), ASKS) is None


def test_a_reply_goes_to_the_clients_own_addresses() -> None:
    made = judged(resumed(build(OFFER), ANSWERS))
    assert describe(made) == (
        "02:00:00:00:02:05>02:00:00:00:00:01 ip 172.16.0.5>10.0.1.1 udp 67>67 "
        "dhcp offer yiaddr 10.0.1.1 giaddr 10.0.1.254 54=172.16.0.5"
    )


@pytest.mark.parametrize(
    "words",
    [
        "offer 02:00:00:00:00:01 broadcast yiaddr 10.0.1.1 giaddr 10.0.1.254 server 172.16.0.5",
        "nak 02:00:00:00:00:01 broadcast giaddr 10.0.1.254 server 172.16.0.5",
        "nak 02:00:00:00:00:01 giaddr 10.0.1.254 server 172.16.0.5",
    ],
)
def test_a_reply_goes_to_all_if_the_client_asks_for_that_or_gets_no_address(words: str) -> None:
    made = judged(resumed(build(f"{BACK} {words}"), ANSWERS))
    assert describe(made).startswith("02:00:00:00:02:05>ff:ff:ff:ff:ff:ff ip 172.16.0.5>255.255.255.255 udp 67>67")


@pytest.mark.parametrize(
    "words",
    [
        "offer 02:00:00:00:00:01 yiaddr 10.0.1.1 server 172.16.0.5",
        "offer 02:00:00:00:00:01 yiaddr 10.0.1.1 giaddr 10.0.2.254 server 172.16.0.5",
        "offer 02:00:00:00:00:01 yiaddr 10.0.1.1 giaddr 10.0.1.254 server 172.16.0.6",
        "offer 02:00:00:00:00:01 yiaddr 10.0.1.1 giaddr 10.0.1.254",
        "offer 03:00:00:00:00:01 yiaddr 10.0.1.1 giaddr 10.0.1.254 server 172.16.0.5",
        "offer 00:00:00:00:00:00 yiaddr 10.0.1.1 giaddr 10.0.1.254 server 172.16.0.5",
        "discover 02:00:00:00:00:01 giaddr 10.0.1.254 server 172.16.0.5",
    ],
)
def test_replies_for_others_or_of_others_go_on_unchanged(words: str) -> None:
    assert resumed(build(f"{BACK} {words}"), ANSWERS) is None


def test_options_of_the_packet_and_its_traffic_class_stay() -> None:
    sent = bytearray(build(OFFER))
    sent[14:16] = b"\x46\xb8"
    longer = bytes(sent[:34]) + b"\x94\x04\x00\x00" + bytes(sent[34:])
    longer = longer[:16] + struct.pack("!H", len(longer) - 14) + longer[18:]
    made = checked_reply(longer, RELAY, SERVER)
    assert made is not None
    assert made[14:16] == b"\x46\xb8"
    assert made[34:38] == b"\x94\x04\x00\x00"
    assert checksum(made[14:38]) == 0


def test_fragments_are_not_touched() -> None:
    whole = build(OFFER)
    for flags in (b"\x20\x00", b"\x00\x10"):
        assert resumed(whole[:20] + flags + whole[22:], ANSWERS) is None


REQUEST = build(f"{CLIENT} discover")
REPLY = build(OFFER)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400) | st.builds(lambda n: REQUEST[:n], st.integers(0, len(REQUEST))))
def test_what_is_no_dhcp_is_malformed_and_nothing_else(frame: bytes) -> None:
    for check in (lambda: checked_request(frame, RELAY), lambda: checked_reply(frame, RELAY, SERVER)):
        try:
            check()
        except Malformed:
            continue


def test_damaged_messages_go_on_in_any_case() -> None:
    chance = random.Random(1)
    relayed = 0
    for carried, frame in [(ASKS, REQUEST), (ANSWERS, REPLY)] * 2000:
        damaged = bytearray(frame)
        for _ in range(chance.randrange(4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (message,) = handle(
            bytes(damaged[: chance.randrange(len(damaged)) if chance.random() < 0.1 else None]), carried
        )
        assert isinstance(message, Resume)
        relayed += message.packet is not None
    assert 1000 < relayed < 4000


def test_both_are_services() -> None:
    assert {ASKS.opcode, ANSWERS.opcode} <= services().keys()
    assert ASKS.payload == RELAY
    assert ANSWERS.payload == RELAY + SERVER
