"""Chains of routing policies: their numbers, and what a policy more costs."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ovine.northd.flows import FLOWS
from ovine.northd.policy_chains import numbered
from support.northd import Northbound, compiled, row_uuid


def first_hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:2]


@given(st.sets(st.text(max_size=3), max_size=300))
def test_each_chain_has_a_number_of_its_own(names: set[str]) -> None:
    numbers = numbered(iter(names))
    assert set(numbers) == names
    assert len(set(numbers.values())) == len(names)
    assert all(0 < number < 1 << 16 for number in numbers.values())


def test_of_two_chains_with_one_hash_the_later_gets_the_next_number() -> None:
    seen: dict[bytes, str] = {}
    number = 0
    while (name := f"chain{number:06}") and seen.setdefault(first_hash(name), name) == name:
        number += 1
    rival = seen[first_hash(name)]
    numbers = numbered(iter((name, rival)))
    assert numbers[rival] == numbered(iter((rival,)))[rival]
    assert numbers[name] == numbers[rival] + 1


def test_a_policy_more_costs_a_flow_and_runs_no_other_policy() -> None:
    northbound = Northbound()
    northbound.apply('router r\npolicy r start 1 "ip4" jump to=c')
    for number in range(20):
        northbound.apply(f'policy r p{number} 5 "tcp.dst == {number}" drop chain=c')
        northbound.apply(f'policy r q{number} 5 "udp.dst == {number}" drop')
    engine = compiled(northbound)
    before = len(engine.rows(FLOWS))
    engine.log = []
    northbound.apply('policy r more 5 "tcp.dst == 90" drop chain=c\npolicy r jump 6 "ip6" jump to=c')
    northbound.feed(engine)
    engine.run()
    assert len(engine.rows(FLOWS)) == before + 2
    others = {row_uuid(f"policy {kind}{number}") for kind in "pq" for number in range(20)}
    assert not [key for _, key in engine.log if key in others]
