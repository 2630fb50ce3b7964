"""Who may do what: oslo.policy with Neutron's default rules for the resources offered.

A rule is named `ACTION_RESOURCE` or `ACTION_RESOURCE:ATTRIBUTE`. An attribute without a rule of its own is covered by
its resource's. A policy file in oslo.policy's format may replace any rule; what a rule can compare is the target's
fields here and the caller's (`ovine.api.context`).

Invariants: what a caller can't see does not exist for them (404, never 403); an attribute that a caller may not see is
left out of replies and never matches a filter.

Tests: tests/unit/api/test_api_policy.py, tests/api/test_api_isolation.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neutron_lib import exceptions as n_exc
from neutron_lib.exceptions import qos as qos_exc
from neutron_lib.exceptions.address_group import AddressGroupNotFound
from neutron_lib.exceptions.agent import AgentNotFound
from neutron_lib.exceptions.l3 import FloatingIPNotFound, RouterNotFound
from oslo_config import cfg
from oslo_policy import policy as oslo

from ovine.api.context import Caller
from ovine.api.draft import Draft
from ovine.api.errors import PolicyNotAuthorized, PortForwardingNotFound
from ovine.api.resources import UNSET, Resource
from ovine.api.security_errors import SecurityGroupNotFound, SecurityGroupRuleNotFound
from ovine.api.trunk_errors import TrunkNotFound
from ovine.model.base import Row
from ovine.model.cloud import (
    AddressGroup,
    Agent,
    FloatingIP,
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
    Trunk,
)
from ovine.ovsdb import Replica

_ADMIN = "rule:admin"
_ADMIN_OR_SERVICE = "rule:admin or role:service"
_MEMBER = "rule:admin or (role:member and project_id:%(project_id)s)"
_READER = "rule:admin or (role:reader and project_id:%(project_id)s)"
_NET_OWNER = "rule:admin or (role:member and project_id:%(network_project_id)s)"
_NET_OWNER_OR_SERVICE = f"{_NET_OWNER} or role:service"
_GROUP_OWNER = "rule:admin or (role:member and project_id:%(parent_project_id)s)"
_MEMBER_OR_NET_OWNER = f"{_NET_OWNER} or (role:member and project_id:%(project_id)s)"

RULES: dict[str, str] = {
    "admin": "role:admin",
    "shared": "'True':%(shared)s",
    "external": "'True':%(external)s",
    "create_network": _MEMBER,
    "create_network:shared": _ADMIN,
    "create_network:router:external": _ADMIN,
    "create_network:provider:network_type": _ADMIN,
    "create_network:provider:physical_network": _ADMIN,
    "create_network:provider:segmentation_id": _ADMIN,
    "get_network": f"{_READER} or rule:shared or rule:external or role:service",
    "get_network:provider:network_type": _ADMIN_OR_SERVICE,
    "get_network:provider:physical_network": _ADMIN_OR_SERVICE,
    "get_network:provider:segmentation_id": _ADMIN_OR_SERVICE,
    "update_network": _MEMBER,
    "update_network:shared": _ADMIN,
    "update_network:router:external": _ADMIN,
    "update_network:provider:network_type": _ADMIN,
    "update_network:provider:physical_network": _ADMIN,
    "update_network:provider:segmentation_id": _ADMIN,
    "delete_network": _MEMBER,
    "create_subnet": _NET_OWNER,
    "get_subnet": f"{_READER} or (role:reader and project_id:%(network_project_id)s) or rule:shared or rule:external "
    "or role:service",
    "update_subnet": _MEMBER_OR_NET_OWNER,
    "delete_subnet": _MEMBER_OR_NET_OWNER,
    "get_network_ip_availability": _ADMIN,
    "create_subnetpool": _MEMBER,
    "create_subnetpool:shared": _ADMIN,
    "create_subnetpool:is_default": _ADMIN,
    "get_subnetpool": f"{_READER} or rule:shared",
    "update_subnetpool": _MEMBER,
    "update_subnetpool:is_default": _ADMIN,
    "delete_subnetpool": _MEMBER,
    "add_prefixes": _MEMBER,
    "remove_prefixes": _MEMBER,
    "create_port": f"{_MEMBER} or role:service",
    "create_port:device_owner": _NET_OWNER_OR_SERVICE,
    "create_port:mac_address": _NET_OWNER_OR_SERVICE,
    "create_port:fixed_ips": f"{_NET_OWNER_OR_SERVICE} or rule:shared",
    "create_port:fixed_ips:ip_address": _NET_OWNER_OR_SERVICE,
    "create_port:fixed_ips:subnet_id": f"{_NET_OWNER_OR_SERVICE} or rule:shared",
    "create_port:port_security_enabled": _NET_OWNER_OR_SERVICE,
    "create_port:allowed_address_pairs": _NET_OWNER,
    "create_port:binding:host_id": _ADMIN_OR_SERVICE,
    "create_port:binding:profile": _ADMIN_OR_SERVICE,
    "get_port": f"{_READER} or (role:reader and project_id:%(network_project_id)s) or role:service",
    "get_port:binding:host_id": _ADMIN_OR_SERVICE,
    "get_port:binding:profile": _ADMIN_OR_SERVICE,
    "get_port:binding:vif_type": _ADMIN_OR_SERVICE,
    "get_port:binding:vif_details": _ADMIN_OR_SERVICE,
    "update_port": f"{_MEMBER} or role:service",
    "update_port:device_owner": _NET_OWNER_OR_SERVICE,
    "update_port:mac_address": _ADMIN_OR_SERVICE,
    "update_port:fixed_ips": f"{_NET_OWNER_OR_SERVICE} or rule:shared",
    "update_port:fixed_ips:ip_address": _NET_OWNER_OR_SERVICE,
    "update_port:fixed_ips:subnet_id": f"{_NET_OWNER_OR_SERVICE} or rule:shared",
    "update_port:port_security_enabled": _NET_OWNER_OR_SERVICE,
    "update_port:allowed_address_pairs": _NET_OWNER,
    "update_port:binding:host_id": _ADMIN_OR_SERVICE,
    "update_port:binding:profile": _ADMIN_OR_SERVICE,
    "delete_port": f"{_MEMBER_OR_NET_OWNER} or role:service",
    "create_port_binding": "role:service",
    "get_port_binding": _ADMIN_OR_SERVICE,
    "update_port_binding": "role:service",
    "delete_port_binding": "role:service",
    "activate": "role:service",
    "create_security_group": _MEMBER,
    "get_security_group": _READER,
    "update_security_group": _MEMBER,
    "delete_security_group": _MEMBER,
    "create_security_group_rule": _GROUP_OWNER,
    "get_security_group_rule": f"{_READER} or (role:reader and project_id:%(parent_project_id)s)",
    "update_security_group_rule": _GROUP_OWNER,
    "delete_security_group_rule": _GROUP_OWNER,
    "create_address_group": _MEMBER,
    "get_address_group": _READER,
    "update_address_group": _MEMBER,
    "delete_address_group": _MEMBER,
    "create_router": _MEMBER,
    "create_router:ha": _ADMIN,
    "create_router:enable_default_route_bfd": _ADMIN,
    "create_router:enable_default_route_ecmp": _ADMIN,
    "create_router:external_gateway_info:enable_snat": _ADMIN,
    "create_router:external_gateway_info:external_fixed_ips": _ADMIN,
    "get_router": _READER,
    "get_router:ha": _ADMIN,
    "update_router": _MEMBER,
    "update_router:ha": _ADMIN,
    "update_router:enable_default_route_bfd": _ADMIN,
    "update_router:enable_default_route_ecmp": _ADMIN,
    "update_router:external_gateway_info:enable_snat": _ADMIN,
    "update_router:external_gateway_info:external_fixed_ips": _ADMIN,
    "delete_router": _MEMBER,
    "add_router_interface": _MEMBER,
    "remove_router_interface": _MEMBER,
    "add_extraroutes": _MEMBER,
    "remove_extraroutes": _MEMBER,
    "add_external_gateways": _MEMBER,
    "add_external_gateways:external_gateways:external_fixed_ips": _ADMIN,
    "add_external_gateways:external_gateways:enable_snat": _ADMIN,
    "update_external_gateways": _MEMBER,
    "update_external_gateways:external_gateways:external_fixed_ips": _ADMIN,
    "update_external_gateways:external_gateways:enable_snat": _ADMIN,
    "remove_external_gateways": _MEMBER,
    "create_floatingip_port_forwarding": _MEMBER,
    "get_floatingip_port_forwarding": _READER,
    "update_floatingip_port_forwarding": _MEMBER,
    "delete_floatingip_port_forwarding": _MEMBER,
    "get_agent": _ADMIN,
    "update_agent": _ADMIN,
    "delete_agent": _ADMIN,
    "create_trunk": _MEMBER,
    "get_trunk": _READER,
    "update_trunk": _MEMBER,
    "delete_trunk": _MEMBER,
    "add_subports": _MEMBER,
    "remove_subports": _MEMBER,
    "get_subports": _READER,
    "create_policy": _ADMIN,
    "get_policy": f"{_READER} or rule:shared",
    "update_policy": _ADMIN,
    "delete_policy": _ADMIN,
    "create_policy_bandwidth_limit_rule": _ADMIN,
    "get_policy_bandwidth_limit_rule": f"{_READER} or rule:shared",
    "update_policy_bandwidth_limit_rule": _ADMIN,
    "delete_policy_bandwidth_limit_rule": _ADMIN,
    "create_policy_dscp_marking_rule": _ADMIN,
    "get_policy_dscp_marking_rule": f"{_READER} or rule:shared",
    "update_policy_dscp_marking_rule": _ADMIN,
    "delete_policy_dscp_marking_rule": _ADMIN,
    "get_quota": _READER,
    "update_quota": _ADMIN,
    "delete_quota": _ADMIN,
    "create_floatingip": _MEMBER,
    "create_floatingip:floating_ip_address": _ADMIN,
    "get_floatingip": _READER,
    "update_floatingip": _MEMBER,
    "delete_floatingip": _MEMBER,
}

_NOT_FOUND: dict[str, tuple[Any, str]] = {
    "network": (n_exc.NetworkNotFound, "net_id"),
    "subnet": (n_exc.SubnetNotFound, "subnet_id"),
    "subnetpool": (n_exc.SubnetPoolNotFound, "subnetpool_id"),
    "port": (n_exc.PortNotFound, "port_id"),
    "security_group": (SecurityGroupNotFound, "id"),
    "security_group_rule": (SecurityGroupRuleNotFound, "id"),
    "address_group": (AddressGroupNotFound, "address_group_id"),
    "router": (RouterNotFound, "router_id"),
    "floatingip": (FloatingIPNotFound, "floatingip_id"),
    "agent": (AgentNotFound, "id"),
    "trunk": (TrunkNotFound, "trunk_id"),
    "port_forwarding": (PortForwardingNotFound, "id"),
    "policy": (qos_exc.QosPolicyNotFound, "policy_id"),
    "bandwidth_limit_rule": (qos_exc.QosRuleNotFound, "rule_id"),
    "dscp_marking_rule": (qos_exc.QosRuleNotFound, "rule_id"),
}

_STRUCTURED = ("fixed_ips", "external_gateway_info")
"""Attributes whose parts have rules of their own."""

_OWNED_BY_NETWORK_CODE = "network:"
"""Prefix of the `device_owner` of ports that network services own; others are free to everybody."""


class Target(NamedTuple):
    """What rules may compare: small, so that one judgement serves the many rows of a list."""

    project_id: str
    parent_project_id: str
    """Whose the network of a subnet or port is, or the security group of a rule; else the same as `project_id`."""
    shared: bool
    external: bool

    def fields(self) -> dict[str, Any]:
        parent = self.parent_project_id
        others = {"network_project_id": parent, "network:tenant_id": parent, "security_group:tenant_id": parent}
        return self._asdict() | {"tenant_id": self.project_id} | others


class Policy:
    """The rules of one API process. Raises oslo.policy's errors for a bad policy file."""

    def __init__(self, policy_file: str = "") -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        if policy_file:
            self._enforcer = oslo.Enforcer(conf, policy_file=policy_file)
            self._enforcer.register_defaults([oslo.RuleDefault(name, check) for name, check in RULES.items()])
            self._enforcer.load_rules()
        else:
            self._enforcer = oslo.Enforcer(conf, rules=oslo.Rules.from_dict(RULES), use_conf=False)

    def judge(self, caller: Caller) -> Judge:
        return Judge(self._enforcer, caller)


