"""The declared databases against the schemas that Open vSwitch and OVN install."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ovine.model import cloud, nb, sb, vs
from ovine.model.base import Database
from ovine.model.schema import normal_type, to_json
from support.everything import DATABASE as EVERYTHING

INSTALLED = {
    "/usr/share/ovn/ovn-nb.ovsschema": nb.DATABASE,
    "/usr/share/ovn/ovn-sb.ovsschema": sb.DATABASE,
    "/usr/share/openvswitch/vswitch.ovsschema": vs.DATABASE,
}
NEWER_TABLES = {"DHCP_Relay", "Sample", "Sample_Collector", "Sampling_App"}
NEWER_COLUMNS = {
    *(("ACL", name) for name in ("tier", "sample_new", "sample_est")),
    *(("NAT", name) for name in ("match", "priority")),
    *(("Logical_Router_Policy", name) for name in ("chain", "jump_chain")),
    ("Logical_Router_Port", "dhcp_relay"),
    ("FDB", "timestamp"),
}
NEWER_WORDS = {("ACL", "action"): {"pass"}, ("Logical_Router_Policy", "action"): {"jump"}}
"""What our schemas have of later OVN than 23.03. Servers without it are served all the same."""


@pytest.fixture(params=INSTALLED, ids=lambda file: Path(file).stem)
def pair(request):
    """A declared database's schema and the installed one."""
    if not Path(request.param).exists():
        pytest.skip(f"{request.param} is not installed")
    return to_json(INSTALLED[request.param]), json.loads(Path(request.param).read_text())


def test_every_declared_table_and_column_exists_with_the_same_type(pair):
    ours, real = pair
    assert ours["name"] == real["name"]
    for table, spec in ours["tables"].items():
        if table in NEWER_TABLES - set(real["tables"]):
            continue
        assert table in real["tables"]
        columns = real["tables"][table]["columns"]
        for name, column in spec["columns"].items():
            if (table, name) in NEWER_COLUMNS and name not in columns:
                continue
            assert name in columns, f"{table}.{name}"
            words = NEWER_WORDS.get((table, name), set())
            if words:
                kept = [word for word in column["type"]["key"]["enum"][1] if word not in words]
                column["type"]["key"]["enum"] = ["set", kept]
                real_words = columns[name]["type"]["key"]["enum"]
                real_words[1] = [word for word in real_words[1] if word not in words]
            assert normal_type(column["type"]) == normal_type(columns[name]["type"]), f"{table}.{name}"
            for flag in ("ephemeral", "mutable"):
                assert column.get(flag) == columns[name].get(flag), f"{table}.{name} {flag}"


def test_every_declared_table_has_the_same_root_size_and_indexes(pair):
    ours, real = pair
    for table, spec in ours["tables"].items():
        if table in NEWER_TABLES - set(real["tables"]):
            continue
        theirs = real["tables"][table]
        assert spec.get("isRoot", False) == theirs.get("isRoot", False), table
        assert spec.get("maxRows") == theirs.get("maxRows"), table
        assert spec.get("indexes", []) == theirs.get("indexes", []), table


def test_every_reference_points_at_a_declared_table():
    for database in (nb.DATABASE, sb.DATABASE, vs.DATABASE, cloud.DATABASE):
        for table in database.tables.values():
            for column in table.columns.values():
                for atom in (column.key, column.value):
                    if atom is not None and atom.ref_table is not None:
                        assert atom.kind == "uuid" and atom.ref_table in database.tables, f"{table.name}.{column.name}"


@pytest.mark.parametrize(
    "database", [nb.DATABASE, sb.DATABASE, vs.DATABASE, cloud.DATABASE, EVERYTHING], ids=lambda d: d.name
)
def test_the_generated_schema_is_taken_by_ovsdb_tool(database: Database, tmp_path: Path):
    if shutil.which("ovsdb-tool") is None:
        pytest.skip("ovsdb-tool is not installed")
    schema, file = tmp_path / "schema", tmp_path / "db"
    schema.write_text(json.dumps(to_json(database)))
    done = subprocess.run(["ovsdb-tool", "create", str(file), str(schema)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    version = subprocess.run(["ovsdb-tool", "db-version", str(file)], capture_output=True, text=True, timeout=30)
    assert version.stdout.strip() == database.version


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("string", {"key": "string"}),
        ("string", {"key": {"type": "string"}, "min": 1, "max": 1}),
        ({"key": {"type": "uuid", "refTable": "T"}}, {"key": {"type": "uuid", "refTable": "T", "refType": "strong"}}),
        (
            {"key": {"type": "string", "enum": ["set", ["b", "a"]]}},
            {"key": {"type": "string", "enum": ["set", ["a", "b"]]}},
        ),
        ({"key": {"type": "string", "enum": "a"}}, {"key": {"type": "string", "enum": ["set", ["a"]]}}),
    ],
)
def test_the_spellings_of_a_type_compare_equal(one, other):
    assert normal_type(one) == normal_type(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("string", "integer"),
        ("string", {"key": "string", "min": 0}),
        ({"key": "string", "max": 2}, {"key": "string", "max": "unlimited"}),
        ({"key": "string", "value": "string"}, {"key": "string", "value": "integer"}),
        (
            {"key": {"type": "uuid", "refTable": "T", "refType": "weak"}},
            {"key": {"type": "uuid", "refTable": "T"}},
        ),
        ({"key": {"type": "integer", "minInteger": 0}}, {"key": {"type": "integer", "minInteger": 1}}),
    ],
)
def test_types_that_differ_do_not_compare_equal(one, other):
    assert normal_type(one) != normal_type(other)
