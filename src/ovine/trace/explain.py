"""Why a flow exists: the northbound row that it was made for, and the object of the cloud's API behind that row.

northd writes the first 8 digits of the northbound row's uuid into each flow (external_ids:stage-hint); flows that all
datapaths share have none. The northbound says by `neutron:…` in external_ids what its rows were made for; names come
from there and, if it is given, from the Cloud database.

Tests: tests/unit/trace/test_trace_explain.py, tests/interop/test_trace_cloud.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ovine.model import cloud, nb, sb
from ovine.model.base import Row, Uuid
from ovine.trace.microflow import names_for_people
from ovine.trace.tree import Effect, Step

HINT: Final = 8
SWITCH_PREFIX: Final = "neutron-"
ROUTER_PORT_PREFIX: Final = "lrp-"


@dataclass(frozen=True, slots=True)
class ApiObject:
    """An object of the cloud's API; `name` is "" if it has none, or none is known."""

    kind: str
    id: str
    name: str = ""

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}" ({self.id})' if self.name else f"{self.kind} {self.id}"


@dataclass(frozen=True, slots=True)
class Reason:
    """A northbound row, by table and what tells it from others, and the API objects behind it."""

    table: str
    name: str
    uuid: Uuid
    objects: tuple[ApiObject, ...] = ()

    def __str__(self) -> str:
        behind = ", ".join(map(str, self.objects))
        if any(self.name.endswith(one.id) for one in self.objects):
            return f"{self.table} of {behind}"
        return f"{self.table} {self.name}" + (f", of {behind}" if behind else "")


