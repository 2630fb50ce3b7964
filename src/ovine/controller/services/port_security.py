"""Port security: the tables that say whether a packet's addresses are its port's own.

A port without `port_security` has no flows here, so nothing is refused. Otherwise everything is refused (priority 80)
but what a flow for one of the port's MACs allows. Allowing is having no action. The IPv6 and ARP packets that the
first table allows are checked further in IN_PORT_SEC_ND, so that addresses and link-layer addresses add up instead of
multiplying:

| table | checks |
|---|---|
| IN_PORT_SEC | eth.src; the IP source |
| IN_PORT_SEC_ND | of ARP the sender's MAC and IP; of ND the link-layer address, and of advertisements the target |
| OUT_PORT_SEC | eth.dst unless it is a group; the IP destination |

Beside its addresses a MAC with IPv4 addresses may ask for a lease by DHCP from 0.0.0.0; one with IPv6 addresses may
use the link-local address made from it, and the unspecified address for what precedes having one (RFC 4862, RFC
3810).

Elements that cannot be read allow nothing; `unreadable_elements` fails for their port, which shows them in
`ovine/failures`.

Sources: ovn-nb(5), port_security; ovn-sb(5), check_in_port_sec.
Tests: tests/cases/controller/services/port_security*.txt, judged by a real switch in
tests/packets/controller/test_port_security_judge.py, and by Debian's flows in
tests/interop/test_port_security_theirs.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller import tables as t
from ovine.controller.flows import FLOWS, flow
from ovine.controller.physical import Place, place
from ovine.controller.services.frames import ARP, ICMPV6, IPV4, IPV6, UDP, link_local
from ovine.controller.services.port_security_entries import Mac, Network, Rights, rights_of
from ovine.engine import Emit, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Entry, Match, Resubmit, SetField

ALLOW: Final[tuple[Action, ...]] = ()
REFUSE: Final[tuple[Action, ...]] = (SetField(t.FLAGS, 1 << t.PORT_SEC_REFUSES, 1 << t.PORT_SEC_REFUSES),)
CHECK_FURTHER: Final[tuple[Action, ...]] = (Resubmit(table=t.IN_PORT_SEC_ND),)

_IP4: Final[Entry] = ("eth_type", IPV4, None)
_IP6: Final[Entry] = ("eth_type", IPV6, None)
_ARP: Final[Entry] = ("eth_type", ARP, None)
_GROUP: Final[Entry] = ("eth_dst", 1 << 40, 1 << 40)
_SOLICITATION, _ADVERTISEMENT = 135, 136
_BEFORE_AN_ADDRESS: Final = (131, _SOLICITATION, 143)
"""ICMPv6 types that a host sends before it has an address: membership reports, duplicate address detection."""
_ALL_V4: Final = (Network(0xFFFFFFFF), Network(0xE0000000, 0xF0000000))
_ALL_V6: Final = (Network(0xFF << 120, 0xFF << 120),)
_LINK_GROUPS: Final[Entry] = ("ipv6_dst", 0xFF02 << 112, 0xFFFF << 112)
_DHCP: Final[Match] = (
    _IP4,
    ("nw_proto", UDP, None),
    ("nw_src", 0, None),
    ("nw_dst", 0xFFFFFFFF, None),
    ("udp_src", 68, None),
    ("udp_dst", 67, None),
)

Wanted = Iterator[tuple[int, int, Match, tuple[Action, ...]]]
"""Flows without the port: table, priority, match, actions."""


@rule(over=sb.PortBinding, writes=(FLOWS,))
def port_security(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The flows of one port that is here."""
    port, here = q.row(sb.PortBinding, uuid), place(q, uuid)
    if here is None or not port.port_security:
        return
    rights, _ = rights_of(port.port_security)
    coming, going = _port(here, t.INPORT), _port(here, t.OUTPORT)
    yield flow(t.IN_PORT_SEC, 80, coming, REFUSE, uuid)
    yield flow(t.OUT_PORT_SEC, 80, going, REFUSE, uuid)
    yield flow(t.OUT_PORT_SEC, 100, (*going, _GROUP), ALLOW, uuid)
    for mac, allowed in rights.items():
        for wanted in (_sources(mac, allowed), _bindings(mac, allowed), _destinations(mac, allowed)):
            for table, priority, match, actions in wanted:
                whose = going if table == t.OUT_PORT_SEC else coming
                yield flow(table, priority, (*whose, *match), actions, uuid)


