"""What the connections of packets that were traced before say about the next packet."""

from __future__ import annotations

import pytest

from ovine.language import FIELDS, Packet
from ovine.model.base import Uuid
from ovine.trace.connections import Connections, Tracked, Zone

ZONE, OTHER = Zone(Uuid("d"), 1), Zone(Uuid("d"), 2)
A, B = "10.0.0.1", "10.0.0.2"


def packet(source: str, destination: str, protocol: int, **fields: int) -> Packet:
    named = {name.replace("_", "."): value for name, value in fields.items()}
    return Packet.of({"eth.type": 0x800, "ip.proto": protocol, "ip4.src": source, "ip4.dst": destination, **named})


def udp(source: str, destination: str, here: int, there: int) -> Packet:
    return packet(source, destination, 17, udp_src=here, udp_dst=there)


def tcp(flags: int) -> Packet:
    return packet(A, B, 6, tcp_src=1, tcp_dst=80, tcp_flags=flags)


def echo(source: str, destination: str, kind: int) -> Packet:
    return packet(source, destination, 1, icmp4_type=kind)


def flags(found: Tracked) -> set[str]:
    names = ("trk", "new", "est", "rel", "rpl", "inv")
    return {name for name in names if found.state >> FIELDS[f"ct.{name}"].offset & 1}


def test_a_connection_is_new_until_it_is_answered() -> None:
    known = Connections()
    assert flags(known.look(ZONE, udp(A, B, 5, 53))) == {"trk", "new"}
    assert flags(known.look(ZONE, udp(B, A, 53, 5))) == {"trk", "new"}, "what is not committed is forgotten"
    known.commit(ZONE, udp(A, B, 5, 53))
    assert flags(known.look(ZONE, udp(A, B, 5, 53))) == {"trk", "new"}
    assert flags(known.look(ZONE, udp(B, A, 53, 5))) == {"trk", "est", "rpl"}
    assert flags(known.look(ZONE, udp(A, B, 5, 53))) == {"trk", "est"}
    assert flags(known.look(ZONE, udp(A, B, 6, 53))) == flags(known.look(OTHER, udp(A, B, 5, 53))) == {"trk", "new"}


def test_marks_and_labels_stay_with_a_connection() -> None:
    known = Connections()
    known.commit(ZONE, udp(A, B, 5, 53).with_value("ct_mark", 1).with_value("ct_label", 7))
    assert known.look(ZONE, udp(B, A, 53, 5))[1:] == (1, 7)
    known.commit(ZONE, udp(A, B, 5, 53))
    assert known.look(ZONE, udp(B, A, 53, 5))[1:] == (0, 0)


@pytest.mark.parametrize(("bits", "state"), [(2, "new"), (16, "new"), (18, "inv"), (4, "inv"), (20, "inv")])
def test_a_segment_that_answers_begins_no_connection(bits: int, state: str) -> None:
    known = Connections()
    assert flags(known.look(ZONE, tcp(bits))) == {"trk", state}
    known.commit(ZONE, tcp(bits))
    assert flags(known.look(ZONE, tcp(bits))) == {"trk", state}, "nor does its commit"


def test_an_echo_is_answered_by_its_answer_and_not_by_another_echo() -> None:
    known = Connections()
    assert flags(known.look(ZONE, echo(B, A, 0))) == {"trk", "inv"}
    known.commit(ZONE, echo(A, B, 8))
    assert flags(known.look(ZONE, echo(B, A, 8))) == {"trk", "new"}
    assert flags(known.look(ZONE, echo(B, A, 0))) == {"trk", "est", "rpl"}


def test_an_error_belongs_to_the_connection_that_it_is_about() -> None:
    known = Connections(subject=udp(A, B, 5, 53))
    error = packet(B, A, 1, icmp4_type=3)
    assert flags(known.look(ZONE, error)) == {"trk", "inv"}
    known.commit(ZONE, udp(A, B, 5, 53).with_value("ct_label", 7))
    assert flags(known.look(ZONE, error)) == {"trk", "rel", "rpl"}
    known.commit(ZONE, error)
    assert known.look(ZONE, error).label == 7
    known.subject = udp(B, A, 53, 5)
    assert flags(known.look(ZONE, packet(A, B, 1, icmp4_type=3))) == {"trk", "rel"}
