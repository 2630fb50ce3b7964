"""Thresholds as the northbound writes them."""

from __future__ import annotations

import pytest

from ovine.model import ages


def test_a_number_is_for_all_addresses() -> None:
    assert [ages.thresholds("300").of(ip) for ip in ("10.0.0.1", "fd00::1")] == [300, 300]
    assert ages.thresholds("") == ages.thresholds("0") == ages.NEVER


def test_the_longest_network_decides_whatever_the_order() -> None:
    read = ages.thresholds("192.168.0.0/16:300; 192.168.10.0/24:0; fd00::/8:60; 600")
    addresses = ("192.168.1.1", "192.168.10.1", "fd00::1", "fe80::1", "10.0.0.1")
    assert [read.of(ip) for ip in addresses] == [300, 0, 60, 600, 600]
    assert read.least == 60


def test_without_a_default_other_addresses_do_not_age() -> None:
    assert ages.thresholds("10.0.0.0/8:5").of("172.16.0.1") == 0


@pytest.mark.parametrize(
    "text", ["soon", "-1", "1.5", "10.0.0.0/40:5", "10.0.0.1:x", "10.0.0.0/8:", ":5", "5000000000"]
)
def test_what_makes_no_sense_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        ages.thresholds(text)


def test_a_switch_has_one_threshold() -> None:
    assert ages.of_switch({"fdb_age_threshold": "300"}) == 300
    assert ages.of_switch({}) == ages.of_switch({"fdb_age_threshold": ""}) == 0
    with pytest.raises(ValueError):
        ages.of_switch({"fdb_age_threshold": "10.0.0.0/8:5"})
