"""The kinds of resource and their attribute maps, put together from neutron-lib's API definitions.

An attribute map says, per attribute, whether a POST or PUT may carry it, its default, its conversion and validation,
and whether lists can be filtered and sorted by it. The maps here are exactly those of the extensions that
`ovine.api.extensions` lists, so an attribute of an extension that is not offered is refused as unknown.

Neutron keeps the attributes that all resources share (description, tags, times, revision) and a few aliases in its own
tree; those are declared here.

Tests: tests/unit/api/test_api_bodies.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from neutron_lib import constants
from neutron_lib.api import attributes as lib_attributes
from neutron_lib.api import converters, validators
from neutron_lib.api.definitions import (
    address_group,
    agent,
    allowedaddresspairs,
    availability_zone,
    default_subnetpools,
    dns,
    dns_domain_ports,
    expose_port_forwarding_in_fip,
    external_net,
    extra_dhcp_opt,
    extraroute,
    fip_pf_description,
    fip_pf_port_range,
    fip_port_details,
    floating_ip_port_forwarding,
    ip_allocation,
    l2_adjacency,
    l3,
    l3_enable_default_route_bfd,
    l3_enable_default_route_ecmp,
    l3_ext_gw_mode,
    l3_ext_gw_multihoming,
    l3_ext_ha_mode,
    network,
    network_ip_availability,
    network_mtu,
    network_mtu_writable,
    port,
    port_mac_address_regenerate,
    port_security,
    portbindings,
    portbindings_extended,
    provider_net,
    qos,
    qos_bw_limit_direction,
    qos_default,
    qos_fip,
    qos_fip_network_policy,
    qos_port_network_policy,
    qos_rule_type_details,
    router_availability_zone,
    router_enable_snat,
    security_groups_normalized_cidr,
    security_groups_remote_address_group,
    security_groups_rules_belongs_to_default_sg,
    security_groups_shared_filtering,
    stateful_security_group,
    subnet,
    subnet_external_network,
    subnet_service_types,
    subnetpool,
    trunk,
    trunk_details,
)
from neutron_lib.db import constants as db_constants

from ovine.api import security_definitions
from ovine.model.base import Row
from ovine.model.cloud import (
    AddressGroup,
    Agent,
    FloatingIP,
    Network,
    Port,
    PortBinding,
    PortForwarding,
    QoSBandwidthLimitRule,
    QoSDSCPMarkingRule,
    QoSPolicy,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
    Trunk,
)

UNSET = constants.ATTR_NOT_SPECIFIED
"""What an attribute holds that the request did not name and that has no default."""

DEFINITIONS: tuple[ModuleType, ...] = (
    network_mtu,
    network_mtu_writable,
    default_subnetpools,
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
    security_definitions,
    stateful_security_group,
    security_groups_normalized_cidr,
    security_groups_remote_address_group,
    security_groups_rules_belongs_to_default_sg,
    security_groups_shared_filtering,
    address_group,
    l3,
    l3_ext_gw_mode,
    l3_ext_gw_multihoming,
    l3_ext_ha_mode,
    l3_enable_default_route_bfd,
    l3_enable_default_route_ecmp,
    router_enable_snat,
    extraroute,
    fip_port_details,
    router_availability_zone,
    dns,
    dns_domain_ports,
    qos,
    qos_bw_limit_direction,
    qos_default,
    qos_fip,
    qos_fip_network_policy,
    qos_port_network_policy,
    qos_rule_type_details,
    floating_ip_port_forwarding,
    fip_pf_description,
    fip_pf_port_range,
    expose_port_forwarding_in_fip,
    trunk,
    trunk_details,
    portbindings_extended,
    agent,
    availability_zone,
    network_ip_availability,
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
    "dns_publish_fixed_ip": "subnet-dns-publish-fixed-ip",
    "segments": "multi-provider",
    "segment_id": "segment",
    "vlan_transparent": "vlan-transparent",
    "qinq": "qinq",
    "propagate_uplink_status": "uplink-status-propagation",
    "trusted": "port-trusted-vif",
    "mac_learning_enabled": "mac-learning",
    "numa_affinity_policy": "port-numa-affinity-policy",
    "device_profile": "port-device-profile",
    "hints": "port-hints",
    "data_plane_status": "data-plane-status",
    "distributed": "dvr",
    "flavor_id": "l3-flavors",
    "service_type_id": "router-service-type",
    "ndp_proxy": "l3-ndp-proxy",
    "enable_ndp_proxy": "l3-ext-ndp-proxy",
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

    parent: Resource | None = None
    """Whose part it is: its URLs are below the parent's, and its rows refer to it in `parent_column`."""
    parent_column: str = ""
    prefix: str = ""
    """What stands before the collection in URLs."""

    @property
    def path(self) -> str:
        """The collection's words in URLs."""
        return self.prefix + self.collection.replace("_", "-")

    @property
    def rule(self) -> str:
        """Its name in the rules of policy."""
        return f"{self.parent.name}_{self.name}" if self.parent is not None else self.name

    @property
    def is_taggable(self) -> bool:
        return "tags" in self.attributes


