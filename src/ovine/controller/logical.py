"""Logical flows to OpenFlow flows, one datapath at a time.

`placed` says in which local datapaths a logical flow holds; `logical_flow` compiles it for one of them. So a datapath
that becomes local costs its own flows and no others, and a port that changes costs the flows that name it. Flows that
use address sets or port groups mostly are not compiled here, but once for all datapaths (`ovine.controller.plans`).

A logical flow that cannot be compiled raises: it alone is missing, and `ovine/failures` shows its uuid and the place.

Tests: tests/cases/controller/logical.txt, tests/unit/controller/test_controller_incremental.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.controller import tables as t
from ovine.controller.action_scope import Scope
from ovine.controller.bodies import body_of
from ovine.controller.environment import HostEnvironment
from ovine.controller.flows import FLOWS, Body
from ovine.controller.local import LOCAL_DATAPATHS
from ovine.controller.members import datapath_flows
from ovine.controller.placed import PLACED, PORT_TAG, Placed, concerns
from ovine.controller.plans import expanded, has_plan, has_values, names_sets, parsed, pipeline_of, problem
from ovine.controller.sums import CLAUSES, CONCLUSIONS, CONJUNCTIONS, Conclusion, clause, conclusion
from ovine.engine import Emit, Reader, rule
from ovine.language import FlowMatch, compile_match
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Entry, normalise


@rule(over=PLACED, writes=(FLOWS, CLAUSES, CONCLUSIONS, CONJUNCTIONS))
def logical_flow(q: Reader, key: Placed) -> Iterator[Emit]:
    """The OpenFlow flows of one logical flow in one local datapath."""
    uuid, datapath = key
    row, datapath_key = q.value(sb.LogicalFlow, uuid), q.get(LOCAL_DATAPATHS, datapath)
    if row is None or datapath_key is None or not concerns(q, row.tags.get(PORT_TAG)):
        return
    if names_sets(row.match) and has_plan(q, uuid):
        yield from datapath_flows(q, uuid, datapath_key)
        return
    try:
        yield from _compiled(q, row, datapath, datapath_key)
    except ValueError as error:
        raise problem(row, uuid, error) from error


def _compiled(q: Reader, row: sb.LogicalFlow, datapath: Uuid, datapath_key: int) -> Iterator[Emit]:
    if not has_values(q, row.match, row.actions):
        return
    pipeline = pipeline_of(row)
    found = parsed(expanded(q, row.match), expanded(q, row.actions), pipeline)
    matches = found.flows
    if matches is None:
        matches = compile_match(found.expr, HostEnvironment(q, datapath))
    if not matches:
        return
    table = t.logical_table(pipeline, row.table_id)
    scope = Scope(q, datapath, pipeline, row.table_id, row.uuid)
    body = body_of(scope, found.actions, row.controller_meter)
    if body is None:
        return
    metadata: Entry = (t.DATAPATH, datapath_key, None)
    for match in matches:
        yield from _flows_of(match, table, row.priority, metadata, body, row.uuid, datapath)


def _flows_of(
    match: FlowMatch, table: int, priority: int, metadata: Entry, body: Body, uuid: Uuid, datapath: Uuid
) -> Iterator[Emit]:
    concluding = next((value for name, value, _ in match.fields if name == "conj_id"), None)
    entries = (metadata, *(entry for entry in match.fields if entry[0] != "conj_id"))
    if match.conjunctions:
        key = (table, priority, normalise(entries))
        for number, which, n_clauses in match.conjunctions:
            yield clause(key, (uuid, datapath, number), which, n_clauses)
    elif concluding is not None:
        yield from conclusion((uuid, datapath, concluding), Conclusion(table, priority, entries, body))
    else:
        yield FLOWS((table, priority, normalise(entries)), body)


RULES = (logical_flow,)
