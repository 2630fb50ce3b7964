"""Router advertisements: `R = put_nd_ra_opts(addr_mode = "slaac", slla = …, …)` turns a solicitation into the answer.

The whole advertisement is known when the logical flow is compiled, so the flow carries it. Addresses stay those of
the solicitation: the logical flow that sees the result turns them round.

Sources: RFC 4861 §4.2, 4191 (preferences, routes), 8106 (DNS), 8319 (lifetimes); ovn-sb(5).
Tests: tests/unit/controller/services/test_ra.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Final

from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.answers import resume
from ovine.controller.services.dhcp_values import Values, domain_name, encode
from ovine.controller.services.frames import ICMPV6, Malformed, ethernet, ipv6, make_icmpv6, make_ipv6
from ovine.engine import Reader
from ovine.language.actions import Option, PutNdRaOpts
from ovine.language.values import Constant
from ovine.openflow import Message, PacketIn

_SOLICITATION, _ADVERTISEMENT = 133, 134
_HOP_LIMIT: Final = 255
_LIFETIME: Final = 0xFFFF
_FOR_EVER: Final = 0xFFFFFFFF
_MODES: Final = {"slaac": 0, "dhcpv6_stateless": 0x40, "dhcpv6_stateful": 0x80}
"""The flags M and O: addresses, which brings along the rest, or only the rest, by DHCPv6 (RFC 4861 §4.2)."""
_PREFERENCES: Final = {"HIGH": 0x08, "MEDIUM": 0, "LOW": 0x18}
_FLAGS: Final = {"addr_mode": _MODES, "router_preference": _PREFERENCES}
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_SOURCE_LINK, _PREFIX, _MTU, _ROUTE, _RDNSS, _DNSSL = 1, 3, 5, 24, 25, 31


def payload(q: Reader, action: PutNdRaOpts) -> bytes:
    """The advertisement, without its checksum; ValueError names the option that cannot be."""
    del q
    modes = [given.values for given in action.options if given.name == "addr_mode"]
    autonomous = modes != [("dhcpv6_stateful",)]
    flags, body = 0, b""
    for given in action.options:
        try:
            if given.name in _FLAGS:
                flags |= _choice(_FLAGS[given.name], given.values)
            else:
                body += _option(given, autonomous)
        except ValueError as error:
            shown = ", ".join(str(value) for value in given.values)
            raise ValueError(f"router advertisement, {given.name} = {{{shown}}}: {error}") from error
    return struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, _HOP_LIMIT, flags, _LIFETIME, 0, 0) + body


def _choice(known: Mapping[str, int], values: Values) -> int:
    if len(values) != 1 or values[0] not in known:
        raise ValueError(f"takes one of {', '.join(known)}")
    return known[str(values[0])]


def _option(given: Option, autonomous: bool) -> bytes:
    """One option as on the wire: type, length in units of 8 bytes, data."""
    values = given.values
    if given.name == "slla":
        return _wire(_SOURCE_LINK, encode("mac", values))
    if given.name == "mtu":
        return _wire(_MTU, bytes(2) + encode("uint32", values))
    if given.name == "prefix":
        length, network = _prefix(values)
        flags = _ON_LINK | (_AUTONOMOUS if autonomous else 0)
        return _wire(_PREFIX, struct.pack("!BBIII", length, flags, _FOR_EVER, _FOR_EVER, 0) + network)
    if given.name == "rdnss":
        return _wire(_RDNSS, struct.pack("!HI", 0, _FOR_EVER) + encode("ipv6", values))
    if given.name == "dnssl":
        names = [domain_name(name) for name in encode("str", values).decode().split(",") if name.strip()]
        return _wire(_DNSSL, struct.pack("!HI", 0, _FOR_EVER) + b"".join(names))
    if given.name == "route_info":
        routes = encode("str", values).decode().split(",")
        return b"".join(_route(route.strip()) for route in routes if route.strip())
    raise ValueError("is not an option of router advertisements")


def _wire(kind: int, data: bytes) -> bytes:
    units = (len(data) + 9) // 8
    if units > 255:
        raise ValueError("is too long")
    return bytes((kind, units)) + data.ljust(units * 8 - 2, b"\0")


def _prefix(values: Values) -> tuple[int, bytes]:
    (value,) = values if len(values) == 1 else (None,)
    if not isinstance(value, Constant) or value.style != "ip6":
        raise ValueError("takes one IPv6 prefix")
    length = 128 if value.mask is None else value.mask.bit_count()
    if value.mask is not None and value.mask != (1 << 128) - (1 << (128 - length)):
        raise ValueError("takes one IPv6 prefix")
    return length, value.value.to_bytes(16)


def _route(text: str) -> bytes:
    """`HIGH-fd00::/48`: a preference and a prefix (RFC 4191 §2.3)."""
    preference, _, prefix = text.partition("-")
    if preference not in _PREFERENCES:
        raise ValueError(f"{text!r} does not start with one of {', '.join(_PREFERENCES)} and a dash")
    network = ip_network(prefix, strict=False)
    if network.version != 6:
        raise ValueError(f"{prefix} is no IPv6 prefix")
    length = network.prefixlen
    sent = network.network_address.packed[: 8 * ((length + 63) // 64)]
    return _wire(_ROUTE, struct.pack("!BBI", length, _PREFERENCES[preference], _FOR_EVER) + sent)


def answer(frame: bytes, advertisement: bytes) -> bytes:
    """The frame with the advertisement in place of the solicitation; Malformed if it is none (RFC 4861 §6.1.1)."""
    outer = ethernet(frame)
    packet = ipv6(outer)
    asked = packet.payload
    if packet.protocol != ICMPV6 or packet.fragment or packet.hop_limit != _HOP_LIMIT or len(asked) < 8:
        raise Malformed("not a router solicitation")
    if asked[:2] != bytes((_SOLICITATION, 0)):
        raise Malformed("not a router solicitation")
    message = make_icmpv6(packet.src, packet.dst, advertisement)
    return outer._replace(payload=make_ipv6(packet.src, packet.dst, ICMPV6, message, _HOP_LIMIT)).encode()


def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Message]:
    """The packet goes on as the advertisement, or as it was."""
    del world
    try:
        new = answer(packet.packet, userdata.payload)
    except Malformed:
        new = None
    yield resume(packet, userdata, new)


SERVICE: Final = Service(Opcode.PUT_ND_RA_OPTS, handle, payload)
