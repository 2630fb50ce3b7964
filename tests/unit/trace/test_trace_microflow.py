"""Microflows become packets, names become rows; what is not one packet is refused in one line."""

from __future__ import annotations

import pytest

from ovine.language import SyntaxProblem
from ovine.trace import TraceError, find_datapath, microflow, run
from ovine.trace.interpreter import ct_state
from ovine.trace.values import describe
from support.trace_cases import Text, uuid

WORLD = (
    Text()
    .read(
        """
        switch neutron-11111111-1111-4111-8111-111111111111 name2=red
        switch blue name2=colour
        switch green name2=colour
        port neutron-11111111-1111-4111-8111-111111111111 p1 name=web
        port neutron-11111111-1111-4111-8111-111111111111 p2 name=twin
        port neutron-11111111-1111-4111-8111-111111111111 p3 name=twin
        port blue q1
        """
    )
    .world
)
RED = next(row for row in WORLD.datapaths.values() if row.external_ids.get("name2") == "red")


@pytest.mark.parametrize(
    "name",
    [
        "red",
        "neutron-11111111-1111-4111-8111-111111111111",
        "11111111-1111-4111-8111-111111111111",
        uuid(1),
        uuid(0xFFFF0001),
    ],
)
def test_a_datapath_is_found_by_each_of_its_names(name: str) -> None:
    assert find_datapath(WORLD, name) == RED


NONE4 = "ip4.src=0.0.0.0, ip4.dst=0.0.0.0"
NO_MACS = "arp.sha=00:00:00:00:00:00, arp.tha=00:00:00:00:00:00"
SOLICITS = "ip6.src=::, ip6.dst=::, ip.proto=58, ip.ttl=255, icmp6.type=135, icmp6.code=0"


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("tcp.dst == 80 && ip4", f"{NONE4}, ip.proto=6, ip.ttl=0, tcp.src=0, tcp.dst=80"),
        ("ip4.src == 10.0.0.0/24", "ip4.src=10.0.0.0, ip4.dst=0.0.0.0, ip.proto=0, ip.ttl=0"),
        ("arp.op == 1", f"arp.op=1, arp.spa=0.0.0.0, arp.tpa=0.0.0.0, {NO_MACS}"),
        ("eth.type == 0x88cc", "eth.type=0x88cc"),
        ("vlan.vid == 7", "vlan.tci=0x1007"),
        ("nd_ns && nd.target == fd00::1", f"{SOLICITS}, nd.target=fd00::1, nd.sll=00:00:00:00:00:00"),
    ],
)
def test_a_microflow_is_the_packet_that_it_describes(text: str, packet: str) -> None:
    port, made = microflow(WORLD, "red", f'inport == "web" && {text}')
    zeros = "eth.src=00:00:00:00:00:00, eth.dst=00:00:00:00:00:00, "
    assert port.logical_port == "p1"
    assert describe(made, WORLD, port.datapath) == zeros + packet


def test_without_a_datapath_it_is_the_one_of_the_port() -> None:
    assert microflow(WORLD, "", 'inport == "q1"')[0].datapath == find_datapath(WORLD, "blue").uuid


@pytest.mark.parametrize(
    ("datapath", "text", "said"),
    [
        ("pink", 'inport == "p1"', "no datapath 'pink': there are blue, green, red"),
        ("colour", 'inport == "p1"', "several datapaths are named 'colour': choose one of "),
        ("red", "ip4", "must say where the packet comes in"),
        ("red", 'inport == {"p1", "p2"}', "must say where the packet comes in"),
        ("red", 'inport == "p9"', "no port 'p9' in red: there are p2, p3, web"),
        ("red", 'inport == "q1"', "no port 'q1' in red: it is in blue"),
        ("red", 'inport == "twin"', "several ports are named 'twin': choose one of p2, p3"),
        ("green", 'inport == "p1" || inport == "p1"', "no port 'p1' in green: it is in red"),
        ("red", 'inport == "p1" && outport == "p9"', "no port 'p9' in red"),
        ("red", 'inport == "p1" && ip4 && ip6', "contradicts itself"),
        ("red", 'inport == "p1" && tcp.dst == 80', "it can be IPv4 or IPv6"),
        ("red", 'inport == "p1" && ip4.src == {10.0.0.1, 10.0.0.2}', "ip4.src == {10.0.0.1, 10.0.0.2} leaves a choice"),
        ("red", 'inport == "p1" && ip4 && tcp.dst > 3', "tcp.dst > 3 leaves a choice"),
        ("red", 'inport == "p1" && ip4 && (tcp.dst == 1 || udp.dst == 2)', "leaves a choice"),
        ("", 'inport == "p9"', "no port 'p9': there are p2, p3, q1, web"),
    ],
)
def test_what_is_not_one_packet_is_refused_in_one_line(datapath: str, text: str, said: str) -> None:
    with pytest.raises(TraceError) as caught:
        microflow(WORLD, datapath, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_southbound_says_so() -> None:
    empty = Text().world
    for datapath in ("s1", ""):
        with pytest.raises(TraceError, match="there is none"):
            run(empty, datapath, 'inport == "p1"')


def test_what_is_no_match_is_refused_with_its_place() -> None:
    with pytest.raises(SyntaxProblem) as caught:
        microflow(WORLD, "red", 'inport == "p1" && ip4.src = 10.0.0.1')
    assert caught.value.position == 26


def test_connection_states_are_named_flags() -> None:
    assert ct_state("new") == ct_state("trk,new") == ct_state("trk new") == 0b100001
    with pytest.raises(TraceError, match="'nwe' is no connection tracking flag: use trk, new"):
        ct_state("est,nwe")
