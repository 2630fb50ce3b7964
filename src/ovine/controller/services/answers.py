"""What services answer with: paused packets that go on with a result, and packets of our own that a block is run on.

Tests: tests/unit/controller/services/test_dhcp4.py (results), test_neighbours.py (blocks).
"""

from __future__ import annotations

import re

from ovine.controller.services.userdata import Block, Userdata
from ovine.openflow import Entry, Match, PacketIn, PacketOut, Resume
from ovine.openflow.action_codec import decode_actions

_REGISTER = re.compile(r"(x{0,2})reg(\d+)\Z")


def resume(packet: PacketIn, userdata: Userdata, new: bytes | None = None) -> Resume:
    """Lets a paused packet go on: as `new` with result 1, or unchanged with result 0."""
    changes = () if userdata.result is None else (_result(packet, *userdata.result, new is not None),)
    return Resume(packet, new, changes)


def _result(packet: PacketIn, field: str, bit: int, value: bool) -> Entry:
    """The 32-bit register that a result's bit lies in, with that bit set to `value`."""
    name, position = _place(field, bit)
    others = (packet.field(name) or 0) & ~(1 << position)
    return name, others | value << position, None


def _place(field: str, bit: int) -> tuple[str, int]:
    found = _REGISTER.match(field)
    if found is None:
        raise ValueError(f"a result cannot go to {field}")
    width = 1 << len(found[1])
    return f"reg{int(found[2]) * width + width - 1 - bit // 32}", bit % 32


def run_block(packet: PacketIn, userdata: Userdata, new: bytes) -> PacketOut:
    """Runs a block's actions on a packet of our own, in the place in the pipeline where the original is."""
    block = Block.decode(userdata.payload).actions
    actions = decode_actions(block, 0, len(block))
    return PacketOut("CONTROLLER", actions, new, kept(packet))


def kept(packet: PacketIn) -> Match:
    """The place in the pipeline where a packet is: datapath and registers."""
    return tuple(entry for entry in packet.match if entry[0] == "metadata" or _REGISTER.match(entry[0]))
