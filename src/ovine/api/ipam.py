"""Addresses of ports: which subnets, which addresses, and the rows that hold them.

Rules, as in Neutron: a port without `fixed_ips` gets one IPv4 address, one IPv6 address from a subnet where hosts are
told theirs, and the EUI-64 address of every subnet where hosts form theirs (*automatic*: slaac, dhcpv6-stateless). A
port with `fixed_ips` gets those and the automatic ones. A port with an empty list gets none.

Which of two requests gets an address is decided by the unique index of IP_Allocation; see `ovine.api.store`.

Tests: tests/api/test_api_ports.py, tests/api/test_api_ipam_race.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, NamedTuple

from neutron_lib import constants
from neutron_lib import exceptions as n_exc

from ovine.api import addressing
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import (
    InvalidAddressForSubnet,
    IpAddressAlreadyAllocated,
    IpAddressGenerationFailureNoMatchingSubnet,
    invalid_input,
)
from ovine.api.resources import UNSET
from ovine.model.base import Uuid
from ovine.model.cloud import IPAllocation, Network, Subnet

ROUTER_OWNERS = frozenset(constants.ROUTER_INTERFACE_OWNERS_SNAT)


class Address(NamedTuple):
    subnet: Uuid
    ip: str


class Claim(NamedTuple):
    """Who wants addresses: a port, new or not. `held` are the addresses it has now."""

    network: Network
    mac: str
    device_owner: str
    held: Sequence[IPAllocation] = ()

    @property
    def is_router(self) -> bool:
        return self.device_owner in ROUTER_OWNERS


def is_automatic(subnet: Subnet) -> bool:
    """Whether hosts form their own addresses in it."""
    return subnet.ipv6_address_mode in addressing.AUTO_MODES


def assign(draft: Draft, env: Env, claim: Claim, asked: Any) -> list[Address]:
    """The addresses for a port that asks for `asked` (a fixed_ips list, or UNSET). Raises neutron-lib's errors."""
    draft.rely(claim.network)
    if asked is not UNSET and not asked:
        return []
    subnets = draft.subnets_of(claim.network.uuid)
    if asked is UNSET:
        found = _one_of_each_family(draft, env, claim, subnets)
    else:
        found = _asked_for(draft, env, claim, subnets, asked)
    for subnet in () if claim.is_router else subnets:
        if is_automatic(subnet) and all(address.subnet != subnet.uuid for address in found):
            found.append(automatic(draft, claim, subnet))
    return found


def one_address(draft: Draft, env: Env, claim: Claim, subnets: Sequence[Subnet], item: dict[str, Any]) -> Address:
    """A single address from some subnets: that which `item`, like one of fixed_ips, asks for; {} leaves the choice."""
    if not item:
        return _from_any(draft, env, claim, _for_owner(claim, list(subnets)), ())
    explicit = _explicit(draft, claim, subnets, item)
    return explicit or _from_any(draft, env, claim, [_subnet_for(claim, subnets, item)], ())


def store(draft: Draft, addresses: Sequence[Address], held: Sequence[IPAllocation] = ()) -> tuple[Uuid, ...]:
    """The IP_Allocation rows for these addresses, in this order; those already held are kept."""
    kept = {(row.subnet, row.ip_address): row for row in held}
    uuids = []
    for position, address in enumerate(addresses):
        row = kept.get((address.subnet, address.ip))
        if row is None:
            row = draft.insert(IPAllocation(subnet=address.subnet, ip_address=address.ip, position=position))
        elif row.position != position:
            draft.update(row, position=position)
        uuids.append(row.uuid)
    for row in held:
        if row.uuid not in uuids:
            draft.delete(row)
    return tuple(sorted(uuids))


def automatic(draft: Draft, claim: Claim, subnet: Subnet) -> Address:
    """The EUI-64 address of a port in a subnet where hosts form their own."""
    ip = addressing.eui64(addressing.network_of(subnet.cidr), claim.mac)
    _check_free(draft, claim, subnet, ip)
    return Address(subnet.uuid, ip)


def free_address(
    draft: Draft, env: Env, subnet: Subnet, taken: Sequence[Address] = (), lowest: bool = False
) -> str | None:
    """An unused address from a subnet's pools: a random one, or the lowest."""
    version = subnet.ip_version
    mine = {address.ip for address in taken if address.subnet == subnet.uuid}

    def is_taken(number: int) -> bool:
        ip = addressing.text_of(version, number)
        return ip in mine or draft.allocation(subnet.uuid, ip) is not None

    pools = addressing.parse_pools(subnet.allocation_pools)
    number = addressing.first_free(pools, is_taken) if lowest else addressing.random_free(pools, is_taken, env.chance)
    draft.rely(subnet)
    return None if number is None else addressing.text_of(version, number)


