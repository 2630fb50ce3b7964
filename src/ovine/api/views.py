"""Rows to the API's representation: all attributes, in Neutron's types. Pure but for the clock, which agents need.

Which attributes a caller may see is policy's business (`ovine.api.policy`). Tests: tests/unit/api/test_api_bodies.py
(the attributes are those of the maps), tests/api/test_api_recorded.py (whole replies against a recorded Neutron).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from ovine.api.addressing import network_of
from ovine.api.agents import agent_view
from ovine.api.config import TUNNEL_TYPES, Config
from ovine.api.security_definitions import DEFAULT
from ovine.model.base import Map, Row
from ovine.model.cloud import (
    AddressGroup,
    Agent,
    FloatingIP,
    IPAllocation,
    Network,
    Port,
    PortForwarding,
    QoSBandwidthLimitRule,
    QoSDSCPMarkingRule,
    QoSPolicy,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
    SubPort,
    Trunk,
)
from ovine.model.dns_names import assigned, domain_of
from ovine.ovsdb import Replica

View = dict[str, Any]
_NOT_IN_LISTS = ("description", "project_id", "tenant_id")
"""What a floating IP does not show of its port forwardings."""


def view(replica: Replica, row: Row, config: Config) -> View:
    """Any resource. Of agents it says how they are now."""
    if isinstance(row, Network):
        return network_view(replica, row)
    if isinstance(row, Subnet):
        return subnet_view(replica, row)
    if isinstance(row, Port):
        return port_view(replica, row, config.dhcp.domain)
    if isinstance(row, SecurityGroup):
        return security_group_view(replica, row)
    if isinstance(row, SecurityGroupRule):
        return security_group_rule_view(replica, row)
    if isinstance(row, AddressGroup):
        return address_group_view(row)
    if isinstance(row, Router):
        return router_view(replica, row)
    if isinstance(row, FloatingIP):
        return floating_ip_view(replica, row)
    if isinstance(row, QoSPolicy):
        return qos_policy_view(replica, row)
    if isinstance(row, QoSBandwidthLimitRule):
        return bandwidth_limit_view(row)
    if isinstance(row, QoSDSCPMarkingRule):
        return dscp_marking_view(row)
    if isinstance(row, PortForwarding):
        return port_forwarding_view(replica, row)
    if isinstance(row, Trunk):
        return trunk_view(replica, row)
    if isinstance(row, SubnetPool):
        return subnet_pool_view(row)
    if isinstance(row, Agent):
        return agent_view(replica, row, config.agent_down_time, datetime.now(UTC))
    raise TypeError(type(row))


def _standard(row: Network | Subnet | SubnetPool | Port | SecurityGroup | Router | QoSPolicy | Trunk) -> View:
    return _unnamed(row) | {"name": row.name, "tags": list(row.tags)}


def _unnamed(
    row: Network
    | Subnet
    | SubnetPool
    | Port
    | SecurityGroup
    | SecurityGroupRule
    | AddressGroup
    | Router
    | FloatingIP
    | QoSPolicy
    | Trunk,
) -> View:
    return {
        "id": row.uuid,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "description": row.description,
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
        "dns_domain": row.dns_domain,
        "qos_policy_id": row.qos_policy,
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
        "subnetpool_id": row.subnet_pool,
        "service_types": list(row.service_types),
        "router:external": network is not None and network.external,
        "shared": network is not None and network.shared,
    }


def subnet_pool_view(row: SubnetPool) -> View:
    return _standard(row) | {
        "ip_version": row.ip_version,
        "prefixes": list(row.prefixes),
        "min_prefixlen": str(row.min_prefixlen),
        "max_prefixlen": str(row.max_prefixlen),
        "default_prefixlen": str(row.default_prefixlen),
        "default_quota": row.default_quota,
        "shared": row.shared,
        "is_default": row.place != row.uuid,
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


def port_view(replica: Replica, row: Port, domain: str) -> View:
    addresses, network = _fixed_ips(replica, row), replica.get(Network, row.network)
    return (
        _standard(row)
        | _trunk_details(replica, row)
        | {
            "network_id": row.network,
            "admin_state_up": row.admin_state_up,
            "mac_address": row.mac_address,
            "fixed_ips": addresses,
            "device_id": row.device_id,
            "device_owner": row.device_owner,
            "status": row.status,
            "port_security_enabled": row.port_security_enabled,
            "security_groups": list(row.security_groups),
            "allowed_address_pairs": [pair_view(text) for text in row.allowed_address_pairs],
            "extra_dhcp_opts": [_option(key, value) for key, value in sorted(row.extra_dhcp_opts.items())],
            "binding:host_id": row.binding_host_id or row.active_host,
            "binding:vnic_type": row.binding_vnic_type,
            "binding:profile": orjson.loads(row.binding_profile),
            "binding:vif_type": row.binding_vif_type,
            "binding:vif_details": orjson.loads(row.binding_vif_details),
            "ip_allocation": "immediate" if addresses else "none",
            "dns_name": row.dns_name,
            "dns_domain": row.dns_domain,
            "qos_policy_id": row.qos_policy,
            "qos_network_policy_id": network.qos_policy if network is not None else None,
            "dns_assignment": _dns_assignment(replica, row, addresses, domain),
        }
    )


def _dns_assignment(replica: Replica, row: Port, addresses: list[View], domain: str) -> list[View]:
    network = replica.get(Network, row.network)
    chosen = domain_of(row.dns_domain, network.dns_domain if network is not None else "", domain)
    ips = [address["ip_address"] for address in addresses]
    return [assigned(row.dns_name, chosen, ip)._asdict() | {"ip_address": ip} for ip in ips]


def _fixed_ips(replica: Replica, row: Port) -> list[View]:
    addresses = [a for uuid in row.fixed_ips if (a := replica.get(IPAllocation, uuid)) is not None]
    addresses.sort(key=lambda a: (a.position, a.ip_address))
    return [{"subnet_id": a.subnet, "ip_address": a.ip_address} for a in addresses]


def pair_view(text: str) -> View:
    """An allowed address pair, stored as "IP-OR-CIDR MAC"."""
    address, _, mac = text.partition(" ")
    return {"mac_address": mac, "ip_address": address}


def _option(key: str, value: str) -> View:
    version, _, name = key.partition(":")
    return {"opt_name": name, "opt_value": value, "ip_version": int(version)}


def security_group_view(replica: Replica, row: SecurityGroup) -> View:
    rules = replica.index(SecurityGroupRule, "security_group").find(row.uuid)
    return _standard(row) | {
        "stateful": row.stateful,
        "shared": False,
        "security_group_rules": [security_group_rule_view(replica, rule) for rule in rules],
    }


def security_group_rule_view(replica: Replica, row: SecurityGroupRule) -> View:
    group = replica.get(SecurityGroup, row.security_group)
    return _unnamed(row) | {
        "tags": list(row.tags),
        "security_group_id": row.security_group,
        "direction": row.direction,
        "ethertype": row.ethertype,
        "protocol": row.protocol,
        "port_range_min": row.port_range_min,
        "port_range_max": row.port_range_max,
        "remote_ip_prefix": row.remote_ip_prefix,
        "normalized_cidr": str(network_of(row.remote_ip_prefix)) if row.remote_ip_prefix else None,
        "remote_group_id": row.remote_group,
        "remote_address_group_id": row.remote_address_group,
        "belongs_to_default_sg": group is not None and group.place == DEFAULT,
    }


def address_group_view(row: AddressGroup) -> View:
    return _unnamed(row) | {"name": row.name, "addresses": list(row.addresses)}


def router_view(replica: Replica, row: Router) -> View:
    ports = (replica.get(Port, row.gateways[position]) for position in sorted(row.gateways))
    gateways = [
        {"network_id": port.network, "external_fixed_ips": _fixed_ips(replica, port)}
        for port in ports
        if port is not None
    ]
    return _standard(row) | {
        "admin_state_up": row.admin_state_up,
        "status": "ACTIVE",
        "external_gateway_info": gateways[0] | {"enable_snat": row.enable_snat} if gateways else None,
        "external_gateways": gateways,
        "availability_zone_hints": ordered(row.availability_zone_hints),
        "availability_zones": ordered(row.availability_zone_hints),
        "enable_snat": row.enable_snat,
        "enable_default_route_bfd": row.enable_default_route_bfd,
        "enable_default_route_ecmp": row.enable_default_route_ecmp,
        "ha": True,
        "routes": [_route(text) for text in row.routes],
    }


def floating_ip_view(replica: Replica, row: FloatingIP) -> View:
    port = replica.get(Port, row.port) if row.port else None
    inside = replica.get(IPAllocation, row.fixed_ip) if row.fixed_ip else None
    network = replica.get(Network, row.floating_network)
    return _unnamed(row) | {
        "tags": list(row.tags),
        "floating_ip_address": row.floating_ip_address,
        "floating_network_id": row.floating_network,
        "router_id": row.router,
        "port_id": row.port,
        "fixed_ip_address": inside.ip_address if inside is not None else None,
        "status": row.status if row.router else "DOWN",
        "dns_name": row.dns_name,
        "dns_domain": row.dns_domain,
        "qos_policy_id": row.qos_policy,
        "qos_network_policy_id": network.qos_policy if network is not None else None,
        "port_forwardings": [
            _forwarding_of_floating_ip(replica, found)
            for found in replica.index(PortForwarding, "floating_ip").find(row.uuid)
        ],
        "port_details": _port_details(port) if port is not None else None,
    }


def _forwarding_of_floating_ip(replica: Replica, row: PortForwarding) -> View:
    """A port forwarding as its floating IP shows it: with a port, or with a range if it has more than one."""
    whole = port_forwarding_view(replica, row)
    left_out = [*_NOT_IN_LISTS]
    for one, several in (("external_port", "external_port_range"), ("internal_port", "internal_port_range")):
        left_out.append(one if whole[one] is None else several)
    return {name: value for name, value in whole.items() if name not in left_out}


def _port_details(port: Port) -> View:
    return {
        "name": port.name,
        "network_id": port.network,
        "mac_address": port.mac_address,
        "admin_state_up": port.admin_state_up,
        "status": port.status,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
    }


def qos_policy_view(replica: Replica, row: QoSPolicy) -> View:
    limits = replica.index(QoSBandwidthLimitRule, "policy").find(row.uuid)
    marks = replica.index(QoSDSCPMarkingRule, "policy").find(row.uuid)
    rules = [bandwidth_limit_view(rule) | {"type": "bandwidth_limit"} for rule in limits]
    rules += [dscp_marking_view(rule) | {"type": "dscp_marking"} for rule in marks]
    return _standard(row) | {
        "shared": row.shared,
        "is_default": row.place == "default",
        "rules": [rule | {"qos_policy_id": row.uuid} for rule in rules],
    }


def bandwidth_limit_view(row: QoSBandwidthLimitRule) -> View:
    return {
        "id": row.uuid,
        "max_kbps": row.max_kbps,
        "max_burst_kbps": row.max_burst_kbps,
        "direction": row.direction,
    }


def dscp_marking_view(row: QoSDSCPMarkingRule) -> View:
    return {"id": row.uuid, "dscp_mark": row.dscp_mark}


def port_forwarding_view(replica: Replica, row: PortForwarding) -> View:
    inside = replica.get(IPAllocation, row.fixed_ip)
    floating = replica.get(FloatingIP, row.floating_ip)
    project = floating.project_id if floating is not None else ""
    return {
        "id": row.uuid,
        "project_id": project,
        "tenant_id": project,
        "description": row.description,
        "protocol": row.protocol,
        "external_port": _single(row.external_ports),
        "external_port_range": row.external_ports,
        "internal_port": _single(row.internal_ports),
        "internal_port_range": row.internal_ports,
        "internal_port_id": row.port,
        "internal_ip_address": inside.ip_address if inside is not None else None,
    }


def _single(ports: str) -> int | None:
    """The port of a range of one."""
    first, _, last = ports.partition(":")
    return int(first) if first and first == last else None


def trunk_view(replica: Replica, row: Trunk) -> View:
    parent = replica.get(Port, row.port)
    return _standard(row) | {
        "admin_state_up": row.admin_state_up,
        "port_id": row.port,
        "status": "ACTIVE" if parent is not None and parent.status == "ACTIVE" else "DOWN",
        "sub_ports": [_sub_port(found) for found in _sub_ports(replica, row)],
    }


def _sub_ports(replica: Replica, row: Trunk) -> list[SubPort]:
    return sorted(replica.index(SubPort, "trunk").find(row.uuid), key=lambda found: found.segmentation_id)


def _sub_port(row: SubPort) -> View:
    return {"port_id": row.port, "segmentation_type": "vlan", "segmentation_id": row.segmentation_id}


def _trunk_details(replica: Replica, row: Port) -> View:
    """What only the parent of a trunk shows."""
    trunk = next(iter(replica.index(Trunk, "port").find(row.uuid)), None)
    if trunk is None:
        return {}
    found = []
    for sub in _sub_ports(replica, trunk):
        port = replica.get(Port, sub.port)
        found.append(_sub_port(sub) | {"mac_address": port.mac_address if port is not None else None})
    return {"trunk_details": {"trunk_id": trunk.uuid, "sub_ports": found}}
