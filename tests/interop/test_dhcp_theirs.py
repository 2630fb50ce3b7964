"""The same DHCP requests to our controller and to Debian's: equal answers, or differences that are named here.

Both hosts are under Debian's northd; their ports have the same options, and the same addresses in different networks.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from ovine.lab import Lab, netns
from support.frames import mac_bytes

MAC = "02:00:00:00:00:01"
V4 = {
    "server_id": "10.0.0.254",
    "server_mac": "02:00:00:00:00:fe",
    "lease_time": "3600",
    "router": "10.0.0.254",
    "mtu": "1442",
    "dns_server": "{8.8.8.8, 1.1.1.1}",
    "T1": "1000",
    "T2": "2000",
    "tftp_server": '"boot.example.org"',
    "tftp_server_address": "{10.0.0.7, 10.0.0.8}",
    "next_server": "10.0.0.9",
    "wpad": '"http://wpad"',
    "bootfile_name": '"http://boot"',
    "bootfile_name_alt": '"first.kpxe"',
    "ip_forward_enable": "1",
    "default_ttl": "64",
    "domain_name": '"example.org"',
    "domain_search_list": '"a.example,b.org"',
    "classless_static_route": "{169.254.169.254/32, 10.0.0.2, 10.1.0.0/17, 10.0.0.3, 0.0.0.0/0, 10.0.0.254}",
}
V6 = {"server_id": "02:00:00:00:00:fe", "dns_server": "{fd00::53, fd00::54}"}


@pytest.fixture(scope="module")
def sockets(lab_machine: None) -> Iterator[list[socket.socket]]:
    """One port on each host: ours, theirs."""
    with Lab(northd="c", controllers=("ovine", "c"), api=False) as lab:
        rows = []
        for cidr, options in (("10.0.0.0/24", V4), ("fd00::/64", V6)):
            pairs = [f"options:{name}={quoted(value)}" for name, value in options.items()]
            rows.append(lab.nbctl("create", "DHCP_Options", f'cidr="{cidr}"', *pairs).strip())
        opened = []
        for number in (1, 2):
            name = f"p{number}"
            lab.nbctl("ls-add", f"sw{number}", "--", "lsp-add", f"sw{number}", name)
            lab.nbctl("lsp-set-addresses", name, f"{MAC} 10.0.0.1 fd00::1")
            lab.nbctl("lsp-set-dhcpv4-options", name, rows[0], "--", "lsp-set-dhcpv6-options", name, rows[1])
            made = lab.plug(name, host=f"h{number}", port_id=name, mac=MAC)
            netns.set_sysctl(made.netns, {"ipv6/conf/all/disable_ipv6": "1"})
            made.wait_installed()
            opened.append(netns.packet_socket(made.netns, made.interface))
        lab.sync()
        yield opened
        for each in opened:
            each.close()


def quoted(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def answers(opened: socket.socket, frame: bytes) -> bytes | None:
    """The frame that comes back; None if none does."""
    while select.select([opened], [], [], 0)[0]:
        opened.recv(65536)
    opened.send(frame)
    deadline = time.monotonic() + 1.0
    while (left := deadline - time.monotonic()) > 0:
        if select.select([opened], [], [], left)[0]:
            data, address = opened.recvfrom(65536)
            if address[2] != 4 and data[6:12] == mac_bytes("02:00:00:00:00:fe"):
                return data
    return None


def request4(kind: int, options: dict[int, bytes], flags: int = 0, ciaddr: str = "0.0.0.0") -> bytes:
    fixed = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0xABCD, 7, flags) + ip_address(ciaddr).packed + bytes(12)
    message = fixed + mac_bytes(MAC) + bytes(202) + b"\x63\x82\x53\x63" + bytes((53, 1, kind))
    message += b"".join(bytes((code, len(data))) + data for code, data in options.items()) + b"\xff"
    datagram = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    to = "255.255.255.255" if ciaddr == "0.0.0.0" else "10.0.0.254"
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0)
    header += ip_address(ciaddr).packed + ip_address(to).packed
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]
    return b"\xff" * 6 + mac_bytes(MAC) + b"\x08\x00" + header + datagram


def seen4(frame: bytes | None) -> dict[str, Any]:
    """What of a reply matters to a client."""
    if frame is None:
        return {}
    data = frame[42:]
    options, rest = {}, data[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]].hex()
        rest = rest[2 + rest[1] :]
    names = ("flags", "ciaddr", "yiaddr", "siaddr", "giaddr")
    fields = dict(zip(names, (data[10:12], data[12:16], data[16:20], data[20:24], data[24:28]), strict=True))
    shown = {name: value.hex() for name, value in fields.items()}
    return {
        "frame": frame[:14].hex(),
        "ip": frame[26:34].hex(),
        "ports": frame[34:38].hex(),
        **shown,
        "options": options,
    }


ASK = ip_address("10.0.0.1").packed
WRONG = ip_address("10.0.0.99").packed
SERVER = ip_address("10.0.0.254").packed
CASES4 = {
    "discover": request4(1, {}),
    "discover, broadcast": request4(1, {}, flags=0x8000),
    "discover, etherboot": request4(1, {175: b"\1"}),
    "request": request4(3, {50: ASK, 54: SERVER}),
    "request, init-reboot": request4(3, {50: ASK}),
    "request, broadcast": request4(3, {50: ASK}, flags=0x8000),
    "request, renew": request4(3, {}, ciaddr="10.0.0.1"),
    "request, wrong": request4(3, {50: WRONG}),
    "request, nothing": request4(3, {}),
    "inform": request4(8, {}, ciaddr="10.0.0.1"),
    "decline": request4(4, {50: ASK, 54: SERVER}),
    "release": request4(7, {54: SERVER}, ciaddr="10.0.0.1"),
    "offer": request4(2, {}),
    "no kind": request4(0, {}),
}


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str | set[str | int]:
    """Who alone answers, or the fields and options in which two answers differ."""
    if bool(ours) != bool(theirs):
        return "only ours answers" if ours else "only theirs answers"
    left, right = ({**seen, **seen.get("options", {})} for seen in (ours, theirs))
    return {key for key in (left.keys() | right.keys()) - {"options"} if left.get(key) != right.get(key)}


NEXT_SERVER: set[str | int] = {253}
"""Theirs sends next_server as an option too, with a number that means nothing on the wire."""
KNOWN4: dict[str, str | set[str | int]] = {
    # next_server is the same for every client.
    "discover, etherboot": {"siaddr", *NEXT_SERVER},
    # The netmask is part of a client's configuration, whoever gave it its address.
    "inform": {"siaddr", 1, *NEXT_SERVER},
    # A refusal names its server (RFC 2131, table 3), and a client without an address hears broadcasts only (§4.1).
    "request, wrong": {"ip", 54},
    "request, nothing": {"ip", 54},
}
KNOWN4 |= {name: set() for name in ("decline", "release", "offer", "no kind")}


@pytest.mark.parametrize("name", CASES4)
def test_dhcpv4_answers_are_theirs(sockets: list[socket.socket], name: str) -> None:
    ours, theirs = (seen4(answers(opened, CASES4[name])) for opened in sockets)
    assert difference(ours, theirs) == KNOWN4.get(name, NEXT_SERVER)


def option6(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


CLIENT6 = option6(1, b"\0\3\0\1" + mac_bytes(MAC))
SERVER6 = option6(2, b"\0\3\0\1" + mac_bytes("02:00:00:00:00:fe"))
IA = option6(3, struct.pack("!III", 7, 0, 0))
IA_WITH_ADDRESS = option6(3, struct.pack("!III", 7, 0, 0) + option6(5, ip_address("fd00::1").packed + bytes(8)))


def request6(kind: int, *options: bytes) -> bytes:
    body = bytes((kind, 1, 2, 3)) + b"".join(options)
    segment = struct.pack("!HHHH", 546, 547, 8 + len(body), 0) + body
    src, dst = ip_address("fe80::ff:fe00:1").packed, ip_address("ff02::1:2").packed
    total = sum(struct.unpack(f"!{(len(segment) + 1) // 2}H", segment + b"\0" * (len(segment) & 1)))
    total += sum(struct.unpack("!16H", src + dst)) + len(segment) + 17
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    segment = segment[:6] + struct.pack("!H", ~total & 0xFFFF) + segment[8:]
    header = struct.pack("!IHBB", 6 << 28, len(segment), 17, 1) + src + dst
    return mac_bytes("33:33:00:01:00:02") + mac_bytes(MAC) + b"\x86\xdd" + header + segment


def seen6(frame: bytes | None) -> dict[str, Any]:
    if frame is None:
        return {}
    data, options = frame[62:], {}
    rest = data[4:]
    while rest:
        code, length = struct.unpack_from("!HH", rest)
        options[code] = rest[4 : 4 + length].hex()
        rest = rest[4 + length :]
    head = {"frame": frame[:14].hex(), "ip": frame[22:54].hex(), "ports": frame[54:58].hex()}
    return {**head, "kind": data[0], "transaction": data[1:4].hex(), "options": options}


CASES6 = {
    "solicit": request6(1, CLIENT6, IA),
    "solicit without association": request6(1, CLIENT6),
    "request": request6(3, CLIENT6, SERVER6, IA_WITH_ADDRESS),
    "request, foreign server": request6(3, CLIENT6, option6(2, b"\0\3\0\1\2\2\2\2\2\2"), IA_WITH_ADDRESS),
    "confirm": request6(4, CLIENT6, IA_WITH_ADDRESS),
    "renew": request6(5, CLIENT6, SERVER6, IA_WITH_ADDRESS),
    "rebind": request6(6, CLIENT6, IA_WITH_ADDRESS),
    "release": request6(8, CLIENT6, SERVER6, IA_WITH_ADDRESS),
    "decline": request6(9, CLIENT6, SERVER6, IA_WITH_ADDRESS),
    "information request": request6(11, CLIENT6),
    "advertise": request6(2, CLIENT6, SERVER6),
}


KNOWN6: dict[str, str | set[str | int]] = {
    "solicit without association": "only ours answers",
    # RFC 8415 §16.4: not for us.
    "request, foreign server": "only theirs answers",
    # §18.3.3, §18.3.8: the answer to these is a status.
    "confirm": {3, 13, 23},
    "decline": {3, 13, 23},
    # §18.3.4, §18.3.5, §18.3.7.
    "renew": "only ours answers",
    "rebind": "only ours answers",
    "release": "only ours answers",
}


@pytest.mark.parametrize("name", CASES6)
def test_dhcpv6_answers_are_theirs(sockets: list[socket.socket], name: str) -> None:
    ours, theirs = (seen6(answers(opened, CASES6[name])) for opened in sockets)
    assert difference(ours, theirs) == KNOWN6.get(name, set())
