"""Matches to OpenFlow.

The way of a match: its negations go down to the leaves, every leaf takes the prerequisites of its symbols along, and
the tree becomes *branches* (alternatives). A branch is a list of *dimensions* that must all hold, a dimension a list
of cubes of which one must. A branch whose product is small becomes plain flows; one with two or more big dimensions
becomes a **conjunction**: one flow per cube of each dimension, a sum instead of a product.

Fields on which others depend in OpenFlow (the Ethernet type, the IP protocol, ICMPv6 type and code) never vary inside
a conjunction: it is split by their values, so that the flow with `conj_id` names them and actions that need them are
accepted by the switch.

Invariants: the result is sorted and a function of tree and environment; no flow without conjunctions lies inside
another; conjunctions are numbered 0, 1, 2 …, each with one flow that matches its `conj_id`.

Tests: tests/unit/language/test_compile_match.py, test_compile_exhaustive.py, test_compile_ovs.py.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from itertools import combinations
from math import prod
from typing import Final, NamedTuple

from ovine.language import cubes
from ovine.language.cubes import EVERYTHING, Cube
from ovine.language.environment import Environment, StaticEnvironment, resolve
from ovine.language.layout import FIELDS as PLACES
from ovine.language.layout import fields_in
from ovine.language.match import And, Comparison, Expr, IsChassisResident, Literal, Not, Or, Predicate
from ovine.language.parser import parse_match, predicate_expansion

MAX_CLAUSES: Final = 64
"""Open vSwitch's limit on the dimensions of a conjunction (ovs-actions(7))."""

_SELECTORS: Final = sum(PLACES[name].mask for name in ("eth_type", "nw_proto", "icmpv6_type", "icmpv6_code"))


class Conjunction(NamedTuple):
    """The action `conjunction(conj_id, clause/n_clauses)`; conj_id counts from 0, to be replaced by a unique one."""

    conj_id: int
    clause: int
    n_clauses: int


class FlowMatch(NamedTuple):
    """An OpenFlow match: (field, value, mask) sorted by field, names as in ovs-fields(7), masks full if exact.

    With `conjunctions` the flow's only actions are these. The flow that carries out the logical flow's actions is then
    the one with the field `conj_id`.
    """

    fields: tuple[tuple[str, int, int], ...]
    conjunctions: tuple[Conjunction, ...] = ()


Dimension = list[Cube]
Branch = tuple[Dimension, ...]

_NEVER: Final[tuple[Branch, ...]] = ()
_ALWAYS: Final[tuple[Branch, ...]] = ((),)
_NOWHERE: Final = StaticEnvironment()


def compile_match(expr: Expr, env: Environment) -> tuple[FlowMatch, ...]:
    """The OpenFlow matches of a match; empty if no packet can ever match."""
    plain: list[Cube] = []
    groups: list[tuple[Cube, list[Dimension]]] = []
    for branch in _branches(expr, False, env):
        _solve(EVERYTHING, list(branch), plain, groups)
    if len(plain) > 1:
        plain = cubes.without_subsumed(plain)
    if not groups:
        flows = [FlowMatch(_fields(cube)) for cube in plain]
        return tuple(sorted(flows)) if len(flows) > 1 else tuple(flows)
    return tuple(sorted([FlowMatch(_fields(cube)) for cube in plain] + _conjunctive(plain, groups)))


class Part(NamedTuple):
    """Packets with all of `base` and, where there are any, one of `choices`. Fields are as in FlowMatch.

    `base` names every field on which others depend in OpenFlow; the fields of `choices` are others than those of it.
    """

    base: tuple[tuple[str, int, int], ...]
    choices: tuple[tuple[tuple[str, int, int], ...], ...] = ()


