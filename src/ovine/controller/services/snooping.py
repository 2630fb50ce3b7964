"""Multicast snooping: who wants which multicast on the switches of this host, heard from IGMP and MLD.

Rows of IP_Multicast say which switches snoop, and how. What ports report by the action `igmp` is remembered for
`idle_timeout` seconds and written to rows of IGMP_Group, one for each switch and address, with this chassis and the
ports; northd makes groups and flows of them. A router that asks has its port in the row of the address "mrouters".
Reports are passed on to such routers, and their questions to all ports. If the row says so, the switch asks itself.

A port that leaves is out at once, whoever else may be behind it; the next question finds them. A restart begins with
the rows that are there, so that nothing is interrupted; a new `seq_no` forgets everything (`ovn-sbctl
ip-multicast-flush`).

Sources: RFC 4541; ovn-sb(5), tables IP_Multicast and IGMP_Group, action igmp.
Tests: tests/unit/controller/services/test_snooping.py, tests/cases/packets/igmp_*.txt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.local import LOCAL_DATAPATHS
from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.fdb import mac_number
from ovine.controller.services.frames import Malformed
from ovine.controller.services.igmp import Message, parse, query4, query6
from ovine.controller.services.timed import Effect, Event, Gone
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Entry, PacketIn, PacketOut, Resubmit, SetField

ROUTERS: Final = "mrouters"
"""In place of an address: ports of routers that ask."""
ROUTER_GROUP, FLOOD_GROUP = 32770, 32772
"""Keys of the multicast groups of those who get reports, and of all ports that lead to no router."""
REMEMBER: Final = 5.0
"""Seconds after which ports that are gone are noticed."""
AGAIN: Final = 1.0
"""Seconds after which what was not written is written again."""


class Switch(NamedTuple):
    """A switch of this host that snoops; times are in seconds."""

    datapath: Uuid
    key: int
    queries: tuple[bytes, ...]
    most: int
    idle: float
    interval: float
    number: int
    """The row's seq_no."""


SWITCHES: Relation[Uuid, Switch] = Relation("switches that snoop")
"""By the IP_Multicast row."""


