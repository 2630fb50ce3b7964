"""Port binding: what a host can do with a port. Pure.

A port with a `binding:host_id` is bound if a chassis of that name (hostname or system-id) is registered in the
southbound database and reaches the port's network: any chassis reaches a tunnelled network, a vlan or flat one needs
the physical network among the chassis' bridge mappings. Otherwise `binding:vif_type` is `binding_failed`, at which Nova
gives the boot up.

Tests: tests/unit/api/test_api_binding.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ovine.api.config import TUNNEL_TYPES
from ovine.model.chassis import zones_of
from ovine.model.cloud import Network
from ovine.model.sb import Chassis

UNBOUND, FAILED, OVS = "unbound", "binding_failed", "ovs"

BOUND_VNIC_TYPES = frozenset({"normal"})
"""What a plain Open vSwitch host can plug."""


@dataclass(frozen=True)
class Host:
    """A chassis as binding sees it."""

    names: frozenset[str]
    physical_networks: frozenset[str]
    datapath_type: str
    zones: frozenset[str] = frozenset()
    """Its availability zones."""


def host_of(chassis: Chassis) -> Host:
    """ovn-controller(8) publishes its settings in other_config; before OVN 20.09 it was external_ids."""
    settings = {**chassis.external_ids, **chassis.other_config}
    mappings = settings.get("ovn-bridge-mappings", "")
    physical = frozenset(name.strip() for item in mappings.split(",") if (name := item.partition(":")[0]).strip())
    names = frozenset(name for name in (chassis.hostname, chassis.name) if name)
    return Host(names, physical, settings.get("datapath-type", ""), zones_of(settings.get("ovn-cms-options", "")))


def bind(
    hosts: Iterable[Host], host_id: str, network: Network, vnic_type: str, bridge: str
) -> tuple[str, dict[str, Any]]:
    """The vif_type and vif_details of a port on a host."""
    if not host_id:
        return UNBOUND, {}
    for host in hosts:
        if host_id in host.names and vnic_type in BOUND_VNIC_TYPES and _reaches(host, network):
            return OVS, {
                "port_filter": True,
                "connectivity": "l2",
                "ovs_create_tap": True,
                "bridge_name": bridge,
                "datapath_type": host.datapath_type or "system",
                "bound_drivers": {"0": "ovn"},
            }
    return FAILED, {}


def _reaches(host: Host, network: Network) -> bool:
    return network.network_type in TUNNEL_TYPES or network.physical_network in host.physical_networks
