"""Rows, indexes and changes in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.model import nb
from ovine.model.base import Uuid
from ovine.model.schema import to_json
from ovine.ovsdb.errors import ProtocolError
from ovine.ovsdb.plan import monitors_of, plan
from ovine.ovsdb.replica import Replica
from support.everything import DATABASE, Child, Parent

PLAN = plan(DATABASE, monitors_of(DATABASE, None), to_json(DATABASE))
IDS = [Uuid(f"{number:08d}-0000-0000-0000-000000000000") for number in range(6)]


def insert(*rows: tuple[Uuid, str, int]) -> dict[str, object]:
    return {"Child": {uuid: {"insert": {"name": name, "weight": weight}} for uuid, name, weight in rows}}


def test_rows_are_a_live_view_that_nobody_else_can_write():
    replica = Replica(DATABASE)
    view = replica.rows(Child)
    assert not view
    replica.apply(PLAN, insert((IDS[0], "a", 1)))
    assert view[IDS[0]] == Child(uuid=IDS[0], name="a", weight=1) == replica.get(Child, IDS[0])
    with pytest.raises(TypeError):
        view[IDS[1]] = Child()  # type: ignore[index]
    assert replica.get(Child, IDS[1]) is None


def test_a_change_tells_the_row_before_and_after_and_nothing_that_stayed():
    replica = Replica(DATABASE)
    replica.apply(PLAN, insert((IDS[0], "a", 1), (IDS[1], "b", 2)))
    update = {"Child": {IDS[0]: {"modify": {"weight": 1}}, IDS[1]: {"delete": None}, IDS[2]: {"delete": None}}}
    (change,) = replica.apply(PLAN, update)
    assert change == (Child, IDS[1], Child(uuid=IDS[1], name="b", weight=2), None)


def test_a_whole_dump_gives_only_the_differences():
    replica = Replica(DATABASE)
    replica.apply(PLAN, insert((IDS[0], "a", 1), (IDS[1], "b", 2)))
    changes = replica.apply(PLAN, insert((IDS[0], "a", 1), (IDS[2], "c", 3)), whole=True)
    assert {(c.uuid, c.old is None, c.new is None) for c in changes} == {(IDS[2], True, False), (IDS[1], False, True)}
    assert set(replica.rows(Child)) == {IDS[0], IDS[2]}


operations = st.lists(
    st.tuples(st.sampled_from(IDS), st.none() | st.tuples(st.sampled_from("abc"), st.integers(0, 2))), max_size=25
)


@given(operations, st.integers(0, 24))
def test_an_index_agrees_with_the_rows_whenever_it_was_made(steps, made):
    replica = Replica(DATABASE)
    for number, (uuid, values) in enumerate(steps):
        if number == made:
            replica.index(Child, "name")
            replica.index(Child, "name", "weight")
        row = {"delete": None} if values is None else {"insert": {"name": values[0], "weight": values[1]}}
        replica.apply(PLAN, {"Child": {uuid: row}})
    by_name, by_both = replica.index(Child, "name"), replica.index(Child, "name", "weight")
    ordered = sorted(replica.rows(Child).values(), key=lambda row: row.uuid)
    for name in "abc":
        assert by_name.find(name) == tuple(row for row in ordered if row.name == name)
        assert by_name.one(name) == next((row for row in ordered if row.name == name), None)
        for weight in range(3):
            found = tuple(row for row in ordered if (row.name, row.weight) == (name, weight))
            assert by_both.find(name, weight) == found
    assert set(by_name.keys()) == {row.name for row in ordered}
    assert set(by_both.keys()) == {(row.name, row.weight) for row in ordered}


tagged = st.lists(st.tuples(st.sampled_from(IDS), st.none() | st.sets(st.sampled_from("xyz"))), max_size=20)


@given(tagged, st.integers(0, 19))
def test_an_index_of_members_has_each_row_for_each_of_its_members(steps, made):
    replica = Replica(DATABASE)
    for number, (uuid, tags) in enumerate(steps):
        if number == made:
            replica.holders(Child, "tags")
        row = {"delete": None} if tags is None else {"insert": {"name": "a", "tags": ["set", sorted(tags)]}}
        replica.apply(PLAN, {"Child": {uuid: row}})
    holders = replica.holders(Child, "tags")
    assert holders is replica.holders(Child, "tags") is not replica.index(Child, "tags")
    for tag in "xyz":
        having = [row for row in replica.rows(Child).values() if tag in row.tags]
        assert holders.find(tag) == tuple(sorted(having, key=lambda row: row.uuid))
        assert holders.has(tag) == bool(having)


def test_an_index_is_made_once_and_knows_both_names_of_a_column():
    replica = Replica(DATABASE)
    assert replica.index(Child, "name") is replica.index(Child, "name")
    with pytest.raises(ValueError, match="table Child has no column 'colour'"):
        replica.index(Child, "colour")
    with pytest.raises(ValueError, match="at least one column"):
        replica.index(Child)


def test_a_table_of_another_database_is_refused():
    with pytest.raises(ValueError, match="Logical_Switch is not one of database Everything"):
        Replica(DATABASE).rows(nb.LogicalSwitch)


def test_an_update_of_a_table_that_is_not_monitored_is_refused():
    only_parents = plan(DATABASE, monitors_of(DATABASE, [Parent]), to_json(DATABASE))
    with pytest.raises(ProtocolError, match="'Child', which is not monitored"):
        Replica(DATABASE).apply(only_parents, insert((IDS[0], "a", 1)))


def test_the_old_format_carries_whole_rows():
    replica = Replica(DATABASE)
    replica.apply(PLAN, {"Child": {IDS[0]: {"new": {"name": "a", "weight": 1, "tags": "x"}}}}, old_format=True)
    update = {"Child": {IDS[0]: {"old": {"weight": 1}, "new": {"name": "a", "weight": 5, "tags": ["set", []]}}}}
    (change,) = replica.apply(PLAN, update, old_format=True)
    assert change.new == Child(uuid=IDS[0], name="a", weight=5)
    (gone,) = replica.apply(PLAN, {"Child": {IDS[0]: {"old": {"name": "a"}}}}, old_format=True)
    assert gone.new is None and not replica.rows(Child)
