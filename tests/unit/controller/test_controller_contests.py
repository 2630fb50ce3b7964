"""Ports that another chassis took are left to it for a moment."""

from __future__ import annotations

import pytest

from ovine.controller.contests import PATIENCE, Contests
from ovine.controller.local import Claim
from support.controller_world import uuid_of

ONE, TWO = uuid_of("one"), uuid_of("two")
CLAIMS = {ONE: Claim("one"), TWO: Claim("two")}


def test_without_a_contest_all_claims_are_made() -> None:
    assert Contests().undisputed(CLAIMS, 5.0) == (CLAIMS, None)


def test_a_port_that_was_taken_is_claimed_again_after_a_moment() -> None:
    contests = Contests()
    contests.taken(ONE, 5.0)
    made, again = contests.undisputed(CLAIMS, 5.0 + PATIENCE / 2)
    assert set(made) == {TWO} and again == pytest.approx(PATIENCE / 2)
    assert contests.undisputed(CLAIMS, 5.0 + PATIENCE) == (CLAIMS, None)


def test_each_port_has_its_own_moment() -> None:
    contests = Contests()
    contests.taken(ONE, 5.0)
    contests.taken(TWO, 5.25)
    made, again = contests.undisputed(CLAIMS, 5.25)
    assert made == {} and again == pytest.approx(PATIENCE - 0.25)
    assert set(contests.undisputed(CLAIMS, 5.6)[0]) == {ONE}


def test_a_contest_for_what_is_claimed_no_more_is_over() -> None:
    contests = Contests()
    contests.taken(ONE, 5.0)
    assert contests.undisputed({TWO: Claim("two")}, 5.1) == ({TWO: Claim("two")}, None)
    assert contests.undisputed(CLAIMS, 5.2) == (CLAIMS, None)
