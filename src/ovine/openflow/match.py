"""Flow matches: a normal form, and OXM encoding and decoding.

A `Match` is a tuple of `(field name, value, mask)` sorted by name; mask None means that all bits must be equal.

Normal form.  Two matches that select the same packets in the same terms are equal tuples: canonical names; no mask
that is all ones (None instead) or all zeros (left out); value bits outside the mask are zero; registers appear as
reg0…reg15 whether they were given as reg, xreg or xxreg; `vlan_tci` appears as `vlan_vid` (13 bits, with the
"tag present" bit 0x1000) and `vlan_pcp`; `nw_tos` as `ip_dscp`; the ingress port as `in_port` with 32-bit numbers.
This is what a switch that speaks OpenFlow 1.5 can say back, so a flow that is read equals the flow that was sent.
One exception is Open vSwitch's own: it reports a match on *some* of the three VLAN priority bits as a match on all.

Source: ovs-fields(7); OpenFlow 1.5.1 §7.2.3.  Tests: tests/unit/openflow/test_openflow_fields.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import itemgetter

from ovine.openflow.errors import EncodeError, ProtocolError
from ovine.openflow.fields import BY_WIRE, FIELDS, Field, canonical, header_of

Entry = tuple[str, int, int | None]
Match = tuple[Entry, ...]

# Prerequisites must come before what needs them, or the switch refuses the match (OFPBMC_BAD_PREREQ).
_WIRE_RANK = {"packet_type": 0, "eth_type": 1, "vlan_vid": 2, "nw_proto": 3, "ct_state": 3, "icmpv6_type": 4}

# All bits of a field that a match can speak of.  The ingress port has 32-bit numbers; the switch knows eight bits of
# conntrack state and reports an exact match as one on these.
_ONES = {name: field.ones for name, field in FIELDS.items()} | {"in_port": 0xFFFFFFFF, "ct_state": 0xFF}

# The fields whose entries are rewritten; all others only need names, values and masks checked.
_SPLIT_REGISTERS = {f"xreg{i}": (f"reg{2 * i}", 2) for i in range(8)} | {
    f"xxreg{i}": (f"reg{4 * i}", 4) for i in range(4)
}
_RESERVED_16 = 0xFF00
_RESERVED_32 = 0xFFFFFF00


def port32(port: int) -> int:
    """A port number in OpenFlow 1.1+ numbering: the reserved 16-bit numbers become reserved 32-bit ones."""
    return port + 0xFFFF0000 if _RESERVED_16 <= port <= 0xFFFF else port


def port16(port: int) -> int:
    """The inverse of `port32`, for Nicira messages that carry 16 bits; EncodeError if the port has no such number."""
    if port >= _RESERVED_32:
        return port - 0xFFFF0000
    if port >= _RESERVED_16:
        raise EncodeError(f"port {port:#x} has no 16-bit OpenFlow number")
    return port


def _split(name: str, value: int, mask: int) -> Iterator[Entry]:
    first, count = _SPLIT_REGISTERS[name]
    base = int(first[3:])
    for i in range(count):
        shift = 32 * (count - 1 - i)
        part = mask >> shift & 0xFFFFFFFF
        if part:
            yield f"reg{base + i}", value >> shift & part, None if part == 0xFFFFFFFF else part


def _split_tci(value: int, mask: int) -> Iterator[Entry]:
    vid, vid_mask = value & 0x1FFF, mask & 0x1FFF
    pcp_mask = mask >> 13
    if pcp_mask not in (0, 7):
        yield "vlan_tci", value, mask
        return
    if vid_mask:
        yield "vlan_vid", vid, None if vid_mask == 0x1FFF else vid_mask
    # Without a tag there is no priority: the switch drops a priority match that goes with "no tag".
    if pcp_mask and vid:
        yield "vlan_pcp", value >> 13, None
    elif pcp_mask and not vid_mask:
        raise EncodeError("a match on VLAN priority bits needs a match on the presence of the tag (vlan_tci bit 12)")


def _checked(name: str, value: int, mask: int | None) -> tuple[str, int, int]:
    known = FIELDS[canonical(name)]
    full = _ONES[known.name]
    bits = full if mask is None else mask & full
    # A mask may cover the whole field on the wire, which is wider than the bits in use (16 for the 13 of vlan_vid).
    if not 0 <= value <= full or (mask is not None and not 0 <= mask < 1 << max(8 * known.n_bytes, known.bits)):
        raise EncodeError(f"{name}={value:#x}/{bits:#x} does not fit the field's {known.bits} bits")
    if bits != full and bits and not known.maskable:
        raise EncodeError(f"field {name} cannot be matched with a mask ({bits:#x})")
    return known.name, value & bits, bits


@lru_cache(maxsize=65536)
def _normal_entries(entry: Entry) -> Match:
    name, value, bits = _checked(*entry)
    if not bits:
        return ()
    if name in _SPLIT_REGISTERS:
        return tuple(_split(name, value, bits))
    if name == "vlan_tci":
        return tuple(_split_tci(value, bits))
    if name == "nw_tos":
        return (("ip_dscp", value >> 2, None),)
    if name in ("in_port", "in_port_oxm"):
        return (("in_port", port32(value), None),)
    return ((name, value, None if bits == _ONES[name] else bits),)


def _both(old: Entry, new: Entry) -> Entry:
    """The conjunction of two entries of one field; EncodeError if no packet can satisfy both."""
    ones = _ONES[old[0]]
    old_mask = ones if old[2] is None else old[2]
    new_mask = ones if new[2] is None else new[2]
    if (old[1] ^ new[1]) & old_mask & new_mask:
        raise EncodeError(f"contradictory match on {old[0]}: {old[1]:#x} and {new[1]:#x}")
    mask = old_mask | new_mask
    return old[0], old[1] | new[1], None if mask == ones else mask


_name = itemgetter(0)


def normalise(entries: Iterable[Entry]) -> Match:
    """The normal form of the conjunction of `entries`.

    Several entries of one field are combined.  EncodeError: unknown field, value too wide, mask where none is
    allowed, contradiction.
    """
    flat = [normal for entry in entries for normal in _normal_entries(entry)]
    if len({entry[0] for entry in flat}) == len(flat):
        flat.sort(key=_name)
        return tuple(flat)
    combined: dict[str, Entry] = {}
    for entry in flat:
        old = combined.get(entry[0])
        combined[entry[0]] = entry if old is None else _both(old, entry)
    return tuple(sorted(combined.values(), key=_name))


def match(**fields: int | tuple[int, int | None]) -> Match:
    """A match from keywords: `match(eth_type=0x800, ip_dst=(0x0a000000, 0xff000000))`.  Aliases are accepted."""
    return normalise((name, *(spec if isinstance(spec, tuple) else (spec, None))) for name, spec in fields.items())


def _payload_bytes(known: Field, value: int) -> int:
    if not known.variable or value < 1 << 32:
        return known.n_bytes
    return (value.bit_length() + 31) // 32 * 4


def _oxm_as(known: Field, value: int, mask: int | None) -> bytes:
    size = _payload_bytes(known, value | (mask or 0))
    head = header_of(known, size, mask is not None)
    if mask is None:
        return head + value.to_bytes(size, "big")
    return head + value.to_bytes(size, "big") + mask.to_bytes(size, "big")


@lru_cache(maxsize=65536)
def oxm(entry: Entry) -> bytes:
    """One entry of a *match* on the wire (in_port as the 32-bit OXM field)."""
    name = "in_port_oxm" if entry[0] == "in_port" else entry[0]
    return _oxm_as(FIELDS[name], entry[1], entry[2])


def field_value(name: str, value: int, mask: int | None) -> bytes:
    """Header, value and mask as they stand in a set-field *action* (in_port as the 16-bit field of that name)."""
    return _oxm_as(FIELDS[canonical(name)], value, mask)


def _rank(entry: Entry) -> int:
    return _WIRE_RANK[entry[0]]


def wire_order(entries: Match) -> list[Entry]:
    """The entries with prerequisites first."""
    early = [entry for entry in entries if entry[0] in _WIRE_RANK]
    if len(early) > 1:
        early.sort(key=_rank)
    return early + [entry for entry in entries if entry[0] not in _WIRE_RANK]


def encode_oxms(entries: Match) -> bytes:
    """The entries without a match header, prerequisites first."""
    return b"".join([oxm(entry) for entry in wire_order(entries)])


_PADS = tuple(bytes(-n % 8) for n in range(8))


def encode_match(entries: Match) -> bytes:
    """An `ofp_match`: type 1, length, entries, padding to 8 bytes."""
    body = b"".join([oxm(entry) for entry in wire_order(entries)])
    length = len(body) + 4
    return b"\x00\x01" + length.to_bytes(2, "big") + body + _PADS[length & 7]


def read_oxm(data: bytes, at: int, end: int) -> tuple[Field | None, int, int | None, int]:
    """One OXM TLV at `at`: its field (None if unknown), value, mask, and where the next one starts.

    ProtocolError if it runs over `end` or its length is not the field's.
    """
    if at + 4 > end:
        raise ProtocolError("a match field's header runs over the end of the match")
    oxm_class, number, length = data[at] << 8 | data[at + 1], data[at + 2], data[at + 3]
    start, stop = at + 4, at + 4 + length
    experimenter = 0
    if stop > end:
        raise ProtocolError(f"a match field of class {oxm_class:#x} runs over the end of the match")
    if oxm_class == 0xFFFF:
        if length < 4:
            raise ProtocolError("an experimenter match field is shorter than its experimenter number")
        experimenter, start = int.from_bytes(data[start : start + 4], "big"), start + 4
    known = BY_WIRE.get((oxm_class, number >> 1, experimenter))
    size = stop - start
    masked = number & 1
    if masked:
        if size & 1:
            raise ProtocolError(f"a masked match field of class {oxm_class:#x} has an odd length")
        size >>= 1
    if known is not None and size != known.n_bytes and not (known.variable and 0 < size <= 124):
        raise ProtocolError(f"match field {known.name} has {size} bytes instead of {known.n_bytes}")
    value = int.from_bytes(data[start : start + size], "big")
    return known, value, int.from_bytes(data[start + size : stop], "big") if masked else None, stop


def decode_oxms(data: bytes, at: int, end: int) -> Match:
    """All entries between two offsets, in normal form; ProtocolError if one is unknown or malformed."""
    entries = []
    while at < end:
        start = at
        known, value, mask, at = read_oxm(data, at, end)
        if known is None:
            raise ProtocolError(f"unknown match field with header {data[start : start + 4].hex()}")
        entries.append(_read_entry(known, value, mask))
    try:
        return normalise(entries)
    except EncodeError as error:
        raise ProtocolError(str(error)) from None


def _read_entry(known: Field, value: int, mask: int | None) -> Entry:
    """The switch may mask bits outside the field (a 16-bit mask on 13-bit vlan_vid): those bits say nothing."""
    if mask is None:
        return known.name, value, None
    ones = _ONES[known.name]
    if known.maskable:
        return known.name, value & mask & ones, mask & ones
    return known.name, value, None if mask & ones == ones else mask


def decode_match(data: bytes, at: int, end: int) -> tuple[Match, int]:
    """An `ofp_match` at `at`: its entries, and the offset behind its padding."""
    if at + 4 > end:
        raise ProtocolError("the message ends before its match")
    if data[at : at + 2] != b"\x00\x01":
        raise ProtocolError(f"match type {int.from_bytes(data[at : at + 2], 'big')} is not OXM")
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    padded = at + (length + 7 & ~7)
    if length < 4 or padded > end:
        raise ProtocolError(f"match length {length} does not fit the message")
    return decode_oxms(data, at + 4, at + length), padded
