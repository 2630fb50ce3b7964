"""Availability zones: what chassis say of themselves in `ovn-cms-options` (`availability-zones=one:two`).

A router may be given hints, at its creation only: its gateways are then on chassis of these zones.

Tests: tests/api/test_api_availability_zones.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from neutron_lib.exceptions.availability_zone import AvailabilityZoneNotFound

from ovine.api.binding import Host
from ovine.api.errors import bad_request

_FILTERS = ("name", "resource", "state")


def check(hosts: Iterable[Host], hints: Sequence[str]) -> None:
    """Raises AvailabilityZoneNotFound for a hint that names a zone in which no chassis is."""
    known = {zone for host in hosts for zone in host.zones}
    for hint in hints:
        if hint not in known:
            raise AvailabilityZoneNotFound(availability_zone=hint)


def listed(hosts: Iterable[Host], text: str) -> list[dict[str, Any]]:
    """The zones that pass the filters of a query string, with the fields that it asks for. Raises HttpError."""
    wanted: dict[str, set[str]] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if key not in (*_FILTERS, "fields"):
            raise bad_request(f"{[key]} is invalid attribute for filtering")
        wanted.setdefault(key, set()).add(value)
    fields = wanted.pop("fields", set())
    zones = sorted({zone for host in hosts for zone in host.zones})
    found = [{"name": zone, "resource": "router", "state": "available"} for zone in zones]
    passing = [item for item in found if all(item[key] in values for key, values in wanted.items())]
    return [{key: value for key, value in item.items() if not fields or key in fields} for item in passing]
