"""Which chassis may be a gateway: HA_Chassis_Group and HA_Chassis, for each gateway port and each group that is used.

A northbound HA_Chassis_Group that a gateway port or an external port uses becomes one of the same name. A gateway port
with a list of Gateway_Chassis gets a group with the port's name. Hosts choose the active member themselves, by priority
and by whom they reach (BFD).

`ref_chassis` says who is to be watched: the hosts from which packets may be sent to the gateway, that is those with
ports on switches that are connected to its router. The way from router to router over a shared switch ends at a
gateway port that hosts never enter, since they send all its packets to its gateway (`always-redirect`); of such a
router only the gateways count. So a provider network that joins a thousand routers does not make each of their groups
refer to the hosts of all.

Tests: tests/unit/northd/test_ha_groups.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.northd.inputs import CHASSIS_BY_NAME
from ovine.northd.nats import works_on_the_spot
from ovine.northd.router_ports import PORTS_OF_ROUTER, PORTS_ON_SWITCH, ROUTER_PORTS
from ovine.projection import Names, Target, ref


class Member(NamedTuple):
    """A chassis of a group, by names: unlike the chassis's row, they are there before it registers."""

    group: str
    chassis: str


class Present(NamedTuple):
    """A chassis's having ports of a datapath, both by southbound uuid."""

    datapath: Uuid
    chassis: Uuid


GROUPS: Relation[str, sb.HAChassisGroup] = Relation("HA_Chassis_Group")
"""By name."""
MEMBERS: Relation[Member, sb.HAChassis] = Relation("HA_Chassis")
PRESENCE: Relation[Present, Present] = Relation("hosts of datapaths")

PORTS_IN = Index(
    nb.LogicalRouterPort,
    lambda row: (row.ha_chassis_group,) if row.ha_chassis_group else (),
    "router ports by chassis group",
)
EXTERNALS_IN = Index(
    nb.LogicalSwitchPort,
    lambda row: (row.ha_chassis_group,) if row.ha_chassis_group and row.type == "external" else (),
    "external ports by chassis group",
)
LISTED = Index(
    nb.LogicalRouterPort,
    lambda row: (row.uuid,) if row.gateway_chassis and not row.ha_chassis_group else (),
    "router ports with gateway chassis",
)
BOUND_TO = Index(
    sb.PortBinding,
    lambda row: ((row.datapath, row.chassis),) if row.chassis is not None else (),
    "port bindings by datapath and chassis",
)
PRESENT_ON = Index(PRESENCE, lambda one: (one.datapath,), "hosts by datapath")
BINDING_OF_SWITCH = Index(
    sb.DatapathBinding,
    lambda row: (row.external_ids["logical-switch"],) if "logical-switch" in row.external_ids else (),
    "datapath bindings by switch",
)


@rule(over=BOUND_TO, writes=(PRESENCE,))
def presence(q: Reader, where: tuple[Uuid, Uuid]) -> Iterator[Emit]:
    """A host is present on a datapath with its first port there."""
    one = Present(*where)
    yield PRESENCE(one, one)


