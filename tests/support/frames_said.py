"""What a frame is, as text: the way back of `support.frames`."""

from __future__ import annotations

import struct

from support.dns_frames import say_dns
from support.frame_words import (
    BFD_PORT,
    BFD_STATES,
    LARGE,
    MESSAGES4,
    MESSAGES6,
    SCTP_CHUNKS,
    TAG_KINDS,
    TCP_FLAGS,
    USUAL_LIMITS,
    ip_text,
    mac_text,
)
from support.multicast_frames import IGMP, say_igmp, say_mld


def describe(frame: bytes) -> str:
    """A frame's description."""
    words = [f"{mac_text(frame[6:12])}>{mac_text(frame[:6])}"]
    kind, payload = struct.unpack("!H", frame[12:14])[0], frame[14:]
    tag = next((word for word, number in TAG_KINDS.items() if number == kind), None)
    if tag is not None:
        words.append(f"{tag} {struct.unpack('!H', payload[:2])[0] & 0xFFF}")
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
    length, total = (raw[0] & 15) * 4, struct.unpack("!H", raw[2:4])[0]
    body = raw[length:total]
    fragment = struct.unpack("!H", raw[6:8])[0]
    words = f"ip {ip_text(raw[12:16])}>{ip_text(raw[16:20])}"
    if fragment & 0x1FFF:
        return f"{words} last proto {raw[9]}"
    if raw[9] == 17 and set(struct.unpack("!HH", body[:4])) & {67, 68} and len(body) > 8 + 240:
        return f"{words} udp {_say_ports(body)} {_say_dhcp4(body[8:])}"
    error = raw[9] == 1 and body[0] not in (0, 8)
    words += _say_header(raw[8], 0 if error else total, raw[1] >> 2) + (" first" if fragment & 0x2000 else "")
    if raw[9] == IGMP:
        return f"{words} {say_igmp(body)}"
    if raw[9] == 1:
        return f"{words} icmp {_say_icmp(body, {8: 'echo', 0: 'reply'}, (3, 4))}"
    return f"{words} {_say_connection(raw[9], body)}"


def _say_header(limit: int, size: int, dscp: int) -> str:
    words = f" ttl {limit}" if limit not in USUAL_LIMITS else ""
    words += f" size {size}" if size > LARGE else ""
    return words + (f" dscp {dscp}" if dscp else "")


def _say_icmp(body: bytes, known: dict[int, str], too_big: tuple[int, int]) -> str:
    """An echo by its name, or an error and what it is about; the MTU of the error that tells one."""
    if body[0] in known:
        return known[body[0]]
    kind, code, mtu = body[0], body[1], struct.unpack("!I", body[4:8])[0]
    words = f"{kind}/{code}" + (f" mtu {mtu}" if (kind, code) == too_big else "")
    inner = body[8:]
    if len(inner) < 20:
        return words
    return f"{words} about {_say_ip(inner) if inner[0] >> 4 == 4 else _say_ip6(inner)}"


def _say_connection(number: int, body: bytes) -> str:
    """UDP, TCP and SCTP, and others by number. Of what an ICMP error quotes, little may be there."""
    if number not in (6, 17, 132):
        return f"proto {number}"
    name = {6: "tcp", 17: "udp", 132: "sctp"}[number]
    words = f"{name} {_say_ports(body)}"
    if number == 6 and len(body) > 13:
        return f"{words} {''.join(letter for letter, bit in TCP_FLAGS.items() if body[13] & bit)}"
    if number == 132 and len(body) > 12:
        return f"{words} {SCTP_CHUNKS.get(body[12], body[12])}"
    if number == 17 and struct.unpack("!H", body[2:4])[0] == BFD_PORT and len(body) >= 32:
        return f"{words} bfd {BFD_STATES[body[9] >> 6]}"
    if number == 17 and 53 in struct.unpack("!HH", body[:4]):
        return f"{words} {say_dns(body[8:])}".rstrip()
    return words


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
    relayed = f" giaddr {ip_text(raw[24:28])}" if any(raw[24:28]) else ""
    relayed += f" hops {raw[3]}" if raw[3] else ""
    if raw[0] == 1:
        return f"dhcp {kind}{relayed}"
    shown = " ".join(f"{code}={_say_option4(code, value)}" for code, value in sorted(options.items()) if code != 53)
    return f"dhcp {kind} yiaddr {ip_text(raw[16:20])}{relayed} {shown}".rstrip()


