"""Subnets: planning of create, update and delete.

A change to the set of a network's subnets bumps the network's revision, on which every plan that assigns addresses
relies: so no port misses a new subnet's automatic address, and no two overlapping subnets are made at once.

Tests: tests/api/test_api_subnets.py.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence
from typing import Any

from neutron_lib import exceptions as n_exc

from ovine.api import addressing, ipam, subnet_allocation
from ovine.api.addressing import Net, Pool
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import invalid_input
from ovine.api.metadata import AUTO_OWNERS, is_metadata_port, serve, withdraw
from ovine.api.networks import MIN_MTU, visible
from ovine.api.policy import Judge, Target, target_of
from ovine.api.resources import SUBNET, UNSET, is_set
from ovine.api.views import positioned
from ovine.model.cloud import Network, Subnet

_PLAIN = ("name", "description", "enable_dhcp")


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> Subnet:
    """A new subnet; ports of the network get their addresses in it where that is automatic."""
    network = visible(draft, judge, parsed["network_id"])
    target = Target(parsed["project_id"], network.project_id, network.shared, network.external)
    judge.require_create(SUBNET, given, parsed, target)
    _check_range(parsed)
    pool = subnet_allocation.pool_of(draft, judge, parsed)
    net = _cidr(parsed) if pool is None else subnet_allocation.allocate(draft, pool, parsed)
    subnet_allocation.check_affinity(draft, network, pool, net.version)
    _check_modes(parsed, net)
    _check_host_range(parsed, net)
    _check_overlap(draft, network, net)
    if network.mtu < MIN_MTU[net.version]:
        raise n_exc.NetworkMTUSubnetConflict(net_id=network.uuid, mtu=MIN_MTU[net.version])
    gateway = addressing.default_gateway(net) if parsed["gateway_ip"] is UNSET else _gateway(parsed["gateway_ip"], net)
    if parsed["allocation_pools"] is UNSET:
        pools = addressing.default_pools(net, gateway)
    else:
        pools = _pools(parsed["allocation_pools"], net, gateway)
    subnet = draft.insert_resource(
        Subnet(
            network=network.uuid,
            project_id=parsed["project_id"],
            ip_version=net.version,
            cidr=str(net),
            subnet_pool=pool.uuid if pool is not None else None,
            gateway_ip=gateway,
            allocation_pools=_pool_texts(net, pools),
            ipv6_ra_mode=parsed["ipv6_ra_mode"] if is_set(parsed["ipv6_ra_mode"]) else None,
            ipv6_address_mode=parsed["ipv6_address_mode"] if is_set(parsed["ipv6_address_mode"]) else None,
            tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
            **_lists(env, "", net.version, {k: v for k, v in parsed.items() if v is not UNSET}),
            **{name: parsed[name] for name in _PLAIN},
        ),
        revision=0,
    )
    network = draft.touch(network)
    _give_addresses(draft, env, network, subnet)
    return subnet


def _give_addresses(draft: Draft, env: Env, network: Network, subnet: Subnet) -> None:
    if not subnet.enable_dhcp:
        return
    serve(draft, env, network, subnet)
    if not ipam.is_automatic(subnet):
        return
    draft.guard_ports(network.uuid)
    for port in list(draft.ports_of(network.uuid)):
        if port.device_owner in ipam.ROUTER_OWNERS or is_metadata_port(port):
            continue
        held = draft.addresses_of(port)
        claim = ipam.Claim(network, port.mac_address, port.device_owner, held)
        kept = [ipam.Address(row.subnet, row.ip_address) for row in held]
        addresses = [*kept, ipam.automatic(draft, claim, subnet)]
        draft.update(port, fixed_ips=ipam.store(draft, addresses, held))


def update(draft: Draft, env: Env, judge: Judge, subnet: Subnet, parsed: dict[str, Any]) -> None:
    """Changes a subnet. Addresses in use keep being so, whatever the pools become."""
    judge.require_update(SUBNET, parsed, target_of(draft, subnet))
    net = addressing.network_of(subnet.cidr)
    columns: dict[str, Any] = {name: parsed[name] for name in _PLAIN if name in parsed}
    columns |= _lists(env, subnet.uuid, net.version, parsed)
    gateway = _gateway(parsed["gateway_ip"], net) if "gateway_ip" in parsed else subnet.gateway_ip
    if gateway != subnet.gateway_ip:
        _check_gateway_free(draft, subnet)
        columns["gateway_ip"] = gateway
    if "allocation_pools" in parsed:
        columns["allocation_pools"] = _pool_texts(net, _pools(parsed["allocation_pools"], net, gateway))
    elif "gateway_ip" in columns:
        _check_gateway_outside(net, gateway, addressing.parse_pools(subnet.allocation_pools))
    if columns.get("enable_dhcp") is False and (subnet.ipv6_ra_mode or subnet.ipv6_address_mode):
        raise invalid_input("Cannot disable enable_dhcp with ipv6 attributes set")
    changed = draft.update(subnet, **columns)
    if changed.enable_dhcp != subnet.enable_dhcp:
        _serve_or_not(draft, env, changed)


def _serve_or_not(draft: Draft, env: Env, subnet: Subnet) -> None:
    network = draft.get(Network, subnet.network)
    if network is None:
        return
    if subnet.enable_dhcp:
        serve(draft, env, network, subnet)
        return
    for port in list(draft.ports_of(network.uuid)):
        if is_metadata_port(port):
            withdraw(draft, port, subnet)


def delete(draft: Draft, env: Env, judge: Judge, subnet: Subnet) -> None:
    """Deletes a subnet in which no address was asked for by anybody."""
    judge.require("delete_subnet", target_of(draft, subnet))
    for port in list(draft.ports_of(subnet.network)):
        if all(row.subnet != subnet.uuid for row in draft.addresses_of(port)):
            continue
        automatic = ipam.is_automatic(subnet) and port.device_owner not in ipam.ROUTER_OWNERS
        if port.device_owner not in AUTO_OWNERS and not automatic:
            raise n_exc.SubnetInUse(subnet_id=subnet.uuid)
        withdraw(draft, port, subnet)
    network = draft.get(Network, subnet.network)
    if network is not None:
        draft.touch(network)
    draft.delete(subnet)


# --- what a subnet may be ---------------------------------------------------------------------------------------------


def _check_range(parsed: dict[str, Any]) -> None:
    """A request says what range it wants, or how long its prefix is to be, or neither."""
    if is_set(parsed["cidr"]) and is_set(parsed["prefixlen"]):
        raise n_exc.BadRequest(resource="subnets", msg="cidr and prefixlen must not be supplied together")


def _cidr(parsed: dict[str, Any]) -> Net:
    if not is_set(parsed["cidr"]):
        raise n_exc.BadRequest(resource="subnets", msg="a subnetpool must be specified in the absence of a cidr")
    net = addressing.network_of(parsed["cidr"])
    _check_version(net.version, parsed["ip_version"], "cidr", parsed["cidr"])
    if net.prefixlen == 0:
        raise invalid_input("0 is not allowed as CIDR prefix length")
    return net


def _check_version(found: int, wanted: int, name: str, value: str) -> None:
    if found != wanted:
        raise invalid_input(f"{name} '{value}' does not match the ip_version '{wanted}'")


def _check_host_range(parsed: dict[str, Any], net: Net) -> None:
    if not parsed["enable_dhcp"]:
        return
    if net.num_addresses < 4:
        raise invalid_input("Subnet has a prefix length that is incompatible with DHCP service enabled")
    if net.is_multicast:
        raise invalid_input("Multicast IP subnet is not supported if enable_dhcp is True")
    if net.is_loopback:
        raise invalid_input("Loopback IP subnet is not supported if enable_dhcp is True")


def _check_modes(parsed: dict[str, Any], net: Net) -> None:
    ra, address = (parsed[name] if is_set(parsed[name]) else None for name in ("ipv6_ra_mode", "ipv6_address_mode"))
    if not ra and not address:
        return
    if net.version == 4:
        raise invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when ip_version is set to 4")
    if not parsed["enable_dhcp"]:
        raise invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if ra and address and ra != address:
        raise invalid_input(
            f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. "
            "If both attributes are set, they must be the same value"
        )
    if (address or ra) in addressing.AUTO_MODES and net.prefixlen != 64:
        raise invalid_input(
            f"Invalid CIDR {net} for IPv6 address mode. OpenStack uses the EUI-64 address format, "
            "which requires the prefix to be /64"
        )


def _check_overlap(draft: Draft, network: Network, net: Net) -> None:
    for other in draft.subnets_of(network.uuid):
        there = addressing.network_of(other.cidr)
        if there.version == net.version and there.overlaps(net):
            raise invalid_input(
                f"Requested subnet with cidr: {net} for network: {network.uuid} overlaps with another subnet"
            )


def _gateway(gateway: str | None, net: Net) -> str | None:
    """A gateway asked for, in canonical form. One outside the subnet is allowed, as in Neutron."""
    if gateway is None:
        return None
    address = ipaddress.ip_address(gateway)
    _check_version(address.version, net.version, "gateway_ip", gateway)
    low, high = addressing.usable(net)
    if net.version == 4 and address in net and not low <= int(address) <= high:
        raise invalid_input("Gateway is not valid on subnet")
    return str(address)


def _check_gateway_outside(net: Net, gateway: str | None, pools: Sequence[Pool]) -> None:
    if gateway is None:
        return
    number = addressing.number_of(gateway)
    for pool in pools:
        if pool[0] <= number <= pool[1]:
            raise n_exc.GatewayConflictWithAllocationPools(
                pool=addressing.pool_text(net.version, pool), ip_address=gateway
            )


def _check_gateway_free(draft: Draft, subnet: Subnet) -> None:
    """A gateway address that a router holds must not be taken from under it."""
    holder = draft.allocation(subnet.uuid, subnet.gateway_ip) if subnet.gateway_ip else None
    if holder is None:
        return
    for port in draft.ports_of(subnet.network):
        if holder.uuid in port.fixed_ips and port.device_owner in ipam.ROUTER_OWNERS:
            raise n_exc.GatewayIpInUse(ip_address=subnet.gateway_ip, port_id=port.uuid)


def _pools(asked: Sequence[dict[str, str]], net: Net, gateway: str | None) -> list[Pool]:
    found: list[Pool] = []
    low, high = addressing.usable(net)
    for item in asked:
        shown = f"{item['start']}-{item['end']}"
        start, end = ipaddress.ip_address(item["start"]), ipaddress.ip_address(item["end"])
        if start.version != net.version or end.version != net.version or int(start) > int(end):
            raise n_exc.InvalidAllocationPool(pool=shown)
        if int(start) < low or int(end) > high:
            raise n_exc.OutOfBoundsAllocationPool(pool=shown, subnet_cidr=str(net))
        found.append((int(start), int(end)))
    found.sort()
    for one, other in itertools.pairwise(found):
        if one[1] >= other[0]:
            texts = [addressing.pool_text(net.version, pool) for pool in (one, other)]
            raise n_exc.OverlappingAllocationPools(pool_1=texts[0], pool_2=texts[1], subnet_cidr=str(net))
    _check_gateway_outside(net, gateway, found)
    return found


def _pool_texts(net: Net, pools: Sequence[Pool]) -> tuple[str, ...]:
    return tuple(sorted(addressing.pool_text(net.version, pool) for pool in pools))


def _lists(env: Env, subnet_id: str, version: int, parsed: dict[str, Any]) -> dict[str, Any]:
    """The columns of the attributes that are lists."""
    columns: dict[str, Any] = {}
    if "dns_nameservers" in parsed:
        servers = parsed["dns_nameservers"]
        if len(servers) > env.config.max_dns_nameservers:
            raise n_exc.DNSNameServersExhausted(
                subnet_id=subnet_id or "new subnet", quota=env.config.max_dns_nameservers
            )
        columns["dns_nameservers"] = positioned([addressing.canonical(server) for server in servers])
    if "host_routes" in parsed:
        routes = parsed["host_routes"]
        if len(routes) > env.config.max_host_routes:
            raise n_exc.HostRoutesExhausted(subnet_id=subnet_id or "new subnet", quota=env.config.max_host_routes)
        columns["host_routes"] = tuple(sorted({_route(version, route) for route in routes}))
    if "service_types" in parsed:
        columns["service_types"] = tuple(sorted(set(parsed["service_types"] or ())))
    return columns


def _route(version: int, route: dict[str, str]) -> str:
    destination, nexthop = addressing.network_of(route["destination"]), ipaddress.ip_address(route["nexthop"])
    _check_version(destination.version, version, "destination", route["destination"])
    _check_version(nexthop.version, version, "nexthop", route["nexthop"])
    return f"{destination},{nexthop}"
