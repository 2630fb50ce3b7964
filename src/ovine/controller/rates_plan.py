"""What is to be written for rates of ports: QoS and Queue rows of this host's egress interfaces.

Rows of ours bear a mark (`ovine.controller.rates`); an interface that has a QoS of somebody else keeps it. Rows of
these tables live until somebody deletes them; so those of ours that nobody refers to go.

Tests: tests/interop/controller/test_controller_plans.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ovine.controller.rates import FASTEST, MARK, Queue
from ovine.model import vs
from ovine.model.base import Map, StrMap, Uuid
from ovine.ovsdb import Replica, Transaction

_OURS: Final = StrMap({MARK: "true"})
_KIND: Final = "linux-htb"
_SETTINGS: Final = StrMap({"max-rate": str(FASTEST)})


def plan_rates(txn: Transaction, replica: Replica, shaped: Mapping[Uuid, Map[int, Queue]]) -> None:
    """Gives egress interfaces (by Port) the queues that they should have, and takes ours from others."""
    kept: set[Uuid] = set()
    for uuid, port in replica.rows(vs.Port).items():
        there = replica.get(vs.QoS, port.qos) if port.qos is not None else None
        if there is not None and there.external_ids.get(MARK) != "true":
            continue
        wanted: Map[int, Queue] = shaped.get(uuid, Map())
        if there is None and wanted:
            queues = Map({number: txn.insert(_row(queue)) for number, queue in wanted.items()})
            made = vs.QoS(type=_KIND, queues=queues, other_config=_SETTINGS, external_ids=_OURS)
            txn.update(vs.Port, uuid, qos=txn.insert(made))
        elif there is not None and not wanted:
            txn.update(vs.Port, uuid, qos=None)
        elif there is not None:
            kept |= {there.uuid, *_changed(txn, replica, there, wanted)}
    rows: list[vs.QoS | vs.Queue] = [*replica.rows(vs.QoS).values(), *replica.rows(vs.Queue).values()]
    for row in rows:
        if row.external_ids.get(MARK) == "true" and row.uuid not in kept:
            txn.delete(type(row), row.uuid)


def _changed(txn: Transaction, replica: Replica, there: vs.QoS, wanted: Mapping[int, Queue]) -> set[Uuid]:
    """Makes the queues of a QoS row those that are wanted; the rows that stay."""
    queues: dict[int, Uuid] = {}
    stay: set[Uuid] = set()
    for number, queue in wanted.items():
        should, before = _row(queue), there.queues.get(number)
        row = replica.get(vs.Queue, before) if before is not None else None
        if row is None or row.external_ids.get(MARK) != "true":
            queues[number] = txn.insert(should)
            continue
        queues[number] = row.uuid
        stay.add(row.uuid)
        if (row.other_config, row.external_ids) != (should.other_config, should.external_ids):
            txn.update(vs.Queue, row.uuid, other_config=should.other_config, external_ids=should.external_ids)
    if queues != there.queues or there.type != _KIND or there.other_config != _SETTINGS:
        txn.update(vs.QoS, there.uuid, queues=Map(queues), type=_KIND, other_config=_SETTINGS)
    return stay


def _row(queue: Queue) -> vs.Queue:
    return vs.Queue(other_config=queue.settings, external_ids=StrMap({MARK: "true", "ovn_port": queue.logical_port}))
