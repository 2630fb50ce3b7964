"""Port security: the tables that say whether a packet's addresses are its port's own.

A port without `port_security` has no flows here, so nothing is refused. Otherwise the first table refuses everything,
and has the next ones look at what bears one of the port's MACs: these take the refusal back for what is allowed. What
is the same for all ports stands there once, for which the first table notes what kinds of addresses the MAC may have.
So a port with a MAC and an address costs seven flows, and addresses and link-layer addresses add up:

| table | flows of a port | of all ports |
|---|---|---|
| IN_PORT_SEC | its MACs | |
| IN_PORT_SEC_IP | its IP sources; in ARP its MACs and addresses | what is neither IP nor ARP; DHCP; before an address |
| IN_PORT_SEC_ND | what ND says of its MACs and addresses | all but ND; solicitations that name no MAC |
| OUT_PORT_SEC | its MACs | groups |
| OUT_PORT_SEC_IP | its IP destinations | broadcast, multicast; what is not IP |

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
from ovine.controller.config import config
from ovine.controller.flows import FLOWS, flow
from ovine.controller.physical import Place, place
from ovine.controller.services.frames import ARP, ICMPV6, IPV4, IPV6, UDP, link_local
from ovine.controller.services.port_security_entries import Mac, Network, Rights, rights_of
from ovine.engine import Emit, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Entry, Match, Resubmit, SetField

_REFUSES: Final = 1 << t.PORT_SEC_REFUSES
_MARKS: Final = {
    "anything": 1 << t.PORT_SEC_ANY,
    "v4": 1 << t.PORT_SEC_V4,
    "v6": 1 << t.PORT_SEC_V6,
}
"""What a MAC may have, in the flags."""
_NOTED: Final = _REFUSES | sum(_MARKS.values())
REFUSE: Final[tuple[Action, ...]] = (SetField(t.FLAGS, _REFUSES, _REFUSES),)
AS_BEFORE: Final[tuple[Action, ...]] = ()
ALLOW: Final[tuple[Action, ...]] = (SetField(t.FLAGS, 0, _REFUSES),)
CHECK_ND: Final[tuple[Action, ...]] = (Resubmit(table=t.IN_PORT_SEC_ND),)

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

Wanted = Iterator[tuple[int, Match, tuple[Action, ...]]]
"""Flows without the port and the MAC: table, match, actions."""


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
    for mac, allowed in rights.items():
        note = SetField(t.FLAGS, _REFUSES | sum(bit for what, bit in _MARKS.items() if getattr(allowed, what)), _NOTED)
        priority = 90 if mac.mask is not None else 91
        sender, receiver = (*coming, _is("eth_src", mac)), (*going, _is("eth_dst", mac))
        yield flow(t.IN_PORT_SEC, priority, sender, (note, Resubmit(table=t.IN_PORT_SEC_IP)), uuid)
        yield flow(t.OUT_PORT_SEC, priority, receiver, (note, Resubmit(table=t.OUT_PORT_SEC_IP)), uuid)
        for wanted in (_sources(mac, allowed), _bindings(mac, allowed)):
            for table, match, actions in wanted:
                yield flow(table, 90, (*sender, *match), actions, uuid)
        for match in _destinations(mac, allowed):
            yield flow(t.OUT_PORT_SEC_IP, 90, (*receiver, *match), ALLOW, uuid)


@rule(writes=(FLOWS,))
def of_all_ports(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """What does not depend on the port. Whoever gets beyond the first table bears one of the port's MACs."""
    if config(q) is None:
        return
    any_, v4, v6 = (("reg10", bit, bit) for bit in _MARKS.values())
    yield flow(t.OUT_PORT_SEC, 100, (_GROUP,), AS_BEFORE)
    for table in (t.IN_PORT_SEC_IP, t.OUT_PORT_SEC_IP):
        yield flow(table, 50, (), ALLOW)
        for kind in (_IP4, _IP6):
            yield flow(table, 60, (kind,), AS_BEFORE)
        yield flow(table, 70, (any_, _IP4), ALLOW)
    yield flow(t.IN_PORT_SEC_IP, 60, (_ARP,), AS_BEFORE)
    yield flow(t.IN_PORT_SEC_IP, 70, (any_, _IP6), CHECK_ND)
    yield flow(t.IN_PORT_SEC_IP, 75, (v4, *_DHCP), ALLOW)
    unspecified: Entry = ("ipv6_src", 0, None)
    for message in _BEFORE_AN_ADDRESS:
        yield flow(t.IN_PORT_SEC_IP, 75, (v6, *_icmp6(message), unspecified, _LINK_GROUPS), CHECK_ND)
    yield flow(t.OUT_PORT_SEC_IP, 70, (any_, _IP6), ALLOW)
    for network in _ALL_V4:
        yield flow(t.OUT_PORT_SEC_IP, 75, (v4, _IP4, _is("nw_dst", network)), ALLOW)
    for network in _ALL_V6:
        yield flow(t.OUT_PORT_SEC_IP, 75, (v6, _IP6, _is("ipv6_dst", network)), ALLOW)
    yield flow(t.IN_PORT_SEC_ND, 0, (), ALLOW)
    for message in (_SOLICITATION, _ADVERTISEMENT):
        yield flow(t.IN_PORT_SEC_ND, 80, _icmp6(message), AS_BEFORE)
    yield flow(t.IN_PORT_SEC_ND, 85, (*_icmp6(_SOLICITATION), _is("nd_sll", Mac(0))), ALLOW)
    yield flow(t.IN_PORT_SEC_ND, 85, (any_, *_icmp6(_ADVERTISEMENT), _is("nd_tll", Mac(0))), ALLOW)


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
    """Whose IP packets and ARP a MAC may send."""
    for hardware in allowed.hardware:
        speaker: Match = (_ARP, _is("arp_sha", hardware))
        if allowed.anything:
            yield t.IN_PORT_SEC_IP, speaker, ALLOW
        for network in () if allowed.anything else allowed.v4:
            yield t.IN_PORT_SEC_IP, (*speaker, _is("arp_spa", network)), ALLOW
    if allowed.anything:
        return
    for network in allowed.v4:
        yield t.IN_PORT_SEC_IP, (_IP4, _is("nw_src", network)), ALLOW
    for network in _v6(mac, allowed):
        yield t.IN_PORT_SEC_IP, (_IP6, _is("ipv6_src", network)), CHECK_ND