def compile_parts(expr: Expr, env: Environment, limit: int) -> tuple[Part, ...] | None:
    """A match as few parts, for those who add dimensions of their own; None if it has more than `limit` cubes."""
    plain: list[Cube] = []
    for branch in _branches(expr, False, env):
        simple = _simplified(EVERYTHING, list(branch))
        if simple is None:
            continue
        base, dimensions = simple
        if len(plain) + prod(len(dimension) for dimension in dimensions) > limit:
            return None
        plain += _product(base, dimensions)
    parts = []
    for context, rest in _by_context(cubes.without_subsumed(plain)).items():
        agreed = _agreed(rest)
        base = (context[0] | agreed[0], context[1] | agreed[1])
        choices = () if len(rest) == 1 else tuple(sorted(_fields(cube) for cube in _relative(base, rest)))
        parts.append(Part(_fields(base), choices))
    return tuple(sorted(parts))


@lru_cache(maxsize=512)
def prerequisite_cubes(text: str) -> list[Cube]:
    """The packets that satisfy a prerequisite, given as the text of a match; not to be changed."""
    if not text:
        return [EVERYTHING]
    plain: list[Cube] = []
    for branch in _branches(parse_match(text), False, _NOWHERE):
        plain += _product(EVERYTHING, list(branch))
    return cubes.without_subsumed(plain)


# From the tree to branches


def _branches(expr: Expr, negated: bool, env: Environment) -> tuple[Branch, ...]:
    match expr:
        case Comparison():
            dimension = _comparison(expr, negated, env)
            return ((dimension,),) if dimension else _NEVER
        case And(terms) | Or(terms):
            parts = [_branches(term, negated, env) for term in terms]
            return _all(parts) if isinstance(expr, And) != negated else _any(parts)
        case Predicate(name):
            return _predicate(name, negated)
        case Not(term):
            return _branches(term, not negated, env)
        case IsChassisResident(port):
            return _ALWAYS if env.is_chassis_resident(port) != negated else _NEVER
        case Literal(value):
            return _ALWAYS if value != negated else _NEVER


@lru_cache(maxsize=256)
def _predicate(name: str, negated: bool) -> tuple[Branch, ...]:
    """Predicates name no ports and no sets, so that they mean the same everywhere, and they are small."""
    plain: list[Cube] = []
    for branch in _branches(predicate_expansion(name), negated, _NOWHERE):
        plain += _product(EVERYTHING, list(branch))
    return ((cubes.without_subsumed(plain),),)


def _comparison(expr: Comparison, negated: bool, env: Environment) -> Dimension:
    field = expr.field.field
    if field.kind != "ordinal" and (expr.operator == "!=") != negated:
        raise ValueError(f"{field.name} can only be tested for equality")
    values = resolve(expr.field, expr.values, env)
    if values is None:
        return []
    found = _compare(expr, negated, values)
    if not field.prerequisite:
        return found
    needed = prerequisite_cubes(field.prerequisite)
    return cubes.intersect_all(needed, found) or []


_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _compare(expr: Comparison, negated: bool, values: list[tuple[int, int]]) -> Dimension:
    offset, width = expr.field.place
    operator = _OPPOSITE[expr.operator] if negated else expr.operator
    if operator in ("==", "!="):
        inside = [(value << offset, mask << offset) for value, mask in values]
        return cubes.without_subsumed(inside) if operator == "==" else cubes.outside(inside)
    # A template variable may hold several values; to be below or above a set is to be so for all of it.
    bounds = [value for value, _ in values]
    if operator in ("<", "<="):
        return cubes.at_most(min(bounds) - (operator == "<"), width, offset)
    return cubes.at_least(max(bounds) + (operator == ">"), width, offset)


def _all(parts: list[tuple[Branch, ...]]) -> tuple[Branch, ...]:
    result = _ALWAYS
    for part in parts:
        if len(part) == 1 and len(result) == 1:
            result = (result[0] + part[0],)
        else:
            result = tuple(left + right for left in result for right in part)
    return result


