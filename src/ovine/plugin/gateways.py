"""Gateway scheduling: on which chassis, in which order of preference, a router's gateway may be.

Candidates are the chassis with a bridge to the external network's physical network, and among these only those that
offer themselves (`ovn-cms-options=enable-chassis-as-gw`), if any chassis of the cloud does, and are in the router's
availability zones, if it has hints. What is scheduled stays: a
chassis that comes goes to the end of the order, one that is unregistered leaves it, and the others keep their places.
A new gateway prefers the chassis with the least to carry; between equals a hash decides, so that many gateways made at
once are spread, too. While the southbound database has not been seen, nothing changes.

Each gateway depends on its own present schedule and on its candidates; on how loaded they are only until it has been
written.

Tests: tests/unit/plugin/test_plugin_gateways.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import cloud, nb, sb
from ovine.model.base import Uuid
from ovine.model.chassis import GATEWAY, options_of, zones_of
from ovine.plugin.router_places import ROUTERS_OF_PORT, lrp_name, place

MOST = 5
"""Chassis that one gateway may fail over between."""
_LENGTH = len("lrp-") + 36

GATEWAY_CHASSIS: Relation[str, nb.GatewayChassis] = Relation("Gateway_Chassis")
"""By name."""
PRESENT: Index[nb.GatewayChassis] = Index(nb.GatewayChassis, lambda row: (row.name[:_LENGTH],), "schedule by port")
ON_CHASSIS: Index[nb.GatewayChassis] = Index(nb.GatewayChassis, lambda row: (row.chassis_name,), "schedule by chassis")
CHASSIS_BY_NAME: Index[sb.Chassis] = Index(sb.Chassis, lambda row: (row.name,))


@dataclass(frozen=True)
class Southbound:
    """An input whose presence says that the chassis are known."""


def row_name(port: Uuid, chassis: str) -> str:
    return f"{lrp_name(port)}_{chassis}"


@query
def _offers(q: Reader, chassis: Uuid) -> bool:
    return GATEWAY in options_of(_setting(q, chassis, "ovn-cms-options"))


@query
def _zones(q: Reader, chassis: Uuid) -> frozenset[str]:
    return zones_of(_setting(q, chassis, "ovn-cms-options"))


@query
def _physical_networks(q: Reader, chassis: Uuid) -> frozenset[str]:
    mappings = _setting(q, chassis, "ovn-bridge-mappings").split(",")
    return frozenset(item.partition(":")[0].strip() for item in mappings if item.strip())


def _setting(q: Reader, chassis: Uuid, name: str) -> str:
    """ovn-controller(8) publishes its settings in other_config; before OVN 20.09 it was external_ids."""
    row = q.row(sb.Chassis, chassis)
    return row.other_config.get(name, row.external_ids.get(name, ""))


@query
def _anyone_offers(q: Reader) -> bool:
    return any(_offers(q, chassis) for chassis in q.keys(sb.Chassis))


@query
def eligible(q: Reader, name: str, physical: str, zones: tuple[str, ...]) -> bool:
    """Whether a chassis may have gateways to a physical network ("" for a tunnelled one), in one of `zones` if any."""
    for chassis in q.find(CHASSIS_BY_NAME, name):
        if zones and _zones(q, chassis).isdisjoint(zones):
            return False
        if physical and physical not in _physical_networks(q, chassis):
            return False
        return _offers(q, chassis) or not _anyone_offers(q)
    return False


@query
def candidates(q: Reader, physical: str, zones: tuple[str, ...]) -> tuple[str, ...]:
    """The names of all that may."""
    names = sorted(q.row(sb.Chassis, chassis).name for chassis in q.keys(sb.Chassis))
    return tuple(name for name in names if eligible(q, name, physical, zones))


@query
def _first(q: Reader, port: str) -> str:
    """The chassis that a gateway prefers at present, by the name of its router port."""
    rows = [q.row(nb.GatewayChassis, found) for found in q.find(PRESENT, port)]
    return max(rows, key=lambda row: row.priority).chassis_name


@query
def load(q: Reader, name: str) -> tuple[int, int]:
    """What a chassis carries: the gateways that prefer it, and the sum of the priorities that gateways give it."""
    rows = [q.row(nb.GatewayChassis, found) for found in q.find(ON_CHASSIS, name)]
    return sum(_first(q, row.name[:_LENGTH]) == name for row in rows), sum(row.priority for row in rows)


@query
def schedule(q: Reader, port: Uuid) -> tuple[tuple[str, int], ...]:
    """The chassis of a gateway port with their priorities, the preferred one first."""
    rows = [q.row(nb.GatewayChassis, found) for found in q.find(PRESENT, lrp_name(port))]
    present = sorted(((row.chassis_name, row.priority) for row in rows), key=lambda item: (-item[1], item[0]))
    row, where = q.get(cloud.Port, port), place(q, port)
    if q.value(Southbound, ()) is None or row is None or where is None:
        return tuple(present)
    hints = q.row(cloud.Router, where.router).availability_zone_hints
    zones = tuple(hints[position] for position in sorted(hints))
    physical = q.row(cloud.Network, row.network).physical_network
    kept = [name for name, _ in present if eligible(q, name, physical, zones)][:MOST]
    if len(kept) < MOST:
        fresh = [name for name in candidates(q, physical, zones) if name not in kept]
        fresh.sort(key=lambda name: (load(q, name), _shuffle(port, name)))
        kept += fresh[: MOST - len(kept)]
    return tuple((name, len(kept) - position) for position, name in enumerate(kept))


def _shuffle(port: Uuid, chassis: str) -> bytes:
    return hashlib.sha256(f"{port} {chassis}".encode()).digest()


@rule(over=ROUTERS_OF_PORT, writes=(GATEWAY_CHASSIS,))
def gateway_chassis(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The chassis of a gateway port."""
    where = place(q, key)
    if where is None or not where.is_gateway:
        return
    for name, priority in schedule(q, key):
        row = nb.GatewayChassis(name=row_name(key, name), chassis_name=name, priority=priority)
        yield GATEWAY_CHASSIS(row.name, row)
