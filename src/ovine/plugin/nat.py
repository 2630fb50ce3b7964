"""NAT: one SNAT rule for each gateway of a router that translates, one DNAT-and-SNAT rule for each floating IP in use.

A floating IP is *distributed* if the operator wants that and its port is up on a host: that host answers for it, with
the floating IP's own MAC. Otherwise the gateway's chassis does. SNAT rules have a mark of ours (`ovine:gateway_port`):
by themselves they do not tell whose they are.

Tests: tests/unit/plugin/test_plugin_routers.py.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin.inputs import SWITCH_PORTS_BY_NAME, addresses, settings
from ovine.plugin.router_places import ROUTER_PORTS, gateways_of, router_name
from ovine.projection import NAMESPACE, ref

GATEWAY_PORT = "ovine:gateway_port"
FLOATING_IP = "neutron:fip_id"
EVERYTHING = "0.0.0.0/0"


class NatKey(NamedTuple):
    """A NAT rule: the floating IP that it is for, or the gateway port whose address it puts in."""

    floating: str
    gateway: str


NATS: Relation[NatKey, nb.NAT] = Relation("NAT")
FLOATING_IPS_OF_ROUTER: Index[cloud.FloatingIP] = Index(
    cloud.FloatingIP, lambda floating: (floating.router,) if floating.router and floating.port else ()
)
FLOATING_IPS_OF_PORT: Index[cloud.FloatingIP] = Index(
    cloud.FloatingIP, lambda floating: (floating.port,) if floating.port else ()
)
FLOATING_PORTS: Index[cloud.FloatingIP] = Index(cloud.FloatingIP, lambda floating: (floating.floating_port,))


def new_uuid(key: NatKey) -> str:
    """A floating IP's rule has its id, as in an ML2/OVN northbound."""
    return key.floating or str(uuids.uuid5(NAMESPACE, f"NAT {key.gateway}"))


@query
def snat_address(q: Reader, port: Uuid) -> str | None:
    """The address that a gateway port lends: its first IPv4 address."""
    return next((a.ip for a in addresses(q, port) if ip_address(a.ip).version == 4), None)


@query
def nats_of(q: Reader, router: Uuid) -> tuple[NatKey, ...]:
    """All NAT rules of a router."""
    found = [NatKey(floating, "") for floating in q.find(FLOATING_IPS_OF_ROUTER, router)]
    if q.row(cloud.Router, router).enable_snat:
        found += [NatKey("", port) for port in gateways_of(q, router) if snat_address(q, port) is not None]
    return tuple(found)


@rule(over=cloud.Router, writes=(NATS,))
def snat(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Source translation to each gateway's address."""
    if not q.row(cloud.Router, key).enable_snat:
        return
    for port in gateways_of(q, key):
        address = snat_address(q, port)
        if address is not None:
            yield NATS(
                NatKey("", port),
                nb.NAT(
                    type="snat",
                    external_ip=address,
                    logical_ip=EVERYTHING,
                    gateway_port=_gateway_port(q, key, port),
                    external_ids=Map({GATEWAY_PORT: port}),
                ),
            )


@rule(over=cloud.FloatingIP, writes=(NATS,))
def floating_ip(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Both translations for a floating IP that stands for an address."""
    row = q.row(cloud.FloatingIP, key)
    inside, outside = q.get(cloud.IPAllocation, row.fixed_ip or ""), q.get(cloud.Port, row.floating_port)
    if row.router is None or row.port is None or row.gateway is None or inside is None or outside is None:
        return
    distributed = is_distributed(q, key)
    yield NATS(
        NatKey(key, ""),
        nb.NAT(
            type="dnat_and_snat",
            external_ip=row.floating_ip_address,
            external_mac=outside.mac_address if distributed else None,
            logical_ip=inside.ip_address,
            logical_port=row.port,
            gateway_port=_gateway_port(q, row.router, row.gateway),
            options=Map({"stateless": "false"}),
            external_ids=Map(
                {
                    "neutron:fip_external_mac": outside.mac_address,
                    FLOATING_IP: key,
                    "neutron:fip_network_id": row.floating_network,
                    "neutron:fip_port_id": row.port,
                    "neutron:revision_number": str(row.revision_number),
                    "neutron:router_name": router_name(row.router),
                }
            ),
        ),
    )


@query
def is_distributed(q: Reader, floating: Uuid) -> bool:
    """Whether the host of a floating IP's port answers for it."""
    row = q.row(cloud.FloatingIP, floating)
    return settings(q).distributed_floating_ips and row.port is not None and _is_up(q, row.port)


def _is_up(q: Reader, port: Uuid) -> bool:
    return any(q.row(nb.LogicalSwitchPort, found).up for found in q.find(SWITCH_PORTS_BY_NAME, port))


def _gateway_port(q: Reader, router: Uuid, port: Uuid) -> Uuid | None:
    """Which gateway a rule is for has to be said only where a router has several."""
    return ref(ROUTER_PORTS, port) if len(gateways_of(q, router)) > 1 else None
