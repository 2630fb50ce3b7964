"""What an ACL that rejects sends back, by our controllers and by Debian's."""

from __future__ import annotations

import select
import struct
import time
from pathlib import Path

import dpkt

from ovine.lab import Lab
from support.frames import ip_bytes, mac_bytes
from support.packet_cases import Port, read, running

CASE = read(Path(__file__).parents[1] / "cases/controller/services/reject.txt")
SYN, RST, ACK = 2, 4, 16


def segment(flags: int, payload: bytes = b"") -> bytes:
    """A frame from a to b with a TCP segment."""
    src, dst = ip_bytes("10.0.0.1"), ip_bytes("10.0.0.2")
    tcp = struct.pack("!HHIIBBHHH", 1000, 80, 12345, 678, 5 << 4, flags, 1024, 0, 0) + payload
    pseudo = src + dst + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", dpkt.in_cksum(pseudo + tcp)) + tcp[18:]
    packet = bytes(dpkt.ip.IP(src=src, dst=dst, p=6, ttl=64, len=20 + len(tcp), data=tcp))
    return mac_bytes("02:00:00:00:00:02") + mac_bytes("02:00:00:00:00:01") + b"\x08\x00" + packet


def answer(port: Port, frame: bytes) -> tuple[int, int, int, int, int] | None:
    """Ports, numbers and flags of the TCP segment that comes back."""
    port.socket.send(frame)
    deadline = time.monotonic() + 5
    while (left := deadline - time.monotonic()) > 0:
        if select.select([port.socket], [], [], left)[0]:
            data, address = port.socket.recvfrom(65536)
            if address[2] != 4 and data[23:24] == b"\x06" and data[12:14] == b"\x08\x00":
                back = dpkt.ethernet.Ethernet(data).data.data
                pseudo = data[26:34] + struct.pack("!BBH", 0, 6, len(data[34:54]))
                assert dpkt.in_cksum(pseudo + data[34:54]) == 0
                return back.sport, back.dport, back.seq, back.ack, back.flags
    return None


def test_who_is_rejected_hears_so(lab_machine: None) -> None:
    heard = {}
    for controller in ("ovine", "c"):
        lab = Lab(northd="c", controllers=(controller, controller), api=False)
        with lab, running(lab, CASE) as runner:
            frames = (segment(SYN), segment(ACK), segment(ACK, b"data"))
            heard[controller] = [answer(runner.ports["a"], frame) for frame in frames]
            assert lab.audit() == []
    assert heard["ovine"][0] == heard["c"][0] == (80, 1000, 0, 12346, RST | ACK)
    # As RFC 9293 §3.10.7.1 and ovn-sb(5) have it; Debian's controller answers these like a SYN.
    assert heard["ovine"][1:] == [(80, 1000, 678, 0, RST)] * 2
