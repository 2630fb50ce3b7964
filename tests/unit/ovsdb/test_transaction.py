"""Transactions in wire form, and their results."""

from __future__ import annotations

import pytest

from ovine.model.base import Map, Uuid
from ovine.model.members import Members
from ovine.ovsdb.errors import ProtocolError, TransactionError
from ovine.ovsdb.transaction import Outcome, Transaction, fit, outcome, refuses_uuids, with_named_uuids
from support.everything import DATABASE, Child, Parent, Thing

U = Uuid("01234567-89ab-cdef-0123-456789abcdef")
V = Uuid("11234567-89ab-cdef-0123-456789abcdef")
THIS = [["_uuid", "==", ["uuid", U]]]


def on(op: str, table: str, where: list[object], **members: object) -> dict[str, object]:
    return {"op": op, "table": table, "where": where, **members}


def only(build) -> dict[str, object]:
    txn = Transaction()
    assert not txn
    build(txn)
    assert txn and len(txn) == 1
    return txn.operations[0]


def test_an_insert_writes_what_differs_from_the_defaults_under_a_uuid_of_its_own():
    txn = Transaction()
    first = txn.insert(Child(name="a", tags=("x", "y")))
    second = txn.insert(Child(), name="b")
    assert first != second and len(first) == 36
    assert txn.operations == [
        {"op": "insert", "table": "Child", "uuid": first, "row": {"name": "a", "tags": ["set", ["x", "y"]]}},
        {"op": "insert", "table": "Child", "uuid": second, "row": {}, "uuid-name": "b"},
    ]


def test_a_row_with_a_uuid_keeps_it():
    assert Transaction().insert(Child(uuid=U)) == U


@pytest.mark.parametrize(
    ("build", "wire"),
    [
        (lambda t: t.update(Child, U, name="b"), on("update", "Child", THIS, row={"name": "b"})),
        (lambda t: t.update(Parent, U, favourite=None), on("update", "Parent", THIS, row={"favourite": ["set", []]})),
        (
            lambda t: t.update_where(Thing, [("from_", "==", "x")], from_="y"),
            on("update", "Thing", [["from", "==", "x"]], row={"from": "y"}),
        ),
        (lambda t: t.mutate(Child, U, "weight", "+=", 2), on("mutate", "Child", THIS, mutations=[["weight", "+=", 2]])),
        (
            lambda t: t.mutate(Parent, U, "children", "insert", V),
            on("mutate", "Parent", THIS, mutations=[["children", "insert", ["set", [["uuid", V]]]]]),
        ),
        (
            lambda t: t.mutate(Parent, U, "children", "delete", Members([V])),
            on("mutate", "Parent", THIS, mutations=[["children", "delete", ["set", [["uuid", V]]]]]),
        ),
        (
            lambda t: t.mutate(Thing, U, "texts", "insert", Map({"a": "b"})),
            on("mutate", "Thing", THIS, mutations=[["texts", "insert", ["map", [["a", "b"]]]]]),
        ),
        (
            lambda t: t.mutate(Thing, U, "texts", "delete", ("a",)),
            on("mutate", "Thing", THIS, mutations=[["texts", "delete", ["set", ["a"]]]]),
        ),
        (
            lambda t: t.mutate(Thing, U, "texts", "delete", Map({"a": "b"})),
            on("mutate", "Thing", THIS, mutations=[["texts", "delete", ["map", [["a", "b"]]]]]),
        ),
        (
            lambda t: t.mutate(Thing, U, "by_uuid", "delete", V),
            on("mutate", "Thing", THIS, mutations=[["by_uuid", "delete", ["set", [["uuid", V]]]]]),
        ),
        (lambda t: t.delete(Child, U), on("delete", "Child", THIS)),
        (lambda t: t.delete_where(Child, []), on("delete", "Child", [])),
        (
            lambda t: t.wait(Child, [], ["name"], [{"name": "a"}], "!=", 5),
            on("wait", "Child", [], columns=["name"], rows=[{"name": "a"}], until="!=", timeout=5),
        ),
        (
            lambda t: t.wait_row(Child(uuid=U, name="a", weight=1), "name"),
            on("wait", "Child", THIS, columns=["name"], rows=[{"name": "a"}], until="==", timeout=0),
        ),
        (lambda t: t.select(Child, [], ["name"]), on("select", "Child", [], columns=["_uuid", "name"])),
        (lambda t: t.assert_lock("l"), {"op": "assert", "lock": "l"}),
        (lambda t: t.comment("c"), {"op": "comment", "comment": "c"}),
        (lambda t: t.abort(), {"op": "abort"}),
        (lambda t: t.commit(), {"op": "commit", "durable": True}),
    ],
)
def test_an_operation_is_written_as_rfc_7047_wants_it(build, wire):
    assert only(build) == wire


