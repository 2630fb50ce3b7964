"""What a host says of itself to a cloud, in `ovn-cms-options` and in marks: OVN hands them through and reads none.

Tests: tests/unit/model/test_chassis_options.py.
"""

from __future__ import annotations

GATEWAY = "enable-chassis-as-gw"
METADATA_ID, METADATA_SB_CFG = "neutron:ovn-metadata-id", "neutron:ovn-metadata-sb-cfg"
"""What a host's metadata service says in Chassis_Private.external_ids: who it is, and the last nb_cfg it has seen."""
_ZONES = "availability-zones="


def options_of(text: str) -> tuple[str, ...]:
    """The options of an `ovn-cms-options`."""
    return tuple(option for item in text.split(",") if (option := item.strip()))


def zones_of(text: str) -> frozenset[str]:
    """The availability zones in an `ovn-cms-options`."""
    lists = (option.removeprefix(_ZONES) for option in options_of(text) if option.startswith(_ZONES))
    return frozenset(zone for found in lists for item in found.split(":") if (zone := item.strip()))
