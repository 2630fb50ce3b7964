"""What this host writes into the southbound database: plans, worked out from what should be and what is there.

Plans have no memory. They are made again whenever either side changes, so a lost transaction and another writer's
interference are the same case as a first start.

Tests: tests/interop/controller/test_controller_plans.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ovine.controller.chassis import Presence
from ovine.controller.local import Claim
from ovine.model import sb
from ovine.model.base import Row, StrMap, Uuid
from ovine.ovsdb import Replica, Transaction
from ovine.ovsdb.conditions import Where


class Progress(NamedTuple):
    """How far the switch has come: `nb_cfg`, its time in milliseconds, the claims whose flows it acknowledged."""

    nb_cfg: int = 0
    timestamp: int = 0
    installed: Collection[tuple[Uuid, Claim]] = ()


def plan(
    replica: Replica,
    presence: Presence,
    claims: Mapping[Uuid, Claim],
    progress: Progress,
    former: Collection[str] = (),
) -> Transaction:
    """Everything that has to be written; empty (false) if the database is as it should be.

    `former` are names that this host had before: their rows get the new name, or go if that is there already.
    """
    txn = Transaction()
    ours = _chassis(txn, replica, presence, former)
    _chassis_private(txn, replica, presence.name, ours, progress)
    for name in former:
        _forget(txn, replica, name, claims, ours)
    _bind_all(txn, replica, claims, ours, progress)
    for row in replica.index(sb.PortBinding, "chassis").find(ours):
        if row.uuid not in claims or claims[row.uuid].additional:
            _release(txn, replica, row)
    for row in _beside(replica, ours):
        if row.uuid not in claims or not claims[row.uuid].additional:
            _leave_side(txn, replica, row, ours)
    return txn


def plan_bindings(replica: Replica, name: str, claims: Mapping[Uuid, Claim], progress: Progress) -> Transaction:
    """The bindings of some ports and nothing else, by the chassis of this name; empty if that is not registered.

    For claims that are known while the rest is still being computed.
    """
    txn = Transaction()
    ours = own_chassis(replica, name)
    if ours is not None:
        _bind_all(txn, replica, claims, ours, progress)
    return txn


def _bind_all(txn: Transaction, replica: Replica, claims: Mapping[Uuid, Claim], ours: Uuid, progress: Progress) -> None:
    for uuid, claim in claims.items():
        claimed = replica.get(sb.PortBinding, uuid)
        if claimed is not None:
            # What was installed as an additional place will do when this becomes the main one.
            made = (claim, claim._replace(additional=True))
            _bind(txn, replica, claimed, claim, ours, up=any((uuid, one) in progress.installed for one in made))


def _forget(txn: Transaction, replica: Replica, name: str, claims: Mapping[Uuid, Claim], ours: Uuid) -> None:
    """Deletes the row of a former name, if it was not renamed."""
    row = _named(replica, sb.Chassis, name)
    if row is not None and row.uuid != ours:
        for port in replica.index(sb.PortBinding, "chassis").find(row.uuid):
            if port.uuid not in claims:
                _release(txn, replica, port)
        txn.delete(sb.Chassis, row.uuid)


def _chassis(txn: Transaction, replica: Replica, presence: Presence, former: Collection[str]) -> Uuid:
    rows = (_named(replica, sb.Chassis, name) for name in (presence.name, *former))
    row: sb.Chassis | None = next((row for row in rows if row is not None), None)
    encaps = _encaps(txn, replica, presence, row)
    other = row.other_config if row is not None else StrMap()
    wanted: dict[str, Any] = {
        "hostname": presence.hostname,
        "encaps": tuple(sorted(encaps)),
        "other_config": StrMap({**other, **presence.other_config}),
        "transport_zones": presence.transport_zones,
    }
    if row is None:
        return txn.insert(sb.Chassis(name=presence.name, **wanted))
    _update(txn, row, wanted | {"name": presence.name})
    return row.uuid


def _encaps(txn: Transaction, replica: Replica, presence: Presence, row: sb.Chassis | None) -> list[Uuid]:
    """One for each type and address; those that are there are kept, the rest goes when no chassis refers to it."""
    rows = (replica.get(sb.Encap, uuid) for uuid in (row.encaps if row is not None else ()))
    there = {(encap.type, encap.ip): encap for encap in rows if encap is not None}
    found = []
    for kind, ip in presence.encaps:
        encap = there.get((kind, ip))
        wanted = {"options": presence.encap_options, "chassis_name": presence.name}
        if encap is None:
            found.append(txn.insert(sb.Encap(type=kind, ip=ip, **wanted)))  # type: ignore[arg-type]
        else:
            _update(txn, encap, wanted)
            found.append(encap.uuid)
    return found


def _chassis_private(txn: Transaction, replica: Replica, name: str, ours: Uuid, progress: Progress) -> None:
    """One row of our name; one of another name that belongs to our Chassis is left from before that was renamed."""
    for stale in replica.index(sb.ChassisPrivate, "chassis").find(ours):
        if stale.name != name:
            txn.delete(sb.ChassisPrivate, stale.uuid)
    row = _named(replica, sb.ChassisPrivate, name)
    wanted: dict[str, Any] = {"chassis": ours}
    if progress.nb_cfg and _reports(replica) and (row is None or row.nb_cfg != progress.nb_cfg):
        wanted |= {"nb_cfg": progress.nb_cfg, "nb_cfg_timestamp": progress.timestamp}
    if row is None:
        txn.insert(sb.ChassisPrivate(name=name, **wanted))
    else:
        _update(txn, row, wanted)


def _beside(replica: Replica, ours: Uuid) -> list[sb.PortBinding]:
    """The ports that say that we are one of their additional chassis."""
    index = replica.index(sb.PortBinding, "additional_chassis")
    return [row for several in list(index.keys()) if ours in several for row in index.find(several)]


def _leave_side(txn: Transaction, replica: Replica, row: sb.PortBinding, ours: Uuid) -> None:
    txn.mutate(sb.PortBinding, row.uuid, "additional_chassis", "delete", (ours,))
    chassis = replica.get(sb.Chassis, ours)
    own = tuple(encap for encap in row.additional_encap if chassis is not None and encap in chassis.encaps)
    if own:
        txn.mutate(sb.PortBinding, row.uuid, "additional_encap", "delete", own)


def _bind_beside(txn: Transaction, replica: Replica, row: sb.PortBinding, claim: Claim, ours: Uuid) -> None:
    """As an additional chassis. Others may be at the same row: what is theirs is left alone."""
    if ours not in row.additional_chassis:
        txn.mutate(sb.PortBinding, row.uuid, "additional_chassis", "insert", (ours,))
    encap = _encap(replica, ours, claim.encap_ip)
    if encap is not None and encap not in row.additional_encap:
        txn.mutate(sb.PortBinding, row.uuid, "additional_encap", "insert", (encap,))


def _reports(replica: Replica) -> bool:
    """Whether hosts are to say how far they have come: not with options:enable_chassis_nb_cfg_update=false.

    Each change of a large cloud would have every host write a row. The local database says it in any case.
    """
    rows = replica.rows(sb.SBGlobal).values()
    return not any(row.options.get("enable_chassis_nb_cfg_update", "").lower() == "false" for row in rows)


def _bind(txn: Transaction, replica: Replica, row: sb.PortBinding, claim: Claim, ours: Uuid, *, up: bool) -> None:
    if claim.additional:
        _bind_beside(txn, replica, row, claim, ours)
        return
    wanted: dict[str, Any] = {"chassis": ours, "encap": _encap(replica, ours, claim.encap_ip)}
    if up:
        wanted["up"] = True
    elif row.chassis != ours and row.up is not None:
        wanted["up"] = False
    _update(txn, row, wanted)


def _encap(replica: Replica, ours: Uuid, ip: str) -> Uuid | None:
    """Our encapsulation with the address that an interface asks for; None if it asks for none."""
    row = replica.get(sb.Chassis, ours)
    for uuid in row.encaps if row is not None and ip else ():
        encap = replica.get(sb.Encap, uuid)
        if encap is not None and encap.ip == ip:
            return uuid
    return None


def _release(txn: Transaction, replica: Replica, row: sb.PortBinding) -> None:
    """Gives a port back; not if another chassis has taken it over since, so that it is always somewhere."""
    wanted: dict[str, Any] = {"chassis": None, "encap": None} | ({"up": False} if row.up else {})
    if row.type == "virtual" and row.virtual_parent is not None:
        # Unless the address has moved to a port of another chassis, which will bind it, it is at no port.
        parent = replica.index(sb.PortBinding, "logical_port").one(row.virtual_parent)
        if parent is None or parent.chassis in (None, row.chassis):
            wanted["virtual_parent"] = None
    held: Where = [("_uuid", "==", row.uuid), ("chassis", "==", row.chassis)]
    txn.update_where(sb.PortBinding, held, **wanted)


def own_chassis(replica: Replica, name: str) -> Uuid | None:
    """The uuid of our Chassis row, if it is there."""
    row = _named(replica, sb.Chassis, name)
    return Uuid(row.uuid) if row is not None else None


def leave(replica: Replica, name: str) -> Transaction:
    """Takes everything of ours back: bindings first, then the rows that stand for this host."""
    txn = Transaction()
    row = _named(replica, sb.Chassis, name)
    for port in replica.index(sb.PortBinding, "chassis").find(row.uuid) if row is not None else ():
        _release(txn, replica, port)
    for port in _beside(replica, row.uuid) if row is not None else ():
        _leave_side(txn, replica, port, row.uuid)
    for table in (sb.ChassisPrivate, sb.Chassis):
        found = _named(replica, table, name)
        if found is not None:
            txn.delete(table, found.uuid)
    return txn


def _named(replica: Replica, table: Any, name: str) -> Any:
    return replica.index(table, "name").one(name)


def _update(txn: Transaction, row: Row, wanted: Mapping[str, Any]) -> None:
    different = {column: value for column, value in wanted.items() if getattr(row, column) != value}
    if different:
        txn.update(type(row), row.uuid, **different)
