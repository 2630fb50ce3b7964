"""Reads the address columns of a logical switch port (ovn-nb(5)); pure text in, values out.

Tests: tests/unit/northd/test_northd_text.py.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

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


def parse_ip4(text: str) -> str:
    """An IPv4 address in canonical form. Raises ValueError."""
    try:
        return inet_ntop(AF_INET, inet_pton(AF_INET, text.strip()))
    except (OSError, ValueError):
        raise ValueError(f"{text!r} is not an IPv4 address") from None


def parse_address(text: str) -> str:
    """An IPv4 or IPv6 address in canonical form. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def parse_ip6(text: str) -> str:
    """An IPv6 address in canonical form. Raises ValueError."""
    try:
        return inet_ntop(AF_INET6, inet_pton(AF_INET6, text.strip()))
    except (OSError, ValueError):
        raise ValueError(f"{text!r} is not an IPv6 address") from None


def parse_owned(text: str) -> Owned:
    """Reads "MAC [IP …]", with or without prefix lengths. Raises ValueError naming the word that is wrong."""
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("an empty address")
    mac = parse_mac(words[0])
    ip4: list[str] = []
    ip6: list[str] = []
    for word in words[1:]:
        address, slash, length = word.partition("/")
        wide = ":" in address
        try:
            packed = inet_pton(AF_INET6 if wide else AF_INET, address)
        except (OSError, ValueError):
            packed = None
        if packed is None or (slash and not (length.isdigit() and int(length) <= len(packed) * 8)):
            raise ValueError(f"{word!r} in {text!r} is not an IP address")
        (ip6 if wide else ip4).append(inet_ntop(AF_INET6 if wide else AF_INET, packed))
    return Owned(mac, tuple(ip4), tuple(ip6))


@dataclass(frozen=True)
class Subnet:
    """An IPv4 or IPv6 network."""

    family: int
    number: int
    shift: int
    netmask: str

    def __contains__(self, address: str) -> bool:
        """Whether an address of the same family, in text, is in the network."""
        return int.from_bytes(inet_pton(self.family, address), "big") >> self.shift == self.number


def parse_subnet(text: str, version: int) -> Subnet:
    """Reads a CIDR of IP version 4 or 6. Raises ValueError."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a network") from None
    if network.version != version:
        raise ValueError(f"{text!r} is not an IPv{version} network")
    shift = network.max_prefixlen - network.prefixlen
    family = AF_INET if version == 4 else AF_INET6
    return Subnet(family, int(network.network_address) >> shift, shift, str(network.netmask))


def link_local(mac: str) -> str:
    """The IPv6 link-local address with the modified EUI-64 identifier of a MAC address (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    identifier = bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(bytes([0xFE, 0x80, 0, 0, 0, 0, 0, 0]) + identifier))