def _any(parts: list[tuple[Branch, ...]]) -> tuple[Branch, ...]:
    """Alternatives that are cheap as plain flows become one dimension, the others stay branches."""
    together: Dimension = []
    apart: list[Branch] = []
    for branch in (branch for part in parts for branch in part):
        if not branch:
            return _ALWAYS
        simple = _simplified(EVERYTHING, list(branch))
        if simple is None:
            continue
        base, dimensions = simple
        if _expands(dimensions):
            together += _product(base, dimensions)
        else:
            apart.append(([base], *dimensions))
    together = cubes.without_subsumed(together) if together else []
    return (*(((together,),) if together else ()), *apart)


# From a branch to flows


def _solve(
    base: Cube, dimensions: list[Dimension], plain: list[Cube], groups: list[tuple[Cube, list[Dimension]]]
) -> None:
    """Add a branch's flows: to `plain`, or to `groups` as (common part, dimensions)."""
    simple = _simplified(base, dimensions)
    if simple is None:
        return
    base, dimensions = simple
    if _expands(dimensions):
        plain += _product(base, dimensions)
        return
    merged = _merge_overlapping(dimensions)
    if merged is not None:
        _solve(base, merged, plain, groups)
        return
    split = _split_by_selectors(base, dimensions) or _split_shared(base, dimensions)
    if split is not None:
        for part_base, part in split:
            _solve(part_base, part, plain, groups)
        return
    while len(dimensions) > MAX_CLAUSES:
        dimensions.sort(key=len)
        first = cubes.intersect_all(dimensions[0], dimensions[1])
        dimensions = [first or [], *dimensions[2:]]
    groups.append((base, dimensions))


def _simplified(base: Cube, dimensions: list[Dimension]) -> tuple[Cube, list[Dimension]] | None:
    """Take what all cubes of a dimension agree on into the common part, and out of the dimensions; None if empty."""
    changed = True
    while changed:
        changed = False
        kept: list[Dimension] = []
        for dimension in dimensions:
            if len(dimension) == 1:
                met = cubes.intersect(base, dimension[0])
                if met is None:
                    return None
                changed = changed or (bool(kept) and met != base)
                base = met
                continue
            rest = _relative(base, dimension)
            if not rest:
                return None
            agreed = _agreed(rest)
            if agreed[1] or len(rest) == 1:
                met = cubes.intersect(base, agreed)
                assert met is not None
                base, changed = met, True
                rest = cubes.without_subsumed(_relative(base, rest))
            if EVERYTHING not in rest:
                kept.append(rest)
        dimensions = kept
    return base, dimensions


def _relative(base: Cube, dimension: Dimension) -> Dimension:
    """What a dimension still asks of packets that are in base."""
    value, mask = base
    if not mask:
        return dimension
    free = ~mask
    return [(v & free, m & free) for v, m in dimension if not (v ^ value) & m & mask]


def _agreed(dimension: Dimension) -> Cube:
    """The fields of which all cubes of a dimension ask the same.

    Whole fields, not single bits: else one more address in a set would change the common part, and so every flow.
    """
    value, mask = dimension[0]
    support = mask
    for other_value, other_mask in dimension:
        mask &= other_mask & ~(value ^ other_value)
        support |= other_mask
        if not mask:
            return EVERYTHING
    if mask != support:
        mask = sum(own << offset for _, offset, own in fields_in(support) if mask >> offset & own == own)
    return value & mask, mask


def _expands(dimensions: list[Dimension]) -> bool:
    """True if plain flows are no more than those of a conjunction."""
    sizes = [len(dimension) for dimension in dimensions]
    return len(sizes) < 2 or prod(sizes) <= sum(sizes) + 1


def _product(base: Cube, dimensions: list[Dimension]) -> list[Cube]:
    result = [base]
    for dimension in dimensions:
        if len(result) == 1 and len(dimension) == 1:
            met = cubes.intersect(result[0], dimension[0])
            result = [met] if met is not None else []
        else:
            result = cubes.intersect_all(result, dimension) or []
    return result


