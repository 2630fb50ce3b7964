"""Connections: what connection tracking knows after the packets that were traced before.

A trace that is given the same `Connections` as others before it is answered from what those committed, instead of by
the words of --ct. States are those of Open vSwitch's connection tracker (ovs-fields(7), "Connection Tracking Fields"):
a connection is new until a reply is seen; ICMP errors are related to the connection that they are about; what can
begin no connection (answers to an echo, TCP segments with RST or SYN and ACK) is invalid. Time does not pass, sequence
numbers are not looked at, and nothing is translated.

Terms: a *zone* is a port's own: of the input port in ingress, of the output port in egress.
Tests: tests/unit/trace/test_trace_connections.py, tests/interop/test_trace_packet_cases.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ovine.language import FIELDS, Packet
from ovine.model.base import Uuid

_ICMP4, _TCP, _ICMP6 = 1, 6, 58
_PORTS: Final = {_TCP: "tcp", 17: "udp", 132: "sctp"}
_ECHO: Final = {_ICMP4: (8, 0), _ICMP6: (128, 129)}
"""The types of an echo request and its answer."""
_ERRORS: Final = {_ICMP4: (3, 4, 5, 11, 12), _ICMP6: (1, 2, 3, 4)}
_SYN, _RST, _ACK = 2, 4, 16


class Zone(NamedTuple):
    """Whose connections are asked for."""

    datapath: Uuid
    port: int
    """The port's tunnel key."""


class End(NamedTuple):
    """A side of a connection. Echoes have as port the type of what the side sends: each side's are their own."""

    address: int
    port: int


class Tuple(NamedTuple):
    """What packets of one connection and direction have in common."""

    protocol: int
    wide: bool
    """IPv6."""
    source: End
    destination: End

    @property
    def reversed(self) -> Tuple:
        return self._replace(source=self.destination, destination=self.source)


class Tracked(NamedTuple):
    """What connection tracking says of a packet."""

    state: int
    mark: int = 0
    label: int = 0


@dataclass
class Connection:
    """One that was committed. `first` is the direction of its first packet."""

    first: Tuple
    mark: int = 0
    label: int = 0
    answered: bool = False


@dataclass
class Connections:
    """The connections of all zones. `subject` is the packet that ICMP errors are about, where there are any."""

    subject: Packet | None = None
    _known: dict[Zone, dict[Tuple, Connection]] = field(default_factory=dict)

    def look(self, zone: Zone, packet: Packet) -> Tracked:
        """What is known of a packet."""
        if _is_error(packet):
            found = self._find(zone, tuple_of(self.subject)) if self.subject is not None else None
            if found is None:
                return Tracked(_state("inv"))
            # An error about what the first side sent goes back to it.
            back = ("rpl",) if self.subject is not None and tuple_of(self.subject) == found.first else ()
            return Tracked(_state("rel", *back), found.mark, found.label)
        this = tuple_of(packet)
        found = self._find(zone, this)
        if found is None:
            return Tracked(_state("new" if _may_begin(packet) else "inv"))
        if this != found.first:
            found.answered = True
            return Tracked(_state("est", "rpl"), found.mark, found.label)
        return Tracked(_state("est" if found.answered else "new"), found.mark, found.label)

    def commit(self, zone: Zone, packet: Packet) -> None:
        """Remembers the connection of a valid packet, with the mark and the label that the packet has now."""
        if _is_error(packet):
            return
        this = tuple_of(packet)
        found = self._find(zone, this)
        if found is None:
            if not _may_begin(packet):
                return
            found = self._known.setdefault(zone, {})[this] = Connection(this)
        found.mark, found.label = packet.get("ct_mark"), packet.get("ct_label")

    def _find(self, zone: Zone, one: Tuple) -> Connection | None:
        known = self._known.get(zone, {})
        return known.get(one) or known.get(one.reversed)


def tuple_of(packet: Packet) -> Tuple:
    """The direction and the connection that a packet is of."""
    protocol, wide = packet.get("ip.proto"), packet.get("eth.type") == 0x86DD
    ip, name, kind = f"ip{6 if wide else 4}", _PORTS.get(protocol), _icmp_type(packet)
    ports = (packet.get(f"{name}.src"), packet.get(f"{name}.dst")) if name is not None else (0, 0)
    if kind in _ECHO.get(protocol, ()):
        request, answer = _ECHO[protocol]
        ports = (request, answer) if kind == request else (answer, request)
    source, destination = packet.get(f"{ip}.src"), packet.get(f"{ip}.dst")
    return Tuple(protocol, wide, End(source, ports[0]), End(destination, ports[1]))


def _state(*flags: str) -> int:
    return sum(1 << FIELDS[f"ct.{flag}"].offset for flag in ("trk", *flags))


def _icmp_type(packet: Packet) -> int | None:
    protocol = packet.get("ip.proto")
    if protocol not in _ECHO:
        return None
    return packet.get("icmp4.type" if protocol == _ICMP4 else "icmp6.type")


def _is_error(packet: Packet) -> bool:
    return _icmp_type(packet) in _ERRORS.get(packet.get("ip.proto"), ())


def _may_begin(packet: Packet) -> bool:
    """Whether a packet may be the first of a connection."""
    kind = _icmp_type(packet)
    if kind is not None:
        return kind == _ECHO[packet.get("ip.proto")][0]
    if packet.get("ip.proto") != _TCP:
        return True
    flags = packet.get("tcp.flags")
    return not flags & _RST and flags & (_SYN | _ACK) != _SYN | _ACK