@dataclass(frozen=True)
class Origins:
    """Use `Origins.of`; `Origins()` knows of nothing."""

    by_hint: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    switches: Mapping[Uuid, nb.LogicalSwitch] = field(default_factory=dict)
    """The switch of a port's row."""
    groups: Mapping[Uuid, tuple[nb.PortGroup, ...]] = field(default_factory=dict)
    """The port groups that have an ACL."""
    memberships: Mapping[Uuid, tuple[nb.PortGroup, ...]] = field(default_factory=dict)
    """The port groups that a port is in, by its row."""
    rules: Mapping[str, cloud.SecurityGroupRule] = field(default_factory=dict)
    """Security group rules by id."""
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """What the cloud calls its objects, by kind and id."""
    ports: Mapping[str, nb.LogicalSwitchPort] = field(default_factory=dict)
    """The rows of ports, by logical name."""
    port_names: Mapping[str, str] = field(default_factory=dict)
    """What the cloud calls ports, by logical name."""

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Origins:
        """From rows of the northbound, of the Cloud database and, for names of ports, of the southbound."""
        by_hint: defaultdict[str, list[Row]] = defaultdict(list)
        switches: dict[Uuid, nb.LogicalSwitch] = {}
        groups: defaultdict[Uuid, list[nb.PortGroup]] = defaultdict(list)
        memberships: defaultdict[Uuid, list[nb.PortGroup]] = defaultdict(list)
        rules: dict[str, cloud.SecurityGroupRule] = {}
        names: dict[tuple[str, str], str] = {}
        ports: dict[str, nb.LogicalSwitchPort] = {}
        port_names: dict[str, str] = {}
        for row in rows:
            if row.spec.name in _NORTH and isinstance(row, _NORTH[row.spec.name]):
                by_hint[row.uuid[:HINT]].append(row)
            if isinstance(row, nb.LogicalSwitch):
                switches |= dict.fromkeys(row.ports, row)
            elif isinstance(row, nb.LogicalSwitchPort):
                ports[row.name] = row
            elif isinstance(row, nb.PortGroup):
                for acl in row.acls:
                    groups[acl].append(row)
                for port in row.ports:
                    memberships[port].append(row)
            elif isinstance(row, sb.PortBinding):
                port_names[row.logical_port] = next(iter(names_for_people(row)), "")
            elif isinstance(row, cloud.Port | cloud.Network | cloud.Subnet):
                names[(type(row).__name__.lower(), row.uuid)] = row.name
            elif isinstance(row, cloud.SecurityGroup | cloud.AddressGroup):
                names[(_CLOUD_KINDS[type(row)], row.uuid)] = row.name
            elif isinstance(row, cloud.SecurityGroupRule):
                rules[row.uuid] = row
        port_names |= {id: name for (kind, id), name in names.items() if kind == "port" and name}
        frozen = {hint: tuple(found) for hint, found in by_hint.items()}
        return cls(
            by_hint=frozen,
            switches=switches,
            groups={acl: tuple(found) for acl, found in groups.items()},
            memberships={port: tuple(found) for port, found in memberships.items()},
            rules=rules,
            names=names,
            ports=ports,
            port_names=port_names,
        )

    def why(self, flow: sb.LogicalFlow) -> tuple[Reason, ...]:
        """The northbound rows that a flow was made for: none if it is for all datapaths, or the row is not known.

        Several, if their uuids begin alike.
        """
        hint = flow.external_ids.get("stage-hint", "")[:HINT]
        rows = self.by_hint.get(hint, ()) if hint else ()
        rows += tuple(found for row in rows for found in self._answers(flow, row))
        return tuple(map(self._reason, rows))

    def because(self, step: Step) -> tuple[Reason, ...]:
        """The northbound rows that made a step what it was: those of its flow, and ports that look-ups found."""
        found = [self.ports[node.port] for node in step.nodes if isinstance(node, Effect) and node.port in self.ports]
        return tuple(dict.fromkeys((*self.why(step.flow), *map(self._reason, found))))

    def _reason(self, row: Row) -> Reason:
        return Reason(row.spec.name, _name(row), row.uuid, tuple(self._objects(row)))

    def _answers(self, flow: sb.LogicalFlow, row: Row) -> Iterator[Row]:
        """The options that a flow hands out for a port."""
        if isinstance(row, nb.LogicalSwitchPort):
            for word, uuid in (("put_dhcp_opts", row.dhcpv4_options), ("put_dhcpv6_opts", row.dhcpv6_options)):
                if word in flow.actions and uuid is not None:
                    yield from (found for found in self.by_hint.get(uuid[:HINT], ()) if found.uuid == uuid)

    def rule_text(self, id: str) -> str:
        """A security group rule in words: "ingress IPv4 tcp 22 from 10.0.0.0/8"; "" for one that is not known."""
        rule = self.rules.get(id)
        if rule is None:
            return ""
        words = [rule.direction, rule.ethertype, *([rule.protocol] if rule.protocol is not None else [])]
        low, high = rule.port_range_min, rule.port_range_max
        if low is not None:
            words.append(str(low) if high in (None, low) else f"{low}-{high}")
        peer = rule.remote_ip_prefix
        if rule.remote_group is not None:
            peer = str(self._object("security group", rule.remote_group))
        elif rule.remote_address_group is not None:
            peer = str(self._object("address group", rule.remote_address_group))
        if peer is not None:
            words += ["from" if rule.direction == "ingress" else "to", peer]
        return " ".join(words)

    def behind(self, row: Row) -> tuple[ApiObject, ...]:
        """The objects of the cloud's API that a northbound row was made for."""
        return tuple(self._objects(row))

    def security_groups_of(self, port: Row) -> tuple[ApiObject, ...]:
        """The security groups of a port, by its northbound row."""
        ids = (group.external_ids.get(_GROUP_ID, "") for group in self.memberships.get(port.uuid, ()))
        return tuple(self._object("security group", id) for id in ids if id)

    def datapath(self, row: sb.DatapathBinding) -> ApiObject | None:
        """The network or router that a datapath is."""
        for key, kind in (("logical-switch", "network"), ("logical-router", "router")):
            name = row.external_ids.get("name", "")
            if key in row.external_ids and name.startswith(SWITCH_PREFIX):
                return self._object(kind, name.removeprefix(SWITCH_PREFIX), row.external_ids.get("name2", ""))
        return None

    def _object(self, kind: str, id: str, name: str = "") -> ApiObject:
        return ApiObject(kind, id, self.names.get((kind, id)) or name)

    def _objects(self, row: Any) -> Iterator[ApiObject]:
        ids: Mapping[str, str] = getattr(row, "external_ids", {})
        match row:
            case nb.LogicalSwitchPort(type="localnet"):
                switch = self.switches.get(row.uuid)
                yield from self._objects(switch) if switch is not None else ()
            case nb.LogicalSwitchPort() if any(key.startswith("neutron:") for key in ids):
                yield self._object("port", row.name, ids.get("neutron:port_name", ""))
            case nb.LogicalSwitch(name=name) if name.startswith(SWITCH_PREFIX):
                yield self._object("network", name.removeprefix(SWITCH_PREFIX), ids.get("neutron:network_name", ""))
            case nb.LogicalRouter(name=name) if name.startswith(SWITCH_PREFIX):
                yield self._object("router", name.removeprefix(SWITCH_PREFIX), ids.get("neutron:router_name", ""))
            case nb.LogicalRouterPort(name=name) if name.startswith(ROUTER_PORT_PREFIX):
                yield self._object("port", name.removeprefix(ROUTER_PORT_PREFIX))
            case nb.ACL():
                for group in self.groups.get(row.uuid, ()):
                    if id := group.external_ids.get(_GROUP_ID):
                        yield self._object("security group", id)
        for key, kind in _IDS.items():
            if id := ids.get(key):
                yield self._object(kind, id, self.rule_text(id))


_NORTH: Final = {table.name: table.row for table in nb.DATABASE.tables.values()}
_GROUP_ID: Final = "neutron:security_group_id"
_CLOUD_KINDS: Final[Mapping[type[Row], str]] = {
    cloud.SecurityGroup: "security group",
    cloud.AddressGroup: "address group",
}
_IDS: Final = {
    "neutron:security_group_rule_id": "security group rule",
    "neutron:fip_id": "floating IP",
    "subnet_id": "subnet",
    "port_id": "port",
}
"""Where other rows say what they were made for."""


def _name(row: Any) -> str:
    """What tells a row from others of its table, in words."""
    match row:
        case nb.ACL():
            return f"{row.direction}, priority {row.priority}, {row.match}: {row.action}"
        case nb.DHCPOptions():
            return str(row.cidr)
        case nb.NAT():
            only = f" for {row.match}" if row.match else ""
            return f"{row.type} {row.external_ip} {row.logical_ip}{only}"
        case nb.LogicalRouterStaticRoute():
            return f"{row.ip_prefix} by {row.nexthop}"
        case nb.LogicalRouterPolicy():
            chain = f"chain {row.chain}, " if row.chain else ""
            to = f" to {row.jump_chain}" if row.action == "jump" else ""
            return f"{chain}priority {row.priority}, {row.match}: {row.action}{to}"
    return str(getattr(row, "name", "") or row.uuid)