@rule(over=sb.IPMulticast, writes=(SWITCHES,))
def switches(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """A row about a switch of this host."""
    row = q.row(sb.IPMulticast, uuid)
    key = q.get(LOCAL_DATAPATHS, row.datapath)
    if key is None or not row.enabled:
        return
    idle = row.idle_timeout or 300
    interval = row.query_interval or max(1, idle // 2)
    queries = tuple(_queries(row, interval)) if row.querier else ()
    yield SWITCHES(uuid, Switch(row.datapath, key, queries, row.table_size or 2048, idle, interval, row.seq_no))


def _queries(row: Any, interval: int) -> Iterator[bytes]:
    """The questions that can be asked: those with addresses to come from."""
    try:
        mac = mac_number(row.eth_src).to_bytes(6)
    except (ValueError, OverflowError):
        return
    response = row.query_max_resp or 1
    for make, kind, text in ((query4, IPv4Address, row.ip4_src), (query6, IPv6Address, row.ip6_src)):
        try:
            source = kind(text).packed
        except ValueError:
            continue
        yield make(mac, source, response, interval)


# --- packets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard(Event):
    """What a packet said that came in by a port."""

    datapath: int
    port: int
    message: Message


def heard(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Heard | PacketOut]:
    """`igmp`: takes notice, and passes questions on to all ports, reports to those who ask."""
    del userdata, world
    try:
        message = parse(packet.packet)
    except Malformed:
        return
    yield Heard(packet.field(t.DATAPATH) or 0, packet.field(t.INPORT) or 0, message)
    yield _passed_on(packet, FLOOD_GROUP if message.query else ROUTER_GROUP)


def _passed_on(packet: PacketIn, group: int) -> PacketOut:
    kept = tuple(entry for entry in packet.match if entry[0] in (t.DATAPATH, t.INPORT, t.FLAGS, t.ZONE))
    actions = (SetField(t.OUTPORT, group), Resubmit(table=t.REMOTE_OUTPUT))
    return PacketOut("CONTROLLER", actions, packet.packet, kept)


def asked(switch: Switch) -> Iterator[PacketOut]:
    """The switch's own questions, to its ports on this host."""
    place: tuple[Entry, ...] = ((t.DATAPATH, switch.key, None), (t.OUTPORT, FLOOD_GROUP, None))
    stay = SetField(t.FLAGS, 1 << t.LOCAL_ONLY, 1 << t.LOCAL_ONLY)
    for frame in switch.queries:
        yield PacketOut("CONTROLLER", (stay, Resubmit(table=t.LOCAL_OUTPUT)), frame, place)


# --- what is remembered -----------------------------------------------------------------------------------------------


@dataclass
class Memory:
    """What was heard on one switch."""

    switch: Switch
    due: float
    """When to ask next."""
    wanted: dict[str, dict[int, float]] = field(default_factory=dict)
    """By address: until when each port, by its key, is known to want it."""

    def hear(self, event: Heard, now: float) -> None:
        until = now + self.switch.idle
        if event.message.asks:
            self._join(ROUTERS, event.port, until)
        for group in event.message.joined:
            self._join(str(group), event.port, until)
        for group in event.message.left:
            self._leave(str(group), event.port)

    def _join(self, address: str, port: int, until: float) -> None:
        if address not in self.wanted and len(self.wanted) >= self.switch.most:
            oldest = min(self.wanted, key=lambda each: max(self.wanted[each].values()))
            del self.wanted[oldest]
        self.wanted.setdefault(address, {})[port] = until

    def _leave(self, address: str, port: int) -> None:
        ports = self.wanted.get(address, {})
        ports.pop(port, None)
        if not ports:
            self.wanted.pop(address, None)

    def forget(self, now: float) -> None:
        """Forgets what was not heard again in time."""
        for address, ports in list(self.wanted.items()):
            for port in [port for port, until in ports.items() if until <= now]:
                self._leave(address, port)

    def deadline(self) -> float | None:
        """When something is to be asked or forgotten."""
        times = [until for ports in self.wanted.values() for until in ports.values()]
        return min([*times, *([self.due] if self.switch.queries else [])], default=None)


class Snooping:
    """All switches of this host that snoop."""

    name = "multicast snooping"
    wants = SWITCHES
    events = (Heard,)

    def __init__(self) -> None:
        self._memories: dict[int, Memory] = {}
        """By datapath key."""
        self._look_again: float | None = None

    def hear(self, event: Heard, now: float) -> None:
        """Remembers what a port of a switch that snoops said."""
        memory = self._memories.get(event.datapath)
        if memory is not None:
            memory.hear(event, now)

    def step(self, wanted: Mapping[Uuid, Switch], world: World, now: float) -> Iterator[Effect]:
        """Asks, forgets, and says which rows there should be."""
        ours = world.southbound.index(sb.Chassis, "name").one(world.chassis)
        if ours is None:
            return
        there = world.southbound.index(sb.IGMPGroup, "chassis").find(ours.uuid)
        self._follow(wanted.values(), there, world, now)
        for memory in self._memories.values():
            memory.forget(now)
            if memory.switch.queries and memory.due <= now:
                memory.due = now + memory.switch.interval
                yield from asked(memory.switch)
        effects = list(self._rows(there, world, ours.uuid))
        yield from effects
        self._look_again = now + AGAIN if effects else now + REMEMBER if any(self._known()) else None

    def _known(self) -> Iterator[str]:
        for memory in self._memories.values():
            yield from memory.wanted

    def _follow(self, wanted: Iterable[Switch], there: Iterable[sb.IGMPGroup], world: World, now: float) -> None:
        before, self._memories = self._memories, {}
        for switch in wanted:
            memory = before.get(switch.key)
            if memory is None or memory.switch.datapath != switch.datapath:
                memory = Memory(switch, now, _taken_over(switch, there, world, now))
            elif memory.switch.number != switch.number:
                memory = Memory(switch, now)
            elif memory.switch.queries != switch.queries:
                memory.due = now
            memory.switch = switch
            self._memories[switch.key] = memory

    def _rows(self, there: Iterable[sb.IGMPGroup], world: World, ours: Uuid) -> Iterator[Effect]:
        """What differs between the rows that are there and those that should be."""
        rows = {(row.datapath, row.address): row for row in there}
        for memory in self._memories.values():
            for address, keys in memory.wanted.items():
                ports = _ports(memory.switch, keys, world, ours)
                row = rows.pop((memory.switch.datapath, address), None) if ports else None
                if ports and (row is None or row.ports != ports):
                    datapath = memory.switch.datapath
                    yield sb.IGMPGroup(address=address, datapath=datapath, chassis=ours, ports=ports)
        for row in rows.values():
            yield Gone(sb.IGMPGroup, row.uuid)

    def deadline(self) -> float | None:
        """When something is to be asked, forgotten, or written again."""
        times = [time for memory in self._memories.values() if (time := memory.deadline()) is not None]
        return min([*times, *([self._look_again] if self._look_again is not None else [])], default=None)


def _ports(switch: Switch, keys: Iterable[int], world: World, ours: Uuid) -> tuple[Uuid, ...]:
    """The rows of ports that are on this host, or on none in particular."""
    index = world.southbound.index(sb.PortBinding, "datapath", "tunnel_key")
    found = (index.one(switch.datapath, key) for key in keys)
    return tuple(sorted(port.uuid for port in found if port is not None and port.chassis in (None, ours)))


def _taken_over(switch: Switch, there: Iterable[sb.IGMPGroup], world: World, now: float) -> dict[str, dict[int, float]]:
    """What the rows that are there say."""
    wanted: dict[str, dict[int, float]] = {}
    for row in there:
        if row.datapath == switch.datapath:
            bindings = (world.southbound.get(sb.PortBinding, uuid) for uuid in row.ports)
            ports = {port.tunnel_key: now + switch.idle for port in bindings if port is not None}
            wanted |= {row.address: ports} if ports else {}
    return wanted


SERVICE: Final = Service(Opcode.IGMP, heard)
RULES: Final = (switches,)
