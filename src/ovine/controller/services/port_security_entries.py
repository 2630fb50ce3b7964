"""What the elements of `Port_Binding.port_security` say, by the MAC address that a port may use.

    MAC                      this MAC, with whatever IP addresses
    MAC IP…                  with these: 10.0.0.1, 10.0.0.1/24 (one of a subnet), 10.0.0.0/24 (all of it), fd00::1
    VRRPv3 MAC VMAC IP…      both MACs; ARP and ND from one may speak of the other. VMAC may have a mask

If a MAC comes more than once, it may do what any of the elements allows.

Source: ovn-nb(5), Logical_Switch_Port port_security.
Tests: tests/cases/controller/services/port_security.txt, port_security_ours.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Final, NamedTuple

_VRRP: Final = "vrrpv3"
_MAC: Final = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}\Z")
_ALL_ONES: Final = (1 << 48) - 1


class Mac(NamedTuple):
    """A MAC address, or several: `mask` None means that all bits count."""

    value: int
    mask: int | None = None


class Network(NamedTuple):
    """An address (mask None) or all of a subnet; `broadcast` is the subnet's broadcast address, of IPv4 only."""

    value: int
    mask: int | None = None
    broadcast: int | None = None


@dataclass(frozen=True)
class Rights:
    """What a host may do as one MAC: speak of `hardware` in ARP and ND, and use these addresses, or any."""

    hardware: tuple[Mac, ...]
    v4: tuple[Network, ...] = ()
    v6: tuple[Network, ...] = ()
    anything: bool = False

    def joined(self, other: Rights) -> Rights:
        """What is allowed by either."""
        return Rights(
            tuple(dict.fromkeys(self.hardware + other.hardware)),
            tuple(dict.fromkeys(self.v4 + other.v4)),
            tuple(dict.fromkeys(self.v6 + other.v6)),
            self.anything or other.anything,
        )


def rights_of(elements: Iterable[str]) -> tuple[Mapping[Mac, Rights], list[str]]:
    """The rights by MAC, and what is wrong with elements that cannot be read; these allow nothing."""
    rights: dict[Mac, Rights] = {}
    problems = []
    for text in elements:
        try:
            found = parse(text)
        except ValueError as error:
            problems.append(f"port_security element {text!r}: {error}")
            continue
        for mac in found.hardware:
            rights[mac] = rights[mac].joined(found) if mac in rights else found
    return rights, problems


def parse(text: str) -> Rights:
    """One element; ValueError if it makes no sense."""
    words = text.replace(",", " ").split()
    hardware: tuple[Mac, ...]
    if words and words[0].lower() == _VRRP:
        if len(words) < 3:
            raise ValueError("VRRPv3 takes a MAC and a virtual MAC")
        hardware, rest = (_mac(words[1]), _mac(words[2], masked=True)), words[3:]
    else:
        hardware, rest = (_mac(words[0] if words else ""),), words[1:]
    networks = [_network(word) for word in rest]
    v4 = tuple(network for version, network in networks if version == 4)
    v6 = tuple(network for version, network in networks if version == 6)
    return Rights(hardware, v4, v6, anything=not networks)


def _number(text: str) -> int:
    if not _MAC.match(text):
        raise ValueError(f"{text!r} is no MAC address")
    return int.from_bytes(bytes(int(byte, 16) for byte in text.split(":")))


def _mac(text: str, masked: bool = False) -> Mac:
    address, slash, mask = text.partition("/")
    if not slash:
        return Mac(_number(address))
    if not masked:
        raise ValueError(f"{text!r} is no MAC address")
    if mask.isascii() and mask.isdigit() and int(mask) <= 48:
        bits = _ALL_ONES & ~(_ALL_ONES >> int(mask))
    else:
        bits = _number(mask)
    return Mac(_number(address) & bits, None if bits == _ALL_ONES else bits)


def _network(text: str) -> tuple[int, Network]:
    try:
        found = ip_interface(text)
    except ValueError:
        found = None
    if found is None or "%" in text:
        raise ValueError(f"{text!r} is no IP address or prefix")
    address: IPv4Address | IPv6Address = found.ip
    subnet = found.network
    single = subnet.prefixlen == subnet.max_prefixlen
    everything = not single and address == subnet.network_address
    mask = int(subnet.netmask) if everything else None
    broadcast = int(subnet.broadcast_address) if address.version == 4 and not single else None
    return address.version, Network(int(address), mask, broadcast)
