"""Where every Open vSwitch field lies in one long integer.

The language's work on packets and matches is bit work: a packet is an integer, a masked match is a pair of integers
(value, mask), and "both" is two bitwise operations. For that each field of ovs-fields(7) that OVN uses gets a place.
The registers lie together with reg0 in the most significant place of xreg0 and xxreg0, as in Open vSwitch, so the
three views of a register agree by themselves.

Invariant: places do not overlap, and `FIELDS` names only fields that may stand in an OpenFlow match side by side
(xreg and xxreg are views of `regN`, never fields of a match).

Tests: tests/unit/language/test_symbols.py.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

_REGISTERS: Final = [f"reg{n}" for n in (3, 2, 1, 0, 7, 6, 5, 4, 9, 8, 11, 10, 13, 12, 15, 14)]

_WIDTHS: Final[dict[str, int]] = {
    **dict.fromkeys(_REGISTERS, 32),
    "metadata": 64,
    "conj_id": 32,
    "pkt_mark": 32,
    "ct_state": 32,
    "ct_zone": 16,
    "ct_mark": 32,
    "ct_label": 128,
    "ct_nw_proto": 8,
    "ct_nw_src": 32,
    "ct_nw_dst": 32,
    "ct_ipv6_src": 128,
    "ct_ipv6_dst": 128,
    "ct_tp_src": 16,
    "ct_tp_dst": 16,
    "eth_src": 48,
    "eth_dst": 48,
    "eth_type": 16,
    "vlan_tci": 16,
    "nw_proto": 8,
    "ip_dscp": 6,
    "nw_ecn": 2,
    "nw_ttl": 8,
    "ip_frag": 2,
    "ip_src": 32,
    "ip_dst": 32,
    "ipv6_src": 128,
    "ipv6_dst": 128,
    "ipv6_label": 20,
    "icmp_type": 8,
    "icmp_code": 8,
    "icmpv6_type": 8,
    "icmpv6_code": 8,
    "arp_op": 16,
    "arp_spa": 32,
    "arp_tpa": 32,
    "arp_sha": 48,
    "arp_tha": 48,
    "nd_target": 128,
    "nd_sll": 48,
    "nd_tll": 48,
    "tcp_src": 16,
    "tcp_dst": 16,
    "tcp_flags": 12,
    "udp_src": 16,
    "udp_dst": 16,
    "sctp_src": 16,
    "sctp_dst": 16,
}


class Place(NamedTuple):
    """Bits `offset` … `offset + width - 1` of the long integer."""

    offset: int
    width: int

    @property
    def mask(self) -> int:
        """Ones over the place."""
        return ((1 << self.width) - 1) << self.offset


_STARTS: Final = [0, *accumulate(_WIDTHS.values())]

FIELDS: Final[dict[str, Place]] = {
    name: Place(start, width) for (name, width), start in zip(_WIDTHS.items(), _STARTS[:-1], strict=True)
}
"""Field name as in ovs-fields(7) → its place."""

VIEWS: Final[dict[str, Place]] = {
    "xxreg0": Place(FIELDS["reg3"].offset, 128),
    "xxreg1": Place(FIELDS["reg7"].offset, 128),
    "xreg0": Place(FIELDS["reg1"].offset, 64),
    "xreg1": Place(FIELDS["reg3"].offset, 64),
    "xreg2": Place(FIELDS["reg5"].offset, 64),
    "xreg3": Place(FIELDS["reg7"].offset, 64),
    "xreg4": Place(FIELDS["reg9"].offset, 64),
}
"""Wider names for registers that lie side by side → their place."""


def place_of(name: str) -> Place:
    """The place of a field or of a register view; KeyError for any other name."""
    return FIELDS.get(name) or VIEWS[name]


@lru_cache(maxsize=8192)
def fields_in(mask: int) -> tuple[tuple[str, int, int], ...]:
    """The fields that a mask touches, sorted by name: (name, offset, the field's own mask, shifted down)."""
    found = []
    for name, place in FIELDS.items():
        own = mask >> place.offset & ((1 << place.width) - 1)
        if own:
            found.append((name, place.offset, own))
    return tuple(sorted(found))
