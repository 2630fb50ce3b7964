"""Ethernet frames as text, both ways: `build(text)` makes a frame, `describe(frame)` says what one is.

    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 7000>7001
    02:00:00:00:00:01>ff:ff:ff:ff:ff:ff vlan 101 arp request 02:00:00:00:00:01/10.0.0.1>00:00:00:00:00:00/10.0.0.2
    02:00:00:00:00:01>ff:ff:ff:ff:ff:ff service 101 ip 10.0.0.1>10.0.0.2 udp 7000>7001
    02:00:00:00:00:01>ff:ff:ff:ff:ff:ff rarp 02:00:00:00:00:01
    02:00:00:00:00:01>33:33:ff:00:00:02 ip6 fd00::1>ff02::1:ff00:2 ns fd00::2
    02:00:00:00:00:01>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp discover
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 7000>53 dns a vm1.ovine.test
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 tcp 7000>80 S
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 sctp 7000>80 init
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 ttl 63 size 1400 udp 7000>7001
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 icmp 3/4 mtu 1400 about ip 10.0.0.2>10.0.0.1 udp 7001>7000
    02:00:00:00:00:01>02:00:00:00:00:02 ip6 fd00::1>fd00::2 icmp6 3/0 about ip6 fd00::2>fd00::9 ttl 1 udp 7001>7000
    02:00:00:00:00:01>33:33:00:00:00:02 ip6 fe80::ff:fe00:1>ff02::2 rs 02:00:00:00:00:01
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 ttl 255 udp 49152>3784 bfd up mine 1 yours 2
    02:00:00:00:00:01>01:00:5e:00:00:16 ip 10.0.0.1>224.0.0.22 ttl 1 igmp3 join 239.1.1.1
    02:00:00:00:00:01>33:33:00:00:00:01 ip6 fe80::1>ff0a::1 ttl 1 mld1 report ff0a::1
    02:00:00:00:00:01>33:33:00:00:00:01 ip6 fe80::ff:fe00:1>ff02::1 ra 0 lifetime 1800 02:00:00:00:00:01
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 first udp 7000>7001
    02:00:00:00:00:01>02:00:00:00:00:02 ip6 fd00::1>fd00::2 last udp 7000>7001

`service` is a provider's VLAN tag (IEEE 802.1ad). TCP flags are letters of `FSRPA`; both sides count from `FIRST`, and
nothing has data. `ttl` is the hop limit in IPv6, and is said if it is neither 64, which is what `build` takes, nor 255,
nor DHCP's. `dscp` is said if it is not 0. `size` counts the bytes of an IP packet from its first header on, and is said
of large ones that are no ICMP errors. What an error is `about` may be written without `ip A>B`: then it went the other
way. `first` and `last` are the two fragments of a datagram.

`describe(build(text)) == text` for what `build` knows, but for RARP (`type 0x8035`), what need not be said, the ports
of a last fragment, and the numbers of BFD. What `build` does not make is described all the same: DHCP replies with
their options in the order of their codes, and router advertisements.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import dpkt
from dpkt.ethernet import Ethernet, VLANtag8021Q

from support.dns_frames import question
from support.frame_words import (
    BFD_STATES,
    MESSAGES4,
    MESSAGES6,
    SCTP_CHUNKS,
    TAG_KINDS,
    TCP_FLAGS,
    ip_bytes,
    mac_bytes,
    mac_text,
)
from support.frames_said import bfd_discriminator, describe
from support.multicast_frames import IGMP, igmp, mld

__all__ = ["bfd_discriminator", "build", "describe", "ip_bytes", "mac_bytes", "mac_text"]

XID = 0x0171E
FIRST = 1000
"""The sequence number of each side's SYN."""
FRAGMENT = 1200
FRAGMENT6 = 1280
"""Bytes in a first fragment: Open vSwitch's own connection tracker takes none that is smaller."""
COOKIE = b"\x63\x82\x53\x63"
DATA = b"ovine"


def build(text: str) -> bytes:
    """A frame from its description. Raises ValueError for words that it does not know."""
    words = text.split()
    source, _, destination = words.pop(0).partition(">")
    tags = []
    outer = TAG_KINDS.get(words[0])
    if outer is not None:
        tags = [VLANtag8021Q(id=int(words[1]))]
        words = words[2:]
    kind = words.pop(0)
    kind_number, payload = _PAYLOADS[kind](words)
    frame = Ethernet(src=mac_bytes(source), dst=mac_bytes(destination), type=kind_number, data=payload)
    if tags:
        tags[0].type = kind_number
        frame.vlan_tags = tags
        header = frame.dst + frame.src + struct.pack("!HHH", outer, tags[0].id, kind_number)
        return header + payload
    return bytes(frame)


