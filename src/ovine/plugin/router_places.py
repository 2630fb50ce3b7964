"""Which port is which router's, and the names that routers and their ports have in the northbound."""

from __future__ import annotations

from typing import NamedTuple

from ovine.engine import Index, Reader, Relation, query
from ovine.model import cloud, nb
from ovine.model.base import Uuid

ROUTER_PORTS: Relation[Uuid, nb.LogicalRouterPort] = Relation("Logical_Router_Port")
"""By port."""
ROUTERS_OF_PORT: Index[cloud.Router] = Index(
    cloud.Router, lambda router: (*router.gateways.values(), *router.interfaces), "routers by port"
)


class Place(NamedTuple):
    """Where a port is: on which router, and on which side."""

    router: Uuid
    is_gateway: bool


@query
def place(q: Reader, port: Uuid) -> Place | None:
    """A port's place on a router; None if it is on none."""
    found = q.find(ROUTERS_OF_PORT, port)
    if not found:
        return None
    return Place(found[0], port in q.row(cloud.Router, found[0]).gateways.values())


@query
def gateways_of(q: Reader, router: Uuid) -> tuple[Uuid, ...]:
    """A router's gateway ports in order."""
    row = q.get(cloud.Router, router)
    return () if row is None else tuple(row.gateways[position] for position in sorted(row.gateways))


def router_name(router: Uuid) -> str:
    return f"neutron-{router}"


def lrp_name(port: Uuid) -> str:
    return f"lrp-{port}"
