"""A packet in the words in which Open vSwitch prints flows: `udp,vlan_tci=0x0000,dl_src=…,nw_src=…,tp_src=1,tp_dst=2`.

Tests: tests/packets/controller/test_packet_text.py, judged by ofproto/trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from ovine.controller.services.frames import (
    ARP,
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    SCTP,
    TCP,
    UDP,
    Ethernet,
    IPv4,
    IPv6,
    Malformed,
    ethernet,
    ipv4,
    ipv6,
)

_NAMES4: Final = {ICMP: "icmp", TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_NAMES6: Final = {ICMPV6: "icmp6", TCP: "tcp6", UDP: "udp6", SCTP: "sctp6"}
_FLAGS: Final = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns")


def packet_text(frame: bytes) -> str:
    """The packet's fields as far as they can be read."""
    try:
        outer = ethernet(frame)
    except Malformed:
        return f"{len(frame)} bytes"
    tag = int.from_bytes(outer.tags[2:4]) | 0x1000 if outer.tags else 0
    link = f"vlan_tci=0x{tag:04x},dl_src={outer.src.hex(':')},dl_dst={outer.dst.hex(':')}"
    try:
        name, fields = _network(outer)
    except Malformed:
        name, fields = "", [f"dl_type=0x{outer.type:04x}"]
    return ",".join((*([name] if name else []), link, *fields))


def _network(outer: Ethernet) -> tuple[str, list[str]]:
    if outer.type == IPV4:
        packet = ipv4(outer)
        name, number = _NAMES4.get(packet.protocol, "ip"), packet.protocol
        addresses = [f"nw_src={ip_address(packet.src)}", f"nw_dst={ip_address(packet.dst)}"]
        traffic, ttl = packet.header[1], packet.header[8]
        return name, [*addresses, *_ip(name == "ip", number, traffic, ttl), *_transport(packet)]
    if outer.type == IPV6:
        packet6 = ipv6(outer)
        first = int.from_bytes(outer.payload[:4])
        name = _NAMES6.get(packet6.protocol, "ipv6")
        addresses = [f"ipv6_src={ip_address(packet6.src)}", f"ipv6_dst={ip_address(packet6.dst)}"]
        label = f"ipv6_label=0x{first & 0xFFFFF:05x}"
        rest = _ip(name == "ipv6", packet6.protocol, first >> 20 & 0xFF, packet6.hop_limit)
        return name, [*addresses, label, *rest, *_transport(packet6)]
    if outer.type == ARP and len(outer.payload) >= 28:
        return "arp", list(_arp(outer.payload))
    raise Malformed("neither IP nor ARP")


def _ip(unnamed: bool, protocol: int, traffic: int, ttl: int) -> list[str]:
    number = [f"nw_proto={protocol}"] if unnamed else []
    return [*number, f"nw_tos={traffic & 0xFC}", f"nw_ecn={traffic & 3}", f"nw_ttl={ttl}"]


def _transport(packet: IPv4 | IPv6) -> Iterator[str]:
    yield "nw_frag=first" if packet.fragment else "nw_frag=no"
    data = packet.payload
    if packet.protocol in (ICMP, ICMPV6) and len(data) >= 2:
        yield from (f"icmp_type={data[0]}", f"icmp_code={data[1]}")
    elif packet.protocol in (TCP, UDP, SCTP) and len(data) >= 4:
        yield from (f"tp_src={int.from_bytes(data[:2])}", f"tp_dst={int.from_bytes(data[2:4])}")
        if packet.protocol == TCP and len(data) >= 14:
            bits = int.from_bytes(data[12:14]) & 0x1FF
            set_ = [name for number, name in enumerate(_FLAGS) if bits >> number & 1]
            yield f"tcp_flags={'|'.join(set_) or '0'}"


def _arp(data: bytes) -> Iterator[str]:
    yield f"arp_spa={ip_address(data[14:18])}"
    yield f"arp_tpa={ip_address(data[24:28])}"
    yield f"arp_op={int.from_bytes(data[6:8])}"
    yield f"arp_sha={data[8:14].hex(':')}"
    yield f"arp_tha={data[18:24].hex(':')}"
