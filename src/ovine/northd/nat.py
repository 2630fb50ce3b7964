"""NAT rules as flows: destinations are translated where packets come in, sources where they leave.

Each direction has a conntrack zone of its own, so that a connection between two translated addresses is in both: its
packets pass the router twice (`ovine.northd.nat_addresses`). A reply is translated back by the zone, before any rule
is looked at: UNSNAT and UNDNAT only send packets there, and OUT_SNAT leaves what is a reply alone.

On a distributed router a rule's flows hold at its gateway port, under the condition `Nat.place`. A rule on the spot
speaks with the Ethernet address of its own, and keeps its packets from being redirected to the gateway.

Of several rules for a source the one with the longest prefix holds. Those with a match go before all others, load
balancers and forced addresses among them, by their level (`ovine.northd.nats`).

A match is about one direction. A rule on the spot with a match so has to know replies before it redirects what it is
not for to the gateway: packets of its instance are tracked as they come in.

Wire behaviour is that of ovn-northd(8), "DNAT", "UNDNAT", "SNAT" and "Gateway Redirect"; unlike there, who is exempted
from a rule with a long prefix is not taken by the exemption out of one with a shorter one either.
Tests: tests/cases/northd/nat.txt, nat_gateway.txt, nat_match.txt; tests/interop/test_northd_nat_trace.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.attachments import from_router
from ovine.northd.flows import FLOWS, flow, quoted
from ovine.northd.multicast import has_others
from ovine.northd.nat_forced import address_of, forced_for_dnat
from ovine.northd.nats import (
    BY_REPLY,
    BY_SPOT,
    NATS,
    ON_THE_SPOT,
    Nat,
    Replies,
    Spot,
    is_source_of,
    levels_below,
    rank,
    rules_of,
    translates_destinations,
    translates_sources,
)
from ovine.northd.pipeline import FORWARD
from ovine.northd.ports import PORTS
from ovine.northd.router_mtu import larger_than
from ovine.northd.router_pipeline import (
    ADMIT,
    LARGER,
    OUT_SNAT,
    OUT_UNDNAT,
    OWN4,
    OWN6,
    PORT_MAC,
    REDIRECT,
    RESOLVE,
    TRACK,
)
from ovine.northd.router_pipeline import DNAT as TRANSLATE
from ovine.northd.router_ports import ROUTER_PORTS

SOURCE = "nat"

NOT_A_REPLY = "(!ct.trk || !ct.rpl)"
_REPLY = "(ct.trk && ct.rpl)"
MATCHED = 1000
"""The priority of the lowest level of rules with a match; each higher one has two more."""


def clauses(*parts: str) -> str:
    """A match that needs all of these; empty ones are left out."""
    return " && ".join(part for part in parts if part)


def _at(q: Reader, nat: Nat, side: str) -> str:
    """Where a rule of a distributed router holds: "inport == …" or "outport == …"."""
    gateway = nat.external.gateway
    return f"{side} == {quoted(q.row(ROUTER_PORTS, gateway).name)}" if gateway is not None else ""


def _nat(q: Reader, key: Uuid) -> Nat:
    found = q.value(NATS, key)
    assert found is not None, "a rule over NATS runs for what is there"
    return found


def _priority(q: Reader, nat: Nat, plain: int) -> int:
    """That of a rule's flow, which is `plain` for a rule without a match; its exemptions have more."""
    return plain if nat.level is None else MATCHED + 2 * levels_below(q, nat.level)


def _besides(nat: Nat) -> str:
    return f"({nat.match})" if nat.match else ""


def _only_for(nat: Nat, peer: str) -> str:
    return f"{nat.ip}.{peer} == ${nat.allowed}" if nat.allowed else ""


def _call(action: str, address: str, ports: str) -> str:
    return f"{action}({address}, {ports});" if ports else f"{action}({address});"


# --- destinations -----------------------------------------------------------------------------------------------------


