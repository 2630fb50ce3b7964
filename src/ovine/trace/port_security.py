"""Port security, judged on a packet: why it is refused, if it is.

Written from the manual and independent of the controller's flows, which the same cases judge.
A port's elements give rights by Ethernet address; a packet is allowed if any element for its address allows it. An
element that cannot be read allows nothing.

Sources: ovn-nb(5), Logical_Switch_Port port_security; ovn-sb(5), check_in_port_sec.
Tests: tests/unit/trace/test_trace_port_security.py, on tests/cases/controller/services/port_security*.txt.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ovine.language import Packet
from ovine.language.values import parse_constant

_ALL: Final = (1 << 48) - 1
_IP4, _IP6, _ARP = 0x800, 0x86DD, 0x806
_LINK_GROUPS: Final = ipaddress.ip_network("ff02::/16")
_REPORTS: Final = (131, 135, 143)
"""ICMPv6 types that are sent before there is an address (RFC 4862, RFC 3810)."""

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Element:
    """One element: the Ethernet addresses (value, mask) that it is for, and the IP addresses, or none for any."""

    macs: tuple[tuple[int, int], ...]
    addresses: tuple[Interface, ...]

    def has_mac(self, mac: int) -> bool:
        return any(mac & mask == value for value, mask in self.macs)

    def of(self, version: int) -> list[Interface]:
        return [one for one in self.addresses if one.version == version]


Judge = Callable[[Element, Packet, int], str]
"""Why an element's owner may not send, or get, a packet as an Ethernet address; "" if it may."""


def refusal_in(elements: Iterable[str], packet: Packet) -> str:
    """Why a port may not send a packet; "" if it may."""
    return _refusal(elements, packet, packet.get("eth.src"), "sender", _sends)


def refusal_out(elements: Iterable[str], packet: Packet) -> str:
    """Why a port may not get a packet; "" if it may."""
    if packet.get("eth.mcast"):
        return ""
    return _refusal(elements, packet, packet.get("eth.dst"), "receiver", _gets)


def _refusal(elements: Iterable[str], packet: Packet, mac: int, role: str, judge: Judge) -> str:
    texts = list(elements)
    if not texts:
        return ""
    mine = [element for element in map(_parse, texts) if element is not None and element.has_mac(mac)]
    if not mine:
        return f"the {role} {mac.to_bytes(6).hex(':')} is none of the port's ({' | '.join(texts)})"
    # One MAC in several elements has what any of them gives; ARP and ND may speak of all that are joined.
    joined = Element(
        tuple(mac for element in mine for mac in element.macs),
        () if any(not element.addresses for element in mine) else tuple(a for e in mine for a in e.addresses),
    )
    return judge(joined, packet, mac)


def _parse(text: str) -> Element | None:
    words = text.replace(",", " ").split()
    virtual = bool(words) and words[0].lower() == "vrrpv3"
    macs = 2 if virtual else 1
    words = words[1:] if virtual else words
    if len(words) < macs:
        return None
    try:
        parsed = [parse_constant(word if "/" not in word else _mask(word)) for word in words[:macs]]
        addresses = tuple(ipaddress.ip_interface(word) for word in words[macs:])
    except ValueError:
        return None
    if any(mac.style != "mac" for mac in parsed) or parsed[0].mask is not None:
        return None
    return Element(tuple((mac.value, _ALL if mac.mask is None else mac.mask) for mac in parsed), addresses)


def _mask(word: str) -> str:
    """A virtual MAC's mask may be a number of bits."""
    mac, _, mask = word.partition("/")
    if not mask.isascii() or not mask.isdigit():
        return word
    if int(mask) > 48:
        raise ValueError(f"/{mask} is longer than an Ethernet address")
    return f"{mac}/{(_ALL & ~(_ALL >> int(mask))).to_bytes(6).hex(':')}"


def _is_mine(address: Address, own: Iterable[Interface]) -> bool:
    return any(address in one.network if _whole_subnet(one) else address == one.ip for one in own)


def _whole_subnet(one: Interface) -> bool:
    return one.network.prefixlen < one.network.max_prefixlen and one.ip == one.network.network_address


