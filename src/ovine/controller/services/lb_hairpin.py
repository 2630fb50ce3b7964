"""Hairpins: clients that are their own backend. The tables that `chk_lb_hairpin`, `…_reply` and `ct_snat_to_vip` ask.

A packet whose destination became its own source comes back to who sent it; so that the answer goes through the load
balancer, too, its source becomes the virtual address, or `hairpin_snat_ip`. The first packet has the switch learn what
the answers look like.

Where a packet was going at first is in reg1 (xxreg1) and reg2 if the load balancer has `hairpin_orig_tuple`, else it is
asked of the connection.

Source: ovn-sb(5), chk_lb_hairpin, ct_snat_to_vip, table Load_Balancer. Tests:
tests/cases/controller/load_balancers.txt, tests/unit/controller/services/test_lb_hairpin.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.environment import template
from ovine.controller.flows import FLOWS, flow
from ovine.controller.local import LOCAL_DATAPATHS
from ovine.engine import Emit, Reader, rule
from ovine.language import SyntaxProblem, expand_templates
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Ct, Entry, Learn, LearnLoad, LearnMatch, Nat, SetField

NUMBERS: Final = {"tcp": 6, "udp": 17, "sctp": 132}
_NATTED: Entry = ("ct_mark", 2, 2)
_HIT: Final = SetField(t.FLAGS, 1 << t.LOOKUP_LB_HAIRPIN, 1 << t.LOOKUP_LB_HAIRPIN)
_PLAIN, _CHOSEN = 100, 200
_INVALID, _TRACKED = 0x10, 0x20
"""Of ct_state. Only what is known to be valid may be asked where it was going at first (ovs-fields(7), ct_nw_dst)."""


Address = IPv4Address | IPv6Address


class End(NamedTuple):
    """An address, and a port unless every port is meant."""

    ip: Address
    port: int | None = None


def parse_end(text: str) -> End:
    """`10.0.0.1:80`, `[fd00::1]:80`, `10.0.0.1` or `fd00::1`; ValueError if it is none of them."""
    address, bracket, rest = text.strip().removeprefix("[").partition("]")
    if bracket:
        return End(ip_address(address), int(rest[1:]) if rest else None)
    head, colon, port = address.rpartition(":")
    if colon and ":" not in head:
        return End(ip_address(head), int(port))
    return End(ip_address(address))


@rule(over=sb.LoadBalancer, writes=(FLOWS,))
def hairpins(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The flows of one load balancer that a local datapath has; ValueError if an address of it is none."""
    row = q.row(sb.LoadBalancer, uuid)
    local = tuple(local_datapaths(q, row).values())
    if not local:
        return
    for vip_text, backends in sorted(filled(q, row).items()):
        vip = parse_end(vip_text)
        protocol = (row.protocol or "tcp") if vip.port is not None else None
        source = _source(row, vip)
        if backends:
            yield from _translations(row, vip, protocol, source, local)
        for backend in backends.split(","):
            if backend.strip():
                yield from _hairpins(row, vip, parse_end(backend), protocol, source, local)


def filled(q: Reader, row: sb.LoadBalancer) -> dict[str, str]:
    """Its addresses with this chassis's values in place of variables; those that lack a value are left out."""
    filled = {}
    for vip, backends in row.vips.items():
        found = expanded(q, vip), expanded(q, backends)
        if found[0] is not None and found[1] is not None:
            filled[found[0]] = found[1]
    return filled


def expanded(q: Reader, text: str) -> str | None:
    """The text with its template variables replaced; None if this chassis has no value for one of them."""
    if "^" not in text:
        return text
    try:
        return expand_templates(text, lambda name: template(q, name))
    except SyntaxProblem:
        return None


def local_datapaths(q: Reader, row: sb.LoadBalancer) -> dict[Uuid, int]:
    """The load balancer's datapaths that are local, with their keys."""
    group = q.get(sb.LogicalDPGroup, row.datapath_group) if row.datapath_group is not None else None
    everywhere = (*row.datapaths, *(group.datapaths if group is not None else ()))
    return {datapath: key for datapath in everywhere if (key := q.get(LOCAL_DATAPATHS, datapath)) is not None}


def _source(row: sb.LoadBalancer, vip: End) -> Address | None:
    """What `hairpin_snat_ip` says for the family of a virtual address."""
    for word in row.options.get("hairpin_snat_ip", "").replace(",", " ").split():
        address = ip_address(word)
        if address.version == vip.ip.version:
            return address
    return None


