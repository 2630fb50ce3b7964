"""Matches taken apart at their sets: `outport == @pg && ip4.src == $as && …` is a port group, an address set, a rest.

Each of the three can then be compiled by itself, and a member more or less touches nothing else. Only what must hold
in any case can be taken out: a comparison for equality that stands at the top of the match, alone on its field.

Invariant: a packet matches an expression exactly when it matches the rest and each of the terms.

Tests: tests/unit/language/test_separate.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ovine.language.environment import Masked
from ovine.language.match import And, Comparison, Expr, all_of
from ovine.language.parser import parse_match
from ovine.language.symbols import Subfield
from ovine.language.values import AddressSet, Constant, PortGroup


class SetTerm(NamedTuple):
    """The field has a value that is in one of the address sets, or is one of the constants (value, mask).

    As everywhere: if one of the sets is unknown, it never has.
    """

    field: Subfield
    sets: tuple[str, ...]
    constants: tuple[Masked, ...] = ()


class GroupTerm(NamedTuple):
    """The field, `inport` or `outport`, is a port of the port group."""

    field: Subfield
    group: str


class Separated(NamedTuple):
    """A match in pieces; `rest` has the prerequisites of the terms."""

    rest: Expr
    sets: tuple[SetTerm, ...]
    groups: tuple[GroupTerm, ...]


def separate(expr: Expr) -> Separated:
    """Takes out what can be taken out; without sets and groups at its top the match is all rest."""
    leaves = expr.terms if isinstance(expr, And) else (expr,)
    found = {n: term for n, leaf in enumerate(leaves) if (term := _term(leaf)) is not None}
    found = {n: term for n, term in found.items() if not _contested(term, [t for m, t in found.items() if m != n])}
    rest = [leaf for n, leaf in enumerate(leaves) if n not in found]
    needed = dict.fromkeys(term.field.field.prerequisite for term in found.values())
    terms = sorted(found.values(), key=lambda term: term.field.place)
    return Separated(
        all_of([*rest, *(parse_match(text) for text in needed if text)]),
        tuple(term for term in terms if isinstance(term, SetTerm)),
        tuple(term for term in terms if isinstance(term, GroupTerm)),
    )


def _term(leaf: Expr) -> SetTerm | GroupTerm | None:
    if not isinstance(leaf, Comparison) or leaf.operator != "==":
        return None
    first = leaf.values[0]
    if isinstance(first, PortGroup) and len(leaf.values) == 1:
        return GroupTerm(leaf.field, first.name)
    sets = tuple(value.name for value in leaf.values if isinstance(value, AddressSet))
    if not sets or not all(isinstance(value, AddressSet | Constant) for value in leaf.values):
        return None
    full = (1 << leaf.field.width) - 1
    constants = tuple((v.value, full if v.mask is None else v.mask) for v in leaf.values if isinstance(v, Constant))
    return SetTerm(leaf.field, sets, constants)


def _contested(term: SetTerm | GroupTerm, others: Sequence[SetTerm | GroupTerm]) -> bool:
    """Whether another term is about the same field."""
    return any(term.field.field.place.mask & other.field.field.place.mask for other in others)
