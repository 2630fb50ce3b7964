"""Load balancers of routers: of gateway routers, and of distributed ones with one gateway port, where it is.

Packets for a virtual address go through the zone of destinations (TRACK), which sends what is of a balanced connection
to its backend; the first packet gets one in stage DNAT. Replies are translated back as they leave: on gateway routers
all packets pass the zone, on distributed ones those that leave by the gateway port, where it is.

A gateway router with `lb_force_snat_ip` hides clients from backends, but not from those of a load balancer with
`skip_snat`. The mark of the connection says for all its packets what was decided for the first.

Routers answer ARP requests and neighbour solicitations for virtual addresses as `neighbor_responder` says, and
announce them with those of NAT (`ovine.northd.garp`).

Cost: for each virtual address a few flows for all gateway routers that have it, and as many for each distributed one.
Wire behaviour is that of ovn-northd(8), "UNSNAT", "DEFRAG", "Load balancing DNAT rules" and "IP Input".
Tests: tests/cases/northd/load_balancers_router.txt, tests/cases/packets/lb_*.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, query, rule
from ovine.model.base import Uuid
from ovine.northd.attachments import ASKED_FOR, asked_for
from ovine.northd.balancers import (
    BALANCING,
    ROUTERS_HAVING,
    VIPS,
    End,
    Site,
    Vip,
    VipKey,
    balances_here,
    gateway_port,
    holding,
    owner,
    routers_of,
    sites,
    tells_of_empty,
)
from ovine.northd.datapaths import member
from ovine.northd.flows import FLOWS, MEMBERS, Place, Scope, Shared, flow, quoted
from ovine.northd.health import usable
from ovine.northd.lb_switch import backend_field, commit_affinity, meter_at, priority, refused, to_backends, told
from ovine.northd.nat_addresses import answer, asked
from ovine.northd.nat_shared import TRANSLATING, TRANSLATING_GATEWAYS
from ovine.northd.nats import External, rules_of, taken_addresses
from ovine.northd.ports import PORTS
from ovine.northd.router_pipeline import (
    AFFINE,
    DNAT,
    INPUT,
    OUT_DELIVER,
    OUT_SNAT,
    OUT_UNDNAT,
    PORT_MAC,
    REMEMBER,
    SESSION,
    SESSION_PORT,
    TRACK,
    UNSNAT,
    VIP4,
    VIP_PORT,
)
from ovine.northd.router_ports import PORTS_OF_ROUTER, ROUTER_PORTS, RouterPort
from ovine.northd.routers import ROUTERS

SOURCE = "lb_router"

_KNOWN = "ct.est && !ct.rel && !ct.new && ct_mark.natted"
_RELATED = "ct.rel && !ct.est && !ct.new"

SHARED = (
    *(
        Shared(BALANCING, DNAT, 130, f"{match} && ct_mark.{flag}", f"flags.{flag}_for_lb = 1; {then}", SOURCE)
        for match, then in ((_KNOWN, "next;"), (_RELATED, "ct_commit_nat;"))
        for flag in ("force_snat", "skip_snat")
    ),
    Shared(BALANCING, DNAT, 125, _RELATED, "ct_commit_nat;", SOURCE),
    Shared(BALANCING, OUT_SNAT, 450, "flags.skip_snat_for_lb == 1 && ip", "next;", SOURCE),
)


@rule(over=ROUTERS_HAVING, writes=(MEMBERS, FLOWS))
def replies(q: Reader, router: Uuid) -> Iterator[Emit]:
    """Sends what may be a reply to be translated back."""
    if not balances_here(q, router):
        return
    gateway = gateway_port(q, router)
    if q.row(ROUTERS, router).chassis:
        yield member(TRANSLATING, router)
        yield member(TRANSLATING_GATEWAYS, router)
    elif gateway is not None:
        yield member(TRANSLATING, router)
        port = q.row(ROUTER_PORTS, gateway)
        match = f"ip && outport == {quoted(port.name)} && is_chassis_resident({quoted(port.redirect)})"
        yield flow(router, OUT_UNDNAT, 50, match, "ct_dnat;", source=SOURCE, hint=router)


def _here(match: str, site: Site) -> str:
    return f"{match} && {site.where}" if site.where else match


def _hint(q: Reader, vip: Vip, site: Site) -> Uuid:
    """What flows that several virtual addresses share are for."""
    return owner(q, vip.balancer) if isinstance(site.place, Scope) else site.place


@rule(over=VIPS, writes=(FLOWS,))
def on_routers(q: Reader, key: VipKey) -> Iterator[Emit]:
    """The flows of a virtual address on routers."""
    vip = holding(q, key)
    if vip is None:
        return
    ends = usable(q, key)
    for site in sites(q, key[0]):
        to = f"ip && {vip.ip}.dst == {vip.end.address}"
        yield flow(site.place, TRACK, 102, _here(to, site), "ct_dnat;", source=SOURCE, hint=_hint(q, vip, site))
        yield from _balance(q, vip, site, ends) if ends else _empty(q, vip, site)


def _new(vip: Vip, site: Site) -> str:
    return _here(f"ct.new && !ct.rel && {vip.match}", site)


def _flag(vip: Vip, site: Site) -> str:
    """Which translation of the source the connection is to have."""
    return "skip_snat" if vip.skips_snat else "force_snat" if site.hiding else ""


def _balance(q: Reader, vip: Vip, site: Site, ends: tuple[End, ...]) -> Iterator[Emit]:
    flag, hint = _flag(vip, site), vip.balancer
    before = f"flags.{flag}_for_lb = 1; " if flag else ""
    if vip.affinity:
        before += f"{_vip_field(vip)} = {vip.end.address}; {VIP_PORT.field} = {vip.end.port}; "
        yield from _affinity(vip, site, ends, before)
    actions = before + to_backends(ends, vip, flag)
    yield flow(site.place, DNAT, priority(vip), _new(vip, site), actions, source=SOURCE, hint=hint)


def _vip_field(vip: Vip) -> str:
    return SESSION.field if vip.ip == "ip6" else VIP4.field


def _affinity(vip: Vip, site: Site, ends: tuple[End, ...], before: str) -> Iterator[Emit]:
    place, hint = site.place, vip.balancer
    look = f"{AFFINE.field} = chk_lb_aff(); ct_dnat;"
    yield flow(place, TRACK, 108, _here(vip.match, site), look, source=SOURCE, hint=hint)
    for end in ends:
        had = f"{backend_field(vip)} == {end.address} && {SESSION_PORT.field} == {end.port}"
        match = f"{AFFINE.field} && {_new(vip, site)} && {had}"
        actions = before + to_backends((end,), vip, _flag(vip, site))
        yield flow(place, DNAT, 150, match, actions, source=SOURCE, hint=hint)
        got = f"{vip.ip}.dst == {end.address} && {vip.protocol}.dst == {end.port}"
        was = f"{_vip_field(vip)} == {vip.end.address} && {VIP_PORT.field} == {vip.end.port}"
        match = f"!{AFFINE.field} && ct.new && {was} && {got}"
        yield flow(place, REMEMBER, 110, match, f"{commit_affinity(vip, end)} next;", source=SOURCE, hint=hint)


def _empty(q: Reader, vip: Vip, site: Site) -> Iterator[Emit]:
    place, hint = site.place, vip.balancer
    if vip.rejects:
        meter = meter_at(q, place, "reject")
        refusal = refused(OUT_DELIVER)
        yield flow(place, DNAT, priority(vip), _new(vip, site), refusal, source=SOURCE, hint=hint, meter=meter)
        return
    if vip.tells or tells_of_empty(q):
        meter = meter_at(q, place, "event-elb")
        yield flow(place, DNAT, 135, _here(vip.match, site), told(vip), source=SOURCE, hint=hint, meter=meter)
    yield flow(place, DNAT, priority(vip), _new(vip, site), "drop;", source=SOURCE, hint=hint)


# --- beside NAT -------------------------------------------------------------------------------------------------------


def _translated(q: Reader, router: Uuid, address: str) -> bool:
    """Whether an address is also one that a router gives to sources."""
    found = rules_of(q, External(router, gateway_port(q, router), address))
    return any(nat.from_inside and not nat.stateless for nat in found)


@rule(over=VIPS, writes=(FLOWS,))
def spared(q: Reader, key: VipKey) -> Iterator[Emit]:
    """What is for a virtual address is no reply to a translated source, even if both have one address."""
    vip = holding(q, key)
    for router in routers_of(q, owner(q, key[0])) if vip is not None else ():
        if vip is not None and _translated(q, router, vip.end.address):
            yield flow(router, UNSNAT, 120, vip.match, "next;", source=SOURCE, hint=key[0])


# --- who has the address ----------------------------------------------------------------------------------------------


@query
def reachable_by(q: Reader, router: Uuid, address: str) -> tuple[Uuid, ...]:
    """The enabled ports of a router that have an address on their networks."""
    ports = (q.row(ROUTER_PORTS, key) for key in q.find(PORTS_OF_ROUTER, router))
    return tuple(port.key for port in ports if port.enabled and _has(port, address))


def _has(port: RouterPort, address: str) -> bool:
    networks = port.networks6 if ":" in address else port.networks4
    return any(address in network for network in networks)


def _of_nat(q: Reader, router: Uuid, address: str) -> bool:
    """Whether NAT has the address, and so has it answered for already."""
    return address in taken_addresses(q, router)


def _own(q: Reader, router: Uuid, address: str) -> bool:
    """Whether a port of the router has the address itself."""
    ports = (q.row(ROUTER_PORTS, key) for key in q.find(PORTS_OF_ROUTER, router))
    return any(network.address == address for port in ports for network in port.networks)


def responds(q: Reader, vip: Vip, router: Uuid) -> bool:
    """Whether a router answers for a virtual address."""
    if vip.responder == "none" or (vip.end.address.startswith("^") and vip.responder != "all"):
        return False
    return vip.responder == "all" or bool(reachable_by(q, router, vip.end.address))


@rule(over=VIPS, writes=(FLOWS, ASKED_FOR))
def answers(q: Reader, key: VipKey) -> Iterator[Emit]:
    """ARP requests and neighbour solicitations for a virtual address.

    Gateway routers that answer for all share the flow; the others are asked one by one, for their networks differ.
    """
    vip = holding(q, key)
    if vip is None or vip.responder == "none":
        return
    address = vip.end.address
    for router in routers_of(q, owner(q, key[0])):
        if responds(q, vip, router) and not _of_nat(q, router, address) and not _own(q, router, address):
            if vip.responder != "all" or gateway_port(q, router) is not None:
                yield from _answer(q, router, address, vip)
            yield from _on_switches(q, router, address)
    if vip.responder == "all":
        for site in sites(q, key[0]):
            if site.gateway is None:
                yield _plain(site.place, vip, _hint(q, vip, site))


def _plain(place: Place, vip: Vip, hint: Uuid) -> Emit:
    return flow(place, INPUT, 87, _asked(vip), answer(_kind(vip), PORT_MAC.field), source=SOURCE, hint=hint)


def _kind(vip: Vip) -> str:
    """An address of the same version: answers depend on nothing else."""
    return "::" if vip.ip == "ip6" else "0.0.0.0"


def _asked(vip: Vip) -> str:
    if not vip.end.address.startswith("^"):
        return asked(vip.end.address)
    return (
        f"nd_ns && nd.target == {vip.end.address}"
        if vip.ip == "ip6"
        else f"arp.op == 1 && arp.tpa == {vip.end.address}"
    )


def _answer(q: Reader, router: Uuid, address: str, vip: Vip) -> Iterator[Emit]:
    """On a distributed router, the gateway port answers where it is, and the others everywhere."""
    yield _plain(router, vip, router)
    gateway = gateway_port(q, router)
    if gateway is None:
        return
    port = q.row(ROUTER_PORTS, gateway)
    request = f"inport == {quoted(port.name)} && {_asked(vip)}"
    here = f"{request} && is_chassis_resident({quoted(port.redirect)})"
    yield flow(router, INPUT, 89, here, answer(_kind(vip), PORT_MAC.field), source=SOURCE, hint=router)
    yield flow(router, INPUT, 88, request, "drop;", source=SOURCE, hint=router)


def _on_switches(q: Reader, router: Uuid, address: str) -> Iterator[Emit]:
    """Requests go to the router, on switches whose networks have the address."""
    for key in () if address.startswith("^") else reachable_by(q, router, address):
        port = q.row(ROUTER_PORTS, key)
        at = q.get(PORTS, port.switch_port) if port.switch_port is not None else None
        if at is not None and at.enabled:
            yield asked_for(at, address)
