"""`log(name="…", verdict=drop, severity=info, meter="…")`: a line in the daemon's log for each packet, module acl_log.

    name="web", verdict=drop, severity=info, direction=from-lport: tcp,vlan_tci=0x0000,dl_src=…

A meter limits the lines of all ACLs that share it, by its row in the southbound table Meter.

Source: ovn-sb(5), log, tables Meter and Meter_Band. Tests: tests/unit/controller/services/test_acl_log.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

import msgspec

from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.packet_text import packet_text
from ovine.controller.tables import LOG_EGRESS
from ovine.engine import Reader
from ovine.language.actions import Log
from ovine.model import sb
from ovine.openflow import Message, PacketIn

_log: Final = logging.getLogger("ovine.acl_log")


class Line(msgspec.Struct, frozen=True):
    """What the flow carries."""

    name: str
    verdict: str
    severity: str
    meter: str


def payload(q: Reader, action: Log) -> bytes:
    """The line's fixed part."""
    del q
    line = Line(action.name or "<unnamed>", action.verdict or "<none>", action.severity, action.meter or "")
    return msgspec.msgpack.encode(line)


class Meters:
    """Token buckets by name. A meter without a row, or without a band, limits nothing."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tokens, and when they were counted."""

    def admits(self, name: str, bits: int, world: World) -> bool:
        """Whether one more packet of this many bits is within the meter's rate."""
        meter = world.southbound.index(sb.Meter, "name").one(name)
        bands = [world.southbound.get(sb.MeterBand, uuid) for uuid in meter.bands] if meter is not None else []
        band = next((band for band in bands if band is not None), None)
        if meter is None or band is None:
            return True
        scale, cost = (1, 1) if meter.unit == "pktps" else (1000, bits)
        rate, now = band.rate * scale, world.now()
        most = max(band.burst_size * scale, rate, cost)
        tokens, then = self._buckets.get(name, (most, now))
        tokens = min(most, tokens + max(0.0, now - then) * rate)
        admitted = tokens >= cost
        self._buckets[name] = (tokens - cost if admitted else tokens, now)
        return admitted


class Logger:
    """The handler, with the state of its meters."""

    def __init__(self) -> None:
        self._meters = Meters()

    def __call__(self, packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message]:
        """Writes the line, if the meter lets it."""
        line = msgspec.msgpack.decode(userdata.payload, type=Line)
        if not line.meter or self._meters.admits(line.meter, 8 * len(packet.packet), world):
            direction = "to-lport" if (packet.table or 0) >= LOG_EGRESS else "from-lport"
            head = f'name="{line.name}", verdict={line.verdict}, severity={line.severity}, direction={direction}'
            _log.info("%s: %s", head, packet_text(packet.packet))
        yield from ()


SERVICE: Final = Service(Opcode.LOG, Logger(), payload)