def _family(end: End) -> tuple[str, int, Entry]:
    if end.ip.version == 4:
        return "ip", 32, ("eth_type", 0x0800, None)
    return "ipv6", 128, ("eth_type", 0x86DD, None)


def _original(row: sb.LoadBalancer, vip: End, protocol: str | None) -> tuple[Entry, ...]:
    """Where the packet was going at first."""
    number = NUMBERS[protocol] if protocol is not None else None
    if row.options.get("hairpin_orig_tuple") == "true":
        place: tuple[Entry, ...] = (("reg1" if vip.ip.version == 4 else "xxreg1", int(vip.ip), None),)
        if number is None or vip.port is None:
            return place
        return (*place, ("nw_proto", number, None), ("reg2", vip.port, 0xFFFF))
    tracked: Entry = ("ct_state", _TRACKED, _TRACKED | _INVALID)
    place = (tracked, ("ct_nw_dst" if vip.ip.version == 4 else "ct_ipv6_dst", int(vip.ip), None))
    if number is None or vip.port is None:
        return place
    return (*place, ("nw_proto", number, None), ("ct_nw_proto", number, None), ("ct_tp_dst", vip.port, None))


Scoped = tuple[int, tuple[Entry, ...]]
"""A priority, and a datapath if the load balancer chose a source of its own there."""


def _scopes(source: Address | None, local: tuple[int, ...]) -> tuple[Scoped, ...]:
    """Load balancers of one address share flows, unless one of them has chosen a source."""
    if source is None:
        return ((_PLAIN, ()),)
    return tuple((_CHOSEN, ((t.DATAPATH, key, None),)) for key in local)


def _translations(
    row: sb.LoadBalancer, vip: End, protocol: str | None, source: Address | None, local: tuple[int, ...]
) -> Iterator[Emit]:
    """What makes the source of a hairpin the virtual address, or the chosen one."""
    _, _, kind = _family(vip)
    actions = (Ct(commit=True, zone=(t.SNAT_ZONE, 0, 16), actions=(Nat("src", str(source or vip.ip)),)),)
    for priority, scope in _scopes(source, local):
        match = (kind, *scope, *_original(row, vip, protocol))
        yield flow(t.LB_HAIRPIN_SNAT, priority, match, actions, row.uuid)


def _hairpins(
    row: sb.LoadBalancer,
    vip: End,
    backend: End,
    protocol: str | None,
    source: Address | None,
    local: tuple[int, ...],
) -> Iterator[Emit]:
    """What tells a hairpin, and has the switch learn its answers."""
    family, _, kind = _family(vip)
    if backend.ip.version != vip.ip.version:
        raise ValueError(f"load balancer {row.name}: {vip.ip} and its backend {backend.ip} are of different families")
    address = int(backend.ip)
    match: tuple[Entry, ...] = (kind, _NATTED, *_original(row, vip, protocol))
    match = (*match, (f"{family}_src", address, None), (f"{family}_dst", address, None))
    if protocol is not None and backend.port is not None:
        match = (*match, (f"{protocol}_dst", backend.port, None))
    actions = (_HIT, _learn(vip, backend, protocol, source or vip.ip))
    for priority, scope in _scopes(source, local):
        yield flow(t.LB_HAIRPIN, priority, (*scope, *match), actions, row.uuid)


def _learn(vip: End, backend: End, protocol: str | None, source: Address) -> Learn:
    family, bits, kind = _family(vip)
    answers: list[LearnMatch | LearnLoad] = [
        LearnMatch((t.DATAPATH, 0, 64), (t.DATAPATH, 0, 64)),
        LearnMatch(("eth_type", 0, 16), kind[1]),
        LearnMatch((f"{family}_src", 0, bits), (f"{family}_src", 0, bits)),
        LearnMatch((f"{family}_dst", 0, bits), int(source)),
    ]
    if protocol is not None and backend.port is not None:
        answers.append(LearnMatch(("nw_proto", 0, 8), NUMBERS[protocol]))
        answers.append(LearnMatch((f"{protocol}_src", 0, 16), (f"{protocol}_dst", 0, 16)))
    answers.append(LearnLoad((t.FLAGS, t.LOOKUP_LB_HAIRPIN, 1), 1))
    # What is learned goes with the last flow that learns under its cookie.
    digest = hashlib.blake2b(repr((vip, backend, protocol, source)).encode(), digest_size=4).digest()
    return Learn(t.LB_HAIRPIN_REPLY, tuple(answers), cookie=int.from_bytes(digest), delete_learned=True)


RULES: Final = (hairpins,)