def _resource(
    name: str, row: type[Row], core: Mapping[str, Any], lacks: frozenset[str] = frozenset(), *, collection: str = ""
) -> Resource:
    """`core` is the map that extensions add to; `lacks` names standard attributes that this kind does without."""
    collection = collection or f"{name}s"
    merged: dict[str, Any] = dict(core[collection])
    for extension in DEFINITIONS:
        merged |= extension.RESOURCE_ATTRIBUTE_MAP.get(collection, {})
    merged |= {attribute: spec for attribute, spec in _STANDARD.items() if attribute not in lacks}
    owner = merged.get("tenant_id", merged.get("project_id"))
    if owner is not None:
        merged |= {"tenant_id": owner, "project_id": owner}
    return Resource(name, collection, row, merged, _infos(merged), lib_attributes.AttributeInfo(merged))


def _infos(merged: Mapping[str, Any]) -> dict[str, Any]:
    return {attribute: lib_attributes.AttributeInfo({attribute: spec}) for attribute, spec in merged.items()}


def _part(name: str, row: type[Row], parent: Resource, column: str) -> Resource:
    """A kind whose rows are parts of a `parent`."""
    collection = f"{name}s"
    merged: dict[str, Any] = {}
    for extension in DEFINITIONS:
        parts: Mapping[str, Any] = getattr(extension, "SUB_RESOURCE_ATTRIBUTE_MAP", None) or {}
        merged |= parts.get(collection, {}).get("parameters", {})
    if "project_id" in merged:
        merged["tenant_id"] = merged["project_id"]
    whole = lib_attributes.AttributeInfo(merged)
    return Resource(name, collection, row, merged, _infos(merged), whole, parent=parent, parent_column=column)


_SECURITY = security_definitions.RESOURCE_ATTRIBUTE_MAP
NETWORK = _resource("network", Network, network.RESOURCE_ATTRIBUTE_MAP)
SUBNET = _resource("subnet", Subnet, subnet.RESOURCE_ATTRIBUTE_MAP)
SUBNET_POOL = _resource("subnetpool", SubnetPool, subnetpool.RESOURCE_ATTRIBUTE_MAP)
PORT = _resource("port", Port, port.RESOURCE_ATTRIBUTE_MAP)
SECURITY_GROUP = _resource("security_group", SecurityGroup, _SECURITY)
SECURITY_GROUP_RULE = _resource("security_group_rule", SecurityGroupRule, _SECURITY)
ADDRESS_GROUP = _resource(
    "address_group", AddressGroup, address_group.RESOURCE_ATTRIBUTE_MAP, lacks=frozenset({"tags"})
)
ROUTER = _resource("router", Router, l3.RESOURCE_ATTRIBUTE_MAP)
FLOATING_IP = _resource("floatingip", FloatingIP, l3.RESOURCE_ATTRIBUTE_MAP)
QOS_POLICY = replace(
    _resource("policy", QoSPolicy, qos.RESOURCE_ATTRIBUTE_MAP, collection="policies"), prefix=f"{qos.ALIAS}/"
)
BANDWIDTH_LIMIT_RULE = _part("bandwidth_limit_rule", QoSBandwidthLimitRule, QOS_POLICY, "policy")
DSCP_MARKING_RULE = _part("dscp_marking_rule", QoSDSCPMarkingRule, QOS_POLICY, "policy")
AGENT = _resource("agent", Agent, agent.RESOURCE_ATTRIBUTE_MAP, lacks=frozenset(_STANDARD))
TRUNK = _resource("trunk", Trunk, trunk.RESOURCE_ATTRIBUTE_MAP)
IP_AVAILABILITY = _resource(
    "network_ip_availability",
    Network,
    network_ip_availability.RESOURCE_ATTRIBUTE_MAP,
    lacks=frozenset(_STANDARD),
    collection=network_ip_availability.RESOURCE_PLURAL,
)
"""Not rows of its own: what `ovine.api.ip_availability` counts."""
BINDING = _part("binding", PortBinding, PORT, "port")
PORT_FORWARDING = _part("port_forwarding", PortForwarding, FLOATING_IP, "floating_ip")
_ALL = (
    NETWORK,
    SUBNET,
    SUBNET_POOL,
    PORT,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    ADDRESS_GROUP,
    ROUTER,
    FLOATING_IP,
    QOS_POLICY,
    TRUNK,
    AGENT,
)
_PARTS = (BANDWIDTH_LIMIT_RULE, DSCP_MARKING_RULE, PORT_FORWARDING)
RESOURCES: Mapping[str, Resource] = {resource.collection: resource for resource in _ALL}
BY_PATH: Mapping[str, Resource] = {resource.path: resource for resource in _ALL}
PARTS: Mapping[tuple[str, str], Resource] = {
    (part.parent.collection, part.collection): part for part in _PARTS if part.parent is not None
}
"""By the parent's collection and the word in URLs."""

SOMETIMES = frozenset({"trunk_details"})
"""Attributes that only some of a kind have: parents of trunks."""

MAX_TAG = 255
"""The longest tag, in characters."""

is_set = validators.is_attr_set
"""Whether a parsed attribute holds a value: neither absent nor null."""

canonical_cidr = converters.convert_cidr_to_canonical_format
