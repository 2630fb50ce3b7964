"""Port security as the interpreter judges it: the cases that the controller's flows are judged by."""

from __future__ import annotations

import pytest

from ovine.language import Packet
from ovine.trace.port_security import refusal_in, refusal_out
from support.port_security_cases import Check, read
from support.trace_frames import packet

CHECKS = [*read("port_security.txt"), *read("port_security_ours.txt")]


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
