"""What a chassis says of itself to a cloud in `ovn-cms-options`, which OVN hands through and does not read.

Tests: tests/unit/model/test_chassis_options.py.
"""

from __future__ import annotations

GATEWAY = "enable-chassis-as-gw"
_ZONES = "availability-zones="


def options_of(text: str) -> tuple[str, ...]:
    """The options of an `ovn-cms-options`."""
    return tuple(option for item in text.split(",") if (option := item.strip()))


def zones_of(text: str) -> frozenset[str]:
    """The availability zones in an `ovn-cms-options`."""
    lists = (option.removeprefix(_ZONES) for option in options_of(text) if option.startswith(_ZONES))
    return frozenset(zone for found in lists for item in found.split(":") if (zone := item.strip()))
