"""BFD on routes: sessions of router ports that are on this host, with the gateways that routes lead to.

A row of the southbound table BFD is a session. It runs where its router port is: on the chassis of a gateway router, or
of a distributed router's gateway port. Its packets enter the router's pipeline by that port, as if they came in there,
and are routed; those of the other end come by `handle_bfd_msg`. How the session stands is written to the row.

Sources: RFC 5880, 5881 (single hop: UDP port 3784, TTL 255); ovn-sb(5), table BFD.
Tests: tests/unit/controller/services/test_bfd.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from random import Random
from typing import Any, Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.config import config
from ovine.controller.environment import datapath_key, is_resident
from ovine.controller.local import LOCAL_DATAPATHS, PORT_BY_NAME
from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.announcements import packet_out
from ovine.controller.services.bfd_session import Control, Session, State, Timers, control
from ovine.controller.services.fdb import mac_number
from ovine.controller.services.frames import (
    IPV4,
    IPV6,
    UDP,
    Ethernet,
    Malformed,
    ethernet,
    ipv4,
    ipv6,
    make_ipv4,
    make_ipv6,
    make_udp,
    udp,
)
from ovine.controller.services.timed import Change, Effect, Event
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import PacketIn, PacketOut

PORT: Final = 3784
_TTL: Final = 255
_NAMES: Final = {State.ADMIN_DOWN: "admin_down", State.DOWN: "down", State.INIT: "init", State.UP: "up"}
_EVERYBODY: Final = b"\xff" * 6
"""The router's pipeline finds the next hop's address."""


class Wanted(NamedTuple):
    """A session that this host runs; keys are tunnel keys, `mac` and `source` the router port's."""

    datapath: int
    port: int
    mac: int
    source: IPv4Address | IPv6Address
    peer: IPv4Address | IPv6Address
    source_port: int
    discriminator: int
    timers: Timers


SESSIONS: Relation[Uuid, Wanted] = Relation("BFD session")
"""By the row of the table BFD."""


# --- which sessions run here ------------------------------------------------------------------------------------------


@rule(over=sb.BFD, writes=(SESSIONS,))
def sessions(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """A session whose router port is here; ValueError if the row makes no sense."""
    row = q.row(sb.BFD, uuid)
    for port_uuid in q.find(PORT_BY_NAME, row.logical_port):
        port = q.row(sb.PortBinding, port_uuid)
        if row.status == "admin_down" or q.get(LOCAL_DATAPATHS, port.datapath) is None or not _is_here(q, port):
            return
        peer = ip_address(row.dst_ip)
        mac, source = _own(port, peer)
        timers = Timers(row.min_tx * 1000, row.min_rx * 1000, row.detect_mult)
        key = datapath_key(q, port.datapath)
        yield SESSIONS(uuid, Wanted(key, port.tunnel_key, mac, source, peer, row.src_port, row.disc, timers))


def _is_here(q: Reader, port: Any) -> bool:
    """On the chassis of the gateway router, or where the place of a distributed gateway port is."""
    if port.type == "l3gateway":
        settings = config(q)
        return settings is not None and port.options.get("l3gateway-chassis") == settings.chassis
    return is_resident(q, f"cr-{port.logical_port}")


def _own(port: Any, peer: IPv4Address | IPv6Address) -> tuple[int, IPv4Address | IPv6Address]:
    """The router port's MAC address and its address towards the peer: of the same network if there is one."""
    for text in port.mac:
        mac, *words = text.split()
        networks = [network for network in map(ip_interface, words) if network.version == peer.version]
        near = [network for network in networks if peer in network.network] or networks
        if near:
            best: IPv4Interface | IPv6Interface = near[0]
            return mac_number(mac), best.ip
    raise ValueError(f"BFD: router port {port.logical_port} has no address to reach {peer} from")


# --- packets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard(Event):
    """A control packet that came in at a router port."""

    datapath: int
    port: int
    peer: IPv4Address | IPv6Address
    packet: Control


def heard(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Heard]:
    """`handle_bfd_msg`: what the other end says, unless it is to be discarded."""
    del userdata, world
    try:
        outer = ethernet(packet.packet)
        inner = ipv4(outer) if outer.type == IPV4 else ipv6(outer)
        ttl = inner.header[8] if outer.type == IPV4 else inner.hop_limit  # type: ignore[union-attr]
        datagram = udp(inner)
        said = control(datagram.payload)
    except Malformed:
        return
    # Who is one hop away sends with the largest TTL there is (RFC 5881 §5).
    if ttl == _TTL and datagram.dst == PORT:
        yield Heard(packet.field(t.DATAPATH) or 0, packet.field(t.INPORT) or 0, ip_address(inner.src), said)


def frame(wanted: Wanted, packet: Control) -> bytes:
    """A control packet as it enters the router's pipeline."""
    src, dst = wanted.source.packed, wanted.peer.packed
    segment = make_udp(src, dst, (wanted.source_port, PORT), packet.encode())
    make, kind = (make_ipv4, IPV4) if wanted.peer.version == 4 else (make_ipv6, IPV6)
    return Ethernet(_EVERYBODY, wanted.mac.to_bytes(6), b"", kind, make(src, dst, UDP, segment, _TTL)).encode()


# --- the sessions -----------------------------------------------------------------------------------------------------


class Sessions:
    """All sessions of this host."""

    name = "BFD"
    wants = SESSIONS
    events = (Heard,)

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._sessions: dict[Uuid, tuple[Wanted, Session]] = {}

    def hear(self, event: Heard, now: float) -> None:
        """Gives a packet to its session: by discriminator, or by who sent it (RFC 5880 §6.8.6)."""
        for wanted, session in self._sessions.values():
            if event.packet.yours:
                matches = event.packet.yours == session.discriminator
            else:
                matches = event.peer == wanted.peer and (event.datapath, event.port) == (wanted.datapath, wanted.port)
            if matches:
                session.receive(event.packet, now)
                return

    def step(self, wanted: Mapping[Uuid, Wanted], world: World, now: float) -> Iterator[Effect]:
        """Starts and ends sessions, sends what is due, and tells how the sessions stand."""
        yield from self._ended(wanted)
        for uuid, want in wanted.items():
            session = self._session(uuid, want)
            session.expire(now)
            packet = session.transmit(now)
            if packet is not None:
                yield _sent(want, packet)
            row = world.southbound.get(sb.BFD, uuid)
            if row is not None and row.status != _NAMES[session.state]:
                yield Change(sb.BFD, uuid, (("status", _NAMES[session.state]),))

    def _ended(self, wanted: Mapping[Uuid, Wanted]) -> Iterator[Effect]:
        for uuid, (want, session) in list(self._sessions.items()):
            now_wanted = wanted.get(uuid)
            if now_wanted is None or now_wanted._replace(timers=want.timers) != want:
                del self._sessions[uuid]
                yield _sent(want, session.farewell())

    def _session(self, uuid: Uuid, want: Wanted) -> Session:
        found = self._sessions.get(uuid)
        session = found[1] if found is not None else Session(want.discriminator, want.timers, self._rng)
        session.change(want.timers)
        self._sessions[uuid] = (want, session)
        return session

    def deadline(self) -> float | None:
        """When a packet is due, or an end will have been silent for too long."""
        return min((session.deadline() for _, session in self._sessions.values()), default=None)


def _sent(wanted: Wanted, packet: Control) -> PacketOut:
    return packet_out(wanted.datapath, wanted.port, frame(wanted, packet))


SERVICE: Final = Service(Opcode.HANDLE_BFD_MSG, heard)
RULES: Final = (sessions,)
