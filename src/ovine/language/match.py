"""The syntax tree of a match, and how it is printed.

Trees are values: frozen, hashable, equal by content. The builders `all_of`, `any_of` and `negation` keep them in one
shape: no And directly in an And, no Or directly in an Or, no Not of a Not or of a literal, at least two terms. What
the parser returns is in that shape, and `format_match` of it parses back to an equal tree.

Tests: tests/unit/language/test_match_cases.py, test_language_roundtrip.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ovine.language.symbols import Subfield
from ovine.language.values import AddressSet, Constant, PortGroup, TemplateVar, Value, format_value, quote


@dataclass(frozen=True, slots=True)
class Literal:
    """`1` or `0`: always or never."""

    value: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`. Several values are a set: any of them for `==`, none of them for `!=`."""

    field: Subfield
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Predicate:
    """A named expression, such as `ip4`."""

    name: str


@dataclass(frozen=True, slots=True)
class IsChassisResident:
    """True on the chassis where the logical port is."""

    port: str


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    term: Expr


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more terms."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more terms."""

    terms: tuple[Expr, ...]


Expr = Literal | Comparison | Predicate | IsChassisResident | Not | And | Or

TRUE: Final = Literal(True)
FALSE: Final = Literal(False)


def all_of(terms: Iterable[Expr]) -> Expr:
    """The conjunction of terms; nested conjunctions become one, of no term it is true."""
    flat = tuple(part for term in terms for part in (term.terms if isinstance(term, And) else (term,)))
    return And(flat) if len(flat) > 1 else flat[0] if flat else TRUE


def any_of(terms: Iterable[Expr]) -> Expr:
    """The disjunction of terms; nested disjunctions become one, of no term it is false."""
    flat = tuple(part for term in terms for part in (term.terms if isinstance(term, Or) else (term,)))
    return Or(flat) if len(flat) > 1 else flat[0] if flat else FALSE


def negation(term: Expr) -> Expr:
    """The negation of a term, in the one shape."""
    if isinstance(term, Not):
        return term.term
    return Literal(not term.value) if isinstance(term, Literal) else Not(term)


def format_match(expr: Expr) -> str:
    """Print a match; `parse_match` of the text is an equal tree."""
    match expr:
        case Literal(value):
            return "1" if value else "0"
        case Predicate(name):
            return name
        case IsChassisResident(port):
            return f"is_chassis_resident({quote(port)})"
        case Not(term):
            return f"!{format_match(term)}" if _is_bare(term) else f"!({format_match(term)})"
        case And(terms):
            return " && ".join(
                f"({format_match(term)})" if isinstance(term, Or) else format_match(term) for term in terms
            )
        case Or(terms):
            return " || ".join(
                f"({format_match(term)})" if isinstance(term, And) else format_match(term) for term in terms
            )
    return _format_comparison(expr)


def _is_bare(term: Expr) -> bool:
    """True if `!` may stand before the term's text without parentheses."""
    return isinstance(term, Predicate | IsChassisResident) or (isinstance(term, Comparison) and _is_bit(term))


def _is_bit(term: Comparison) -> bool:
    return term.field.width == 1 and term.operator == "==" and term.values == (Constant(1),)


def _format_comparison(term: Comparison) -> str:
    if _is_bit(term):
        return str(term.field)
    if len(term.values) == 1:
        return f"{term.field} {term.operator} {format_value(term.values[0])}"
    return f"{term.field} {term.operator} {{{', '.join(map(format_value, term.values))}}}"


@dataclass(frozen=True, slots=True)
class References:
    """What the meaning of a match depends on, beside the packet: names by kind."""

    address_sets: frozenset[str] = field(default_factory=frozenset)
    port_groups: frozenset[str] = field(default_factory=frozenset)
    ports: frozenset[str] = field(default_factory=frozenset)
    templates: frozenset[str] = field(default_factory=frozenset)
    resident_ports: frozenset[str] = field(default_factory=frozenset)


def references(expr: Expr) -> References:
    """Which address sets, port groups, ports, template variables and resident ports a match mentions.

    `ports` are those compared with a port field by name; those that come in through a port group are not among them.
    """
    residents = {leaf.port for leaf in _leaves(expr) if isinstance(leaf, IsChassisResident)}
    values = [value for leaf in _leaves(expr) if isinstance(leaf, Comparison) for value in leaf.values]
    return References(
        address_sets=frozenset(value.name for value in values if isinstance(value, AddressSet)),
        port_groups=frozenset(value.name for value in values if isinstance(value, PortGroup)),
        ports=frozenset(value for value in values if isinstance(value, str)),
        templates=frozenset(value.name for value in values if isinstance(value, TemplateVar)),
        resident_ports=frozenset(residents),
    )


def _leaves(expr: Expr) -> Iterator[Expr]:
    if isinstance(expr, And | Or):
        for term in expr.terms:
            yield from _leaves(term)
    elif isinstance(expr, Not):
        yield from _leaves(expr.term)
    else:
        yield expr