def _say_option4(code: int, value: bytes) -> str:
    if code in (1, 3, 6, 54) and len(value) % 4 == 0:
        return ",".join(ip_text(value[n : n + 4]) for n in range(0, len(value), 4))
    if code in (26, 51, 58, 59):
        return str(int.from_bytes(value, "big"))
    return value.decode() if code in (12, 15, 66, 67) else value.hex()


def _say_ip6(raw: bytes) -> str:
    size = struct.unpack("!H", raw[4:6])[0]
    body = raw[40 : 40 + size]
    if raw[6] == 0:  # hop-by-hop options, such as the router alert
        raw, body = raw[:6] + body[:1] + raw[7:], body[8 * (body[1] + 1) :]
    words = f"ip6 {ip_text(raw[8:24])}>{ip_text(raw[24:40])}"
    if raw[6] == 44:  # a fragment
        number, place = body[0], struct.unpack("!H", body[2:4])[0]
        if place & 0xFFF8:
            return f"{words} last proto {number}"
        return f"{words}{_say_header(raw[7], 0, 0)} first {_say_connection(number, body[8:])}"
    if raw[6] == 17 and set(struct.unpack("!HH", body[:4])) & {546, 547}:
        return f"{words} udp {_say_ports(body)} {_say_dhcp6(body[8:])}"
    error = raw[6] == 58 and body[0] < 128
    words += _say_header(raw[7], 0 if error else 40 + size, int.from_bytes(raw[:2]) >> 6 & 63)
    if raw[6] == 58 and body[0] in _DISCOVERY:
        return f"{words} {_DISCOVERY[body[0]](body)}"
    if raw[6] == 58 and body[0] in (130, 131, 132, 143):
        return f"{words} {say_mld(body)}"
    if raw[6] == 58:
        return f"{words} icmp6 {_say_icmp(body, {128: 'echo', 129: 'reply'}, (2, 0))}"
    return f"{words} {_say_connection(raw[6], body)}"


def _say_rs(body: bytes) -> str:
    return " ".join(["rs", *_say_options(body[8:])])


def _say_ra(body: bytes) -> str:
    """`ra FLAGS lifetime S OPTION…`: flags M and O and the preference, and the options in order of their words."""
    return " ".join([f"ra {body[5]:x} lifetime {struct.unpack('!H', body[6:8])[0]}", *sorted(_say_options(body[16:]))])


def _say_ns(body: bytes) -> str:
    return " ".join([f"ns {ip_text(body[8:24])}", *_say_options(body[24:])])


def _say_na(body: bytes) -> str:
    return " ".join([f"na {body[4]:x} {ip_text(body[8:24])}", *_say_options(body[24:])])


_DISCOVERY = {133: _say_rs, 134: _say_ra, 135: _say_ns, 136: _say_na}


def _say_options(raw: bytes) -> list[str]:
    """The options of neighbour discovery (RFC 4861 §4.6, 8106, 4191), each as a few words."""
    said = []
    while len(raw) >= 8 and raw[1]:
        one, raw = raw[: raw[1] * 8], raw[raw[1] * 8 :]
        match one[0]:
            case 1 | 2:
                said.append(mac_text(one[2:8]))
            case 3:
                said.append(f"prefix {ip_text(one[16:32])}/{one[2]} {one[3]:x}")
            case 5:
                said.append(f"mtu {struct.unpack('!I', one[4:8])[0]}")
            case 24:
                said.append(f"route {ip_text(one[8:].ljust(16, bytes(1)))}/{one[2]} {one[3]:x}")
            case 25:
                said.append("dns " + ",".join(ip_text(one[n : n + 16]) for n in range(8, len(one), 16)))
            case 31:
                said.append("search " + ".".join(_labels(one[8:])))
            case code:
                said.append(f"option {code}")
    return said


def _labels(raw: bytes) -> list[str]:
    labels = []
    while raw and raw[0]:
        labels.append(raw[1 : 1 + raw[0]].decode())
        raw = raw[1 + raw[0] :]
    return labels


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


def bfd_discriminator(frame: bytes) -> int:
    """What the sender of a BFD packet over untagged IPv4 calls its session (RFC 5880 §4.1)."""
    return int(struct.unpack("!I", frame[46:50])[0])