def _link_local(mac: int) -> Interface:
    """The address that a host makes from its Ethernet address (RFC 4291, appendix A)."""
    high, low = mac >> 24 ^ 0x020000, mac & 0xFFFFFF
    return ipaddress.IPv6Interface((0xFE80 << 112 | high << 40 | 0xFFFE << 24 | low, 128))


def _six(element: Element, mac: int) -> list[Interface]:
    own = element.of(6)
    return [*own, _link_local(mac)] if own else []


def _sends(element: Element, packet: Packet, mac: int) -> str:
    kind = packet.get("eth.type")
    if kind == _IP4 and element.addresses:
        return _sends4(element, packet)
    if kind == _IP6:
        return (_sends6(element, packet, mac) if element.addresses else "") or _solicits(element, packet, mac)
    return _asks(element, packet) if kind == _ARP else ""


def _sends4(element: Element, packet: Packet) -> str:
    source = ipaddress.IPv4Address(packet.get("ip4.src"))
    if not element.of(4):
        return "the port has no IPv4 address"
    asks_for_lease = (
        int(source) == 0
        and packet.get("ip4.dst") == 0xFFFFFFFF
        and packet.get("ip.proto") == 17
        and (packet.get("udp.src"), packet.get("udp.dst")) == (68, 67)
    )
    return "" if asks_for_lease or _is_mine(source, element.of(4)) else f"the source {source} is none of the port's"


def _sends6(element: Element, packet: Packet, mac: int) -> str:
    source = ipaddress.IPv6Address(packet.get("ip6.src"))
    own = _six(element, mac)
    if not own:
        return "the port has no IPv6 address"
    to_link = ipaddress.IPv6Address(packet.get("ip6.dst")) in _LINK_GROUPS
    if int(source) == 0 and to_link and _icmp6(packet) in _REPORTS:
        return ""
    return "" if _is_mine(source, own) else f"the source {source} is none of the port's"


def _icmp6(packet: Packet) -> int:
    """The type of an ICMPv6 packet; -1 for any other."""
    return packet.get("icmp6.type") if packet.get("ip.proto") == 58 else -1


def _asks(element: Element, packet: Packet) -> str:
    sha, spa = packet.get("arp.sha"), ipaddress.IPv4Address(packet.get("arp.spa"))
    if not element.has_mac(sha):
        return f"ARP speaks of {sha.to_bytes(6).hex(':')}, which is not the port's"
    if element.addresses and not _is_mine(spa, element.of(4)):
        return f"ARP speaks of {spa}, which is not the port's"
    return ""


def _solicits(element: Element, packet: Packet, mac: int) -> str:
    kind = _icmp6(packet)
    if kind not in (135, 136):
        return ""
    hardware = packet.get("nd.sll" if kind == 135 else "nd.tll")
    if hardware and not element.has_mac(hardware):
        return f"neighbour discovery speaks of {hardware.to_bytes(6).hex(':')}, which is not the port's"
    target = ipaddress.IPv6Address(packet.get("nd.target"))
    if kind == 136 and element.addresses and not _is_mine(target, _six(element, mac)):
        return f"neighbour discovery speaks of {target}, which is not the port's"
    return ""


def _gets(element: Element, packet: Packet, mac: int) -> str:
    kind = packet.get("eth.type")
    if not element.addresses or kind not in (_IP4, _IP6):
        return ""
    own: list[Interface]
    if kind == _IP4:
        destination: Address = ipaddress.IPv4Address(packet.get("ip4.dst"))
        own = element.of(4)
        broadcasts = {one.network.broadcast_address for one in own if one.network.prefixlen < 32}
        shared = destination.is_multicast or int(destination) == 0xFFFFFFFF or destination in broadcasts
    else:
        destination = ipaddress.IPv6Address(packet.get("ip6.dst"))
        own, shared = _six(element, mac), destination.is_multicast
    if not own:
        return f"the port has no IPv{destination.version} address"
    return "" if shared or _is_mine(destination, own) else f"the destination {destination} is none of the port's"
