"""Ethernet frames as text, both ways: `build(text)` makes a frame, `describe(frame)` says what one is.

    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 7000>7001
    02:00:00:00:00:01>ff:ff:ff:ff:ff:ff vlan 101 arp request 02:00:00:00:00:01/10.0.0.1>00:00:00:00:00:00/10.0.0.2
    02:00:00:00:00:01>33:33:ff:00:00:02 ip6 fd00::1>ff02::1:ff00:2 ns fd00::2
    02:00:00:00:00:01>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp discover
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 7000>53 dns a vm1.ovine.test
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 tcp 7000>80 S
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 sctp 7000>80 init
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 icmp 3/3 about udp 7001>7000
    02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 first udp 7000>7001

TCP flags are letters of `FSRPA`; both sides count from `FIRST`, and nothing has data. An ICMP error is `about` a packet
that went the other way. `first` and `last` are the two fragments of a datagram.

`describe(build(text)) == text` for what `build` knows, but for what an ICMP error is about, and for the ports of a last
fragment. DHCP replies, which `build` does not make, are described with their options in the order of their codes.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

import dpkt
from dpkt.ethernet import Ethernet, VLANtag8021Q

from support.dns_frames import question, say_dns

MESSAGES4 = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}
MESSAGES6 = {1: "solicit", 2: "advertise", 3: "request", 4: "confirm", 7: "reply", 8: "release", 9: "decline"} | {
    5: "renew",
    6: "rebind",
    11: "information-request",
}
XID = 0x0171E
FIRST = 1000
"""The sequence number of each side's SYN."""
TCP_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
SCTP_CHUNKS = {1: "init", 2: "init-ack", 6: "abort"}
FRAGMENT = 1200
"""Bytes in a first fragment: Open vSwitch's own connection tracker takes none that is smaller."""
COOKIE = b"\x63\x82\x53\x63"


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def mac_text(raw: bytes) -> str:
    return raw.hex(":")


