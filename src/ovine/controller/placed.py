"""Where logical flows hold, and which ports are on this host.

Tests: tests/cases/controller/logical.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller.local import LOCAL_DATAPATHS, PORT_BY_NAME
from ovine.controller.physical import place
from ovine.engine import Emit, Reader, Relation, query, rule
from ovine.model import sb
from ovine.model.base import Uuid

Placed = tuple[Uuid, Uuid]
"""(Logical_Flow, Datapath_Binding)."""

PLACED: Relation[Placed, bool] = Relation("logical flow in a local datapath")

PORT_TAG: Final = "in_out_port"
"""The tag by which northd says that a flow's `inport` (ingress) or `outport` (egress) is this one port."""
PLACED_TYPES: Final = frozenset({"", "localport", "localnet", "l2gateway"})
"""Port types whose packets enter and leave where `place` says."""


class LogicalFlowError(ValueError):
    """A logical flow that cannot be carried out; the text has its uuid, its stage, and the reason with the place."""


@query
def local_members(q: Reader, group: Uuid) -> tuple[Uuid, ...]:
    """The local datapaths of a datapath group."""
    row = q.get(sb.LogicalDPGroup, group)
    members = row.datapaths if row is not None else ()
    return tuple(datapath for datapath in members if q.get(LOCAL_DATAPATHS, datapath) is not None)


def datapaths_of(q: Reader, uuid: Uuid) -> tuple[Uuid, ...]:
    """The local datapaths in which a logical flow holds."""
    row = q.row(sb.LogicalFlow, uuid)
    grouped = local_members(q, row.logical_dp_group) if row.logical_dp_group is not None else ()
    own = row.logical_datapath
    if own is None or own in grouped or q.get(LOCAL_DATAPATHS, own) is None:
        return grouped
    return (*grouped, own)


@rule(over=sb.LogicalFlow, writes=(PLACED,))
def place_flow(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The local datapaths in which a logical flow holds."""
    for datapath in datapaths_of(q, uuid):
        yield PLACED((uuid, datapath), True)


@query
def is_here(q: Reader, uuid: Uuid) -> bool:
    """Whether packets of a port can enter the ingress pipeline, or run through the egress pipeline, on this host."""
    port = q.get(sb.PortBinding, uuid)
    if port is None:
        return False
    if port.type in PLACED_TYPES:
        return place(q, uuid) is not None
    return q.get(LOCAL_DATAPATHS, port.datapath) is not None


def concerns(q: Reader, port: str | None) -> bool:
    """Whether a flow can match here, if its tag says that it is about packets at one port only."""
    if port is None:
        return True
    return any(
        q.row(sb.PortBinding, uuid).type not in PLACED_TYPES or place(q, uuid) is not None
        for uuid in q.find(PORT_BY_NAME, port)
    )


RULES = (place_flow,)
