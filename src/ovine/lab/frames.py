"""Frames that an instance may forge. Tests: tests/unit/lab/test_traffic.py."""

from __future__ import annotations

import socket

from dpkt.arp import ARP, ARP_OP_REQUEST, ARP_OP_REVREQUEST
from dpkt.ethernet import ETH_TYPE_ARP, ETH_TYPE_IP, ETH_TYPE_REVARP, Ethernet
from dpkt.icmp import ICMP, ICMP_ECHO
from dpkt.ip import IP, IP_PROTO_ICMP


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def echo_request(eth_src: str, eth_dst: str, ip_src: str, ip_dst: str, payload: bytes = b"ovine") -> bytes:
    """An ICMP echo request in an Ethernet frame, with correct lengths and checksums (RFC 791, RFC 792)."""
    echo = ICMP(type=ICMP_ECHO, data=ICMP.Echo(id=0x6F76, seq=1, data=payload))
    packet = IP(src=socket.inet_aton(ip_src), dst=socket.inet_aton(ip_dst), p=IP_PROTO_ICMP, ttl=64, data=echo)
    return bytes(Ethernet(src=mac_bytes(eth_src), dst=mac_bytes(eth_dst), type=ETH_TYPE_IP, data=packet))


def announcement(mac: str, ip: str) -> bytes:
    """A gratuitous ARP request: `mac` tells everybody that it has `ip` (RFC 5227, section 3)."""
    own = socket.inet_aton(ip)
    arp = ARP(op=ARP_OP_REQUEST, sha=mac_bytes(mac), spa=own, tha=bytes(6), tpa=own)
    return bytes(Ethernet(src=mac_bytes(mac), dst=b"\xff" * 6, type=ETH_TYPE_ARP, data=arp))


def arrival(mac: str) -> bytes:
    """A reverse ARP request (RFC 903), as hypervisors send it for a machine that has just come."""
    own = mac_bytes(mac)
    asking = ARP(op=ARP_OP_REVREQUEST, sha=own, spa=bytes(4), tha=own, tpa=bytes(4))
    # As bytes, since dpkt would say that it is ARP.
    return bytes(Ethernet(src=own, dst=b"\xff" * 6, type=ETH_TYPE_REVARP, data=bytes(asking)))
