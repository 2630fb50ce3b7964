"""Rules of security groups: planning of create and delete (a rule is never changed), and what of a rule fits together.

Where Neutron takes several spellings of one rule, the same one is kept: `icmp` over IPv6 is `ipv6-icmp`, and all ports
are no ports. Two rules are equal if they let the same packets pass, whatever is written in their descriptions.

Tests: tests/api/test_api_security_rules.py.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from neutron_lib import constants
from neutron_lib.exceptions import address_group as ag_exc

from ovine.api import security_errors as errors
from ovine.api import security_groups
from ovine.api.addressing import network_of
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.policy import Judge, Target, target_of
from ovine.api.resources import ADDRESS_GROUP, SECURITY_GROUP_RULE, UNSET
from ovine.model.base import Uuid
from ovine.model.cloud import AddressGroup, SecurityGroup, SecurityGroupRule
from ovine.model.protocols import PROTOCOLS, protocol_number

_WITH_PORTS = ("tcp", "udp", "sctp")
_ICMP_NUMBERS = (PROTOCOLS["icmp"], PROTOCOLS["ipv6-icmp"])
_ONLY_IPV6 = frozenset(number for name, number in PROTOCOLS.items() if name.startswith("ipv6-"))
_REMOTES = ("remote_ip_prefix", "remote_group_id", "remote_address_group_id")
_ANYWHERE = ("0.0.0.0/0", "::/0")


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> SecurityGroupRule:
    """A new rule of a group that the caller can see."""
    group = security_groups.visible(draft, judge, parsed["security_group_id"])
    project = parsed["project_id"]
    judge.require_create(SECURITY_GROUP_RULE, given, parsed, Target(project, group.project_id, False, False))
    canonical = checked(parsed)
    rule = SecurityGroupRule(
        security_group=group.uuid,
        project_id=project,
        description=parsed["description"],
        remote_group=_remote_group(draft, judge, parsed["remote_group_id"]),
        remote_address_group=_remote_address_group(draft, judge, parsed["remote_address_group_id"]),
        tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
        **canonical,
    )
    _refuse_second(draft, rule)
    draft.touch(group)
    return draft.insert_resource(rule, revision=0)


def delete(draft: Draft, env: Env, judge: Judge, rule: SecurityGroupRule) -> None:
    """Deletes a rule."""
    judge.require("delete_security_group_rule", target_of(draft, rule))
    group = draft.get(SecurityGroup, rule.security_group)
    if group is not None:
        draft.touch(group)
    draft.delete(rule)


def _remote_group(draft: Draft, judge: Judge, uuid: str | None) -> Uuid | None:
    return security_groups.visible(draft, judge, uuid).uuid if uuid else None


def _remote_address_group(draft: Draft, judge: Judge, uuid: str | None) -> Uuid | None:
    if not uuid:
        return None
    group = draft.get(AddressGroup, uuid)
    if group is None or not judge.sees(ADDRESS_GROUP, target_of(draft, group)):
        raise ag_exc.AddressGroupNotFound(address_group_id=uuid)
    return group.uuid


def _refuse_second(draft: Draft, rule: SecurityGroupRule) -> None:
    meaning = _meaning(rule)
    for other in draft.find(SecurityGroupRule, "security_group", rule.security_group):
        if _meaning(other) == meaning:
            if draft.is_new(other):
                raise errors.DuplicateSecurityGroupRuleInPost()
            raise errors.SecurityGroupRuleExists(rule_id=other.uuid)


def _meaning(rule: SecurityGroupRule) -> Hashable:
    prefix = str(network_of(rule.remote_ip_prefix)) if rule.remote_ip_prefix else None
    return (
        rule.direction,
        rule.ethertype,
        None if rule.protocol is None else protocol_number(rule.protocol),
        rule.port_range_min,
        rule.port_range_max,
        None if prefix in _ANYWHERE else prefix,
        rule.remote_group,
        rule.remote_address_group,
    )


# --- what fits together ---------------------------------------------------------------------------------------------


def checked(parsed: dict[str, Any]) -> dict[str, Any]:
    """The columns of a rule that say what it matches, in the one spelling kept. Raises Neutron's errors."""
    columns = {
        name: parsed[name]
        for name in ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")
    }
    if sum(bool(parsed[name]) for name in _REMOTES) > 1:
        raise errors.SecurityGroupMultipleRemoteEntites()
    _check_ethertype(columns)
    _check_ports(columns)
    return columns


def _check_ethertype(columns: dict[str, Any]) -> None:
    ethertype, protocol, prefix = columns["ethertype"], columns["protocol"], columns["remote_ip_prefix"]
    if prefix is not None and f"IPv{network_of(prefix).version}" != ethertype:
        raise errors.SecurityGroupRuleParameterConflict(ethertype=ethertype, cidr=prefix)
    if ethertype == "IPv6" and protocol in ("icmp", "icmpv6"):
        columns["protocol"] = constants.PROTO_NAME_IPV6_ICMP
    elif ethertype == "IPv4" and protocol is not None and protocol_number(protocol) in _ONLY_IPV6:
        raise errors.SecurityGroupEthertypeConflictWithProtocol(ethertype=ethertype, protocol=protocol)


def _check_ports(columns: dict[str, Any]) -> None:
    protocol, low, high = columns["protocol"], columns["port_range_min"], columns["port_range_max"]
    if low is None and high is None:
        return
    if protocol is None:
        raise errors.SecurityGroupProtocolRequiredWithPorts()
    if protocol_number(protocol) in _ICMP_NUMBERS:
        _check_icmp(low, high)
    elif protocol_number(protocol) not in {PROTOCOLS[name] for name in _WITH_PORTS}:
        raise errors.SecurityGroupInvalidProtocolForPort(protocol=protocol, valid_port_protocols=", ".join(_WITH_PORTS))
    elif 0 in (low, high):
        raise errors.SecurityGroupInvalidPortValue(port=0)
    elif low is None or high is None or low > high:
        raise errors.SecurityGroupInvalidPortRange()
    elif (low, high) == (constants.PORT_RANGE_MIN, constants.PORT_RANGE_MAX):
        columns |= {"port_range_min": None, "port_range_max": None}


def _check_icmp(kind: int | None, code: int | None) -> None:
    for value, field, attribute in ((kind, "type", "port_range_min"), (code, "code", "port_range_max")):
        if value is not None and value > 255:
            raise errors.SecurityGroupInvalidIcmpValue(field=field, attr=attribute, value=value)
    if kind is None:
        raise errors.SecurityGroupMissingIcmpType(value=code)
