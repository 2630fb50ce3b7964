"""Logical flows that use sets, compiled once for all their datapaths.

A match with an address set or port group is taken apart (`ovine.language.separate`). What is left is compiled here,
once, and enters itself as a user of each set (`ovine.controller.members`). With one dimension the members' flows act
by themselves; with several they are the clauses of a conjunction. A member's flow asks for nothing but the member, so
that all logical flows of one priority that use the set share it. Dimensions are

- the port group: (datapath, port) of each member on this host; a logical flow is about such ports only if it looks at
  `inport` in ingress, or `outport` in egress,
- without a port group, the datapaths of a datapath group,
- each address set,
- what else the match asks for, with its alternatives, such as a range of ports.

That suits nearly all ACLs. Where it does not (names whose meaning differs between the datapaths of a group, negated
sets, …) there is no plan, and the flow is compiled for each datapath (`ovine.controller.logical`).

How many members a set has changes no plan; only whether it has any, for then nothing can match. An address set that
has everything (`0.0.0.0/0`) is no dimension.

Tests: tests/cases/controller/sets.txt, tests/unit/controller/test_controller_sets.py,
tests/paths/test_controller_walk.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.action_scope import Scope
from ovine.controller.bodies import body_of
from ovine.controller.environment import ADDRESS_SET_BY_NAME, HostEnvironment, is_switch, template
from ovine.controller.flows import FLOWS, Body
from ovine.controller.members import MEMBERS_IN, USERS, Kind, Role, User, entries_of, with_member
from ovine.controller.placed import PORT_TAG, LogicalFlowError, concerns, datapaths_of
from ovine.controller.sums import CLAUSES, CONCLUSIONS, CONJUNCTIONS, Conclusion, Owner, clause, conclusion
from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.language import (
    Expr,
    FlowMatch,
    GroupTerm,
    Part,
    Separated,
    SetTerm,
    StaticEnvironment,
    Subfield,
    SyntaxProblem,
    all_of,
    compile_match,
    compile_parts,
    expand_templates,
    masked_address,
    parse_match,
    references,
    separate,
)
from ovine.language import actions as act
from ovine.language.action_parser import parse_actions
from ovine.language.layout import FIELDS as PLACES
from ovine.language.prerequisites import prerequisites
from ovine.model import sb
from ovine.model.base import NO_UUID, Uuid
from ovine.model.members import Tagged
from ovine.openflow import Entry, normalise

MAX_CUBES: Final = 1024
"""A rest with more alternatives than this is left to the compiler of whole matches."""
_KIND: Final = frozenset({"eth_type"})
_NEEDED: Final = dict.fromkeys(("nd_target", "nd_sll", "nd_tll"), _KIND | {"nw_proto", "icmpv6_type"})
"""What OpenFlow wants to be matched along with a field; for most that is the Ethernet type."""
HERE: Final = {"ingress": t.INPORT, "egress": t.OUTPORT}
"""The port field whose ports must be on this host, by pipeline."""


class Parsed(NamedTuple):
    """A logical flow's text, understood. `flows` has the match compiled, where that needs no environment."""

    expr: Expr
    actions: tuple[act.Action, ...]
    flows: tuple[FlowMatch, ...] | None


@lru_cache(maxsize=16384)
def parsed(match: str, actions: str, pipeline: act.Pipeline) -> Parsed:
    """Reads match and actions; SyntaxProblem shows where either makes no sense."""
    tree = parse_actions(actions, pipeline)
    expr = all_of((parse_match(match), prerequisites(tree)))
    static = None if _has_names(expr) else compile_match(expr, StaticEnvironment())
    return Parsed(expr, tree, static)


def _has_names(expr: Expr) -> bool:
    found = references(expr)
    return any((found.address_sets, found.port_groups, found.ports, found.templates, found.resident_ports))


def expanded(q: Reader, text: str) -> str:
    """The text with its template variables replaced."""
    return expand_templates(text, lambda name: template(q, name)) if "^" in text else text


def has_values(q: Reader, *texts: str) -> bool:
    """Whether this chassis has values for all template variables; flows that lack one are for others."""
    try:
        return all(expanded(q, text) is not None for text in texts)
    except SyntaxProblem:
        return False


def pipeline_of(row: Any) -> act.Pipeline:
    """The pipeline of a logical flow."""
    return "ingress" if row.pipeline == "ingress" else "egress"


def problem(row: Any, uuid: Uuid, error: ValueError) -> LogicalFlowError:
    """The error of a flow in the operator's terms, on one line; `>>>` marks the place in a text that does not parse."""
    stage = row.external_ids.get("stage-name", "")
    where = f"{row.pipeline} table {row.table_id}{f' ({stage})' if stage else ''}, priority {row.priority}"
    reason = str(error)
    if isinstance(error, SyntaxProblem):
        before, after = error.text[: error.position][-60:], error.text[error.position :][:60]
        reason = f"{error.message}: {before}>>>{after}"
    return LogicalFlowError(f"Logical_Flow {uuid}, {where}: {reason}")