def _one_of_each_family(draft: Draft, env: Env, claim: Claim, subnets: Sequence[Subnet]) -> list[Address]:
    found: list[Address] = []
    for version in (4, 6):
        family = [s for s in subnets if s.ip_version == version and not is_automatic(s)]
        if family:
            found.append(_from_any(draft, env, claim, _for_owner(claim, family), found))
    return found


def _for_owner(claim: Claim, subnets: list[Subnet]) -> list[Subnet]:
    """Subnets for this kind of port only, if there are any; else those for every kind."""
    special = [s for s in subnets if claim.device_owner and claim.device_owner in s.service_types]
    chosen = special or [s for s in subnets if not s.service_types]
    if not chosen:
        raise IpAddressGenerationFailureNoMatchingSubnet(
            network_id=claim.network.uuid, service_type=claim.device_owner, net_id=claim.network.uuid
        )
    return chosen


def _from_any(draft: Draft, env: Env, claim: Claim, subnets: Sequence[Subnet], taken: Sequence[Address]) -> Address:
    for subnet in subnets:
        ip = free_address(draft, env, subnet, taken)
        if ip is not None:
            return Address(subnet.uuid, ip)
    raise n_exc.IpAddressGenerationFailure(net_id=claim.network.uuid)


def _asked_for(
    draft: Draft, env: Env, claim: Claim, subnets: Sequence[Subnet], asked: Sequence[dict[str, Any]]
) -> list[Address]:
    found: list[Address | None] = [_explicit(draft, claim, subnets, item) for item in asked]
    for index, item in enumerate(asked):
        if found[index] is None:
            subnet = _subnet_for(claim, subnets, item)
            taken = [address for address in found if address is not None]
            found[index] = _kept(claim, subnet, taken) or _from_any(draft, env, claim, [subnet], taken)
    return list(dict.fromkeys(address for address in found if address is not None))


def _kept(claim: Claim, subnet: Subnet, taken: Sequence[Address]) -> Address | None:
    """An address that the port holds in the subnet and that no other item of the request claims."""
    for row in claim.held:
        address = Address(row.subnet, row.ip_address)
        if row.subnet == subnet.uuid and address not in taken:
            return address
    return None


def _explicit(draft: Draft, claim: Claim, subnets: Sequence[Subnet], item: dict[str, Any]) -> Address | None:
    """The address that an item of fixed_ips names or implies; None if one is to be chosen."""
    subnet = _subnet_for(claim, subnets, item)
    automatic_here = is_automatic(subnet) and not claim.is_router
    text = item.get("ip_address")
    if text is None:
        return automatic(draft, claim, subnet) if automatic_here else None
    ip = addressing.canonical(text)
    if automatic_here and ip != addressing.eui64(addressing.network_of(subnet.cidr), claim.mac):
        raise invalid_input(
            f"IPv6 address {ip} can not be directly assigned to a port on subnet {subnet.uuid} as the subnet is "
            "configured for automatic addresses"
        )
    low, high = addressing.usable(addressing.network_of(subnet.cidr))
    if not low <= addressing.number_of(ip) <= high and ip != subnet.gateway_ip:
        raise InvalidAddressForSubnet(ip=ip, subnet_id=subnet.uuid, ip_address=ip)
    _check_free(draft, claim, subnet, ip)
    draft.rely(subnet)
    return Address(subnet.uuid, ip)


def _subnet_for(claim: Claim, subnets: Sequence[Subnet], item: dict[str, Any]) -> Subnet:
    wanted, text = item.get("subnet_id"), item.get("ip_address")
    unknown = sorted(set(item) - {"subnet_id", "ip_address"})
    if unknown:
        raise invalid_input(f"Unrecognized attribute(s) '{', '.join(unknown)}' in fixed_ips")
    if wanted is None and text is None:
        raise invalid_input("IP allocation requires subnet_id or ip_address")
    if wanted is None:
        ip = ipaddress.ip_address(str(text))
        subnet = next((s for s in subnets if ip in addressing.network_of(s.cidr)), None)
        if subnet is None:
            raise n_exc.InvalidIpForNetwork(ip_address=str(ip))
        return subnet
    subnet = next((s for s in subnets if s.uuid == wanted), None)
    if subnet is None:
        raise invalid_input(
            f"Failed to create port on network {claim.network.uuid}, because fixed_ips included invalid subnet {wanted}"
        )
    if text is not None and ipaddress.ip_address(text) not in addressing.network_of(subnet.cidr):
        raise InvalidAddressForSubnet(ip=text, subnet_id=subnet.uuid, ip_address=text)
    return subnet


def _check_free(draft: Draft, claim: Claim, subnet: Subnet, ip: str) -> None:
    holder = draft.allocation(subnet.uuid, ip)
    if holder is not None and all(row.uuid != holder.uuid for row in claim.held):
        raise IpAddressAlreadyAllocated(ip=ip, subnet_id=subnet.uuid)
