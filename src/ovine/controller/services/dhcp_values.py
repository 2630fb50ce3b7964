"""Options of `put_dhcp_opts` and `put_dhcpv6_opts` in the encoding that the southbound database names for them.

Tests: tests/unit/controller/services/test_dhcp4.py, test_dhcp6.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ovine.language.values import Constant

Values = Sequence[Constant | str]


def encode(kind: str, values: Values) -> bytes:
    """An option's data; ValueError if the values are not of that kind."""
    encoder = _ENCODERS.get(kind)
    if encoder is None:
        raise ValueError(f"options of type {kind!r} are not known")
    return encoder(values)


def domain_name(name: str) -> bytes:
    """A name as in RFC 1035 §3.1, uncompressed; ValueError if a label is empty or too long."""
    labels = [label.encode() for label in name.strip().removesuffix(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"{name!r} is not a domain name")
    encoded = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(encoded) > 255:
        raise ValueError(f"the domain name {name!r} is longer than 255 bytes")
    return encoded


def _one(values: Values) -> Constant | str:
    if len(values) != 1:
        raise ValueError(f"takes one value, not {len(values)}")
    return values[0]


def _text(values: Values) -> bytes:
    value = _one(values)
    if not isinstance(value, str):
        raise ValueError(f"takes a text in quotes, not {value}")
    return value.encode()


def _integer(size: int, largest: int) -> Callable[[Values], bytes]:
    def encoder(values: Values) -> bytes:
        value = _one(values)
        if not isinstance(value, Constant) or value.mask is not None or not 0 <= value.value <= largest:
            raise ValueError(f"takes a number up to {largest}, not {value}")
        return value.value.to_bytes(size)

    return encoder


def _address(style: str, size: int) -> Callable[[Values], bytes]:
    def encoder(values: Values) -> bytes:
        return b"".join(_plain(value, style).to_bytes(size) for value in values)

    return encoder


def _plain(value: Constant | str, style: str) -> int:
    if not isinstance(value, Constant) or value.style != style or value.mask is not None:
        raise ValueError(f"takes addresses ({style}), not {value}")
    return value.value


def _routes(values: Values) -> bytes:
    """RFC 3442: of a destination only the bytes that its prefix reaches, then the router."""
    if len(values) % 2:
        raise ValueError("takes pairs of a destination and a router")
    encoded = b""
    for destination, router in zip(values[::2], values[1::2], strict=True):
        if not isinstance(destination, Constant) or destination.style != "ip4":
            raise ValueError(f"takes IPv4 destinations, not {destination}")
        mask = 0xFFFFFFFF if destination.mask is None else destination.mask
        length = mask.bit_count()
        if mask != 0xFFFFFFFF & ~(0xFFFFFFFF >> length):
            raise ValueError(f"the destination {destination} is no prefix")
        network = destination.value.to_bytes(4)[: (length + 7) // 8]
        encoded += bytes((length,)) + network + _plain(router, "ip4").to_bytes(4)
    return encoded


def _host(values: Values) -> bytes:
    return _text(values) if isinstance(_one(values), str) else _address("ip4", 4)(values)


def _domains(values: Values) -> bytes:
    names = _text(values).decode().split(",")
    return b"".join(domain_name(name) for name in names if name.strip())


_ENCODERS: Final[dict[str, Callable[[Values], bytes]]] = {
    "bool": _integer(1, 1),
    "uint8": _integer(1, 0xFF),
    "uint16": _integer(2, 0xFFFF),
    "uint32": _integer(4, 0xFFFFFFFF),
    "ipv4": _address("ip4", 4),
    "ipv6": _address("ip6", 16),
    "mac": _address("mac", 6),
    "static_routes": _routes,
    "str": _text,
    "host_id": _host,
    "domains": _domains,
}
