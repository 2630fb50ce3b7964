"""External addresses of NAT: what routers and switches do for such an address, whatever rules it has.

- The router answers ARP requests and neighbour solicitations for it. At a gateway port, only the host answers that
  carries the rules out (the gateway, or that of the instance); elsewhere any does.
- Packets for it go through the zone of translated sources, for replies to get their destination back. What that zone
  does not know goes through the zone of translated destinations as well: ovn-northd 23.03 has connections in both
  directions there on a distributed router, and they go on when this northd takes its place.
- A packet to it that is about to leave by the gateway port it belongs to has come from inside: it enters the router
  again, as if it had come in by that port, and is translated (*loops*). So instances reach each other at external
  addresses, and each sees the other's.
- On the switch of the gateway port, requests for it go to the router and not to all routers.

Wire behaviour is that of ovn-northd(8), "IP Input", "UNSNAT", "ARP/ND Resolution", "Egress Loopback".
Tests: tests/cases/northd/nat.txt, nat_gateway.txt; tests/interop/test_northd_nat_trace.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.attachments import ASKED_FOR, asked_for
from ovine.northd.flows import FLOWS, flow, quoted
from ovine.northd.nats import BY_EXTERNAL, BY_GATEWAY, External, Nat, rules_of
from ovine.northd.ports import PORTS
from ovine.northd.router_mtu import mtu_of
from ovine.northd.router_neighbours import solicited_node
from ovine.northd.router_pipeline import (
    ADMIT,
    DNAT,
    INPUT,
    LARGER,
    LOOPED,
    NEXT_HOP4,
    NEXT_HOP6,
    OUT_LOOP,
    PORT_MAC,
    RESOLVE,
    UNSNAT,
)
from ovine.northd.router_ports import PORTS_OF_ROUTER, ROUTER_PORTS, RouterPort

SOURCE = "nat_addresses"

_FRESH = " ".join(f"reg{number} = 0;" for number in range(10))
LOOP = (
    'clone { ct_clear; inport = outport; outport = ""; eth.dst <-> eth.src; flags = 0; flags.loopback = 1; '
    f"{_FRESH} {LOOPED.field} = 1; next(pipeline = ingress, table = {ADMIT.table}); }};"
)
"""Lets a packet enter the router again, by the port that it was about to leave by."""


def asked(address: str) -> str:
    """Matches requests for an address, at a router."""
    if ":" in address:
        return f"nd_ns && ip6.dst == {{{address}, {solicited_node(address)}}} && nd.target == {address}"
    return f"arp.op == 1 && arp.tpa == {address}"


def answer(address: str, mac: str) -> str:
    """Answers a request; `mac` is an address, or the field that has it."""
    if ":" in address:
        return (
            f"nd_na {{ eth.src = {mac}; ip6.src = nd.target; nd.tll = {mac}; outport = inport; flags.loopback = 1; "
            "output; };"
        )
    return (
        f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; arp.tpa <-> arp.spa; "
        "outport = inport; flags.loopback = 1; output;"
    )


@rule(over=BY_EXTERNAL, writes=(FLOWS,))
def answers(q: Reader, external: External) -> Iterator[Emit]:
    """The router's answers."""
    first = rules_of(q, external)[0]
    router, gateway, address = external
    request = asked(address)
    actions = answer(address, PORT_MAC.field)
    yield flow(router, INPUT, 87, request, actions, source=SOURCE, hint=router)  # alike for all its gateway ports
    if gateway is not None:
        inport = f"inport == {quoted(q.row(ROUTER_PORTS, gateway).name)}"
        own = answer(address, first.mac or PORT_MAC.field)
        yield flow(router, INPUT, 89, f"{inport} && {request} && {first.place}", own, source=SOURCE, hint=first.key)


@rule(over=BY_GATEWAY, writes=(FLOWS,))
def silence(q: Reader, gateway: Uuid) -> Iterator[Emit]:
    """At a gateway port, hosts that do not carry a rule out do not answer for its address."""
    port = q.row(ROUTER_PORTS, gateway)
    match = f"inport == {quoted(port.name)} && (arp.op == 1 || nd_ns)"
    yield flow(port.router, INPUT, 88, match, "drop;", source=SOURCE, hint=gateway)


