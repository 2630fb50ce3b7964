"""Routing policies: what overrides the route (Logical_Router_Policy).

A policy is one flow; one with several next hops has another for each of them, which matches again what the policy does
together with the next hop that was drawn. A policy concerns packets of the IP version of its next hops.
Policies are in *chains*, each known by its name and on each router by a number (`ovine.northd.policy_chains`). The
default chain, "", is asked first; a policy with the action `jump` has another one go on, for good: what no
policy of that chain is about goes its way.

A next hop that no network of the router has is reported, and the others are used; without any, the policy has no
effect. Nor has a jump that leads back to its own chain.
Wire behaviour is that of ovn-northd(8), "Router policies"; jumps are as in OVN 25.03.
Tests: tests/cases/northd/policies.txt, policy_chains.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.datapaths import ROUTERS
from ovine.northd.flows import FLOWS, Shared, flow
from ovine.northd.next_hops import segment
from ovine.northd.policy_chains import (
    DEFAULT,
    ROUTER_OF_POLICY,
    Chain,
    Jump,
    chain_number,
    is_circular,
    unreadable,
)
from ovine.northd.router_pipeline import CHAIN, CHAINED, OUTPORT, POLICY, POLICY_DRAW
from ovine.northd.router_ports import NEXT_HOPS, ROUTER_PORTS, Way, next_hop_used, sent_by, way_to
from ovine.northd.routers import ROUTERS as ROUTER_ROWS
from ovine.northd.routes import host

SOURCE = "policies"
STRICTNESS = {"drop": 0, "jump": 1, "reroute": 2, "allow": 3}

SHARED = (
    Shared(ROUTERS, POLICY, 0, "1", "next;", SOURCE),
    Shared(ROUTERS, CHAINED, 0, "1", "next;", SOURCE),
)

ALIKE = Index(
    nb.LogicalRouterPolicy,
    lambda row: ((row.chain, row.priority, row.match),),
    "policies by chain, priority and match",
)


class Hop(NamedTuple):
    """A next hop that can be used."""

    address: str
    way: Way


def _policy(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The flows of a policy with what can be used of it."""
    row = q.row(nb.LogicalRouterPolicy, key)
    routers: tuple[Uuid, ...] = q.find(ROUTER_OF_POLICY, key)
    router = routers[0]
    priority = row.priority + 1  # 0 is for packets that no policy is about
    mark = _mark(row)
    default = row.chain == DEFAULT
    stage = POLICY if default else CHAINED
    here = f"{CHAIN.field} == {chain_number(q, Chain(router, row.chain))}"
    if row.action != "reroute":
        match = row.match if default else f"{here} && ({row.match})"
        actions = "drop;" if row.action == "drop" else f"{mark}{_goes_on(q, router, row)}"
        yield flow(router, stage, priority, match, actions, source=SOURCE, hint=key)
        return
    hops = _hops(q, router, row)[0]
    if not hops:
        return
    for hop in hops:
        yield from next_hop_used(q, key, hop.way, hop.address)
    about = f"ip{6 if ':' in hops[0].address else 4} && ({row.match})"
    match = about if default else f"{here} && {about}"
    if len(hops) == 1:
        actions = f"{mark}{_sent(q, hops[0])} next;"
        yield flow(router, stage, priority, match, actions, source=SOURCE, hint=key)
        return
    numbers = ", ".join(str(number + 1) for number in range(len(hops)))
    actions = f"{mark}{POLICY_DRAW.field} = select({numbers});"
    yield flow(router, stage, priority, match, actions, source=SOURCE, hint=key)
    for number, hop in enumerate(hops, start=1):
        drawn = f"{here} && {about} && {POLICY_DRAW.field} == {number}"
        noted = segment(q, q.row(ROUTER_PORTS, hop.way.port))
        actions = f"{_sent(q, hop)} {noted}next;"
        # Above what notes the switch of a port that was chosen before.
        yield flow(router, OUTPORT, 100 + priority, drawn, actions, source=SOURCE, hint=key)


def _goes_on(q: Reader, router: Uuid, row: nb.LogicalRouterPolicy) -> str:
    """What is allowed leaves the policies, as does what jumps to a chain without any."""
    number = chain_number(q, Chain(router, row.jump_chain)) if row.action == "jump" else None
    if number is None:
        return "next;"
    onward = "next;" if row.chain == DEFAULT else f"next(pipeline = ingress, table = {CHAINED.table});"
    return f"{CHAIN.field} = {number}; {onward}"


