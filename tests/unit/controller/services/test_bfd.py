"""BFD sessions: two ends that talk to each other, packets, and where sessions run."""

from __future__ import annotations

import itertools
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.controller.services import decode
from ovine.controller.services.bfd import SESSIONS, Heard, Sessions, Wanted, frame
from ovine.controller.services.bfd_session import Control, Diagnostic, Session, State, Timers, control
from ovine.controller.services.frames import Malformed
from ovine.controller.services.timed import Change
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import PacketOut
from support.controller_world import World
from support.frames import describe
from support.service_bed import Host, handle, replica_of, userdata

FAST = Timers(100_000, 100_000, 3)
CARRIED = userdata("handle_bfd_msg();", "udp")


class Pair:
    """Two sessions and the wire between them."""

    def __init__(self, first: Timers = FAST, second: Timers = FAST) -> None:
        self.ends = (Session(11, first, Random(1)), Session(22, second, Random(2)))
        self.now = 100.0
        self.cut: set[int] = set()
        """Ends whose packets are lost."""
        self.sent: list[tuple[float, int, Control]] = []

    def run(self, seconds: float) -> Pair:
        until = self.now + seconds
        while self.now < until:
            for number, end in enumerate(self.ends):
                end.expire(self.now)
                packet = end.transmit(self.now)
                if packet is not None:
                    self.sent.append((self.now, number, packet))
                    if number not in self.cut:
                        self.ends[1 - number].receive(control(packet.encode()), self.now)
            self.now = min(until, max(self.now + 1e-4, min(end.deadline() for end in self.ends)))
        return self

    @property
    def states(self) -> tuple[State, State]:
        return self.ends[0].state, self.ends[1].state


def test_two_ends_come_up_and_stay_up() -> None:
    pair = Pair().run(2.0)
    assert pair.states == (State.UP, State.UP)
    pair.run(60.0)
    assert pair.states == (State.UP, State.UP)
    assert {packet.state for at, _, packet in pair.sent if at > 103} == {State.UP}


def test_packets_are_as_often_as_agreed_with_jitter() -> None:
    pair = Pair(FAST, Timers(50_000, 300_000, 3)).run(5.0)
    pair.sent.clear()
    pair.run(30.0)
    for number, interval in ((0, 0.3), (1, 0.1)):
        times = [at for at, end, _ in pair.sent if end == number]
        pauses = [b - a for a, b in itertools.pairwise(times)]
        assert all(0.75 * interval <= pause <= interval + 1e-6 for pause in pauses)


def test_while_it_is_down_a_session_is_slow() -> None:
    pair = Pair()
    pair.cut = {1}
    pair.run(20.0)
    assert pair.states == (State.DOWN, State.INIT) or pair.states[0] == State.DOWN
    assert len([1 for _, end, _ in pair.sent if end == 0]) <= 27
    assert all(packet.min_tx >= 1_000_000 for _, end, packet in pair.sent if end == 0)


def test_silence_ends_a_session_within_the_detection_time() -> None:
    pair = Pair().run(5.0)
    pair.cut, start = {1}, pair.now
    while pair.ends[0].state == State.UP:
        pair.run(0.01)
    assert pair.now - start <= 3 * 0.1 + 0.02
    assert pair.ends[0].diagnostic == Diagnostic.TIME_EXPIRED
    pair.run(0.2)
    assert pair.ends[1].diagnostic == Diagnostic.NEIGHBOUR_SAID_DOWN
    pair.cut = set()
    assert pair.run(3.0).states == (State.UP, State.UP)


def test_other_intervals_are_asked_for_and_confirmed() -> None:
    pair = Pair().run(5.0)
    pair.ends[0].change(Timers(300_000, 100_000, 3))
    pair.sent.clear()
    pair.run(2.0)
    assert any(packet.poll for _, end, packet in pair.sent if end == 0)
    assert any(packet.final for _, end, packet in pair.sent if end == 1)
    assert not pair.ends[0].polling and pair.states == (State.UP, State.UP)


