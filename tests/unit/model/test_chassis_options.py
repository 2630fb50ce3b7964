"""What chassis say of themselves."""

from __future__ import annotations

import pytest

from ovine.model.chassis import GATEWAY, options_of, zones_of


@pytest.mark.parametrize(
    ("text", "zones"),
    [
        ("", set()),
        ("enable-chassis-as-gw", set()),
        ("availability-zones=", set()),
        ("availability-zones=one", {"one"}),
        (" enable-chassis-as-gw , availability-zones=one: two ,x=y", {"one", "two"}),
    ],
)
def test_zones_are_read_from_the_options(text: str, zones: set[str]) -> None:
    assert zones_of(text) == zones
    assert (GATEWAY in options_of(text)) == ("gw" in text)
