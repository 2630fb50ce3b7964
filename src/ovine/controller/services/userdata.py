"""What a flow's `controller` action carries, so that the packet-in says what is to be done with the packet.

Layout: opcode (16 bits), length of the result field's name (8 bits, 0 if the action has no result), the name, the
result's bit (16 bits), and the service's own payload up to the end. It is private to one controller: flows with an
older layout are replaced when a newer version starts.

Tests: tests/unit/controller/test_controller_packets.py.
"""

from __future__ import annotations

import struct
from enum import IntEnum, unique
from typing import NamedTuple


@unique
class Opcode(IntEnum):
    """Which action of the language a packet-in is for. Numbers may change from one version to the next."""

    ARP = 1
    ND_NS = 2
    ND_NA = 3
    ND_NA_ROUTER = 4
    ICMP4 = 5
    ICMP4_ERROR = 6
    ICMP6 = 7
    ICMP6_ERROR = 8
    TCP_RESET = 9
    SCTP_ABORT = 10
    REJECT = 11
    PUT_DHCP_OPTS = 20
    PUT_DHCPV6_OPTS = 21
    PUT_ND_RA_OPTS = 22
    DNS_LOOKUP = 23
    HANDLE_DHCPV6_REPLY = 24
    HANDLE_SVC_CHECK = 25
    HANDLE_BFD_MSG = 26
    IGMP = 27
    TRIGGER_EVENT = 28
    DHCP_RELAY_REQ_CHK = 29
    DHCP_RELAY_RESP_CHK = 30
    PUT_ARP = 40
    PUT_ND = 41
    PUT_FDB = 42
    BIND_VPORT = 43
    ACTIVATE = 44
    LOG = 60


class Userdata(NamedTuple):
    """`result` is the register bit that the answer goes to: (field as in ovs-fields(7), bit); None if there is none."""

    opcode: Opcode
    result: tuple[str, int] | None = None
    payload: bytes = b""

    def encode(self) -> bytes:
        """The bytes for `Controller(userdata=…)`."""
        name, bit = (self.result[0].encode(), self.result[1]) if self.result is not None else (b"", 0)
        return struct.pack(f"!HB{len(name)}sH", self.opcode, len(name), name, bit) + self.payload


class Block(NamedTuple):
    """The payload of a block: its OpenFlow actions as bytes, and the MTU that an ICMP error is to tell (0: none)."""

    actions: bytes
    mtu: int = 0

    def encode(self) -> bytes:
        """The bytes for `Userdata.payload`."""
        return struct.pack("!I", self.mtu) + self.actions

    @classmethod
    def decode(cls, payload: bytes) -> Block:
        """What `encode` wrote; ValueError if it did not."""
        if len(payload) < 4:
            raise ValueError(f"a block {payload.hex()} is cut off")
        return cls(payload[4:], int.from_bytes(payload[:4]))


def decode(data: bytes) -> Userdata:
    """What `encode` wrote; ValueError if it did not."""
    try:
        opcode, length = struct.unpack_from("!HB", data)
        name, bit = struct.unpack_from(f"!{length}sH", data, 3)
    except struct.error as error:
        raise ValueError(f"userdata {data[:16].hex()} is cut off: {error}") from None
    if len(name) != length:
        raise ValueError(f"userdata {data[:16].hex()} is cut off")
    result = (name.decode("ascii", "replace"), bit) if length else None
    return Userdata(Opcode(opcode), result, data[3 + length + 2 :])
