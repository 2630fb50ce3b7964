"""Meters: copied down, for hosts to limit what ACLs log.

A *fair* meter limits each of its users apart: an ACL that logs through it has a southbound meter of its own, called
`<meter>__<uuid of the ACL>`, as ovn-nb(5) has it.

Tests: tests/unit/northd/test_acl.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.projection import Names, Target, ref


class Band(NamedTuple):
    """What makes a meter band; meters with equal bands share their rows."""

    action: str
    rate: int
    burst_size: int


BANDS: Relation[Band, sb.MeterBand] = Relation("Meter_Band")
METERS: Relation[str, sb.Meter] = Relation("Meter")
"""By name."""

NAMED = Index(nb.Meter, lambda row: (row.name,), "meters by name")
LOGGING = Index(nb.ACL, lambda row: (row.meter,) if row.log and row.meter else (), "ACLs by the meter of their log")


@query
def is_fair(q: Reader, name: str) -> bool:
    return any(row.fair for row in q.find_rows(NAMED, name))


def meter_of(q: Reader, name: str, acl: Uuid) -> str:
    """The southbound meter for an ACL's log."""
    return f"{name}__{acl}" if is_fair(q, name) else name


@rule(over=nb.Meter, writes=(METERS, BANDS))
def meter(q: Reader, key: Uuid) -> Iterator[Emit]:
    """One southbound meter, or one more for each ACL that uses it, if it is fair."""
    row = q.row(nb.Meter, key)
    rows = [one for one in (q.get(nb.MeterBand, band) for band in row.bands) if one is not None]
    bands = sorted({Band(one.action, one.rate, one.burst_size) for one in rows})
    for band in bands:
        yield BANDS(band, sb.MeterBand(action=band.action, rate=band.rate, burst_size=band.burst_size))
    names = [row.name]
    if row.fair:
        names += [f"{row.name}__{acl}" for acl in q.find(LOGGING, row.name)]
    for name in names:
        yield METERS(name, sb.Meter(name=name, unit=row.unit, bands=tuple(ref(BANDS, band) for band in bands)))


def _band(row: sb.MeterBand, names: Names) -> Hashable:
    return Band(row.action, row.rate, row.burst_size)


def _name(row: sb.Meter, names: Names) -> Hashable:
    return row.name


TARGETS: tuple[Target[sb.MeterBand] | Target[sb.Meter], ...] = (
    Target(BANDS, sb.MeterBand, _band, ("action", "rate", "burst_size")),
    Target(METERS, sb.Meter, _name, ("name", "unit", "bands")),
)