@rule(over=nb.HAChassisGroup, writes=(GROUPS, MEMBERS))
def used_group(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A group that the northbound has, if it is used."""
    ports = q.find(PORTS_IN, key)
    if not ports and not q.find(EXTERNALS_IN, key):
        return
    group = q.row(nb.HAChassisGroup, key)
    found = [q.row(nb.HAChassis, one) for one in group.ha_chassis]
    yield from _group(q, group.name, {one.chassis_name: one.priority for one in found}, ports)


@rule(over=LISTED, writes=(GROUPS, MEMBERS))
def group_of_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A gateway port's own list of chassis, as a group with the port's name."""
    port = q.row(nb.LogicalRouterPort, key)
    found = [q.row(nb.GatewayChassis, one) for one in port.gateway_chassis]
    yield from _group(q, port.name, {one.chassis_name: one.priority for one in found}, (key,))


def _group(q: Reader, name: str, priorities: dict[str, int], ports: tuple[Uuid, ...]) -> Iterator[Emit]:
    members = [Member(name, chassis) for chassis in sorted(priorities)]
    for member in members:
        rows: tuple[Uuid, ...] = q.find(CHASSIS_BY_NAME, member.chassis)
        ids = StrMap({"chassis-name": member.chassis, "ha-chassis-group": name})
        row = sb.HAChassis(chassis=rows[0] if rows else None, priority=priorities[member.chassis], external_ids=ids)
        yield MEMBERS(member, row)
    refs: set[Uuid] = set()
    for port in ports:
        gateway = q.get(ROUTER_PORTS, port)
        refs |= connected_hosts(q, gateway.router) if gateway is not None and gateway.gateway else set()
    row_members = tuple(ref(MEMBERS, member) for member in members)
    yield GROUPS(name, sb.HAChassisGroup(name=name, ha_chassis=row_members, ref_chassis=tuple(sorted(refs))))


def group_name(q: Reader, port: Uuid) -> str:
    """The southbound group of a distributed gateway port."""
    row = q.row(nb.LogicalRouterPort, port)
    group = q.get(nb.HAChassisGroup, row.ha_chassis_group) if row.ha_chassis_group else None
    return group.name if group is not None else row.name


def redirects_always(q: Reader, port: Uuid) -> bool:
    """Whether hosts have nothing to do at a gateway port but to send packets to its gateway, through a tunnel."""
    row = q.row(ROUTER_PORTS, port)
    return row.options.get("redirect-type", "") != "bridged" and not works_on_the_spot(q, row.router)


# --- who may send to a gateway ---------------------------------------------------------------------------------------


@query
def hosts_of(q: Reader, switch: Uuid) -> frozenset[Uuid]:
    """The chassis that have ports of a switch."""
    return frozenset(
        one.chassis for binding in q.find(BINDING_OF_SWITCH, switch) for one in q.find_rows(PRESENT_ON, binding)
    )


@query
def gateway_hosts(q: Reader, port: Uuid) -> frozenset[Uuid]:
    """The chassis that may be active for a gateway port."""
    row = q.row(nb.LogicalRouterPort, port)
    group = q.get(nb.HAChassisGroup, row.ha_chassis_group) if row.ha_chassis_group else None
    if group is not None:
        names = [q.row(nb.HAChassis, one).chassis_name for one in group.ha_chassis]
    else:
        names = [q.row(nb.GatewayChassis, one).chassis_name for one in row.gateway_chassis]
    return frozenset(chassis for name in names for chassis in q.find(CHASSIS_BY_NAME, name))


@query
def beyond_router(q: Reader, router: Uuid) -> tuple[tuple[Uuid, ...], tuple[Uuid, ...]]:
    """The switches that a router is attached to, and the routers that it is joined to."""
    switches: dict[Uuid, None] = {}
    routers: dict[Uuid, None] = {}
    for key in q.find(PORTS_OF_ROUTER, router):
        port = q.row(ROUTER_PORTS, key)
        if port.switch is not None:
            switches[port.switch] = None
        elif port.peer is not None and (peer := q.get(ROUTER_PORTS, port.peer)) is not None:
            routers[peer.router] = None
    return tuple(switches), tuple(routers)


@query
def beyond_switch(q: Reader, switch: Uuid) -> tuple[tuple[Uuid, ...], frozenset[Uuid]]:
    """The routers whose hosts come to a switch, and the hosts that come for the others: their gateways."""
    routers: dict[Uuid, None] = {}
    gateways: set[Uuid] = set()
    for key in q.find(PORTS_ON_SWITCH, switch):
        port = q.row(ROUTER_PORTS, key)
        if port.gateway and redirects_always(q, key):
            gateways |= gateway_hosts(q, key)
        else:
            routers[port.router] = None
    return tuple(routers), frozenset(gateways)


@query
def connected_hosts(q: Reader, router: Uuid) -> frozenset[Uuid]:
    """The hosts that may have packets for a router's gateways.

    What lies beyond a switch that several routers share is looked for once for all of them.
    """
    found: set[Uuid] = set()
    routers = {router: None}
    queue = [router]
    while queue:
        switches, joined = beyond_router(q, queue.pop())
        for switch in switches:
            found |= reached_by(q, switch) if is_shared(q, switch) else at_switch(q, switch)
        for other in joined:
            if other not in routers:
                routers[other] = None
                queue.append(other)
    return frozenset(found)


@query
def is_shared(q: Reader, switch: Uuid) -> bool:
    """Whether several routers meet at a switch."""
    return len({q.row(ROUTER_PORTS, key).router for key in q.find(PORTS_ON_SWITCH, switch)}) > 1


def at_switch(q: Reader, switch: Uuid) -> frozenset[Uuid]:
    """The hosts that have to do with a switch itself."""
    return hosts_of(q, switch) | beyond_switch(q, switch)[1]


@query
def reached_by(q: Reader, switch: Uuid) -> frozenset[Uuid]:
    """The hosts of a switch, and of all that is connected to it."""
    return frozenset(host for one in within_reach(q, switch) for host in at_switch(q, one))


@query
def within_reach(q: Reader, switch: Uuid) -> tuple[Uuid, ...]:
    """A switch, and all that are connected to it by way of routers."""
    switches: dict[Uuid, None] = {switch: None}
    routers: dict[Uuid, None] = {}
    queue: list[Uuid] = list(beyond_switch(q, switch)[0])
    while queue:
        router = queue.pop()
        if router in routers:
            continue
        routers[router] = None
        near, joined = beyond_router(q, router)
        queue += joined
        for other in near:
            if other not in switches:
                switches[other] = None
                queue += beyond_switch(q, other)[0]
    return tuple(switches)


# --- how the rows are recognised in the southbound ------------------------------------------------------------------


def _member_key(row: sb.HAChassis, names: Names) -> Hashable:
    ids = row.external_ids
    return Member(ids.get("ha-chassis-group", ""), ids.get("chassis-name", ""))


def _group_key(row: sb.HAChassisGroup, names: Names) -> Hashable:
    return row.name


TARGETS: tuple[Target[sb.HAChassis] | Target[sb.HAChassisGroup], ...] = (
    Target(MEMBERS, sb.HAChassis, _member_key, ("chassis", "priority", "external_ids")),
    Target(GROUPS, sb.HAChassisGroup, _group_key, ("name", "ha_chassis", "ref_chassis", "external_ids")),
)