def test_an_end_that_is_taken_down_is_believed() -> None:
    pair = Pair().run(5.0)
    pair.ends[1].receive(pair.ends[0].farewell(), pair.now)
    assert (pair.ends[1].state, pair.ends[1].diagnostic) == (State.DOWN, Diagnostic.NEIGHBOUR_SAID_DOWN)


def test_who_wants_no_packets_gets_none() -> None:
    session = Session(11, FAST, Random(1))
    session.receive(Control(State.UP, False, False, 3, 22, 11, 1_000_000, 0), 1.0)
    session.transmit(1.0)
    assert session.due == float("inf") and session.deadline() < float("inf")


@given(
    st.sampled_from(State),
    st.booleans(),
    st.integers(1, 255),
    st.integers(1, 2**32 - 1),
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_a_control_packet_comes_back_as_it_was_sent(
    state: State, poll: bool, multiplier: int, mine: int, yours: int, rate: int
) -> None:
    packet = Control(state, poll, not poll, multiplier, mine, yours, rate, rate)
    assert control(packet.encode()) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(24),
        Control(State.UP, False, False, 3, 1, 0, 1, 1).encode(),
        Control(State.UP, False, False, 0, 1, 1, 1, 1).encode(),
        Control(State.UP, False, False, 3, 0, 1, 1, 1).encode(),
        Control(State.UP, True, True, 3, 1, 1, 1, 1).encode(),
        Control(State.UP, False, False, 3, 1, 1, 1, 1).encode()[:20],
        b"\x40" + Control(State.UP, False, False, 3, 1, 1, 1, 1).encode()[1:],
    ],
    ids=[
        "empty",
        "zeros",
        "unknown to them",
        "no multiplier",
        "no discriminator",
        "poll and final",
        "short",
        "version",
    ],
)
def test_what_must_be_discarded_is(data: bytes) -> None:
    with pytest.raises(Malformed):
        control(data)


# --- packets and rows


WANTED = Wanted(7, 3, 0x020000000001, ip_address("172.16.0.1"), ip_address("172.16.0.9"), 49152, 11, FAST)
WANTED6 = WANTED._replace(source=ip_address("fd00::1"), peer=ip_address("fd00::9"))
HELLO = Control(State.DOWN, False, False, 3, 22, 0, 1_000_000, 100_000)
AT = (("metadata", 7, None), ("reg14", 3, None))


def theirs(wanted: Wanted, packet: Control = HELLO) -> bytes:
    """A packet of the other end as it comes to the router port."""
    return frame(wanted._replace(source=wanted.peer, peer=wanted.source), packet)


@pytest.mark.parametrize("wanted", [WANTED, WANTED6], ids=["ipv4", "ipv6"])
def test_a_packet_is_heard_at_its_router_port(wanted: Wanted) -> None:
    assert handle(theirs(wanted), CARRIED, AT) == [Heard(7, 3, wanted.peer, HELLO)]
    assert "udp 49152>3784" in describe(theirs(wanted))


def test_a_packet_from_farther_away_is_not_heard() -> None:
    far = bytearray(theirs(WANTED))
    far[22] = 254
    assert handle(bytes(far), CARRIED, AT) == []


@settings(max_examples=500)
@given(st.data())
def test_a_damaged_packet_never_breaks_it(data: st.DataObject) -> None:
    whole = bytearray(theirs(data.draw(st.sampled_from([WANTED, WANTED6]))))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    sessions = Sessions(Random(1))
    list(sessions.step({ROW: WANTED}, Host(), 0.0))
    for event in handle(bytes(whole[:cut]), CARRIED, AT):
        assert isinstance(event, Heard)
        sessions.hear(event, 0.5)


ROW = Uuid("00000000-0000-0000-0000-000000000007")


