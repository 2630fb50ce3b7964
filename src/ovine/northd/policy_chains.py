"""Chains of routing policies: which ones a router has, their numbers, and where jumps lead.

A *chain* is there if a policy of the router is in it. Its number, which flows match, is a hash of its name; where two
names have one hash, the later name takes the next number that is free. So a chain that comes or goes rarely changes the
number of another.

A jump that leads back, by itself or by way of others, to the chain that it is in would go on for ever: a packet takes
the same way through a chain each time. Such a jump is *circular*.
Source: ovn-nb(5) of OVN 25.03, "Logical_Router_Policy TABLE". Tests: tests/cases/northd/policy_chains.txt,
tests/unit/northd/test_policy_chains.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.language import SyntaxProblem, parse_match
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.routers import ROUTERS

DEFAULT = ""
"""The name of the chain that all packets go to."""
_NUMBERS = (1 << 16) - 1
"""How many there are besides 0, which is for the default chain."""


class Chain(NamedTuple):
    router: Uuid
    name: str


class Jump(NamedTuple):
    """There is a policy that leads from one chain to another."""

    start: Chain
    to: Chain


CHAINS: Relation[Chain, Chain] = Relation("chains of policies")
JUMPS: Relation[Jump, Jump] = Relation("jumps between chains of policies")

ROUTER_OF_POLICY = Index(nb.LogicalRouter, lambda router: router.policies, "routers by policy")
CHAINS_OF = Index(CHAINS, lambda chain: (chain.router,), "chains of policies by router")
JUMPS_FROM = Index(JUMPS, lambda jump: (jump.start,), "jumps between chains of policies by start")
CHAINED = Index(
    nb.LogicalRouterPolicy,
    lambda row: (row.uuid,) if row.chain != DEFAULT or row.action == "jump" else (),
    "policies with chains",
)


def unreadable(match: str) -> str:
    """What is wrong with a match; "" if it can be read."""
    try:
        parse_match(match)
    except SyntaxProblem as problem:
        return f"{match!r} cannot be read: {problem.message}"
    return ""


@rule(over=CHAINED, writes=(CHAINS, JUMPS))
def chained(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The chain that a policy is in, and the one that it leads to."""
    row = q.row(nb.LogicalRouterPolicy, key)
    routers: tuple[Uuid, ...] = q.find(ROUTER_OF_POLICY, key)
    if not routers or q.get(ROUTERS, routers[0]) is None:
        return
    here, to = Chain(routers[0], row.chain), Chain(routers[0], row.jump_chain)
    if here.name != DEFAULT:
        yield CHAINS(here, here)
    if row.action == "jump" and to.name != DEFAULT and not unreadable(row.match):
        jump = Jump(here, to)
        yield JUMPS(jump, jump)


@query
def _numbers(q: Reader, router: Uuid) -> tuple[tuple[str, int], ...]:
    """The chains of a router with their numbers."""
    chains: tuple[Chain, ...] = q.find(CHAINS_OF, router)
    return tuple(numbered(chain.name for chain in chains).items())


def numbered(names: Iterator[str]) -> dict[str, int]:
    """Numbers for chains, each other than 0, and as few as possible others than by their names alone."""
    found: dict[str, int] = {}
    for name in sorted(names):
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big")
        while number == 0 or number in found.values():
            number = number % _NUMBERS + 1
        found[name] = number
    return found


@query
def chain_number(q: Reader, chain: Chain) -> int | None:
    """The number of a chain; None if no policy is in it."""
    return 0 if chain.name == DEFAULT else dict(_numbers(q, chain.router)).get(chain.name)


@query
def reaches(q: Reader, chain: Chain) -> frozenset[str]:
    """The chains that jumps lead to from a chain, in one step or several."""
    found: set[str] = set()
    open_ends = [chain]
    while open_ends:
        for jump in q.find(JUMPS_FROM, open_ends.pop()):
            if jump.to.name not in found:
                found.add(jump.to.name)
                open_ends.append(jump.to)
    return frozenset(found)


def is_circular(q: Reader, jump: Jump) -> bool:
    """Whether what takes a jump would come back to where it starts."""
    return jump.to == jump.start or jump.start.name in reaches(q, jump.to)
