"""The extensions that are offered: what `GET /v2.0/extensions` lists.

An alias is here only if everything it promises works. Tests: tests/api/test_api_networks.py.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from neutron_lib.api.definitions import (
    aap_reject_multicast,
    availability_zone_filter,
    empty_string_filtering,
    extraroute_atomic,
    filter_validation,
    fip_pf_detail,
    ip_substring_port_filtering,
    l3_port_ip_change_not_allowed,
    pagination,
    project_id,
    quota_check_limit,
    quota_check_limit_default,
    revisionifmatch,
    security_groups_port_filtering,
    sort_key_validation,
    sorting,
    subnetpool_prefix_ops,
    tag_creation,
    tag_ports_during_bulk_creation,
)

from ovine.api.resources import DEFINITIONS

_BEHAVIOURS: tuple[ModuleType, ...] = (
    aap_reject_multicast,
    availability_zone_filter,
    empty_string_filtering,
    extraroute_atomic,
    quota_check_limit,
    quota_check_limit_default,
    fip_pf_detail,
    filter_validation,
    ip_substring_port_filtering,
    l3_port_ip_change_not_allowed,
    pagination,
    project_id,
    revisionifmatch,
    security_groups_port_filtering,
    sort_key_validation,
    sorting,
    subnetpool_prefix_ops,
    tag_creation,
    tag_ports_during_bulk_creation,
)

# Extensions that Neutron describes in its own tree: alias, name, description, and when it was last changed.
_NEUTRONS_OWN = (
    (
        "quotas",
        "Quota management support",
        "Expose functions for quotas management per project",
        "2012-07-29T10:00:00-00:00",
    ),
    (
        "quota_details",
        "Quota details management support",
        "Expose functions for quotas usage statistics per project",
        "2017-02-10T10:00:00-00:00",
    ),
    (
        "subnet_allocation",
        "Subnet Allocation",
        "Enables allocation of subnets from a subnet pool",
        "2015-03-30T10:00:00-00:00",
    ),
    (
        "standard-attr-description",
        "standard-attr-description",
        "Extension to add descriptions to standard attributes",
        "2016-02-10T10:00:00-00:00",
    ),
    (
        "standard-attr-revisions",
        "Resource revision numbers",
        "This extension will display the revision number of neutron resources.",
        "2016-04-11T10:00:00-00:00",
    ),
    (
        "standard-attr-tag",
        "Tag support for resources with standard attribute",
        "Enables to set tag on resources with standard attribute.",
        "2017-01-01T00:00:00-00:00",
    ),
    (
        "standard-attr-timestamp",
        "Resource timestamps",
        "Adds created_at and updated_at fields to all Neutron resources that have Neutron standard attributes.",
        "2016-09-12T10:00:00-00:00",
    ),
)


def _described(definition: ModuleType) -> dict[str, Any]:
    return {
        "alias": definition.ALIAS,
        "name": definition.NAME,
        "description": definition.DESCRIPTION,
        "updated": definition.UPDATED_TIMESTAMP,
        "links": [],
    }


EXTENSIONS: dict[str, dict[str, Any]] = {
    item["alias"]: item
    for item in sorted(
        [
            *(_described(definition) for definition in (*DEFINITIONS, *_BEHAVIOURS)),
            *(
                {"alias": alias, "name": name, "description": text, "updated": when, "links": []}
                for alias, name, text, when in _NEUTRONS_OWN
            ),
        ],
        key=lambda item: str(item["alias"]),
    )
}
"""By alias."""
