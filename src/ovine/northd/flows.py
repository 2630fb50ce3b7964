"""Logical flows: one for one datapath, or one for all datapaths of a *scope*.

A scope is a named set of datapaths ("every switch", "switches with unknown addresses"). Flows that are the same for
many datapaths are declared once, as `Shared`, and cost one row however many there are: their row names a datapath
group. When a datapath comes or goes, the group changes and no flow does.

Terms: a flow's key is (place, pipeline, table, priority, match), the place being a datapath's key or a `Scope`. Two
rules that give one key different actions are in conflict, which the engine reports.

Invariant: a scope with one member uses `logical_datapath`, one with more a `Logical_DP_Group`.
Tests: tests/unit/northd/test_northd_rules.py.
"""

from __future__ import annotations

import json
import uuid as uuids
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from weakref import WeakValueDictionary

from ovine.engine import Emit, Index, Reader, Relation, Rule, query, rule
from ovine.model import sb
from ovine.model.base import StrMap, Uuid
from ovine.northd.stages import Stage
from ovine.projection import NAMESPACE, Names, Target, ref


@dataclass(frozen=True, order=True, slots=True, weakref_slot=True)
class Scope:
    """A named set of datapaths; made by `scope`."""

    scope: str


class Member(NamedTuple):
    """A datapath's being in a scope."""

    scope: Scope
    datapath: Uuid


@dataclass(frozen=True)
class Shared:
    """A flow that every datapath of a scope has.

    `protocol` says which packets it hands to the controller, in the words of the northbound's Copp table
    (`ovine.northd.copp`).
    """

    scope: Scope
    stage: Stage
    priority: int
    match: str
    actions: str
    source: str
    protocol: str = ""


Place: TypeAlias = Uuid | Scope
"""Where a flow is: on one datapath, by its northbound uuid, or on those of a scope with several."""
FlowKey: TypeAlias = tuple[Hashable, str, int, int, str]

DATAPATHS: Relation[Uuid, sb.DatapathBinding] = Relation("Datapath_Binding")
"""By the northbound switch's or router's uuid. Written by `ovine.northd.datapaths`; here because flows refer to it."""
MEMBERS: Relation[Member, Member] = Relation("scope members")
DP_GROUPS: Relation[Scope, sb.LogicalDPGroup] = Relation("Logical_DP_Group")
FLOWS: Relation[FlowKey, sb.LogicalFlow] = Relation("Logical_Flow")

BY_SCOPE = Index(MEMBERS, lambda member: (member.scope,), "members by scope")


@lru_cache(maxsize=65536)
def datapath_ref(switch: Uuid) -> Uuid:
    """A reference to the Datapath_Binding row of a northbound switch."""
    return ref(DATAPATHS, switch)


def flow(
    place: Place,
    stage: Stage,
    priority: int,
    match: str,
    actions: str,
    *,
    source: str,
    hint: Uuid,
    port: str | None = None,
    meter: str | None = None,
) -> Emit:
    """A flow of one datapath, or of a scope that has several, because of the northbound row `hint`.

    `port` may be given where the flow is of use only to the host of that port (it is the inport in ingress, the outport
    in egress): other hosts then need not look at it. `meter` limits the packets that it hands to the controller.
    """
    ids = {"stage-name": stage.name, "stage-hint": hint[:8], "source": source}
    row = sb.LogicalFlow(
        logical_datapath=None if isinstance(place, Scope) else datapath_ref(place),
        logical_dp_group=ref(DP_GROUPS, place) if isinstance(place, Scope) else None,
        pipeline=stage.pipeline,
        table_id=stage.table,
        priority=priority,
        match=match,
        actions=actions,
        tags=StrMap({"in_out_port": port} if port is not None else {}),
        controller_meter=meter,
        external_ids=StrMap(ids),
    )
    return FLOWS((place, stage.pipeline, stage.table, priority, match), row)


def quoted(text: str) -> str:
    """A port's name, or any string, as it stands in a match or action: as in JSON."""
    return json.dumps(text, ensure_ascii=False)