def _arp(words: Sequence[str]) -> tuple[int, bytes]:
    op = {"request": 1, "reply": 2}[words[0]]
    sender, _, target = words[1].partition(">")
    (sha, _, spa), (tha, _, tpa) = sender.partition("/"), target.partition("/")
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    return 0x0806, fixed + mac_bytes(sha) + ip_bytes(spa) + mac_bytes(tha) + ip_bytes(tpa)


def _rarp(words: Sequence[str]) -> tuple[int, bytes]:
    """Who asks for its own address, as a machine does that has moved (RFC 903)."""
    own = mac_bytes(words[0])
    return 0x8035, struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3) + own + bytes(4) + own + bytes(4)


def _ip(words: list[str]) -> tuple[int, bytes]:
    src, dst, limit, size, dscp, words = _header(words)
    part = words[0] if words[0] in ("first", "last") else ""
    number, payload = _transport4(words[1:] if part else words, src, dst, max(0, size - 20))
    if part:
        payload += bytes(FRAGMENT)
        payload = payload[:FRAGMENT] if part == "first" else payload[FRAGMENT:]
    fragment = {"first": 0x2000, "last": FRAGMENT // 8}.get(part, 0)
    return 0x0800, _packet4(src, dst, number, payload, limit, fragment, dscp)


def _header(words: list[str]) -> tuple[bytes, bytes, int, int, int, list[str]]:
    """Of `A>B [ttl N] [size N] [dscp N] REST…`: addresses, hop limit, size or 0, DSCP, and the rest."""
    source, _, destination = words[0].partition(">")
    numbers = {"ttl": 64, "size": 0, "dscp": 0}
    rest = words[1:]
    while rest[0] in numbers:
        numbers[rest[0]] = int(rest[1])
        rest = rest[2:]
    return ip_bytes(source), ip_bytes(destination), numbers["ttl"], numbers["size"], numbers["dscp"], rest


def _packet4(
    src: bytes, dst: bytes, number: int, payload: bytes, limit: int = 64, fragment: int = 0, dscp: int = 0
) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, dscp << 2, 20 + len(payload), 0, fragment, limit, number, 0) + src + dst
    return header[:10] + struct.pack("!H", dpkt.in_cksum(header)) + header[12:] + payload


def _ip6(words: list[str]) -> tuple[int, bytes]:
    src, dst, limit, size, dscp, words = _header(words)
    part = words[0] if words[0] in ("first", "last") else ""
    size = FRAGMENT6 + 16 if part else max(0, size - 40)
    number, payload = _transport6(words[1:] if part else words, src, dst, size)
    if part:
        number, payload = 44, _fragment6(part, number, payload)
    return 0x86DD, _packet6(src, dst, number, payload, 255 if words[0] in ("ns", "na", "rs", "ra") else limit, dscp)


def _fragment6(part: str, number: int, payload: bytes) -> bytes:
    """One of the two fragments of a payload, with its header (RFC 8200 §4.5)."""
    place, piece = (1, payload[:FRAGMENT6]) if part == "first" else (FRAGMENT6, payload[FRAGMENT6:])
    return struct.pack("!BBHI", number, 0, place, 7) + piece


def _packet6(src: bytes, dst: bytes, number: int, payload: bytes, limit: int, dscp: int = 0) -> bytes:
    return struct.pack("!IHBB", 6 << 28 | dscp << 22, len(payload), number, limit) + src + dst + payload


def _padded(head: int, size: int) -> bytes:
    """Data behind a header of `head` bytes, so that both have `size` bytes; without a size, little."""
    return bytes(size - head) if size else DATA


