"""Logical actions that choose one of several ways, or slow packets down: OpenFlow groups and meters.

`needs` tells which groups and meters actions need; `ovine.controller.demands` asks for them, and a logical flow's
actions are encoded when they have numbers.

A `select` chooses by a hash of addresses and ports, which is the same for both directions of a connection.

Sources: ovn-sb(5), select, fwd_group, set_meter, table Meter; ovs-ofctl(8), "Group Syntax".
Tests: tests/cases/controller/actions.txt, tests/unit/controller/test_controller_groups.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ovine import openflow as of
from ovine.controller import action_lb
from ovine.controller import tables as t
from ovine.controller.action_scope import Encoded, Encoder, Scope
from ovine.controller.environment import port_key
from ovine.controller.local import PORT_BY_NAME
from ovine.controller.switch_tables import Content, Limit, number
from ovine.controller.tunnels import exit_to
from ovine.engine import Index, Reader
from ovine.language import actions as act
from ovine.language import openflow_subfield
from ovine.model import sb

SYMMETRIC_L4: Final = 1 << 32
"""The parameter of `dp_hash` that asks for a hash over both ends alike."""
METER_BY_NAME: Final = Index(sb.Meter, lambda row: (row.name,), "Meter by name")
_FLAGS: Final = {"kbps": of.METER_KBPS, "pktps": of.METER_PKTPS}


def needs(actions: Iterable[act.Action], scope: Scope) -> Iterator[Content]:
    """The groups and meters that actions need, without numbers; some may come twice."""
    for action in actions:
        maker = _CONTENTS.get(type(action))
        if maker is not None:
            yield from maker(action, scope)
        yield from needs(getattr(action, "actions", ()), scope)


# --- groups -----------------------------------------------------------------------------------------------------------


def _selection(action: act.Select, scope: Scope) -> of.GroupEntry:
    name, offset, bits = openflow_subfield(action.dst)
    then = of.Resubmit(table=scope.next_table())
    buckets = tuple(
        of.Bucket(n, (of.Load((name, offset, bits), member.value), then), member.weight)
        for n, member in enumerate(action.members)
    )
    return of.GroupEntry(0, "select", buckets, "dp_hash", SYMMETRIC_L4)


def _forwarding(action: act.FwdGroup, scope: Scope) -> of.GroupEntry:
    """With liveness, ports of other hosts count only while the tunnel to them is up."""
    buckets: list[of.Bucket] = []
    for name in action.ports:
        key = port_key(scope.q, scope.datapath, name)
        if key is None:
            continue
        watched = _tunnel(scope.q, name) if action.liveness else None
        way = (of.SetField(t.OUTPORT, key), of.Resubmit(table=t.REMOTE_OUTPUT))
        buckets.append(of.Bucket(len(buckets), way, 100, watched))
    if not buckets:
        raise ValueError(f"fwd_group: no port of this datapath is one of {', '.join(action.ports)}")
    return of.GroupEntry(0, "select", tuple(buckets), "dp_hash")


def _tunnel(q: Reader, name: str) -> int | None:
    for uuid in q.find(PORT_BY_NAME, name):
        port = q.row(sb.PortBinding, uuid)
        found = exit_to(q, port.chassis, port.encap) if port.chassis is not None else None
        return found.ofport if found is not None else None
    return None


def _group(content: of.GroupEntry, scope: Scope) -> Encoded:
    return (of.Group(number(scope.q, content) or 0),)


# --- meters -----------------------------------------------------------------------------------------------------------


def _limit(action: act.SetMeter, scope: Scope) -> Limit:
    flags = of.METER_KBPS | of.METER_STATS | (of.METER_BURST if action.burst else 0)
    return Limit(scope.flow, of.MeterEntry(0, flags, (of.Band(action.rate, action.burst or 0),)))


def controller_meter(q: Reader, name: str | None) -> Limit | None:
    """What limits the packets that a flow sends to the controller: the Meter row of that name, if there is one."""
    for uuid in q.find(METER_BY_NAME, name) if name else ():
        row = q.row(sb.Meter, uuid)
        bands = [q.row(sb.MeterBand, band) for band in row.bands]
        burst = of.METER_BURST if any(band.burst_size for band in bands) else 0
        flags = _FLAGS[row.unit] | of.METER_STATS | burst
        return Limit(f"Meter {name}", of.MeterEntry(0, flags, tuple(of.Band(b.rate, b.burst_size) for b in bands)))
    return None


# --- what belongs to which action -------------------------------------------------------------------------------------


def _select(action: act.Select, scope: Scope) -> Encoded:
    return _group(_selection(action, scope), scope)


def _fwd_group(action: act.FwdGroup, scope: Scope) -> Encoded:
    return _group(_forwarding(action, scope), scope)


def _set_meter(action: act.SetMeter, scope: Scope) -> Encoded:
    return (of.Meter(number(scope.q, _limit(action, scope)) or 0),)


_CONTENTS: Final[Mapping[type[Any], Any]] = {
    act.Select: lambda action, scope: (_selection(action, scope),),
    act.FwdGroup: lambda action, scope: (_forwarding(action, scope),),
    act.SetMeter: lambda action, scope: (_limit(action, scope),),
    act.CtLb: action_lb.contents,
}
ENCODERS: Final[Mapping[type[Any], Encoder]] = {
    act.Select: _select,
    act.FwdGroup: _fwd_group,
    act.SetMeter: _set_meter,
}