@rule(over=NATS, writes=(FLOWS,))
def destination(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Translates an external address to the logical one."""
    nat = _nat(q, key)
    if not translates_destinations(q, nat):
        return
    _check_place(q, nat)
    router, _, external = nat.external
    match = clauses(f"ip && {nat.ip}.dst == {external}", _at(q, nat, "inport"), _there(nat), _besides(nat))
    priority = _priority(q, nat, 100)
    before = "flags.loopback = 1; " if nat.external.gateway is None else ""
    if before and address_of(forced_for_dnat(q, router), nat.ip):
        before = f"flags.force_snat_for_dnat = 1; {before}"
    translate = f"{nat.ip}.dst = {nat.logical}; next;" if nat.stateless else _call("ct_dnat", nat.logical, nat.ports)
    allowed = clauses(match, _only_for(nat, "src"))
    yield flow(router, TRANSLATE, priority, allowed, before + translate, source=SOURCE, hint=key)
    if nat.exempted:
        match = f"{match} && {nat.ip}.src == ${nat.exempted}"
        yield flow(router, TRANSLATE, priority + 1, match, "next;", source=SOURCE, hint=key)


def _check_place(q: Reader, nat: Nat) -> None:
    """Only one host hears what is for an external address. Raises ValueError if that is another one's."""
    first = next(one for one in rules_of(q, nat.external) if one.from_outside)
    if first.spot is not None and first.spot != nat.spot:
        raise ValueError(
            f"NAT {nat.kind} {nat.external.address} {nat.logical}: what is for {nat.external.address} goes to the host "
            f"of {first.logical}, for {first.kind} {first.external.address} {first.logical}; nothing is translated"
        )


def _there(nat: Nat) -> str:
    """The condition for packets that come in: those of a rule on the spot come in nowhere else."""
    return "" if nat.mac is not None else nat.place


@rule(over=BY_REPLY, writes=(FLOWS,))
def reply_of_destination(q: Reader, replies: Replies) -> Iterator[Emit]:
    """On a distributed router, sends what may be a reply of a translated destination to be translated back."""
    keys: tuple[Uuid, ...] = q.find(BY_REPLY, replies)
    nat = _nat(q, min(keys, key=lambda key: rank(q, key)))
    match = clauses(f"ip && {nat.ip}.src == {nat.logical}", _at(q, nat, "outport"), nat.place)
    actions = f"{_as_external(nat)}ct_dnat;"
    yield flow(replies.router, OUT_UNDNAT, 100, match, actions, source=SOURCE, hint=nat.key)
    if any(one.mac is not None and one.match for one in (_nat(q, key) for key in keys)):
        coming = f"{nat.ip}.src == {nat.logical} && {nat.place}"
        yield flow(replies.router, TRACK, 90, coming, "ct_next;", source=SOURCE, hint=nat.key)


def _as_external(nat: Nat) -> str:
    return f"eth.src = {nat.mac}; " if nat.mac is not None else ""


# --- sources ----------------------------------------------------------------------------------------------------------


@rule(over=NATS, writes=(FLOWS,))
def translated_source(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Translates logical addresses to the external one, where they are sources."""
    nat = _nat(q, key)
    if not translates_sources(q, nat):
        return
    router, _, external = nat.external
    match = clauses(f"ip && {nat.ip}.src == {nat.logical}", _at(q, nat, "outport"), nat.place, _besides(nat))
    new = "" if nat.stateless else NOT_A_REPLY
    translate = f"{nat.ip}.src = {external}; next;" if nat.stateless else _call("ct_snat", external, nat.ports)
    priority = _priority(q, nat, 20 + 2 * nat.prefix)
    yield flow(
        router,
        OUT_SNAT,
        priority,
        clauses(match, _only_for(nat, "dst"), new),
        _as_external(nat) + translate,
        source=SOURCE,
        hint=key,
    )
    if nat.exempted:
        match = f"{match} && {nat.ip}.dst == ${nat.exempted}"
        yield flow(router, OUT_SNAT, priority + 1, match, "next;", source=SOURCE, hint=key)


# --- on the spot ------------------------------------------------------------------------------------------------------


@rule(over=ON_THE_SPOT, writes=(FLOWS,))
def on_the_spot(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Lets packets of an instance leave by the gateway port of its own host, from the external address."""
    nat = _nat(q, key)
    router, gateway, external = nat.external
    if gateway is None or not is_source_of(q, nat):
        return
    port = q.row(ROUTER_PORTS, gateway)
    outport = f"outport == {quoted(port.name)}"
    own = OWN6 if nat.ip == "ip6" else OWN4
    concerned = f"(({nat.match}) || {_REPLY})" if nat.match and not nat.stateless else _besides(nat)
    leaves = clauses(f"{nat.ip}.src == {nat.logical} && {outport} && {nat.place}", _only_for(nat, "dst"), concerned)
    priority = _priority(q, nat, 100)
    actions = f"eth.src = {nat.mac}; {own.field} = {external}; next;"
    yield flow(router, REDIRECT, priority, leaves, actions, source=SOURCE, hint=key)
    if nat.exempted:
        exempted = f"{leaves} && {nat.ip}.dst == ${nat.exempted}"
        actions = f"outport = {quoted(port.redirect)}; next;"
        yield flow(router, REDIRECT, priority + 1, exempted, actions, source=SOURCE, hint=key)
    if port.options.get("redirect-type") == "bridged":
        get = "get_nd(outport, xxreg0)" if nat.ip == "ip6" else "get_arp(outport, reg0)"
        match = clauses(f"{outport} && {nat.ip}.src == {nat.logical} && {nat.place}", concerned)
        yield flow(router, RESOLVE, 90, match, f"{get}; next;", source=SOURCE, hint=key)


@rule(over=BY_SPOT, writes=(FLOWS,))
def spot_admission(q: Reader, spot: Spot) -> Iterator[Emit]:
    """Takes packets for an instance at the gateway port of its host."""
    port = q.row(ROUTER_PORTS, spot.gateway)
    match = f"inport == {quoted(port.name)} && eth.dst == {spot.mac} && {spot.place}"
    actions = f"{larger_than(port.options, LARGER)}{PORT_MAC.field} = {port.mac}; next;"
    yield flow(spot.router, ADMIT, 50, match, actions, source=SOURCE, hint=min(q.find(BY_SPOT, spot)))


@rule(over=BY_SPOT, writes=(FLOWS,))
def spot_on_switch(q: Reader, spot: Spot) -> Iterator[Emit]:
    """On the switch of the gateway port, the instance's external Ethernet address is where the instance is."""
    port = q.row(ROUTER_PORTS, spot.gateway)
    at = q.get(PORTS, port.switch_port) if port.switch_port is not None and port.enabled else None
    if at is None or not at.enabled:
        return
    match, actions = f"eth.dst == {spot.mac} && {spot.place}", f"outport = {quoted(at.name)}; output;"
    yield flow(at.switch, FORWARD, 50, match, actions, source=SOURCE, hint=min(q.find(BY_SPOT, spot)))
    if has_others(q, at.switch):
        yield from_router(at, spot.mac)
