"""`inject-pkt`: a packet described by an expression of the language enters the pipeline of a port on this host.

The expression must come down to one packet: a conjunction of equalities, with `inport` naming a port that is here.
What it leaves open is zero; checksums and lengths are made right.

Tests: tests/unit/controller/test_controller_inject.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import dpkt

from ovine.controller import tables as t
from ovine.controller.local import CLAIMS
from ovine.engine import Engine
from ovine.language import StaticEnvironment, SyntaxProblem, compile_match, parse_match
from ovine.model import sb
from ovine.openflow import PacketOut, Resubmit

Fields = Mapping[str, int]
"""Values by the names of ovs-fields(7)."""
_ARP: Final = (0x0806, 0x8035)
_IP4, _IP6 = 0x0800, 0x86DD
_ICMP4, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_ND: Final = (135, 136)


class InjectError(ValueError):
    """An expression that describes no packet that can be injected here."""


def injected(engine: Engine, microflow: str) -> PacketOut:
    """The message that makes the switch take the packet as if it came from its `inport`."""
    fields = described(engine, microflow)
    ofport = fields.get(t.INPORT)
    if not ofport:
        raise InjectError("the expression does not name an inport that is on this host")
    return PacketOut(ofport, (Resubmit(table=t.PHYSICAL_TO_LOGICAL),), frame(fields))


def described(engine: Engine, microflow: str) -> Fields:
    """The fields of the one packet that an expression describes; `reg14` holds the port's OpenFlow number."""
    env = StaticEnvironment(
        address_sets={row.name: row.addresses for row in engine.rows(sb.AddressSet).values()},
        port_groups={row.name: row.ports for row in engine.rows(sb.PortGroup).values()},
        port_keys={claim.logical_port: claim.ofport for claim in engine.rows(CLAIMS).values() if claim.ofport},
    )
    try:
        flows = compile_match(parse_match(microflow), env)
    except SyntaxProblem as problem:
        raise InjectError(str(problem)) from None
    if not flows:
        raise InjectError("no packet on this host matches the expression")
    if len(flows) > 1 or flows[0].conjunctions:
        raise InjectError("the expression allows different packets; say which one")
    return {name: value for name, value, _ in flows[0].fields}


def frame(fields: Fields) -> bytes:
    """An Ethernet frame with these fields."""
    kind = fields.get("eth_type", 0)
    payload: Any = b""
    if kind in _ARP:
        payload = _arp(fields)
    elif kind == _IP4:
        payload = _ip4(fields)
    elif kind == _IP6:
        payload = _ip6(fields)
    made = dpkt.ethernet.Ethernet(src=_mac(fields, "eth_src"), dst=_mac(fields, "eth_dst"), type=kind, data=payload)
    whole = bytes(made)
    tci = fields.get("vlan_tci", 0)
    return whole[:12] + b"\x81\x00" + (tci & 0xEFFF).to_bytes(2) + whole[12:] if tci & 0x1000 else whole


def _mac(fields: Fields, name: str) -> bytes:
    return fields.get(name, 0).to_bytes(6)


def _arp(fields: Fields) -> Any:
    return dpkt.arp.ARP(
        op=fields.get("arp_op", 0),
        sha=_mac(fields, "arp_sha"),
        spa=fields.get("arp_spa", 0).to_bytes(4),
        tha=_mac(fields, "arp_tha"),
        tpa=fields.get("arp_tpa", 0).to_bytes(4),
    )


def _tos(fields: Fields) -> int:
    return fields.get("ip_dscp", 0) << 2 | fields.get("nw_ecn", 0)


def _ip4(fields: Fields) -> Any:
    upper = _upper(fields)
    return dpkt.ip.IP(
        src=fields.get("ip_src", 0).to_bytes(4),
        dst=fields.get("ip_dst", 0).to_bytes(4),
        p=fields.get("nw_proto", 0),
        ttl=fields.get("nw_ttl", 0),
        tos=_tos(fields),
        len=20 + len(upper),
        data=upper,
    )


def _ip6(fields: Fields) -> Any:
    upper = _upper(fields)
    packet = dpkt.ip6.IP6(
        src=fields.get("ipv6_src", 0).to_bytes(16),
        dst=fields.get("ipv6_dst", 0).to_bytes(16),
        nxt=fields.get("nw_proto", 0),
        hlim=fields.get("nw_ttl", 0),
        plen=len(upper),
        data=upper,
    )
    packet.fc = _tos(fields)
    packet.flow = fields.get("ipv6_label", 0)
    return packet


def _upper(fields: Fields) -> Any:
    """What is inside an IP packet."""
    protocol = fields.get("nw_proto", 0)
    if protocol == _TCP:
        flags = fields.get("tcp_flags", 0)
        return dpkt.tcp.TCP(sport=fields.get("tcp_src", 0), dport=fields.get("tcp_dst", 0), flags=flags)
    if protocol == _UDP:
        return dpkt.udp.UDP(sport=fields.get("udp_src", 0), dport=fields.get("udp_dst", 0), ulen=8)
    if protocol == _ICMP4:
        return dpkt.icmp.ICMP(type=fields.get("icmp_type", 0), code=fields.get("icmp_code", 0))
    if protocol == _ICMP6:
        return _icmp6(fields)
    return b""


def _icmp6(fields: Fields) -> Any:
    kind = fields.get("icmpv6_type", 0)
    body = bytes(4)
    if kind in _ND:
        body += fields.get("nd_target", 0).to_bytes(16)
        for name, option in (("nd_sll", 1), ("nd_tll", 2)):
            if name in fields:
                body += bytes((option, 1)) + _mac(fields, name)
    return dpkt.icmp6.ICMP6(type=kind, code=fields.get("icmpv6_code", 0), data=body)
