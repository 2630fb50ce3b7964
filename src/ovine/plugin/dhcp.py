"""DHCP: one `DHCP_Options` row for a subnet that serves it, and one for each port that asks for options of its own.

The responder's MAC must be the same for as long as the subnet exists; it is derived from the subnet's id. A SLAAC
subnet needs no row: router advertisements do the work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from ovine.engine import Emit, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import EMPTY, Map, StrMap, Uuid
from ovine.model.dhcp import DISABLED, ovn_name, problem, quoted
from ovine.plugin.inputs import addresses, metadata_address, settings

METADATA = "169.254.169.254/32"


class OptionsKey(NamedTuple):
    """A DHCP_Options row: the subnet's own (port is "") or that of one port."""

    subnet: str
    port: str


DHCP_OPTIONS: Relation[OptionsKey, nb.DHCPOptions] = Relation("DHCP_Options")


@query
def subnet_options(q: Reader, key: Uuid) -> StrMap | None:
    """The options that a subnet hands out; None if it hands out none."""
    subnet = q.get(cloud.Subnet, key)
    if subnet is None or not subnet.enable_dhcp:
        return None
    if subnet.ip_version == 6:
        return _options6(q, key) if subnet.ipv6_address_mode in ("dhcpv6-stateful", "dhcpv6-stateless") else None
    return _options4(q, key)


def _options4(q: Reader, key: Uuid) -> StrMap | None:
    subnet = q.row(cloud.Subnet, key)
    network = q.row(cloud.Network, subnet.network)
    chosen = settings(q)
    metadata = metadata_address(q, key)
    server = subnet.gateway_ip or metadata
    if server is None:
        return None
    options = {
        "lease_time": str(chosen.lease_time),
        "mtu": str(network.mtu),
        "server_id": server,
        "server_mac": server_mac(q, key),
    }
    routes = [(METADATA, metadata)] if metadata else []
    routes += [(to, via) for to, _, via in (route.partition(",") for route in subnet.host_routes)]
    if subnet.gateway_ip:
        options["router"] = subnet.gateway_ip
        # A client that takes option 121 ignores option 3 (RFC 3442), so that the default route is repeated there.
        routes += [("0.0.0.0/0", subnet.gateway_ip)] if routes else []
    if routes:
        options["classless_static_route"] = _braces(f"{to},{via}" for to, via in routes)
    if servers := _name_servers(q, subnet):
        options["dns_server"] = _braces(servers)
    if chosen.domain:
        options["domain_name"] = f'"{chosen.domain}"'
    return Map(options)


def _options6(q: Reader, key: Uuid) -> StrMap:
    subnet = q.row(cloud.Subnet, key)
    options = {"server_id": server_mac(q, key)}
    if servers := _name_servers(q, subnet):
        options["dns_server"] = _braces(servers)
    if subnet.ipv6_address_mode == "dhcpv6-stateless":
        options["dhcpv6_stateless"] = "true"
    return Map(options)


def _name_servers(q: Reader, subnet: cloud.Subnet) -> tuple[str, ...]:
    """Those of the subnet's IP version; a subnet that names only 0.0.0.0 or :: (Neutron's way to say none) has none."""
    named = tuple(subnet.dns_nameservers[n] for n in sorted(subnet.dns_nameservers)) or settings(q).dns_servers
    addresses = tuple(ip_address(name) for name in named)
    return tuple(str(a) for a in addresses if a.version == subnet.ip_version and not a.is_unspecified)


def server_mac(q: Reader, subnet: Uuid) -> str:
    digest = hashlib.sha256(subnet.encode()).digest()
    return f"{settings(q).base_mac}:{digest[0]:02x}:{digest[1]:02x}:{digest[2]:02x}"


def _braces(items: Iterator[str] | tuple[str, ...]) -> str:
    return "{" + ", ".join(items) + "}"


@query
def port_options(q: Reader, key: Uuid, version: int) -> StrMap | None:
    """A port's own DHCP options of one IP version by OVN's names; None if DHCP is turned off for it."""
    port = q.row(cloud.Port, key)
    own = {}
    for name, value in port.extra_dhcp_opts.items():
        text, _, option = name.partition(":")
        if text != str(version):
            continue
        if option == DISABLED:
            if value.lower() == "true":
                return None
            continue
        ovn = ovn_name(version, option)
        if ovn is not None and problem(version, option, value) is None:
            own[ovn] = quoted(version, ovn, value)
    return Map(own)


@query
def options_of_port(q: Reader, key: Uuid, version: int) -> OptionsKey | None:
    """Which DHCP_Options row serves a port: that of the first of its subnets of this version that has one."""
    if q.row(cloud.Port, key).device_owner.startswith("network:"):
        return None
    own = port_options(q, key, version)
    if own is None:
        return None
    for address in addresses(q, key):
        subnet = q.get(cloud.Subnet, address.subnet)
        if subnet is not None and subnet.ip_version == version and subnet_options(q, address.subnet) is not None:
            return OptionsKey(address.subnet, key if own else "")
    return None


@rule(over=cloud.Subnet, writes=(DHCP_OPTIONS,))
def of_subnet(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The subnet's row."""
    options = subnet_options(q, key)
    if options is not None:
        yield _row(q, OptionsKey(key, ""), options)


@rule(over=cloud.Port, writes=(DHCP_OPTIONS,))
def of_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A row of its own for a port with extra DHCP options: its subnet's options, its own going before."""
    for version in (4, 6):
        chosen = options_of_port(q, key, version)
        if chosen is not None and chosen.port:
            shared, own = subnet_options(q, Uuid(chosen.subnet)), port_options(q, key, version)
            yield _row(q, chosen, {**(shared or EMPTY), **(own or EMPTY)})


@rule(over=cloud.Port, writes=())
def refused_options(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports what `port_options` leaves out. The API takes no such option, but others may write to the database."""
    yield from ()
    for name, value in sorted(q.row(cloud.Port, key).extra_dhcp_opts.items()):
        version, _, option = name.partition(":")
        reason = problem(int(version), option, value) if option != DISABLED else None
        if reason is not None:
            raise ValueError(f"port {key} does without a DHCP option: {reason}")


def _row(q: Reader, key: OptionsKey, options: Mapping[str, str]) -> Emit:
    subnet = q.row(cloud.Subnet, key.subnet)
    external_ids = {
        "neutron:network_id": subnet.network,
        "neutron:revision_number": str(subnet.revision_number),
        "subnet_id": key.subnet,
    }
    if key.port:
        external_ids["port_id"] = key.port
    return DHCP_OPTIONS(key, nb.DHCPOptions(cidr=subnet.cidr, options=Map(options), external_ids=Map(external_ids)))
