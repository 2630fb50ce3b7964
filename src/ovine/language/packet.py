"""Packets as the language sees them, and the two judges: a match on a packet, and compiled flows on a packet.

A `Packet` holds the values of Open vSwitch's fields; every symbol is a view of them, so that reg0[3], xreg0 and xxreg0
agree. A field that a real packet lacks reads as 0; prerequisites keep matches from reading it.

Tests: tests/unit/language/test_packet.py; the judges against each other in test_compile_exhaustive.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ovine.language.compiler import FlowMatch, prerequisite_cubes
from ovine.language.environment import Environment, StaticEnvironment, resolve
from ovine.language.layout import FIELDS as PLACES
from ovine.language.layout import place_of
from ovine.language.match import And, Comparison, Expr, IsChassisResident, Literal, Not, Or, Predicate
from ovine.language.parser import predicate_expansion
from ovine.language.stream import Stream
from ovine.language.symbols import Field, Subfield
from ovine.language.values import parse_constant

_NOWHERE: Final = StaticEnvironment()


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet; `bits` are all its fields in the layout of `ovine.language.layout`."""

    bits: int = 0

    @classmethod
    def of(cls, values: Mapping[str, int | str], env: Environment = _NOWHERE) -> Packet:
        """A packet from symbols such as `ip4.src` or `reg0[3]`.

        Text is a constant of the language ("10.0.0.1"), or for `inport` and `outport` the name of a port with a key in
        `env`. Raises ValueError for a value that doesn't fit or a port without a key, SyntaxProblem for a bad symbol.
        """
        packet = cls()
        for name, value in values.items():
            packet = packet.with_value(_subfield(name), value, env)
        return packet

    def get(self, symbol: str | Subfield) -> int:
        """The value of a field or of some bits of it."""
        offset, width = (_subfield(symbol) if isinstance(symbol, str) else symbol).place
        return self.bits >> offset & ((1 << width) - 1)

    def openflow(self, name: str) -> int:
        """The value of a field by its name in ovs-fields(7)."""
        offset, width = place_of(name)
        return self.bits >> offset & ((1 << width) - 1)

    def with_value(self, symbol: str | Subfield, value: int | str, env: Environment = _NOWHERE) -> Packet:
        """A packet that differs in one field or some bits of it."""
        subfield = _subfield(symbol) if isinstance(symbol, str) else symbol
        number = _number(subfield.field, value, env) if isinstance(value, str) else value
        place = subfield.place
        if number < 0 or number >> place.width:
            raise ValueError(f"{value} does not fit into {subfield}, which has {place.width} bits")
        return Packet(self.bits & ~place.mask | number << place.offset)


def evaluate(expr: Expr, packet: Packet, env: Environment = _NOWHERE) -> bool:
    """True if a packet matches, prerequisites included."""
    return _holds(expr, False, packet, env)


def flows_match(flows: Iterable[FlowMatch], packet: Packet) -> bool:
    """True if a switch with these flows (at one priority) would carry out their actions on a packet."""
    plain: list[FlowMatch] = []
    met: dict[int, set[int]] = {}
    needed: dict[int, int] = {}
    for flow in flows:
        if not flow.conjunctions:
            plain.append(flow)
        elif _matches(flow, packet):
            for number, clause, total in flow.conjunctions:
                met.setdefault(number, set()).add(clause)
                needed[number] = total
    if any(_matches(flow, packet) for flow in plain if not _conj_id(flow)):
        return True
    complete = [number for number, clauses in met.items() if len(clauses) == needed[number]]
    return any(_matches(flow, _with_conj_id(packet, number)) for number in complete for flow in plain if _conj_id(flow))


def _conj_id(flow: FlowMatch) -> bool:
    return any(name == "conj_id" for name, _, _ in flow.fields)


def _with_conj_id(packet: Packet, number: int) -> Packet:
    place = PLACES["conj_id"]
    return Packet(packet.bits & ~place.mask | number << place.offset)


def _matches(flow: FlowMatch, packet: Packet) -> bool:
    return all(packet.openflow(name) & mask == value for name, value, mask in flow.fields)


def _holds(expr: Expr, negated: bool, packet: Packet, env: Environment) -> bool:
    match expr:
        case Comparison():
            return _compares(expr, negated, packet, env)
        case And(terms):
            return (any if negated else all)(_holds(term, negated, packet, env) for term in terms)
        case Or(terms):
            return (all if negated else any)(_holds(term, negated, packet, env) for term in terms)
        case Not(term):
            return _holds(term, not negated, packet, env)
        case Predicate(name):
            return _holds(predicate_expansion(name), negated, packet, env)
        case IsChassisResident(port):
            return env.is_chassis_resident(port) != negated
        case Literal(value):
            return value != negated


def _compares(expr: Comparison, negated: bool, packet: Packet, env: Environment) -> bool:
    """Negation comes before prerequisites: !(tcp.dst == 80) is about TCP packets too."""
    values = resolve(expr.field, expr.values, env)
    needed = prerequisite_cubes(expr.field.field.prerequisite)
    if values is None or not any(packet.bits & mask == value for value, mask in needed):
        return False
    number = packet.get(expr.field)
    match expr.operator:
        case "==":
            result = any(number & mask == value for value, mask in values)
        case "!=":
            result = all(number & mask != value for value, mask in values)
        case "<":
            result = all(number < value for value, _ in values)
        case "<=":
            result = all(number <= value for value, _ in values)
        case ">":
            result = all(number > value for value, _ in values)
        case _:
            result = all(number >= value for value, _ in values)
    return result != negated


def _subfield(text: str) -> Subfield:
    stream = Stream(text)
    subfield = stream.subfield()
    stream.expect("end", "the end of the field")
    return subfield


def _number(field: Field, text: str, env: Environment) -> int:
    if field.kind != "string":
        return parse_constant(text).value
    key = env.port_key(text)
    if key is None:
        raise ValueError(f"{field.name}: the port {text} has no key")
    return key
