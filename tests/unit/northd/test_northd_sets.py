"""Members of port groups and address sets: what one more or less runs, and that sets are passed on by what changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ovine.engine import Engine
from ovine.model import nb
from ovine.model.members import MANY, Members
from ovine.northd.sets import ADDRESS_SETS, PORT_GROUPS
from support.northd import Northbound, compiled, row_uuid


def cloud(ports: int, members: int) -> Engine:
    """A switch, and a group of its first ports."""
    northbound = Northbound()
    lines = [f'port s1 p{n:03} addresses="0a:00:00:00:00:{n:02x} 10.0.0.{n} fd00::{n:x}"' for n in range(1, ports + 1)]
    group = "group pg " + " ".join(f"p{n:03}" for n in range(1, members + 1))
    northbound.apply("\n".join(["switch s1", *lines, group]))
    return compiled(northbound)


def change(engine: Engine, table: type[Any], name: str, column: str, **how: Any) -> None:
    """Changes a large set of a row as an update of the database does."""
    row = engine.rows(table)[row_uuid(f"group {name}")]
    members = getattr(row, column)
    new = (members if isinstance(members, Members) else Members(members)).changed(**how)
    engine.feed(table, row.uuid, msgspec.structs.replace(row, **{column: new}))


@pytest.mark.parametrize("members", [10, 200])
def test_one_member_more_or_less_runs_the_same_rules_whatever_the_size(members: int) -> None:
    engine = cloud(members + 1, members)
    guest = row_uuid(f"port p{members + 1:03}")
    rows = ["northd.sets.port_group", "northd.sets.port_group_addresses"]
    for how, runs in (("come", ["northd.sets.membership", *rows]), ("gone", rows)):
        engine.log = []
        change(engine, nb.PortGroup, "pg", "ports", **{how: (guest,)})
        engine.run()
        assert sorted(name for name, _ in engine.log) == runs
    assert engine.audit() == []


def test_a_large_set_that_is_passed_on_is_known_to_come_from_the_one_before() -> None:
    engine = cloud(MANY + 1, MANY)
    before = {**engine.rows(ADDRESS_SETS), **engine.rows(PORT_GROUPS)}
    change(engine, nb.PortGroup, "pg", "ports", come=(row_uuid(f"port p{MANY + 1:03}"),))
    engine.run()
    after = {**engine.rows(ADDRESS_SETS), **engine.rows(PORT_GROUPS)}
    come = {}
    for key, old in before.items():
        column = "ports" if hasattr(old, "ports") else "addresses"
        one, other = getattr(old, column), getattr(after[key], column)
        assert isinstance(one, Members) and isinstance(other, Members)
        come[key] = one.way_to(other)
    new = f"p{MANY + 1:03}"
    gone: set[str] = set()
    assert come == {
        "pg_ip4": (gone, {f"10.0.0.{MANY + 1}"}),
        "pg_ip6": (gone, {f"fd00::{MANY + 1:x}"}),
        "1_pg": (gone, {new}),
    }


def test_an_address_that_two_members_have_stays_until_both_are_gone() -> None:
    northbound = Northbound()
    northbound.apply("""
        switch s1
        switch s2
        port s1 a addresses="0a:00:00:00:00:01 10.0.0.1"
        port s2 b addresses="0a:00:00:00:00:01 10.0.0.1"
        group pg a b
    """)
    engine = compiled(northbound)
    for port, left in (("a", ("10.0.0.1",)), ("b", ())):
        change(engine, nb.PortGroup, "pg", "ports", gone=(row_uuid(f"port {port}"),))
        engine.run()
        assert engine.rows(ADDRESS_SETS)["pg_ip4"].addresses == left
