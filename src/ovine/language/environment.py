"""What a match means depends on where it is judged: the sets, ports and residents of a chassis.

`Environment` is what the compiler and the evaluator ask. `StaticEnvironment` answers from dictionaries.

Names that are unknown never match: a comparison with an unknown address set, port group or template variable is
false, whether it is `==` or `!=`. An empty set is known: `== $empty` is false, `!= $empty` is true. Failing closed on
the first keeps a flow whose set has not arrived yet from matching everything.

Tests: tests/unit/language/test_compile_match.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ovine.language.errors import SyntaxProblem
from ovine.language.parser import value_problem
from ovine.language.stream import Stream
from ovine.language.symbols import Subfield
from ovine.language.values import AddressSet, Constant, PortGroup, TemplateVar, Value, parse_address


class Environment(Protocol):
    """Questions of a match to its surroundings; None means unknown."""

    def address_set(self, name: str) -> Collection[str] | None:
        """The addresses of `$name`, as text."""

    def port_group(self, name: str) -> Collection[str] | None:
        """The names of the ports of `@name`."""

    def port_key(self, port: str) -> int | None:
        """The OpenFlow value (reg14, reg15) of a logical port or multicast group of the flow's datapath."""

    def is_chassis_resident(self, port: str) -> bool:
        """True if the logical port is on this chassis."""

    def template(self, name: str) -> str | None:
        """The text of `^name` on this chassis."""


@dataclass(frozen=True)
class StaticEnvironment:
    """An environment given in full."""

    address_sets: Mapping[str, Collection[str]] = field(default_factory=dict)
    port_groups: Mapping[str, Collection[str]] = field(default_factory=dict)
    port_keys: Mapping[str, int] = field(default_factory=dict)
    residents: Collection[str] = ()
    templates: Mapping[str, str] = field(default_factory=dict)

    def address_set(self, name: str) -> Collection[str] | None:
        """See Environment."""
        return self.address_sets.get(name)

    def port_group(self, name: str) -> Collection[str] | None:
        """See Environment."""
        return self.port_groups.get(name)

    def port_key(self, port: str) -> int | None:
        """See Environment."""
        return self.port_keys.get(port)

    def is_chassis_resident(self, port: str) -> bool:
        """See Environment."""
        return port in self.residents

    def template(self, name: str) -> str | None:
        """See Environment."""
        return self.templates.get(name)


Masked = tuple[int, int]
"""A value and the mask of the bits that count, both within the width of the field compared."""


def resolve(subfield: Subfield, values: tuple[Value, ...], env: Environment) -> list[Masked] | None:
    """The values that a field is compared with, as integers; None if one of the names is unknown.

    A port without a key is unknown. Elements of an address set that don't fit the field (an IPv6 address in a set
    compared with ip4.src) can't equal it and are left out.
    """
    full = (1 << subfield.width) - 1
    result: list[Masked] = []
    for value in values:
        if isinstance(value, Constant):
            result.append((value.value, full if value.mask is None else value.mask))
            continue
        more = _resolve_name(subfield, value, env, full)
        if more is None:
            return None
        result += more
    return result


def _resolve_name(subfield: Subfield, value: Value, env: Environment, full: int) -> list[Masked] | None:
    if isinstance(value, str):
        key = env.port_key(value)
        return None if key is None else [(key, full)]
    if isinstance(value, PortGroup):
        members = env.port_group(value.name)
        return None if members is None else _keys(members, env.port_key, full)
    if isinstance(value, AddressSet):
        addresses = env.address_set(value.name)
        return None if addresses is None else _addresses(addresses, subfield)
    assert isinstance(value, TemplateVar)
    text = env.template(value.name)
    expansion = None if text is None else _template_values(subfield, text)
    return None if expansion is None else resolve(subfield, expansion, env)


def _keys(ports: Collection[str], port_key: Callable[[str], int | None], full: int) -> list[Masked]:
    """Ports of a group that are not in this datapath have no key, and are left out."""
    return [(key, full) for key in map(port_key, ports) if key is not None]


_STYLE_BITS = {"ip4": 32, "ip6": 128, "mac": 48}


def _addresses(addresses: Collection[str], subfield: Subfield) -> list[Masked]:
    found = (masked_address(text, subfield) for text in addresses)
    return [address for address in found if address is not None]


def masked_address(text: str, subfield: Subfield) -> Masked | None:
    """An element of an address set as a value of the field; None if it does not fit, or is no address."""
    full = (1 << subfield.width) - 1
    parsed = parse_address(text)
    if parsed is None:
        return None
    value, mask, style = parsed
    if _STYLE_BITS.get(style, subfield.width) != subfield.width or value > full or (mask or 0) > full:
        return None
    return value, full if mask is None else mask


def _template_values(subfield: Subfield, text: str) -> tuple[Value, ...] | None:
    """Constants out of the text of a template variable, separated by commas; None if it is anything else."""
    try:
        stream = Stream(text)
    except SyntaxProblem:
        return None
    values: list[Value] = []
    while stream.token.kind != "end":
        token = stream.take()
        value: Value = token.constant if token.constant is not None else token.value
        if token.kind not in ("int", "string") or value_problem(subfield, value):
            return None
        values.append(value)
        if not stream.accept(",") and stream.token.kind != "end":
            return None
    return tuple(values) or None
