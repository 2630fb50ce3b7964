"""Multicast groups: one copy into each tunnel that leads to a member, and one to each member on this host.

The remote host makes the copies for its own members, from the same group's key. Localports and patch ports get copies
only of what was sent on their own host, as every host has one: a localport must hear its own neighbours alone, and a
router must not see a packet once for each host.

A group may have thousands of members, most of them elsewhere or nowhere, and changes with each of them. So they are
not gone through: the ports on this host, and the *homes* of a datapath (chassis where ports of it are bound), are
looked up among them.

Tests: tests/cases/controller/multicast.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.controller.flows import FLOWS, flow
from ovine.controller.local import (
    CLAIMED_OF_DATAPATH,
    CLAIMS,
    LOCAL_DATAPATHS,
    PATCHES_OF_DATAPATH,
    SHARED_PORTS_OF_DATAPATH,
    chassis,
    localnet,
)
from ovine.controller.peers import is_patched
from ovine.controller.physical import place
from ovine.controller.tables import DATAPATH, LOCAL_OUTPUT, OUTPORT, REMOTE_OUTPUT
from ovine.controller.tunnels import Exit, exit_to, wrap
from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Entry, Resubmit, SetField


class Home(NamedTuple):
    """A chassis where ports of a datapath are bound, and which of its encapsulations they ask for."""

    datapath: Uuid
    chassis: Uuid
    encap: Uuid | None


def _home(port: sb.PortBinding) -> tuple[Home, ...]:
    main = (Home(port.datapath, port.chassis, port.encap),) if port.chassis is not None else ()
    return (*main, *(Home(port.datapath, one, None) for one in port.additional_chassis))


PORTS_AT_HOME = Index(sb.PortBinding, _home, "bound ports by home")
HOMES: Relation[Home, Home] = Relation("home")
HOMES_OF_DATAPATH: Index[Home] = Index(HOMES, lambda home: (home.datapath,), "homes by datapath")


@rule(over=PORTS_AT_HOME, writes=(HOMES,))
def home_of_ports(q: Reader, home: Home) -> Iterator[Emit]:
    """Every home."""
    del q
    yield HOMES(home, home)


@rule(over=sb.MulticastGroup, writes=(FLOWS,))
def group_flows(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The output flows of one group of a local datapath."""
    group = q.row(sb.MulticastGroup, uuid)
    datapath_key = q.get(LOCAL_DATAPATHS, group.datapath)
    if datapath_key is None:
        return
    key = group.tunnel_key
    to_group: tuple[Entry, ...] = ((OUTPORT, key, None), (DATAPATH, datapath_key, None))
    members = frozenset(group.ports)
    candidates = (*q.find(CLAIMED_OF_DATAPATH, group.datapath), *q.find(SHARED_PORTS_OF_DATAPATH, group.datapath))
    here = [found for port in candidates if port in members and (found := place(q, port)) is not None]
    gateways = [
        q.row(sb.PortBinding, port).tunnel_key for port in candidates if port in members and is_patched(q, port)
    ]
    patches = [port for port in q.find(PATCHES_OF_DATAPATH, group.datapath) if port in members and is_patched(q, port)]
    first = [p.key for p in here if p.kind == "localport"] + [q.row(sb.PortBinding, p).tunnel_key for p in patches]
    away: list[Action] = [*_copies(first, key)]
    for kind, number in _exits(q, group.datapath, members):
        away += wrap(kind, number, datapath_key, key)
    if away:
        yield flow(REMOTE_OUTPUT, 100, to_group, (*away, Resubmit(table=LOCAL_OUTPUT)), uuid)
    copies = _copies([p.key for p in here if p.kind != "localport"] + gateways, key)
    if copies:
        yield flow(LOCAL_OUTPUT, 100, to_group, copies, uuid)


def _copies(keys: list[int], group_key: int) -> tuple[Action, ...]:
    """Local output for each port in turn, by key; the group's own key is restored at the end."""
    actions: list[Action] = []
    for key in sorted(keys):
        actions += [SetField(OUTPORT, key), Resubmit(table=LOCAL_OUTPUT)]
    return (*actions, SetField(OUTPORT, group_key)) if actions else ()


def _exits(q: Reader, datapath: Uuid, members: frozenset[Uuid]) -> list[Exit]:
    """The tunnels to members elsewhere; none where a localnet port reaches them all."""
    by = localnet(q, datapath)
    if by is not None and place(q, by) is not None:
        return []
    away = [home for home in q.find(HOMES_OF_DATAPATH, datapath) if home.chassis != chassis(q)]
    exits = {exit_to(q, home.chassis, home.encap) for home in away if _has_member(q, home, members)}
    return sorted(found for found in exits if found is not None)


def _has_member(q: Reader, home: Home, members: frozenset[Uuid]) -> bool:
    """Whether a member is bound there, and not about to be bound here instead."""
    return any(port in members and _stays(q, port, home) for port in q.find(PORTS_AT_HOME, home))


def _stays(q: Reader, port: Uuid, home: Home) -> bool:
    claim = q.get(CLAIMS, port)
    return claim is None or claim.additional or home.chassis in q.row(sb.PortBinding, port).additional_chassis


RULES = (home_of_ports, group_flows)
