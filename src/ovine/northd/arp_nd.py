"""Answers for neighbours: ARP requests and IPv6 neighbour solicitations for known addresses are answered at once.

Who has which address is said by rows of MAC_Binding: hosts look it up as routers look up what they have learned
(`get_arp()`, `get_nd()`). So an address costs one short row and no flow, and the answers are the same few flows for all
switches. Such a row belongs to a port; each switch that answers therefore has one of northd's own, which carries
nothing (its *book*): `ovine-neighbours-KEY`, KEY being the switch's tunnel key.

A port is not told that its own address is taken when it looks for duplicates (RFC 5227, RFC 4862): a request that comes
from the port that the owner's Ethernet address is at goes on to the others.

Not answered for are ports with unknown addresses and, if NB_Global options:ignore_lsp_down is false, ports that are
down; nor are requests answered that come in through a localnet port, for every host would.
Wire behaviour is that of ovn-northd(8), "ARP/ND responder".
Tests: tests/cases/northd/arp_nd.txt, tests/interop/test_northd_trace.py, tests/cases/packets/arp_responder.txt,
nd_responder.txt.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import cast

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import sb
from ovine.model.base import StrMap, Uuid
from ovine.northd.datapaths import KEYS as SWITCH_KEYS
from ovine.northd.datapaths import SWITCHES, passes_tags
from ovine.northd.flows import FLOWS, Shared, datapath_ref, flow, quoted
from ovine.northd.inputs import answers_for_down_ports
from ovine.northd.pipeline import ANSWER, ASIDE, ASKED, NEIGHBOUR, OWN, OWNER
from ovine.northd.ports import (
    KEYS,
    L2GATEWAY,
    LOCALNET,
    LOCALPORT,
    PORT_BINDINGS,
    PORTS,
    VIF,
    Port,
    disputed,
    is_up,
    owners_in_order,
)
from ovine.projection import Names, Ref, Target

SOURCE = "arp_nd"
BOOK = "ovine-neighbours-"
"""What the names of books begin with."""
NOBODY = "nobody"
"""No chassis may claim a book."""

_BACK = "outport = inport; flags.loopback = 1; output;"
_ARP_REPLY = (
    f"eth.dst = eth.src; eth.src = {OWNER.field}; arp.op = 2; arp.tha = arp.sha; arp.sha = {OWNER.field}; "
    f"arp.tpa <-> arp.spa; {_BACK}"
)
_ND_REPLY = f"eth.dst = {OWNER.field}; nd_na {{ {_BACK} }};"

SHARED = (
    Shared(SWITCHES, NEIGHBOUR, 0, "1", "next;", SOURCE),
    Shared(SWITCHES, ANSWER, 40, f"{ASKED.field} && ({OWN.field} || {OWNER.field} == 0)", "next;", SOURCE),
    Shared(SWITCHES, ANSWER, 30, f"{ASKED.field} && arp", _ARP_REPLY, SOURCE),
    Shared(SWITCHES, ANSWER, 30, f"{ASKED.field} && nd_ns", _ND_REPLY, SOURCE),
    Shared(SWITCHES, ANSWER, 0, "1", "next;", SOURCE),
)

NEIGHBOURS: Relation[tuple[Uuid, str], sb.MACBinding] = Relation("MAC_Binding")
"""Who has an address, by switch and address."""


def _spoken_for(port: Port) -> bool:
    return port.type in (VIF, LOCALPORT, L2GATEWAY) and bool(port.owned) and not port.unknown and not port.silent


OWNERS = Index(
    PORTS,
    lambda port: (
        tuple((port.switch, ip) for owned in port.owned for ip in owned.ip4 + owned.ip6) if _spoken_for(port) else ()
    ),
    "ports by IP address",
)
LOCALNETS = Index(PORTS, lambda port: (port.key,) if port.type == LOCALNET else (), "localnet ports")


def answers(q: Reader, port: Port) -> bool:
    """Whether the switch speaks for one of these ports at present."""
    if passes_tags(q, port.switch):
        return False
    return port.type == LOCALPORT or answers_for_down_ports(q) or is_up(q, port.name)


def _owners(q: Reader, owned: tuple[Uuid, str]) -> list[Port]:
    return [port for port in owners_in_order(q, q.find(OWNERS, owned)) if answers(q, port)]


def _first_owner(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """Who has an address, while there is a port to speak for."""
    switch, ip = owned
    book = book_of(q, switch)
    for port in _owners(q, owned)[:1] if book is not None else ():
        mac = next(one.mac for one in port.owned if ip in one.ip4 or ip in one.ip6)
        yield NEIGHBOURS(owned, sb.MACBinding(logical_port=book or "", ip=ip, mac=mac, datapath=datapath_ref(switch)))


@rule(over=OWNERS, writes=(NEIGHBOURS,), on_failure=_first_owner)
def neighbour(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """What is known of an address; if several ports claim it, the first one has it, and that is reported."""
    ports = _owners(q, owned)
    if len(ports) > 1:
        raise ValueError(disputed(owned[1], ports))
    yield from _first_owner(q, owned)


# --- the switches that know neighbours --------------------------------------------------------------------------------


def _switch(row: sb.MACBinding) -> Uuid:
    return cast("Uuid", cast("Ref", row.datapath).key)


def _version(row: sb.MACBinding) -> int:
    return 6 if ":" in row.ip else 4


KNOWING = Index(NEIGHBOURS, lambda row: (_switch(row),), "neighbours by switch")
ASKED_FOR = Index(NEIGHBOURS, lambda row: ((_switch(row), _version(row)),), "neighbours by switch and IP version")
_LOOK_UP = {4: ("arp.op == 1", "get_arp(outport, arp.tpa)"), 6: ("nd_ns", "get_nd(outport, nd.target)")}


@query
def book_of(q: Reader, switch: Uuid) -> str | None:
    """The name of a switch's book; None while the switch has no tunnel key."""
    number = q.get(SWITCH_KEYS, switch)
    return None if number is None else f"{BOOK}{number}"