def one_of(values: Iterable[str]) -> str:
    """A constant of a match: the value, or the set of them."""
    listed = list(values)
    return listed[0] if len(listed) == 1 else "{" + ", ".join(listed) + "}"


@query
def only_member(q: Reader, scope: Scope) -> Uuid | None:
    """The datapath of a scope that has just one."""
    members: tuple[Member, ...] = q.find(BY_SCOPE, scope)
    return members[0].datapath if len(members) == 1 else None


@query
def place_of(q: Reader, scope: Scope) -> Place | None:
    """Where the flows of a scope go; None while it has no member. Changes only as it comes to have one or several."""
    only = only_member(q, scope)
    if only is not None:
        return only
    return scope if q.find(BY_SCOPE, scope) else None


@rule(over=BY_SCOPE, writes=(DP_GROUPS,))
def datapath_group(q: Reader, scope: Scope) -> Iterator[Emit]:
    """A scope with several members needs a group."""
    members: tuple[Member, ...] = q.find(BY_SCOPE, scope)
    if len(members) > 1:
        yield DP_GROUPS(scope, sb.LogicalDPGroup(datapaths=tuple(datapath_ref(m.datapath) for m in members)))


def shared_flows(declared: Iterable[Shared]) -> Rule:
    """The rule that emits the declared flows, for each scope that has a member."""
    by_scope: dict[Scope, list[Shared]] = {}
    for one in declared:
        by_scope.setdefault(one.scope, []).append(one)

    @rule(over=BY_SCOPE, writes=(FLOWS,))
    def shared_flow(q: Reader, scope: Scope) -> Iterator[Emit]:
        only = only_member(q, scope)
        for one in by_scope.get(scope, ()):
            row = sb.LogicalFlow(
                logical_datapath=datapath_ref(only) if only is not None else None,
                logical_dp_group=ref(DP_GROUPS, scope) if only is None else None,
                pipeline=one.stage.pipeline,
                table_id=one.stage.table,
                priority=one.priority,
                match=one.match,
                actions=one.actions,
                external_ids=StrMap({"stage-name": one.stage.name, "source": one.source}),
            )
            place = only if only is not None else scope
            yield FLOWS((place, one.stage.pipeline, one.stage.table, one.priority, one.match), row)

    return shared_flow


# --- how the rows are recognised in the southbound ------------------------------------------------------------------

_SCOPES: WeakValueDictionary[str, Scope] = WeakValueDictionary()
GROUPS_KNOWN: WeakValueDictionary[Uuid, Scope] = WeakValueDictionary()
"""The row uuids that groups have, which depend on their names alone. A group's row has no name of its own.

Rules declare scopes too, as they run; so every scope that is in use is known before rows are compared. One that nobody
uses any more is forgotten.
"""


def scope(name: str) -> Scope:
    """Declares a scope; there is one object for each name."""
    known = _SCOPES.get(name)
    if known is not None:
        return known
    declared = _SCOPES[name] = Scope(name)
    row_name = f"{sb.LogicalDPGroup.spec.name} {declared!r}"
    GROUPS_KNOWN[Uuid(str(uuids.uuid5(NAMESPACE, row_name)))] = declared
    return declared


def _group_key(row: sb.LogicalDPGroup, names: Names) -> Hashable:
    return GROUPS_KNOWN.get(row.uuid, row.uuid)


def _flow_key(row: sb.LogicalFlow, names: Names) -> Hashable:
    place = (
        names(sb.DatapathBinding, row.logical_datapath)
        if row.logical_dp_group is None
        else names(sb.LogicalDPGroup, row.logical_dp_group)
    )
    if place is None:
        place = row.uuid  # of no use to anybody; not wanted
    return (place, row.pipeline, row.table_id, row.priority, row.match)


GROUP_TARGET = Target(DP_GROUPS, sb.LogicalDPGroup, _group_key, ("datapaths",))
FLOW_TARGET = Target(
    FLOWS,
    sb.LogicalFlow,
    _flow_key,
    (
        "logical_datapath",
        "logical_dp_group",
        "pipeline",
        "table_id",
        "priority",
        "match",
        "actions",
        "tags",
        "controller_meter",
        "external_ids",
    ),
)
