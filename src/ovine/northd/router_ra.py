"""Router advertisements in answer to solicitations (RFC 4861, RFC 4191, RFC 8106), from ipv6_ra_configs of a port.

Two flows for each port that advertises: one turns the solicitation into an advertisement, one sends it back.
Advertisements without being asked are sent by hosts, from the options of the Port_Binding (`periodic_ra`).
Wire behaviour is that of ovn-northd(8), "IPv6 ND RA option processing" and "IPv6 ND RA responder".
Tests: tests/cases/northd/router_ra.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, rule
from ovine.language import SyntaxProblem, parse_actions
from ovine.model import nb
from ovine.model.base import Map, Uuid
from ovine.northd.copp import limit
from ovine.northd.datapaths import ROUTERS
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.periodic_ra import LEAST_MTU, MODES, PREFERENCES
from ovine.northd.router_pipeline import ADVERTISED, PREPARE, ROUTE
from ovine.northd.router_ports import ROUTER_PORTS, RouterPort

SOURCE = "router_ra"

SHARED = (Shared(ROUTERS, ROUTE, 10550, "nd_rs || nd_ra", "drop;", SOURCE),)
"""Solicitations that nobody answered, and advertisements of other routers."""

ADVERTISING = Index(
    nb.LogicalRouterPort,
    lambda port: (port.uuid,) if port.ipv6_ra_configs.get("address_mode") in MODES else (),
    "ports that answer solicitations",
)


@rule(over=ADVERTISING, writes=(FLOWS,))
def advertisement(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The answer to solicitations on a port."""
    port = q.get(ROUTER_PORTS, key)
    if port is None or not port.enabled:
        return
    options = advertised(port, q.row(nb.LogicalRouterPort, key).ipv6_ra_configs)
    actions = f"{ADVERTISED.field} = put_nd_ra_opts({options}); next;"
    try:
        parse_actions(actions, "ingress")
    except SyntaxProblem as problem:
        raise ValueError(
            f"router port {port.name}: solicitations are not answered, for hosts could not read: {options}"
        ) from problem
    match = f"inport == {quoted(port.name)} && ip6.dst == ff02::2"
    meter = limit(q, port.router, "nd-ra-opts")
    yield flow(port.router, PREPARE, 110, f"{match} && nd_rs", actions, source=SOURCE, hint=key, meter=meter)
    reply = (
        f"eth.dst = eth.src; eth.src = {port.mac}; ip6.dst = ip6.src; ip6.src = {port.link_local}; outport = inport; "
        "flags.loopback = 1; output;"
    )
    match += f" && nd_ra && {ADVERTISED.field}"
    yield flow(port.router, ROUTE, 10560, match, reply, source=SOURCE, hint=key)


def advertised(port: RouterPort, given: Map[str, str]) -> str:
    """The arguments of put_nd_ra_opts."""
    words = [f"addr_mode = {quoted(given['address_mode'])}", f"slla = {port.mac}"]
    mtu = given.get("mtu", "")
    if mtu.isascii() and mtu.isdigit() and int(mtu) >= LEAST_MTU:
        words.append(f"mtu = {int(mtu)}")
    if (preference := given.get("router_preference", "")) in PREFERENCES:
        words.append(f"router_preference = {quoted(preference)}")
    if server := given.get("rdnss"):
        words.append(f"rdnss = {server}")
    words += [f"{name} = {quoted(given[name])}" for name in ("dnssl", "route_info") if given.get(name)]
    words += [f"prefix = {network.cidr}" for network in port.networks6 if not network.link_local]
    return ", ".join(words)
