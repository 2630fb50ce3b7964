"""Which datapaths are local: those with a port that is bound here, and all that can be reached from them.

Terms. A *link* leads from a datapath to the next one, through a patch port and its peer. A *seed* is a datapath that is
local for its own sake: a port of it is claimed, or expected (it has an interface here already), or this host may become
the active chassis of one. Whatever packets of a seed can reach without leaving the host is local too.

Two kinds of links are missing, since packets do not take them here. Ports of a gateway router are linked on its own
chassis only. A distributed gateway port with `always-redirect` leads out of its router on the chassis of its group
only: elsewhere packets go into a tunnel instead.

What is reached is found by one search, whenever a link changes: its cost is that of the datapaths of this host and
their links. It begins one step from the seeds, so that a further network of a router that is here already changes
nothing in it; datapaths without links take no part at all.

Tests: tests/unit/controller/test_controller_reach.py, tests/cases/controller/patch.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ovine.controller.config import config
from ovine.controller.ha import PORTS_OF_GROUP, is_member
from ovine.controller.local import AWAITED_OF_DATAPATH, CLAIMED_OF_DATAPATH, LOCAL_DATAPATHS, PATCH_TYPES, port_named
from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import sb
from ovine.model.base import Uuid


class Link(NamedTuple):
    """A way out of a datapath: through one of its ports, to the port of this name."""

    datapath: Uuid
    peer: str


class Step(NamedTuple):
    """A link whose other end is known."""

    source: Uuid
    target: Uuid


LINKS: Relation[Uuid, Link] = Relation("link")
"""By Port_Binding."""
LINKS_TO_PEER: Index[Link] = Index(LINKS, lambda link: (link.peer,), "links by peer")
STEPS: Relation[tuple[Step, Uuid], Step] = Relation("step to the next datapath")
STEPS_FROM: Index[Step] = Index(STEPS, lambda step: (step.source,), "steps by source")
SEEDS: Relation[Uuid, bool] = Relation("datapath of a port that is or may be bound here")
BESIDE_SEEDS: Relation[Uuid, bool] = Relation("datapath one step from a seed")
REACHED: Relation[Uuid, bool] = Relation("datapath that a seed reaches")

PATCHES_BY_NAME: Final = Index(
    sb.PortBinding,
    lambda port: (port.logical_port,) if port.type in PATCH_TYPES else (),
    "patch ports of all kinds by name",
)


@query
def peer_of(q: Reader, uuid: Uuid) -> Uuid | None:
    """The other end of a patch port: the port that it names, if that names it too."""
    port = q.row(sb.PortBinding, uuid)
    name = port.options.get("peer", "")
    for found in q.find(PATCHES_BY_NAME, name) if name else ():
        if q.row(sb.PortBinding, found).options.get("peer", "") == port.logical_port:
            return Uuid(found)
    return None


def _taken(q: Reader, uuid: Uuid) -> bool:
    """Whether packets on this host go through a patch port."""
    port, settings = q.row(sb.PortBinding, uuid), config(q)
    if port.type == "l3gateway":
        return settings is not None and port.options.get("l3gateway-chassis", "") == settings.chassis
    redirect = port.options.get("chassis-redirect-port", "")
    if not redirect:
        return True
    found = port_named(q, redirect)
    row = q.row(sb.PortBinding, found) if found is not None else None
    if row is None or row.options.get("always-redirect", "") != "true":
        return row is not None
    return row.ha_chassis_group is not None and is_member(q, row.ha_chassis_group)


@rule(over=PATCHES_BY_NAME, writes=(LINKS,))
def links(q: Reader, name: str) -> Iterator[Emit]:
    """The link that a patch port is, if packets take it here."""
    for uuid in q.find(PATCHES_BY_NAME, name):
        port = q.row(sb.PortBinding, uuid)
        peer = port.options.get("peer", "")
        if peer and _taken(q, uuid):
            yield LINKS(uuid, Link(port.datapath, peer))


@rule(over=LINKS, writes=(STEPS,))
def steps(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """Where a link leads."""
    peer = peer_of(q, uuid)
    if peer is not None:
        step = Step(q.row(LINKS, uuid).datapath, Uuid(q.row(sb.PortBinding, peer).datapath))
        yield STEPS((step, uuid), step)


@rule(over=CLAIMED_OF_DATAPATH, writes=(SEEDS,))
def seeds(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """Datapaths with claimed ports."""
    if q.find(CLAIMED_OF_DATAPATH, datapath):
        yield SEEDS(datapath, True)


@rule(over=AWAITED_OF_DATAPATH, writes=(SEEDS,))
def expected_seeds(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """Datapaths of ports that are expected: their rows are here, and their flows, when the machine comes."""
    del q
    yield SEEDS(datapath, True)


@rule(over=PORTS_OF_GROUP, writes=(SEEDS,))
def standby_seeds(q: Reader, group: Uuid) -> Iterator[Emit]:
    """Datapaths of ports that this host serves or stands by for, so that nothing is missing when it must take over."""
    if is_member(q, group):
        for uuid in q.find(PORTS_OF_GROUP, group):
            yield SEEDS(q.row(sb.PortBinding, uuid).datapath, True)


@rule(over=SEEDS, writes=(LOCAL_DATAPATHS, BESIDE_SEEDS))
def local_seeds(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """Seeds are local, and what is beside them is where the search begins."""
    yield from _local(q, datapath)
    for step, _ in q.find(STEPS_FROM, datapath):
        yield BESIDE_SEEDS(step.target, True)


@rule(writes=(REACHED,))
def search(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """Everything that can be reached from a seed."""
    found = dict.fromkeys(q.keys(BESIDE_SEEDS))
    waiting = list(found)
    while waiting:
        for (_, target), _ in q.find(STEPS_FROM, waiting.pop()):
            if target not in found:
                found[target] = None
                waiting.append(target)
    for datapath in found:
        yield REACHED(datapath, True)


@rule(over=REACHED, writes=(LOCAL_DATAPATHS,))
def local_reached(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """What is reached is local."""
    yield from _local(q, datapath)


def _local(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    row = q.get(sb.DatapathBinding, datapath)
    if row is not None:
        yield LOCAL_DATAPATHS(datapath, row.tunnel_key)


RULES = (links, steps, seeds, expected_seeds, standby_seeds, local_seeds, search, local_reached)
