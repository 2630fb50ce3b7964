"""Multicast groups: one copy into each tunnel that leads to a member, and one to each member on this host.

The remote host makes the copies for its own members, from the same group's key. Localports get copies only of what was sent on
their own host: each host has one, and it must hear its own neighbours alone.

Tests: tests/unit/controller/test_multicast.py, tests/cases/controller/multicast.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.controller.flows import FLOWS, flow
from ovine.controller.local import LOCAL_DATAPATHS, localnet
from ovine.controller.physical import Place, place, remote
from ovine.controller.tables import DATAPATH, LOCAL_OUTPUT, OUTPORT, REMOTE_OUTPUT
from ovine.controller.tunnels import Exit, wrap
from ovine.engine import Emit, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Entry, Resubmit, SetField


@rule(over=sb.MulticastGroup, writes=(FLOWS,))
def group_flows(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The output flows of one group of a local datapath."""
    group = q.row(sb.MulticastGroup, uuid)
    datapath_key = q.get(LOCAL_DATAPATHS, group.datapath)
    if datapath_key is None:
        return
    key = group.tunnel_key
    to_group: tuple[Entry, ...] = ((OUTPORT, key, None), (DATAPATH, datapath_key, None))
    here = [found for port in group.ports if (found := place(q, port)) is not None]
    neighbours = _copies([p for p in here if p.kind == "localport"], key)
    away: list[Action] = [*neighbours]
    for kind, number in _exits(q, group.datapath, group.ports):
        away += wrap(kind, number, datapath_key, key)
    if away:
        yield flow(REMOTE_OUTPUT, 100, to_group, (*away, Resubmit(table=LOCAL_OUTPUT)), uuid)
    copies = _copies([p for p in here if p.kind != "localport"], key)
    if copies:
        yield flow(LOCAL_OUTPUT, 100, to_group, copies, uuid)


def _copies(places: list[Place], group_key: int) -> tuple[Action, ...]:
    """Local output for each port in turn, by key; the group's own key is restored at the end."""
    actions: list[Action] = []
    for key in sorted(p.key for p in places):
        actions += [SetField(OUTPORT, key), Resubmit(table=LOCAL_OUTPUT)]
    return (*actions, SetField(OUTPORT, group_key)) if actions else ()


def _exits(q: Reader, datapath: Uuid, ports: tuple[Uuid, ...]) -> list[Exit]:
    """The tunnels to members elsewhere; none where a localnet port reaches them all."""
    by = localnet(q, datapath)
    if by is not None and place(q, by) is not None:
        return []
    return sorted({found for port in ports if (found := remote(q, port)) is not None})


RULES = (group_flows,)
