"""A router is a logical router, its ports are logical router ports, and its routes static routes.

Shapes as in an ML2/OVN northbound: the router is named `neutron-<router>`, a port `lrp-<port>`. Static routes have a
mark of ours besides (`ovine:router`): by themselves they do not tell whose they are.

Tests: tests/unit/plugin/test_plugin_routers.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface
from typing import NamedTuple

from ovine.engine import Emit, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import EMPTY, Map, StrMap, Uuid
from ovine.plugin.gateways import GATEWAY_CHASSIS, row_name, schedule
from ovine.plugin.inputs import Address, addresses, settings
from ovine.plugin.nat import NATS, nats_of
from ovine.plugin.networks import PHYSICAL, switch_name
from ovine.plugin.port_forwardings import balancers_at
from ovine.plugin.router_places import ROUTER_PORTS, ROUTERS_OF_PORT, gateways_of, lrp_name, place, router_name
from ovine.projection import ref

MAC_BINDING_AGE = "300"
"""Seconds after which a learned neighbour that nobody uses is forgotten."""
METADATA_ROUTE = "MEDIUM-fe80::a9fe:a9fe/128"
"""The route to the metadata service that hosts get by router advertisements."""
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
OWNER = "ovine:router"
"""The mark of a static route: its router."""


class RouteKey(NamedTuple):
    """A static route; `subnet` is that of the gateway whose default route it is, "" for an extra route."""

    router: Uuid
    prefix: str
    nexthop: str
    subnet: str


class BfdKey(NamedTuple):
    """A BFD session from a router port to a next hop."""

    logical_port: str
    dst_ip: str


ROUTERS: Relation[Uuid, nb.LogicalRouter] = Relation("Logical_Router")
ROUTES: Relation[RouteKey, nb.LogicalRouterStaticRoute] = Relation("Logical_Router_Static_Route")
BFD: Relation[BfdKey, nb.BFD] = Relation("BFD")


@rule(over=cloud.Router, writes=(ROUTERS,))
def router(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A logical router for each router."""
    row = q.row(cloud.Router, key)
    hints = row.availability_zone_hints
    ports = (*gateways_of(q, key), *row.interfaces)
    yield ROUTERS(
        key,
        nb.LogicalRouter(
            name=router_name(key),
            enabled=row.admin_state_up,
            ports=tuple(sorted(ref(ROUTER_PORTS, port) for port in ports)),
            static_routes=tuple(sorted(ref(ROUTES, route) for route in routes_of(q, key))),
            nat=tuple(sorted(ref(NATS, nat) for nat in nats_of(q, key))),
            load_balancer=balancers_at(q, key),
            options=Map(
                {
                    "always_learn_from_arp_request": "false",
                    "dynamic_neigh_routers": "true",
                    "mac_binding_age_threshold": MAC_BINDING_AGE,
                }
            ),
            external_ids=Map(
                {
                    "neutron:availability_zone_hints": ",".join(hints[position] for position in sorted(hints)),
                    "neutron:revision_number": str(row.revision_number),
                    "neutron:router_name": row.name,
                }
            ),
        ),
    )


# --- ports ------------------------------------------------------------------------------------------------------------


