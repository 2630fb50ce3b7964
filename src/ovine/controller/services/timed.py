"""Services that act by the clock: what they are, and all of them together. Sans I/O: `now` is an argument.

A `Timed` service has what should be done (rows of a relation that rules derive), what packets told it, and its own
state (when something was last sent, how a session stands). `step` does what is due and says what follows; `deadline` is
when it wants to be stepped again at the latest. The daemon steps all of them when a deadline has come, when what is
wanted was installed in the switch, and when a packet or a southbound row may be news for them.

Time is monotonic, in seconds. Tests: tests/unit/controller/services/test_timed.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ovine.controller.services import World
from ovine.engine import Failure, Relation
from ovine.model.base import Row, Uuid
from ovine.openflow import Message


class Change(NamedTuple):
    """Columns of a southbound row that are to have these values, if the row is still there."""

    table: type[Row]
    uuid: Uuid
    columns: tuple[tuple[str, Any], ...]


class Gone(NamedTuple):
    """A southbound row that is to be deleted, if it is still there."""

    table: type[Row]
    uuid: Uuid


class Fact(NamedTuple):
    """What a packet showed, for the rules: a value of a relation that only the daemon feeds."""

    relation: type[Any]
    key: str
    value: Any


class Event:
    """What a packet or the switch tells a timed service; each service has classes of its own."""

    __slots__ = ()


class Inquiry(NamedTuple):
    """A multipart request to the switch. Who asks hears `answer(request, items)`, or nothing if the switch is gone."""

    request: Message
    answer: Callable[[Any, tuple[Any, ...]], Event]


Effect = Message | Row | Change | Gone | Fact | Inquiry


class Timed(Protocol):
    """One service."""

    @property
    def name(self) -> str:
        """What failures are counted under."""

    @property
    def wants(self) -> Relation[Any, Any] | None:
        """The relation whose rows `step` is given."""

    @property
    def events(self) -> tuple[type[Event], ...]:
        """What it hears."""

    def hear(self, event: Any, now: float) -> None:
        """Takes an event of one of `events`; what follows comes with the next step."""

    def step(self, wanted: Mapping[Any, Any], world: World, now: float) -> Iterator[Effect]:
        """Does what is due."""

    def deadline(self) -> float | None:
        """When to step again; None: not before there is news."""


class TimedServices:
    """All of them. One that fails is counted and goes on with the next step; the others do not notice."""

    def __init__(self, services: Iterable[Timed]) -> None:
        self._services = tuple(services)
        self.failed: dict[str, tuple[int, str]] = {}

    def hear(self, event: Event, now: float) -> None:
        """Gives an event to whoever listens to it."""
        for service in self._services:
            if isinstance(event, service.events):
                service.hear(event, now)

    def step(self, wanted: Mapping[Relation[Any, Any], Mapping[Any, Any]], world: World, now: float) -> list[Effect]:
        """What follows from what is due."""
        effects: list[Effect] = []
        for service in self._services:
            rows = wanted.get(service.wants, {}) if service.wants is not None else {}
            try:
                effects += service.step(rows, world, now)
            except Exception as error:
                count = self.failed.get(service.name, (0, ""))[0]
                self.failed[service.name] = (count + 1, f"{type(error).__name__}: {error}")
        return effects

    def deadline(self) -> float | None:
        """When to step again; None: not before there is news."""
        times = [time for service in self._services if (time := service.deadline()) is not None]
        return min(times, default=None)

    def failures(self) -> list[Failure]:
        """Services that failed, how often, and the last reason."""
        return [Failure("timed service", name, f"{n} times, last {last}") for name, (n, last) in self.failed.items()]
