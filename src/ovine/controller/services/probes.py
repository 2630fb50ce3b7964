"""Probes of neighbours: is a machine whose address a router port has learned still there?

A probe is an ARP request, or a neighbour solicitation, to the one Ethernet address that was learned (RFC 1122
§2.3.2.1, RFC 4861 §7.3.3: unreachability is found by unicasts, so that nobody else is disturbed). It leaves the router
by the way of the packets that asked: of a distributed gateway port, by the chassis that is its gateway.

Tests: tests/unit/controller/services/test_ageing_of_learned.py.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Final

from ovine.controller import tables as t
from ovine.controller.services import World
from ovine.controller.services.fdb import mac_number
from ovine.controller.services.frames import ARP, ICMPV6, IPV6, Ethernet, make_icmpv6, make_ipv6
from ovine.model import sb
from ovine.openflow import PacketOut, Resubmit

Address = IPv4Address | IPv6Address
_SOLICITATION, _SOURCE_LINK, _HOP_LIMIT = 135, 1, 255
_REDIRECT: Final = "chassis-redirect-port"


def probe(world: World, datapath: int, port: sb.PortBinding, binding: sb.MACBinding) -> PacketOut | None:
    """What asks the neighbour of a binding whether it is there; None if the port has no address to ask from.

    `datapath` is the router's tunnel key, `port` the router port that the binding is of.
    """
    target = ip_address(binding.ip)
    asker = _asker(port, target)
    if asker is None:
        return None
    place = ((t.DATAPATH, datapath, None), (t.OUTPORT, _way_out(world, port), None))
    data = frame(*asker, mac_number(binding.mac).to_bytes(6), target)
    return PacketOut("CONTROLLER", (Resubmit(table=t.REMOTE_OUTPUT),), data, place)


def _way_out(world: World, port: sb.PortBinding) -> int:
    """The tunnel key of the place that packets to a port are sent to: of a gateway port, that on the gateway."""
    redirect = port.options.get(_REDIRECT)
    gateway = world.southbound.index(sb.PortBinding, "logical_port").one(redirect) if redirect else None
    return (gateway or port).tunnel_key


def _asker(port: sb.PortBinding, target: Address) -> tuple[bytes, Address] | None:
    """The router port's Ethernet address, and its IP address in the target's network, else any of that version."""
    mac, *words = " ".join(port.mac).split() or [""]
    try:
        own, networks = mac_number(mac).to_bytes(6), [ip_interface(word) for word in words]
    except (ValueError, OverflowError):
        return None
    if target.version == 6 and target.is_link_local:
        return own, link_local(own)
    alike = [network for network in networks if network.version == target.version]
    best = [network for network in alike if target in network.network] or alike
    if best:
        return own, best[0].ip
    return (own, link_local(own)) if target.version == 6 else None


def link_local(mac: bytes) -> IPv6Address:
    """The address that a MAC makes on its link (RFC 4291, appendix A)."""
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:])


def frame(mac: bytes, source: Address, to: bytes, target: Address) -> bytes:
    """The question whether `target` is at `to`."""
    src, dst = source.packed, target.packed
    if target.version == 4:
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + src + bytes(6) + dst
        return Ethernet(to, mac, b"", ARP, body).encode()
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + dst + bytes((_SOURCE_LINK, 1)) + mac
    packet = make_ipv6(src, dst, ICMPV6, make_icmpv6(src, dst, message), _HOP_LIMIT)
    return Ethernet(to, mac, b"", IPV6, packet).encode()
