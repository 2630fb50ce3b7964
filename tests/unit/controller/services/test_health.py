"""Health checks: what is asked, which answers count, and what is written when."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.controller import tables as t
from ovine.controller.services.frames import Malformed
from ovine.controller.services.health import WATCHED, HealthChecks, Heard, Watched
from ovine.controller.services.health_packets import Said, answer
from ovine.controller.services.timed import Change
from ovine.model import sb
from ovine.model.base import StrMap, Uuid
from ovine.openflow import Match, PacketOut
from support.controller_world import World, uuid_of
from support.frames import build, describe
from support.service_bed import Host, handle, replica_of, userdata

ASKER, BACKEND = "02:00:00:00:00:99", "02:00:00:00:00:01"
ROW = sb.ServiceMonitor(
    uuid=uuid_of("monitor"),
    ip="10.0.0.1",
    port=80,
    protocol="tcp",
    logical_port="a",
    src_mac=ASKER,
    src_ip="10.0.0.9",
    options=StrMap({"interval": "5", "timeout": "2", "success_count": "2", "failure_count": "3"}),
)
CARRIED = userdata("handle_svc_check(inport);", "tcp || icmp4 || icmp6")
HERE: Match = ((t.DATAPATH, 1, None), (t.INPORT, 1, None))


def wanted(row: sb.ServiceMonitor = ROW, *, claimed: bool = True) -> dict[Uuid, Watched]:
    """What the rules make of a row on a host whose port `a` is there, or is not."""
    made = World()
    made.datapath("sw0", 1)
    made.port("a", "sw0", 1, mac=(f"{BACKEND} 10.0.0.1 fd00::1",))
    if claimed:
        made.interface("a", 10)
    made.put(row)
    made.engine.run()
    assert made.engine.failures() == []
    return dict(made.engine.rows(WATCHED))


class Bed:
    """One service, asked by the clock."""

    def __init__(self, row: sb.ServiceMonitor = ROW) -> None:
        self.row = row
        self.wanted = wanted(row)
        self.checks = HealthChecks(Random(1))
        self.now = 0.0

    def step(self, seconds: float = 0.0) -> list[Any]:
        """What follows when so much time has passed; frames as text."""
        self.now += seconds
        world = Host(southbound=replica_of(self.row))
        effects = list(self.checks.step(self.wanted, world, self.now))
        for effect in effects:
            if isinstance(effect, Change):
                self.row = msgspec.structs.replace(self.row, **dict(effect.columns))
        return [describe(one.data) if isinstance(one, PacketOut) else one for one in effects]

    def answer(self, asked: str, flags: str, *, at: Match = HERE, off: int = 0) -> list[Any]:
        """The answer of a TCP service to a question, as text; `off` makes it confirm something else."""
        check = self.checks._checks[ROW.uuid]
        source, port = _asker(asked)
        text = f"{BACKEND}>{ASKER} ip 10.0.0.1>{source} tcp 80>{port} {flags}"
        frame = bytearray(build(text))
        frame[14 + 20 + 8 : 14 + 20 + 12] = ((check.number + 1 + off) & 0xFFFFFFFF).to_bytes(4)
        return self.hear(bytes(frame), at)

    def hear(self, frame: bytes, at: Match = HERE) -> list[Any]:
        for event in handle(frame, CARRIED, at, Host()):
            assert isinstance(event, Heard)
            self.checks.hear(event, self.now)
        return self.step()


def _asker(asked: str) -> tuple[str, str]:
    words = asked.split()
    return words[2].partition(">")[0], words[-2 if words[-1].isalpha() else -1].partition(">")[0]


def statuses(effects: Iterable[Any]) -> list[Any]:
    return [dict(effect.columns)["status"] for effect in effects if isinstance(effect, Change)]


def test_the_host_of_the_port_asks_and_no_other() -> None:
    assert list(wanted()) == [ROW.uuid]
    assert wanted(claimed=False) == {}


def test_a_tcp_service_is_online_after_so_many_good_answers_and_what_it_opened_is_reset() -> None:
    bed = Bed()
    (asked,) = bed.step()
    assert asked.startswith(f"{ASKER}>{BACKEND} ip 10.0.0.9>10.0.0.1 tcp ") and asked.endswith(">80 S")
    (closed,) = bed.answer(asked, "SA")
    assert closed.endswith(">80 R") and closed.startswith(f"{ASKER}>{BACKEND}")
    assert bed.step(4.9) == []
    (asked,) = bed.step(0.2)
    assert statuses(bed.answer(asked, "SA")) == ["online"]
    assert bed.row.status == "online"


def test_a_tcp_service_is_offline_after_so_many_resets_or_silences_on_end() -> None:
    bed = Bed()
    (asked,) = bed.step()
    assert bed.answer(asked, "RA") == []
    (asked,) = bed.step(5)
    assert bed.step(2) == []
    (asked,) = bed.step(5)
    bed.answer(asked, "SA")
    for _ in range(2):
        (asked,) = bed.step(5)
        assert statuses(bed.answer(asked, "RA")) == []
    (asked,) = bed.step(5)
    assert statuses(bed.step(2)) == ["offline"]
    assert statuses(bed.step(0.1)) == []


@pytest.mark.parametrize(
    ("at", "off", "flags"),
    [
        (((t.DATAPATH, 1, None), (t.INPORT, 2, None)), 0, "SA"),
        (((t.DATAPATH, 2, None), (t.INPORT, 1, None)), 0, "SA"),
        (HERE, 1, "SA"),
        (HERE, 0, "A"),
        (HERE, 0, "S"),
        (HERE, 0, "R"),
    ],
)
def test_what_is_no_answer_to_the_question_does_not_count(at: Match, off: int, flags: str) -> None:
    bed = Bed()
    (asked,) = bed.step()
    assert bed.answer(asked, flags, at=at, off=off) == []
    assert bed.checks._checks[ROW.uuid].streak == 0


@pytest.mark.parametrize(
    ("ip", "source", "error"), [("10.0.0.1", "10.0.0.9", "ip {} icmp 3/3"), ("fd00::1", "fd00::9", "ip6 {} icmp6 1/4")]
)
def test_a_udp_service_is_online_while_nobody_says_that_it_is_not(ip: str, source: str, error: str) -> None:
    options = StrMap({"interval": "5", "timeout": "2"})
    row = msgspec.structs.replace(ROW, protocol="udp", ip=ip, src_ip=source, options=options)
    bed = Bed(row)
    (asked,) = bed.step()
    assert f" {source}>{ip} udp " in asked and asked.endswith(">80")
    assert statuses(bed.step(2)) == ["online"]
    (asked,) = bed.step(5)
    told = f"{BACKEND}>{ASKER} {error.format(f'{ip}>{source}')} about {asked.partition(' ')[2]}"
    assert statuses(bed.hear(build(told))) == ["offline"]


def test_a_service_that_changes_is_asked_anew_and_one_that_is_gone_no_more() -> None:
    bed = Bed()
    bed.step()
    bed.wanted = wanted(msgspec.structs.replace(ROW, port=81))
    (asked,) = bed.step()
    assert asked.endswith(">81 S")
    bed.wanted = {}
    assert bed.step(100) == []
    assert bed.checks.deadline() is None


def test_addresses_of_two_ip_versions_are_refused() -> None:
    made = World()
    made.datapath("sw0", 1)
    made.port("a", "sw0", 1, mac=(f"{BACKEND} 10.0.0.1",))
    made.interface("a", 10)
    made.put(msgspec.structs.replace(ROW, src_ip="fd00::9"))
    made.engine.run()
    (failure,) = made.engine.failures()
    assert "of another IP version" in failure.error


WHOLE = [
    build(f"{BACKEND}>{ASKER} ip 10.0.0.1>10.0.0.9 tcp 80>5000 SA"),
    build(f"{BACKEND}>{ASKER} ip 10.0.0.1>10.0.0.9 icmp 3/3 about ip 10.0.0.9>10.0.0.1 udp 5000>80"),
    build(f"{BACKEND}>{ASKER} ip6 fd00::1>fd00::9 icmp6 1/4 about ip6 fd00::9>fd00::1 udp 5000>80"),
]


@given(st.sampled_from(WHOLE), st.data())
def test_a_frame_that_is_cut_or_changed_anywhere_crashes_nothing(whole: bytes, data: st.DataObject) -> None:
    frame = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place, value in data.draw(st.lists(st.tuples(st.integers(12, 90), st.integers(0, 255)), max_size=4)):
        if place < len(frame):
            frame[place] = value
    for text in (bytes(frame), data.draw(st.binary(max_size=80))):
        try:
            said = answer(text)
        except Malformed:
            continue
        assert said is None or isinstance(said, Said)
