"""The two ends of a router: what it takes from its ports, and what it delivers to them.

What it takes is checked against options:gateway_mtu there too, since the answer must come before any translation.
Wire behaviour is that of ovn-northd(8), "L2 Admission Control" and "Delivery".
Tests: tests/cases/northd/router_ports.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import ROUTERS
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.router_mtu import bypass, larger_than
from ovine.northd.router_pipeline import (
    ADMIT,
    DNAT,
    LARGER,
    LEARN,
    LOOKUP,
    OUT_COMMIT,
    OUT_DELIVER,
    OUT_LOOP,
    OUT_SNAT,
    OUT_UNDNAT,
    PORT_MAC,
    REMEMBER,
    TRACK,
    UNSNAT,
)
from ovine.northd.router_ports import ENABLED, ROUTER_PORTS

SOURCE = "router_admission"

_PASSED = (LOOKUP, LEARN, UNSNAT, TRACK, DNAT, REMEMBER, OUT_UNDNAT, OUT_COMMIT, OUT_SNAT, OUT_LOOP)
"""Stages that concern few packets; the other stages have their last resort where their features are."""

SHARED = (
    Shared(ROUTERS, ADMIT, 100, "vlan.present || eth.src[40]", "drop;", SOURCE),
    Shared(ROUTERS, ADMIT, 0, "1", "drop;", SOURCE),
    *(Shared(ROUTERS, stage, 0, "1", "next;", SOURCE) for stage in _PASSED),
    Shared(ROUTERS, OUT_DELIVER, 0, "1", "output;", SOURCE),
)

DISABLED = Index(ROUTER_PORTS, lambda port: () if port.enabled else (port.key,), "disabled router ports")


@rule(over=ENABLED, writes=(FLOWS,))
def admission(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A port takes what is sent to its Ethernet address, a gateway port only where the gateway is; and multicast."""
    port = q.row(ROUTER_PORTS, key)
    own = f"eth.dst == {port.mac}"
    if port.gateway:
        own = f"(eth.dst == {port.mac} && is_chassis_resident({quoted(port.redirect)}))"
    match = f"inport == {quoted(port.name)} && (eth.mcast || {own})"
    actions = f"{PORT_MAC.field} = {port.mac}; next;"
    check = larger_than(port.options, LARGER)
    exempt = bypass(port.options)
    yield flow(port.router, ADMIT, 50, match, check + actions, source=SOURCE, hint=key)
    if check and exempt:
        yield flow(port.router, ADMIT, 55, f"{match} && ({exempt})", actions, source=SOURCE, hint=key)


@rule(over=DISABLED, writes=(FLOWS,))
def disabled_router_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A disabled port takes nothing, having no flow for that, and is delivered nothing."""
    port = q.row(ROUTER_PORTS, key)
    yield flow(port.router, OUT_DELIVER, 100, f"outport == {quoted(port.name)}", "drop;", source=SOURCE, hint=key)
