"""Userdata, and the way from a packet-in to a service's answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.controller.packets import PacketServices
from ovine.controller.services import Opcode, Service, Userdata, World, decode
from ovine.model import sb
from ovine.model.base import Row
from ovine.openflow import Message, PacketIn, PacketOut, Resume
from ovine.ovsdb import Replica


class Quiet:
    """A world in which nothing is known."""

    chassis = "hv1"
    southbound: Replica

    def now(self) -> float:
        return 0.0


def learn(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message | Row]:
    """Learns the packet as an address, and answers with it; fails for an empty one."""
    if not packet.packet:
        raise ValueError("the packet is empty")
    yield sb.FDB(mac=packet.packet.hex(":"), dp_key=1, port_key=len(userdata.payload))
    yield PacketOut("CONTROLLER", (), packet.packet)


def services() -> PacketServices:
    return PacketServices(Quiet(), {Opcode.PUT_FDB: Service(Opcode.PUT_FDB, learn)})


def packet(data: bytes, userdata: bytes, continuation: bytes = b"") -> PacketIn:
    return PacketIn(data, userdata=userdata, continuation=continuation)


LEARN = Userdata(Opcode.PUT_FDB, None, b"abc").encode()


@given(
    st.sampled_from(list(Opcode)),
    st.none() | st.tuples(st.sampled_from(["reg0", "xxreg1"]), st.integers(0, 127)),
    st.binary(),
)
def test_userdata_comes_back_as_it_was_sent(opcode: Opcode, result: tuple[str, int] | None, payload: bytes) -> None:
    assert decode(Userdata(opcode, result, payload).encode()) == (opcode, result, payload)


@given(st.binary(max_size=12))
def test_userdata_of_others_is_refused_or_read_but_never_breaks(data: bytes) -> None:
    try:
        assert isinstance(decode(data).opcode, Opcode)
    except ValueError:
        return


def test_a_packet_goes_to_the_service_of_its_opcode_and_rows_are_kept_for_the_database() -> None:
    made = services()
    (answer,) = made.handle(packet(b"\1\2", LEARN))
    assert isinstance(answer, PacketOut) and made.handled == {"put_fdb": 1}
    assert list(made.learned.values()) == [sb.FDB(mac="01:02", dp_key=1, port_key=3)]


def test_what_was_learned_twice_is_one_row() -> None:
    made = services()
    for _ in range(2):
        made.handle(packet(b"\1\2", LEARN))
    assert len(made.learned) == 1


@pytest.mark.parametrize(
    ("data", "userdata", "word"),
    [
        (b"", LEARN, "put_fdb"),
        (b"\1", Userdata(Opcode.LOG).encode(), "log"),
        (b"\1", b"\xff\xff\x00\x00\x00", "unknown"),
        (b"\1", b"", "unknown"),
    ],
    ids=["service fails", "no service", "unknown opcode", "no userdata"],
)
def test_a_failure_costs_one_packet_and_a_paused_one_goes_on(data: bytes, userdata: bytes, word: str) -> None:
    made = services()
    assert made.handle(packet(data, userdata)) == []
    paused = packet(data, userdata, continuation=b"c")
    assert made.handle(paused) == [Resume(paused)]
    assert [(failure.key, failure.error[:7]) for failure in made.failures()] == [(word, "2 times")]
    assert made.handle(packet(b"\1\2", LEARN))
