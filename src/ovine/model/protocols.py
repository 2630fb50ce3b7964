"""IP protocols that security group rules may name, and their numbers (IANA, "Assigned Internet Protocol Numbers").

Tests: tests/unit/model/test_protocols.py.
"""

from __future__ import annotations

from collections.abc import Mapping

PROTOCOLS: Mapping[str, int] = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}


def protocol_number(protocol: str) -> int:
    """A protocol's number, from its name or its number as text. Raises ValueError."""
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)
