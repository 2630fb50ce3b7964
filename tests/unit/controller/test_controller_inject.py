"""Packets that are described by an expression."""

from __future__ import annotations

import pytest
from dpkt.ethernet import Ethernet

from ovine.controller.inject import InjectError, injected
from support.controller_world import World

A = 'inport == "a" && eth.src == 02:00:00:00:00:01 && eth.dst == 02:00:00:00:00:02'


@pytest.fixture
def world() -> World:
    made = World()
    made.datapath("sw0", 1)
    made.port("a", "sw0", 7)
    made.interface("a", 10)
    return made.run()


def test_a_udp_packet_enters_by_its_port_with_right_checksums(world: World) -> None:
    words = "ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && ip.ttl == 64 && udp.src == 5 && udp.dst == 53"
    message = injected(world.engine, f"{A} && {words}")
    assert message.in_port == 10
    packet = Ethernet(message.data)
    assert (packet.src.hex(), packet.dst.hex()) == ("020000000001", "020000000002")
    assert (packet.data.src, packet.data.ttl) == (bytes([10, 0, 0, 1]), 64)
    assert (packet.data.data.sport, packet.data.data.dport, packet.data.data.ulen) == (5, 53, 8)
    assert packet.data.sum != 0 and packet.data.data.sum != 0


def test_a_tag_goes_between_the_addresses_and_the_type(world: World) -> None:
    data = injected(world.engine, f"{A} && vlan.vid == 5 && eth.type == 0x800").data
    assert data[12:18].hex() == "810000050800"


def test_arp_and_neighbour_solicitations_can_be_said(world: World) -> None:
    arp = Ethernet(injected(world.engine, f"{A} && arp.op == 1 && arp.tpa == 10.0.0.2").data).data
    assert (arp.op, arp.tpa) == (1, bytes([10, 0, 0, 2]))
    solicitation = injected(world.engine, f"{A} && nd_ns && nd.target == fd00::2 && nd.sll == 02:00:00:00:00:01").data
    assert solicitation[54] == 135 and solicitation.endswith(bytes.fromhex("0101020000000001"))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("ip4", "does not name an inport that is on this host"),
        ('inport == "elsewhere"', "no packet on this host matches"),
        ('inport == "a" && ip', "allows different packets"),
        ('inport == "a" &&', "expected a comparison"),
    ],
)
def test_what_describes_no_packet_is_refused_with_the_reason(world: World, expression: str, reason: str) -> None:
    with pytest.raises(InjectError) as caught:
        injected(world.engine, expression)
    assert reason in str(caught.value)
