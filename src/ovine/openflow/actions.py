"""Actions as values: what a flow, a group bucket or a packet-out does with a packet.

Each value is frozen, compares and hashes by content, and is brought into normal form when it is made, so that an
action read back from a switch equals the one that was sent.  Numbers and layouts are in `action_codec.py`, the text
that `ovs-ofctl` accepts in `text.py`.

Terms.  A *subfield* is `(field, offset, n_bits)`; offset counts from the least significant bit.  Ports use OpenFlow
1.5 numbers (32 bits; reserved ones by the names in `PORTS`).  Dropping is having no action.

The values hold no cycles and there are many of them, so the garbage collector is told to pass them by (`gc=False`).

Source: ovs-actions(7).  Tests: tests/unit/openflow/test_openflow_actions.py.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec.structs import force_setattr

from ovine.openflow.errors import EncodeError
from ovine.openflow.fields import FIELDS, canonical
from ovine.openflow.match import port32

PORTS = {
    "UNSET": 0xFFFFFFF7,
    "IN_PORT": 0xFFFFFFF8,
    "TABLE": 0xFFFFFFF9,
    "NORMAL": 0xFFFFFFFA,
    "FLOOD": 0xFFFFFFFB,
    "ALL": 0xFFFFFFFC,
    "CONTROLLER": 0xFFFFFFFD,
    "LOCAL": 0xFFFFFFFE,
    "ANY": 0xFFFFFFFF,
}
PORT_NAMES = {number: name for name, number in PORTS.items()}

# Reasons a packet reaches the controller (ofp_packet_in_reason of OpenFlow 1.4+).
REASON_NUMBERS = {
    "no_match": 0,
    "action": 1,
    "invalid_ttl": 2,
    "action_set": 3,
    "group": 4,
    "packet_out": 5,
}


class Subfield(NamedTuple):
    """`n_bits` bits of `field`, from bit `offset` (0 = least significant)."""

    field: str
    offset: int
    n_bits: int


def port_number(port: int | str) -> int:
    """A port given as number (16- or 32-bit numbering of reserved ports) or reserved name; EncodeError if neither."""
    if isinstance(port, str):
        if port.upper() not in PORTS:
            raise EncodeError(f"no reserved OpenFlow port is named {port!r}")
        return PORTS[port.upper()]
    if not 0 <= port <= 0xFFFFFFFF:
        raise EncodeError(f"port {port} is not between 0 and 0xffffffff")
    return port32(port)


def subfield(given: tuple[str, int, int]) -> Subfield:
    """The subfield with its canonical field name; EncodeError if it lies outside the field."""
    name, offset, n_bits = canonical(given[0]), given[1], given[2]
    if offset < 0 or n_bits < 1 or offset + n_bits > FIELDS[name].bits:
        raise EncodeError(
            f"{given[0]}[{offset}..{offset + n_bits - 1}] is not inside the {FIELDS[name].bits}-bit field"
        )
    return Subfield(name, offset, n_bits)


def _in_range(what: str, value: int, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise EncodeError(f"{what} {value} does not fit {bits} bits")


class Output(msgspec.Struct, frozen=True, gc=False):
    """Send the packet to a port.  Output to CONTROLLER is `Controller`."""

    port: int | str

    def __post_init__(self) -> None:
        force_setattr(self, "port", port_number(self.port))
        if self.port == PORTS["CONTROLLER"]:
            raise EncodeError("use Controller(...) to send a packet to the controller")


class OutputReg(msgspec.Struct, frozen=True, gc=False):
    """Send the packet to the port whose number a subfield holds."""

    source: tuple[str, int, int]

    def __post_init__(self) -> None:
        source = (self.source, 0, FIELDS[canonical(self.source)].bits) if isinstance(self.source, str) else self.source
        force_setattr(self, "source", subfield(source))


class Resubmit(msgspec.Struct, frozen=True, gc=False):
    """Look the packet up again, in `table` (None: the present one), as if it came from `port` (None: its own).

    `ct` swaps in the original-direction tuple of the packet's connection for the look-up.
    """

    port: int | str | None = None
    table: int | None = None
    ct: bool = False

    def __post_init__(self) -> None:
        if self.port is not None:
            number = port_number(self.port)
            force_setattr(self, "port", None if number == PORTS["IN_PORT"] else number)
        if self.table == 255:
            force_setattr(self, "table", None)
        _in_range("table", self.table or 0, 8)


class SetField(msgspec.Struct, frozen=True, gc=False):
    """Set the bits of `field` that are in `mask` (None: all) to those of `value`."""

    field: str
    value: int
    mask: int | None = None

    def __post_init__(self) -> None:
        name = canonical(self.field)
        if name is not self.field:
            force_setattr(self, "field", name)
        ones = FIELDS[name].ones
        _in_range(name, self.value, ones.bit_length())
        if self.mask is not None:
            _in_range(f"mask of {name}", self.mask, ones.bit_length())
            force_setattr(self, "value", self.value & self.mask)
            if self.mask == ones:
                force_setattr(self, "mask", None)


def Load(dst: tuple[str, int, int], value: int) -> SetField:
    """Write `value` into a subfield.  It is a masked `SetField`, which is how the switch stores it."""
    name, offset, n_bits = subfield(dst)
    _in_range(f"value for {n_bits} bits of {name}:", value, n_bits)
    return SetField(name, value << offset, ((1 << n_bits) - 1) << offset)


class Move(msgspec.Struct, frozen=True, gc=False):
    """Copy `n_bits` bits from one field to another."""

    src: str
    src_offset: int
    dst: str
    dst_offset: int
    n_bits: int

    def __post_init__(self) -> None:
        force_setattr(self, "src", subfield((self.src, self.src_offset, self.n_bits)).field)
        force_setattr(self, "dst", subfield((self.dst, self.dst_offset, self.n_bits)).field)


class Push(msgspec.Struct, frozen=True, gc=False):
    """Push a subfield on the switch's stack."""

    field: str
    offset: int
    n_bits: int

    def __post_init__(self) -> None:
        force_setattr(self, "field", subfield((self.field, self.offset, self.n_bits)).field)