# --- which flows have a plan ------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """A match taken apart; `datapath` is where it holds if that is one only."""

    sets: tuple[SetTerm, ...]
    groups: tuple[GroupTerm, ...]
    parts: tuple[Part, ...]
    actions: tuple[act.Action, ...]
    datapath: Uuid | None


def names_sets(match: str) -> bool:
    """Whether a match may use a set; cheap, and never wrong when it says no."""
    return "$" in match or "@" in match


FLOWS_WITH_SETS: Final = Index(
    sb.LogicalFlow, lambda row: (row.uuid,) if names_sets(row.match) else (), "logical flows with sets"
)


@query
def plan(q: Reader, uuid: Uuid) -> Plan | None:
    """The plan of a logical flow; None if it has none, or makes no sense."""
    row = q.get(sb.LogicalFlow, uuid)
    if row is None or (row.logical_datapath is not None and row.logical_dp_group is not None):
        return None
    try:
        return _plan(q, row)
    except ValueError:
        return None  # whoever compiles it by datapath says why


def _plan(q: Reader, row: Any) -> Plan | None:
    pipeline = pipeline_of(row)
    found = parsed(expanded(q, row.match), expanded(q, row.actions), pipeline)
    pieces, shared = separate(found.expr), row.logical_dp_group is not None
    if not (pieces.sets or pieces.groups) or any(g.field.field.openflow != HERE[pipeline] for g in pieces.groups):
        return None
    if not shared:
        parts = compile_parts(pieces.rest, HostEnvironment(q, row.logical_datapath), MAX_CUBES)
    elif _has_names(pieces.rest) or _names_ports(found.actions):
        return None
    else:
        parts = _static_parts(pieces.rest)
    if parts is None or _overlap(pieces, parts):
        return None
    return Plan(pieces.sets, pieces.groups, parts, found.actions, row.logical_datapath)


@lru_cache(maxsize=16384)
def _static_parts(rest: Expr) -> tuple[Part, ...] | None:
    return compile_parts(rest, StaticEnvironment(), MAX_CUBES)


def _names_ports(actions: Iterable[Any]) -> bool:
    """Whether actions name a port or tell the datapath, whose keys depend on the datapath."""
    return any(
        isinstance(action, act.Sample)
        or (isinstance(action, act.Set) and isinstance(action.value, str) and action.value != "")
        or _names_ports(getattr(action, "actions", ()))
        for action in actions
    )


def _overlap(pieces: Separated, parts: tuple[Part, ...]) -> bool:
    """Whether the rest is about the field of a set, too."""
    used = {name for part in parts for entries in (part.base, *part.choices) for name, _, _ in entries}
    fields = [*(term.field for term in pieces.sets), *(term.field for term in pieces.groups)]
    return any(each.field.place.mask & PLACES[name].mask for each in fields for name in used)


@query
def kinds(q: Reader, uuid: Uuid) -> frozenset[bool]:
    """Whether the local datapaths of a flow are switches: none, all of one kind, or both."""
    return frozenset(is_switch(q, datapath) for datapath in datapaths_of(q, uuid))


@query
def has_plan(q: Reader, uuid: Uuid) -> bool:
    """Whether a logical flow is compiled once for all its datapaths; `planned_flow` does it then."""
    return len(kinds(q, uuid)) == 1 and plan(q, uuid) is not None


# --- carrying plans out -----------------------------------------------------------------------------------------------


@query
def inhabited(q: Reader, uuid: Uuid, group: str) -> bool:
    """Whether a port group has a port here in one of the flow's datapaths."""
    return any(q.find(MEMBERS_IN, (group, datapath)) for datapath in datapaths_of(q, uuid))


@query
def addressed(q: Reader, name: str) -> bool | None:
    """Whether an address set has addresses; None if there is no such set."""
    for uuid in q.find(ADDRESS_SET_BY_NAME, name):
        return bool(q.row(sb.AddressSet, uuid).addresses)
    return None


def _is_all(address: str) -> bool:
    return address.endswith(("/0", "/0.0.0.0", "/::", "/00:00:00:00:00:00"))


ALL_ADDRESSES: Final = Index(
    sb.AddressSet, lambda row: Tagged(row.name, row.addresses, _is_all), "addresses in sets that may be everything"
)
EVERYTHING: Relation[tuple[str, str], str] = Relation("prefix of no bits in a set")
"""By set and prefix; the value is the set."""
EVERYTHING_IN: Final = Index(EVERYTHING, lambda name: (name,), "prefixes of no bits by set")


@rule(over=ALL_ADDRESSES, writes=(EVERYTHING,))
def everything(q: Reader, entry: tuple[str, str]) -> Iterator[Emit]:
    """What may be everything, by the name of its set: few sets have such a thing, and looking is not for each plan."""
    yield EVERYTHING(entry, entry[0])


@query
def has_all(q: Reader, name: str, field: Subfield) -> bool:
    """Whether every value of the field is in an address set, since it has a prefix of no bits."""
    found = (masked_address(prefix, field) for _, prefix in q.find(EVERYTHING_IN, name))
    return any(each is not None and each[1] == 0 for each in found)


