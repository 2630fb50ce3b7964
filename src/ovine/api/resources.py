"""The three kinds of resource and their attribute maps, put together from neutron-lib's API definitions.

An attribute map says, per attribute, whether a POST or PUT may carry it, its default, its conversion and validation,
and whether lists can be filtered and sorted by it. The maps here are exactly those of the extensions that
`ovine.api.extensions` lists, so an attribute of an extension that is not offered is refused as unknown.

Neutron keeps the attributes that all resources share (description, tags, times, revision) and a few aliases in its own
tree; those are declared here.

Tests: tests/unit/api/test_api_bodies.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from neutron_lib import constants
from neutron_lib.api import attributes as lib_attributes
from neutron_lib.api import converters, validators
from neutron_lib.api.definitions import (
    allowedaddresspairs,
    external_net,
    extra_dhcp_opt,
    ip_allocation,
    l2_adjacency,
    network,
    network_mtu,
    network_mtu_writable,
    port,
    port_mac_address_regenerate,
    port_security,
    portbindings,
    provider_net,
    subnet,
    subnet_external_network,
    subnet_service_types,
)
from neutron_lib.db import constants as db_constants

from ovine.model.base import Row
from ovine.model.cloud import Network, Port, Subnet

UNSET = constants.ATTR_NOT_SPECIFIED
"""What an attribute holds that the request did not name and that has no default."""

DEFINITIONS: tuple[ModuleType, ...] = (
    network_mtu,
    network_mtu_writable,
    provider_net,
    external_net,
    port_security,
    l2_adjacency,
    portbindings,
    allowedaddresspairs,
    extra_dhcp_opt,
    ip_allocation,
    port_mac_address_regenerate,
    subnet_service_types,
    subnet_external_network,
)
"""The extensions offered that bring attributes of their own."""

_SHOWN = {"allow_post": False, "allow_put": False, "is_visible": True, "is_filter": True, "is_sort_key": True}
_STANDARD: dict[str, Any] = {
    "description": {
        "allow_post": True,
        "allow_put": True,
        "validate": {"type:string": db_constants.DESCRIPTION_FIELD_SIZE},
        "default": "",
        "is_visible": True,
        "is_filter": True,
        "is_sort_key": True,
    },
    "tags": {
        "allow_post": True,
        "allow_put": False,
        "validate": {"type:list_of_unique_strings": 255},
        "default": UNSET,
        "is_visible": True,
        "is_filter": True,
    },
    "created_at": _SHOWN,
    "updated_at": _SHOWN,
    "revision_number": _SHOWN,
}

NOT_OFFERED = {
    "security_groups": "security-group",
    "qos_policy_id": "qos",
    "dns_name": "dns-integration",
    "dns_domain": "dns-integration",
    "dns_publish_fixed_ip": "subnet-dns-publish-fixed-ip",
    "segments": "multi-provider",
    "segment_id": "segment",
    "vlan_transparent": "vlan-transparent",
    "qinq": "qinq",
    "availability_zone_hints": "network_availability_zone",
    "is_default": "auto-allocated-topology",
    "use_default_subnetpool": "default-subnetpools",
    "propagate_uplink_status": "uplink-status-propagation",
    "trusted": "port-trusted-vif",
    "mac_learning_enabled": "mac-learning",
    "numa_affinity_policy": "port-numa-affinity-policy",
    "device_profile": "port-device-profile",
    "hints": "port-hints",
    "data_plane_status": "data-plane-status",
}
"""Well-known attributes of extensions that are not offered, so that the refusal can name the extension."""


@dataclass(frozen=True)
class Resource:
    """One kind: `row` is its table, `attributes` its whole map, `not_found` and its argument the 404 error."""

    name: str
    collection: str
    row: type[Row]
    attributes: Mapping[str, Mapping[str, Any]]
    infos: Mapping[str, Any]
    """One neutron-lib AttributeInfo per attribute, so that each is converted and judged by itself."""
    whole: Any
    """The AttributeInfo of all attributes, for what concerns them together."""


def _resource(definition: ModuleType, row: type[Row]) -> Resource:
    collection = definition.COLLECTION_NAME
    merged: dict[str, Any] = dict(definition.RESOURCE_ATTRIBUTE_MAP[collection])
    for extension in DEFINITIONS:
        merged |= extension.RESOURCE_ATTRIBUTE_MAP.get(collection, {})
    merged |= _STANDARD
    merged["project_id"] = merged["tenant_id"]
    infos = {name: lib_attributes.AttributeInfo({name: spec}) for name, spec in merged.items()}
    return Resource(definition.RESOURCE_NAME, collection, row, merged, infos, lib_attributes.AttributeInfo(merged))


NETWORK = _resource(network, Network)
SUBNET = _resource(subnet, Subnet)
PORT = _resource(port, Port)
RESOURCES: Mapping[str, Resource] = {r.collection: r for r in (NETWORK, SUBNET, PORT)}

MAX_TAG = 255
"""The longest tag, in characters."""

is_set = validators.is_attr_set
"""Whether a parsed attribute holds a value: neither absent nor null."""

canonical_cidr = converters.convert_cidr_to_canonical_format