def ip_bytes(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def ip_text(raw: bytes) -> str:
    return str(ipaddress.ip_address(raw))


# --- text to frame ------------------------------------------------------------------------------------------------


def build(text: str) -> bytes:
    """A frame from its description. Raises ValueError for words that it does not know."""
    words = text.split()
    source, _, destination = words.pop(0).partition(">")
    tags = []
    if words[0] == "vlan":
        tags = [VLANtag8021Q(id=int(words[1]))]
        words = words[2:]
    kind = words.pop(0)
    kind_number, payload = _PAYLOADS[kind](words)
    frame = Ethernet(src=mac_bytes(source), dst=mac_bytes(destination), type=kind_number, data=payload)
    if tags:
        tags[0].type = kind_number
        frame.vlan_tags = tags
        header = frame.dst + frame.src + struct.pack("!HHH", 0x8100, tags[0].id, kind_number)
        return header + payload
    return bytes(frame)


def _arp(words: Sequence[str]) -> tuple[int, bytes]:
    op = {"request": 1, "reply": 2}[words[0]]
    sender, _, target = words[1].partition(">")
    (sha, _, spa), (tha, _, tpa) = sender.partition("/"), target.partition("/")
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    return 0x0806, fixed + mac_bytes(sha) + ip_bytes(spa) + mac_bytes(tha) + ip_bytes(tpa)


def _ip(words: list[str]) -> tuple[int, bytes]:
    source, _, destination = words[0].partition(">")
    src, dst = ip_bytes(source), ip_bytes(destination)
    part = words[1] if words[1] in ("first", "last") else ""
    number, payload = _transport4(words[2:] if part else words[1:], src, dst)
    if part:
        payload += bytes(FRAGMENT)
        payload = payload[:FRAGMENT] if part == "first" else payload[FRAGMENT:]
    return 0x0800, _packet4(src, dst, number, payload, {"first": 0x2000, "last": FRAGMENT // 8}.get(part, 0))


def _packet4(src: bytes, dst: bytes, number: int, payload: bytes, fragment: int = 0) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, fragment, 64, number, 0) + src + dst
    return header[:10] + struct.pack("!H", dpkt.in_cksum(header)) + header[12:] + payload


def _ip6(words: list[str]) -> tuple[int, bytes]:
    source, _, destination = words[0].partition(">")
    src, dst = ip_bytes(source), ip_bytes(destination)
    number, payload, limit = _transport6(words[1:], src, dst)
    return 0x86DD, _packet6(src, dst, number, payload, limit)


def _packet6(src: bytes, dst: bytes, number: int, payload: bytes, limit: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), number, limit) + src + dst + payload


def _transport4(words: list[str], src: bytes, dst: bytes) -> tuple[int, bytes]:
    match words:
        case ["udp", ports, *rest]:
            data = _datagram(rest)
            return 17, _udp(ports, data)
        case ["tcp", ports, flags]:
            pseudo = src + dst + struct.pack("!HH", 6, 20)
            return 6, _tcp(pseudo, ports, flags)
        case ["sctp", ports, chunk]:
            return 132, _sctp(ports, chunk)
        case ["icmp", "echo" | "reply" as kind]:
            return 1, _icmp(struct.pack("!BBHHH", 8 if kind == "echo" else 0, 0, 0, 7, 1) + b"ovine")
        case ["icmp", kind, "about", *inner]:
            number, payload = _transport4(inner, dst, src)
            return 1, _icmp(struct.pack("!BBHI", *_kind(kind), 0, 0) + _packet4(dst, src, number, payload))
    raise ValueError(f"what is {' '.join(words)!r} over IPv4?")


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


def _transport6(words: list[str], src: bytes, dst: bytes) -> tuple[int, bytes, int]:
    match words:
        case ["udp", ports, *rest]:
            data = _datagram(rest)
            return 17, _checked(17, src, dst, _udp(ports, data), 6), 64
        case ["tcp", ports, flags]:
            return 6, _tcp(src + dst + struct.pack("!II", 20, 6), ports, flags), 64
        case ["sctp", ports, chunk]:
            return 132, _sctp(ports, chunk), 64
        case ["icmp6", "echo" | "reply" as kind]:
            body = struct.pack("!BBHHH", 128 if kind == "echo" else 129, 0, 0, 7, 1) + b"ovine"
            return 58, _checked(58, src, dst, body, 2), 64
        case ["icmp6", kind, "about", *inner]:
            number, payload, limit = _transport6(inner, dst, src)
            body = struct.pack("!BBHI", *_kind(kind), 0, 0) + _packet6(dst, src, number, payload, limit)
            return 58, _checked(58, src, dst, body, 2), 64
        case ["ns", target, *link]:
            option = b"\x01\x01" + mac_bytes(link[0]) if link else b""
            return 58, _checked(58, src, dst, b"\x87\0\0\0\0\0\0\0" + ip_bytes(target) + option, 2), 255
        case ["na", flags, target, link]:
            head = struct.pack("!BBHI", 0x88, 0, 0, int(flags, 16) << 24)
            return 58, _checked(58, src, dst, head + ip_bytes(target) + b"\x02\x01" + mac_bytes(link), 2), 255
    raise ValueError(f"what is {' '.join(words)!r} over IPv6?")


def _datagram(words: list[str]) -> bytes:
    """What is in a UDP datagram."""
    maker = {"dhcp": _dhcp4, "dhcp6": _dhcp6, "dns": question}.get(words[0]) if words else None
    return maker(words[1:]) if maker is not None else b"ovine"


def _udp(ports: str, data: bytes) -> bytes:
    source, _, destination = ports.partition(">")
    return struct.pack("!HHHH", int(source), int(destination), 8 + len(data), 0) + data


def _checked(number: int, src: bytes, dst: bytes, body: bytes, offset: int) -> bytes:
    pseudo = src + dst + struct.pack("!II", len(body), number)
    checksum = dpkt.in_cksum(pseudo + body) or 0xFFFF
    return body[:offset] + struct.pack("!H", checksum) + body[offset + 2 :]


def _dhcp4(words: list[str]) -> bytes:
    """`dhcp TYPE [MAC] [ciaddr IP] [ask IP] [server IP]`."""
    kind = next(n for n, name in MESSAGES4.items() if name == words[0])
    mac = mac_bytes(words[1]) if len(words) > 1 and ":" in words[1] else b"\2\0\0\0\0\1"
    given = dict(zip(words[2::2], words[3::2], strict=False))
    fixed = struct.pack("!BBBBIHH", 1, 1, 6, 0, XID, 0, 0) + ip_bytes(given.get("ciaddr", "0.0.0.0")) + bytes(12)
    options = bytes([53, 1, kind]) + b"\x37\x06\x01\x03\x06\x0f\x1a\x79"
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


_PAYLOADS = {"arp": _arp, "ip": _ip, "ip6": _ip6}


# --- frame to text ------------------------------------------------------------------------------------------------


def describe(frame: bytes) -> str:
    """A frame's description."""
    words = [f"{mac_text(frame[6:12])}>{mac_text(frame[:6])}"]
    kind, payload = struct.unpack("!H", frame[12:14])[0], frame[14:]
    if kind == 0x8100:
        words.append(f"vlan {struct.unpack('!H', payload[:2])[0] & 0xFFF}")
        kind, payload = struct.unpack("!H", payload[2:4])[0], payload[4:]
    describer = {0x0806: _say_arp, 0x0800: _say_ip, 0x86DD: _say_ip6}.get(kind)
    words.append(describer(payload) if describer else f"type 0x{kind:04x}")
    return " ".join(words)


def _say_arp(raw: bytes) -> str:
    op = struct.unpack("!H", raw[6:8])[0]
    sender = f"{mac_text(raw[8:14])}/{ip_text(raw[14:18])}"
    target = f"{mac_text(raw[18:24])}/{ip_text(raw[24:28])}"
    return f"arp {'request' if op == 1 else 'reply'} {sender}>{target}"


def _say_ip(raw: bytes) -> str:
    length = (raw[0] & 15) * 4
    body = raw[length : struct.unpack("!H", raw[2:4])[0]]
    words = f"ip {ip_text(raw[12:16])}>{ip_text(raw[16:20])}"
    fragment = struct.unpack("!H", raw[6:8])[0]
    if fragment & 0x1FFF:
        return f"{words} last proto {raw[9]}"
    words += " first" if fragment & 0x2000 else ""
    if raw[9] == 17:
        ports = struct.unpack("!HH", body[:4])
        said = f"{words} udp {ports[0]}>{ports[1]}"
        if 53 in ports:
            return f"{said} {say_dns(body[8:])}".rstrip()
        return f"{said} {_say_dhcp4(body[8:])}" if set(ports) & {67, 68} else said
    if raw[9] == 1:
        known = {8: "echo", 0: "reply"}.get(body[0])
        return f"{words} icmp {known or f'{body[0]}/{body[1]}'}"
    return f"{words} {_say_connection(raw[9], body)}"


def _say_connection(number: int, body: bytes) -> str:
    """TCP and SCTP, and others by number."""
    if number == 6:
        flags = "".join(letter for letter, bit in TCP_FLAGS.items() if body[13] & bit)
        return f"tcp {_say_ports(body)} {flags}"
    if number == 132:
        return f"sctp {_say_ports(body)} {SCTP_CHUNKS.get(body[12], body[12])}"
    return f"proto {number}"


def _say_ports(body: bytes) -> str:
    return "{}>{}".format(*struct.unpack("!HH", body[:4]))


def _say_dhcp4(raw: bytes) -> str:
    options: dict[int, bytes] = {}
    rest = raw[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    kind = MESSAGES4.get(options.get(53, b"\0")[0], "?")
    if raw[0] == 1:
        return f"dhcp {kind}"
    shown = " ".join(f"{code}={_say_option4(code, value)}" for code, value in sorted(options.items()) if code != 53)
    return f"dhcp {kind} yiaddr {ip_text(raw[16:20])} {shown}".rstrip()


def _say_option4(code: int, value: bytes) -> str:
    if code in (1, 3, 6, 54) and len(value) % 4 == 0:
        return ",".join(ip_text(value[n : n + 4]) for n in range(0, len(value), 4))
    if code in (26, 51, 58, 59):
        return str(int.from_bytes(value, "big"))
    return value.decode() if code in (12, 15, 66, 67) else value.hex()


def _say_ip6(raw: bytes) -> str:
    body = raw[40 : 40 + struct.unpack("!H", raw[4:6])[0]]
    words = f"ip6 {ip_text(raw[8:24])}>{ip_text(raw[24:40])}"
    if raw[6] == 17:
        ports = struct.unpack("!HH", body[:4])
        said = f"{words} udp {ports[0]}>{ports[1]}"
        if 53 in ports:
            return f"{said} {say_dns(body[8:])}".rstrip()
        return f"{said} {_say_dhcp6(body[8:])}" if set(ports) & {546, 547} else said
    if raw[6] == 58 and body[0] == 135:
        link = f" {mac_text(body[26:32])}" if len(body) >= 32 else ""
        return f"{words} ns {ip_text(body[8:24])}{link}"
    if raw[6] == 58 and body[0] == 136:
        return f"{words} na {body[4]:x} {ip_text(body[8:24])} {mac_text(body[26:32])}"
    if raw[6] == 58:
        return f"{words} icmp6 {({128: 'echo', 129: 'reply'}).get(body[0], body[0])}"
    return f"{words} {_say_connection(raw[6], body)}"


def _say_dhcp6(raw: bytes) -> str:
    options = dict(_options6(raw[4:]))
    words = [f"dhcp6 {MESSAGES6.get(raw[0], '?')}"]
    if raw[0] not in (2, 7):
        return words[0]
    if 3 in options:
        inner = dict(_options6(options[3][12:]))
        words.append(f"addr {ip_text(inner[5][:16])}" if 5 in inner else "addr none")
    if 23 in options:
        servers = [ip_text(options[23][n : n + 16]) for n in range(0, len(options[23]), 16)]
        words.append(f"dns {','.join(servers)}")
    return " ".join(words)


def _options6(raw: bytes) -> list[tuple[int, bytes]]:
    found = []
    while len(raw) >= 4:
        code, length = struct.unpack("!HH", raw[:4])
        found.append((code, raw[4 : 4 + length]))
        raw = raw[4 + length :]
    return found
