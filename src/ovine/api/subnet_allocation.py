"""Allocation: which range a new subnet gets from a subnet pool.

Every allocation changes the revision of its pool, so that two that overlap can't both go in, nor more than a project's
quota. What is free is the pool's prefixes without the ranges of its subnets; of the free blocks that are large enough
the smallest is used, so that large ones stay whole.

Tests: tests/api/test_api_subnet_pools.py.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import netaddr
from neutron_lib import constants
from neutron_lib import exceptions as n_exc

from ovine.api import addressing, subnet_pools
from ovine.api.addressing import Net
from ovine.api.draft import Draft
from ovine.api.errors import SubnetAllocationError
from ovine.api.policy import Judge, not_found, target_of
from ovine.api.resources import SUBNET_POOL, is_set
from ovine.model.cloud import Network, Subnet, SubnetPool

_UNIT_BITS = {4: 0, 6: 64}
"""A pool's `default_quota` counts addresses of IPv4, and of IPv6 /64s; by IP version, how many bits that is."""


def pool_of(draft: Draft, judge: Judge, parsed: dict[str, Any]) -> SubnetPool | None:
    """The pool that a request for a subnet names, or means; None if the subnet is to be from none."""
    asked = parsed["subnetpool_id"] if is_set(parsed["subnetpool_id"]) else None
    if parsed["use_default_subnetpool"] and asked:
        raise _refused("subnetpool_id and use_default_subnetpool cannot both be specified")
    if asked == constants.IPV6_PD_POOL_ID:
        raise _refused("prefix delegation is not offered")
    if asked:
        return _visible(draft, judge, asked)
    if not parsed["use_default_subnetpool"]:
        return None
    cidr = parsed["cidr"]
    version = addressing.network_of(cidr).version if is_set(cidr) else parsed["ip_version"]
    pool = subnet_pools.default_of(draft, version)
    if pool is None or not judge.sees(SUBNET_POOL, target_of(draft, pool)):
        raise _refused(f"No default subnetpool found for IPv{version}")
    return pool


def _visible(draft: Draft, judge: Judge, uuid: str) -> SubnetPool:
    pool = draft.get(SubnetPool, uuid)
    if pool is None or not judge.sees(SUBNET_POOL, target_of(draft, pool)):
        raise not_found(SUBNET_POOL, uuid)
    return pool


def allocate(draft: Draft, pool: SubnetPool, parsed: dict[str, Any]) -> Net:
    """The range of a new subnet: the one that the request names, or one of the length that it wants."""
    if parsed["ip_version"] != pool.ip_version:
        raise _refused(f"Cannot allocate IPv{parsed['ip_version']} subnet from IPv{pool.ip_version} subnet pool")
    named = addressing.network_of(parsed["cidr"]) if is_set(parsed["cidr"]) else None
    if named is None and is_set(parsed["allocation_pools"]):
        raise _refused("allocation_pools allowed only for specific subnet requests.")
    if named is not None and named.version != pool.ip_version:
        raise _refused(f"Cannot allocate IPv{named.version} subnet from IPv{pool.ip_version} subnet pool")
    length = named.prefixlen if named is not None else _length(pool, parsed)
    _check_length(pool, length)
    _check_quota(draft, pool, parsed["project_id"], length)
    draft.touch(pool)
    free = _free(draft, pool)
    return _first(free, length) if named is None else _same(free, named)


def _length(pool: SubnetPool, parsed: dict[str, Any]) -> int:
    return int(parsed["prefixlen"]) if is_set(parsed["prefixlen"]) else pool.default_prefixlen


def _check_length(pool: SubnetPool, length: int) -> None:
    if length > pool.max_prefixlen:
        raise n_exc.MaxPrefixSubnetAllocationError(prefixlen=length, max_prefixlen=pool.max_prefixlen)
    if length < pool.min_prefixlen:
        raise n_exc.MinPrefixSubnetAllocationError(prefixlen=length, min_prefixlen=pool.min_prefixlen)


def _check_quota(draft: Draft, pool: SubnetPool, project: str, length: int) -> None:
    """A quota of 0 is none, as in Neutron."""
    if not pool.default_quota:
        return
    held = [row for row in draft.find(Subnet, "subnet_pool", pool.uuid) if row.project_id == project]
    used = sum(addressing.network_of(row.cidr).num_addresses for row in held)
    wanted = 1 << (addressing.BITS[pool.ip_version] - length)
    if used + wanted > pool.default_quota << _UNIT_BITS[pool.ip_version]:
        raise n_exc.SubnetPoolQuotaExceeded()


def _free(draft: Draft, pool: SubnetPool) -> list[netaddr.IPNetwork]:
    """The free blocks, the smallest first, and of one size those with the lowest addresses."""
    taken = netaddr.IPSet([row.cidr for row in draft.find(Subnet, "subnet_pool", pool.uuid)])
    blocks = (netaddr.IPSet(pool.prefixes) - taken).iter_cidrs()
    return sorted(blocks, key=lambda block: (-block.prefixlen, block.first))


def _first(free: list[netaddr.IPNetwork], length: int) -> Net:
    for block in free:
        if block.prefixlen <= length:
            return ipaddress.ip_network(f"{block.network}/{length}")
    raise SubnetAllocationError(reason=f"Insufficient prefix space to allocate subnet size /{length}")


def _same(free: list[netaddr.IPNetwork], named: Net) -> Net:
    if not any(netaddr.IPNetwork(str(named)) in block for block in free):
        raise SubnetAllocationError(reason="Cannot allocate requested subnet from the available set of prefixes")
    return named


def check_affinity(draft: Draft, network: Network, pool: SubnetPool | None, version: int) -> None:
    """All subnets of one IP version in a network are of the same pool, or of none."""
    wanted = pool.uuid if pool is not None else None
    if any(row.ip_version == version and row.subnet_pool != wanted for row in draft.subnets_of(network.uuid)):
        raise n_exc.NetworkSubnetPoolAffinityError()


def _refused(message: str) -> Exception:
    error: Exception = n_exc.BadRequest(resource="subnets", msg=message)
    return error
