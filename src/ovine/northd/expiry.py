"""The age that learned addresses may reach, and the hour at which each is to go.

Learned rows (MAC_Binding, FDB) belong to the hosts, which write into them when they were learned or last seen in use
(`timestamp`). With a router's option mac_binding_age_threshold, and a switch's other_config:fdb_age_threshold, each row
has an hour at which it is to be deleted; `ovine.northd.ageing` has the order, and whoever runs the engine the clock.
The thresholds are in `ovine.northd.thresholds`.

A row without a timestamp stays: it is from hosts, or in a database, of OVN 23.03, or it is northd's own (`KNOWN_AT`).
Tests: tests/unit/northd/test_northd_ageing.py, tests/cases/packets/neighbour_in_use.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.northd.flows import DATAPATHS
from ovine.northd.switching import KNOWN_AT
from ovine.northd.thresholds import binding_ages, fdb_age

EXPIRY: Relation[Uuid, int] = Relation("expiry of learned bindings")
"""Milliseconds since the epoch, by the MAC_Binding row's uuid."""
FDB_EXPIRY: Relation[Uuid, int] = Relation("expiry of learned Ethernet addresses")
"""Milliseconds since the epoch, by the FDB row's uuid."""

BY_TUNNEL_KEY = Index(DATAPATHS, lambda row: (row.tunnel_key,), "datapaths by tunnel key")


@rule(over=sb.MACBinding, writes=(EXPIRY,))
def expiry(q: Reader, key: Uuid) -> Iterator[Emit]:
    """When a learned binding is to go."""
    row = q.row(sb.MACBinding, key)
    actual = q.get(sb.DatapathBinding, row.datapath) if row.timestamp > 0 else None
    if actual is None:
        return
    found = binding_ages(q, Uuid(actual.external_ids.get("logical-router", "")))
    if found.least and (age := found.of(row.ip)):
        yield EXPIRY(key, row.timestamp + age * 1000)


@rule(over=sb.FDB, writes=(FDB_EXPIRY,))
def fdb_expiry(q: Reader, key: Uuid) -> Iterator[Emit]:
    """When a learned Ethernet address is to go; one that is also configured stays."""
    row = q.row(sb.FDB, key)
    switches: tuple[Uuid, ...] = q.find(BY_TUNNEL_KEY, row.dp_key) if row.timestamp > 0 else ()
    age = fdb_age(q, switches[0]) if switches else 0
    if age and q.get(KNOWN_AT, (row.dp_key, row.mac)) is None:
        yield FDB_EXPIRY(key, row.timestamp + age * 1000)


RULES = (expiry, fdb_expiry)
