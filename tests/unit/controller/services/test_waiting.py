"""Packets that wait for a neighbour: which ones, for how long, and what becomes of them."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services import Userdata, services
from ovine.controller.services.waiting import NEIGHBOURS, PATIENCE, PER_NEIGHBOUR, Hold, Waiting
from ovine.model import sb
from ovine.model.base import Row, StrMap
from ovine.openflow import Match, PacketIn, PacketOut, Resubmit, SetField
from support.controller_world import uuid_of
from support.frames import build
from support.service_bed import Host, handle, replica_of, userdata

MAC = "02:00:00:00:00:09"
NUMBER = 0x0200_0000_0009
IP4 = build("02:00:00:00:00:01>00:00:00:00:00:00 ip 10.0.0.1>8.8.8.8 udp 1>2")
IP6 = build("02:00:00:00:00:01>00:00:00:00:00:00 ip6 fd00::1>fd99::8 udp 1>2")
ASK4 = userdata("arp { eth.dst = ff:ff:ff:ff:ff:ff; arp.tpa = reg0; output; };", "ip4")
ASK6 = userdata("nd_ns { nd.target = xxreg0; output; };", "ip6")
NEXT_HOP6 = int(ip_address("fd00::fe"))
AT: Match = (("metadata", 7, None), ("reg15", 3, None), ("reg0", 0x0A0000FE, None))
AT6: Match = (
    ("metadata", 7, None),
    ("reg15", 3, None),
    *((f"reg{n}", NEXT_HOP6 >> 32 * (3 - n) & 0xFFFFFFFF, None) for n in range(4)),
)


DATAPATH = sb.DatapathBinding(uuid=uuid_of("lr0"), tunnel_key=7)
PORT = sb.PortBinding(uuid=uuid_of("rp"), logical_port="rp", datapath=DATAPATH.uuid, tunnel_key=3)
GATEWAY = sb.PortBinding(
    uuid=uuid_of("cr-rp"),
    logical_port="cr-rp",
    type="chassisredirect",
    datapath=DATAPATH.uuid,
    tunnel_key=4,
    options=StrMap({"distributed-port": "rp"}),
)


def host(*rows: Row) -> Host:
    return Host(southbound=replica_of(DATAPATH, PORT, GATEWAY, *rows))


def learned(ip: str = "10.0.0.254") -> sb.MACBinding:
    return sb.MACBinding(uuid=uuid_of(ip), logical_port="rp", ip=ip, mac=MAC, datapath=DATAPATH.uuid)


def static(override: bool) -> sb.StaticMACBinding:
    binding = sb.StaticMACBinding(uuid=uuid_of("static"), logical_port="rp", ip="10.0.0.254", datapath=DATAPATH.uuid)
    return msgspec.structs.replace(binding, mac="02:00:00:00:00:0a", override_dynamic_mac=override)


def asked(frame: bytes = IP4, carried: Userdata = ASK4, match: Match = AT) -> tuple[Hold, PacketOut]:
    """What waits, and the question, after a packet-in from table 26."""
    packet = PacketIn(frame, match, table=26, userdata=carried.encode())
    waiting, question = services()[carried.opcode].handle(packet, carried, Host())
    return waiting, question


def released(waiting: Waiting, at: Host, now: float = 0.0) -> list[tuple[int, bytes]]:
    """The MAC address and the frame of each packet that goes on."""
    outs = []
    for out in waiting.step({}, at, now):
        assert isinstance(out, PacketOut)
        (mac, way) = out.actions
        assert isinstance(mac, SetField) and way == Resubmit(table=26)
        outs.append((mac.value, out.data))
    return outs


def test_a_packet_waits_for_the_next_hop_that_the_block_asks_for() -> None:
    waiting, question = asked()
    assert waiting.neighbour == (7, 3, "10.0.0.254") and waiting.frame == IP4
    assert isinstance(question, PacketOut) and question.data != IP4
    assert asked(IP6, ASK6, AT6)[0].neighbour == (7, 3, "fd00::fe")


def test_without_a_word_of_the_block_the_destination_is_asked_for() -> None:
    assert asked(carried=userdata("arp { output; };", "ip4"))[0].neighbour.ip == "8.8.8.8"
    assert asked(IP6, userdata("nd_ns { output; };", "ip6"), AT6)[0].neighbour.ip == "fd99::8"
    constant = userdata("arp { arp.tpa = 10.0.0.7; output; };", "ip4")
    assert asked(carried=constant)[0].neighbour.ip == "10.0.0.7"


def test_a_packet_goes_to_the_table_that_asked_when_the_neighbour_is_known() -> None:
    waiting = Waiting()
    waiting.hear(asked()[0], 0.0)
    assert released(waiting, host()) == []
    (out,) = waiting.step({}, host(learned()), 1.0)
    assert out == PacketOut("CONTROLLER", (SetField("eth_dst", NUMBER), Resubmit(table=26)), IP4, AT)
    assert released(waiting, host(learned()), 2.0) == [] and waiting.deadline() is None


def test_what_is_learned_on_a_gateway_port_releases_what_waits_at_its_place_on_the_gateway_chassis() -> None:
    waiting = Waiting()
    waiting.hear(asked(match=(("metadata", 7, None), ("reg15", 4, None), ("reg0", 0x0A0000FE, None)))[0], 0.0)
    assert released(waiting, host(learned())) == [(NUMBER, IP4)]


def test_a_configured_neighbour_is_known_and_yields_to_a_learned_one_unless_it_overrides() -> None:
    for rows, mac in (
        ((static(False),), 0x02000000000A),
        ((static(False), learned()), NUMBER),
        ((static(True), learned()), 0x02000000000A),
    ):
        waiting = Waiting()
        waiting.hear(asked()[0], 0.0)
        assert released(waiting, host(*rows)) == [(mac, IP4)]


def test_few_packets_wait_for_a_neighbour_and_the_newest_win() -> None:
    waiting = Waiting()
    frames = [IP4 + bytes((n,)) for n in range(PER_NEIGHBOUR + 2)]
    for frame in frames:
        waiting.hear(asked(frame)[0], 0.0)
    assert [frame for _, frame in released(waiting, host(learned()))] == frames[2:]


def test_a_packet_does_not_wait_for_ever() -> None:
    waiting = Waiting()
    waiting.hear(asked()[0], 5.0)
    assert waiting.deadline() == 5.0 + PATIENCE
    assert released(waiting, host(), 5.0 + PATIENCE) == []
    assert waiting.deadline() is None and released(waiting, host(learned()), 16.0) == []


def test_a_scan_of_many_addresses_does_not_fill_the_memory() -> None:
    waiting = Waiting()
    for n in range(NEIGHBOURS + 5):
        waiting.hear(asked(match=(*AT[:2], ("reg0", n, None)))[0], 0.0)
    assert len(waiting.queues) == NEIGHBOURS


@pytest.mark.parametrize("missing", ["metadata", "reg15"])
def test_a_packet_of_no_known_place_asks_but_does_not_wait(missing: str) -> None:
    match = tuple(entry for entry in AT if entry[0] != missing)
    (question,) = handle(IP4, ASK4, match)
    assert isinstance(question, PacketOut)


@settings(max_examples=300)
@given(st.binary(max_size=80), st.sampled_from([ASK4, ASK6]), st.sampled_from([IP4, IP6]), st.integers(0, 70))
def test_a_damaged_packet_never_breaks_it(junk: bytes, carried: Userdata, frame: bytes, at: int) -> None:
    for each in handle(frame[:at] + junk, carried, AT):
        assert isinstance(each, Hold | PacketOut)
