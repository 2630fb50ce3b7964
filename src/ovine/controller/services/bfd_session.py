"""One session of Bidirectional Forwarding Detection in asynchronous mode: RFC 5880, sans I/O.

`receive` takes a control packet, `transmit` gives one when it is due, `expire` notices that the other end is silent.
Times are seconds of a monotonic clock; intervals in packets are microseconds. There is no authentication, echo or
demand mode.

Source: RFC 5880 §4.1 (packet), §6.8. Tests: tests/unit/controller/services/test_bfd.py.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from random import Random
from typing import Final, NamedTuple

from ovine.controller.services.frames import Malformed

_FORMAT: Final = struct.Struct("!BBBBIIIII")
_POLL, _FINAL, _AUTHENTICATED, _DEMAND, _MULTIPOINT = 0x20, 0x10, 0x04, 0x02, 0x01
SLOW: Final = 1_000_000
"""Microseconds; a session that is not up sends no more often (§6.8.3)."""


class State(IntEnum):
    """Session states, by their numbers in packets."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(IntEnum):
    """Why a session went down."""

    NONE = 0
    TIME_EXPIRED = 1
    NEIGHBOUR_SAID_DOWN = 3
    ADMIN_DOWN = 7


class Control(NamedTuple):
    """A control packet."""

    state: State
    poll: bool
    final: bool
    multiplier: int
    mine: int
    yours: int
    min_tx: int
    min_rx: int
    diagnostic: int = 0
    demand: bool = False

    def encode(self) -> bytes:
        """The packet's bytes."""
        flags = _POLL * self.poll | _FINAL * self.final | _DEMAND * self.demand
        head = (1 << 5 | self.diagnostic, self.state << 6 | flags, self.multiplier, _FORMAT.size)
        return _FORMAT.pack(*head, self.mine, self.yours, self.min_tx, self.min_rx, 0)


def control(data: bytes) -> Control:
    """A control packet from its bytes; Malformed for what §6.8.6 says to discard."""
    if len(data) < _FORMAT.size:
        raise Malformed("a BFD packet is cut off")
    first, flags, multiplier, length, mine, yours, min_tx, min_rx, _echo = _FORMAT.unpack_from(data)
    state = State(flags >> 6)
    if first >> 5 != 1 or not _FORMAT.size <= length <= len(data):
        raise Malformed(f"BFD version {first >> 5} and length {length}")
    if flags & (_AUTHENTICATED | _MULTIPOINT) or not multiplier or not mine:
        raise Malformed("a BFD packet with authentication, for many, or without detection")
    if not yours and state not in (State.DOWN, State.ADMIN_DOWN):
        raise Malformed("a BFD packet of a session that does not know ours")
    if flags & _POLL and flags & _FINAL:
        raise Malformed("a BFD packet that asks and answers at once")
    poll, final = bool(flags & _POLL), bool(flags & _FINAL)
    return Control(state, poll, final, multiplier, mine, yours, min_tx, min_rx, first & 31, bool(flags & _DEMAND))


class Timers(NamedTuple):
    """What we want: intervals in microseconds."""

    min_tx: int
    min_rx: int
    multiplier: int


@dataclass
class Session:
    """Our end of a session."""

    discriminator: int
    timers: Timers
    rng: Random
    state: State = State.DOWN
    diagnostic: Diagnostic = Diagnostic.NONE
    polling: bool = False
    due: float = 0.0
    """When we send next; infinite while the other end wants nothing."""
    answer: bool = False
    """The other end polls."""
    remote: Control | None = None
    """The last packet of the other end; None: nothing is known of it."""
    heard: float = 0.0

    # --- what is agreed on

    @property
    def desired(self) -> int:
        """What we say that we want to send (§6.8.3)."""
        return self.timers.min_tx if self.state == State.UP else max(self.timers.min_tx, SLOW)

    @property
    def interval(self) -> float:
        """Seconds between packets of ours, before jitter (§6.8.2)."""
        wants = self.remote.min_rx if self.remote is not None else 1
        if not wants or (self.remote is not None and self.remote.demand and self.state == State.UP):
            return float("inf")
        return max(self.desired, wants) / 1e6

    @property
    def silence(self) -> float | None:
        """When the other end will have been silent for too long; None while that does not matter (§6.8.4)."""
        if self.remote is None:
            return None
        return self.heard + self.remote.multiplier * max(self.timers.min_rx, self.remote.min_tx) / 1e6

    def deadline(self) -> float:
        """When something has to be done."""
        silence = self.silence
        return self.due if silence is None else min(self.due, silence)

    # --- what happens

    def change(self, timers: Timers) -> None:
        """Other intervals are wanted; the other end has to be told (§6.8.3)."""
        if timers != self.timers:
            self.timers = timers
            self.polling = self.state == State.UP

    def receive(self, packet: Control, now: float) -> None:
        """Takes a packet that belongs to this session."""
        if packet.final:
            self.polling = False
        self.remote, self.heard = packet, now
        self._turn(packet.state)
        if packet.poll:
            self.answer, self.due = True, now
        elif self.due == float("inf") or self.due > now + self.interval:
            self.due = now + self._jittered()

    def _turn(self, theirs: State) -> None:
        """The state machine (§6.2, §6.8.6)."""
        if theirs == State.ADMIN_DOWN:
            if self.state != State.DOWN:
                self._go(State.DOWN, Diagnostic.NEIGHBOUR_SAID_DOWN)
        elif self.state == State.DOWN:
            if theirs == State.DOWN:
                self._go(State.INIT)
            elif theirs == State.INIT:
                self._go(State.UP)
        elif self.state == State.INIT:
            if theirs in (State.INIT, State.UP):
                self._go(State.UP)
        elif theirs == State.DOWN:
            self._go(State.DOWN, Diagnostic.NEIGHBOUR_SAID_DOWN)

    def _go(self, state: State, diagnostic: Diagnostic = Diagnostic.NONE) -> None:
        if state == State.UP:
            # From now on we may send more often than we said until now.
            self.polling = self.timers.min_tx < SLOW
        self.state = state
        self.diagnostic = diagnostic if state == State.DOWN else Diagnostic.NONE
        # A change is told at once, so that a session comes up in the time of a few packets.
        self.due = 0.0

    def expire(self, now: float) -> None:
        """Goes down if the other end has been silent for too long."""
        silence = self.silence
        if silence is None or silence > now:
            return
        self.remote = None
        if self.state in (State.INIT, State.UP):
            self._go(State.DOWN, Diagnostic.TIME_EXPIRED)

    def transmit(self, now: float) -> Control | None:
        """The packet that is due, if one is."""
        if self.due > now:
            return None
        packet = self._packet(self.state, self.diagnostic)
        self.answer = False
        self.due = now + self._jittered()
        return packet

    def farewell(self) -> Control:
        """Tells the other end that the session ends here (§6.8.16)."""
        return self._packet(State.ADMIN_DOWN, Diagnostic.ADMIN_DOWN)

    def _packet(self, state: State, diagnostic: Diagnostic) -> Control:
        yours = self.remote.mine if self.remote is not None else 0
        timers = self.timers
        # An answer does not ask (§6.5).
        poll = self.polling and not self.answer
        rates = (self.desired, timers.min_rx)
        return Control(state, poll, self.answer, timers.multiplier, self.discriminator, yours, *rates, diagnostic)

    def _jittered(self) -> float:
        """An interval less 0 to 25 %, at least 10 % if one lost packet ends the session (§6.8.7)."""
        least = 0.1 if self.timers.multiplier == 1 else 0.0
        return self.interval * (1 - self.rng.uniform(least, 0.25))
