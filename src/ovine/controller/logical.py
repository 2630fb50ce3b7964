"""Logical flows to OpenFlow flows.

`place_flow` says in which local datapaths a logical flow holds; `logical_flow` compiles it for one of them. So a
datapath that becomes local costs its own flows and no others, and a port that changes costs the flows that name it.

A match that becomes a conjunction needs numbers that no other conjunction has: `CONJUNCTIONS` gives them, wishing for
a hash of whose conjunction it is, so that a restart finds the same ones. Flows of different logical flows may be the
same clause of several conjunctions; `clause_flow` makes one flow of them.

A logical flow that cannot be compiled raises: it alone is missing, and `ovine/failures` shows its uuid and the place.

Tests: tests/cases/controller/logical.txt, tests/unit/controller/test_controller_incremental.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from ovine import openflow as of
from ovine.controller import tables as t
from ovine.controller.actions import Scope, encode
from ovine.controller.environment import HostEnvironment, template
from ovine.controller.flows import FLOWS, Body, FlowKey, cookie_of, flow
from ovine.controller.local import LOCAL_DATAPATHS, PORT_BY_NAME
from ovine.controller.physical import place
from ovine.engine import Emit, Index, Reader, Relation, Sticky, query, rule
from ovine.language import (
    Expr,
    FlowMatch,
    StaticEnvironment,
    SyntaxProblem,
    all_of,
    compile_match,
    expand_templates,
    parse_match,
    references,
)
from ovine.language.action_parser import parse_actions
from ovine.language.actions import Action, Pipeline
from ovine.language.prerequisites import prerequisites
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Entry, normalise

Placed = tuple[Uuid, Uuid]
"""(Logical_Flow, Datapath_Binding)."""
Owner = tuple[Uuid, Uuid, int]
"""A conjunction: the logical flow, the datapath, and the number within that flow's match."""


class Clause(NamedTuple):
    """One flow's part in one conjunction, to be completed with its number."""

    key: FlowKey
    owner: Owner
    clause: int
    n_clauses: int


class Conclusion(NamedTuple):
    """What happens when all clauses of a conjunction match; `match` lacks the conjunction's number."""

    table: int
    priority: int
    match: tuple[Entry, ...]
    body: Body


PLACED: Relation[Placed, bool] = Relation("logical flow in a local datapath")
CLAUSES: Relation[tuple[FlowKey, Owner, int], Clause] = Relation("clause of a conjunction")
CONCLUSIONS: Relation[Owner, Conclusion] = Relation("conclusion of a conjunction")
CONJUNCTIONS: Sticky[Owner] = Sticky("conjunction number", 1, 0xFFFFFFFF)
CLAUSES_OF_FLOW: Final = Index(CLAUSES, lambda clause: (clause.key,), "clauses by flow")


PORT_TAG: Final = "in_out_port"
"""The tag by which northd says that a flow's `inport` (ingress) or `outport` (egress) is this one port."""
PLACED_TYPES: Final = frozenset({"", "localport", "localnet"})
"""Port types whose packets enter and leave where `place` says."""


class LogicalFlowError(ValueError):
    """A logical flow that cannot be carried out; the text has its uuid, its stage, and the reason with the place."""


@query
def local_members(q: Reader, group: Uuid) -> tuple[Uuid, ...]:
    """The local datapaths of a datapath group."""
    row = q.get(sb.LogicalDPGroup, group)
    members = row.datapaths if row is not None else ()
    return tuple(datapath for datapath in members if q.get(LOCAL_DATAPATHS, datapath) is not None)


