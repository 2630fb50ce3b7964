"""Column values to JSON and back, and differences."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.model.base import NO_UUID, UNLIMITED, Map, Uuid
from ovine.ovsdb.codec import decoder, diff_map, encoder, patch_map, patcher, same_kinds, server_max, table_codec
from ovine.ovsdb.errors import ProtocolError
from support.everything import DATABASE, Thing, rows, values
from support.ovsdb_memory import wire_diff

COLUMNS = list(DATABASE.tables["Thing"].columns.values())
ALL = {column.name: column.max for column in COLUMNS}
U = Uuid("01234567-89ab-cdef-0123-456789abcdef")


def over_the_wire(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: c.name)
@given(data=st.data())
def test_every_value_survives_the_wire(column, data):
    value = data.draw(values(column))
    back = decoder(column)(over_the_wire(encoder(column)(value)))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: c.name)
@given(data=st.data())
def test_a_difference_applied_to_the_old_value_gives_the_new(column, data):
    old, new = data.draw(values(column)), data.draw(values(column))
    diff = over_the_wire(wire_diff(column, old, new))
    assert patcher(column, column.max)(old, diff) == new


@given(st.dictionaries(st.integers(0, 5), st.integers(0, 2)), st.dictionaries(st.integers(0, 5), st.integers(0, 2)))
def test_map_differences_undo_each_other(old, new):
    assert patch_map(old, diff_map(old, new)) == new
    assert patch_map(new, diff_map(new, old)) == old
    assert diff_map(old, old) == {}


@given(rows(Thing)(uuid=U), rows(Thing)(uuid=U))
def test_a_row_decodes_from_its_columns_and_patches_to_another(old, new):
    codec = table_codec(Thing.spec, ALL)
    wire = {c.name: encoder(c)(getattr(old, c.attribute)) for c in COLUMNS}
    assert codec.decode(U, over_the_wire(wire)) == old
    diff = {c.name: wire_diff(c, getattr(old, c.attribute), getattr(new, c.attribute)) for c in COLUMNS}
    changed = {c.name for c in COLUMNS if getattr(old, c.attribute) != getattr(new, c.attribute)}
    assert codec.patch(old, over_the_wire({k: v for k, v in diff.items() if k in changed})) == new


def test_an_empty_row_reads_as_the_defaults():
    assert table_codec(Thing.spec, ALL).decode(U, {}) == Thing(uuid=U)


@pytest.mark.parametrize(
    ("column", "wire", "value"),
    [
        ("strings", "alone", ("alone",)),
        ("strings", ["set", ["b", "a", "b"]], ("a", "b")),
        ("strings", ["set", []], ()),
        ("uuids", ["uuid", U], (U,)),
        ("maybe_uuid", ["set", []], None),
        ("maybe_uuid", ["uuid", U], U),
        ("maybe_uuid", ["set", [["uuid", U]]], U),
        ("integer", ["set", [7]], 7),
        ("real", 3, 3.0),
        ("texts", ["map", [["a", "b"]]], Map({"a": "b"})),
    ],
)
def test_spellings_that_servers_use_are_read(column, wire, value):
    assert decoder(Thing.spec.columns[column])(wire) == value


@pytest.mark.parametrize(
    ("column", "wire"),
    [
        ("integer", "7"),
        ("integer", 7.5),
        ("integer", True),
        ("integer", 2**63),
        ("integer", None),
        ("integer", ["set", []]),
        ("integer", ["set", [1, 2]]),
        ("real", "1"),
        ("boolean", 1),
        ("string", 5),
        ("string", ["uuid", U]),
        ("uuid", U),
        ("uuid", ["uuid", "short"]),
        ("uuid", ["uuid", 5]),
        ("uuid", ["named-uuid", "x"]),
        ("maybe_integer", ["set", [1, 2]]),
        ("strings", ["set", [1]]),
        ("strings", ["set", "ab"]),
        ("strings", ["map", []]),
        ("texts", ["set", []]),
        ("texts", ["map", [["a"]]]),
        ("texts", ["map", [["a", 1]]]),
        ("texts", ["map", [1]]),
        ("texts", ["map", "ab"]),
        ("by_uuid", ["map", [[["uuid"], True]]]),
        ("nonesuch", 1),
    ],
)
def test_a_value_of_another_type_is_refused_with_table_and_column(column, wire):
    codec = table_codec(Thing.spec, ALL)
    with pytest.raises(ProtocolError, match=f"table Thing, row {U}.*{column}"):
        codec.decode(U, {column: wire})
    with pytest.raises(ProtocolError, match=f"table Thing, row {U}.*{column}"):
        codec.patch(Thing(uuid=U), {column: wire})


def test_a_row_that_is_no_object_is_refused():
    with pytest.raises(ProtocolError, match="expected an object"):
        table_codec(Thing.spec, ALL).decode(U, [1])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("integer", "1"),
        ("integer", 2**63),
        ("string", 1),
        ("string", None),
        ("boolean", 0),
        ("uuid", "x"),
        ("strings", "abc"),
        ("strings", (1,)),
        ("texts", ("a",)),
        ("texts", {"a": 1}),
        ("maybe_string", 1),
    ],
)
def test_writing_a_value_of_another_type_is_refused(column, value):
    with pytest.raises(ValueError, match="expected"):
        encoder(Thing.spec.columns[column])(value)


def test_a_set_column_read_from_a_server_where_it_is_optional_takes_whole_values():
    patch = patcher(Thing.spec.columns["strings"], 1)
    assert patch(("a",), "b") == ("b",)
    assert patch(("a",), ["set", []]) == ()


@pytest.mark.parametrize(
    ("column", "spec", "same"),
    [
        ("integer", "integer", True),
        ("integer", "string", False),
        ("integer", {"key": {"type": "integer", "minInteger": 3}}, True),
        ("maybe_integer", {"key": "integer", "min": 0, "max": "unlimited"}, False),
        ("integers", {"key": "integer", "min": 0, "max": 1}, True),
        ("texts", {"key": "string", "min": 0, "max": "unlimited"}, False),
        ("texts", {"key": "string", "value": "string", "min": 0, "max": "unlimited"}, True),
    ],
)
def test_a_servers_column_is_usable_if_its_atoms_are_the_same(column, spec, same):
    assert same_kinds(Thing.spec.columns[column], spec) is same


def test_the_greatest_size_of_a_servers_type():
    assert server_max("string") == 1
    assert server_max({"key": "string"}) == 1
    assert server_max({"key": "string", "max": "unlimited"}) == UNLIMITED
    assert server_max({"key": "string", "max": 3}) == 3
    assert Thing().uuid == NO_UUID
