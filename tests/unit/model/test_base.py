"""Rows, maps and what a declaration becomes."""

from __future__ import annotations

import copy
import pickle
from typing import Annotated

import msgspec
import pytest

from ovine.model import cloud, nb, sb, vs
from ovine.model.base import (
    EMPTY,
    EPHEMERAL,
    IMMUTABLE,
    NO_UUID,
    UNLIMITED,
    Atom,
    Map,
    MaxLength,
    OneOf,
    Range,
    Row,
    Size,
    Uuid,
    database,
    table,
)
from support.everything import DATABASE, Child, Parent, Thing

U = Uuid("01234567-89ab-cdef-0123-456789abcdef")


# --- Map --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.__setitem__("a", 1),
        lambda m: m.__delitem__("a"),
        lambda m: m.clear(),
        lambda m: m.pop("a"),
        lambda m: m.popitem(),
        lambda m: m.setdefault("b", 1),
        lambda m: m.update(a=2),
        lambda m: m.__ior__({"a": 2}),
    ],
)
def test_a_map_cannot_be_changed(change):
    original = Map({"a": 1})
    with pytest.raises(TypeError, match="a Map is immutable"):
        change(original)
    assert original == {"a": 1}


def test_equal_maps_have_equal_hashes_whatever_their_order():
    one, other = Map({"a": 1, "b": 2}), Map({"b": 2, "a": 1})
    assert one == other and hash(one) == hash(other)
    assert len({one, other, Map()}) == 2
    assert hash(EMPTY) == hash(Map())


def test_a_map_compares_and_reads_as_a_dict():
    assert Map({"a": 1}) == {"a": 1} and Map({"a": 1})["a"] == 1 and Map().get("x") is None
    assert Map({**Map({"a": 1}), "b": 2}) == {"a": 1, "b": 2}


def test_maps_and_rows_survive_copy_and_pickle():
    row = Parent(uuid=U, name="p", named=Map({"k": U}))
    hash(row.named)
    for twin in (copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
        assert twin == row and isinstance(twin.named, Map) and hash(twin) == hash(row)


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_are_values():
    assert Child(uuid=U, name="a") == Child(uuid=U, name="a") != Child(name="a")
    assert len({Child(uuid=U, name="a"), Child(uuid=U, name="a")}) == 1
    assert Child() != Parent()
    with pytest.raises(AttributeError):
        Child().name = "b"  # type: ignore[misc]
    assert msgspec.structs.replace(Child(name="a"), weight=1) == Child(name="a", weight=1)


@pytest.mark.parametrize(
    "declared", [nb.DATABASE, sb.DATABASE, vs.DATABASE, cloud.DATABASE, DATABASE], ids=lambda d: d.name
)
def test_every_column_of_every_table_has_a_default_of_its_type(declared):
    for spec in declared.tables.values():
        row = spec.row()
        assert row.uuid == NO_UUID and hash(row) == hash(spec.row())
        assert row.spec is spec and declared.table(spec.name) is spec
        for column in spec.columns.values():
            zero = {"integer": 0, "real": 0.0, "boolean": False, "string": "", "uuid": NO_UUID}[column.key.kind]
            expected = {} if column.is_map else zero if column.is_scalar else None if column.is_optional else ()
            assert column.default == expected, f"{spec.name}.{column.name}"
            assert type(column.default) is not dict


# --- declarations -----------------------------------------------------------------------------------------------------


def test_python_keywords_end_in_an_underscore_only_in_python():
    column = Thing.spec.columns["from"]
    assert (column.name, column.attribute) == ("from", "from_")


@table("Odd", root=False, max_rows=3, indexes=(("a", "b"),))
class Odd(Row, frozen=True, kw_only=True):
    a: Annotated[str, OneOf("x", "y"), IMMUTABLE] = ""
    b: Annotated[int | None, Range(1, 9), EPHEMERAL] = None
    c: Annotated[tuple[Annotated[str, MaxLength(4)], ...], Size(2, 3)] = ()
    d: Map[Annotated[int, Range(0, 5)], Annotated[str, OneOf("z")]] = EMPTY


def test_constraints_and_flags_are_read_from_annotations():
    given = database("Oddities", "1.2.3", globals())
    assert set(given.tables) == {"Odd"}, "imported tables belong to their own database"
    assert DATABASE.tables["Child"] is Child.spec
    spec = given.tables["Odd"]
    assert (spec.root, spec.max_rows, spec.indexes, spec.row) == (False, 3, (("a", "b"),), Odd)
    a, b, c, d = spec.columns.values()
    assert a.key == Atom("string", enum=("x", "y")) and not a.mutable and not a.ephemeral and a.is_scalar
    assert b.key == Atom("integer", low=1, high=9) and b.ephemeral and b.mutable and b.is_optional
    assert c.key == Atom("string", max_length=4) and (c.min, c.max) == (2, 3)
    assert d.key == Atom("integer", low=0, high=5) and d.value == Atom("string", enum=("z",)) and d.is_map
    assert (d.min, d.max) == (0, UNLIMITED)
