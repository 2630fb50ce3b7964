"""Our declaration laid over what a server has."""

from __future__ import annotations

import copy

import pytest

from ovine.model import nb
from ovine.model.schema import to_json
from ovine.ovsdb.errors import ProtocolError
from ovine.ovsdb.plan import Monitor, monitors_of, plan, request
from support.everything import DATABASE, Child, Parent, Thing

SCHEMA = to_json(DATABASE)


def test_the_same_schema_lacks_nothing():
    given = plan(DATABASE, monitors_of(DATABASE, None), SCHEMA)
    assert not given.missing and not given.absent
    assert set(given.codecs) == {"Thing", "Parent", "Child"}


def test_an_older_schema_is_monitored_as_far_as_it_goes():
    older = copy.deepcopy(SCHEMA)
    del older["tables"]["Thing"]
    del older["tables"]["Child"]["columns"]["weight"]
    older["tables"]["Child"]["columns"]["tags"] = {"type": "boolean"}
    given = plan(DATABASE, monitors_of(DATABASE, [Child, Thing]), older)
    assert {("Thing", None), ("Thing", "string"), ("Child", "weight"), ("Child", "tags")} < given.missing
    assert request(given, {}) == {"Child": [{"columns": ["name"]}]}


def test_missing_speaks_of_what_is_monitored_and_absent_of_everything():
    older = copy.deepcopy(SCHEMA)
    del older["tables"]["Child"]["columns"]["weight"]
    given = plan(DATABASE, monitors_of(DATABASE, [Parent, Monitor(Child, columns=["name"])]), older)
    assert not given.missing
    assert given.absent == {("Child", "weight")}


def test_a_newer_schema_is_not_asked_for_more():
    newer = copy.deepcopy(SCHEMA)
    newer["tables"]["Novelty"] = {"columns": {"x": {"type": "string"}}}
    newer["tables"]["Child"]["columns"]["colour"] = {"type": "string"}
    given = plan(DATABASE, monitors_of(DATABASE, None), newer)
    assert "Novelty" not in given.codecs and "colour" not in given.codecs["Child"].columns


@pytest.mark.parametrize(
    "schema", [None, [], {}, {"tables": {"Child": {}}}, {"tables": {"Child": {"columns": {"name": 1}}}}]
)
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(ProtocolError, match="schema cannot be read"):
        plan(DATABASE, monitors_of(DATABASE, None), schema)


def test_a_foreign_or_doubly_monitored_table_or_unknown_column_is_refused():
    with pytest.raises(ValueError, match="Logical_Switch is not one of database Everything"):
        monitors_of(DATABASE, [nb.LogicalSwitch])
    with pytest.raises(ValueError, match="Child is monitored twice"):
        monitors_of(DATABASE, [Child, Monitor(Child)])
    with pytest.raises(ValueError, match="table Child has no column 'colour'"):
        monitors_of(DATABASE, [Monitor(Child, columns=["colour"])])
