"""Health checks: services of ports on this host that load balancers use are asked whether they are well.

A row of Service_Monitor is a service. The host of its logical port asks: `interval` seconds after the last result, and
waits `timeout` seconds for an answer. After `success_count` good results on end it writes `online` to the row, after
`failure_count` bad ones `offline`. Questions go out by the port itself, and are seen by nobody else; answers come by
`handle_svc_check`, and must be what the question asked for.

Source: ovn-sb(5), table Service_Monitor. Tests: tests/unit/controller/services/test_health.py,
tests/interop/test_load_balancing.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from random import Random
from typing import Any, Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.environment import datapath_key
from ovine.controller.local import CLAIMS, PORT_BY_NAME
from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.fdb import mac_number
from ovine.controller.services.frames import Malformed
from ovine.controller.services.health_packets import Ends, Said, answer, question, reset
from ovine.controller.services.timed import Change, Effect, Event
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import PacketIn, PacketOut, Resubmit, SetField

INTERVAL, TIMEOUT, COUNT = 5.0, 20.0, 1
"""What holds if a row does not say; seconds."""
_EPHEMERAL: Final = (32768, 60999)


class Watched(NamedTuple):
    """A service that this host asks; keys are tunnel keys."""

    datapath: int
    port: int
    mac: bytes
    source: IPv4Address | IPv6Address
    to_mac: bytes
    to: IPv4Address | IPv6Address
    number: int
    protocol: str
    interval: float
    timeout: float
    good: int
    bad: int


WATCHED: Relation[Uuid, Watched] = Relation("watched service")
"""By the row of Service_Monitor."""


@rule(over=sb.ServiceMonitor, writes=(WATCHED,))
def watched(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """A service whose port is bound here; ValueError if the row makes no sense."""
    row = q.row(sb.ServiceMonitor, uuid)
    for port_uuid in q.find(PORT_BY_NAME, row.logical_port):
        if q.get(CLAIMS, port_uuid) is None:
            continue
        port = q.row(sb.PortBinding, port_uuid)
        to = ip_address(row.ip)
        made = Watched(
            datapath=datapath_key(q, port.datapath),
            port=port.tunnel_key,
            mac=mac_number(row.src_mac).to_bytes(6),
            source=ip_address(row.src_ip),
            to_mac=_mac_of(port, row.ip),
            to=to,
            number=row.port,
            protocol=row.protocol or "tcp",
            interval=_seconds(row, "interval", INTERVAL),
            timeout=_seconds(row, "timeout", TIMEOUT),
            good=max(1, int(row.options.get("success_count", COUNT))),
            bad=max(1, int(row.options.get("failure_count", COUNT))),
        )
        if made.source.version != made.to.version:
            raise ValueError(f"service monitor {row.ip} is to be asked from {row.src_ip}, of another IP version")
        yield WATCHED(uuid, made)


def _seconds(row: Any, name: str, default: float) -> float:
    return max(1.0, float(row.options.get(name, default)))


def _mac_of(port: Any, ip: str) -> bytes:
    """The Ethernet address that goes with an address of the port, else its first."""
    entries = [entry.split() for entry in port.mac if ":" in entry.partition(" ")[0]]
    for mac, *ips in [entry for entry in entries if ip in entry] or entries:
        del ips
        return mac_number(mac).to_bytes(6)
    raise ValueError(f"service monitor: the port {port.logical_port} has no Ethernet address to ask {ip} at")


# --- packets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard(Event):
    """An answer that came in at a port."""

    datapath: int
    port: int
    said: Said


def heard(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Heard]:
    """`handle_svc_check`: what a port says of a service."""
    del userdata, world
    try:
        said = answer(packet.packet)
    except Malformed:
        return
    if said is not None:
        yield Heard(packet.field(t.DATAPATH) or 0, packet.field(t.INPORT) or 0, said)


def _sent(watched: Watched, frame: bytes) -> PacketOut:
    """Lets a frame out by the port."""
    place = ((t.DATAPATH, watched.datapath, None), (t.OUTPORT, watched.port, None))
    stay = SetField(t.FLAGS, 1 << t.LOCAL_ONLY, 1 << t.LOCAL_ONLY)
    return PacketOut("CONTROLLER", (stay, Resubmit(table=t.LOCAL_OUTPUT)), frame, place)


# --- what is found ----------------------------------------------------------------------------------------------------


@dataclass
class Check:
    """How it stands with one service."""

    watched: Watched
    due: float
    """When to ask next; or, while there is a question, until when to wait."""
    ends: Ends | None = None
    """The question that is not answered yet."""
    number: int = 0
    """Its sequence number."""
    streak: int = 0
    """Good results on end, or bad ones as a negative number."""

    def ask(self, now: float, rng: Random) -> PacketOut:
        want = self.watched
        self.number = rng.randrange(1 << 32)
        port = rng.randint(*_EPHEMERAL)
        self.ends = Ends(want.mac, want.source, port, want.to_mac, want.to, want.number, want.protocol)
        self.due = now + want.timeout
        return _sent(want, question(self.ends, self.number))

    def answers(self, event: Heard) -> bool:
        """Whether this answer is for the question that was asked last."""
        ends, said, want = self.ends, event.said, self.watched
        return (
            ends is not None
            and (event.datapath, event.port) == (want.datapath, want.port)
            and (said.service, said.port, said.source_port) == (ends.to, ends.port, ends.source_port)
            and said.protocol == want.protocol
            and (want.protocol != "tcp" or said.confirms == (self.number + 1) & 0xFFFFFFFF)
        )

    def result(self, good: bool, now: float) -> None:
        self.streak = max(self.streak, 0) + 1 if good else min(self.streak, 0) - 1
        self.ends, self.due = None, now + self.watched.interval

    def status(self) -> str | None:
        """What is certain enough to be written."""
        if self.streak >= self.watched.good:
            return "online"
        return "offline" if -self.streak >= self.watched.bad else None


class HealthChecks:
    """All services that this host asks."""

    name = "health checks"
    wants = WATCHED
    events = (Heard,)

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._checks: dict[Uuid, Check] = {}
        self._resets: list[PacketOut] = []

    def hear(self, event: Heard, now: float) -> None:
        """Gives an answer to whoever asked; what a service has opened is closed."""
        for check in self._checks.values():
            if check.ends is not None and check.answers(event):
                if event.said.open:
                    self._resets.append(_sent(check.watched, reset(check.ends, event.said.confirms)))
                check.result(event.said.open, now)
                return

    def step(self, wanted: Mapping[Uuid, Watched], world: World, now: float) -> Iterator[Effect]:
        """Closes, gives up waiting, asks what is due, and writes what is certain."""
        resets, self._resets = self._resets, []
        yield from resets
        before, self._checks = self._checks, {}
        for uuid, want in wanted.items():
            check = before.get(uuid)
            if check is None or check.watched != want:
                check = Check(want, now)
            self._checks[uuid] = check
            if check.ends is not None and check.due <= now:
                check.result(want.protocol == "udp", now)
            if check.ends is None and check.due <= now:
                yield check.ask(now, self._rng)
            status = check.status()
            row = world.southbound.get(sb.ServiceMonitor, uuid)
            if row is not None and status is not None and row.status != status:
                yield Change(sb.ServiceMonitor, uuid, (("status", status),))

    def deadline(self) -> float | None:
        """When something is to be asked, or given up."""
        return min((check.due for check in self._checks.values()), default=None)


SERVICE: Final = Service(Opcode.HANDLE_SVC_CHECK, heard)
RULES: Final = (watched,)
