"""Waiting ends with the condition, or with its deadline and a diagnosis."""

from __future__ import annotations

import itertools

import pytest

from ovine.lab import LabError, LabTimeout
from ovine.lab.waiting import wait_for


def test_the_first_true_value_is_returned() -> None:
    values = itertools.chain([None, 0, ""], itertools.repeat("here"))
    assert wait_for(lambda: next(values), "a value", 10) == "here"


def test_a_condition_that_never_holds_ends_in_a_timeout_that_says_what_was_awaited() -> None:
    with pytest.raises(LabTimeout, match=r"the moon: not within 0\.01 s") as failure:
        wait_for(lambda: False, "the moon", 0.01, diagnose=lambda: "cloudy")
    assert failure.value.details == "cloudy"


def test_an_error_of_the_condition_ends_the_wait_at_once() -> None:
    def broken() -> bool:
        raise LabError("it has died")

    with pytest.raises(LabError, match="it has died"):
        wait_for(broken, "life", 3600)
