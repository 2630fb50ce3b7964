"""The plugin: Cloud → Northbound, and port status back up.

Pure rules on `ovine.engine`, one module for each family of resources; `ovine.daemons.plugin` runs them. Only rows that
are recognised as Neutron's are touched (`NORTHBOUND`), in the shapes that an ML2/OVN northbound has, so that tools
which read one read ours, and an ML2/OVN cloud's rows are taken over as they are.

Tests: tests/unit/plugin/, tests/paths/test_plugin_walk.py, tests/interop/test_plugin_daemon.py,
tests/api/test_northbound_recorded.py.
"""

from __future__ import annotations

from collections.abc import Hashable

from ovine.model import cloud, nb, sb
from ovine.model.base import Row, Uuid
from ovine.plugin import (
    agents,
    dhcp,
    dns,
    gateways,
    nat,
    networks,
    port_forwardings,
    ports,
    qos,
    routers,
    security,
    status,
)
from ovine.plugin.agents import AGENTS
from ovine.plugin.dhcp import DHCP_OPTIONS, OptionsKey
from ovine.plugin.dns import DNS
from ovine.plugin.gateways import GATEWAY_CHASSIS
from ovine.plugin.nat import FLOATING_IP, GATEWAY_PORT, NATS, NatKey
from ovine.plugin.networks import SWITCH_PORTS, SWITCHES
from ovine.plugin.port_forwardings import BALANCERS, BalancerKey
from ovine.plugin.qos import QOS, QosKey
from ovine.plugin.router_places import ROUTER_PORTS
from ovine.plugin.routers import BFD, OWNER, ROUTERS, ROUTES, BfdKey, RouteKey
from ovine.plugin.rule_match import DIRECTIONS
from ovine.plugin.security import ACLS, ADDRESS_SETS, DROP_GROUP, PORT_GROUPS, RULE_ID, drop_match
from ovine.plugin.status import FLOATING_IP_STATUS, PORT_STATUS
from ovine.projection import Names, Target

RULES = (
    dhcp.of_subnet,
    dhcp.of_port,
    dhcp.refused_options,
    dns.names_of_port,
    dns.dns,
    ports.switch_port,
    qos.qos,
    qos.floating_ip_qos,
    networks.localnet,
    networks.switch,
    security.port_groups_of_port,
    security.port_group,
    security.acl,
    security.drop_group,
    security.address_sets,
    routers.router,
    routers.router_port,
    routers.static_routes,
    nat.snat,
    nat.floating_ip,
    port_forwardings.balancers,
    gateways.gateway_chassis,
    status.port_status,
    status.floating_ip_status,
    agents.agents,
)


def _switch(row: nb.LogicalSwitch, names: Names) -> Hashable | None:
    return row.name.removeprefix("neutron-") if row.name.startswith("neutron-") else None


def _switch_port(row: nb.LogicalSwitchPort, names: Names) -> Hashable | None:
    return row.name if any(key.startswith("neutron:") for key in row.external_ids) else None


def _dhcp_options(row: nb.DHCPOptions, names: Names) -> Hashable | None:
    subnet = row.external_ids.get("subnet_id")
    return OptionsKey(subnet, row.external_ids.get("port_id", "")) if subnet else None


def _dns(row: nb.DNS, names: Names) -> Hashable | None:
    switch = row.external_ids.get(dns.OWNER, "")
    return switch.removeprefix("neutron-") if switch.startswith("neutron-") else None


def _qos(row: nb.QoS, names: Names) -> Hashable | None:
    owner = row.external_ids.get(qos.OWNER) or row.external_ids.get(FLOATING_IP)
    return QosKey(owner, row.direction) if owner else None


def _acl(row: nb.ACL, names: Names) -> Hashable | None:
    drops = {drop_match(direction): direction for direction in DIRECTIONS}
    return row.external_ids.get(RULE_ID) or drops.get(row.match)


def _port_group(row: nb.PortGroup, names: Names) -> Hashable | None:
    return row.name if row.name == DROP_GROUP or "neutron:security_group_id" in row.external_ids else None


def _address_set(row: nb.AddressSet, names: Names) -> Hashable | None:
    return row.name if "neutron:address_group_id" in row.external_ids else None


def _router(row: nb.LogicalRouter, names: Names) -> Hashable | None:
    return row.name.removeprefix("neutron-") if row.name.startswith("neutron-") else None


def _router_port(row: nb.LogicalRouterPort, names: Names) -> Hashable | None:
    marked = any(key.startswith("neutron:") for key in row.external_ids)
    return row.name.removeprefix("lrp-") if marked and row.name.startswith("lrp-") else None


def _route(row: nb.LogicalRouterStaticRoute, names: Names) -> Hashable | None:
    owner = row.external_ids.get(OWNER)
    subnet = row.external_ids.get("neutron:subnet_id", "")
    return RouteKey(Uuid(owner), row.ip_prefix, row.nexthop, subnet) if owner else None