class Pop(msgspec.Struct, frozen=True, gc=False):
    """Pop the top of the switch's stack into a subfield."""

    field: str
    offset: int
    n_bits: int

    def __post_init__(self) -> None:
        force_setattr(self, "field", subfield((self.field, self.offset, self.n_bits)).field)


class DeleteField(msgspec.Struct, frozen=True, gc=False):
    """Remove a tunnel metadata option from the packet."""

    field: str


class Nat(msgspec.Struct, frozen=True, gc=False):
    """Translate addresses inside `Ct`.  Without direction: undo or repeat what the connection already has.

    `direction` is "src", "dst" or "".  Addresses are text (IPv4 or IPv6); an empty one means "any".
    """

    direction: str = ""
    ip_min: str = ""
    ip_max: str = ""
    port_min: int = 0
    port_max: int = 0
    persistent: bool = False
    hash: bool = False
    random: bool = False

    def __post_init__(self) -> None:
        if self.direction not in ("", "src", "dst"):
            raise EncodeError(f"NAT direction {self.direction!r} is neither 'src' nor 'dst' nor empty")
        if not self.direction and (self.ip_min or self.ip_max or self.port_min or self.port_max):
            raise EncodeError("a NAT range needs a direction")
        _check_nat_range(self)
        for name in ("ip_min", "ip_max"):
            if getattr(self, name):
                force_setattr(self, name, str(ip_address(getattr(self, name))))
        if self.ip_max == self.ip_min:
            force_setattr(self, "ip_max", "")
        if self.port_max == self.port_min:
            force_setattr(self, "port_max", 0)


def _check_nat_range(nat: Nat) -> None:
    _in_range("port", nat.port_min, 16)
    _in_range("port", nat.port_max, 16)
    if nat.port_max and not 0 < nat.port_min <= nat.port_max:
        raise EncodeError(f"NAT port range {nat.port_min}-{nat.port_max} is empty")
    if nat.ip_max and not nat.ip_min:
        raise EncodeError("a NAT range with a last address needs a first one")
    try:
        versions = {ip_address(text).version for text in (nat.ip_min, nat.ip_max) if text}
    except ValueError as error:
        raise EncodeError(f"NAT range: {error}") from None
    if len(versions) == 2:
        raise EncodeError(f"NAT range {nat.ip_min}-{nat.ip_max} mixes IPv4 and IPv6")
    if nat.ip_max and int(ip_address(nat.ip_max)) < int(ip_address(nat.ip_min)):
        raise EncodeError(f"NAT address range {nat.ip_min}-{nat.ip_max} is empty")


