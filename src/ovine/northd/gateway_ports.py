"""Distributed gateway ports: what leaves by one goes to the chassis that has its redirect port.

With options:redirect-type=bridged it goes there over the physical network instead of a tunnel: as a frame to the
router's own Ethernet address. As in OVN that holds for a router with one gateway port.
Wire behaviour is that of ovn-northd(8), "Gateway Redirect".
Tests: tests/cases/northd/gateway_ports.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import ROUTERS
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.router_pipeline import REDIRECT, RESOLVE
from ovine.northd.router_ports import GATEWAYS, ROUTER_PORTS

SOURCE = "gateway_ports"

SHARED = (Shared(ROUTERS, REDIRECT, 0, "1", "next;", SOURCE),)

GATEWAY_PORTS = Index(ROUTER_PORTS, lambda port: (port.key,) if port.gateway else (), "gateway ports")


@rule(over=GATEWAY_PORTS, writes=(FLOWS,))
def redirect(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The flow that redirects, and the one that does so by bridging."""
    port = q.row(ROUTER_PORTS, key)
    outport = f"outport == {quoted(port.name)}"
    actions = f"outport = {quoted(port.redirect)}; next;"
    yield flow(port.router, REDIRECT, 50, outport, actions, source=SOURCE, hint=key)
    if port.options.get("redirect-type") == "bridged" and len(q.find(GATEWAYS, port.router)) == 1:
        match = f"{outport} && !is_chassis_resident({quoted(port.redirect)})"
        yield flow(port.router, RESOLVE, 50, match, f"eth.dst = {port.mac}; next;", source=SOURCE, hint=key)
