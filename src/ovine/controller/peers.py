"""Patch ports: from the end of one datapath's pipelines to the beginning of the next one's, within this host.

What leaves by a patch port is cloned, and the clone enters the peer's ingress pipeline as if it came from outside:
connection tracking forgets it, all registers are cleared, and the peer's datapath, port and conntrack zones are loaded
(ovn-architecture(7), "Logical Routers and Logical Patch Ports"). The OpenFlow ingress port stays what it was; routers
set flags.loopback, so that a packet may go back to where it came from.

Ports of gateway routers (`l3gateway`) are the same on their own chassis; elsewhere they are reached like any other port
(`ovine.controller.physical`).

Tests: tests/cases/controller/patch.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller.flows import FLOWS, bit, flow
from ovine.controller.local import CLAIMS, LOCAL_DATAPATHS, PATCH_TYPES
from ovine.controller.reach import PATCHES_BY_NAME, peer_of
from ovine.controller.tables import (
    CHECK_LOOPBACK,
    DATAPATH,
    FLAGS,
    INPORT,
    LOCAL_OUTPUT,
    LOG_INGRESS,
    LOGICAL_TO_PHYSICAL,
    LOOPBACK,
    OUTPORT,
    ZONE,
)
from ovine.controller.zones import load_datapath_zones, load_zones
from ovine.engine import Emit, Reader, query, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Clone, CtClear, Entry, Resubmit, SetField

CLEARED: Final = (*(f"reg{n}" for n in range(10)), FLAGS, OUTPORT)
"""Registers that are of no more use, beside those that are loaded anew."""


@query
def is_patched(q: Reader, uuid: Uuid) -> bool:
    """Whether packets pass from a port to its peer on this host."""
    port, peer = q.get(sb.PortBinding, uuid), None
    if port is not None and port.type in PATCH_TYPES and q.get(LOCAL_DATAPATHS, port.datapath) is not None:
        peer = peer_of(q, uuid) if port.type == "patch" or q.get(CLAIMS, uuid) is not None else None
    return peer is not None and q.get(LOCAL_DATAPATHS, q.row(sb.PortBinding, peer).datapath) is not None


@rule(over=PATCHES_BY_NAME, writes=(FLOWS,))
def patch_flows(q: Reader, name: str) -> Iterator[Emit]:
    """The flows of one end."""
    for uuid in q.find(PATCHES_BY_NAME, name):
        if is_patched(q, uuid):
            yield from _flows(q, uuid)


def _flows(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    port = q.row(sb.PortBinding, uuid)
    to_port: tuple[Entry, ...] = ((OUTPORT, port.tunnel_key, None), (DATAPATH, _key(q, port.datapath), None))
    zones = load_datapath_zones(q, port.datapath)
    if port.type == "l3gateway":
        zones = load_zones(q, port.datapath, port.logical_port)
    yield flow(LOCAL_OUTPUT, 100, to_port, (*zones, Resubmit(table=CHECK_LOOPBACK)), uuid)
    back = (*to_port, (INPORT, port.tunnel_key, None), bit(FLAGS, LOOPBACK, 0))
    yield flow(CHECK_LOOPBACK, 100, back, (), uuid)
    peer = peer_of(q, uuid)
    if peer is not None:
        yield flow(LOGICAL_TO_PHYSICAL, 100, to_port, (Clone(_entry(q, peer)),), uuid)


def _entry(q: Reader, uuid: Uuid) -> tuple[Action, ...]:
    """The way into a datapath by a patch port."""
    port = q.row(sb.PortBinding, uuid)
    zones: tuple[Action, ...] = (SetField(ZONE, 0), *load_datapath_zones(q, port.datapath))
    if port.type == "l3gateway":
        zones = load_zones(q, port.datapath, port.logical_port)
    return (
        CtClear(),
        *(SetField(register, 0) for register in CLEARED),
        *zones,
        SetField(DATAPATH, _key(q, port.datapath)),
        SetField(INPORT, port.tunnel_key),
        Resubmit(table=LOG_INGRESS),
    )


def _key(q: Reader, datapath: Uuid) -> int:
    key = q.get(LOCAL_DATAPATHS, datapath)
    assert key is not None, "both ends of a patched port are in local datapaths"
    return key


RULES = (patch_flows,)