def _working(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.get(nb.LogicalRouterPolicy, key)
    if row is None or not _enabled(q, key) or not _is_first(q, key) or unreadable(row.match):
        return
    if row.action != "jump" or not _astray(q, q.find(ROUTER_OF_POLICY, key)[0], row):
        yield from _policy(q, key)


@rule(over=ROUTER_OF_POLICY, writes=(FLOWS, NEXT_HOPS), on_failure=_working)
def policy(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A policy of an enabled router; what cannot be used of it is reported."""
    problems = _problems(q, key)
    if problems:
        raise ValueError("; ".join(problems))
    yield from _working(q, key)


def _enabled(q: Reader, key: Uuid) -> bool:
    return q.get(ROUTER_ROWS, q.find(ROUTER_OF_POLICY, key)[0]) is not None


def _is_first(q: Reader, key: Uuid) -> bool:
    """Of policies of one chain of a router with the same priority and match the strictest holds."""
    row = q.row(nb.LogicalRouterPolicy, key)
    alike: tuple[Uuid, ...] = q.find(ALIKE, (row.chain, row.priority, row.match))
    router = q.find(ROUTER_OF_POLICY, key)[0]
    rivals = [other for other in alike if router in q.find(ROUTER_OF_POLICY, other)]
    return key == min(rivals, key=lambda other: (STRICTNESS[q.row(nb.LogicalRouterPolicy, other).action], other))


def _astray(q: Reader, router: Uuid, row: nb.LogicalRouterPolicy) -> str:
    """Why a jump leads nowhere; "" if it leads to a chain, if only to one without policies."""
    if row.jump_chain == DEFAULT:
        return "it jumps, and jump_chain does not say to which chain; it has no effect"
    if is_circular(q, Jump(Chain(router, row.chain), Chain(router, row.jump_chain))):
        back = f"chain {row.chain}" if row.chain != DEFAULT else "the default chain"
        return f"the chain {row.jump_chain}, to which it jumps, leads back to {back}; it has no effect"
    return ""


def _problems(q: Reader, key: Uuid) -> list[str]:
    row = q.get(nb.LogicalRouterPolicy, key)
    if row is None or not _enabled(q, key):
        return []
    router = q.find(ROUTER_OF_POLICY, key)[0]
    chain = f" in chain {row.chain}" if row.chain != DEFAULT else ""
    who = f"policy {row.priority}{chain} of router {q.row(ROUTER_ROWS, router).name}"
    if not _is_first(q, key):
        return [f"{who}: another has the same priority and match; that one is taken"]
    if problem := unreadable(row.match):
        return [f"{who}: {problem}"]
    if row.action == "jump":
        return [f"{who}: {text}" for text in _jump_problems(q, router, row)]
    if row.action != "reroute":
        return []
    return [f"{who}: {text}" for text in _hops(q, router, row)[1]]


def _jump_problems(q: Reader, router: Uuid, row: nb.LogicalRouterPolicy) -> Iterator[str]:
    if problem := _astray(q, router, row):
        yield problem
    elif chain_number(q, Chain(router, row.jump_chain)) is None:
        yield f"the chain {row.jump_chain}, to which it jumps, has no policies; what jumps there is allowed"


def _hops(q: Reader, router: Uuid, row: nb.LogicalRouterPolicy) -> tuple[list[Hop], list[str]]:
    """The next hops of one IP version that can be reached, and what is wrong with the others."""
    hops: list[Hop] = []
    problems = []
    texts = row.nexthops or ((row.nexthop,) if row.nexthop else ())
    if not texts:
        return [], ["it has no next hop"]
    for text in texts:
        try:
            address = host(text, "rerouting")
        except ValueError as error:
            problems.append(str(error))
            continue
        way = way_to(q, router, address, None)
        if way is None:
            problems.append(f"no port of the router has a network with the next hop {address}")
        elif hops and (":" in hops[0].address) != (":" in address):
            problems.append(f"the next hop {address} is of another IP version than {hops[0].address}")
        else:
            hops.append(Hop(address, way))
    return hops, problems


def _sent(q: Reader, hop: Hop) -> str:
    return sent_by(q.row(ROUTER_PORTS, hop.way.port), hop.address, hop.way.address)


def _mark(row: nb.LogicalRouterPolicy) -> str:
    """options:pkt_mark, a number that fits the field."""
    text = row.options.get("pkt_mark", "")
    return f"pkt.mark = {int(text)}; " if text.isascii() and text.isdigit() and 0 < int(text) < 2**32 else ""