def _transport4(words: list[str], src: bytes, dst: bytes, size: int = 0) -> tuple[int, bytes]:
    """Protocol and payload of `size` bytes; 0: as many as it takes."""
    match words:
        case ["udp", ports, *rest]:
            return 17, _udp(ports, _datagram(rest, size))
        case ["tcp", ports, flags]:
            pseudo = src + dst + struct.pack("!HH", 6, 20)
            return 6, _tcp(pseudo, ports, flags)
        case ["sctp", ports, chunk]:
            return 132, _sctp(ports, chunk)
        case ["proto", number]:
            return int(number), DATA
        case ["igmp" | "igmp1" | "igmp2" | "igmp3", *_]:
            return IGMP, igmp(words)
        case ["icmp", "echo" | "reply" as kind]:
            return 1, _icmp(struct.pack("!BBHHH", 8 if kind == "echo" else 0, 0, 0, 7, 1) + _padded(8, size))
        case ["icmp", kind, "mtu", mtu, "about", *inner]:
            return 1, _icmp(struct.pack("!BBHI", *_kind(kind), 0, int(mtu)) + _about4(inner, src, dst))
        case ["icmp", kind, "about", *inner]:
            return 1, _icmp(struct.pack("!BBHI", *_kind(kind), 0, 0) + _about4(inner, src, dst))
    raise ValueError(f"what is {' '.join(words)!r} over IPv4?")


def _datagram(words: list[str], size: int) -> bytes:
    """What is in a UDP datagram of `size` bytes with its header."""
    maker = {"dhcp": _dhcp4, "dhcp6": _dhcp6, "dns": question, "bfd": _bfd}.get(words[0]) if words else None
    return maker(words[1:]) if maker is not None else _padded(8, size)


def _bfd(words: list[str]) -> bytes:
    """`bfd STATE mine N yours N`: ten packets a second are welcome, and none is missed for long (RFC 5880 §4.1)."""
    state, _, mine, _, yours = words
    bits = BFD_STATES.index(state) << 6
    return struct.pack("!BBBBIIIII", 0x20, bits, 255, 24, int(mine), int(yours), 10**6, 10**5, 0)


def _about4(words: list[str], src: bytes, dst: bytes) -> bytes:
    if words[0] == "ip":
        return _ip(words[1:])[1]
    return _packet4(dst, src, *_transport4(words, dst, src))


def _about6(words: list[str], src: bytes, dst: bytes) -> bytes:
    if words[0] == "ip6":
        return _ip6(words[1:])[1]
    return _packet6(dst, src, *_transport6(words, dst, src), 64)


def _kind(text: str) -> tuple[int, int]:
    kind, _, code = text.partition("/")
    return int(kind), int(code)


def _icmp(body: bytes) -> bytes:
    return body[:2] + struct.pack("!H", dpkt.in_cksum(body)) + body[4:]


def _tcp(pseudo: bytes, ports: str, flags: str) -> bytes:
    source, _, destination = ports.partition(">")
    bits = sum(TCP_FLAGS[letter] for letter in flags)
    sequence, acknowledged = FIRST + ("S" not in flags), FIRST + 1 if "A" in flags else 0
    head = struct.pack("!HHIIBB", int(source), int(destination), sequence, acknowledged, 0x50, bits)
    body = head + struct.pack("!HHH", 65535, 0, 0)
    return body[:16] + struct.pack("!H", dpkt.in_cksum(pseudo + body)) + body[18:]


