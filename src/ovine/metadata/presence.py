"""How the metadata service tells the cloud that it is there: marks in its host's Chassis_Private, as Neutron's agent's.

It names itself by an id that stays the same, and says the last SB_Global.nb_cfg for which all was done that follows
from it here. Tests: tests/unit/metadata/test_metadata_presence.py.
"""

from __future__ import annotations

import uuid

from ovine.model import sb
from ovine.model.base import Map
from ovine.model.chassis import METADATA_ID, METADATA_SB_CFG
from ovine.ovsdb import Replica, Transaction

_NAMESPACE = uuid.UUID("6f76696e-6500-5000-8000-6d6574616461")


def identity(chassis: str) -> str:
    """The id of a host's metadata service."""
    return str(uuid.uuid5(_NAMESPACE, chassis))


def announcement(replica: Replica, chassis: str) -> Transaction:
    """What brings the marks up to date; empty if they are. A host that has not registered is not announced."""
    txn = Transaction()
    row = _private(replica, chassis)
    if row is None:
        return txn
    reached = max((glob.nb_cfg for glob in replica.rows(sb.SBGlobal).values()), default=0)
    wanted = {METADATA_ID: identity(chassis), METADATA_SB_CFG: str(reached)}
    changed = {name: value for name, value in wanted.items() if row.external_ids.get(name) != value}
    if changed:
        txn.mutate(sb.ChassisPrivate, row.uuid, "external_ids", "delete", tuple(sorted(changed)))
        txn.mutate(sb.ChassisPrivate, row.uuid, "external_ids", "insert", Map(changed))
    return txn


def farewell(replica: Replica, chassis: str) -> Transaction:
    """Takes the marks away."""
    txn = Transaction()
    row = _private(replica, chassis)
    if row is not None and METADATA_ID in row.external_ids:
        txn.mutate(sb.ChassisPrivate, row.uuid, "external_ids", "delete", (METADATA_ID, METADATA_SB_CFG))
    return txn


def _private(replica: Replica, chassis: str) -> sb.ChassisPrivate | None:
    return next((row for row in replica.rows(sb.ChassisPrivate).values() if row.name == chassis), None)
