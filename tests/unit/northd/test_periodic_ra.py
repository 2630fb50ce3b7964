"""Options for periodic router advertisements, as text in and text out."""

from __future__ import annotations

import pytest

from ovine.northd.periodic_ra import intervals, options, problems

ON = {"send_periodic": "true", "address_mode": "slaac"}


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ({}, (600, 200)),
        ({"max_interval": "5000"}, (1800, 600)),
        ({"max_interval": "2"}, (4, 3)),
        ({"max_interval": "8"}, (8, 6)),
        ({"max_interval": "9"}, (9, 3)),
        ({"min_interval": "900"}, (600, 450)),
        ({"min_interval": "1"}, (600, 3)),
        ({"max_interval": "x", "min_interval": "-5"}, (600, 200)),
    ],
)
def test_intervals_are_kept_within_the_bounds_of_the_standard(
    configs: dict[str, str], expected: tuple[int, int]
) -> None:
    assert intervals(configs) == expected


@pytest.mark.parametrize("configs", [{}, {"send_periodic": "true"}, {**ON, "send_periodic": "false"}])
def test_nothing_is_advertised_unless_it_is_switched_on_with_a_mode(configs: dict[str, str]) -> None:
    assert options("0a:00:00:00:00:01", ["fd00::/64"], configs) == {}


def test_an_mtu_below_the_least_of_ipv6_is_left_out() -> None:
    assert "ipv6_ra_mtu" not in options("0a:00:00:00:00:01", [], {**ON, "mtu": "1279"})
    assert options("0a:00:00:00:00:01", [], {**ON, "mtu": "1280"})["ipv6_ra_mtu"] == "1280"


def test_what_has_no_meaning_is_named() -> None:
    assert problems({**ON, "mtu": "1400"}) == []
    found = problems({"address_mode": "magic", "router_preference": "URGENT", "mtu": "big"})
    assert [problem.split()[0] for problem in found] == ["address_mode", "router_preference", "mtu"]
    assert options("0a:00:00:00:00:01", [], {**ON, "router_preference": "URGENT"})["ipv6_ra_prf"] == "MEDIUM"