@rule(over=sb.LogicalFlow, writes=(PLACED,))
def place_flow(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The local datapaths in which a logical flow holds."""
    row = q.row(sb.LogicalFlow, uuid)
    if row.logical_dp_group is not None:
        for datapath in local_members(q, row.logical_dp_group):
            yield PLACED((uuid, datapath), True)
    own = row.logical_datapath
    if own is not None and q.get(LOCAL_DATAPATHS, own) is not None:
        yield PLACED((uuid, own), True)


# --- one flow in one datapath -----------------------------------------------------------------------------------------


class Parsed(NamedTuple):
    """A logical flow's text, understood. `flows` has the match compiled, where that needs no environment."""

    expr: Expr
    actions: tuple[Action, ...]
    flows: tuple[FlowMatch, ...] | None


@lru_cache(maxsize=16384)
def parsed(match: str, actions: str, pipeline: Pipeline) -> Parsed:
    """Reads match and actions; SyntaxProblem shows where either makes no sense."""
    tree = parse_actions(actions, pipeline)
    expr = all_of((parse_match(match), prerequisites(tree)))
    found = references(expr)
    names = (found.address_sets, found.port_groups, found.ports, found.templates, found.resident_ports)
    static = None if any(names) else compile_match(expr, StaticEnvironment())
    return Parsed(expr, tree, static)


@rule(over=PLACED, writes=(FLOWS, CLAUSES, CONCLUSIONS, CONJUNCTIONS))
def logical_flow(q: Reader, key: Placed) -> Iterator[Emit]:
    """The OpenFlow flows of one logical flow in one local datapath."""
    uuid, datapath = key
    row, datapath_key = q.value(sb.LogicalFlow, uuid), q.get(LOCAL_DATAPATHS, datapath)
    if row is None or datapath_key is None or not _concerns(q, row.tags.get(PORT_TAG)):
        return
    try:
        yield from _compiled(q, row, datapath, datapath_key)
    except ValueError as error:
        stage = row.external_ids.get("stage-name", "")
        where = f"{row.pipeline} table {row.table_id}{f' ({stage})' if stage else ''}, priority {row.priority}"
        raise LogicalFlowError(f"Logical_Flow {uuid}, {where}: {_reason(error)}") from error


def _concerns(q: Reader, port: str | None) -> bool:
    """Whether a flow can match here, if its tag says that it is about packets at one port only."""
    if port is None:
        return True
    return any(
        q.row(sb.PortBinding, uuid).type not in PLACED_TYPES or place(q, uuid) is not None
        for uuid in q.find(PORT_BY_NAME, port)
    )


def _reason(error: ValueError) -> str:
    """An error on one line; `>>>` marks the place in a text that does not parse."""
    if not isinstance(error, SyntaxProblem):
        return str(error)
    before, after = error.text[: error.position][-60:], error.text[error.position :][:60]
    return f"{error.message}: {before}>>>{after}"


def _compiled(q: Reader, row: sb.LogicalFlow, datapath: Uuid, datapath_key: int) -> Iterator[Emit]:
    pipeline: Pipeline = "ingress" if row.pipeline == "ingress" else "egress"
    found = parsed(_expanded(q, row.match), _expanded(q, row.actions), pipeline)
    matches = found.flows
    if matches is None:
        matches = compile_match(found.expr, HostEnvironment(q, datapath))
    if not matches:
        return
    table = t.logical_table(pipeline, row.table_id)
    body = Body(encode(found.actions, Scope(q, datapath, pipeline, row.table_id)), cookie_of(row.uuid))
    metadata: Entry = (t.DATAPATH, datapath_key, None)
    for match in matches:
        yield from _flows_of(match, table, row.priority, metadata, body, row.uuid, datapath)


def _expanded(q: Reader, text: str) -> str:
    return expand_templates(text, lambda name: template(q, name)) if "^" in text else text


def _flows_of(
    match: FlowMatch, table: int, priority: int, metadata: Entry, body: Body, uuid: Uuid, datapath: Uuid
) -> Iterator[Emit]:
    concluding = next((value for name, value, _ in match.fields if name == "conj_id"), None)
    entries = (metadata, *(entry for entry in match.fields if entry[0] != "conj_id"))
    if match.conjunctions:
        key = (table, priority, normalise(entries))
        for number, clause, n_clauses in match.conjunctions:
            owner = (uuid, datapath, number)
            yield CLAUSES((key, owner, clause), Clause(key, owner, clause, n_clauses))
    elif concluding is not None:
        owner = (uuid, datapath, concluding)
        yield CONJUNCTIONS.request(owner, wanted=_wish(owner))
        yield CONCLUSIONS(owner, Conclusion(table, priority, entries, body))
    else:
        yield FLOWS((table, priority, normalise(entries)), body)


def _wish(owner: Owner) -> int:
    digest = hashlib.blake2b(repr(owner).encode(), digest_size=4).digest()
    return int.from_bytes(digest) or 1


# --- conjunctions -----------------------------------------------------------------------------------------------------


@rule(over=CONCLUSIONS, writes=(FLOWS,))
def conclusion_flow(q: Reader, owner: Owner) -> Iterator[Emit]:
    """The flow that acts once all clauses of a conjunction have matched."""
    found, number = q.value(CONCLUSIONS, owner), q.get(CONJUNCTIONS, owner)
    if found is not None and number is not None:
        match = normalise((*found.match, ("conj_id", number, None)))
        yield FLOWS((found.table, found.priority, match), found.body)


@rule(over=CLAUSES_OF_FLOW, writes=(FLOWS,))
def clause_flow(q: Reader, key: FlowKey) -> Iterator[Emit]:
    """One flow for all the clauses that ask for the same packets."""
    actions = []
    for clause_key in q.find(CLAUSES_OF_FLOW, key):
        clause = q.row(CLAUSES, clause_key)
        number = q.get(CONJUNCTIONS, clause.owner)
        if number is not None:
            actions.append(of.Conjunction(number, clause.clause, clause.n_clauses))
    if actions:
        table, priority, match = key
        ordered = tuple(sorted(actions, key=lambda action: (action.id, action.clause)))
        yield flow(table, priority, match, ordered)


RULES = (place_flow, logical_flow, conclusion_flow, clause_flow)
