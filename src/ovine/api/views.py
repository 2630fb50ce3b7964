"""Rows to the API's representation: all attributes, in Neutron's types. Pure.

Which attributes a caller may see is policy's business (`ovine.api.policy`). Tests: tests/unit/api/test_api_bodies.py
(the attributes are those of the maps), tests/api/test_api_recorded.py (whole replies against a recorded Neutron).
"""

from __future__ import annotations

from typing import Any

import orjson

from ovine.api.config import TUNNEL_TYPES
from ovine.model.base import Map, Row
from ovine.model.cloud import IPAllocation, Network, Port, Subnet
from ovine.ovsdb import Replica

View = dict[str, Any]


def view(replica: Replica, row: Row) -> View:
    """Any resource."""
    if isinstance(row, Network):
        return network_view(replica, row)
    if isinstance(row, Subnet):
        return subnet_view(replica, row)
    if isinstance(row, Port):
        return port_view(replica, row)
    raise TypeError(type(row))


def _standard(row: Network | Subnet | Port) -> View:
    return {
        "id": row.uuid,
        "name": row.name,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "description": row.description,
        "tags": list(row.tags),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision_number": row.revision_number,
    }


def network_view(replica: Replica, row: Network) -> View:
    return _standard(row) | {
        "admin_state_up": row.admin_state_up,
        "status": "ACTIVE",
        "shared": row.shared,
        "router:external": row.external,
        "mtu": row.mtu,
        "subnets": [subnet.uuid for subnet in replica.index(Subnet, "network").find(row.uuid)],
        "port_security_enabled": row.port_security_enabled,
        "l2_adjacency": True,
        "provider:network_type": row.network_type,
        "provider:physical_network": row.physical_network or None,
        "provider:segmentation_id": row.segmentation_id if row.network_type in (*TUNNEL_TYPES, "vlan") else None,
    }


def subnet_view(replica: Replica, row: Subnet) -> View:
    network = replica.get(Network, row.network)
    return _standard(row) | {
        "network_id": row.network,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "gateway_ip": row.gateway_ip,
        "allocation_pools": [_pool(text) for text in row.allocation_pools],
        "dns_nameservers": ordered(row.dns_nameservers),
        "host_routes": [_route(text) for text in row.host_routes],
        "enable_dhcp": row.enable_dhcp,
        "ipv6_ra_mode": row.ipv6_ra_mode,
        "ipv6_address_mode": row.ipv6_address_mode,
        "subnetpool_id": row.subnetpool_id,
        "service_types": list(row.service_types),
        "router:external": network is not None and network.external,
        "shared": network is not None and network.shared,
    }


def _pool(text: str) -> View:
    start, _, end = text.partition("-")
    return {"start": start, "end": end}


def _route(text: str) -> View:
    destination, _, nexthop = text.partition(",")
    return {"destination": destination, "nexthop": nexthop}


def ordered(values: Map[int, str]) -> list[str]:
    """A list that is stored as a map from position to value."""
    return [values[position] for position in sorted(values)]


def positioned(values: list[str]) -> Map[int, str]:
    """The reverse of `ordered`."""
    return Map(enumerate(values))


def port_view(replica: Replica, row: Port) -> View:
    addresses = [a for uuid in row.fixed_ips if (a := replica.get(IPAllocation, uuid)) is not None]
    addresses.sort(key=lambda a: (a.position, a.ip_address))
    return _standard(row) | {
        "network_id": row.network,
        "admin_state_up": row.admin_state_up,
        "mac_address": row.mac_address,
        "fixed_ips": [{"subnet_id": a.subnet, "ip_address": a.ip_address} for a in addresses],
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "status": row.status,
        "port_security_enabled": row.port_security_enabled,
        "allowed_address_pairs": [pair_view(text) for text in row.allowed_address_pairs],
        "extra_dhcp_opts": [_option(key, value) for key, value in sorted(row.extra_dhcp_opts.items())],
        "binding:host_id": row.binding_host_id,
        "binding:vnic_type": row.binding_vnic_type,
        "binding:profile": orjson.loads(row.binding_profile),
        "binding:vif_type": row.binding_vif_type,
        "binding:vif_details": orjson.loads(row.binding_vif_details),
        "ip_allocation": "immediate" if addresses else "none",
    }


def pair_view(text: str) -> View:
    """An allowed address pair, stored as "IP-OR-CIDR MAC"."""
    address, _, mac = text.partition(" ")
    return {"mac_address": mac, "ip_address": address}


def _option(key: str, value: str) -> View:
    version, _, name = key.partition(":")
    return {"opt_name": name, "opt_value": value, "ip_version": int(version)}
