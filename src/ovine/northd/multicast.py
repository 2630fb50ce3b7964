"""Multicast groups: who gets what goes to many.

`_MC_flood` is every enabled port of a switch, `_MC_unknown` those of them that have unknown addresses. On switches with
routers and those with multicast snooping, `_MC_flood_l2` is all ports that lead to no router. Names and tunnel keys are
those that other implementations use, so that hosts under either understand each other's packets.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.flows import datapath_ref
from ovine.northd.ports import FLOODED, Flooded
from ovine.projection import Names, Target

FLOOD_GROUP, FLOOD_KEY = "_MC_flood", 32768
UNKNOWN_GROUP, UNKNOWN_KEY = "_MC_unknown", 32769
L2_GROUP, L2_KEY = "_MC_flood_l2", 32772

TUNNEL_KEYS = {FLOOD_GROUP: FLOOD_KEY, UNKNOWN_GROUP: UNKNOWN_KEY, L2_GROUP: L2_KEY}

GROUPS: Relation[tuple[Uuid, str], sb.MulticastGroup] = Relation("Multicast_Group")
"""By (switch, name)."""


def _groups(port: Flooded) -> Iterator[tuple[Uuid, str]]:
    yield port.switch, FLOOD_GROUP
    if port.unknown:
        yield port.switch, UNKNOWN_GROUP
    if not port.router:
        yield port.switch, L2_GROUP


MEMBERS_OF = Index(FLOODED, lambda port: tuple(_groups(port)), "members of multicast groups")
SNOOPS = Index(
    nb.LogicalSwitch,
    lambda row: (row.uuid,) if row.other_config.get("mcast_snoop", "").lower() == "true" else (),
    "switches with multicast snooping",
)
ROUTERS_AT = Index(FLOODED, lambda port: (port.switch,) if port.router else (), "ports to routers by switch")


@query
def has_routers(q: Reader, switch: Uuid) -> bool:
    """Whether a switch has ports to routers."""
    return bool(q.find(ROUTERS_AT, switch))


@query
def snoops(q: Reader, switch: Uuid) -> bool:
    """Whether a switch has multicast snooping."""
    return bool(q.find(SNOOPS, switch))


@query
def has_others(q: Reader, switch: Uuid) -> bool:
    """Whether a switch has ports that do not lead to routers."""
    return bool(q.find(MEMBERS_OF, (switch, L2_GROUP)))


@rule(over=MEMBERS_OF, writes=(GROUPS,))
def multicast_group(q: Reader, group: tuple[Uuid, str]) -> Iterator[Emit]:
    """A group exists for as long as it has members and is of use."""
    switch, name = group
    if name == L2_GROUP and not has_routers(q, switch) and not snoops(q, switch):
        return
    members = q.find(MEMBERS_OF, group)
    key = TUNNEL_KEYS[name]
    row = sb.MulticastGroup(datapath=datapath_ref(switch), name=name, tunnel_key=key, ports=members)
    yield GROUPS(group, row)


def _key(row: sb.MulticastGroup, names: Names) -> Hashable:
    return (names(sb.DatapathBinding, row.datapath), row.name)


TARGET = Target(GROUPS, sb.MulticastGroup, _key, ("datapath", "name", "tunnel_key", "ports"))