def _bindings(mac: Mac, allowed: Rights) -> Wanted:
    """What ND may say about who has which address."""
    if not allowed.anything and not allowed.v6:
        return
    for hardware in allowed.hardware:
        yield t.IN_PORT_SEC_ND, (*_icmp6(_SOLICITATION), _is("nd_sll", hardware)), ALLOW
        if allowed.anything:
            yield t.IN_PORT_SEC_ND, (*_icmp6(_ADVERTISEMENT), _is("nd_tll", hardware)), ALLOW
    for hardware in () if allowed.anything else (Mac(0), *allowed.hardware):
        for network in _v6(mac, allowed):
            target = (_is("nd_tll", hardware), _is("nd_target", network))
            yield t.IN_PORT_SEC_ND, (*_icmp6(_ADVERTISEMENT), *target), ALLOW


def _destinations(mac: Mac, allowed: Rights) -> Iterator[Match]:
    """Whose IP packets a MAC may get."""
    if allowed.anything:
        return
    broadcasts = tuple(Network(network.broadcast) for network in allowed.v4 if network.broadcast is not None)
    for network in (*allowed.v4, *broadcasts):
        yield _IP4, _is("nw_dst", network)
    for network in _v6(mac, allowed):
        yield _IP6, _is("ipv6_dst", network)


def _v6(mac: Mac, allowed: Rights) -> tuple[Network, ...]:
    """The IPv6 addresses of a MAC, with the one that is made from it; none if it has none."""
    if not allowed.v6 or mac.mask is not None:
        return allowed.v6
    return *allowed.v6, Network(int.from_bytes(link_local(mac.value.to_bytes(6))))


def _icmp6(kind: int) -> Match:
    return _IP6, ("nw_proto", ICMPV6, None), ("icmpv6_type", kind, None)


RULES = (port_security, of_all_ports, unreadable_elements)