class Ct(msgspec.Struct, frozen=True, gc=False):
    """Send the packet through connection tracking.

    `zone` is a number or a subfield of 16 bits.  `table`: where a copy goes on after tracking (None: it does not).
    `actions` runs in the tracker (`Nat`, `SetField` and `Move` into ct_mark or ct_label).  `alg` is a port, 21 for FTP.
    """

    commit: bool = False
    force: bool = False
    zone: int | tuple[str, int, int] = 0
    table: int | None = None
    alg: int = 0
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        if self.force and not self.commit:
            raise EncodeError("ct(force) needs commit")
        if isinstance(self.zone, int):
            _in_range("conntrack zone", self.zone, 16)
        else:
            force_setattr(self, "zone", subfield(self.zone))
            if self.zone[2] != 16:
                raise EncodeError(f"conntrack zone {self.zone} is not 16 bits wide")
        _in_range("table", self.table or 0, 8)
        if self.table == 255:
            raise EncodeError("ct cannot go on in table 255")


class CtClear(msgspec.Struct, frozen=True, gc=False):
    """Forget the packet's conntrack state."""


NO_METER = 0xFFFFFFFF


class Controller(msgspec.Struct, frozen=True, gc=False):
    """Send the packet to the controller.

    `userdata` comes back in the packet-in.  `pause` suspends the pipeline until `Resume`.  `max_len` is in bytes.
    `meter_id` limits the rate (None: the switch's default).  `reason` is one of `REASON_NUMBERS`.
    """

    userdata: bytes = b""
    pause: bool = False
    meter_id: int | None = None
    max_len: int = 0xFFFF
    reason: str = "action"
    controller_id: int = 0

    def __post_init__(self) -> None:
        _in_range("max_len", self.max_len, 16)
        _in_range("controller id", self.controller_id, 16)
        if self.reason not in REASON_NUMBERS:
            raise EncodeError(f"unknown packet-in reason {self.reason!r}; known: {', '.join(REASON_NUMBERS)}")
        if self.meter_id == NO_METER:
            force_setattr(self, "meter_id", None)


class Conjunction(msgspec.Struct, frozen=True, gc=False):
    """This flow matches dimension `clause` (1…n_clauses, as in ovs-actions(7)) of conjunction `id`."""

    id: int
    clause: int
    n_clauses: int

    def __post_init__(self) -> None:
        _in_range("conjunction id", self.id, 32)
        if not 2 <= self.n_clauses <= 64 or not 1 <= self.clause <= self.n_clauses:
            raise EncodeError(f"conjunction clause {self.clause}/{self.n_clauses}: need 1 <= clause <= n <= 64, n >= 2")


class Clone(msgspec.Struct, frozen=True, gc=False):
    """Run actions on a copy of the packet and its state."""

    actions: tuple[Action, ...]


class Group(msgspec.Struct, frozen=True, gc=False):
    """Hand the packet to a group."""

    group_id: int


class Meter(msgspec.Struct, frozen=True, gc=False):
    """Send the packet through a meter, which may drop it."""

    meter_id: int


class Bundle(msgspec.Struct, frozen=True, gc=False):
    """Output to the first of `members`, OpenFlow ports of 16 bits, that is up; if none is, the packet is dropped.

    Up includes what BFD says of a tunnel.  This is algorithm active_backup of `bundle` in ovs-actions(7).
    """

    members: tuple[int, ...]

    def __post_init__(self) -> None:
        for port in self.members:
            _in_range("port", port, 16)


class DecTtl(msgspec.Struct, frozen=True, gc=False):
    """Decrement the IP TTL; at 0 the packet goes to the controller and processing stops."""


class PushVlan(msgspec.Struct, frozen=True, gc=False):
    """Push a VLAN tag of this Ethernet type."""

    ethertype: int = 0x8100

    def __post_init__(self) -> None:
        if self.ethertype not in (0x8100, 0x88A8):
            raise EncodeError(f"VLAN Ethernet type {self.ethertype:#x} is neither 0x8100 nor 0x88a8")


class PopVlan(msgspec.Struct, frozen=True, gc=False):
    """Remove the outermost VLAN tag."""


class SetQueue(msgspec.Struct, frozen=True, gc=False):
    """Choose the egress queue."""

    queue_id: int


class Note(msgspec.Struct, frozen=True, gc=False):
    """Bytes that the switch keeps and ignores.  They are padded with zeros to 6, 14, 22 … bytes."""

    data: bytes

    def __post_init__(self) -> None:
        force_setattr(self, "data", self.data + bytes(-(len(self.data) + 2) % 8))


