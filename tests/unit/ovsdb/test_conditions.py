"""Conditions written with Python values."""

from __future__ import annotations

import pytest

from ovine.model.base import Map, Uuid
from ovine.ovsdb.conditions import encode_where
from support.everything import Child, Parent, Thing

U = Uuid("01234567-89ab-cdef-0123-456789abcdef")


@pytest.mark.parametrize(
    ("table", "condition", "wire"),
    [
        (Child, ("name", "==", "a"), ["name", "==", "a"]),
        (Child, ("_uuid", "!=", U), ["_uuid", "!=", ["uuid", U]]),
        (Child, ["_uuid", "==", ["named-uuid", "x"]], ["_uuid", "==", ["named-uuid", "x"]]),
        (Thing, ("from_", "==", "x"), ["from", "==", "x"]),
        (Thing, ("from", "==", "x"), ["from", "==", "x"]),
        (Child, ("tags", "includes", "x"), ["tags", "includes", ["set", ["x"]]]),
        (Child, ("tags", "excludes", ("x", "y")), ["tags", "excludes", ["set", ["x", "y"]]]),
        (Parent, ("favourite", "==", None), ["favourite", "==", ["set", []]]),
        (Parent, ("favourite", "==", U), ["favourite", "==", ["uuid", U]]),
        (Parent, ("children", "includes", U), ["children", "includes", ["set", [["uuid", U]]]]),
        (Thing, ("maybe_integer", "<", 5), ["maybe_integer", "<", 5]),
        (Thing, ("texts", "includes", Map({"a": "b"})), ["texts", "includes", ["map", [["a", "b"]]]]),
        (Thing, True, True),
    ],
)
def test_a_condition_becomes_json(table, condition, wire):
    assert encode_where(table, [condition]) == [wire]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (("colour", "==", "red"), "table Child has no column 'colour'"),
        (("name", "=~", "a"), "unknown function '=~'"),
        (("name", "==", 5), "table Child, column name: expected a string, got 5"),
        (("_uuid", "==", "short"), "expected a uuid"),
        (("name", "=="), "a condition is"),
    ],
)
def test_a_wrong_condition_is_refused_at_once(condition, message):
    with pytest.raises(ValueError, match=message):
        encode_where(Child, [condition])
