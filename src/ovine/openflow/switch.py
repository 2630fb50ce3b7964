"""Messages about the switch and the connection: features, ports, errors, asynchronous messages, Geneve options.

Source: OpenFlow 1.5.1 §7.2.1 (ports), §7.3.1 (features), §7.3.9 (async), §7.5.4 (errors), and for the TLV table
ovs-ofctl(8), "add-tlv-map".  Tests: tests/unit/openflow/test_openflow_messages.py.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from ovine.openflow.error_names import error_name
from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.wire import properties, property_bytes

VERSION = 0x06


class Hello(msgspec.Struct, frozen=True):
    """The first message each way.  `versions` are the wire versions offered (6 is OpenFlow 1.5)."""

    versions: tuple[int, ...] = (VERSION,)


def encode_hello(message: Hello) -> bytes:
    """The body of a hello: one version bitmap element."""
    bitmap = sum(1 << version for version in set(message.versions) if version < 32)
    return property_bytes(1, struct.pack("!I", bitmap))


def decode_hello(data: bytes, at: int, end: int) -> Hello:
    """The versions offered; without a bitmap, all up to the version in the OpenFlow header."""
    header_version = data[at - 8]
    for kind, payload in properties(data, at, end):
        if kind == 1 and len(payload) >= 4:
            bitmap = int.from_bytes(payload[:4], "big")
            return Hello(tuple(v for v in range(32) if bitmap >> v & 1))
    return Hello(tuple(range(1, header_version + 1)))


class Error(msgspec.Struct, frozen=True):
    """A refusal.  `name` is OpenFlow's word for it, such as "OFPBAC_BAD_OUT_PORT"; `data` begins the refused message.

    `vendor` is 0 for standard errors; then `type` and `code` are those of OpenFlow, else the vendor's.
    """

    type: int
    code: int
    data: bytes = b""
    vendor: int = 0

    @property
    def name(self) -> str:
        """The symbolic name, or the numbers if there is none."""
        return error_name(self.vendor, self.type, self.code)

    def __str__(self) -> str:
        return f"the switch refused a message: {self.name}"


def encode_error(message: Error) -> bytes:
    """The body of an error."""
    if message.vendor:
        return struct.pack("!HHI", 0xFFFF, message.code, message.vendor) + message.data
    return struct.pack("!HH", message.type, message.code) + message.data


def decode_error(data: bytes, at: int, end: int) -> Error:
    """An error from its body."""
    kind, code = struct.unpack_from("!HH", data, at)
    if kind != 0xFFFF:
        return Error(kind, code, data[at + 4 : end])
    (vendor,) = struct.unpack_from("!I", data, at + 4)
    # Nicira's vendor errors carry a type and code of their own in the data; ONF's have the code in front.
    return Error(0xFFFF, code, data[at + 8 : end], vendor)


class FeaturesReply(msgspec.Struct, frozen=True):
    """What the switch is."""

    datapath_id: int
    n_buffers: int = 0
    n_tables: int = 0
    auxiliary_id: int = 0
    capabilities: int = 0


_FEATURES = struct.Struct("!QIBB2xI4x")


def encode_features(message: FeaturesReply) -> bytes:
    """The body of a features reply."""
    return _FEATURES.pack(
        message.datapath_id, message.n_buffers, message.n_tables, message.auxiliary_id, message.capabilities
    )


def decode_features(data: bytes, at: int, end: int) -> FeaturesReply:
    """A features reply from its body."""
    if end - at != _FEATURES.size:
        raise ProtocolError(f"a features reply has {end - at} bytes instead of {_FEATURES.size}")
    return FeaturesReply(*_FEATURES.unpack_from(data, at))


class SwitchConfig(msgspec.Struct, frozen=True):
    """Fragment handling (0 normal, 1 drop, 2 reassemble, 3 nx-match) and bytes sent on a table miss."""

    flags: int = 0
    miss_send_len: int = 0xFFFF


class Port(msgspec.Struct, frozen=True):
    """One port of the switch.  `address` is a MAC as text; speeds in kbit/s."""

    port_no: int
    name: str
    address: str
    config: int = 0
    state: int = 0
    current_speed: int = 0
    max_speed: int = 0

    @property
    def up(self) -> bool:
        """Neither administratively down nor without link."""
        return not self.config & 1 and not self.state & 1


class PortStatus(msgspec.Struct, frozen=True):
    """A port was added, deleted or modified."""

    reason: Literal["add", "delete", "modify"]
    port: Port


class PortDescRequest(msgspec.Struct, frozen=True):
    """Ask for one port or all.  The reply is a list of `Port`."""

    port_no: int = 0xFFFFFFFF


_PORT = struct.Struct("!IH2x6s2x16sII")
_STATUS_REASONS: dict[int, Literal["add", "delete", "modify"]] = {0: "add", 1: "delete", 2: "modify"}


def _decode_port(data: bytes, at: int, end: int) -> tuple[Port, int]:
    if at + _PORT.size > end:
        raise ProtocolError("a port description runs over the end of the message")
    number, length, mac, raw_name, config, state = _PORT.unpack_from(data, at)
    if length < _PORT.size or at + length > end:
        raise ProtocolError(f"port description length {length} does not fit the message")
    speeds = (0, 0)
    for kind, payload in properties(data, at + _PORT.size, at + length):
        if kind == 0 and len(payload) == 28:
            speeds = struct.unpack_from("!II", payload, 20)
    name = raw_name.split(b"\0")[0].decode("utf-8", "replace")
    return Port(number, name, mac.hex(":"), config, state, *speeds), at + length


def _encode_port(port: Port) -> bytes:
    speeds = property_bytes(0, struct.pack("!4x4I2I", 0, 0, 0, 0, port.current_speed, port.max_speed))
    mac, name = bytes.fromhex(port.address.replace(":", "")), port.name.encode()
    if len(name) > 15:
        raise EncodeError(f"port name {port.name!r} is longer than 15 bytes")
    return _PORT.pack(port.port_no, _PORT.size + len(speeds), mac, name, port.config, port.state) + speeds


def encode_port_status(message: PortStatus) -> bytes:
    """The body of a port status message, as the switch sends it."""
    number = {name: number for number, name in _STATUS_REASONS.items()}[message.reason]
    return struct.pack("!B7x", number) + _encode_port(message.port)


def decode_port_status(data: bytes, at: int, end: int) -> PortStatus:
    """A port status message from its body."""
    if end - at < 8 or data[at] not in _STATUS_REASONS:
        raise ProtocolError("a port status message without a known reason")
    return PortStatus(_STATUS_REASONS[data[at]], _decode_port(data, at + 8, end)[0])


def decode_ports(data: bytes, at: int, end: int) -> list[Port]:
    """The ports of one port-description reply part."""
    found = []
    while at < end:
        port, at = _decode_port(data, at, end)
        found.append(port)
    return found


def encode_port_desc_request(message: PortDescRequest) -> bytes:
    """The body of a port-description multipart request."""
    return struct.pack("!I4x", message.port_no)


class SetAsync(msgspec.Struct, frozen=True):
    """Which asynchronous messages a connection wants, each a set of reason numbers.

    They are the `master` properties of OpenFlow 1.4+ (a connection that has not asked for a role uses them).
    """

    packet_in: frozenset[int] = frozenset(range(6))
    port_status: frozenset[int] = frozenset(range(3))
    flow_removed: frozenset[int] = frozenset()


_ASYNC_KINDS = {1: "packet_in", 3: "port_status", 5: "flow_removed"}


def encode_set_async(message: SetAsync) -> bytes:
    """The body of a set-async message."""
    return b"".join(
        property_bytes(kind, struct.pack("!I", sum(1 << reason for reason in getattr(message, name))))
        for kind, name in _ASYNC_KINDS.items()
    )


def decode_set_async(data: bytes, at: int, end: int) -> SetAsync:
    """A set-async message from its body."""
    found = {}
    for kind, payload in properties(data, at, end):
        if kind in _ASYNC_KINDS:
            mask = int.from_bytes(payload, "big")
            found[_ASYNC_KINDS[kind]] = frozenset(bit for bit in range(32) if mask >> bit & 1)
    return SetAsync(**found)


class SetPacketInFormat(msgspec.Struct, frozen=True):
    """Choose the form of packet-ins; 2 is NXT_PACKET_IN2, the one that this package reads."""

    format: int = 2


class SetControllerId(msgspec.Struct, frozen=True):
    """The number by which `Controller(controller_id=…)` finds this connection."""

    controller_id: int


class TlvMap(msgspec.Struct, frozen=True):
    """One Geneve option: class, type and length in bytes, and the tun_metadata field it fills."""

    option_class: int
    option_type: int
    length: int
    index: int

    def __post_init__(self) -> None:
        if self.length % 4 or not 4 <= self.length <= 124 or not 0 <= self.index < 64:
            raise EncodeError(f"Geneve option map {self}: length is a multiple of 4 up to 124, index below 64")


# OVN's option: 15 bits of ingress port, 16 bits of egress port.
OVN_GENEVE_TLV = TlvMap(0x0102, 0x80, 4, 0)


class TlvTableMod(msgspec.Struct, frozen=True):
    """Add, delete or clear Geneve option maps."""

    command: Literal["add", "delete", "clear"]
    maps: tuple[TlvMap, ...] = ()


class TlvTableRequest(msgspec.Struct, frozen=True):
    """Ask for the Geneve option maps."""


class TlvTableReply(msgspec.Struct, frozen=True):
    """The Geneve option maps, and how much room there is in all."""

    maps: tuple[TlvMap, ...] = ()
    max_option_space: int = 0
    max_fields: int = 0


_TLV_COMMANDS = {"add": 0, "delete": 1, "clear": 2}
_TLV = struct.Struct("!HBBH2x")


def _encode_maps(maps: tuple[TlvMap, ...]) -> bytes:
    return b"".join(_TLV.pack(m.option_class, m.option_type, m.length, m.index) for m in maps)


def _decode_maps(data: bytes, at: int, end: int) -> tuple[TlvMap, ...]:
    if (end - at) % _TLV.size:
        raise ProtocolError("the Geneve option maps end in the middle of one")
    try:
        return tuple(TlvMap(*fields) for fields in _TLV.iter_unpack(data[at:end]))
    except EncodeError as error:
        raise ProtocolError(str(error)) from None


def encode_tlv_mod(message: TlvTableMod) -> bytes:
    """The body of NXT_TLV_TABLE_MOD."""
    return struct.pack("!H6x", _TLV_COMMANDS[message.command]) + _encode_maps(message.maps)


def decode_tlv_mod(data: bytes, at: int, end: int) -> TlvTableMod:
    """NXT_TLV_TABLE_MOD from its body."""
    (number,) = struct.unpack_from("!H6x", data, at)
    commands: tuple[Literal["add", "delete", "clear"], ...] = ("add", "delete", "clear")
    if number >= len(commands):
        raise ProtocolError(f"unknown Geneve option command {number}")
    return TlvTableMod(commands[number], _decode_maps(data, at + 8, end))


def encode_tlv_reply(message: TlvTableReply) -> bytes:
    """The body of NXT_TLV_TABLE_REPLY."""
    return struct.pack("!IH10x", message.max_option_space, message.max_fields) + _encode_maps(message.maps)


def decode_tlv_reply(data: bytes, at: int, end: int) -> TlvTableReply:
    """NXT_TLV_TABLE_REPLY from its body."""
    space, fields = struct.unpack_from("!IH10x", data, at)
    return TlvTableReply(_decode_maps(data, at + 16, end), space, fields)