class Judge:
    """The rules applied to one caller; remembers its judgements, so make a new one for each request."""

    def __init__(self, enforcer: Any, caller: Caller) -> None:
        self.caller = caller
        self._enforcer = enforcer
        self._credentials = caller.credentials()
        self._known: dict[tuple[str, Target], bool] = {}
        self._hidden: dict[tuple[str, Target], frozenset[str]] = {}

    def allows(self, rule: str, target: Target) -> bool:
        key = (rule, target)
        if key not in self._known:
            self._known[key] = bool(self._enforcer.enforce(rule, target.fields(), self._credentials))
        return self._known[key]

    def require(self, rule: str, target: Target) -> None:
        """Raises PolicyNotAuthorized."""
        if not self.allows(rule, target):
            raise PolicyNotAuthorized(rule=rule)

    def sees(self, resource: Resource, target: Target) -> bool:
        return self.allows(f"get_{resource.rule}", target)

    def hidden(self, resource: Resource, target: Target) -> frozenset[str]:
        """The attributes to leave out of replies."""
        key = (resource.rule, target)
        if key not in self._hidden:
            prefix = f"get_{resource.rule}:"
            rules = [rule for rule in RULES if rule.startswith(prefix)]
            hidden = {rule.removeprefix(prefix) for rule in rules if not self.allows(rule, target)}
            self._hidden[key] = frozenset(hidden)
        return self._hidden[key]

    def require_create(self, resource: Resource, given: dict[str, Any], parsed: dict[str, Any], target: Target) -> None:
        """Judges a POST: `given` is what the request named, `parsed` the values after conversion."""
        self.require(f"create_{resource.rule}", target)
        for name in given:
            spec = resource.attributes[name]
            if parsed[name] is not UNSET and parsed[name] != spec.get("default", UNSET):
                self._require_attribute("create", resource, name, parsed[name], target)

    def require_update(self, resource: Resource, parsed: dict[str, Any], target: Target) -> None:
        """Judges a PUT."""
        self.require(f"update_{resource.rule}", target)
        for name, value in parsed.items():
            self._require_attribute("update", resource, name, value, target)

    def _require_attribute(self, action: str, resource: Resource, name: str, value: Any, target: Target) -> None:
        if name == "device_owner" and not str(value).startswith(_OWNED_BY_NETWORK_CODE):
            return
        rule = f"{action}_{resource.rule}:{name}"
        if rule in RULES:
            self.require(rule, target)
        if name in _STRUCTURED:
            self.require_parts(rule, value, target)

    def require_parts(self, rule: str, value: Any, target: Target) -> None:
        """Judges what an object, or the objects of a list, say about their parts; `rule` is that of the whole."""
        items = [value] if isinstance(value, dict) else value or ()
        for key in sorted({key for item in items for key in item}):
            if f"{rule}:{key}" in RULES:
                self.require(f"{rule}:{key}", target)


