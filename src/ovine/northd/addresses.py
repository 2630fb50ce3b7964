"""Reads the address columns of a logical switch port (ovn-nb(5)); pure text in, values out.

Tests: tests/unit/northd/test_addresses.py.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")


@dataclass(frozen=True)
class Owned:
    """An Ethernet address and the IP addresses that go with it, all in canonical form."""

    mac: str
    ip4: tuple[str, ...] = ()
    ip6: tuple[str, ...] = ()


def parse_mac(text: str) -> str:
    """A MAC address in lower case. Raises ValueError."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is not an Ethernet address")
    return text.lower()


def parse_owned(text: str) -> Owned:
    """Reads "MAC [IP …]", with or without prefix lengths. Raises ValueError naming the word that is wrong."""
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("an empty address")
    mac = parse_mac(words[0])
    ip4: list[str] = []
    ip6: list[str] = []
    for word in words[1:]:
        try:
            address = ipaddress.ip_interface(word).ip
        except ValueError:
            raise ValueError(f"{word!r} in {text!r} is not an IP address") from None
        (ip4 if address.version == 4 else ip6).append(str(address))
    return Owned(mac, tuple(ip4), tuple(ip6))


def link_local(mac: str) -> str:
    """The IPv6 link-local address with the modified EUI-64 identifier of a MAC address (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    identifier = bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(bytes([0xFE, 0x80, 0, 0, 0, 0, 0, 0]) + identifier))
