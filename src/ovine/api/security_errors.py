"""Neutron's errors of security groups, which neutron-lib does not have; clients decide by the types' names.

Tests: tests/api/test_api_security_rules.py, tests/api/test_api_security_groups.py.
"""

from __future__ import annotations

from neutron_lib import exceptions as n_exc


class SecurityGroupNotFound(n_exc.NotFound):  # type: ignore[misc]
    message = "Security group %(id)s does not exist"


class SecurityGroupInUse(n_exc.InUse):  # type: ignore[misc]
    message = "Security Group %(id)s in use."


class SecurityGroupCannotRemoveDefault(n_exc.InUse):  # type: ignore[misc]
    message = "Insufficient rights for removing default security group."


class SecurityGroupCannotUpdateDefault(n_exc.InUse):  # type: ignore[misc]
    message = "Updating default security group not allowed."


class SecurityGroupConflict(n_exc.Conflict):  # type: ignore[misc]
    message = "Error %(reason)s while attempting the operation."


class SecurityGroupRuleNotFound(n_exc.NotFound):  # type: ignore[misc]
    message = "Security group rule %(id)s does not exist"


class SecurityGroupRuleExists(n_exc.InUse):  # type: ignore[misc]
    message = "Security group rule already exists. Rule id is %(rule_id)s."


class DuplicateSecurityGroupRuleInPost(n_exc.InUse):  # type: ignore[misc]
    message = "Duplicate Security Group Rule in POST."


class SecurityGroupRuleInvalidProtocol(n_exc.InvalidInput):  # type: ignore[misc]
    message = (
        "Security group rule protocol %(protocol)s not supported. Only protocol values %(values)s and integer "
        "representations [0 to 255] are supported."
    )


class SecurityGroupInvalidPortValue(n_exc.InvalidInput):  # type: ignore[misc]
    message = "Invalid value for port %(port)s"


class SecurityGroupInvalidPortRange(n_exc.InvalidInput):  # type: ignore[misc]
    message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"


class SecurityGroupProtocolRequiredWithPorts(n_exc.InvalidInput):  # type: ignore[misc]
    message = "Must also specify protocol if port range is given."


class SecurityGroupInvalidProtocolForPort(n_exc.InvalidInput):  # type: ignore[misc]
    message = "Invalid protocol %(protocol)s for port range, only supported for %(valid_port_protocols)s."


class SecurityGroupInvalidIcmpValue(n_exc.InvalidInput):  # type: ignore[misc]
    message = "Invalid value for ICMP %(field)s (%(attr)s) %(value)s. It must be 0 to 255."


class SecurityGroupMissingIcmpType(n_exc.InvalidInput):  # type: ignore[misc]
    message = "ICMP code (port-range-max) %(value)s is provided but ICMP type (port-range-min) is missing."


class SecurityGroupEthertypeConflictWithProtocol(n_exc.InvalidInput):  # type: ignore[misc]
    message = "Invalid ethertype %(ethertype)s for protocol %(protocol)s."


class SecurityGroupRuleParameterConflict(n_exc.InvalidInput):  # type: ignore[misc]
    message = "Conflicting value ethertype %(ethertype)s for CIDR %(cidr)s"


class SecurityGroupMultipleRemoteEntites(n_exc.InvalidInput):  # type: ignore[misc]
    message = "Only one of remote_ip_prefix, remote_group_id and remote_address_group_id may be provided."
