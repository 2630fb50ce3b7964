"""Which chassis of a group is the active one: HA_Chassis_Group rows, judged by the BFD state of our own tunnels.

Terms. The *members* of a group are in order of preference: by priority, and among equals by name, backwards, as other
controllers have it. A chassis is *live* if BFD on a tunnel to it is up, or has not said anything yet: the column is
ephemeral, and empty for a moment when the host's database server has started anew; to change the gateway for want of
news would cut traffic off. The *active* member, as this host sees it, is the first one that is live or is this host.
Each host judges for itself; with BFD on all tunnels between members they agree as soon as the tunnels have noticed. A
member without any live tunnel takes itself for cut off and is not active.

Tests: tests/unit/controller/test_controller_ha.py, tests/cases/controller/redirect.txt, tests/lab/test_lab_gateways.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller.local import bridge, chassis
from ovine.controller.tunnels import PORTS_TO_CHASSIS
from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import sb, vs
from ovine.model.base import Uuid

LIVE: Relation[str, bool] = Relation("chassis that BFD finds live")
"""By name of the chassis."""

HA_TYPES: Final = frozenset({"chassisredirect", "external"})
"""Port types that the active member of a group serves."""


def _groups(port: sb.PortBinding) -> tuple[Uuid, ...]:
    return (port.ha_chassis_group,) if port.type in HA_TYPES and port.ha_chassis_group is not None else ()


PORTS_OF_GROUP: Final = Index(sb.PortBinding, _groups, "ports by HA_Chassis_Group")


@rule(over=PORTS_TO_CHASSIS, writes=(LIVE,))
def liveness(q: Reader, name: str) -> Iterator[Emit]:
    """Chassis to which a tunnel of the integration bridge is up."""
    integration = bridge(q)
    members = q.row(vs.Bridge, integration).ports if integration is not None else ()
    for port in q.find(PORTS_TO_CHASSIS, name):
        for interface in q.row(vs.Port, port).interfaces if port in members else ():
            row = q.get(vs.Interface, interface)
            if row is not None and (row.bfd_status.get("state") == "up" or _silent(row)):
                yield LIVE(name, True)
                return


def _silent(row: vs.Interface) -> bool:
    """Whether BFD is on and its state is not known."""
    return row.bfd.get("enable") == "true" and not row.bfd_status


@query
def any_live(q: Reader) -> bool:
    """Whether any chassis at all is live."""
    return bool(q.keys(LIVE))


@query
def members(q: Reader, group: Uuid) -> tuple[Uuid, ...]:
    """The chassis of a group, the most preferred first. Those that are not there (yet) are left out."""
    row = q.get(sb.HAChassisGroup, group)
    found = []
    for uuid in row.ha_chassis if row is not None else ():
        member = q.get(sb.HAChassis, uuid)
        chosen = member.chassis if member is not None else None
        there = q.get(sb.Chassis, chosen) if chosen is not None else None
        if member is not None and chosen is not None and there is not None:
            found.append((member.priority, there.name, chosen))
    return tuple(uuid for _, _, uuid in sorted(found, reverse=True))


@query
def is_member(q: Reader, group: Uuid) -> bool:
    """Whether this chassis is in a group."""
    return chassis(q) in members(q, group)


@query
def is_active(q: Reader, group: Uuid) -> bool:
    """Whether this chassis is the active one of a group."""
    own, order = chassis(q), members(q, group)
    if own is None or own not in order:
        return False
    if len(order) == 1:
        return True
    before = (q.row(sb.Chassis, member).name for member in order[: order.index(own)])
    return any_live(q) and not any(q.get(LIVE, name) is not None for name in before)


RULES = (liveness,)
