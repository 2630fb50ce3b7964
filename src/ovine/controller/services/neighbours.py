"""Packets for neighbours: ARP requests, neighbour solicitations and advertisements that blocks of actions are run on.

`arp { … }` and `nd_ns { … }` ask who has the destination of an IP packet; `nd_na { … }` answers a solicitation with
the target's MAC, which is what the solicitation's eth.dst is by then. A packet that these cannot be made from has no
answer. Who asks has the packet wait for the answer (`ovine.controller.services.waiting`).

Sources: RFC 826, 4861; ovn-sb(5). Tests: tests/unit/controller/services/test_neighbours.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

from ovine.controller.services import Handle, Opcode, Service, Userdata, World
from ovine.controller.services.answers import run_block
from ovine.controller.services.frames import (
    ARP,
    ICMPV6,
    IPV6,
    Malformed,
    ethernet,
    ipv4,
    ipv6,
    make_icmpv6,
    make_ipv6,
)
from ovine.controller.services.timed import Event
from ovine.controller.services.waiting import hold
from ovine.openflow import Message, PacketIn

_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_SOURCE_LINK, _TARGET_LINK = 1, 2
_ROUTER, _SOLICITED, _OVERRIDE = 0x80, 0x40, 0x20
_HOP_LIMIT: Final = 255
_ALL_NODES: Final = b"\xff\x02" + bytes(13) + b"\x01"
_SOLICITED_NODE: Final = b"\xff\x02" + bytes(9) + b"\x01\xff"


def arp_request(frame: bytes) -> bytes:
    """An ARP request for the destination of an IPv4 packet."""
    outer = ethernet(frame)
    packet = ipv4(outer)
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    body = fixed + outer.src + packet.src + bytes(6) + packet.dst
    return outer._replace(type=ARP, payload=body).encode()


def solicitation(frame: bytes) -> bytes:
    """A neighbour solicitation for the destination of an IPv6 packet."""
    outer = ethernet(frame)
    packet = ipv6(outer)
    group = _SOLICITED_NODE + packet.dst[13:]
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + packet.dst + bytes((_SOURCE_LINK, 1)) + outer.src
    body = make_ipv6(packet.src, group, ICMPV6, make_icmpv6(packet.src, group, message), _HOP_LIMIT)
    return outer._replace(dst=b"\x33\x33" + group[12:], type=IPV6, payload=body).encode()


def advertisement(frame: bytes, router: bool = False) -> bytes:
    """The answer to a neighbour solicitation; Malformed if the frame is none."""
    outer = ethernet(frame)
    packet = ipv6(outer)
    asked = packet.payload
    if packet.protocol != ICMPV6 or packet.fragment or len(asked) < 24 or asked[0] != _SOLICITATION:
        raise Malformed("not a neighbour solicitation")
    target, flags = asked[8:24], _OVERRIDE | (_ROUTER if router else 0)
    if any(packet.src):
        destination, flags = packet.src, flags | _SOLICITED
    else:
        destination = _ALL_NODES
    head = struct.pack("!BBHB3x", _ADVERTISEMENT, 0, 0, flags)
    message = head + target + bytes((_TARGET_LINK, 1)) + outer.dst
    body = make_ipv6(target, destination, ICMPV6, make_icmpv6(target, destination, message), _HOP_LIMIT)
    return outer._replace(dst=outer.src, src=outer.dst, payload=body).encode()


def advertisement_of_router(frame: bytes) -> bytes:
    """The answer of a router to a neighbour solicitation."""
    return advertisement(frame, router=True)


def _maker(make: Callable[[bytes], bytes]) -> Handle:
    def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message]:
        del world
        try:
            new = make(packet.packet)
        except Malformed:
            return
        yield run_block(packet, userdata, new)

    return handle


def _asker(make: Callable[[bytes], bytes], target: str) -> Handle:
    """Who asks has the packet wait for the answer."""

    def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message | Event]:
        del world
        try:
            new = make(packet.packet)
            asked = _destination(packet.packet)
        except Malformed:
            return
        question = run_block(packet, userdata, new)
        waiting = hold(packet, question.actions, target, asked)
        if waiting is not None:
            yield waiting
        yield question

    return handle


def _destination(frame: bytes) -> int:
    outer = ethernet(frame)
    packet = ipv6(outer) if outer.type == IPV6 else ipv4(outer)
    return int.from_bytes(packet.dst)


SERVICES: Final = (
    Service(Opcode.ARP, _asker(arp_request, "arp_tpa")),
    Service(Opcode.ND_NS, _asker(solicitation, "nd_target")),
    Service(Opcode.ND_NA, _maker(advertisement)),
    Service(Opcode.ND_NA_ROUTER, _maker(advertisement_of_router)),
)
