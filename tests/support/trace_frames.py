"""What the flow language sees in a frame: a `Packet` from bytes, for what `support.frames` builds."""

from __future__ import annotations

import struct

from ovine.language import Packet


def packet(frame: bytes) -> Packet:
    """The fields of a frame, tag included."""
    values: dict[str, bytes] = {"eth.dst": frame[:6], "eth.src": frame[6:12]}
    if frame[12:14] == b"\x81\x00":
        values["vlan.tci"] = bytes([frame[14] | 0x10, frame[15]])
        frame = frame[:12] + frame[16:]
    kind, load = struct.unpack("!H", frame[12:14])[0], frame[14:]
    values["eth.type"] = frame[12:14]
    reader = {0x806: _arp, 0x800: _ip4, 0x86DD: _ip6}.get(kind)
    values |= reader(load) if reader else {}
    return Packet.of({name: int.from_bytes(value) for name, value in values.items()})


def about(frame: bytes) -> Packet | None:
    """What an ICMP error is about; None for any other frame."""
    kind = struct.unpack("!H", frame[12:14])[0]
    head, errors = {0x800: (20, (3, 4, 5, 11, 12)), 0x86DD: (40, (1, 2, 3, 4))}.get(kind, (0, ()))
    number = {0x800: 1, 0x86DD: 58}.get(kind)
    if not head or frame[14 + (9 if head == 20 else 6)] != number or frame[14 + head] not in errors:
        return None
    return packet(frame[:14] + frame[14 + head + 8 :] + bytes(20))


def _arp(load: bytes) -> dict[str, bytes]:
    sender = {"arp.op": load[6:8], "arp.sha": load[8:14], "arp.spa": load[14:18]}
    return {**sender, "arp.tha": load[18:24], "arp.tpa": load[24:28]}


def _ip4(load: bytes) -> dict[str, bytes]:
    values = {"ip.proto": load[9:10], "ip.ttl": load[8:9], "ip4.src": load[12:16], "ip4.dst": load[16:20]}
    values["ip.dscp"] = bytes([load[1] >> 2])
    if load[9] == 1:
        return {**values, "icmp4.type": load[20:21], "icmp4.code": load[21:22]}
    return {**values, **_ports(load[9], load[20:])}


def _ip6(load: bytes) -> dict[str, bytes]:
    values = {"ip.proto": load[6:7], "ip.ttl": load[7:8], "ip6.src": load[8:24], "ip6.dst": load[24:40]}
    values["ip.dscp"] = bytes([(load[0] << 8 | load[1]) >> 6 & 63])
    if load[6] == 58:
        return {**values, **_icmp6(load[40:])}
    return {**values, **_ports(load[6], load[40:])}


def _ports(number: int, body: bytes) -> dict[str, bytes]:
    name = {6: "tcp", 17: "udp", 132: "sctp"}.get(number)
    ports = {f"{name}.src": body[:2], f"{name}.dst": body[2:4]} if name else {}
    return {**ports, "tcp.flags": bytes([body[12] & 15, body[13]])} if name == "tcp" else ports


def _icmp6(body: bytes) -> dict[str, bytes]:
    hardware = {135: "nd.sll", 136: "nd.tll"}.get(body[0])
    return {
        "icmp6.type": body[:1],
        "icmp6.code": body[1:2],
        **({"nd.target": body[8:24]} if hardware else {}),
        **({hardware: body[26:32]} if hardware and len(body) >= 32 else {}),
    }
