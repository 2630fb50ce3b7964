"""Groups and meters as values, their modification messages, and what the switch reports of them.

Group types: `all` runs every bucket, `select` one, `indirect` its only one, `ff` the first live one.  OpenFlow 1.5
can insert buckets into a group and remove them by number (`command_bucket_id`).

Source: OpenFlow 1.5.1 §7.3.4.3 (groups), §7.3.4.5 (meters); the Netronome selection-method property as in
ovs-ofctl(8), "Group Syntax".  Tests: tests/unit/openflow/test_openflow_messages.py and
tests/packets/openflow/test_openflow_switch.py.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from ovine.openflow.action_codec import decode_actions, encode_actions
from ovine.openflow.actions import Action
from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.match import Match, decode_oxms, encode_oxms, normalise
from ovine.openflow.wire import properties, property_bytes

GroupType = Literal["all", "select", "indirect", "ff"]
_TYPES: dict[str, int] = {"all": 0, "select": 1, "indirect": 2, "ff": 3}
_TYPE_NAMES: dict[int, GroupType] = {0: "all", 1: "select", 2: "indirect", 3: "ff"}

GroupCommand = Literal["add", "modify", "delete", "insert_bucket", "remove_bucket", "add_or_mod"]
_COMMANDS = {"add": 0, "modify": 1, "delete": 2, "insert_bucket": 3, "remove_bucket": 5, "add_or_mod": 0x8000}
_COMMAND_NAMES: dict[int, GroupCommand] = {
    0: "add",
    1: "modify",
    2: "delete",
    3: "insert_bucket",
    5: "remove_bucket",
    0x8000: "add_or_mod",
}

ALL_GROUPS = 0xFFFFFFFC
# Values of command_bucket_id beside a bucket's own number.
BUCKET_FIRST = 0xFFFFFFFD
BUCKET_LAST = 0xFFFFFFFE
BUCKET_ALL = 0xFFFFFFFF

_NETRONOME = 0x0000154D
_ANY = 0xFFFFFFFF


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """One bucket.  `weight` counts in `select` groups; the watched port or group makes the bucket live."""

    bucket_id: int
    actions: tuple[Action, ...] = ()
    weight: int | None = None
    watch_port: int | None = None
    watch_group: int | None = None


class GroupEntry(msgspec.Struct, frozen=True, gc=False):
    """One group.

    `selection_method` ("", "hash" or "dp_hash") with `selection_param` and `fields` (entries whose masks say which
    bits count) tells how a `select` group chooses.  In normal form a `select` group's buckets have a weight, and
    those of other types have none.
    """

    group_id: int
    type: GroupType
    buckets: tuple[Bucket, ...] = ()
    selection_method: str = ""
    selection_param: int = 0
    fields: Match = ()

    def __post_init__(self) -> None:
        if self.type not in _TYPES:
            raise EncodeError(f"unknown group type {self.type!r}")
        if len(self.selection_method.encode()) > 15:
            raise EncodeError(f"selection method {self.selection_method!r} is longer than 15 bytes")
        force_setattr(self, "buckets", tuple(_normal_bucket(bucket, self.type) for bucket in self.buckets))
        force_setattr(self, "fields", normalise(self.fields))


def _normal_bucket(bucket: Bucket, group_type: GroupType) -> Bucket:
    if group_type == "select":
        return msgspec.structs.replace(bucket, weight=1) if bucket.weight is None else bucket
    return bucket if bucket.weight is None else msgspec.structs.replace(bucket, weight=None)


class GroupMod(msgspec.Struct, frozen=True, gc=False):
    """A change to the group table.

    `insert_bucket` puts the group's buckets before or behind `command_bucket_id`; `remove_bucket` removes that one.
    """

    command: GroupCommand
    group: GroupEntry
    command_bucket_id: int = BUCKET_ALL


class GroupDescRequest(msgspec.Struct, frozen=True, gc=False):
    """Ask for one group or all.  The reply is a list of `GroupEntry`."""

    group_id: int = ALL_GROUPS


def _encode_bucket(bucket: Bucket) -> bytes:
    actions = encode_actions(bucket.actions)
    extra = b"".join(
        property_bytes(kind, struct.pack(form, value))
        for kind, form, value in (
            (0, "!H2x", bucket.weight),
            (1, "!I", bucket.watch_port),
            (2, "!I", bucket.watch_group),
        )
        if value is not None
    )
    return struct.pack("!HHI", 8 + len(actions) + len(extra), len(actions), bucket.bucket_id) + actions + extra


def _decode_bucket(data: bytes, at: int, end: int) -> tuple[Bucket, int]:
    if at + 8 > end:
        raise ProtocolError("a bucket runs over the end of its group")
    length, actions_length, bucket_id = struct.unpack_from("!HHI", data, at)
    stop, middle = at + length, at + 8 + actions_length
    if length < 8 or stop > end or middle > stop:
        raise ProtocolError(f"bucket length {length} does not fit its group")
    actions = decode_actions(data, at + 8, middle)
    weight = port = group = None
    for kind, payload in properties(data, middle, stop):
        if kind == 0:
            (weight,) = struct.unpack("!H2x", payload)
        elif kind in (1, 2):
            (number,) = struct.unpack("!I", payload)
            watched = None if number == _ANY else number
            port, group = (watched, group) if kind == 1 else (port, watched)
    return Bucket(bucket_id, actions, weight, port, group), stop


def _encode_method(group: GroupEntry) -> bytes:
    if not group.selection_method:
        return b""
    name = group.selection_method.encode().ljust(16, b"\0")
    head = struct.pack("!II4x16sQ", _NETRONOME, 1, name, group.selection_param)
    return property_bytes(0xFFFF, head + encode_oxms(group.fields))


def _decode_method(payload: bytes) -> tuple[str, int, Match]:
    experimenter, kind, name, param = struct.unpack_from("!II4x16sQ", payload)
    if (experimenter, kind) != (_NETRONOME, 1):
        raise ProtocolError(f"unknown group property of experimenter {experimenter:#x}")
    try:
        method = name.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError(f"selection method {name!r} is not ASCII") from None
    return method, param, decode_oxms(payload, 36, len(payload))


def encode_group_mod(mod: GroupMod) -> bytes:
    """The body of a group-mod."""
    group = mod.group
    buckets = b"".join(_encode_bucket(bucket) for bucket in group.buckets)
    if len(buckets) > 0xFF00:
        raise EncodeError(f"the buckets of group {group.group_id} do not fit one message")
    head = struct.pack(
        "!HBxIH2xI", _COMMANDS[mod.command], _TYPES[group.type], group.group_id, len(buckets), mod.command_bucket_id
    )
    return head + buckets + _encode_method(group)


def _decode_rest(data: bytes, at: int, buckets_end: int, end: int) -> tuple[tuple[Bucket, ...], tuple[str, int, Match]]:
    if buckets_end > end:
        raise ProtocolError("the bucket list runs over the end of its group")
    buckets = []
    while at < buckets_end:
        bucket, at = _decode_bucket(data, at, buckets_end)
        buckets.append(bucket)
    method: tuple[str, int, Match] = ("", 0, ())
    for kind, payload in properties(data, buckets_end, end):
        if kind == 0xFFFF:
            method = _decode_method(payload)
    return tuple(buckets), method


def _type_name(number: int) -> GroupType:
    if number not in _TYPE_NAMES:
        raise ProtocolError(f"unknown group type {number}")
    return _TYPE_NAMES[number]


def decode_group_mod(data: bytes, at: int, end: int) -> GroupMod:
    """A group-mod from its body."""
    command, kind, group_id, length, bucket_id = struct.unpack_from("!HBxIH2xI", data, at)
    if command not in _COMMAND_NAMES:
        raise ProtocolError(f"unknown group-mod command {command}")
    buckets, method = _decode_rest(data, at + 16, at + 16 + length, end)
    return GroupMod(_COMMAND_NAMES[command], GroupEntry(group_id, _type_name(kind), buckets, *method), bucket_id)


def encode_group_desc_request(request: GroupDescRequest) -> bytes:
    """The body of a group-description multipart request."""
    return struct.pack("!I4x", request.group_id)


def decode_group_descs(data: bytes, at: int, end: int) -> list[GroupEntry]:
    """The groups of one group-description reply part."""
    found = []
    while at < end:
        if at + 16 > end:
            raise ProtocolError("a group description runs over the end of the message")
        length, kind, group_id, buckets_length = struct.unpack_from("!HBxIH", data, at)
        stop = at + length
        if length < 16 or stop > end:
            raise ProtocolError(f"group description length {length} does not fit the message")
        buckets, method = _decode_rest(data, at + 16, at + 16 + buckets_length, stop)
        found.append(GroupEntry(group_id, _type_name(kind), buckets, *method))
        at = stop
    return found


# --- meters -------------------------------------------------------------------------------------------------------

METER_KBPS, METER_PKTPS, METER_BURST, METER_STATS = 1, 2, 4, 8
ALL_METERS = 0xFFFFFFFF
MeterCommand = Literal["add", "modify", "delete"]
_METER_COMMANDS = {"add": 0, "modify": 1, "delete": 2}
_METER_COMMAND_NAMES: dict[int, MeterCommand] = {0: "add", 1: "modify", 2: "delete"}


class Band(msgspec.Struct, frozen=True, gc=False):
    """Drop what exceeds `rate` (kbit/s or packets/s, as the meter says) with `burst` of the same unit."""

    rate: int
    burst: int = 0


class MeterEntry(msgspec.Struct, frozen=True, gc=False):
    """One meter.  `flags` combines METER_KBPS or METER_PKTPS with METER_BURST and METER_STATS."""

    meter_id: int
    flags: int = METER_KBPS
    bands: tuple[Band, ...] = ()

    def __post_init__(self) -> None:
        # Without METER_BURST the switch chooses the burst, and reports its choice.
        if not self.flags & METER_BURST:
            force_setattr(self, "bands", tuple(Band(band.rate) for band in self.bands))


class MeterMod(msgspec.Struct, frozen=True, gc=False):
    """A change to the meter table."""

    command: MeterCommand
    meter: MeterEntry


class MeterConfigRequest(msgspec.Struct, frozen=True, gc=False):
    """Ask for one meter or all.  The reply is a list of `MeterEntry`."""

    meter_id: int = ALL_METERS


def _encode_bands(bands: tuple[Band, ...]) -> bytes:
    return b"".join(struct.pack("!HHII4x", 1, 16, band.rate, band.burst) for band in bands)


def _decode_bands(data: bytes, at: int, end: int) -> tuple[Band, ...]:
    bands = []
    while at < end:
        if at + 16 > end:
            raise ProtocolError("a meter band runs over the end of its meter")
        kind, length, rate, burst = struct.unpack_from("!HHII", data, at)
        if (kind, length) != (1, 16):
            raise ProtocolError(f"meter band of type {kind} and length {length} is no drop band")
        bands.append(Band(rate, burst))
        at += length
    return tuple(bands)


def encode_meter_mod(mod: MeterMod) -> bytes:
    """The body of a meter-mod."""
    meter = mod.meter
    return struct.pack("!HHI", _METER_COMMANDS[mod.command], meter.flags, meter.meter_id) + _encode_bands(meter.bands)


def decode_meter_mod(data: bytes, at: int, end: int) -> MeterMod:
    """A meter-mod from its body."""
    command, flags, meter_id = struct.unpack_from("!HHI", data, at)
    if command not in _METER_COMMAND_NAMES:
        raise ProtocolError(f"unknown meter-mod command {command}")
    return MeterMod(_METER_COMMAND_NAMES[command], MeterEntry(meter_id, flags, _decode_bands(data, at + 8, end)))


def encode_meter_config_request(request: MeterConfigRequest) -> bytes:
    """The body of a meter-configuration multipart request."""
    return struct.pack("!I4x", request.meter_id)


def decode_meter_configs(data: bytes, at: int, end: int) -> list[MeterEntry]:
    """The meters of one meter-configuration reply part."""
    found = []
    while at < end:
        if at + 8 > end:
            raise ProtocolError("a meter description runs over the end of the message")
        length, flags, meter_id = struct.unpack_from("!HHI", data, at)
        if length < 8 or at + length > end:
            raise ProtocolError(f"meter description length {length} does not fit the message")
        found.append(MeterEntry(meter_id, flags, _decode_bands(data, at + 8, at + length)))
        at += length
    return found