class CheckPktLarger(msgspec.Struct, frozen=True, gc=False):
    """Set the one-bit subfield `dst` to whether the packet is longer than `length` bytes (with Ethernet header)."""

    length: int
    dst: tuple[str, int, int]

    def __post_init__(self) -> None:
        _in_range("packet length", self.length, 16)
        force_setattr(self, "dst", subfield(self.dst))
        if self.dst[2] != 1:
            raise EncodeError(f"check_pkt_larger needs a one-bit destination, not {self.dst}")


class Sample(msgspec.Struct, frozen=True, gc=False):
    """Sample packets to IPFIX: probability/65535 of them.  `direction`: 0 none, 1 ingress, 2 egress."""

    probability: int
    collector_set_id: int = 0
    obs_domain_id: int = 0
    obs_point_id: int = 0
    sampling_port: int | None = None
    direction: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.probability <= 0xFFFF:
            raise EncodeError(f"sample probability {self.probability} is not between 1 and 65535")
        if self.direction not in (0, 1, 2):
            raise EncodeError(f"sample direction {self.direction} is not 0, 1 or 2")


class LearnMatch(msgspec.Struct, frozen=True, gc=False):
    """The learned flow matches `dst` == `src`: a subfield of the present packet, or a number."""

    dst: tuple[str, int, int]
    src: int | tuple[str, int, int]

    def __post_init__(self) -> None:
        _normal_spec(self)


class LearnLoad(msgspec.Struct, frozen=True, gc=False):
    """The learned flow writes `src`, a subfield of the present packet or a number, into `dst`."""

    dst: tuple[str, int, int]
    src: int | tuple[str, int, int]

    def __post_init__(self) -> None:
        _normal_spec(self)


class LearnOutput(msgspec.Struct, frozen=True, gc=False):
    """The learned flow sends packets to the port that a subfield of the present packet names."""

    src: tuple[str, int, int]

    def __post_init__(self) -> None:
        force_setattr(self, "src", subfield(self.src))


def _normal_spec(spec: LearnMatch | LearnLoad) -> None:
    force_setattr(spec, "dst", subfield(spec.dst))
    if isinstance(spec.src, int):
        _in_range("learned value", spec.src, spec.dst[2])
        return
    force_setattr(spec, "src", subfield(spec.src))
    if spec.src[2] != spec.dst[2]:
        raise EncodeError(f"learn: {spec.src} and {spec.dst} differ in width")


LearnSpec: TypeAlias = LearnMatch | LearnLoad | LearnOutput


class Learn(msgspec.Struct, frozen=True, gc=False):
    """Add or change a flow in `table` when a packet passes.  Timeouts in seconds, 0 for none.

    `limit` is the largest number of flows that this action may keep (0: no limit); `result` is a one-bit subfield
    that tells whether learning worked.
    """

    table: int
    specs: tuple[LearnSpec, ...]
    idle_timeout: int = 0
    hard_timeout: int = 0
    priority: int = 0x8000
    cookie: int = 0
    fin_idle_timeout: int = 0
    fin_hard_timeout: int = 0
    send_flow_removed: bool = False
    delete_learned: bool = False
    limit: int = 0
    result: tuple[str, int, int] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.table < 255:
            raise EncodeError(f"learn table {self.table} is not between 0 and 254")
        if self.result is not None:
            force_setattr(self, "result", subfield(self.result))
            if self.result[2] != 1:
                raise EncodeError(f"learn needs a one-bit result, not {self.result}")


class Exit(msgspec.Struct, frozen=True, gc=False):
    """Stop processing here, in all nested resubmits too."""


class GotoTable(msgspec.Struct, frozen=True, gc=False):
    """Continue in a later table (an instruction; it must come last in a flow)."""

    table: int


class Raw(msgspec.Struct, frozen=True, gc=False):
    """An action that this codec does not interpret, byte for byte, so that a foreign flow can be shown and kept."""

    data: bytes


class RawInstruction(msgspec.Struct, frozen=True, gc=False):
    """An instruction other than apply-actions and goto-table, byte for byte."""

    data: bytes


Action: TypeAlias = (
    Output
    | OutputReg
    | Resubmit
    | SetField
    | Move
    | Push
    | Pop
    | DeleteField
    | Nat
    | Ct
    | CtClear
    | Controller
    | Conjunction
    | Clone
    | Group
    | Meter
    | Bundle
    | DecTtl
    | PushVlan
    | PopVlan
    | SetQueue
    | Note
    | CheckPktLarger
    | Sample
    | Learn
    | Exit
    | GotoTable
    | Raw
    | RawInstruction
)