@rule(over=FLOWS_WITH_SETS, writes=(FLOWS, USERS, CLAUSES, CONCLUSIONS, CONJUNCTIONS))
def planned_flow(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """What a logical flow with a plan has beside the flows of its sets' members."""
    if not has_plan(q, uuid):
        return
    row, found = q.row(sb.LogicalFlow, uuid), plan(q, uuid)
    if found is None or not _can_match(q, uuid, found) or not concerns(q, row.tags.get(PORT_TAG)):
        return
    try:
        yield from _planned(q, uuid, row, found)
    except ValueError as error:
        raise problem(row, uuid, error) from error


def _can_match(q: Reader, uuid: Uuid, found: Plan) -> bool:
    known = [[addressed(q, name) for name in term.sets] for term in found.sets]
    if any(None in sets or not (any(sets) or term.constants) for sets, term in zip(known, found.sets, strict=True)):
        return False
    return all(inhabited(q, uuid, term.group) for term in found.groups)


class Dimension(NamedTuple):
    """Sets by name, and what else is in the same union."""

    kind: Kind
    names: tuple[str, ...]
    field: Subfield | None = None
    constants: tuple[tuple[Entry, ...], ...] = ()


def _planned(q: Reader, uuid: Uuid, row: Any, found: Plan) -> Iterator[Emit]:
    pipeline, datapath = pipeline_of(row), datapaths_of(q, uuid)[0]
    # All its datapaths are of a kind and the actions name no ports: one of them speaks for all.
    scope = Scope(q, datapath, pipeline, row.table_id, uuid)
    body = body_of(scope, found.actions, row.controller_meter)
    if body is None:
        return
    table = t.logical_table(pipeline, row.table_id)
    dimensions = [*_places(uuid, found), *(d for term in found.sets for d in _set_dimension(q, term))]
    metadata: tuple[Entry, ...] = ()
    if found.datapath is not None and not found.groups:
        metadata = ((t.DATAPATH, q.row(sb.DatapathBinding, found.datapath).tunnel_key, None),)
    for number, part in enumerate(found.parts):
        owner = (uuid, found.datapath or NO_UUID, number)
        target = Target(owner, uuid, table, row.priority, (*metadata, *part.base), body)
        yield from _part(target, dimensions, part.choices)


class Target(NamedTuple):
    """A part of a logical flow, as OpenFlow sees it."""

    owner: Owner
    uuid: Uuid
    table: int
    priority: int
    base: tuple[Entry, ...]
    body: Body

    def needed(self, dimension: Dimension) -> tuple[Entry, ...]:
        """What a flow must match for it to be allowed to match on the field of a dimension."""
        names = (
            _NEEDED.get(dimension.field.field.openflow, _KIND)
            if dimension.kind == "addresses" and dimension.field
            else ()
        )
        return tuple(entry for entry in self.base if entry[0] in names)

    def user(self, dimension: Dimension, name: str, then: Role | Body) -> User:
        """The part as user of a set. What else it asks for stands elsewhere, so that others can share the flows."""
        base = self.needed(dimension)
        return User(dimension.kind, name, self.uuid, self.table, self.priority, base, dimension.field, then)


def _places(uuid: Uuid, found: Plan) -> list[Dimension]:
    if found.groups:
        return [Dimension("ports", (term.group,), term.field) for term in found.groups]
    return [Dimension("datapaths", (uuid,))] if found.datapath is None else []


def _set_dimension(q: Reader, term: SetTerm) -> Iterator[Dimension]:
    """The dimension of a set; none if it has everything."""
    if any(mask == 0 for _, mask in term.constants) or any(has_all(q, name, term.field) for name in term.sets):
        return
    constants = tuple(entries_of(term.field, value & mask, mask) for value, mask in term.constants)
    yield Dimension("addresses", term.sets, term.field, constants)


def _part(target: Target, dimensions: list[Dimension], choices: tuple[tuple[Entry, ...], ...]) -> Iterator[Emit]:
    shared = {entry for dimension in dimensions for entry in target.needed(dimension)}
    own = bool(choices) or any(entry not in shared for entry in target.base)
    total = len(dimensions) + own
    if not dimensions:
        for entries in choices or ((),):
            yield FLOWS((target.table, target.priority, normalise((*target.base, *entries))), target.body)
        return
    if total > 1:
        then = Conclusion(target.table, target.priority, target.base, target.body)
        yield from conclusion(target.owner, then)
    for number, dimension in enumerate(dimensions, 1):
        role = Role(target.owner, number, total) if total > 1 else target.body
        for name in dimension.names:
            yield USERS((target.owner, number, name), target.user(dimension, name, role))
        user = target.user(dimension, "", role)
        for entries in dimension.constants:
            yield with_member(user, *entries)
    for entries in (choices or ((),)) if own else ():
        key = (target.table, target.priority, normalise((*target.base, *entries)))
        yield clause(key, target.owner, total, total)


RULES = (everything, planned_flow)
