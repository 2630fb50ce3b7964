"""Learned addresses live as long as they are used: this host refreshes the rows that its packets use.

A switch or router with a threshold (`ovine.model.ages`) has what it learned deleted at that age, counted from the
row's `timestamp`. The switch counts how often a flow was hit, and when last; so it knows what is *used*:

- `LOOKUP_FDB`: the machine has sent something, by a port that is here;
- `LOOKUP_MAC`: the neighbour has said by ARP or ND that it is there;
- `NEIGHBOUR_USED`: something was sent to the neighbour from here. That says nothing about the neighbour, so it is
  *probed* (`ovine.controller.services.probes`); the answer is a use of the kind before, on the host where it comes in.

A row is refreshed, or its neighbour probed, when it has a good part of its age, and if it was used for longer than an
eighth of it after it was refreshed last. Hosts look at different times, and the first that refreshes a row has done so
for all. Between a probe and the moment when its answer is in the row, other hosts that send to the neighbour cannot
know of it: so each has its own age of a binding at which it probes, drawn anew when the binding is refreshed, and most
of these are near the end of the span. Then a few probe, however many hosts there are (Nonnenmacher and Biersack,
"Scalable feedback for large groups", 1999). There is time for further probes until the greatest age.

Cost. Without a threshold, nothing. With one, a look asks for one sum for each table: what all its flows have counted.
Only if that has changed, or something was used when it was too young, are the single flows read; so a host pays for
rows if it uses some. Rows are written two or three times in their lifetime, however much they are used.

Sources: ovn-nb(5), ovn-sb(5) (columns `timestamp`); RFC 4861 §7.3. Tests:
tests/unit/controller/services/test_ageing_of_learned.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice
from math import inf, log2
from random import Random
from typing import Any, Final, NamedTuple
from zlib import crc32

from ovine.controller import tables as t
from ovine.controller.local import LOCAL_DATAPATHS
from ovine.controller.services import World
from ovine.controller.services.frames import IPV6
from ovine.controller.services.probes import probe
from ovine.controller.services.timed import Change, Effect, Event, Inquiry
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import ages, sb
from ovine.model.base import Uuid
from ovine.openflow import Aggregate, AggregateRequest, FlowDesc, FlowStatsRequest, Match

LOOKS: Final = {t.LOOKUP_FDB: 8, t.LOOKUP_MAC: 32, t.LOOKUP_MAC6: 32, t.NEIGHBOUR_USED: 16}
"""How often a table is looked at in the least lifetime of what it has. Answers to probes should be seen soon."""
IN_USE: Final = 1 / 8
"""The part of its lifetime for which something must be used after it was refreshed, to be in use."""
OF_AGE: Final = {t.LOOKUP_FDB: 1 / 2, t.LOOKUP_MAC: 3 / 8, t.LOOKUP_MAC6: 3 / 8, t.NEIGHBOUR_USED: 3 / 8}
"""The part of its lifetime from which on something is refreshed or probed,"""
SPAN: Final = 1 / 4
"""and within which hosts probe one after another."""
STEEPNESS: Final = 8
"""Into so many parts the span falls; each has twice as many hosts as the one before it."""
SHORTEST: Final = 0.25
"""Seconds between two looks, at least."""
RESOLUTION: Final = 1.0
"""Seconds; the switch says in whole ones when a flow was hit last. So thresholds of less than four are not kept up."""
BATCH, PAUSE = 200, 0.1
"""So many flows are gone through at a time, and seconds until the next: neighbours are not all probed in one moment."""
_FDB: Final = (t.LOOKUP_FDB,)
_HEARD: Final = (t.LOOKUP_MAC, t.LOOKUP_MAC6)
_SENT: Final = (t.NEIGHBOUR_USED,)


class Ages(NamedTuple):
    """What ages in a datapath that is here: its tunnel key, and thresholds in seconds."""

    key: int
    fdb: int
    bindings: ages.Thresholds


AGEING: Relation[Uuid, Ages] = Relation("datapaths whose learned addresses age")


@rule(over=LOCAL_DATAPATHS, writes=(AGEING,))
def ageing(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """The thresholds of a local datapath, if it has some; ValueError if they make no sense."""
    row = q.get(sb.DatapathBinding, datapath)
    if row is not None:
        made = Ages(row.tunnel_key, ages.of_switch(row.external_ids), ages.of_router(row.external_ids))
        if made.fdb or made.bindings.least:
            yield AGEING(datapath, made)


@dataclass(frozen=True)
class Counted(Event):
    """What the switch answers to a question about its counters."""

    request: Any
    items: tuple[Any, ...]


class Hit(NamedTuple):
    """A flow that has been hit, and when last, in seconds since the epoch."""

    match: Match
    last: float


class Used(NamedTuple):
    """A row whose flow has been hit."""

    table: type[sb.FDB] | type[sb.MACBinding]
    row: sb.FDB | sb.MACBinding
    threshold: int
    port: sb.PortBinding | None = None
    """The router port, for a binding that something was sent to."""


class Refresher:
    """Looks at what is used, and refreshes or probes it. `rng` spreads the looks of hosts."""

    name = "ageing"
    wants = AGEING
    events = (Counted,)

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._due: dict[int, float] = {}
        """When to look next, by OpenFlow table."""
        self._sums: dict[int, int] = {}
        """Packets that a table had counted at the last look, unless the next look is to be at its flows anyway."""
        self._answers: list[Counted] = []
        self._hit: dict[int, deque[Hit]] = {}
        """Flows that have been hit, by table: to be gone through, the next of them at this time."""
        self._resume = 0.0
        self._wanted: Mapping[Uuid, Ages] | None = None
        """What the times of looks were worked out from; what has changed is another object."""
        self._there: tuple[bool, bool] | None = None
        """Whether there were rows of either table then."""

    def hear(self, event: Counted, now: float) -> None:
        """Keeps an answer of the switch for the next step."""
        del now
        self._answers.append(event)

    def step(self, wanted: Mapping[Uuid, Ages], world: World, now: float) -> Iterator[Effect]:
        """Draws the conclusions from what the switch has answered, and looks again where it is time."""
        there = bool(world.southbound.rows(sb.FDB)), bool(world.southbound.rows(sb.MACBinding))
        same = wanted is self._wanted and there == self._there
        if same and not self._answers and now < (self.deadline() or inf):
            return  # a packet for another service
        self._wanted, self._there = wanted, there
        answers, self._answers = self._answers, []
        intervals = _intervals(wanted, world)
        for table in [table for table in self._due if table not in intervals]:
            del self._due[table]
            self._sums.pop(table, None)
        for answer in answers:
            if answer.request.table in intervals:
                yield from self._conclude(answer, wanted, world.now())
        yield from self._go_through(intervals, wanted, world, now)
        for table, interval in intervals.items():
            due = self._due.setdefault(table, now + self._rng.uniform(0, interval))
            if min(due, now + interval) <= now:
                self._due[table] = now + interval
                yield Inquiry(AggregateRequest(table), Counted)
            else:
                self._due[table] = min(due, now + interval)

    def deadline(self) -> float | None:
        """When to look next, or to go on with what was found."""
        return min((*self._due.values(), *((self._resume,) if self._hit else ())), default=None)

    def _conclude(self, answer: Counted, wanted: Mapping[Uuid, Ages], clock: float) -> Iterator[Effect]:
        """What follows from an answer: another question, or flows to go through."""
        table = answer.request.table
        if isinstance(answer.request, AggregateRequest):
            packets = sum(one.packets for one in answer.items if isinstance(one, Aggregate))
            if table not in self._hit and self._sums.get(table, 0) != packets:
                self._sums[table] = packets
                yield Inquiry(FlowStatsRequest(table, _only(table, wanted)), Counted)
            return
        hit = [one for one in answer.items if isinstance(one, FlowDesc) and one.packets]
        if hit:
            self._hit[table] = deque(Hit(one.flow.match, clock - one.idle_age) for one in hit)

    def _go_through(
        self, tables: Container[int], wanted: Mapping[Uuid, Ages], world: World, now: float
    ) -> Iterator[Effect]:
        """Acts on flows that have been hit, on some now and on the others soon."""
        for table in [table for table in self._hit if table not in tables]:
            del self._hit[table]
        if not self._hit or now < self._resume:
            return
        by_key = {found.key: (datapath, found) for datapath, found in wanted.items()}
        for table in islice(self._next_hits(), BATCH):
            yield from self._flow(table, self._hit[table].popleft(), by_key, world)
        self._hit = {table: left for table, left in self._hit.items() if left}
        if self._hit:
            self._resume = now + PAUSE

    def _next_hits(self) -> Iterator[int]:
        """The tables of flows to go through, a table for each of its flows that is left when it is asked for."""
        for table, left in self._hit.items():
            while left:
                yield table

    def _flow(self, table: int, hit: Hit, by_key: Mapping[int, tuple[Uuid, Ages]], world: World) -> Iterator[Effect]:
        """What follows from one flow that has been hit."""
        fields = {name: value for name, value, mask in hit.match if mask is None}
        datapath, found = by_key.get(fields.get(t.DATAPATH, 0), (None, None))
        if datapath is None or found is None:
            return
        used = _of_switch(fields, found, world) if table in _FDB else _of_router(table, fields, datapath, found, world)
        if used is None or not used.threshold:
            return
        known = used.row.timestamp / 1000
        if hit.last - known < max(RESOLUTION, used.threshold * IN_USE):
            return
        if world.now() - known < used.threshold * of_age(table, used.row, world.chassis):
            self._sums.pop(table, None)  # it is too young: whether or not it is used again, look at it once more
        elif used.port is None:
            yield Change(used.table, used.row.uuid, (("timestamp", int(hit.last * 1000)),))
        elif isinstance(used.row, sb.MACBinding):
            self._sums.pop(table, None)  # until there is an answer
            asked = probe(world, found.key, used.port, used.row)
            if asked is not None:
                yield asked


def of_age(table: int, row: sb.FDB | sb.MACBinding, chassis: str) -> float:
    """The part of its lifetime from which on a host acts on a row that is used; for probes, one of its own."""
    if table not in _SENT:
        return OF_AGE[table]
    drawn = crc32(f"{chassis} {row.uuid} {row.timestamp}".encode()) / 2**32
    return OF_AGE[table] + SPAN * log2(1 + drawn * (2**STEEPNESS - 1)) / STEEPNESS


def _intervals(wanted: Mapping[Uuid, Ages], world: World) -> dict[int, float]:
    """The tables to look at, with the seconds between two looks. Where no rows are, there is nothing to see."""
    found: dict[int, float] = {}
    fdb = min((one.fdb for one in wanted.values() if one.fdb), default=0)
    bindings = min((one.bindings.least for one in wanted.values() if one.bindings.least), default=0)
    replica = world.southbound if wanted else None
    if replica is None:
        return found
    if fdb and replica.rows(sb.FDB) and ("FDB", "timestamp") not in replica.missing_columns:
        found |= {table: max(SHORTEST, fdb / LOOKS[table]) for table in _FDB}
    if bindings and replica.rows(sb.MACBinding):
        found |= {table: max(SHORTEST, bindings / LOOKS[table]) for table in (*_HEARD, *_SENT)}
    return found


def _only(table: int, wanted: Mapping[Uuid, Ages]) -> Match:
    """What restricts a question about a table to what ages, if that is in one datapath; "" asks for all."""
    keys = [one.key for one in wanted.values() if (one.fdb if table in _FDB else one.bindings.least)]
    return ((t.DATAPATH, keys[0], None),) if len(keys) == 1 else ()


def _of_switch(fields: Mapping[str, int], found: Ages, world: World) -> Used | None:
    mac = fields.get("eth_src", 0).to_bytes(6).hex(":")
    row = world.southbound.index(sb.FDB, "mac", "dp_key").one(mac, found.key)
    if row is None or row.port_key != fields.get(t.INPORT):
        return None
    return Used(sb.FDB, row, found.fdb)


def _of_router(table: int, fields: Mapping[str, int], datapath: Uuid, found: Ages, world: World) -> Used | None:
    """The binding that a flow is about, if it is a learned one; a configured one may have the same flow."""
    heard = table in _HEARD
    ports = world.southbound.index(sb.PortBinding, "datapath", "tunnel_key")
    port = ports.one(datapath, fields.get(t.INPORT if heard else t.OUTPORT, 0))
    if port is None:
        return None
    ip = _address(fields, 6 if table == t.LOOKUP_MAC6 or fields.get("eth_type") == IPV6 else 4)
    row = world.southbound.index(sb.MACBinding, "logical_port", "ip").one(port.logical_port, ip)
    if row is None or (heard and row.mac != fields.get("eth_src", 0).to_bytes(6).hex(":")):
        return None
    return Used(sb.MACBinding, row, found.bindings.of(ip), None if heard else port)


def _address(fields: Mapping[str, int], version: int) -> str:
    words = range(1 if version == 4 else 4)
    return str(ip_address(b"".join(fields.get(f"reg{n}", 0).to_bytes(4) for n in words)))


RULES: Final = (ageing,)