def _merge_overlapping(dimensions: list[Dimension]) -> list[Dimension] | None:
    """Intersect two dimensions on the same field where that makes them no bigger (as with the ends of a range)."""
    supports = [_support(dimension) for dimension in dimensions]
    for i, j in combinations(range(len(dimensions)), 2):
        if supports[i] & supports[j] & ~_SELECTORS:
            limit = len(dimensions[i]) + len(dimensions[j])
            met = cubes.intersect_all(dimensions[i], dimensions[j], limit)
            if met is not None:
                rest = [dimension for k, dimension in enumerate(dimensions) if k not in (i, j)]
                return [*rest, cubes.without_subsumed(met)]
    return None


def _support(dimension: Dimension) -> int:
    mask = 0
    for _, cube_mask in dimension:
        mask |= cube_mask
    return mask


def _split_by_selectors(base: Cube, dimensions: list[Dimension]) -> list[tuple[Cube, list[Dimension]]] | None:
    """One part per value of the fields that others depend on; None if they don't vary."""
    if not any(_support(dimension) & _SELECTORS for dimension in dimensions):
        return None
    parts: list[tuple[Cube, list[Dimension]]] = [(base, [])]
    for dimension in dimensions:
        contexts = _by_context(dimension)
        parts = [
            (met, [*done, rest])
            for part_base, done in parts
            for context, rest in contexts.items()
            if (met := cubes.intersect(part_base, context)) is not None
        ]
    return parts


def _by_context(dimension: Dimension) -> dict[Cube, Dimension]:
    contexts: defaultdict[Cube, Dimension] = defaultdict(list)
    for value, mask in dimension:
        contexts[value & _SELECTORS, mask & _SELECTORS].append((value & ~_SELECTORS, mask & ~_SELECTORS))
    return contexts


def _split_shared(base: Cube, dimensions: list[Dimension]) -> list[tuple[Cube, list[Dimension]]] | None:
    """(c or X) and (c or Y) is c or (X and Y): a flow can't serve two dimensions of one conjunction."""
    for i, j in combinations(range(len(dimensions)), 2):
        shared = set(dimensions[i]) & set(dimensions[j])
        if shared:
            rest = [dimension for k, dimension in enumerate(dimensions) if k not in (i, j)]
            own = [[cube for cube in dimensions[k] if cube not in shared] for k in (i, j)]
            return [(base, [*rest, list(shared)]), (base, [*rest, *own])]
    return None


def _conjunctive(plain: list[Cube], groups: list[tuple[Cube, list[Dimension]]]) -> list[FlowMatch]:
    """The flows of conjunctions. What plain flows match already needs no clause."""
    accepted = cubes.by_mask(plain)
    clauses: defaultdict[Cube, list[Conjunction]] = defaultdict(list)
    finals: list[FlowMatch] = []
    for base, dimensions in sorted((base, _ordered(dimensions)) for base, dimensions in groups):
        full = [[(base[0] | value, base[1] | mask) for value, mask in dimension] for dimension in dimensions]
        left = [[cube for cube in dimension if not cubes.is_inside(cube, accepted)] for dimension in full]
        if not all(left):
            continue
        number = len(finals)
        for clause, dimension in enumerate(left, 1):
            for cube in dimension:
                clauses[cube].append(Conjunction(number, clause, len(left)))
        place = PLACES["conj_id"]
        finals.append(FlowMatch(_fields((base[0] | number << place.offset, base[1] | place.mask))))
    return finals + [FlowMatch(_fields(cube), tuple(used)) for cube, used in clauses.items()]


def _ordered(dimensions: list[Dimension]) -> list[Dimension]:
    """Dimensions by the fields they are on, so that a change of one set does not renumber the clauses."""
    return [dimension for _, dimension in sorted((_support(dimension), sorted(dimension)) for dimension in dimensions)]


def _fields(cube: Cube) -> tuple[tuple[str, int, int], ...]:
    value, mask = cube
    return tuple([(name, value >> offset & own, own) for name, offset, own in fields_in(mask)])