def _sctp(ports: str, chunk: str) -> bytes:
    source, _, destination = ports.partition(">")
    number = next(n for n, name in SCTP_CHUNKS.items() if name == chunk)
    body = struct.pack("!IIHHI", 1, 65535, 1, 1, 1) if number != 6 else b""
    head = struct.pack("!HHI", int(source), int(destination), 0 if number == 1 else 1)
    rest = struct.pack("!BBH", number, 0, 4 + len(body)) + body
    return head + _crc32c(head + bytes(4) + rest).to_bytes(4, "little") + rest


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def _transport6(words: list[str], src: bytes, dst: bytes, size: int = 0) -> tuple[int, bytes]:
    match words:
        case ["udp", ports, *rest]:
            return 17, _checked(17, src, dst, _udp(ports, _datagram(rest, size)), 6)
        case ["tcp", ports, flags]:
            return 6, _tcp(src + dst + struct.pack("!II", 20, 6), ports, flags)
        case ["sctp", ports, chunk]:
            return 132, _sctp(ports, chunk)
        case ["proto", number]:
            return int(number), DATA
        case ["icmp6", "echo" | "reply" as kind]:
            body = struct.pack("!BBHHH", 128 if kind == "echo" else 129, 0, 0, 7, 1) + _padded(8, size)
        case ["icmp6", kind, "mtu", mtu, "about", *inner]:
            body = struct.pack("!BBHI", *_kind(kind), 0, int(mtu)) + _about6(inner, src, dst)
        case ["icmp6", kind, "about", *inner]:
            body = struct.pack("!BBHI", *_kind(kind), 0, 0) + _about6(inner, src, dst)
        case ["mld" | "mld1" | "mld2", *_]:
            body = mld(words)
        case ["rs", *link]:
            body = b"\x85" + bytes(7) + _link_option(1, link)
        case ["ra", flags, "lifetime", seconds, *link]:
            body = struct.pack("!BBHBBHII", 0x86, 0, 0, 64, int(flags, 16), int(seconds), 0, 0) + _link_option(1, link)
        case ["ns", target, *link]:
            body = b"\x87" + bytes(7) + ip_bytes(target) + _link_option(1, link)
        case ["na", flags, target, *link]:
            body = struct.pack("!BBHI", 0x88, 0, 0, int(flags, 16) << 24) + ip_bytes(target) + _link_option(2, link)
        case _:
            raise ValueError(f"what is {' '.join(words)!r} over IPv6?")
    return 58, _checked(58, src, dst, body, 2)


def _link_option(code: int, link: list[str]) -> bytes:
    return bytes([code, 1]) + mac_bytes(link[0]) if link else b""


def _udp(ports: str, data: bytes) -> bytes:
    source, _, destination = ports.partition(">")
    return struct.pack("!HHHH", int(source), int(destination), 8 + len(data), 0) + data


def _checked(number: int, src: bytes, dst: bytes, body: bytes, offset: int) -> bytes:
    pseudo = src + dst + struct.pack("!II", len(body), number)
    checksum = dpkt.in_cksum(pseudo + body) or 0xFFFF
    return body[:offset] + struct.pack("!H", checksum) + body[offset + 2 :]


def _dhcp4(words: list[str]) -> bytes:
    """`dhcp TYPE [MAC] [broadcast] [ciaddr IP] [yiaddr IP] [giaddr IP] [hops N] [ask IP] [server IP]`."""
    kind = next(n for n, name in MESSAGES4.items() if name == words[0])
    rest = words[1:]
    mac = mac_bytes(rest.pop(0)) if rest and ":" in rest[0] else b"\2\0\0\0\0\1"
    flags = 0x8000 if rest[:1] == ["broadcast"] and rest.pop(0) else 0
    given = dict(zip(rest[::2], rest[1::2], strict=True))
    operation = 2 if words[0] in ("offer", "ack", "nak") else 1
    fixed = struct.pack("!BBBBIHH", operation, 1, 6, int(given.get("hops", 0)), XID, 0, flags)
    fixed += b"".join(ip_bytes(given.get(name, "0.0.0.0")) for name in ("ciaddr", "yiaddr", "siaddr", "giaddr"))
    options = bytes([53, 1, kind]) + (b"\x37\x06\x01\x03\x06\x0f\x1a\x79" if operation == 1 else b"")
    if "ask" in given:
        options += b"\x32\x04" + ip_bytes(given["ask"])
    if "server" in given:
        options += b"\x36\x04" + ip_bytes(given["server"])
    return fixed + mac + bytes(10) + bytes(192) + COOKIE + options + b"\xff"


def _dhcp6(words: list[str]) -> bytes:
    """`dhcp6 TYPE MAC [iaid N] [server MAC] [addr IP]`."""
    kind = next(n for n, name in MESSAGES6.items() if name == words[0])
    given = dict(zip(words[2::2], words[3::2], strict=True))
    body = bytes([kind]) + XID.to_bytes(3, "big") + _option6(1, b"\0\3\0\1" + mac_bytes(words[1]))
    if "server" in given:
        body += _option6(2, b"\0\3\0\1" + mac_bytes(given["server"]))
    if "iaid" in given:
        address = _option6(5, ip_bytes(given["addr"]) + bytes(8)) if "addr" in given else b""
        body += _option6(3, struct.pack("!III", int(given["iaid"]), 0, 0) + address)
    return body + _option6(6, struct.pack("!HH", 23, 24))


def _option6(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


_PAYLOADS = {"arp": _arp, "rarp": _rarp, "ip": _ip, "ip6": _ip6}
