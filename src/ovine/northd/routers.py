"""Logical routers: what the features need to know of them (`Router`). A disabled one is not there at all.

A *gateway router* (options:chassis) is on one chassis as a whole. All others are distributed: each host does the
routing of its own ports. What must be done in one place is then done where a *gateway port* of the router is (see
`ovine.northd.router_ports`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.datapaths import ENABLED_ROUTERS
from ovine.northd.inputs import ROUTER_OF_PORT


@dataclass(frozen=True)
class Router:
    """A logical router that is enabled."""

    key: Uuid
    """The northbound row."""
    name: str
    chassis: str
    """The chassis of a gateway router, "" for a distributed one."""
    always_learns: bool
    """Whoever sends an ARP request is learned, even if it is for somebody else."""
    dynamic_neighbours: bool
    """It asks for the addresses of other routers, instead of knowing them."""


ROUTERS: Relation[Uuid, Router] = Relation("routers")
"""By the northbound router's uuid."""


@rule(over=ENABLED_ROUTERS, writes=(ROUTERS,))
def router(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reads a router's options."""
    row = q.row(nb.LogicalRouter, key)
    made = Router(
        key=key,
        name=row.name,
        chassis=row.options.get("chassis", ""),
        always_learns=row.options.get("always_learn_from_arp_request", "").lower() != "false",
        dynamic_neighbours=row.options.get("dynamic_neigh_routers", "").lower() == "true",
    )
    yield ROUTERS(key, made)


def router_of(q: Reader, port: Uuid) -> Uuid | None:
    """The router, enabled or not, that has this port. Raises ValueError if several have it."""
    routers: tuple[Uuid, ...] = q.find(ROUTER_OF_PORT, port)
    if len(routers) > 1:
        raise ValueError(f"the port is in {len(routers)} routers: {', '.join(routers)}")
    return routers[0] if routers else None