@rule(over=sb.PortBinding, writes=(FLOWS,))
def unreadable_elements(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """Fails for a port here of whose elements some cannot be read: they allow nothing, and the user should know."""
    port = q.row(sb.PortBinding, uuid)
    if place(q, uuid) is not None:
        _, problems = rights_of(port.port_security)
        if problems:
            raise ValueError(f"port {port.logical_port!r}: {'; '.join(problems)}")
    yield from ()


def _port(here: Place, register: str) -> Match:
    return (t.DATAPATH, here.datapath_key, None), (register, here.key, None)


def _is(name: str, value: Mac | Network) -> Entry:
    return name, value.value, value.mask


def _sources(mac: Mac, allowed: Rights) -> Wanted:
    """Who a packet says it is from."""
    table, source = t.IN_PORT_SEC, _is("eth_src", mac)
    if allowed.anything:
        yield table, 90, (source,), CHECK_FURTHER
        return
    for kind in (_IP4, _IP6):
        yield table, 92, (source, kind), REFUSE
    yield table, 90, (source,), CHECK_FURTHER
    for network in allowed.v4:
        yield table, 95, (source, _IP4, _is("nw_src", network)), ALLOW
    if allowed.v4:
        yield table, 95, (source, *_DHCP), ALLOW
    for network in _v6(mac, allowed):
        yield table, 95, (source, _IP6, _is("ipv6_src", network)), CHECK_FURTHER
    unspecified: Entry = ("ipv6_src", 0, None)
    for message in _BEFORE_AN_ADDRESS if allowed.v6 else ():
        yield table, 95, (source, *_icmp6(message), unspecified, _LINK_GROUPS), CHECK_FURTHER


def _bindings(mac: Mac, allowed: Rights) -> Wanted:
    """What ARP and ND say about who has which address."""
    table, source = t.IN_PORT_SEC_ND, _is("eth_src", mac)
    for kind in ((_ARP,), _icmp6(_SOLICITATION), _icmp6(_ADVERTISEMENT)):
        yield table, 80, (source, *kind), REFUSE
    targets = _v6(mac, allowed)
    for hardware in allowed.hardware:
        sender: Match = (source, _ARP, _is("arp_sha", hardware))
        if allowed.anything:
            yield table, 90, sender, ALLOW
        for network in () if allowed.anything else allowed.v4:
            yield table, 90, (*sender, _is("arp_spa", network)), ALLOW
    for hardware in (Mac(0), *allowed.hardware):
        yield table, 90, (source, *_icmp6(_SOLICITATION), _is("nd_sll", hardware)), ALLOW
        answer: Match = (source, *_icmp6(_ADVERTISEMENT), _is("nd_tll", hardware))
        if allowed.anything:
            yield table, 90, answer, ALLOW
        for network in () if allowed.anything else targets:
            yield table, 90, (*answer, _is("nd_target", network)), ALLOW


def _destinations(mac: Mac, allowed: Rights) -> Wanted:
    """Whom a packet is for."""
    table, destination = t.OUT_PORT_SEC, _is("eth_dst", mac)
    yield table, 90, (destination,), ALLOW
    if allowed.anything:
        return
    for kind in (_IP4, _IP6):
        yield table, 92, (destination, kind), REFUSE
    broadcasts = tuple(Network(network.broadcast) for network in allowed.v4 if network.broadcast is not None)
    for network in (*allowed.v4, *broadcasts, *_ALL_V4) if allowed.v4 else ():
        yield table, 95, (destination, _IP4, _is("nw_dst", network)), ALLOW
    for network in (*_v6(mac, allowed), *_ALL_V6) if allowed.v6 else ():
        yield table, 95, (destination, _IP6, _is("ipv6_dst", network)), ALLOW


def _v6(mac: Mac, allowed: Rights) -> tuple[Network, ...]:
    """The IPv6 addresses of a MAC, with the one that is made from it; none if it has none."""
    if not allowed.v6 or mac.mask is not None:
        return allowed.v6
    return *allowed.v6, Network(int.from_bytes(link_local(mac.value.to_bytes(6))))


def _icmp6(kind: int) -> Match:
    return _IP6, ("nw_proto", ICMPV6, None), ("icmpv6_type", kind, None)


RULES = (port_security, unreadable_elements)
