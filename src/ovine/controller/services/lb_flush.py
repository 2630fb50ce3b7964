"""Connections that end with the backend they were balanced to (`ct_flush` of a load balancer).

A *way* is what a load balancer makes of a connection: from a virtual address to a backend. When a way is gone (the
backend, the virtual address or the load balancer is), or holds on a datapath no more, the host forgets the connections
that went it, once the switch has acknowledged flows without it. A packet that follows is as the first one of a
connection: it gets another backend, or none.

What was lost is the difference between what holds and what held when the switch last acknowledged all flows
(`lost`). So nothing is forgotten when a controller starts, and what went while the switch was away is when it is back.

Usually a single message finds the connections of a way in all conntrack zones: that costs the switch one walk through
its connections. While the same way still holds elsewhere on this host, as with networks that use the same addresses,
the zones of the datapaths that lost it are named one by one.

Source: ovn-nb(5), Load_Balancer options:ct_flush. Tests: tests/unit/controller/services/test_lb_flush.py,
tests/cases/packets/lb_flush*.txt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from ovine.controller.services.lb_hairpin import NUMBERS, End, filled, local_datapaths, parse_end
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import CtFlush, CtTuple


class Way(NamedTuple):
    """From a virtual address to a backend. Without ports every protocol is meant, and `protocol` is 0."""

    protocol: int
    vip: End
    backend: End


class Balanced(NamedTuple):
    """What one load balancer does on this host."""

    ways: frozenset[Way]
    datapaths: frozenset[Uuid]
    """The local ones."""
    ending: bool
    """Connections are to end with their backends."""


BALANCED: Relation[Uuid, Balanced] = Relation("balanced connections")
"""By the row of Load_Balancer."""


@rule(over=sb.LoadBalancer, writes=(BALANCED,))
def balanced(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The ways of a load balancer that a local datapath has; what makes no sense is told by the rule for hairpins."""
    row = q.row(sb.LoadBalancer, uuid)
    local = local_datapaths(q, row)
    if local:
        ending = row.options.get("ct_flush", "").lower() == "true"
        yield BALANCED(uuid, Balanced(frozenset(_ways(filled(q, row), row.protocol)), frozenset(local), ending))


def _ways(vips: Mapping[str, str], protocol: str | None) -> Iterator[Way]:
    for vip_text, backends in vips.items():
        for backend_text in filter(None, (word.strip() for word in backends.split(","))):
            try:
                vip, backend = parse_end(vip_text), parse_end(backend_text)
            except ValueError:
                continue
            if vip.ip.version == backend.ip.version:
                yield Way(NUMBERS[protocol or "tcp"] if vip.port is not None else 0, vip, backend)


def lost(
    before: Mapping[Uuid, Balanced],
    now: Mapping[Uuid, Balanced],
    zones: Callable[[Iterable[Uuid]], Iterable[int]],
) -> list[CtFlush]:
    """What the switch has to forget; `zones` says which conntrack zones some datapaths have."""
    gone: dict[Way, set[Uuid]] = {}
    for uuid, old in before.items():
        new = now.get(uuid)
        if new != old and (new or old).ending:
            for way in old.ways:
                still = new.datapaths if new is not None and way in new.ways else frozenset()
                if not old.datapaths <= still:
                    gone.setdefault(way, set()).update(old.datapaths - still)
    kept: dict[Way, set[Uuid]] = {}
    for one in now.values() if gone else ():
        for way in one.ways & gone.keys():
            kept.setdefault(way, set()).update(one.datapaths)
    return [message for way in sorted(gone, key=repr) for message in _messages(way, gone[way], kept.get(way), zones)]


def _messages(
    way: Way, datapaths: set[Uuid], kept: set[Uuid] | None, zones: Callable[[Iterable[Uuid]], Iterable[int]]
) -> Iterator[CtFlush]:
    first = CtTuple(dst=way.vip.ip, dport=way.vip.port or 0)
    answers = CtTuple(src=way.backend.ip, sport=way.backend.port or 0)
    if kept is None:
        yield CtFlush(way.protocol, first, answers)
        return
    for zone in sorted(zones(datapaths - kept)):
        yield CtFlush(way.protocol, first, answers, zone)


RULES: Final = (balanced,)
