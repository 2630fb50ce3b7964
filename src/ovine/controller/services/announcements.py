"""Announcements: what is behind this host's ports is told to the physical networks that they are on.

Who moves to another host must be heard there, or switches and neighbours go on sending to the old place. Announced are,
on logical switches with a localnet port that is mapped here:

- the addresses of every port that is bound here,
- `nat_addresses` of router ports: of a gateway router's that is here, and of a distributed router's, each entry on
  the host where the port that it names (`is_chassis_resident("…")`) is.

An IPv4 address is told by a gratuitous ARP request, an IPv6 address by an unsolicited neighbour advertisement (RFC 4861
§7.2.6), a MAC address without an IP address by a RARP request. Each is repeated after 1, 2, 4, 8 and 16 seconds; with
the setting `garp-max-timeout-sec` for ever, at most that many seconds apart.

Sources: ovn-sb(5), Port_Binding nat_addresses; ovn-controller(8). Tests:
tests/unit/controller/services/test_announcements.py.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Any, Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.config import config
from ovine.controller.environment import is_resident
from ovine.controller.local import CLAIMS, LOCAL_DATAPATHS, localnet
from ovine.controller.services import World
from ovine.controller.services.frames import ARP, ICMPV6, IPV6, Ethernet, make_icmpv6, make_ipv6
from ovine.controller.services.timed import Effect, Event
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import PacketOut, Resubmit

Address = IPv4Address | IPv6Address | None

FIRST_PAUSE, LAST_PAUSE = 1.0, 16.0
"""Seconds; without a setting, the last announcement is LAST_PAUSE after the one before."""
_BROADCAST: Final = b"\xff" * 6
_RARP: Final = 0x8035
_ALL_NODES: Final = b"\xff\x02" + bytes(13) + b"\x01"
_ROUTER, _OVERRIDE = 0x80, 0x20
_RESIDENT: Final = re.compile(r'\s+is_chassis_resident\("(?P<port>[^"]*)"\)\s*\Z')
_MAC: Final = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}\Z")


class Announcement(NamedTuple):
    """What is told, at which port (both keys are tunnel keys). `address` None: the MAC address alone."""

    datapath: int
    port: int
    mac: str
    address: Address = None
    router: bool = False


ANNOUNCEMENTS: Relation[Announcement, float] = Relation("announcement")
"""The value is `garp-max-timeout-sec`, 0 if it is not set."""


# --- what is announced ------------------------------------------------------------------------------------------------


@rule(over=sb.PortBinding, writes=(ANNOUNCEMENTS,))
def announcements(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """What is announced for one port."""
    port = q.row(sb.PortBinding, uuid)
    datapath_key = q.get(LOCAL_DATAPATHS, port.datapath)
    if datapath_key is None or localnet(q, port.datapath) is None:
        return
    settings = config(q)
    pause = settings.garp_max_timeout if settings is not None else 0.0
    for mac, addresses in _told(q, uuid, port):
        for address in addresses or (None,):
            yield ANNOUNCEMENTS(Announcement(datapath_key, port.tunnel_key, mac, address, port.type != ""), pause)


def _told(q: Reader, uuid: Uuid, port: Any) -> Iterator[tuple[str, tuple[Address, ...]]]:
    if port.type == "":
        texts = port.mac if q.get(CLAIMS, uuid) is not None else ()
    elif port.type in ("patch", "l3gateway"):
        texts = [entry for entry in map(str, port.nat_addresses) if _is_here(q, port, entry)]
    else:
        return
    for text in texts:
        entry = parse(text)
        if entry is not None:
            yield entry


def _is_here(q: Reader, port: Any, entry: str) -> bool:
    found = _RESIDENT.search(entry)
    if found is not None:
        return is_resident(q, found["port"])
    settings = config(q)
    gateway = port.options.get("l3gateway-chassis", "")
    return port.type == "l3gateway" and settings is not None and gateway == settings.chassis


def parse(text: str) -> tuple[str, tuple[Address, ...]] | None:
    """`MAC [IP …]`, without a condition at the end; None for `unknown`, `router` and their like."""
    mac, *words = _RESIDENT.sub("", text).split() or [""]
    if not _MAC.match(mac):
        return None
    return mac.lower(), tuple(_addresses(words))


def _addresses(words: list[str]) -> Iterator[Address]:
    for word in words:
        try:
            yield ip_interface(word).ip
        except ValueError:
            continue  # northd says what is wrong with addresses; the others are announced


# --- frames -----------------------------------------------------------------------------------------------------------


def frame(told: Announcement) -> bytes:
    """The announcement as it goes into the switch."""
    mac = bytes(int(part, 16) for part in told.mac.split(":"))
    if told.address is None:
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3) + mac + bytes(4) + mac + bytes(4)
        return Ethernet(_BROADCAST, mac, b"", _RARP, body).encode()
    ip = told.address.packed
    if told.address.version == 4:
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + ip + bytes(6) + ip
        return Ethernet(_BROADCAST, mac, b"", ARP, body).encode()
    flags = _OVERRIDE | (_ROUTER if told.router else 0)
    message = struct.pack("!BBHB3x", 136, 0, 0, flags) + ip + bytes((2, 1)) + mac
    packet = make_ipv6(ip, _ALL_NODES, ICMPV6, make_icmpv6(ip, _ALL_NODES, message), 255)
    return Ethernet(b"\x33\x33\x00\x00\x00\x01", mac, b"", IPV6, packet).encode()


def packet_out(datapath: int, port: int, data: bytes) -> PacketOut:
    """Lets a frame into the ingress pipeline of a datapath, as if it came from a logical port."""
    place = ((t.DATAPATH, datapath, None), (t.INPORT, port, None))
    return PacketOut("CONTROLLER", (Resubmit(table=t.LOG_INGRESS),), data, place)


# --- when -------------------------------------------------------------------------------------------------------------


@dataclass
class _Schedule:
    at: float
    pause: float = FIRST_PAUSE


class Announcer:
    """When each announcement is made next."""

    name = "announcements"
    wants = ANNOUNCEMENTS
    events: tuple[type[Event], ...] = ()

    def __init__(self) -> None:
        self._schedules: dict[Announcement, _Schedule | None] = {}
        """None: has been said often enough."""

    def hear(self, event: Event, now: float) -> None:
        """Nothing tells it anything."""

    def step(self, wanted: Mapping[Announcement, float], world: World, now: float) -> Iterator[Effect]:
        """Announces what is new at once, and repeats what is due."""
        del world
        self._schedules = {
            told: self._schedules[told] if told in self._schedules else _Schedule(now) for told in wanted
        }
        for told, schedule in self._schedules.items():
            if schedule is not None and schedule.at <= now:
                self._schedules[told] = _next(schedule, wanted[told], now)
                yield packet_out(told.datapath, told.port, frame(told))

    def deadline(self) -> float | None:
        """When the next announcement is due."""
        return min((schedule.at for schedule in self._schedules.values() if schedule is not None), default=None)


def _next(schedule: _Schedule, longest: float, now: float) -> _Schedule | None:
    if longest:
        pause = min(schedule.pause, longest)
        return _Schedule(now + pause, pause * 2)
    return _Schedule(now + schedule.pause, schedule.pause * 2) if schedule.pause <= LAST_PAUSE else None


RULES: Final = (announcements,)