def target_of(reader: Replica | Draft, row: Row) -> Target:
    """A resource as a target of rules."""
    if isinstance(row, Network):
        return Target(row.project_id, row.project_id, row.shared, row.external)
    if isinstance(row, Subnet | Port):
        network = reader.get(Network, row.network)
        if network is None:
            return Target(row.project_id, row.project_id, False, False)
        return Target(row.project_id, network.project_id, network.shared, network.external)
    if isinstance(row, SecurityGroupRule):
        group = reader.get(SecurityGroup, row.security_group)
        return Target(row.project_id, group.project_id if group is not None else row.project_id, False, False)
    if isinstance(row, PortForwarding):
        floating = reader.get(FloatingIP, row.floating_ip)
        return Target("", "", False, False) if floating is None else target_of(reader, floating)
    if isinstance(row, QoSPolicy | SubnetPool):
        return Target(row.project_id, row.project_id, row.shared, False)
    if isinstance(row, QoSBandwidthLimitRule | QoSDSCPMarkingRule):
        policy = reader.get(QoSPolicy, row.policy)
        return Target("", "", False, False) if policy is None else target_of(reader, policy)
    if isinstance(row, SecurityGroup | AddressGroup | Router | FloatingIP | Trunk):
        return Target(row.project_id, row.project_id, False, False)
    if isinstance(row, Agent):
        return Target("", "", False, False)
    raise TypeError(type(row))


def not_found(resource: Resource, uuid: str, parent: str = "") -> Exception:
    """Neutron's 404 for a kind of resource; `parent` is whose part it would be."""
    kind, argument = _NOT_FOUND[resource.name]
    owner = {f"{resource.parent.name}_id": parent} if resource.parent is not None else {}
    error: Exception = kind(**{argument: uuid}, **owner)
    return error
