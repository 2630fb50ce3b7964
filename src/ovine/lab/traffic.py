"""Traffic between instances: what a ping said, and frames sent and seen as they are on the wire.

Tests: tests/unit/lab/test_traffic.py, tests/lab/.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from ovine.lab.errors import LabTimeout

_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+)(?: packets)? received")
_TIMES = re.compile(r"= [\d.]+/([\d.]+)/")
_ANSWER = re.compile(r"bytes from .*icmp_seq=(\d+) .*time=")
_PAUSE = 0.05
_MAX_FRAME = 65536


@dataclass(frozen=True)
class Ping:
    """The outcome of a ping. `rtt_ms` is the mean round trip, in milliseconds; None if nothing came back."""

    sent: int
    received: int
    rtt_ms: float | None
    output: str

    @property
    def all(self) -> bool:
        return self.sent > 0 and self.received == self.sent

    @property
    def none(self) -> bool:
        return self.received == 0


def read_ping(output: str) -> Ping:
    """What ping(8) printed, as numbers. A ping that could not send at all counts as 0 sent, 0 received."""
    counts, times = _COUNTS.search(output), _TIMES.search(output)
    return Ping(
        int(counts[1]) if counts else 0,
        int(counts[2]) if counts else 0,
        float(times[1]) if times else None,
        output,
    )


def read_running_ping(output: str) -> Ping:
    """The same for a ping that was cut off: sent counts up to the last answer, and doubled answers count once."""
    answered = _answers(output)
    whole = read_ping(output)
    return Ping(max(answered, default=0), len(answered), whole.rtt_ms, output)


def last_answer(output: str) -> int:
    """The sequence number of the last packet that was answered, counted from 1; 0 if none was."""
    return max(_answers(output), default=0)


def _answers(output: str) -> set[int]:
    return {int(number) for number in _ANSWER.findall(output)}


class Capture:
    """The frames that arrive on an interface (or leave it), gathered in the background from `with` on.

    with instance.capture() as seen:
        other.send(frame)
        seen.wait(lambda frames: frame in frames)
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._frames: list[bytes] = []
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._gather, name="ovine-lab-capture", daemon=True)

    def __enter__(self) -> Capture:
        self._socket.settimeout(_PAUSE)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join()
        self._socket.close()

    def _gather(self) -> None:
        while not self._over:
            try:
                frame = self._socket.recv(_MAX_FRAME)
            except TimeoutError:
                continue
            except OSError:
                return
            with self._changed:
                self._frames.append(frame)
                self._changed.notify_all()

    @property
    def frames(self) -> list[bytes]:
        """All frames so far, oldest first."""
        with self._changed:
            return list(self._frames)

    def wait(self, enough: Callable[[list[bytes]], bool], timeout: float = 5.0) -> list[bytes]:
        """Returns the frames as soon as `enough` says so of them; LabTimeout after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not enough(self._frames):
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    if enough(self._frames):
                        break
                    raise LabTimeout(
                        f"the frames awaited did not arrive within {timeout:g} s ({len(self._frames)} did)"
                    )
            return list(self._frames)
