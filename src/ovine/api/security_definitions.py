"""The attribute maps of the extension security-group, in the form of neutron-lib's definitions (it lacks this one).

What concerns one attribute is converted and judged here, what concerns several together in
`ovine.api.security_group_rules`.

Tests: tests/unit/api/test_api_bodies.py, tests/api/test_api_security_rules.py.
"""

from __future__ import annotations

from typing import Any

import netaddr
from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.api import validators
from neutron_lib.db import constants as db_constants
from neutron_lib.exceptions import security_group as lib_exc
from oslo_utils import uuidutils

from ovine.api.security_errors import SecurityGroupInvalidPortValue, SecurityGroupRuleInvalidProtocol
from ovine.model.protocols import PROTOCOLS

ALIAS = "security-group"
NAME = "security-group"
DESCRIPTION = "The security groups extension."
UPDATED_TIMESTAMP = "2012-10-05T10:00:00-00:00"

ETHERTYPES = ("IPv4", "IPv6")
DEFAULT = "default"
"""The name of each project's default group, which no other group can have."""


def _validate_name(name: Any, max_len: int | None = None) -> Any:
    """Neutron-lib's validator of texts, and no name but the default group's own is like it."""
    if isinstance(name, str) and name.lower() == DEFAULT:
        raise lib_exc.SecurityGroupDefaultAlreadyExists()
    return validators.validate_string(name, max_len=max_len)


validators.add_validator("name_not_default", _validate_name)


def _protocol(value: Any) -> str | None:
    """A name in lower case, or a number as text."""
    if value is None:
        return None
    text = str(value).lower()
    if text in PROTOCOLS:
        return text
    if not isinstance(value, bool) and text.isascii() and text.isdigit() and int(text) <= 255:
        return str(int(text))
    raise SecurityGroupRuleInvalidProtocol(protocol=value, values=sorted(PROTOCOLS))


def _port(value: Any) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not isinstance(value, bool) and text.isascii() and text.isdigit() and int(text) <= constants.PORT_RANGE_MAX:
        return int(text)
    raise SecurityGroupInvalidPortValue(port=value)


def _ethertype(value: Any) -> Any:
    known = {name.lower(): name for name in ETHERTYPES}
    return known.get(value.lower(), value) if isinstance(value, str) else value


def _prefix(value: Any) -> str | None:
    """An address or prefix as prefix; the bits beyond the mask stay as given (`normalized_cidr` has none)."""
    if not value:
        return None
    try:
        return str(netaddr.IPNetwork(value if isinstance(value, str) else ""))
    except (ValueError, netaddr.AddrFormatError) as error:
        raise n_exc.InvalidCIDR(input=value) from error


def _group_ids(value: Any) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise n_exc.InvalidInput(error_message=f"'{value}' is not a list of security group ids")
    for item in value:
        if not uuidutils.is_uuid_like(item):
            raise n_exc.InvalidInput(error_message=f"'{item}' is not an integer or uuid")
    return value


_KEY = {"allow_post": False, "allow_put": False, "is_visible": True, "is_filter": True, "is_sort_key": True}
_OWNER = {
    "allow_post": True,
    "allow_put": False,
    "required_by_policy": True,
    "validate": {"type:string": db_constants.PROJECT_ID_FIELD_SIZE},
    "is_visible": True,
    "is_filter": True,
    "is_sort_key": True,
}
_GIVEN = {"allow_post": True, "allow_put": False, "is_visible": True, "is_filter": True, "is_sort_key": True}
_REMOTE = _GIVEN | {"default": None, "validate": {"type:string_or_none": None}}

RESOURCE_ATTRIBUTE_MAP: dict[str, dict[str, Any]] = {
    "security_groups": {
        "id": _KEY | {"validate": {"type:uuid": None}, "primary_key": True},
        "name": _GIVEN
        | {
            "allow_put": True,
            "default": "",
            "validate": {"type:name_not_default": db_constants.NAME_FIELD_SIZE},
        },
        "tenant_id": _OWNER,
        "security_group_rules": {"allow_post": False, "allow_put": False, "is_visible": True},
    },
    "security_group_rules": {
        "id": _KEY | {"validate": {"type:uuid": None}, "primary_key": True},
        "tenant_id": _OWNER,
        "security_group_id": _GIVEN | {"required_by_policy": True, "validate": {"type:string": None}},
        "remote_group_id": _REMOTE,
        "direction": _GIVEN | {"validate": {"type:values": ["ingress", "egress"]}},
        "protocol": _GIVEN | {"default": None, "convert_to": _protocol},
        "port_range_min": _GIVEN | {"default": None, "convert_to": _port},
        "port_range_max": _GIVEN | {"default": None, "convert_to": _port},
        "ethertype": _GIVEN
        | {"default": "IPv4", "convert_to": _ethertype, "validate": {"type:values": list(ETHERTYPES)}},
        "remote_ip_prefix": _GIVEN | {"default": None, "convert_to": _prefix},
    },
    "ports": {
        "security_groups": {
            "allow_post": True,
            "allow_put": True,
            "default": constants.ATTR_NOT_SPECIFIED,
            "convert_to": _group_ids,
            "is_visible": True,
            "is_filter": True,
        },
    },
}
