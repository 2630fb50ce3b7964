"""Packet services as the switch meets them: a logical flow is compiled, and a frame that its action sent is handled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ovine.controller.flows import FLOWS
from ovine.controller.services import Userdata, decode, services
from ovine.controller.tables import logical_table
from ovine.model import sb
from ovine.model.base import Row
from ovine.model.dhcp_options import V4, V6
from ovine.openflow import Clone, Controller, Match, Message, PacketIn, Resume
from ovine.ovsdb import Replica
from ovine.ovsdb.plan import monitors_of, plan
from support.controller_world import World, uuid_of
from support.ovsdb_memory import MemoryServer


@dataclass
class Host:
    """What handlers may look at: `ovine.controller.services.World` with rows given by hand."""

    chassis: str = "hv1"
    southbound: Replica = field(default_factory=lambda: Replica(sb.DATABASE))
    time: float = 1_000_000.0

    def now(self) -> float:
        return self.time


def replica_of(*rows: Row) -> Replica:
    """A southbound replica that holds these rows."""
    server = MemoryServer(sb.DATABASE)
    server.commit({(type(row), row.uuid): row for row in rows})
    made = Replica(sb.DATABASE)
    for _, updates in server.log:
        made.apply(plan(sb.DATABASE, monitors_of(sb.DATABASE, None), server.schema), updates)
    return made


def world() -> World:
    """A host with one port and the option tables of northd."""
    made = World()
    made.datapath("sw0", 1)
    made.port("a", "sw0", 1)
    made.interface("a", 10)
    for name, (code, kind) in V4.items():
        made.put(sb.DHCPOptions(uuid=uuid_of("dhcp4", name), name=name, code=code, type=kind))
    for name, (code, kind) in V6.items():
        made.put(sb.DHCPv6Options(uuid=uuid_of("dhcp6", name), name=name, code=code, type=kind))
    return made


def userdata(actions: str, match: str = "1", made: World | None = None) -> Userdata:
    """What the `controller` action of a logical flow with these actions carries. ValueError if the flow was refused."""
    at = made or world()
    at.flow("sw0", "ingress", 5, 77, match, actions)
    at.engine.run()
    table = logical_table("ingress", 5)
    for key, body in at.engine.table(FLOWS).rows.items():
        if key[:2] == (table, 77):
            return decode(next(_controllers(body.actions)).userdata)
    raise ValueError("; ".join(failure.error for failure in at.engine.failures()))


def _controllers(actions: tuple[object, ...]) -> Iterator[Controller]:
    for action in actions:
        if isinstance(action, Controller):
            yield action
        if isinstance(action, Clone):
            yield from _controllers(action.actions)


def packet_in(frame: bytes, carried: Userdata, match: Match = ()) -> PacketIn:
    return PacketIn(frame, match, userdata=carried.encode(), continuation=b"paused" if carried.result else b"")


def handle(frame: bytes, carried: Userdata, match: Match = (), host: Host | None = None) -> list[Message | Row]:
    """What follows from a packet-in."""
    service = services()[carried.opcode]
    return list(service.handle(packet_in(frame, carried, match), carried, host or Host()))


def resumed(frame: bytes, carried: Userdata, match: Match = ()) -> bytes | None:
    """The packet that a paused one goes on as if the result is 1; None if it goes on unchanged with 0."""
    (message,) = handle(frame, carried, match)
    assert isinstance(message, Resume)
    ((name, value, mask),) = message.changes
    assert (name, mask) == ("reg0", None)
    assert bool(value >> 3 & 1) == (message.packet is not None)
    return message.packet
