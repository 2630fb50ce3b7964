"""Constants of the language: integers in five spellings, with or without a mask, and names of sets of them.

A `Constant` remembers the spelling it was written in (`style`), so that printing gives back what was read. Masked
constants never have value bits outside the mask (10.0.0.1/24 is 10.0.0.0/24), and a mask that covers a whole IPv4,
IPv6 or Ethernet address is no mask at all, so one meaning has one form.

Tests: tests/unit/language/test_lexer.py, test_language_roundtrip.py.
"""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

Style = Literal["dec", "hex", "ip4", "ip6", "mac"]

MAX_BITS: Final = 128
_FULL: Final[dict[str, int]] = {"ip4": 2**32 - 1, "ip6": 2**128 - 1, "mac": 2**48 - 1}
_PREFIX_BITS: Final[dict[str, int]] = {"ip4": 32, "ip6": 128}

_MAC: Final = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}\Z")
_DEC: Final = re.compile(r"[0-9]+\Z")
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]+\Z")


@dataclass(frozen=True, slots=True)
class Constant:
    """An integer of at most 128 bits; `mask` None means that every bit counts."""

    value: int
    mask: int | None = None
    style: Style = "dec"

    def __str__(self) -> str:
        text = _spell(self.value, self.style)
        if self.mask is None:
            return text
        bits = _PREFIX_BITS.get(self.style)
        if bits is not None and _is_prefix(self.mask, bits):
            return f"{text}/{self.mask.bit_count()}"
        return f"{text}/{_spell(self.mask, self.style)}"


@dataclass(frozen=True, slots=True)
class AddressSet:
    """`$name`: the addresses of a row of Address_Set, or of a port group (`$group_ip4`, `$group_ip6`)."""

    name: str

    def __str__(self) -> str:
        return f"${self.name}"


@dataclass(frozen=True, slots=True)
class PortGroup:
    """`@name`: the ports of a row of Port_Group."""

    name: str

    def __str__(self) -> str:
        return f"@{self.name}"


@dataclass(frozen=True, slots=True)
class TemplateVar:
    """`^name`: text that every chassis puts in by itself (Chassis_Template_Var)."""

    name: str

    def __str__(self) -> str:
        return f"^{self.name}"


Value = Constant | AddressSet | PortGroup | TemplateVar | str


def quote(text: str) -> str:
    """A string constant as the language writes it: JSON."""
    return json.dumps(text, ensure_ascii=False)


def format_value(value: Value) -> str:
    """Any constant, set or template variable as the language writes it."""
    return quote(value) if isinstance(value, str) else str(value)


@lru_cache(maxsize=16384)
def parse_constant(text: str) -> Constant:
    """Read one integer constant, masked or not; raises ValueError with a reason for the author.

    The forms are those of ovn-sb(5), "Constants".
    """
    head, slash, tail = text.partition("/")
    value, style = _parse_plain(head)
    if not slash:
        return Constant(value, None, style)
    mask = _parse_mask(tail, style)
    return Constant(value & mask, None if mask == _FULL.get(style) else mask, style)


@lru_cache(maxsize=65536)
def parse_address(text: str) -> tuple[int, int | None, Style] | None:
    """An element of an address set as (value, mask, style); None if it is no address."""
    try:
        constant = parse_constant(text.strip())
    except ValueError:
        return None
    return constant.value, constant.mask, constant.style


def _parse_plain(text: str) -> tuple[int, Style]:
    if _DEC.match(text):
        return _parse_decimal(text), "dec"
    if _HEX.match(text):
        value = int(text[2:].lstrip("0")[: MAX_BITS // 4 + 1] or "0", 16)
        if value >= 1 << MAX_BITS:
            raise ValueError(f"{text[:40]}: constants have at most {MAX_BITS} bits")
        return value, "hex"
    if _MAC.match(text):
        value = 0
        for byte in text.split(":"):
            value = value << 8 | int(byte, 16)
        return value, "mac"
    if ":" in text:
        return _parse_inet(socket.AF_INET6, text, "an IPv6 or Ethernet address"), "ip6"
    if "." in text:
        return _parse_inet(socket.AF_INET, text, "an IPv4 address"), "ip4"
    raise ValueError(f"{text}: not a constant")


def _parse_decimal(text: str) -> int:
    if len(text) > 1 and text[0] == "0":
        raise ValueError(f"{text[:40]}: decimal constants must not have leading zeros")
    value = int(text[:40])
    if value >= 1 << 64:
        raise ValueError(f"{text[:40]}: decimal constants have at most 64 bits; use hexadecimal")
    return value


def _parse_inet(family: int, text: str, what: str) -> int:
    try:
        return int.from_bytes(socket.inet_pton(family, text))
    except (OSError, ValueError):
        raise ValueError(f"{text[:60]}: not {what}") from None


def _parse_mask(text: str, style: Style) -> int:
    mask, mask_style = _parse_plain(text)
    bits = _PREFIX_BITS.get(style)
    if bits is not None and mask_style == "dec":
        if mask > bits:
            raise ValueError(f"/{text}: a prefix has at most {bits} bits")
        return (1 << bits) - (1 << (bits - mask))
    if style in _FULL and mask_style != style:
        raise ValueError(f"/{text}: the mask must be written in the same form as the value")
    if style not in _FULL and mask_style in _FULL:
        raise ValueError(f"/{text}: the mask must be written in the same form as the value")
    return mask


def _is_prefix(mask: int, bits: int) -> bool:
    inverse = ~mask & ((1 << bits) - 1)
    return inverse & (inverse + 1) == 0


def _spell(value: int, style: Style) -> str:
    if style == "dec":
        return str(value)
    if style == "hex":
        return hex(value)
    if style == "ip4":
        return socket.inet_ntop(socket.AF_INET, value.to_bytes(4))
    if style == "ip6":
        return socket.inet_ntop(socket.AF_INET6, value.to_bytes(16))
    return value.to_bytes(6).hex(":")
