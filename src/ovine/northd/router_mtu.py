"""options:gateway_mtu: packets that are too large to leave by a port, or to have come in by it.

Their sender is told the port's MTU (ICMP "fragmentation needed", RFC 792 and RFC 1191; ICMPv6 "packet too big",
RFC 4443), by a packet that starts in the router as if it had come in where the large one did.

Cost: for a router with an MTU, a flow for each port that packets come in by, MTU and IP version; ports with the same
MTU share it.
Wire behaviour is that of ovn-northd(8), "Check packet length" and "Handle larger packets".
Tests: tests/cases/northd/router_mtu.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.language import SyntaxProblem, parse_match
from ovine.model.base import Map, Uuid
from ovine.northd.copp import limit
from ovine.northd.datapaths import ROUTERS
from ovine.northd.flows import FLOWS, Shared, flow, one_of, quoted
from ovine.northd.router_pipeline import INPUT, LARGER, LOOPED, MTU, TOO_BIG, TOO_LARGE
from ovine.northd.router_ports import ENABLED, PORTS_OF_ROUTER, ROUTER_PORTS, RouterPort
from ovine.northd.stages import Register

SOURCE = "router_mtu"
FRAME = 14
"""Octets of the Ethernet header, which the hosts count."""

SHARED = (
    Shared(ROUTERS, MTU, 0, "1", "next;", SOURCE),
    Shared(ROUTERS, TOO_BIG, 0, "1", "next;", SOURCE),
)

LIMITED = Index(ROUTER_PORTS, lambda port: (port.key,) if "gateway_mtu" in port.options else (), "ports with an MTU")


def mtu_of(options: Map[str, str]) -> int | None:
    """options:gateway_mtu, where that is a possible one."""
    text = options.get("gateway_mtu", "")
    return int(text) if text.isascii() and text.isdigit() and 68 <= int(text) <= 65535 - FRAME else None


def bypass(options: Map[str, str]) -> str:
    """The match of the packets that are not checked, "" if there is none that can be read."""
    text = options.get("gateway_mtu_bypass", "")
    try:
        parse_match(text)
    except SyntaxProblem:
        return ""
    return text


def larger_than(options: Map[str, str], result: Register) -> str:
    """The action that checks a packet, "" where there is no MTU."""
    mtu = mtu_of(options)
    return "" if mtu is None else f"{result.field} = check_pkt_larger({mtu + FRAME}); "


@rule(over=LIMITED, writes=(FLOWS,))
def limited(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Checks what leaves by the port, and refuses what came in by it."""
    port = q.row(ROUTER_PORTS, key)
    mtu = mtu_of(port.options)
    if mtu is None:
        return
    match = f"outport == {quoted(port.name)}"
    exempt = bypass(port.options)
    check = f"{larger_than(port.options, TOO_LARGE)}next;"
    yield flow(port.router, MTU, 50, match, check, source=SOURCE, hint=key)
    if exempt:
        yield flow(port.router, MTU, 55, f"{match} && ({exempt})", "next;", source=SOURCE, hint=key)
    for version, actions in _errors(port, mtu, LARGER):
        match = f"inport == {quoted(port.name)} && ip{version} && {LARGER.field} && !{LOOPED.field}"
        meter = limit(q, port.router, f"icmp{version}-error")
        yield flow(port.router, INPUT, 150, match, actions, source=SOURCE, hint=key, meter=meter)


@rule(over=LIMITED, writes=())
def mtu_readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports an MTU, or a match, that cannot be read."""
    port = q.row(ROUTER_PORTS, key)
    if mtu_of(port.options) is None:
        raise ValueError(f"router port {port.name}: gateway_mtu {port.options['gateway_mtu']!r} is not an MTU")
    if port.options.get("gateway_mtu_bypass", "") and not bypass(port.options):
        raise ValueError(f"router port {port.name}: gateway_mtu_bypass cannot be read")
    yield from ()


@query
def limits(q: Reader, router: Uuid) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The MTUs of a router's ports, each with the ports that have it, by name."""
    found: dict[int, list[str]] = {}
    for port in q.find_rows(PORTS_OF_ROUTER, router):
        mtu = mtu_of(port.options)
        if mtu is not None:
            found.setdefault(mtu, []).append(port.name)
    return tuple((mtu, tuple(sorted(names))) for mtu, names in sorted(found.items()))


@rule(over=ENABLED, writes=(FLOWS,))
def too_big(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Tells those behind a port that what they sent is too large for the port that it should leave by."""
    port = q.row(ROUTER_PORTS, key)
    for mtu, names in limits(q, port.router):
        others = [quoted(name) for name in names if name != port.name]
        if not others:
            continue
        for version, actions in _errors(port, mtu, TOO_LARGE):
            match = (
                f"inport == {quoted(port.name)} && outport == {one_of(others)} && ip{version} && {TOO_LARGE.field} && "
                f"!{LOOPED.field}"
            )
            meter = limit(q, port.router, f"icmp{version}-error")
            yield flow(port.router, TOO_BIG, 150, match, actions, source=SOURCE, hint=key, meter=meter)


def _errors(port: RouterPort, mtu: int, result: Register) -> Iterator[tuple[int, str]]:
    """By IP version, the action that sends the error from a port's address."""
    again = f"{LOOPED.field} = 1; {result.field} = 0; eth.dst = {port.mac};"
    if port.networks4:
        yield (
            4,
            f"icmp4_error {{ {again} ip4.dst = ip4.src; ip4.src = {port.networks4[0].address}; ip.ttl = 255; "
            f"icmp4.type = 3; icmp4.code = 4; icmp4.frag_mtu = {mtu}; next(pipeline = ingress, table = 0); }};",
        )
    yield (
        6,
        f"icmp6_error {{ {again} ip6.dst = ip6.src; ip6.src = {port.networks6[0].address}; ip.ttl = 255; "
        f"icmp6.type = 2; icmp6.code = 0; icmp6.frag_mtu = {mtu}; next(pipeline = ingress, table = 0); }};",
    )
