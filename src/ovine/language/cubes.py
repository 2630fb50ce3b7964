"""Sets of packets as unions of masked values ("cubes"), and the algebra on them.

A cube (value, mask) is the set of packets p with p & mask == value; value has no bits outside mask. A list of cubes
is their union. Both live on the long integer of `ovine.language.layout`.

Cost: `intersect_all` and `without_subsumed` work by groups of equal masks, of which there are few (one per prefix
length and combination of fields), so that sets of thousands of addresses are handled in linear time.

Tests: tests/unit/language/test_cubes.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

Cube = tuple[int, int]

EVERYTHING: Final[Cube] = (0, 0)


def intersect(a: Cube, b: Cube) -> Cube | None:
    """The packets in both cubes; None if there are none."""
    if (a[0] ^ b[0]) & a[1] & b[1]:
        return None
    return a[0] | b[0], a[1] | b[1]


def by_mask(cubes: Iterable[Cube]) -> dict[int, set[int]]:
    """Cubes as mask → values."""
    groups: defaultdict[int, set[int]] = defaultdict(set)
    for value, mask in cubes:
        groups[mask].add(value)
    return groups


def intersect_all(left: Sequence[Cube], right: Sequence[Cube], limit: int | None = None) -> list[Cube] | None:
    """The packets in both unions, without repetition; None once there are more than `limit` cubes."""
    result: set[Cube] = set()
    right_groups = by_mask(right)
    for left_mask, left_values in by_mask(left).items():
        for right_mask, right_values in right_groups.items():
            common = left_mask & right_mask
            buckets: defaultdict[int, list[int]] = defaultdict(list)
            for value in right_values:
                buckets[value & common].append(value)
            mask = left_mask | right_mask
            for value in left_values:
                result.update((value | other, mask) for other in buckets.get(value & common, ()))
                if limit is not None and len(result) > limit:
                    return None
    return list(result)


def without_subsumed(cubes: Iterable[Cube]) -> list[Cube]:
    """The same union without repeated cubes and without those that lie inside another one."""
    groups = by_mask(cubes)
    if len(groups) == 1:
        return [(value, mask) for mask, values in groups.items() for value in values]
    kept = []
    for mask, values in groups.items():
        wider = [(other, found) for other, found in groups.items() if other != mask and other & mask == other]
        kept += [(value, mask) for value in values if not any(value & other in found for other, found in wider)]
    return kept


def is_inside(cube: Cube, groups: dict[int, set[int]]) -> bool:
    """True if a cube lies inside one of those in `by_mask` form."""
    value, mask = cube
    return any(other & mask == other and value & other in found for other, found in groups.items())


def equal_to(value: int, mask: int, offset: int) -> Cube:
    """The bits at `offset` equal value under mask."""
    return value << offset, mask << offset


def outside(cubes: Iterable[Cube]) -> list[Cube]:
    """The packets in none of some cubes, as disjoint cubes; of prefixes, the fewest prefixes.

    Halves the space at the highest bit that matters until a half is wholly inside or wholly outside, so the cost is
    the number of cubes times the bits of their masks.
    """
    result: list[Cube] = []
    halves: list[tuple[Cube, list[Cube]]] = [(EVERYTHING, list(cubes))]
    while halves:
        (value, mask), inside = halves.pop()
        if not inside:
            result.append((value, mask))
            continue
        left = [cube_mask & ~mask for _, cube_mask in inside]
        if 0 in left:
            continue
        bit = 1 << (max(left).bit_length() - 1)
        for side in (0, bit):
            half = [cube for cube in inside if not cube[1] & bit or cube[0] & bit == side]
            halves.append(((value | side, mask | bit), half))
    return result


def at_least(bound: int, width: int, offset: int) -> list[Cube]:
    """The `width` bits at `offset` are ≥ bound, as the fewest prefixes."""
    full = (1 << width) - 1
    if bound > full:
        return []
    cubes = [equal_to(bound & ~_low_zeros(bound, width), full & ~_low_zeros(bound, width), offset)]
    above = full & ~_low_zeros(bound, width)
    for bit in reversed(list(_bits_from_top(above))):
        if not bound & bit:
            prefix = full & ~(bit - 1)
            cubes.append((((bound | bit) & prefix) << offset, prefix << offset))
    return cubes


def at_most(bound: int, width: int, offset: int) -> list[Cube]:
    """The `width` bits at `offset` are ≤ bound, as the fewest prefixes."""
    full = (1 << width) - 1
    if bound < 0:
        return []
    # x <= b is ~x >= ~b; complementing the values turns one cover into the other.
    return [(~value & mask, mask) for value, mask in at_least(full & ~bound, width, offset)]


def _low_zeros(bound: int, width: int) -> int:
    """Ones over the zero bits below the lowest one bit: those that are free when bound starts a prefix."""
    full = (1 << width) - 1
    return full if bound == 0 else (bound & -bound) - 1


def _bits_from_top(mask: int) -> Iterator[int]:
    while mask:
        bit = 1 << (mask.bit_length() - 1)
        yield bit
        mask ^= bit
