"""Conntrack zones: a number for each local port, and two for each local datapath (DNAT and SNAT).

A router may wish for its SNAT zone (`snat-ct-zone` in the datapath's external_ids), so that what else uses that zone on
the host shares its connections; 0 is the zone that the kernel uses by itself.

Zones are sticky: the number a name has in `external_ids:ct-zone-NAME` of the integration bridge stays with it over
restarts, so that connections survive. Names are OVN's: the logical port, `DATAPATH_dnat`, `DATAPATH_snat`.

Tests: tests/unit/controller/test_controller_local.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ovine.controller.local import CLAIMS, LOCAL_DATAPATHS, SHARED_PORTS_OF_DATAPATH
from ovine.controller.tables import DNAT_ZONE, SNAT_ZONE, ZONE
from ovine.engine import Emit, Reader, Sticky, query, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, SetField

ZONES: Sticky[str] = Sticky("conntrack zone", 1, 65535)
PREFIX: Final = "ct-zone-"


def stored(external_ids: Mapping[str, str]) -> dict[str, int]:
    """The zones that the integration bridge remembers, by name; others' nonsense is left out."""
    found = {}
    for key, value in external_ids.items():
        if key.startswith(PREFIX) and value.isdigit() and 0 < int(value) < 1 << 16:
            found[key.removeprefix(PREFIX)] = int(value)
    return found


@rule(over=CLAIMS, writes=(ZONES,))
def claimed_port_zone(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """One for each port that is bound here."""
    yield ZONES.request(q.row(CLAIMS, uuid).logical_port)


@rule(over=LOCAL_DATAPATHS, writes=(ZONES,))
def datapath_zones(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """Two for the datapath, and one for each of its ports that every host has."""
    yield ZONES.request(f"{datapath}_dnat")
    wish = snat_wish(q, datapath)
    if wish != 0:
        yield ZONES.request(f"{datapath}_snat", wanted=wish)
    for uuid in q.find(SHARED_PORTS_OF_DATAPATH, datapath):
        yield ZONES.request(q.row(sb.PortBinding, uuid).logical_port)


@query
def snat_wish(q: Reader, datapath: Uuid) -> int | None:
    """The SNAT zone that a datapath asks for; None if it asks for none, or for one that cannot be."""
    row = q.get(sb.DatapathBinding, datapath)
    text = row.external_ids.get("snat-ct-zone", "") if row is not None else ""
    return int(text) if text.isdecimal() and int(text) < 1 << 16 else None


@query
def zone(q: Reader, name: str) -> int:
    """The zone of a name; 0, the default zone, while it has none."""
    return q.get(ZONES, name) or 0


def load_datapath_zones(q: Reader, datapath: Uuid) -> tuple[Action, ...]:
    """Sets the two zone registers of a datapath."""
    dnat, snat = zone(q, f"{datapath}_dnat"), zone(q, f"{datapath}_snat")
    return SetField(DNAT_ZONE, dnat), SetField(SNAT_ZONE, snat)


def load_zones(q: Reader, datapath: Uuid, port: str) -> tuple[Action, ...]:
    """Sets the three zone registers for a packet at a port."""
    return SetField(ZONE, zone(q, port)), *load_datapath_zones(q, datapath)


RULES = (claimed_port_zone, datapath_zones)
