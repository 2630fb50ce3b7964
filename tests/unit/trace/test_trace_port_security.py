"""Port security as the interpreter judges it: the cases that the controller's flows are judged by."""

from __future__ import annotations

import struct

import pytest

from ovine.language import Packet
from ovine.trace.port_security import refusal_in, refusal_out
from support.port_security_cases import Check, read

CHECKS = [*read("port_security.txt"), *read("port_security_ours.txt")]


def packet(frame: bytes) -> Packet:
    """What the flow language sees in a frame; a tag before its type changes nothing in what port security asks."""
    if frame[12:14] == b"\x81\x00":
        frame = frame[:12] + frame[16:]
    kind, load = struct.unpack("!H", frame[12:14])[0], frame[14:]
    values: dict[str, bytes] = {"eth.dst": frame[:6], "eth.src": frame[6:12], "eth.type": frame[12:14]}
    if kind == 0x806:
        values |= {"arp.op": load[6:8], "arp.sha": load[8:14], "arp.spa": load[14:18]}
    elif kind == 0x800:
        values |= {"ip.proto": load[9:10], "ip.ttl": load[8:9], "ip4.src": load[12:16], "ip4.dst": load[16:20]}
        values |= {"udp.src": load[20:22], "udp.dst": load[22:24]}
    elif kind == 0x86DD:
        values |= {"ip.proto": load[6:7], "ip.ttl": load[7:8], "ip6.src": load[8:24], "ip6.dst": load[24:40]}
        values |= neighbour(load[40:]) if load[6] == 58 else {}
    return Packet.of({name: int.from_bytes(value) for name, value in values.items()})


def neighbour(body: bytes) -> dict[str, bytes]:
    hardware = {135: "nd.sll", 136: "nd.tll"}.get(body[0])
    return {
        "icmp6.type": body[:1],
        **({"nd.target": body[8:24]} if hardware else {}),
        **({hardware: body[26:32]} if hardware and len(body) >= 32 else {}),
    }


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.direction}-{check.number}")
def test_what_may_be_sent_and_got_is_as_the_cases_say(check: Check) -> None:
    judge = refusal_in if check.direction == "in" else refusal_out
    assert (judge(check.security, packet(check.frame)) == "") == check.allowed, check


@pytest.mark.parametrize(
    ("elements", "values", "said"),
    [
        (
            ["02:00:00:00:00:01"],
            {"eth.src": 9},
            "the sender 00:00:00:00:00:09 is none of the port's (02:00:00:00:00:01)",
        ),
        (["00:00:00:00:00:01 fd00::1"], {"eth.src": 1, "eth.type": 0x800}, "the port has no IPv4 address"),
        (
            ["00:00:00:00:00:01 10.0.0.1"],
            {"eth.src": 1, "eth.type": 0x800, "ip4.src": "10.0.0.2"},
            "the source 10.0.0.2 is none of the port's",
        ),
    ],
)
def test_a_refusal_says_why(elements: list[str], values: dict[str, int | str], said: str) -> None:
    assert refusal_in(elements, Packet.of(values)) == said