def test_sessions_send_by_the_router_port_and_write_how_they_stand() -> None:
    host = Host(southbound=replica_of(sb.BFD(uuid=ROW, logical_port="r", dst_ip="172.16.0.9", status="down")))
    sessions = Sessions(Random(1))
    (out,) = sessions.step({ROW: WANTED}, host, 0.0)
    assert isinstance(out, PacketOut) and out.metadata == AT
    assert describe(out.data).startswith("02:00:00:00:00:01>ff:ff:ff:ff:ff:ff ip 172.16.0.1>172.16.0.9 udp 49152>3784")
    sessions.hear(Heard(7, 3, WANTED.peer, HELLO), 0.1)
    sessions.hear(Heard(8, 3, WANTED.peer, HELLO._replace(state=State.INIT)), 0.1)
    _, change = sessions.step({ROW: WANTED}, host, 0.1)
    assert change == Change(sb.BFD, ROW, (("status", "init"),))
    sessions.hear(Heard(8, 4, ip_address("1.1.1.1"), HELLO._replace(state=State.UP, yours=11)), 0.2)
    _, change = sessions.step({ROW: WANTED}, host, 0.2)
    assert change == Change(sb.BFD, ROW, (("status", "up"),))
    (farewell,) = sessions.step({}, host, 0.3)
    assert isinstance(farewell, PacketOut) and control(farewell.data[42:]).state == State.ADMIN_DOWN
    assert sessions.deadline() is None


def world(status: str = "down", dst_ip: str = "172.16.0.9", **port: str) -> World:
    made = World()
    made.datapath("lr", 7, "router")
    made.port("vif", "lr", 1)
    made.interface("vif", 10)
    made.port("r", "lr", 3, mac=("02:00:00:00:00:01 10.0.0.1/8 172.16.0.1/24 fd00::1/64",), **port)
    timers = {"min_tx": 100, "min_rx": 200, "detect_mult": 5}
    made.put(
        sb.BFD(uuid=ROW, logical_port="r", dst_ip=dst_ip, disc=11, src_port=49152, status=status, **timers)  # type: ignore[arg-type]
    )
    return made


GATEWAY = {"type": "l3gateway", "options:l3gateway-chassis": "hv1"}


def test_a_session_runs_on_the_chassis_of_its_gateway_router_from_the_address_near_the_peer() -> None:
    expected = WANTED._replace(timers=Timers(100_000, 200_000, 5))
    assert world(**GATEWAY).wanted(SESSIONS) == {ROW: expected}
    there = world(dst_ip="fd00::9", **GATEWAY).wanted(SESSIONS)
    assert there == {ROW: expected._replace(source=WANTED6.source, peer=WANTED6.peer)}


def test_a_session_of_a_distributed_router_runs_where_its_gateway_port_is() -> None:
    made = world(type="patch")
    assert made.wanted(SESSIONS) == {}
    made.chassis("hv2", "geneve", "10.9.0.2")
    made.ha_group("gateways", hv1=1)
    made.port("cr-r", "lr", 4, type="chassisredirect", ha_chassis_group="gateways")
    assert set(made.wanted(SESSIONS)) == {ROW}
    made.ha_group("gateways", hv2=1)
    assert made.wanted(SESSIONS) == {}


def test_a_session_that_is_not_wanted_or_elsewhere_does_not_run() -> None:
    assert world(status="admin_down", **GATEWAY).wanted(SESSIONS) == {}
    assert world(**(GATEWAY | {"options:l3gateway-chassis": "hv2"})).wanted(SESSIONS) == {}


def test_a_session_that_cannot_be_is_told() -> None:
    failures = world(dst_ip="nowhere", **GATEWAY).failures()
    assert any("'nowhere'" in failure for failure in failures)


def test_the_action_carries_nothing_but_its_name() -> None:
    assert decode(CARRIED.encode()).payload == b""
