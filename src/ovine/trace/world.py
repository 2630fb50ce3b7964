"""The southbound as the interpreter sees it: a snapshot with the look-ups that flows need.

Flows are kept as rows and read (parsed) when a packet visits their table, so that a big database costs little.
Tests: tests/unit/trace/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from ovine.model import sb
from ovine.model.base import Row, Uuid
from ovine.trace.names import Names, names_of

TABLES: Final[tuple[type[Row], ...]] = (
    sb.DatapathBinding,
    sb.PortBinding,
    sb.LogicalFlow,
    sb.LogicalDPGroup,
    sb.MulticastGroup,
    sb.AddressSet,
    sb.PortGroup,
    sb.FDB,
    sb.MACBinding,
    sb.StaticMACBinding,
    sb.DNS,
)
"""What a world is made from."""

NO_PORT: Final = "none"
"""`outport == "none"`: key 0, which no port has."""

_R = TypeVar("_R", bound=Row)
FlowTable = tuple[Uuid, str, int]


@dataclass(frozen=True)
class World:
    """Use `world_of`."""

    datapaths: Mapping[Uuid, sb.DatapathBinding]
    ports: Mapping[str, sb.PortBinding]
    """By logical port."""
    keys: Mapping[tuple[Uuid, int], sb.PortBinding | sb.MulticastGroup]
    """Ports and groups by datapath and tunnel key."""
    names: Mapping[tuple[Uuid, str], int]
    """The keys of ports and groups, by datapath and name."""
    port_uuids: Mapping[Uuid, sb.PortBinding]
    flows: Mapping[FlowTable, tuple[sb.LogicalFlow, ...]]
    """By datapath, pipeline and table; the highest priority first."""
    address_sets: Mapping[str, tuple[str, ...]]
    port_groups: Mapping[str, tuple[str, ...]]
    fdb: Mapping[tuple[int, str], int]
    """The port's key by datapath key and Ethernet address."""
    bindings: Mapping[tuple[str, str], str]
    """Ethernet addresses by logical port and IP address."""
    dns: Names
    """What names are known in a datapath."""

    def environment(self, datapath: Uuid) -> WorldEnvironment:
        """What names in the flows of a datapath mean."""
        return WorldEnvironment(self, datapath)

    def port_name(self, datapath: Uuid, key: int) -> str:
        """The name of a port or group; "" for key 0."""
        found = self.keys.get((datapath, key))
        if isinstance(found, sb.PortBinding):
            return found.logical_port
        return found.name if found is not None else (f"#{key}" if key else "")

    def group_members(self, group: sb.MulticastGroup) -> list[sb.PortBinding]:
        """The ports of a group, by name."""
        members = (self.port_uuids[uuid] for uuid in group.ports if uuid in self.port_uuids)
        return sorted(members, key=lambda port: port.logical_port)


@dataclass(frozen=True)
class WorldEnvironment:
    """`ovine.language.Environment` of one datapath. A trace is of no chassis: every port is where it is asked for."""

    world: World
    datapath: Uuid

    def address_set(self, name: str) -> Collection[str] | None:
        """See Environment."""
        return self.world.address_sets.get(name)

    def port_group(self, name: str) -> Collection[str] | None:
        """See Environment. northd cuts port groups by datapath: the row for ours is named KEY_NAME."""
        key = self.world.datapaths[self.datapath].tunnel_key
        own = self.world.port_groups.get(f"{key}_{name}")
        return own if own is not None else self.world.port_groups.get(name)

    def port_key(self, port: str) -> int | None:
        """See Environment."""
        return self.world.names.get((self.datapath, port), 0 if port == NO_PORT else None)

    def is_chassis_resident(self, port: str) -> bool:
        """See Environment."""
        return port in self.world.ports

    def template(self, name: str) -> str | None:
        """See Environment. Template variables are a chassis's own, so that none has a value here."""
        return None


def world_of(rows: Iterable[Row]) -> World:
    """A world from rows of the southbound, in any order; rows of tables that it has no use for are left out."""
    of = _Rows(rows)
    ports, groups = list(of(sb.PortBinding)), list(of(sb.MulticastGroup))
    keyed: list[tuple[Uuid, int, str, sb.PortBinding | sb.MulticastGroup]] = []
    keyed += [(port.datapath, port.tunnel_key, port.logical_port, port) for port in ports]
    keyed += [(group.datapath, group.tunnel_key, group.name, group) for group in groups]
    return World(
        datapaths={row.uuid: row for row in of(sb.DatapathBinding)},
        ports={port.logical_port: port for port in ports},
        keys={(datapath, key): row for datapath, key, _, row in keyed},
        names={(datapath, name): key for datapath, key, name, _ in reversed(keyed)},
        port_uuids={port.uuid: port for port in ports},
        flows=_flows(of(sb.LogicalFlow), {row.uuid: row.datapaths for row in of(sb.LogicalDPGroup)}),
        address_sets={row.name: row.addresses for row in of(sb.AddressSet)},
        port_groups={row.name: row.ports for row in of(sb.PortGroup)},
        fdb={(row.dp_key, row.mac.lower()): row.port_key for row in of(sb.FDB)},
        bindings=_bindings(of),
        dns=names_of(of(sb.DNS)),
    )


class _Rows:
    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_table: defaultdict[type[Row], list[Row]] = defaultdict(list)
        for row in rows:
            self._by_table[type(row)].append(row)

    def __call__(self, table: type[_R]) -> Iterator[_R]:
        return iter(cast("list[_R]", self._by_table[table]))


def _flows(
    rows: Iterable[sb.LogicalFlow], groups: Mapping[Uuid, tuple[Uuid, ...]]
) -> dict[FlowTable, tuple[sb.LogicalFlow, ...]]:
    tables: defaultdict[FlowTable, list[sb.LogicalFlow]] = defaultdict(list)
    for row in rows:
        datapaths = groups.get(row.logical_dp_group, ()) if row.logical_dp_group is not None else ()
        if row.logical_datapath is not None:
            datapaths = (*datapaths, row.logical_datapath)
        for datapath in datapaths:
            tables[(datapath, row.pipeline, row.table_id)].append(row)
    # Where priorities are equal a switch may take either; here the choice is at least always the same.
    return {
        place: tuple(sorted(found, key=lambda row: (-row.priority, row.match, row.uuid)))
        for place, found in tables.items()
    }


def _bindings(of: _Rows) -> dict[tuple[str, str], str]:
    """Learned and given ones; a given one yields to a learned one unless it is to override it."""
    given = [(row.override_dynamic_mac, row.logical_port, row.ip, row.mac) for row in of(sb.StaticMACBinding)]
    found = {(port, ip): mac for override, port, ip, mac in given if not override}
    found |= {(row.logical_port, row.ip): row.mac for row in of(sb.MACBinding)}
    return found | {(port, ip): mac for override, port, ip, mac in given if override}
