"""A router's ports: which they are, what may join them, and gateway ports made, changed and given up.

A router has *interfaces* in networks of tenants and *gateways* on external networks. Both are ports that the router
refers to; nothing else makes a port a router's. Whatever changes them changes the router's revision, so that two
requests never build on the same state.

Tests: tests/api/test_api_routers.py, tests/api/test_api_router_gateways.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.exceptions import extraroute as route_exc
from neutron_lib.exceptions import l3 as l3_exc

from ovine.api import ipam
from ovine.api.addressing import network_of
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.metadata import unused_mac
from ovine.api.networks import visible
from ovine.api.policy import Judge
from ovine.api.resources import UNSET
from ovine.model.base import Map, Uuid
from ovine.model.cloud import FloatingIP, IPAllocation, Network, Port, Router, Subnet

INTERFACE = constants.DEVICE_OWNER_ROUTER_INTF
GATEWAY = constants.DEVICE_OWNER_ROUTER_GW
FLOATING = constants.DEVICE_OWNER_FLOATINGIP


class Gateway(NamedTuple):
    """What a request says about a gateway. `fixed_ips` is UNSET if it leaves the choice."""

    network: Network
    fixed_ips: Any = UNSET


def bad(message: str) -> Exception:
    """Neutron's error for what a router can't do; the message must end without a full stop."""
    error: Exception = n_exc.BadRequest(resource="router", msg=message)
    return error


# --- looking ----------------------------------------------------------------------------------------------------------


def gateways(draft: Draft, router: Router) -> list[Port]:
    """In order; the first is `external_gateway_info`."""
    return list(_ports(draft, (router.gateways[position] for position in sorted(router.gateways))))


def interfaces(draft: Draft, router: Router) -> list[Port]:
    return list(_ports(draft, router.interfaces))


def _ports(draft: Draft, uuids: Iterable[Uuid]) -> Iterator[Port]:
    return (port for uuid in uuids if (port := draft.get(Port, uuid)) is not None)


def router_of(draft: Draft, port: Port) -> Router | None:
    """The router that has this port."""
    if port.device_owner not in (INTERFACE, GATEWAY):
        return None
    router = draft.get(Router, port.device_id)
    if router is None or port.uuid not in (*router.interfaces, *router.gateways.values()):
        return None
    return router


def subnets_of(draft: Draft, ports: Iterable[Port]) -> list[Subnet]:
    """The subnets in which ports have addresses, each once."""
    found = {address.subnet: None for port in ports for address in draft.addresses_of(port)}
    return [subnet for uuid in found if (subnet := draft.get(Subnet, uuid)) is not None]


def check_apart(draft: Draft, router: Router, joining: Sequence[Subnet], besides: Iterable[Port] = ()) -> None:
    """Subnets that join a router must not be there, nor overlap with others; `besides` are ports not to look at."""
    ignored = {port.uuid for port in besides}
    ports = [p for p in (*gateways(draft, router), *interfaces(draft, router)) if p.uuid not in ignored]
    present = subnets_of(draft, ports)
    for number, subnet in enumerate(joining):
        for other in (*present, *joining[:number]):
            if other.uuid == subnet.uuid:
                raise bad(f"Router already has a port on subnet {subnet.uuid}")
            one, two = network_of(subnet.cidr), network_of(other.cidr)
            if one.version == two.version and one.overlaps(two):
                raise bad(
                    f"Cidr {subnet.cidr} of subnet {subnet.uuid} overlaps with cidr {other.cidr} of subnet {other.uuid}"
                )


def check_no_routes(draft: Draft, router: Router, leaving: Iterable[Subnet]) -> None:
    """A subnet in which an extra route's next hop is stays. Raises RouterInterfaceInUseByRoute."""
    hops = [ipaddress.ip_address(route.partition(",")[2]) for route in router.routes]
    for subnet in leaving:
        if any(hop in network_of(subnet.cidr) for hop in hops):
            raise route_exc.RouterInterfaceInUseByRoute(router_id=router.uuid, subnet_id=subnet.uuid)


# --- gateways ---------------------------------------------------------------------------------------------------------


def asked(draft: Draft, judge: Judge, info: dict[str, Any]) -> Gateway:
    """What an `external_gateway_info` asks for. Raises NetworkNotFound and BadRequest."""
    network = visible(draft, judge, info["network_id"])
    if not network.external:
        raise bad(f"Network {network.uuid} is not an external network")
    fixed = info.get("external_fixed_ips")
    return Gateway(network, fixed or UNSET)


def add_gateway(draft: Draft, env: Env, router: Router, wanted: Gateway, position: int) -> Router:
    """A new gateway port at a position."""
    mac = unused_mac(draft, env, wanted.network)
    claim = ipam.Claim(wanted.network, mac, GATEWAY)
    port = draft.insert_resource(
        Port(
            network=wanted.network.uuid,
            mac_address=mac,
            device_id=router.uuid,
            device_owner=GATEWAY,
            port_security_enabled=False,
            fixed_ips=ipam.store(draft, _addresses(draft, env, claim, wanted.fixed_ips)),
        ),
        revision=1,
    )
    check_apart(draft, router, subnets_of(draft, [port]))
    return draft.update(router, gateways=Map({**router.gateways, position: port.uuid}))


def _addresses(draft: Draft, env: Env, claim: ipam.Claim, fixed: Any) -> list[ipam.Address]:
    """Those asked for; the port of a network without subnets has none."""
    draft.rely(claim.network)
    return ipam.assign(draft, env, claim, fixed) if draft.subnets_of(claim.network.uuid) else []


def change_gateway(draft: Draft, env: Env, router: Router, port: Port, wanted: Gateway) -> Router:
    """Gives a gateway port, which stays on its network, the addresses asked for."""
    if wanted.fixed_ips is UNSET:
        return router
    held = draft.addresses_of(port)
    claim = ipam.Claim(wanted.network, port.mac_address, GATEWAY, held)
    leaving = {row.subnet for row in held}
    port = draft.update(port, fixed_ips=ipam.store(draft, _addresses(draft, env, claim, wanted.fixed_ips), held))
    kept = subnets_of(draft, [port])
    check_apart(draft, router, kept, besides=[port])
    gone = (draft.get(Subnet, uuid) for uuid in leaving - {subnet.uuid for subnet in kept})
    check_no_routes(draft, router, [subnet for subnet in gone if subnet is not None])
    return draft.touch(router)


def drop_gateway(draft: Draft, router: Router, port: Port) -> Router:
    """Gives a gateway up; those after it move up. Raises RouterExternalGatewayInUseByFloatingIp."""
    users = draft.find(FloatingIP, "router", router.uuid)
    if any(floating.gateway == port.uuid for floating in users):
        raise l3_exc.RouterExternalGatewayInUseByFloatingIp(router_id=router.uuid, net_id=port.network)
    check_no_routes(draft, router, subnets_of(draft, [port]))
    left = [router.gateways[p] for p in sorted(router.gateways) if router.gateways[p] != port.uuid]
    changed = draft.update(router, gateways=Map(enumerate(left)))
    draft.delete(port)
    return changed


def allocation_in(draft: Draft, port: Port, subnet: Uuid) -> IPAllocation | None:
    """A port's address in a subnet."""
    return next((row for row in draft.addresses_of(port) if row.subnet == subnet), None)
