"""Services that act by the clock, together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ovine.controller.packets import PacketServices
from ovine.controller.services.registry import WANTS, timed
from ovine.controller.services.timed import Change, Effect, Event, TimedServices
from ovine.engine import Relation
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import PacketOut
from ovine.ovsdb import Transaction
from support.service_bed import Host, replica_of

SAID: Relation[str, float] = Relation("what is to be said")
ROW = Uuid("00000000-0000-0000-0000-000000000007")


class Tick(Event):
    """Something happened."""


class Clock:
    """Says what it is told when it is due, and fails when told to."""

    name = "clock"
    wants = SAID
    events = (Tick,)

    def __init__(self) -> None:
        self.heard = 0
        self.due: float | None = 5.0

    def hear(self, event: Tick, now: float) -> None:
        self.heard += 1

    def step(self, wanted: Mapping[Any, Any], world: Any, now: float) -> Iterator[Effect]:
        for text in wanted:
            if text == "fail":
                raise ValueError("as it was told")
            yield PacketOut("CONTROLLER", (), text.encode())

    def deadline(self) -> float | None:
        return self.due


class Other(Clock):
    """Hears nothing and is due later."""

    events = ()
    wants = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.due = 7.0


def test_the_earliest_deadline_counts_and_none_means_never() -> None:
    one, two = Clock(), Other()
    assert TimedServices((one, two)).deadline() == 5.0
    one.due = two.due = None
    assert TimedServices((one, two)).deadline() is None


def test_events_go_to_whoever_listens() -> None:
    one, two = Clock(), Other()
    TimedServices((one, two)).hear(Tick(), 0.0)
    assert (one.heard, two.heard) == (1, 0)


def test_a_service_that_fails_is_counted_and_disturbs_no_other() -> None:
    services = TimedServices((Clock(), Clock()))
    for _ in range(2):
        assert services.step({SAID: {"fail": 0.0}}, Host(), 0.0) == []
    assert [failure.error for failure in services.failures()] == ["4 times, last ValueError: as it was told"]
    assert len(services.step({SAID: {"one": 0.0}}, Host(), 0.0)) == 2


def test_a_change_is_written_if_the_row_is_there_and_differs() -> None:
    replica = replica_of(sb.BFD(uuid=ROW, logical_port="r", status="down"))
    made = PacketServices(Host())
    for status, columns in (("down", False), ("up", True)):
        assert made.carry_out([Change(sb.BFD, ROW, (("status", status),))]) == []
        txn = Transaction()
        made.add_learned(txn, replica)
        assert bool(txn) == columns
    assert made.carry_out([Change(sb.BFD, Uuid("00000000-0000-0000-0000-000000000008"), (("status", "up"),))]) == []
    txn = Transaction()
    made.add_learned(txn, replica)
    assert not txn


def test_events_of_packets_are_kept_for_the_clock_and_messages_are_sent() -> None:
    made = PacketServices(Host())
    tick, out = Tick(), PacketOut("CONTROLLER", (), b"x")
    assert made.carry_out([tick, out]) == [out] and made.events == [tick]


def test_every_service_is_told_what_it_wants_and_rests_at_first() -> None:
    assert len(WANTS) == 6 and timed().deadline() is None