@rule(over=ROUTERS_OF_PORT, writes=(ROUTER_PORTS,))
def router_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A logical router port for each port of a router that has an address."""
    port, where, fixed = q.get(cloud.Port, key), place(q, key), addresses(q, key)
    if port is None or where is None or not fixed:
        return
    chassis = schedule(q, key) if where.is_gateway else ()
    subnets = dict.fromkeys(address.subnet for address in fixed)
    yield ROUTER_PORTS(
        key,
        nb.LogicalRouterPort(
            name=lrp_name(key),
            mac=port.mac_address,
            networks=tuple(sorted(_network(q, address) for address in fixed)),
            gateway_chassis=tuple(sorted(ref(GATEWAY_CHASSIS, row_name(key, name)) for name, _ in chassis)),
            options=_options(q, port.network, where.router, is_gateway=where.is_gateway),
            ipv6_ra_configs=EMPTY if where.is_gateway else _advertised(q, port.network, tuple(subnets)),
            external_ids=Map(
                {
                    "neutron:is_ext_gw": str(where.is_gateway),
                    "neutron:network_name": switch_name(port.network),
                    "neutron:revision_number": str(port.revision_number),
                    "neutron:router_name": router_name(where.router),
                    "neutron:subnet_ids": " ".join(subnets),
                }
            ),
        ),
    )


def _network(q: Reader, address: Address) -> str:
    _, _, length = q.row(cloud.Subnet, address.subnet).cidr.partition("/")
    return f"{address.ip}/{length}"


def _options(q: Reader, network: Uuid, router: Uuid, *, is_gateway: bool) -> StrMap:
    options = {}
    if is_gateway:
        options["gateway_mtu"] = str(least_mtu(q, router))
    if q.row(cloud.Network, network).network_type in PHYSICAL:
        # Its traffic must not leave from any host under the router's MAC, unless floating IPs make each host do so.
        options["reside-on-redirect-chassis"] = "false" if settings(q).distributed_floating_ips else "true"
    return Map(options)


@query
def least_mtu(q: Reader, router: Uuid) -> int:
    """The least MTU of the networks that a router joins, in bytes: what is longer is told to be so at its gateway."""
    ports = (q.get(cloud.Port, port) for port in (*gateways_of(q, router), *q.row(cloud.Router, router).interfaces))
    networks = {port.network for port in ports if port is not None}
    return min(q.row(cloud.Network, network).mtu for network in networks)


def _advertised(q: Reader, network: Uuid, subnets: tuple[Uuid, ...]) -> StrMap:
    """What the router advertises to the hosts of a network: the first IPv6 subnet that says how they get addresses."""
    for key in subnets:
        subnet = q.row(cloud.Subnet, key)
        if subnet.ip_version != 6 or not subnet.ipv6_address_mode:
            continue
        configs = {
            "address_mode": subnet.ipv6_address_mode.replace("-", "_"),
            "mtu": str(q.row(cloud.Network, network).mtu),
            "route_info": METADATA_ROUTE,
            "send_periodic": "true",
        }
        servers = [subnet.dns_nameservers[n] for n in sorted(subnet.dns_nameservers)]
        named = [s for s in servers if ip_address(s).version == 6 and not ip_address(s).is_unspecified]
        if named:
            configs["rdnss"] = named[0]
        return Map(configs)
    return EMPTY


# --- routes -----------------------------------------------------------------------------------------------------------


@query
def routes_of(q: Reader, router: Uuid) -> tuple[RouteKey, ...]:
    """All static routes of a router."""
    extra = (route.partition(",") for route in q.row(cloud.Router, router).routes)
    default = (RouteKey(router, hop.prefix, hop.nexthop, hop.subnet) for hop in default_hops(q, router))
    return (*default, *(RouteKey(router, prefix, nexthop, "") for prefix, _, nexthop in extra))


class Hop(NamedTuple):
    """A default route by a gateway port."""

    prefix: str
    nexthop: str
    subnet: Uuid
    port: Uuid


@query
def default_hops(q: Reader, router: Uuid) -> tuple[Hop, ...]:
    """The default routes: by the first gateway for each IP version, or by all of them if the router asks for that."""
    found: list[Hop] = []
    for port in gateways_of(q, router):
        for address in addresses(q, port):
            subnet = q.get(cloud.Subnet, address.subnet)
            if subnet is None or not subnet.gateway_ip:
                continue
            hop = Hop(DEFAULT[subnet.ip_version], subnet.gateway_ip, address.subnet, port)
            known = {(other.prefix, other.nexthop) for other in found}
            first = all(other.prefix != hop.prefix for other in found)
            if first or (q.row(cloud.Router, router).enable_default_route_ecmp and hop[:2] not in known):
                found.append(hop)
    return tuple(found)


@rule(over=cloud.Router, writes=(ROUTES, BFD))
def static_routes(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Default and extra routes, and the BFD sessions that watch the default ones."""
    row = q.row(cloud.Router, key)
    hops = {RouteKey(key, hop.prefix, hop.nexthop, hop.subnet): hop for hop in default_hops(q, key)}
    for route in routes_of(q, key):
        hop = hops.get(route)
        marks = {"neutron:is_static_route": "true", OWNER: key}
        watch = None
        if hop is not None:
            marks |= {"neutron:is_ext_gw": "true", "neutron:subnet_id": hop.subnet}
            if row.enable_default_route_bfd:
                session = BfdKey(lrp_name(hop.port), hop.nexthop)
                watch = ref(BFD, session)
                yield BFD(session, nb.BFD(logical_port=session.logical_port, dst_ip=session.dst_ip))
        yield ROUTES(
            route,
            nb.LogicalRouterStaticRoute(
                ip_prefix=route.prefix,
                nexthop=route.nexthop,
                output_port=None if hop is None else _output_port(q, hop),
                bfd=watch,
                external_ids=Map(marks),
            ),
        )


def _output_port(q: Reader, hop: Hop) -> str | None:
    """The port must be said for a next hop that is in none of its networks."""
    inside = any(ip_address(hop.nexthop) in ip_interface(_network(q, a)).network for a in addresses(q, hop.port))
    return None if inside else lrp_name(hop.port)
