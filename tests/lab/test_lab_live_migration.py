"""An instance moves between a host of ours and one of Debian's while a neighbour pings it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from live_migration import ADDRESS, WAYS, network
from ovine.lab import Instance, Lab, migration


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="ovine", controllers=["ovine", "c", "ovine"], api=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def neighbour(lab: Lab) -> Instance:
    return network(lab)


@pytest.fixture(autouse=True)
def audited(lab: Lab) -> Iterator[None]:
    yield
    assert lab.audit() == []


@pytest.mark.parametrize("way", WAYS[1:])
def test_only_what_is_under_way_at_the_change_over_is_lost(lab: Lab, neighbour: Instance, way: str) -> None:
    """Neither the preparation nor the end of a move loses anything; in both directions, and back again."""
    strategy = "rarp" if way == "activated" else ""
    for source, target in (("h1", "h2"), ("h2", "h1")):
        moved = migration.prepare(lab, "a", target)
        ping = neighbour.ping_in_background(ADDRESS)
        migration.place(lab, "a", source, target, strategy=strategy)
        before = ping.stop()
        assert before.all, f"before, from {source} to {target}: {before.output}"
        migration.cut_over(lab, moved)
        neighbour.wait_reaches(ADDRESS)
        ping = neighbour.ping_in_background(ADDRESS)
        migration.place(lab, "a", target)
        after = ping.stop()
        assert after.all, f"after, from {source} to {target}: {after.output}"


def test_an_instance_that_says_nothing_is_not_activated(lab: Lab, neighbour: Instance) -> None:
    """Until the new host has heard of it, all goes to the old one."""
    moved = migration.prepare(lab, "a", "h2")
    migration.place(lab, "a", "h1", "h2", strategy="rarp")
    assert neighbour.ping(ADDRESS, count=3).all
    options = lab.sbctl("get", "Port_Binding", "a", "options")
    assert "additional-chassis-activated" not in options
    migration.cut_over(lab, moved)
    neighbour.wait_reaches(ADDRESS)
    options = lab.sbctl("get", "Port_Binding", "a", "options")
    assert "additional-chassis-activated=h2" in options
    migration.place(lab, "a", "h2")
    assert "additional-chassis-activated" not in lab.sbctl("get", "Port_Binding", "a", "options")
