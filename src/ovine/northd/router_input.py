"""What reaches a router itself: impossible sources, its own addresses, packets that have travelled too far.

Cost: for each router one flow for each thing that its own addresses do, with the set of them; for each port one flow
and IP version for expired packets.

A router of which some work is done in one place (a gateway router, or one with a gateway port) sends no "unreachable":
what it does not know may be for a translation or load balancer. External addresses of NAT, and those of
dnat_force_snat_ip and lb_force_snat_ip, are refused only after translation.
Wire behaviour is that of ovn-northd(8), "IP Input".
Tests: tests/cases/northd/router_input.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Reader, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.balancers import has_vip
from ovine.northd.copp import limit
from ovine.northd.datapaths import ROUTERS
from ovine.northd.flows import FLOWS, Shared, flow, one_of, quoted
from ovine.northd.nats import taken_addresses
from ovine.northd.router_pipeline import INPUT, LOOPED, RESOLVE
from ovine.northd.router_ports import ENABLED, PORTS_OF_ROUTER, ROUTER_PORTS, is_central
from ovine.northd.routers import ROUTERS as ROUTER_ROWS

SOURCE = "router_input"

_BOGUS = (
    "ip4.src_mcast || ip4.src == 255.255.255.255 || ip4.src == 127.0.0.0/8 || ip4.dst == 127.0.0.0/8 || "
    "ip4.src == 0.0.0.0/8 || ip4.dst == 0.0.0.0/8"
)

SHARED = (
    Shared(ROUTERS, INPUT, 100, _BOGUS, "drop;", SOURCE),
    Shared(ROUTERS, INPUT, 84, "nd_rs || nd_ra", "next;", SOURCE),
    Shared(ROUTERS, INPUT, 83, "ip6.mcast_rsvd", "drop;", SOURCE),
    Shared(ROUTERS, INPUT, 81, "ip4.mcast || ip6.mcast", "drop;", SOURCE),
    Shared(ROUTERS, INPUT, 50, "eth.bcast", "drop;", SOURCE),
    # The rest of a fragmented packet, and anything that has no address to answer from.
    Shared(ROUTERS, INPUT, 30, "ip.ttl == {0, 1}", "drop;", SOURCE),
    Shared(ROUTERS, INPUT, 0, "1", "next;", SOURCE),
)


class Own(NamedTuple):
    """A router's own addresses."""

    version: int
    all: tuple[str, ...]
    closed: tuple[str, ...]
    """Those that have no part in NAT."""
    sources: tuple[str, ...]
    """Those that must not be sources: IPv4 ones, and the broadcast addresses of their networks."""

    @property
    def shared(self) -> tuple[str, ...]:
        """Those that have."""
        return tuple(address for address in self.all if address not in self.closed)


@query
def own_addresses(q: Reader, router: Uuid, version: int) -> Own:
    """The addresses of all enabled ports of a router."""
    ports = [port for port in q.find_rows(PORTS_OF_ROUTER, router) if port.enabled]
    networks = [network for port in ports for network in (port.networks4 if version == 4 else port.networks6)]
    everything = sorted({network.address for network in networks})
    closed = tuple(address for address in everything if not takes_replies(q, router, address))
    broadcast = {network.broadcast for network in networks if network.broadcast is not None}
    sources = tuple(sorted({*everything, *broadcast})) if version == 4 else ()
    return Own(version, tuple(everything), closed, sources)


@query
def takes_replies(q: Reader, router: Uuid, address: str) -> bool:
    """Whether packets for this address may be for a translation or a load balancer, or may be replies to one."""
    row = q.row(nb.LogicalRouter, router)
    forced = (row.options.get("dnat_force_snat_ip", ""), row.options.get("lb_force_snat_ip", ""))
    if any(address in words.replace(",", " ").split() for words in forced) or forced[1] == "router_ip":
        return True
    return address in taken_addresses(q, router) or has_vip(q, router, address)