def _nat(row: nb.NAT, names: Names) -> Hashable | None:
    floating, gateway = row.external_ids.get(FLOATING_IP, ""), row.external_ids.get(GATEWAY_PORT, "")
    return NatKey(floating, gateway) if floating or gateway else None


def _balancer(row: nb.LoadBalancer, names: Names) -> Hashable | None:
    ours = row.external_ids.get("neutron:device_owner") == port_forwardings.DEVICE_OWNER
    return BalancerKey(row.external_ids.get("neutron:fip_id", ""), row.protocol or "") if ours else None


def _gateway_chassis(row: nb.GatewayChassis, names: Names) -> Hashable | None:
    return row.name if row.name.startswith("lrp-") else None


def _bfd(row: nb.BFD, names: Names) -> Hashable | None:
    return BfdKey(row.logical_port, row.dst_ip) if row.logical_port.startswith("lrp-") else None


NORTHBOUND = (
    Target(DHCP_OPTIONS, nb.DHCPOptions, _dhcp_options, ("cidr", "options", "external_ids")),
    Target(
        SWITCH_PORTS,
        nb.LogicalSwitchPort,
        _switch_port,
        (
            "name",
            "type",
            "addresses",
            "port_security",
            "enabled",
            "parent_name",
            "tag",
            "tag_request",
            "options",
            "dhcpv4_options",
            "dhcpv6_options",
            "external_ids",
        ),
    ),
    Target(QOS, nb.QoS, _qos, ("priority", "direction", "match", "action", "bandwidth", "external_ids")),
    Target(DNS, nb.DNS, _dns, ("records", "external_ids")),
    Target(BALANCERS, nb.LoadBalancer, _balancer, ("name", "protocol", "vips", "external_ids")),
    Target(
        SWITCHES,
        nb.LogicalSwitch,
        _switch,
        ("name", "ports", "dns_records", "qos_rules", "load_balancer", "other_config", "external_ids"),
        new_uuid=lambda network: str(network),
        partial=("dns_records", "qos_rules", "load_balancer"),
    ),
    Target(ACLS, nb.ACL, _acl, ("priority", "direction", "match", "action", "external_ids")),
    Target(PORT_GROUPS, nb.PortGroup, _port_group, ("name", "ports", "acls", "external_ids")),
    Target(ADDRESS_SETS, nb.AddressSet, _address_set, ("name", "addresses", "external_ids")),
    Target(GATEWAY_CHASSIS, nb.GatewayChassis, _gateway_chassis, ("name", "chassis_name", "priority")),
    Target(
        ROUTER_PORTS,
        nb.LogicalRouterPort,
        _router_port,
        (
            "name",
            "mac",
            "networks",
            "gateway_chassis",
            "ha_chassis_group",
            "options",
            "ipv6_ra_configs",
            "external_ids",
        ),
    ),
    Target(BFD, nb.BFD, _bfd, ("logical_port", "dst_ip")),
    Target(
        ROUTES,
        nb.LogicalRouterStaticRoute,
        _route,
        ("ip_prefix", "nexthop", "output_port", "bfd", "external_ids"),
    ),
    Target(
        NATS,
        nb.NAT,
        _nat,
        (
            "type",
            "external_ip",
            "external_mac",
            "logical_ip",
            "logical_port",
            "gateway_port",
            "options",
            "external_ids",
        ),
        new_uuid=nat.new_uuid,
    ),
    Target(
        ROUTERS,
        nb.LogicalRouter,
        _router,
        ("name", "enabled", "ports", "static_routes", "nat", "load_balancer", "options", "external_ids"),
        partial=("load_balancer",),
    ),
)
"""What the plugin owns in OVN_Northbound."""

CLOUD = (
    Target(PORT_STATUS, cloud.Port, lambda row, names: row.uuid, ("status", "active_host"), update_only=True),
    Target(FLOATING_IP_STATUS, cloud.FloatingIP, lambda row, names: row.uuid, ("status",), update_only=True),
)
"""What it writes back into the Cloud database."""

AGENT_TABLES = (
    Target(
        AGENTS,
        cloud.Agent,
        lambda row, names: row.uuid,
        (
            "agent_type",
            "binary",
            "host",
            "chassis",
            "bridge_mappings",
            "availability_zones",
            "responding",
            "heartbeat_at",
            "created_at",
            "started_at",
            "removal",
        ),
        new_uuid=lambda key: str(key),
    ),
)
"""The same, but only once the southbound has been seen: before, no host is known."""

NB_INPUTS: tuple[type[Row], ...] = (nb.LogicalSwitchPort, nb.GatewayChassis, nb.NAT, nb.LoadBalancer)
"""What its rules read of the northbound: what is up, what is scheduled, what is translated."""
SB_INPUTS: tuple[type[Row], ...] = (sb.Chassis, sb.ChassisPrivate, sb.PortBinding)
"""What they read of the southbound, once `gateways.Southbound` says that it is there."""