@rule(over=KNOWING, writes=(KEYS,))
def ask_book_key(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Asks for a tunnel key for a switch's book: the last one, so that ports have theirs from the lowest."""
    name = book_of(q, switch)
    if name is not None:
        yield KEYS.request((switch, name), pool=switch, wanted=KEYS.high)


@rule(over=KNOWING, writes=(PORT_BINDINGS,))
def book(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """The port that the neighbours of a switch are recorded behind. No host may have it."""
    name = book_of(q, switch)
    number = q.get(KEYS, (switch, name)) if name is not None else None
    if name is not None and number is not None:
        options = StrMap({"requested-chassis": NOBODY})
        row = sb.PortBinding(
            logical_port=name, options=options, datapath=datapath_ref(switch), tunnel_key=number, up=False
        )
        yield PORT_BINDINGS(name, row)


@rule(over=ASKED_FOR, writes=(FLOWS,))
def look_up(q: Reader, asked: tuple[Uuid, int]) -> Iterator[Emit]:
    """Looks into the book. What is found there is put aside; the packet stays as it is."""
    switch, version = asked
    name = book_of(q, switch)
    if name is not None:
        match, call = _LOOK_UP[version]
        actions = (
            f"{ASKED.field} = 1; {ASIDE.field} = eth.dst; outport = {quoted(name)}; {call}; {OWNER.field} = eth.dst; "
            f'{OWN.field} = lookup_fdb(inport, eth.dst); eth.dst = {ASIDE.field}; outport = ""; next;'
        )
        yield flow(switch, NEIGHBOUR, 50, match, actions, source=SOURCE, hint=switch)


@rule(over=LOCALNETS, writes=(FLOWS,))
def localnet_asks(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A request from the physical network reaches many hosts; the owner of the address answers it, no host does."""
    port = q.row(PORTS, key)
    match = f"inport == {quoted(port.name)} && (arp || nd)"
    yield flow(port.switch, ANSWER, 100, match, "next;", source=SOURCE, hint=key, port=port.name)


def is_book(name: str) -> bool:
    """Whether a logical port is a book, by its name."""
    return name.startswith(BOOK)


def _key(row: sb.MACBinding, names: Names) -> Hashable:
    """Learned neighbours belong to the hosts."""
    return (names(sb.DatapathBinding, row.datapath), row.ip) if is_book(row.logical_port) else None


TARGET = Target(NEIGHBOURS, sb.MACBinding, _key, ("logical_port", "ip", "mac", "datapath"))
