"""The plugin: Cloud → Northbound, and port status back up.

Pure rules on `ovine.engine`, one module for each family of resources; `ovine.daemons.plugin` runs them. Only rows that
are recognised as Neutron's are touched (`NORTHBOUND`), in the shapes that an ML2/OVN northbound has, so that tools
which read one read ours, and an ML2/OVN cloud's rows are taken over as they are.

Tests: tests/unit/plugin/, tests/paths/test_plugin_walk.py, tests/interop/test_plugin_daemon.py,
tests/api/test_northbound_recorded.py.
"""

from __future__ import annotations

from collections.abc import Hashable

from ovine.model import cloud, nb
from ovine.plugin import dhcp, networks, ports, security, status
from ovine.plugin.dhcp import DHCP_OPTIONS, OptionsKey
from ovine.plugin.networks import SWITCH_PORTS, SWITCHES
from ovine.plugin.rule_match import DIRECTIONS
from ovine.plugin.security import ACLS, ADDRESS_SETS, DROP_GROUP, PORT_GROUPS, RULE_ID, drop_match
from ovine.plugin.status import PORT_STATUS
from ovine.projection import Names, Target

RULES = (
    dhcp.of_subnet,
    dhcp.of_port,
    dhcp.refused_options,
    ports.switch_port,
    networks.localnet,
    networks.switch,
    security.port_groups_of_port,
    security.port_group,
    security.acl,
    security.drop_group,
    security.address_sets,
    status.port_status,
)


def _switch(row: nb.LogicalSwitch, names: Names) -> Hashable | None:
    return row.name.removeprefix("neutron-") if row.name.startswith("neutron-") else None


def _switch_port(row: nb.LogicalSwitchPort, names: Names) -> Hashable | None:
    return row.name if any(key.startswith("neutron:") for key in row.external_ids) else None


def _dhcp_options(row: nb.DHCPOptions, names: Names) -> Hashable | None:
    subnet = row.external_ids.get("subnet_id")
    return OptionsKey(subnet, row.external_ids.get("port_id", "")) if subnet else None


def _acl(row: nb.ACL, names: Names) -> Hashable | None:
    drops = {drop_match(direction): direction for direction in DIRECTIONS}
    return row.external_ids.get(RULE_ID) or drops.get(row.match)


def _port_group(row: nb.PortGroup, names: Names) -> Hashable | None:
    return row.name if row.name == DROP_GROUP or "neutron:security_group_id" in row.external_ids else None


def _address_set(row: nb.AddressSet, names: Names) -> Hashable | None:
    return row.name if "neutron:address_group_id" in row.external_ids else None


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
            "tag",
            "tag_request",
            "options",
            "dhcpv4_options",
            "dhcpv6_options",
            "external_ids",
        ),
    ),
    Target(
        SWITCHES,
        nb.LogicalSwitch,
        _switch,
        ("name", "ports", "other_config", "external_ids"),
        new_uuid=lambda network: str(network),
    ),
    Target(ACLS, nb.ACL, _acl, ("priority", "direction", "match", "action", "external_ids")),
    Target(PORT_GROUPS, nb.PortGroup, _port_group, ("name", "ports", "acls", "external_ids")),
    Target(ADDRESS_SETS, nb.AddressSet, _address_set, ("name", "addresses", "external_ids")),
)
"""What the plugin owns in OVN_Northbound."""

CLOUD = (Target(PORT_STATUS, cloud.Port, lambda row, names: row.uuid, ("status",), update_only=True),)
"""What it writes back into the Cloud database."""