def test_waiting_for_a_whole_row_names_every_column():
    operation = only(lambda t: t.wait_row(Child(uuid=U, name="a")))
    assert operation["columns"] == ["name", "weight", "tags"]
    assert operation["rows"] == [{"name": "a", "weight": 0, "tags": ["set", []]}]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda t: t.insert(Child(name=5)), "table Child, column name: expected a string, got 5"),
        (lambda t: t.insert(Child(tags=("a", 1))), "table Child, column tags"),
        (lambda t: t.update(Child, U), "names no column"),
        (lambda t: t.update(Child, U, colour="red"), "table Child has no column 'colour'"),
        (lambda t: t.update(Child, "short", name="a"), "expected a uuid"),
        (lambda t: t.mutate(Child, U, "weight", "**", 1), "unknown mutator"),
        (lambda t: t.mutate(Child, U, "weight", "+=", "1"), "needs a number"),
        (lambda t: t.wait(Child, [], ["name"], [{}]), "a row to wait for has no column 'name'"),
        (lambda t: t.wait(Child, [], ["name"], [], until="<"), "until is"),
    ],
)
def test_a_mistake_is_refused_when_it_is_written_down(build, message):
    txn = Transaction()
    with pytest.raises(ValueError, match=message):
        build(txn)
    assert not txn


def test_results_are_read_by_the_operations_index():
    txn = Transaction()
    inserted = txn.insert(Child(name="a"))
    updated = txn.update(Child, U, name="b")
    selected = txn.select(Child)
    given = outcome(
        txn.operations,
        [{"uuid": ["uuid", inserted]}, {"count": 1}, {"rows": [{"_uuid": ["uuid", V], "name": "c", "tags": "x"}]}],
    )
    assert given.count(updated) == 1
    assert given.rows(Child, selected) == (Child(uuid=V, name="c", tags=("x",)),)
    assert given.uuid(inserted) == inserted
    assert Outcome((), {inserted: V}).uuid(inserted) == V


@pytest.mark.parametrize(
    ("result", "kind", "index"),
    [
        ([{"error": "constraint violation", "details": "d"}, None], "constraint violation", 0),
        ([{}, {"error": "timed out"}], "timed out", 1),
        (
            [{}, {}, {"error": "referential integrity violation", "details": "d"}],
            "referential integrity violation",
            None,
        ),
    ],
)
def test_a_refusal_tells_its_kind_and_operation(result, kind, index):
    with pytest.raises(TransactionError) as caught:
        outcome([{"op": "comment"}, {"op": "comment"}], result)
    assert (caught.value.kind, caught.value.index) == (kind, index)


@pytest.mark.parametrize("result", [None, {}, [], [{}], [{}, None]])
def test_a_reply_that_does_not_fit_is_refused(result):
    with pytest.raises(ProtocolError):
        outcome([{"op": "comment"}, {"op": "comment"}], result)


def test_explicit_uuids_become_named_ones_with_their_references():
    txn = Transaction()
    child = txn.insert(Child(name="c"))
    parent = txn.insert(Parent(children=(child, V), favourite=child, named=Map({"x": child})), name="mum")
    txn.update(Parent, parent, name="p")
    name = "row" + child.replace("-", "_")
    assert with_named_uuids(txn.operations) == [
        {"op": "insert", "table": "Child", "row": {"name": "c"}, "uuid-name": name},
        {
            "op": "insert",
            "table": "Parent",
            "row": {
                "children": ["set", [["named-uuid", name], ["uuid", V]]],
                "favourite": ["named-uuid", name],
                "named": ["map", [["x", ["named-uuid", name]]]],
            },
            "uuid-name": "mum",
        },
        {"op": "update", "table": "Parent", "where": [["_uuid", "==", ["named-uuid", "mum"]]], "row": {"name": "p"}},
    ]
    assert "uuid" in txn.operations[0]


def test_the_refusal_of_an_old_server_is_recognised():
    old = "Parsing ovsdb operation 1 of 1 failed: Member 'uuid' is present but not allowed here."
    assert refuses_uuids(TransactionError("syntax error", old))
    assert not refuses_uuids(TransactionError("syntax error", "No column 'uuid' in table"))
    assert not refuses_uuids(TransactionError("duplicate uuid", old))


ABSENT = frozenset({("Child", "weight"), ("Thing", None)})


def fitted(build) -> dict[str, object]:
    txn = Transaction()
    build(txn)
    defaults = {"weight": 0, "name": "", "tags": ["set", []]}
    return fit(txn.operations, ABSENT, lambda _table, column: defaults[column])[0]


def test_what_an_older_server_lacks_is_left_out_where_that_changes_nothing():
    assert fitted(lambda t: t.update(Child, U, name="a", weight=0))["row"] == {"name": "a"}
    waited = fitted(lambda t: t.wait_row(Child(uuid=U, name="a")))
    assert waited["columns"] == ["name", "tags"] and waited["rows"] == [{"name": "a", "tags": ["set", []]}]
    assert fitted(lambda t: t.select(Child))["columns"] == ["_uuid", "name", "tags"]
    assert fitted(lambda t: t.comment("x")) == {"op": "comment", "comment": "x"}


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda t: t.insert(Child(weight=5)), "unknown column: the server's schema has no column Child.weight"),
        (lambda t: t.update(Child, U, weight=5), "no column Child.weight"),
        (lambda t: t.wait_row(Child(uuid=U, weight=5)), "no column Child.weight"),
        (lambda t: t.mutate(Child, U, "weight", "+=", 1), "no column Child.weight"),
        (lambda t: t.delete_where(Child, [("weight", "==", 0)]), "no column Child.weight"),
        (lambda t: t.insert(Thing()), "unknown table: the server's schema has no table Thing"),
    ],
)
def test_what_an_older_server_lacks_is_refused_where_it_would_be_lost(build, text):
    with pytest.raises(TransactionError, match=text) as caught:
        fitted(build)
    assert caught.value.index == 0
    assert DATABASE.tables["Child"]
