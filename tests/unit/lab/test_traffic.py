"""What ping(8) printed is read in all its shapes; a capture waits for frames, not for time."""

from __future__ import annotations

import socket

import pytest

from ovine.lab import LabTimeout
from ovine.lab.traffic import Capture, last_answer, read_ping, read_running_ping

ANSWERED = """PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.
64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.922 ms

--- 10.0.0.2 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 405ms
rtt min/avg/max/mdev = 0.509/0.715/0.922/0.206 ms
"""
UNREACHABLE = """--- 10.0.0.9 ping statistics ---
2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 1023ms
"""


def test_counts_and_mean_time_are_read() -> None:
    ping = read_ping(ANSWERED)
    assert (ping.sent, ping.received, ping.rtt_ms) == (3, 2, 0.715)
    assert not ping.all and not ping.none


@pytest.mark.parametrize(
    ("output", "sent"), [(UNREACHABLE, 2), ("ping: connect: Network is unreachable\n", 0)], ids=["lost", "not sent"]
)
def test_a_ping_without_an_answer_has_no_time(output: str, sent: int) -> None:
    ping = read_ping(output)
    assert (ping.sent, ping.received, ping.rtt_ms) == (sent, 0, None)
    assert ping.none and not ping.all


def answers(*numbers: int) -> str:
    return "".join(f"64 bytes from 10.0.0.2: icmp_seq={number} ttl=64 time=0.4 ms\n" for number in numbers)


def test_a_ping_that_was_cut_off_loses_nothing_that_was_under_way() -> None:
    cut = answers(1, 2, 3) + "4 packets transmitted, 3 received, 25% packet loss, time 39ms\n"
    assert (read_running_ping(cut).sent, read_running_ping(cut).received) == (3, 3)


def test_a_gap_is_a_loss_and_a_doubled_or_late_answer_is_none() -> None:
    gap = read_running_ping(answers(1, 2, 2, 5, 4))
    assert (gap.sent, gap.received) == (5, 4)
    assert last_answer(answers(1, 5, 4)) == 5
    assert last_answer("") == 0


def test_a_capture_returns_as_soon_as_the_frames_awaited_are_there() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, Capture(ours) as seen:
        theirs.send(b"one")
        theirs.send(b"two")
        assert seen.wait(lambda frames: b"two" in frames, timeout=60) == [b"one", b"two"]
        with pytest.raises(LabTimeout, match=r"2 did"):
            seen.wait(lambda frames: b"three" in frames, timeout=0.01)
