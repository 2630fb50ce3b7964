"""Multicast groups: who gets what goes to many.

`_MC_flood` is every enabled port of a switch, `_MC_unknown` those of them that have unknown addresses. Names and tunnel
keys are those that other implementations use, so that hosts under either understand each other's packets.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.northd.flows import datapath_ref
from ovine.northd.ports import FLOODED
from ovine.projection import Names, Target

FLOOD_GROUP, FLOOD_KEY = "_MC_flood", 32768
UNKNOWN_GROUP, UNKNOWN_KEY = "_MC_unknown", 32769

GROUPS: Relation[tuple[Uuid, str], sb.MulticastGroup] = Relation("Multicast_Group")
"""By (switch, name)."""

MEMBERS_OF = Index(
    FLOODED,
    lambda port: (
        ((port.switch, FLOOD_GROUP), (port.switch, UNKNOWN_GROUP)) if port.unknown else ((port.switch, FLOOD_GROUP),)
    ),
    "members of multicast groups",
)


@rule(over=MEMBERS_OF, writes=(GROUPS,))
def multicast_group(q: Reader, group: tuple[Uuid, str]) -> Iterator[Emit]:
    """A group exists for as long as it has members."""
    switch, name = group
    members = q.find(MEMBERS_OF, group)
    key = FLOOD_KEY if name == FLOOD_GROUP else UNKNOWN_KEY
    row = sb.MulticastGroup(datapath=datapath_ref(switch), name=name, tunnel_key=key, ports=members)
    yield GROUPS(group, row)


def _key(row: sb.MulticastGroup, names: Names) -> Hashable:
    return (names(sb.DatapathBinding, row.datapath), row.name)


TARGET = Target(GROUPS, sb.MulticastGroup, _key, ("datapath", "name", "tunnel_key", "ports"))
