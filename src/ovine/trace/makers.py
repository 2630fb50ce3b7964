"""Actions that make a packet out of the one at hand and run a block on it; the original goes on unchanged.

A new packet keeps Ethernet addresses, VLAN tag and registers, and belongs to no connection.
Source: ovn-sb(5); RFC 826, RFC 4861, RFC 4443. Tests: tests/unit/trace/test_trace_cases.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from ovine.language import Packet, evaluate, format_action, parse_match
from ovine.language import actions as act
from ovine.language.layout import FIELDS as PLACES
from ovine.trace.machine import Done, Handler, Machine, Place, State, without_tracking
from ovine.trace.tree import Effect, Fork
from ovine.trace.values import describe, with_openflow

_NETWORK: Final = ("nw_proto", "ip_dscp", "nw_ecn", "nw_ttl", "ip_frag", "ip_src", "ip_dst")
_NETWORK6: Final = ("ipv6_src", "ipv6_dst", "ipv6_label")
_TRANSPORT: Final = tuple(f"{protocol}_{side}" for protocol in ("tcp", "udp", "sctp") for side in ("src", "dst"))
_CONTROL: Final = ("tcp_flags", "icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code")
_NEIGHBOUR: Final = ("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha", "nd_target", "nd_sll", "nd_tll")
_LOAD: Final = sum(PLACES[name].mask for name in (*_TRANSPORT, *_CONTROL, *_NEIGHBOUR))
_ALL: Final = _LOAD | sum(PLACES[name].mask for name in (*_NETWORK, *_NETWORK6))
_RST: Final = 4


def _made(packet: Packet, cleared: int, **values: int) -> Packet:
    """A packet without some of its bits, with OpenFlow fields set."""
    return without_tracking(with_openflow(Packet(packet.bits & ~cleared), **values))


def arp(packet: Packet) -> Packet:
    """A request of the sender for the destination."""
    asks = {"arp_op": 1, "arp_sha": packet.get("eth.src"), "arp_spa": packet.get("ip4.src")}
    return _made(packet, _ALL, eth_type=0x806, arp_tpa=packet.get("ip4.dst"), **asks)


def solicitation(packet: Packet) -> Packet:
    target = packet.get("ip6.dst")
    group = 0xFF02_0000_0000_0000_0000_0001_FF00_0000 | target & 0xFFFFFF
    return _made(
        packet,
        _ALL,
        **_neighbour(135, packet.get("ip6.src"), group, target),
        eth_dst=0x3333_0000_0000 | group & 0xFFFFFFFF,
        nd_sll=packet.get("eth.src"),
    )


def advertisement(packet: Packet) -> Packet:
    target = packet.get("nd.target")
    return _made(
        packet,
        _ALL,
        **_neighbour(136, target, packet.get("ip6.src"), target),
        eth_src=packet.get("eth.dst"),
        eth_dst=packet.get("eth.src"),
        nd_tll=packet.get("eth.dst"),
    )


def _neighbour(kind: int, source: int, destination: int, target: int) -> dict[str, int]:
    ip = {"eth_type": 0x86DD, "nw_proto": 58, "nw_ttl": 255, "ipv6_src": source, "ipv6_dst": destination}
    return {**ip, "icmpv6_type": kind, "nd_target": target}


def icmp4(packet: Packet) -> Packet:
    """Destination unreachable: host unreachable."""
    cleared = _LOAD | PLACES["ip_frag"].mask
    return _made(packet, cleared, nw_proto=1, nw_ttl=255, icmp_type=3, icmp_code=1)


def icmp6(packet: Packet) -> Packet:
    """Destination unreachable: administratively prohibited."""
    return _made(packet, _LOAD, nw_proto=58, nw_ttl=255, icmpv6_type=1, icmpv6_code=1)


def reset(packet: Packet) -> Packet:
    ends = {"tcp_src": packet.get("tcp.dst"), "tcp_dst": packet.get("tcp.src")}
    return _made(packet, 0, nw_ttl=255, tcp_flags=_RST, **ends)


def abort(packet: Packet) -> Packet:
    ends = {"sctp_src": packet.get("sctp.dst"), "sctp_dst": packet.get("sctp.src")}
    return _made(packet, 0, nw_ttl=255, **ends)


def refusal(packet: Packet) -> Packet:
    """TCP is reset, anything else told that it does not arrive; the answer goes back to the sender."""
    back = _made(packet, 0, eth_src=packet.get("eth.dst"), eth_dst=packet.get("eth.src"))
    for source, destination in (("ip4.src", "ip4.dst"), ("ip6.src", "ip6.dst")):
        there, here = packet.get(source), packet.get(destination)
        back = back.with_value(source, here).with_value(destination, there)
    if evaluate(parse_match("tcp"), packet):
        return reset(back)
    return icmp4(back) if evaluate(parse_match("ip4"), packet) else icmp6(back)


_MAKERS: Final[Mapping[type[act.Block], tuple[str, Callable[[Packet], Packet]]]] = {
    act.Arp: ("arp", arp),
    act.NdNs: ("nd_ns", solicitation),
    act.NdNa: ("nd_na", advertisement),
    act.NdNaRouter: ("nd_na_router", advertisement),
    act.Icmp4: ("icmp4", icmp4),
    act.Icmp4Error: ("icmp4_error", icmp4),
    act.Icmp6: ("icmp6", icmp6),
    act.Icmp6Error: ("icmp6_error", icmp6),
    act.TcpReset: ("tcp_reset", reset),
    act.SctpAbort: ("sctp_abort", abort),
    act.Reject: ("reject", refusal),
}


def make(machine: Machine, place: Place, state: State, action: act.Block) -> Done:
    title, maker = _MAKERS[type(action)]
    packet = maker(state.packet)
    nodes = machine.block(place, replace(state, packet=packet), action.actions)
    text = describe(packet, machine.world, place.datapath)
    return Done((Effect(format_action(action)), Fork(title, nodes, text)), state)


HANDLERS: Final[Mapping[type, Handler]] = dict.fromkeys(_MAKERS, make)
