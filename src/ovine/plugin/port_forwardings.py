"""Port forwardings: one load balancer for each protocol of a floating IP, on the router and on all its networks.

Each forwarded port is a VIP with one backend. The switches have the load balancer as in an ML2/OVN northbound: that of
the floating IP's network, and those of the ports inside; and so have the router's other networks. There the router
would be too late: its load balancers are at its gateway's host, and packets from other hosts come by that only on their
way out.

Tests: tests/unit/plugin/test_plugin_port_forwardings.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin.router_places import router_name
from ovine.projection import ref

DEVICE_OWNER = "port_forwarding_plugin"


class BalancerKey(NamedTuple):
    """A load balancer: whose ports it forwards, of which protocol."""

    floating: str
    protocol: str


class Spot(NamedTuple):
    """A load balancer (by reference) on a switch or router."""

    balancer: Uuid
    where: Uuid


BALANCERS: Relation[BalancerKey, nb.LoadBalancer] = Relation("Load_Balancer")
SPOTS: Relation[Spot, Spot] = Relation("places of load balancers")
SPOTS_AT: Index[Spot] = Index(SPOTS, lambda spot: (spot.where,), "load balancers by place")
FORWARDINGS_OF: Index[cloud.PortForwarding] = Index(
    cloud.PortForwarding, lambda row: (row.floating_ip,), "port forwardings by floating IP"
)


def balancers_at(q: Reader, where: Uuid) -> tuple[Uuid, ...]:
    """References to the load balancers of a switch or router."""
    return tuple(spot.balancer for spot in q.find(SPOTS_AT, where))


@rule(over=FORWARDINGS_OF, writes=(BALANCERS, SPOTS))
def balancers(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The load balancers of a floating IP."""
    floating = q.get(cloud.FloatingIP, key)
    if floating is None or floating.router is None:
        return
    vips: dict[str, dict[str, str]] = {}
    places = {floating.router, floating.floating_network, *_inside(q, floating.router)}
    for forwarding in (q.row(cloud.PortForwarding, found) for found in q.find(FORWARDINGS_OF, key)):
        inside, port = q.get(cloud.IPAllocation, forwarding.fixed_ip), q.get(cloud.Port, forwarding.port)
        if inside is None or port is None:
            continue
        places.add(port.network)
        pairs = zip(_ports(forwarding.external_ports), _repeated(forwarding), strict=False)
        vips.setdefault(forwarding.protocol, {}).update(
            {f"{floating.floating_ip_address}:{outer}": f"{inside.ip_address}:{inner}" for outer, inner in pairs}
        )
    for protocol, found in vips.items():
        name = BalancerKey(key, protocol)
        for place in places:
            spot = Spot(ref(BALANCERS, name), place)
            yield SPOTS(spot, spot)
        yield BALANCERS(
            name,
            nb.LoadBalancer(
                name=f"pf-floatingip-{key}-{protocol}",
                protocol=protocol,
                vips=Map(found),
                external_ids=Map(
                    {
                        "neutron:device_owner": DEVICE_OWNER,
                        "neutron:fip_id": key,
                        "neutron:revision_number": str(floating.revision_number),
                        "neutron:router_name": router_name(floating.router),
                    }
                ),
            ),
        )


@query
def _inside(q: Reader, router: Uuid) -> frozenset[Uuid]:
    """The networks that a router has interfaces in."""
    row = q.get(cloud.Router, router)
    ports = (q.get(cloud.Port, port) for port in row.interfaces) if row is not None else ()
    return frozenset(port.network for port in ports if port is not None)


def _ports(text: str) -> range:
    """ "FIRST:LAST" to the ports."""
    first, _, last = text.partition(":")
    return range(int(first), int(last) + 1)


def _repeated(row: cloud.PortForwarding) -> list[int]:
    """The ports inside, one for each outside: the same for all if there is only one."""
    inner, outer = _ports(row.internal_ports), _ports(row.external_ports)
    return list(inner) if len(inner) > 1 else list(inner) * len(outer)
