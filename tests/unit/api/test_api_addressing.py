"""Address arithmetic of subnets."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.api import addressing as a


def test_eui64_is_formed_from_prefix_and_mac() -> None:
    # RFC 4291, appendix A: 34-56-78-9A-BC-DE becomes 36-56-78-FF-FE-9A-BC-DE.
    net = a.network_of("2001:db8::/64")
    assert a.eui64(net, "34:56:78:9a:bc:de") == "2001:db8::3656:78ff:fe9a:bcde"


@pytest.mark.parametrize(
    "cidr, gateway, pools",
    [
        ("10.0.0.0/24", "10.0.0.1", ["10.0.0.2-10.0.0.254"]),
        ("10.0.0.0/24", "10.0.0.254", ["10.0.0.1-10.0.0.253"]),
        ("10.0.0.0/24", "10.0.0.9", ["10.0.0.1-10.0.0.8", "10.0.0.10-10.0.0.254"]),
        ("10.0.0.0/24", "fd00::1", ["10.0.0.1-10.0.0.254"]),
        ("10.0.0.0/24", None, ["10.0.0.1-10.0.0.254"]),
        ("10.0.0.0/30", "10.0.0.1", ["10.0.0.2-10.0.0.2"]),
        ("10.0.0.0/31", "10.0.0.0", ["10.0.0.1-10.0.0.1"]),
        ("10.0.0.0/32", "10.0.0.0", []),
        ("fd00::/64", "fd00::", ["fd00::1-fd00::ffff:ffff:ffff:ffff"]),
        ("fd00::/64", "fe80::1", ["fd00::1-fd00::ffff:ffff:ffff:ffff"]),
    ],
)
def test_default_pools_are_the_usable_addresses_without_the_gateway(
    cidr: str, gateway: str | None, pools: list[str]
) -> None:
    net = a.network_of(cidr)
    assert [a.pool_text(net.version, pool) for pool in a.default_pools(net, gateway)] == pools


@given(prefix=st.integers(20, 32), base=st.integers(0, 2**32 - 1), gateway=st.integers(-3, 5000))
def test_default_pools_never_hold_gateway_network_or_broadcast(prefix: int, base: int, gateway: int) -> None:
    net = ipaddress.ip_network((base, prefix), strict=False)
    assert isinstance(net, ipaddress.IPv4Network)
    number = min(max(int(net.network_address) + gateway, 0), 2**32 - 1)
    pools = a.default_pools(net, a.text_of(4, number))
    held = {n for low, high in pools for n in range(low, high + 1)}
    assert number not in held
    usable = set(range(a.usable(net)[0], a.usable(net)[1] + 1))
    assert held == usable - {number}


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    used=st.sets(st.integers(0, 200)),
    seed=st.integers(),
)
def test_a_free_address_is_found_exactly_if_there_is_one(sizes: list[int], used: set[int], seed: int) -> None:
    pools, start = [], 1000
    for size in sizes:
        pools.append((start, start + size - 1))
        start += size + 7
    everything = [n for low, high in pools for n in range(low, high + 1)]
    taken = {everything[n % len(everything)] for n in used}
    free = set(everything) - taken
    found = a.random_free(pools, taken.__contains__, random.Random(seed))
    assert (found in free) if free else found is None
    assert a.first_free(pools, taken.__contains__) == min(free, default=None)


def test_addresses_stay_low_in_a_large_pool() -> None:
    pool = [(int(ipaddress.ip_address("fd00::1")), int(ipaddress.ip_address("fd00::ffff:ffff:ffff:ffff")))]
    chance, taken = random.Random(1), set[int]()
    for _ in range(200):
        number = a.random_free(pool, taken.__contains__, chance)
        assert number is not None
        taken.add(number)
    assert max(taken) - pool[0][0] < 1 << 12


def test_a_full_pool_costs_one_search_and_an_empty_one_none() -> None:
    asked: list[int] = []

    def taken(number: int) -> bool:
        asked.append(number)
        return True

    assert a.random_free([(1, 300)], taken, random.Random(0)) is None
    assert len(asked) < 400
    assert a.random_free([], taken, random.Random(0)) is None