@rule(over=ROUTER_ROWS, writes=(FLOWS,))
def own_address(q: Reader, router: Uuid) -> Iterator[Emit]:
    """Echo requests for the router are answered, whichever port they come by; other packets are refused."""
    for version in (4, 6):
        own = own_addresses(q, router, version)
        if own.sources:
            match = f"ip4.src == {one_of(own.sources)} && !{LOOPED.field}"
            yield flow(router, INPUT, 100, match, "drop;", source=SOURCE, hint=router)
        if own.all:
            match, actions = _echo(own)
            yield flow(router, INPUT, 90, match, actions, source=SOURCE, hint=router)
        if own.closed:
            match = f"ip{version}.dst == {one_of(own.closed)}"
            yield flow(router, INPUT, 60, match, "drop;", source=SOURCE, hint=router)
        if own.shared:
            match = f"ip{version}.dst == {one_of(own.shared)}"
            yield flow(router, RESOLVE, 2, match, "drop;", source=SOURCE, hint=router)
        if own.all and not is_central(q, router):
            for priority, match, actions, protocol in _unreachable(own):
                meter = limit(q, router, protocol) if protocol else None
                yield flow(router, INPUT, priority, match, actions, source=SOURCE, hint=router, meter=meter)


def _echo(own: Own) -> tuple[str, str]:
    request, reply = (8, 0) if own.version == 4 else (128, 129)
    icmp, ip = f"icmp{own.version}", f"ip{own.version}"
    match = f"{ip}.dst == {one_of(own.all)} && {icmp}.type == {request} && {icmp}.code == 0"
    return match, f"{ip}.dst <-> {ip}.src; ip.ttl = 255; {icmp}.type = {reply}; flags.loopback = 1; next;"


def _unreachable(own: Own) -> Iterator[tuple[int, str, str, str]]:
    """No port of the router is open, and no protocol but ICMP is spoken (RFC 1122, RFC 4443, RFC 9260)."""
    ip = f"ip{own.version}"
    match = f"{ip}.dst == {one_of(own.all)} && !ip.later_frag"
    back = f"eth.dst <-> eth.src; {ip}.dst <-> {ip}.src;"
    icmp, kind, port, protocol = ("icmp4", 3, 3, 2) if own.version == 4 else ("icmp6", 1, 4, 3)
    error = f"{icmp} {{ {back} ip.ttl = 255; {icmp}.type = {kind}; {icmp}.code ="
    yield 80, f"{match} && tcp", f"tcp_reset {{ {back} next; }};", "tcp-reset"
    yield 80, f"{match} && sctp", f"sctp_abort {{ {back} next; }};", "tcp-reset"
    yield 80, f"{match} && udp", f"{error} {port}; next; }};", f"{icmp}-error"
    # There is no error about an ICMP error, and no answer to other ICMP.
    yield 75, f"{match} && {icmp}", "drop;", ""
    yield 70, match, f"{error} {protocol}; next; }};", f"{icmp}-error"


@rule(over=ENABLED, writes=(FLOWS,))
def expired(q: Reader, key: Uuid) -> Iterator[Emit]:
    """ICMP "time exceeded" goes back by the port that the packet came by, from its first address.

    At a gateway port it comes from where the packet was sent to, which may be an address that is translated.
    """
    port = q.row(ROUTER_PORTS, key)
    inport = f"inport == {quoted(port.name)}"
    for icmp, kind, networks in (
        ("icmp4", 11, port.networks4),
        ("icmp6", 3, tuple(network for network in port.networks6 if not network.link_local)),
    ):
        if networks:
            ip = f"ip{icmp[-1]}"
            back = (
                f"{ip}.dst <-> {ip}.src;" if port.gateway else f"{ip}.dst = {ip}.src; {ip}.src = {networks[0].address};"
            )
            actions = (
                f"{icmp} {{ eth.dst <-> eth.src; {icmp}.type = {kind}; {icmp}.code = 0; {back} ip.ttl = 254; "
                f"outport = {quoted(port.name)}; flags.loopback = 1; output; }};"
            )
            match = f"{inport} && {ip} && ip.ttl == {{0, 1}} && !ip.later_frag"
            meter = limit(q, port.router, f"{icmp}-error")
            yield flow(port.router, INPUT, 31, match, actions, source=SOURCE, hint=key, meter=meter)
