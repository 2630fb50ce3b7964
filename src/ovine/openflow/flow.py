"""Flows as values, flow-mods, flow dumps and flow-removed messages.

A `Flow` is what the switch should hold; its identity (`key`) is table, priority and match.  A `FlowDesc` is a flow
as the switch reports it, with counters.  `FlowDesc.flow == flow` for the flow that was sent: both are in the normal
form of `match.py` and `actions.py`.

Source: OpenFlow 1.5.1 §7.3.4.2, §7.3.5.2, §7.4.2.  Tests: tests/unit/openflow/test_openflow_messages.py and
tests/packets/openflow/test_openflow_switch.py (through a real switch).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec.structs import force_setattr

from ovine.openflow.action_codec import decode_actions, encode_actions
from ovine.openflow.actions import Action, GotoTable, RawInstruction
from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.match import Match, decode_match, encode_match, normalise

ANY = 0xFFFFFFFF
NO_BUFFER = 0xFFFFFFFF
ALL_TABLES = 255

Command = Literal["add", "modify", "modify_strict", "delete", "delete_strict"]
_COMMANDS = {"add": 0, "modify": 1, "modify_strict": 2, "delete": 3, "delete_strict": 4}
_COMMAND_NAMES: dict[int, Command] = {0: "add", 1: "modify", 2: "modify_strict", 3: "delete", 4: "delete_strict"}

# Flow-mod flags (ofp_flow_mod_flags).
SEND_FLOW_REMOVED = 1
CHECK_OVERLAP = 2
RESET_COUNTS = 4

REMOVED_REASONS = ("idle_timeout", "hard_timeout", "delete", "group_delete", "meter_delete", "eviction")

FlowKey = tuple[int, int, Match]


class Flow(msgspec.Struct, frozen=True, gc=False):
    """One flow.  Timeouts are in seconds, 0 for none; no actions means drop."""

    table: int
    priority: int
    match: Match
    actions: tuple[Action, ...] = ()
    cookie: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0

    def __post_init__(self) -> None:
        normal = normalise(self.match)
        if normal is not self.match:
            force_setattr(self, "match", normal)

    @property
    def key(self) -> FlowKey:
        """What makes it this flow and no other: table, priority, match."""
        return self.table, self.priority, self.match


class FlowMod(msgspec.Struct, frozen=True, gc=False):
    """A change to the flow table.

    `modify` and `delete` (not strict) act on all flows that the flow's match covers, whatever their priority.
    `cookie_mask` restricts them to flows whose cookie agrees with `flow.cookie` in those bits.
    """

    command: Command
    flow: Flow
    flags: int = 0
    cookie_mask: int = 0
    out_port: int = ANY
    out_group: int = ANY


class FlowDesc(msgspec.Struct, frozen=True, gc=False):
    """A flow in a switch, with what the switch counted.  `duration` in seconds."""

    flow: Flow
    packets: int = 0
    bytes: int = 0
    duration: float = 0.0
    idle_age: float = 0.0
    flags: int = 0
    importance: int = 0


class FlowRemoved(msgspec.Struct, frozen=True, gc=False):
    """A flow is gone.  Its actions are not reported.  `reason` is one of `REMOVED_REASONS` or a number as text."""

    table: int
    priority: int
    match: Match
    cookie: int
    reason: str
    idle_timeout: int = 0
    hard_timeout: int = 0
    packets: int = 0
    bytes: int = 0
    duration: float = 0.0


class FlowStatsRequest(msgspec.Struct, frozen=True, gc=False):
    """Ask for all flows that `match` covers, in one table or all.  The reply is a list of `FlowDesc`."""

    table: int = ALL_TABLES
    match: Match = ()
    cookie: int = 0
    cookie_mask: int = 0
    out_port: int = ANY
    out_group: int = ANY


class AggregateRequest(msgspec.Struct, frozen=True, gc=False):
    """Ask how much all flows that `match` covers have counted, in one table or all.  The reply is one `Aggregate`."""

    table: int = ALL_TABLES
    match: Match = ()
    cookie: int = 0
    cookie_mask: int = 0
    out_port: int = ANY
    out_group: int = ANY


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """What several flows have counted together."""

    packets: int = 0
    bytes: int = 0


_INSTRUCTIONS: dict[type, Callable[[Any], bytes]] = {
    GotoTable: lambda action: struct.pack("!HHB3x", 1, 8, action.table),
    RawInstruction: lambda action: action.data,
}


@lru_cache(maxsize=16384)
def encode_instructions(actions: tuple[Action, ...]) -> bytes:
    """Actions as an apply-actions instruction, with goto-table and foreign instructions behind it."""
    inside = actions
    while inside and type(inside[-1]) in _INSTRUCTIONS:
        inside = inside[:-1]
    try:
        body = encode_actions(inside)
    except EncodeError:
        if any(type(action) in _INSTRUCTIONS for action in inside):
            raise EncodeError("goto-table and other instructions must come behind all actions of a flow") from None
        raise
    if len(body) > 0xFF00:
        raise EncodeError(f"the flow's actions take {len(body)} bytes, more than an OpenFlow message can carry")
    head = struct.pack("!HH4x", 4, len(body) + 8) + body if inside else b""
    return head + b"".join([_INSTRUCTIONS[type(action)](action) for action in actions[len(inside) :]])


def decode_instructions(data: bytes, at: int, end: int) -> tuple[Action, ...]:
    """The inverse of `encode_instructions`; ProtocolError if a length lies."""
    actions: tuple[Action, ...] = ()
    others: list[Action] = []
    while at < end:
        if at + 8 > end:
            raise ProtocolError("an instruction runs over the end of the message")
        kind, length = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        if length < 8 or length & 7 or at + length > end:
            raise ProtocolError(f"instruction length {length} does not fit the message")
        if kind == 4:
            actions += decode_actions(data, at + 8, at + length)
        elif kind == 1:
            others.append(GotoTable(data[at + 4]))
        else:
            others.append(RawInstruction(data[at : at + length]))
        at += length
    return actions + tuple(others)


# cookie, cookie mask, table, command, idle, hard, priority, buffer, out port, out group, flags, importance
_MOD = struct.Struct("!QQBBHHHIIIHH")


def encode_flow_mod(mod: FlowMod) -> bytes:
    """The body of a flow-mod (behind the OpenFlow header)."""
    flow = mod.flow
    return (
        _MOD.pack(
            flow.cookie,
            mod.cookie_mask,
            flow.table,
            _COMMANDS[mod.command],
            flow.idle_timeout,
            flow.hard_timeout,
            flow.priority,
            NO_BUFFER,
            mod.out_port,
            mod.out_group,
            mod.flags,
            0,
        )
        + encode_match(flow.match)
        + (encode_instructions(flow.actions) if flow.actions else b"")
    )


def decode_flow_mod(data: bytes, at: int, end: int) -> FlowMod:
    """A flow-mod from its body.  Buffer id and importance, which `FlowMod` does not know, are dropped."""
    cookie, mask, table, command, idle, hard, priority, _buffer, port, group, flags, _imp = _MOD.unpack_from(data, at)
    if command not in _COMMAND_NAMES:
        raise ProtocolError(f"unknown flow-mod command {command}")
    entries, at = decode_match(data, at + _MOD.size, end)
    flow = Flow(table, priority, entries, decode_instructions(data, at, end), cookie, idle, hard)
    return FlowMod(_COMMAND_NAMES[command], flow, flags, mask, port, group)


_STATS_REQUEST = struct.Struct("!B3xII4xQQ")


def encode_flow_stats_request(request: FlowStatsRequest | AggregateRequest) -> bytes:
    """The body of a multipart request for flow descriptions, or for their sum."""
    return _STATS_REQUEST.pack(
        request.table, request.out_port, request.out_group, request.cookie, request.cookie_mask
    ) + encode_match(normalise(request.match))


class _Stats(msgspec.Struct):
    duration: float = 0.0
    idle_age: float = 0.0
    packets: int = 0
    bytes: int = 0


def _decode_stats(data: bytes, at: int, end: int) -> tuple[_Stats, int]:
    """An `ofp_stats` list (OXS TLVs, laid out like OXM ones) and the offset behind its padding."""
    if at + 4 > end:
        raise ProtocolError("the message ends before its statistics")
    length = data[at + 2] << 8 | data[at + 3]
    stop, padded = at + length, at + (length + 7 & ~7)
    if length < 4 or padded > end:
        raise ProtocolError(f"statistics length {length} does not fit the message")
    stats, at = _Stats(), at + 4
    while at < stop:
        if at + 4 > stop or at + 4 + data[at + 3] > stop:
            raise ProtocolError("a statistic runs over the end of its list")
        kind, payload = data[at + 2] >> 1, data[at + 4 : at + 4 + data[at + 3]]
        _put_stat(stats, kind, payload)
        at += 4 + len(payload)
    return stats, padded


def _put_stat(stats: _Stats, kind: int, payload: bytes) -> None:
    if len(payload) != 8 or kind not in (0, 1, 4, 5):
        return
    if kind in (0, 1):
        seconds = int.from_bytes(payload[:4], "big") + int.from_bytes(payload[4:], "big") / 1e9
        setattr(stats, ("duration", "idle_age")[kind], seconds)
    else:
        setattr(stats, ("packets", "bytes")[kind - 4], int.from_bytes(payload, "big"))


_DESC = struct.Struct("!H2xBxHHHHHQ")


def decode_flow_descs(data: bytes, at: int, end: int) -> list[FlowDesc]:
    """The flows of one flow-description reply part."""
    found = []
    while at < end:
        if at + _DESC.size > end:
            raise ProtocolError("a flow description runs over the end of the message")
        length, table, priority, idle, hard, flags, importance, cookie = _DESC.unpack_from(data, at)
        stop = at + length
        if length < _DESC.size or stop > end:
            raise ProtocolError(f"flow description length {length} does not fit the message")
        entries, at = decode_match(data, at + _DESC.size, stop)
        stats, at = _decode_stats(data, at, stop)
        flow = Flow(table, priority, entries, decode_instructions(data, at, stop), cookie, idle, hard)
        found.append(FlowDesc(flow, stats.packets, stats.bytes, stats.duration, stats.idle_age, flags, importance))
        at = stop
    return found


def decode_aggregate(data: bytes, at: int, end: int) -> list[Aggregate]:
    """The reply to an `AggregateRequest`."""
    stats, _at = _decode_stats(data, at, end)
    return [Aggregate(stats.packets, stats.bytes)]


_REMOVED = struct.Struct("!BBHHHQ")


def decode_flow_removed(data: bytes, at: int, end: int) -> FlowRemoved:
    """A flow-removed message from its body."""
    table, number, priority, idle, hard, cookie = _REMOVED.unpack_from(data, at)
    entries, at = decode_match(data, at + _REMOVED.size, end)
    stats, _at = _decode_stats(data, at, end)
    reason = REMOVED_REASONS[number] if number < len(REMOVED_REASONS) else str(number)
    return FlowRemoved(table, priority, entries, cookie, reason, idle, hard, stats.packets, stats.bytes, stats.duration)
