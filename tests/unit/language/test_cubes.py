"""The algebra of masked values, against sets of numbers."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.language.cubes import (
    Cube,
    at_least,
    at_most,
    by_mask,
    equal_to,
    intersect,
    intersect_all,
    is_inside,
    outside,
    without_subsumed,
)

WIDTH = 5
ALL = range(1 << WIDTH)


def members(cubes: list[Cube]) -> set[int]:
    return {number for number in ALL if any(number & mask == value for value, mask in cubes)}


def fewest_prefixes(wanted: set[int]) -> int:
    """The least number of prefixes that cover exactly a set, by splitting it in halves."""

    def count(start: int, size: int) -> int:
        inside = [number in wanted for number in range(start, start + size)]
        if all(inside):
            return 1
        return 0 if not any(inside) else count(start, size // 2) + count(start + size // 2, size // 2)

    return count(0, 1 << WIDTH)


@pytest.mark.parametrize("bound", range(-1, (1 << WIDTH) + 1))
def test_bounds_are_covered_by_the_fewest_prefixes(bound: int) -> None:
    if bound >= 0:
        upper = at_least(bound, WIDTH, 0)
        assert members(upper) == {number for number in ALL if number >= bound}
        assert len(upper) == fewest_prefixes(members(upper))
    if bound < 1 << WIDTH:
        lower = at_most(bound, WIDTH, 0)
        assert members(lower) == {number for number in ALL if number <= bound}
        assert len(lower) == fewest_prefixes(members(lower))


def test_every_range_is_covered_by_the_fewest_prefixes() -> None:
    for low, high in product(ALL, ALL):
        found = intersect_all(at_least(low, WIDTH, 0), at_most(high, WIDTH, 0))
        assert found is not None
        assert members(found) == set(range(low, high + 1))
        assert len(found) == fewest_prefixes(members(found))


def test_what_is_outside_one_cube_needs_one_cube_per_bit_of_the_mask() -> None:
    for mask in ALL:
        for value in {number & mask for number in ALL}:
            found = outside([(value, mask)])
            assert members(found) == {number for number in ALL if number & mask != value}
            assert len(found) == mask.bit_count()


def test_offsets_move_cubes() -> None:
    assert equal_to(5, 7, 8) == (0x500, 0x700)
    assert at_least(3, 2, 4) == [(0x30, 0x30)]
    assert sorted(outside([(0x10, 0x30)])) == [(0x00, 0x30), (0x20, 0x20)]


CUBES = st.tuples(st.integers(0, 31), st.integers(0, 31)).map(lambda pair: (pair[0] & pair[1], pair[1]))
UNIONS = st.lists(CUBES, max_size=8)


@settings(deadline=None)
@given(UNIONS, UNIONS)
def test_intersections_hold_what_both_unions_hold(left: list[Cube], right: list[Cube]) -> None:
    found = intersect_all(left, right)
    assert found is not None
    assert members(found) == members(left) & members(right)
    assert len(found) == len(set(found))


@settings(deadline=None)
@given(CUBES, CUBES)
def test_two_cubes_meet_in_a_cube_or_not_at_all(left: Cube, right: Cube) -> None:
    met = intersect(left, right)
    assert members([] if met is None else [met]) == members([left]) & members([right])


@settings(deadline=None)
@given(UNIONS)
def test_dropping_subsumed_cubes_keeps_the_union_and_leaves_none_inside_another(cubes: list[Cube]) -> None:
    kept = without_subsumed(cubes)
    assert members(kept) == members(cubes)
    assert len(kept) == len(set(kept))
    for cube in kept:
        assert not any(members([cube]) <= members([other]) for other in kept if other != cube)
    for cube in cubes:
        assert is_inside(cube, by_mask(kept))


@settings(deadline=None)
@given(UNIONS)
def test_inside_and_outside_share_nothing_and_leave_nothing_out(cubes: list[Cube]) -> None:
    found = outside(cubes)
    # Only the bits of the small world are in play.
    assert members(found) == set(ALL) - members(cubes)
    assert len(found) == len(set(found))


@settings(deadline=None)
@given(st.lists(st.integers(0, 31), max_size=12))
def test_outside_a_set_of_numbers_are_the_fewest_prefixes(numbers: list[int]) -> None:
    found = outside([(number, 31) for number in numbers])
    assert len(found) == fewest_prefixes(set(ALL) - set(numbers))


def test_intersecting_gives_up_beyond_a_limit() -> None:
    left = [(number, 31) for number in range(8)]
    right = [(number << 5, 31 << 5) for number in range(8)]
    assert intersect_all(left, right, limit=63) is None
    found = intersect_all(left, right, limit=64)
    assert found is not None
    assert len(found) == 64