@rule(over=BY_EXTERNAL, writes=(FLOWS,))
def replies(q: Reader, external: External) -> Iterator[Emit]:
    """Sends what may be a reply to a translated source to be translated back."""
    stateful = [nat for nat in rules_of(q, external) if nat.from_inside and not nat.stateless]
    if not stateful:
        return
    first = stateful[0]
    router, gateway, address = external
    match = f"ip && {first.ip}.dst == {address}"
    if gateway is None:
        yield flow(router, UNSNAT, 90, match, "ct_snat;", source=SOURCE, hint=first.key)
        return
    match += f" && inport == {quoted(q.row(ROUTER_PORTS, gateway).name)}"
    if first.mac is None:
        match += f" && {first.place}"
    yield flow(router, UNSNAT, 100, match, "ct_snat;", source=SOURCE, hint=first.key)
    if not any(nat.from_outside for nat in rules_of(q, external)):
        # What ovn-northd 23.03 translated is in that zone; where destinations are translated too, all goes there.
        yield flow(router, DNAT, 90, match, "ct_dnat;", source=SOURCE, hint=first.key)


@rule(over=BY_EXTERNAL, writes=(FLOWS,))
def at_gateway_port(q: Reader, external: External) -> Iterator[Emit]:
    """What an address costs at the gateway port of a distributed router."""
    router, gateway, address = external
    if gateway is None:
        return
    first = rules_of(q, external)[0]
    port = q.row(ROUTER_PORTS, gateway)
    name, ip = quoted(port.name), first.ip
    inport, outport, to = f"inport == {name}", f"outport == {name}", f"{ip}.dst == {address}"
    hop = NEXT_HOP6 if ip == "ip6" else NEXT_HOP4
    mac = first.mac or port.mac
    loops = f"{to} && {outport} && {first.place}"
    yield flow(router, OUT_LOOP, 100, loops, LOOP, source=SOURCE, hint=first.key)
    resolved = f"{outport} && {hop.field} == {address}"
    yield flow(router, RESOLVE, 100, resolved, f"eth.dst = {mac}; next;", source=SOURCE, hint=first.key)
    # What has been through all translations, and still is for it, is for nobody.
    yield flow(router, RESOLVE, 150, f"{inport} && {outport} && {to}", "drop;", source=SOURCE, hint=first.key)
    if any(network.address == address for network in port.networks):
        # Another host may send as the router, which drops what comes from its own addresses.
        yield flow(router, INPUT, 120, f"{inport} && {ip}.src == {address}", "next;", source=SOURCE, hint=first.key)
    mtu = mtu_of(port.options)
    if first.mac is not None and mtu is not None:
        match = f"{inport} && {ip} && {to} && {LARGER.field} && !{LOOPED.field}"
        yield flow(router, INPUT, 160, match, _too_big(first, port, mtu), source=SOURCE, hint=first.key)


def _too_big(nat: Nat, port: RouterPort, mtu: int) -> str:
    """Tells the sender of a packet to an instance that it is larger than the MTU, as the external address."""
    icmp, kind = (
        ("icmp6", "icmp6.type = 2; icmp6.code = 0;")
        if nat.ip == "ip6"
        else ("icmp4", "icmp4.type = 3; icmp4.code = 4;")
    )
    return (
        f"{icmp}_error {{ {LOOPED.field} = 1; {LARGER.field} = 0; eth.dst = eth.src; eth.src = {nat.mac}; "
        f"{nat.ip}.dst = {nat.ip}.src; {nat.ip}.src = {nat.external.address}; ip.ttl = 254; {kind} "
        f"{icmp}.frag_mtu = {mtu}; outport = {quoted(port.name)}; flags.loopback = 1; output; }};"
    )


# --- the switches of a router -----------------------------------------------------------------------------------------


@rule(over=BY_EXTERNAL, writes=(ASKED_FOR,))
def on_switches(q: Reader, external: External) -> Iterator[Emit]:
    """Where requests for an address go, on the switches that it may be asked on."""
    router, gateway, address = external
    for key in (gateway,) if gateway is not None else q.find(PORTS_OF_ROUTER, router):
        port = q.row(ROUTER_PORTS, key)
        at = q.get(PORTS, port.switch_port) if port.switch_port is not None and port.enabled else None
        if at is None or not at.enabled or not (gateway is not None or _on_networks(port, address)):
            continue
        if not any(network.address == address for network in port.networks):
            yield asked_for(at, address)


def _on_networks(port: RouterPort, address: str) -> bool:
    return any(address in network for network in port.networks if (":" in network.cidr) == (":" in address))
