"""Control plane protection: meters that limit what the packets of a protocol may cost the hosts' controllers.

Flows that hand packets of a protocol to the controller name the meter that the switch's or router's Copp row gives that
protocol. A flow of a scope cannot: so it gets a companion, one priority higher, on each datapath of the scope where
there is such a meter.

Source: ovn-nb(5), "Copp TABLE". Tests: tests/unit/northd/test_northd_copp.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ovine.engine import Emit, Index, Reader, Rule, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.flows import FLOWS, MEMBERS, Member, Shared, flow
from ovine.northd.meters import NAMED

PROTOCOLS = frozenset(
    (
        *("arp", "arp-resolve", "dhcpv4-opts", "dhcpv6-opts", "dns", "event-elb", "icmp4-error", "icmp6-error", "igmp"),
        *("nd-na", "nd-ns", "nd-ns-resolve", "nd-ra-opts", "tcp-reset", "bfd", "reject", "svc-monitor", "dhcpv4-relay"),
    )
)


@query
def _copp_of(q: Reader, datapath: Uuid) -> Uuid | None:
    for table in (nb.LogicalSwitch, nb.LogicalRouter):
        row = q.get(table, datapath)
        if row is not None:
            copp: Uuid | None = row.copp
            return copp
    return None


@query
def limit(q: Reader, datapath: Uuid, protocol: str) -> str | None:
    """The meter for packets of a protocol on a datapath; None if there is none."""
    copp = _copp_of(q, datapath)
    row = q.get(nb.Copp, copp) if copp is not None else None
    name: str | None = row.meters.get(protocol) if row is not None else None
    return name if name is not None and q.find(NAMED, name) else None


@rule(over=nb.Copp, writes=())
def sensible(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports what has no effect in a Copp row."""
    row = q.row(nb.Copp, key)
    found = [f"{name} is no protocol that can be limited" for name in sorted(row.meters.keys() - PROTOCOLS)]
    named = sorted({meter for protocol, meter in row.meters.items() if protocol in PROTOCOLS})
    found += [f"there is no meter {name}" for name in named if not q.find(NAMED, name)]
    if found:
        raise ValueError(f"control plane protection {row.name}: {'; '.join(found)}")
    yield from ()  # what makes it a generator


def companions(declared: Iterable[Shared]) -> Rule:
    """The rule that limits shared flows which name a protocol."""
    by_scope: dict[Any, list[Shared]] = {}
    for one in declared:
        if one.protocol:
            by_scope.setdefault(one.scope, []).append(one)
    protected = Index(MEMBERS, lambda member: (member,) if member.scope in by_scope else (), "members with protocols")

    @rule(over=protected, writes=(FLOWS,))
    def companion(q: Reader, member: Member) -> Iterator[Emit]:
        for one in by_scope[member.scope]:
            meter = limit(q, member.datapath, one.protocol)
            if meter is not None:
                yield flow(
                    member.datapath,
                    one.stage,
                    one.priority + 1,
                    one.match,
                    one.actions,
                    source=one.source,
                    hint=member.datapath,
                    meter=meter,
                )

    return companion
