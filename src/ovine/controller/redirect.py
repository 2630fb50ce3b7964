"""Redirection to gateways: ports of type chassisredirect, which stand for a distributed gateway port on one chassis.

A packet that a router's ingress pipeline sends to such a port goes to where the port is bound, which is

- here: then it is a packet for the distributed port itself;
- on the active chassis of a group: then the switch itself chooses among the tunnels to those that come before us, by
  `bundle`: the first that BFD calls up. So a failover needs nothing from this controller;
- on a single chassis: then by the tunnel to it;
- with `redirect-type=bridged`, by the localnet port of the network behind the gateway port, whoever the active one is.

Tests: tests/cases/controller/redirect.txt, tests/lab/test_lab_gateways.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ovine.controller.flows import FLOWS, flow
from ovine.controller.ha import members
from ovine.controller.local import CLAIMS, LOCAL_DATAPATHS, chassis, localnet, port_named
from ovine.controller.physical import place
from ovine.controller.reach import peer_of
from ovine.controller.tables import (
    CHECK_LOOPBACK,
    DATAPATH,
    LOCAL_OUTPUT,
    LOGICAL_TO_PHYSICAL,
    OUTPORT,
    REMOTE_OUTPUT,
)
from ovine.controller.tunnels import Exit, exit_to, wrap_for
from ovine.controller.zones import load_datapath_zones
from ovine.engine import Emit, Index, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Bundle, Entry, Output, Resubmit, SetField

REDIRECTS: Final = Index(
    sb.PortBinding,
    lambda port: (port.datapath,) if port.type == "chassisredirect" else (),
    "chassisredirect ports by datapath",
)


@rule(over=REDIRECTS, writes=(FLOWS,))
def redirect_flows(q: Reader, datapath: Uuid) -> Iterator[Emit]:
    """The flows of a router's redirecting ports."""
    datapath_key = q.get(LOCAL_DATAPATHS, datapath)
    if datapath_key is None:
        return
    for uuid in q.find(REDIRECTS, datapath):
        port = q.row(sb.PortBinding, uuid)
        to_port: tuple[Entry, ...] = ((OUTPORT, port.tunnel_key, None), (DATAPATH, datapath_key, None))
        distributed = port_named(q, port.options.get("distributed-port", ""))
        if distributed is None:
            continue
        if q.get(CLAIMS, uuid) is not None:
            key = q.row(sb.PortBinding, distributed).tunnel_key
            here = (SetField(OUTPORT, key), *load_datapath_zones(q, datapath), Resubmit(table=CHECK_LOOPBACK))
            yield flow(LOCAL_OUTPUT, 100, to_port, here, uuid)
        elif port.options.get("redirect-type", "") == "bridged":
            bridged = _bridged(q, distributed)
            if bridged:
                yield flow(LOCAL_OUTPUT, 100, to_port, bridged, uuid)
        else:
            away = _tunnelled(_exits(q, port), datapath_key, port.tunnel_key)
            if away:
                yield flow(REMOTE_OUTPUT, 100, to_port, away, uuid)


def _exits(q: Reader, port: Any) -> list[Exit]:
    """The tunnels to the chassis that may serve a port, the most preferred first."""
    own = chassis(q)
    order = members(q, port.ha_chassis_group) if port.ha_chassis_group is not None else ()
    if not order and port.chassis is not None and port.chassis != own:
        order = (port.chassis,)
    before = order[: order.index(own)] if own in order else order
    return [found for member in before if (found := exit_to(q, member, None)) is not None]


def _tunnelled(exits: list[Exit], datapath: int, key: int) -> tuple[Action, ...]:
    """Into the first tunnel that is up; all must be of one type, as there is but one wrapping."""
    alike = [found.ofport for found in exits if found.type == exits[0].type]
    if not alike:
        return ()
    out = Output(alike[0]) if len(exits) == 1 else Bundle(tuple(alike))
    return wrap_for(exits[0].type, datapath, key, out)


def _bridged(q: Reader, distributed: Uuid) -> tuple[Action, ...]:
    """Out of the network behind the gateway port, as the router's own packet, past the pipelines of that network."""
    port = q.row(sb.PortBinding, distributed)
    peer = peer_of(q, distributed)
    behind = q.row(sb.PortBinding, peer).datapath if peer is not None else None
    by = localnet(q, behind) if behind is not None else None
    way = place(q, by) if by is not None else None
    mac = router_mac(port)
    if way is None or mac is None:
        return ()
    return (
        SetField("eth_src", mac),
        SetField(DATAPATH, way.datapath_key),
        SetField(OUTPORT, way.key),
        Resubmit(table=LOGICAL_TO_PHYSICAL),
    )


def router_mac(port: Any) -> int | None:
    """The Ethernet address of a router's port, from `mac`: the address and its networks in one string."""
    for text in port.mac:
        return int(text.split()[0].replace(":", ""), 16)
    return None


RULES = (redirect_flows,)
