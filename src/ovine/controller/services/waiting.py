"""Packets that wait for a neighbour's MAC address.

While `arp { … }` or `nd_ns { … }` asks for a next hop, the packet that needs it waits here. When the address becomes
known (a MAC_Binding row, whoever learned it), the packet goes to the logical table that asked, once more, now with its
destination. So each table that asks must let packets pass that have one.

Few packets wait for one neighbour, a newer one in place of the oldest (RFC 4861 §7.2.2, RFC 1122 §2.3.2.2); none waits
long, and there is a bound for all of them.

Tests: tests/unit/controller/services/test_waiting.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.services import World
from ovine.controller.services.answers import kept
from ovine.controller.services.fdb import mac_number
from ovine.controller.services.timed import Effect, Event
from ovine.model import sb
from ovine.openflow import Action, Match, Move, PacketIn, PacketOut, Resubmit, SetField

PATIENCE: Final = 10.0
"""Seconds that a packet waits."""
PER_NEIGHBOUR: Final = 4
NEIGHBOURS: Final = 1000


class Neighbour(NamedTuple):
    """An address behind a logical port; both keys are tunnel keys."""

    datapath: int
    port: int
    ip: str


@dataclass(frozen=True)
class Hold(Event):
    """A packet that needs a neighbour; `table` asked for it."""

    neighbour: Neighbour
    frame: bytes
    fields: Match
    table: int


def hold(packet: PacketIn, block: tuple[Action, ...], target: str, default: int) -> Hold | None:
    """What is to wait while a block's packet asks who has `target` (arp_tpa or nd_target).

    `default` is the address that the packet asks for unless the block says another one.
    """
    datapath, port = packet.field(t.DATAPATH), packet.field(t.OUTPORT)
    if not datapath or not port or packet.table is None:
        return None
    number = _written(packet, block, target, default)
    ip = str(ip_address(number.to_bytes(4 if target == "arp_tpa" else 16)))
    return Hold(Neighbour(datapath, port, ip), packet.packet, kept(packet), packet.table)


def _written(packet: PacketIn, block: tuple[Action, ...], target: str, default: int) -> int:
    """What a block writes into a field: a constant, or what was in a register."""
    value = default
    for action in block:
        if isinstance(action, SetField) and action.field == target and action.mask is None:
            value = action.value
        elif isinstance(action, Move) and action.dst == target:
            value = register(packet, action.src)
    return value


def register(packet: PacketIn, name: str) -> int:
    """The value of a register of any width. The switch may report it as registers of 32 bits."""
    width, number = name.count("x"), int(name.lstrip("xreg"))
    value = 0
    for n in range(number << width, (number + 1) << width):
        value = value << 32 | (packet.field(f"reg{n}") or 0)
    return value


@dataclass
class _Queue:
    until: float
    packets: deque[Hold] = field(default_factory=lambda: deque(maxlen=PER_NEIGHBOUR))


class Waiting:
    """The packets that wait, by neighbour."""

    name = "waiting for neighbours"
    wants = None
    events = (Hold,)

    def __init__(self) -> None:
        self.queues: dict[Neighbour, _Queue] = {}

    def hear(self, event: Hold, now: float) -> None:
        """One more packet waits, unless too many neighbours are being asked."""
        queue = self.queues.pop(event.neighbour, None)
        if queue is None:
            if len(self.queues) >= NEIGHBOURS:
                return
            queue = _Queue(now)
        queue.until = now + PATIENCE
        queue.packets.append(event)
        self.queues[event.neighbour] = queue

    def step(self, wanted: Mapping[Any, Any], world: World, now: float) -> Iterator[Effect]:
        """Lets packets go whose neighbours are known, and forgets those that waited too long."""
        del wanted
        for neighbour, queue in list(self.queues.items()):
            mac = mac_of(world, neighbour)
            if mac is not None:
                del self.queues[neighbour]
                yield from (released(packet, mac) for packet in queue.packets)
            elif queue.until <= now:
                del self.queues[neighbour]

    def deadline(self) -> float | None:
        """When the first packets have waited long enough."""
        return next(iter(queue.until for queue in self.queues.values()), None)


def released(packet: Hold, mac: int) -> PacketOut:
    """The packet, on its way to a neighbour."""
    actions = (SetField("eth_dst", mac), Resubmit(table=packet.table))
    return PacketOut("CONTROLLER", actions, packet.frame, packet.fields)


def mac_of(world: World, neighbour: Neighbour) -> int | None:
    """The MAC address of a neighbour, if it has been learned or configured."""
    replica = world.southbound
    datapath = replica.index(sb.DatapathBinding, "tunnel_key").one(neighbour.datapath)
    if datapath is None:
        return None
    port = replica.index(sb.PortBinding, "datapath", "tunnel_key").one(datapath.uuid, neighbour.port)
    if port is None:
        return None
    # What is learned behind a gateway port is learned on the port itself, not on its place on the gateway's chassis.
    name = port.options.get("distributed-port", port.logical_port)
    learned = replica.index(sb.MACBinding, "logical_port", "ip").one(name, neighbour.ip)
    configured = replica.index(sb.StaticMACBinding, "logical_port", "ip").one(name, neighbour.ip)
    if configured is not None and (learned is None or configured.override_dynamic_mac):
        return mac_number(configured.mac)
    return mac_number(learned.mac) if learned is not None else None
