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
from ovine.plugin import dhcp, networks, ports, status
from ovine.plugin.dhcp import DHCP_OPTIONS, OptionsKey
from ovine.plugin.networks import SWITCH_PORTS, SWITCHES
from ovine.plugin.status import PORT_STATUS
from ovine.projection import Names, Target

RULES = (
    dhcp.of_subnet,
    dhcp.of_port,
    dhcp.refused_options,
    ports.switch_port,
    networks.localnet,
    networks.switch,
    status.port_status,
)


def _switch(row: nb.LogicalSwitch, names: Names) -> Hashable | None:
    return row.name.removeprefix("neutron-") if row.name.startswith("neutron-") else None


def _switch_port(row: nb.LogicalSwitchPort, names: Names) -> Hashable | None:
    return row.name if any(key.startswith("neutron:") for key in row.external_ids) else None


def _dhcp_options(row: nb.DHCPOptions, names: Names) -> Hashable | None:
    subnet = row.external_ids.get("subnet_id")
    return OptionsKey(subnet, row.external_ids.get("port_id", "")) if subnet else None


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
)
"""What the plugin owns in OVN_Northbound."""

CLOUD = (Target(PORT_STATUS, cloud.Port, lambda row, names: row.uuid, ("status",), update_only=True),)
"""What it writes back into the Cloud database."""
