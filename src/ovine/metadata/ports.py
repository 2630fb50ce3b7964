"""The responders' interfaces in the integration bridge: a plan for the local Open_vSwitch database.

Interfaces are `internal` ones, marked with external_ids:ovine-metadata. Others are nobody's business here, but for one:
a network whose metadata port is plugged already, by another agent, is left to that agent.
Tests: tests/lab/test_lab_metadata.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ovine.metadata.rules import Responder
from ovine.model import vs
from ovine.model.base import StrMap
from ovine.ovsdb import Replica, Transaction

MARK = "ovine-metadata"


def marked(replica: Replica) -> dict[str, vs.Interface]:
    """The interfaces that are responders', by name."""
    return {row.name: row for row in replica.rows(vs.Interface).values() if MARK in row.external_ids}


def served_by_others(replica: Replica) -> set[str]:
    """Logical ports that are plugged here by somebody else."""
    return {
        row.external_ids["iface-id"]
        for row in replica.rows(vs.Interface).values()
        if MARK not in row.external_ids and "iface-id" in row.external_ids
    }


def plan(replica: Replica, bridge_name: str, wanted: Iterable[Responder]) -> Transaction:
    """What brings the bridge's interfaces to the wanted ones; empty if they are, or if there is no such bridge."""
    txn = Transaction()
    bridge = next((row for row in replica.rows(vs.Bridge).values() if row.name == bridge_name), None)
    if bridge is None:
        return txn
    missing = {responder.device: responder for responder in wanted}
    ports = {row.name: row for row in replica.rows(vs.Port).values()}
    for name, interface in marked(replica).items():
        responder = missing.pop(name, None)
        if responder is None:
            if name in ports:
                txn.mutate(vs.Bridge, bridge.uuid, "ports", "delete", ports[name].uuid)
        elif interface.external_ids.get("iface-id") != responder.port or interface.mac != responder.mac:
            txn.update(vs.Interface, interface.uuid, mac=responder.mac, external_ids=_ids(responder))
    for name, responder in sorted(missing.items()):
        row = vs.Interface(name=name, type="internal", mac=responder.mac, external_ids=_ids(responder))
        port = txn.insert(vs.Port(name=name, interfaces=(txn.insert(row),)))
        txn.mutate(vs.Bridge, bridge.uuid, "ports", "insert", port)
    return txn


def _ids(responder: Responder) -> StrMap:
    return StrMap({"iface-id": responder.port, MARK: responder.network})


def by_device(wanted: Mapping[str, Responder], replica: Replica) -> dict[str, Responder]:
    """The responders that are ours to make, by interface."""
    foreign = served_by_others(replica)
    return {responder.device: responder for responder in wanted.values() if responder.port not in foreign}
