"""Conjunctions: a match on one of N and one of M things in N + M flows instead of N * M.

Whoever compiles a logical flow emits the *clauses* (flows of which one per clause must match) and the *conclusion*
(what happens then). A conjunction needs a number that no other conjunction has: `CONJUNCTIONS` gives it, wishing for a
hash of whose conjunction it is, so that a restart finds the same one. Flows of different logical flows may be the same
clause of several conjunctions; `clause_flow` makes one flow of them.

A clause may ask for the very packets that a plain flow of equal priority has (`outport == @pg && ip4` beside
`outport == @pg && ip4.src == $as`). Then the plain flow must hold: a packet that it has matches the other logical flow
as well, or not at all, and of two that match at one priority either may act. Of rivals in FLOWS the one whose origin
sorts first holds: that is why `clause_flow` lives in a module whose name sorts behind those that write plain flows.
For the same reason Open vSwitch prefers a plain flow over a conjunction of its priority.

Tests: tests/cases/controller/logical.txt, sets.txt, tests/unit/controller/test_controller_sets.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from ovine import openflow as of
from ovine.controller.flows import FLOWS, Body, FlowKey, flow
from ovine.engine import Emit, Index, Reader, Relation, Sticky, rule
from ovine.model.base import Uuid
from ovine.openflow import Entry, normalise

Owner = tuple[Uuid, Uuid, int]
"""A conjunction: the logical flow, the datapath (NO_UUID: all of the flow's), and a number within its match."""


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


CLAUSES: Relation[tuple[FlowKey, Owner, int], Clause] = Relation("clause of a conjunction")
CONCLUSIONS: Relation[Owner, Conclusion] = Relation("conclusion of a conjunction")
CONJUNCTIONS: Sticky[Owner] = Sticky("conjunction number", 1, 0xFFFFFFFF)
CLAUSES_OF_FLOW: Final = Index(CLAUSES, lambda clause: (clause.key,), "clauses by flow")


def clause(key: FlowKey, owner: Owner, number: int, n_clauses: int) -> Emit:
    """The output of a rule that knows a flow for clause `number` of `n_clauses`."""
    return CLAUSES((key, owner, number), Clause(key, owner, number, n_clauses))


def conclusion(owner: Owner, then: Conclusion) -> Iterator[Emit]:
    """The outputs of a rule that has a conjunction."""
    digest = hashlib.blake2b(repr(owner).encode(), digest_size=4).digest()
    yield CONJUNCTIONS.request(owner, wanted=int.from_bytes(digest) or 1)
    yield CONCLUSIONS(owner, then)


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
        found = q.value(CLAUSES, clause_key)
        number = q.get(CONJUNCTIONS, found.owner) if found is not None else None
        if found is not None and number is not None:
            actions.append(of.Conjunction(number, found.clause, found.n_clauses))
    if actions:
        table, priority, match = key
        ordered = tuple(sorted(actions, key=lambda action: (action.id, action.clause)))
        yield flow(table, priority, match, ordered)


RULES = (conclusion_flow, clause_flow)
