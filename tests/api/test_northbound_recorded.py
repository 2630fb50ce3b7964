"""Northbound changes against those that a Neutron 29.0.0 (ML2/OVN) made, recorded in data/neutron29_northbound.jsonl.

The calls are those of data/neutron29.jsonl. Names in angle brackets stand for ids and MACs: the first time one is seen
it takes the value that ours has in that place, and must have that value from then on. An id with underscores (in the
name of a port group) is written with hyphens. The differences are `DIFFERENCES`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ovine.model import nb
from ovine.model.base import Map, Row, Uuid
from ovine.ovsdb import Client
from support.api_server import Cloud, running_cloud
from support.daemons import run_daemon
from support.ovsdb import connected, start_server, until

DATA = Path(__file__).parent / "data"
CALLS = [json.loads(line) for line in (DATA / "neutron29.jsonl").read_text().splitlines()]
CHANGES = [json.loads(line)["northbound"] for line in (DATA / "neutron29_northbound.jsonl").read_text().splitlines()]

DIFFERENCES = {
    "neutron:revision_number": "ours counts requests; Neutron counts some changes twice, and some not at all",
    "ovine:router": "a static route tells whose it is",
    "ovine:gateway_port": "a source translation tells whose it is",
}
"""Keys of maps whose values are not compared, each with the reason."""

LATER = {"tier": 0, "priority": 0}
"""Defaults of columns that the recorded northbound's schema did not have yet."""

# What sets refer to stands first: a set of names not known yet could be matched in many ways.
TABLES: tuple[type[Row], ...] = (
    nb.ACL,
    nb.LogicalSwitchPort,
    nb.LoadBalancer,
    nb.LogicalSwitch,
    nb.LogicalRouterPort,
    nb.LogicalRouterStaticRoute,
    nb.NAT,
    nb.LogicalRouter,
    nb.PortGroup,
    nb.DHCPOptions,
    nb.AddressSet,
    nb.DNS,
    nb.QoS,
)
RANK = {table.spec.name: rank for rank, table in enumerate(TABLES)}
UNDERSCORED = re.compile("_".join(f"([0-9a-f]{{{length}}})" for length in (8, 4, 4, 4, 12)))
SETTINGS = '[dhcp]\ndomain = "openstackgate.local."\ndns_servers = ["10.255.255.53"]\n'


@pytest.fixture(scope="module")
def recorded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    config = 'flat_networks = ["public"]\n[vlan_ranges]\nphysnet1 = []\n'
    with running_cloud(tmp_path_factory.mktemp("northbound"), config=config) as running:
        running.register_chassis("chassis1", "chassis1", datapath_type="netdev")
        yield running


async def test_the_recorded_calls_change_the_northbound_as_neutron_did(recorded_cloud: Cloud, tmp_path: Path) -> None:
    settings = tmp_path / "plugin.toml"
    settings.write_text(SETTINGS)
    with start_server(nb.DATABASE, tmp_path / "nb") as server:
        remotes = (f"--cloud-db={recorded_cloud.cloud_db.remote}", f"--ovnnb-db={server.remote}")
        with run_daemon("plugin", tmp_path / "plugin", *remotes, f"--config={settings}") as plugin:
            async with connected(nb.DATABASE, server.remote) as client:
                await replay(recorded_cloud, client)
            assert plugin.failures() == []


async def replay(cloud: Cloud, client: Client) -> None:
    admin = cloud.user("admin")
    names = {"<project>": cloud.project_id("admin")}
    await until(lambda: bool(client.replica.rows(nb.PortGroup)), "the group that drops what no rule allows")
    before = snapshot(client)
    for call, expected in zip(CALLS, CHANGES, strict=True):
        for name in re.findall(r"<row\d+>", json.dumps(call["body"])):
            names.setdefault(name, str(uuid.uuid4()))
        body = substituted(call["body"], names)
        status, reply = admin.call(call["do"], substituted(call["path"], names), body)
        assert status == call["status"], (call, reply)
        if call["do"] == "POST" and status == 201:
            names[f"<{call['step']}>"] = next(iter(reply.values()))["id"]
        await caught_up(client, expected, before, names)
        after = snapshot(client)
        compare(expected, change(before, after), after, names, call["step"])
        before = after


async def caught_up(
    client: Client, expected: Mapping[str, Any], before: Mapping[Any, Any], names: Mapping[str, str]
) -> None:
    """Waits until the plugin has written something, where something is expected that is compared."""
    news = [row for kind in ("insert", "delete") for row in expected.get(kind, [])]
    news += [row for row in expected.get("update", []) if not is_so_already(row, before, names)]
    if any(interesting(row) for row in news):
        await until(lambda: bool(change(before, snapshot(client))), "a change of the northbound")
    await client.barrier()


def is_so_already(row: list[Any], before: Mapping[Any, Any], names: Mapping[str, str]) -> bool:
    """Whether a recorded update changes nothing but what is not compared."""
    return any(unify_row(row, [*key, old], dict(names), whole=False) for key, old in before.items())


def interesting(row: list[Any]) -> bool:
    """Whether a recorded change has more in it than what is not compared."""
    return (
        len(row) < 3 or bool(set(row[2]) - {"external_ids"}) or set(row[2]["external_ids"]) - set(DIFFERENCES) != set()
    )


def snapshot(client: Client) -> dict[tuple[str, Uuid], dict[str, Any]]:
    found = {}
    for table in TABLES:
        for key, row in client.replica.rows(table).items():
            columns = {name: plain(getattr(row, column.attribute)) for name, column in table.spec.columns.items()}
            said = {k: v for k, v in columns.items() if v not in (None, "", [], {}) and LATER.get(k) != v}
            found[table.spec.name, key] = said
    return found


def plain(value: Any) -> Any:
    if isinstance(value, Map):
        return {k: v for k, v in value.items() if k not in DIFFERENCES}
    if isinstance(value, str):
        return UNDERSCORED.sub(r"\1-\2-\3-\4-\5", value)
    return list(value) if isinstance(value, tuple) else value


def change(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[str, list[Any]]:
    """As the recorder writes it: rows inserted, columns updated, rows deleted."""
    inserted = [[*key, row] for key, row in after.items() if key not in before]
    deleted = [list(key) for key in before if key not in after]
    updated = []
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        columns = {c: new.get(c) for c in new.keys() | old.keys() if old.get(c) != new.get(c)}
        if columns:
            updated.append([*key, columns])
    return {k: v for k, v in (("insert", inserted), ("update", updated), ("delete", deleted)) if v}


def compare(
    expected: Mapping[str, Any],
    ours: Mapping[str, Any],
    after: Mapping[tuple[str, Uuid], Any],
    names: dict[str, str],
    step: str,
) -> None:
    """Each recorded change has been made, and nothing else was."""
    for kind in ("insert", "update", "delete"):
        made = list(ours.get(kind, []))
        for row in sorted(expected.get(kind, []), key=lambda row: RANK[row[0]]):
            # A recorded update may be of what is not compared; then the row is as it says without having changed.
            candidates = made + ([[*key, row] for key, row in after.items()] if kind == "update" else [])
            match = next((mine for mine in candidates if unify_row(row, mine, names, whole=kind == "insert")), None)
            assert match is not None, f"{step}: no {kind} like {row}\nof {made}"
            made = [mine for mine in made if mine[:2] != match[:2]]
        surplus = [row for row in made if not note_only(row)]
        assert not surplus, f"{step}: {kind} that Neutron does not make: {surplus}"


def note_only(row: list[Any]) -> bool:
    """The MTU noted at a metadata port, which Neutron leaves as it was when the network's changes."""
    return row[0] == "Logical_Switch_Port" and len(row) == 3 and set(row[2]) == {"external_ids"}


def unify_row(recorded: list[Any], mine: list[Any], names: dict[str, str], *, whole: bool) -> bool:
    """Whether the rows are the same one; `whole` compares columns that the recording does not mention, too."""
    trial = dict(names)
    if recorded[0] != mine[0] or not unify(recorded[1], mine[1], trial):
        return False
    if len(recorded) == 3:
        columns = {c: v for c, v in recorded[2].items() if c not in ("_uuid", "up")}
        ours = {c: v for c, v in mine[2].items() if c != "up"}
        compared = columns.keys() | ours.keys() if whole else columns.keys()
        if not all(unify_column(columns.get(c), ours.get(c), trial) for c in compared):
            return False
    names.update(trial)
    return True


def unify_column(recorded: Any, mine: Any, names: dict[str, str]) -> bool:
    if isinstance(mine, dict) or isinstance(recorded, dict):
        recorded, mine = recorded or {}, mine or {}
        keys = (recorded.keys() | mine.keys()) - DIFFERENCES.keys()
        return all(unify(recorded.get(key), mine.get(key), names) for key in keys)
    if isinstance(mine, list):
        wanted = recorded if isinstance(recorded, list) else [recorded] if recorded is not None else []
        return len(wanted) == len(mine) and unify_set(wanted, mine, names)
    return unify(recorded, mine, names)


def unify_set(wanted: list[Any], mine: list[Any], names: dict[str, str]) -> bool:
    """Sets have no order: what is known already is matched first."""
    left = list(mine)
    for item in sorted(wanted, key=lambda item: "<" in substituted(item, names)):
        found = next((other for other in left if unify(item, other, names)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def unify(recorded: Any, mine: Any, names: dict[str, str]) -> bool:
    """Whether `mine` is `recorded` with its names filled in; names not known yet become known."""
    if not isinstance(recorded, str) or not isinstance(mine, str):
        return bool(recorded == mine)
    unknown: list[str] = []

    def piece(match: re.Match[str]) -> str:
        if match[0] in names:
            return re.escape(names[match[0]])
        unknown.append(match[0])
        return "([0-9a-f:-]+)"

    pattern = re.sub(r"<[a-z0-9_]+>", piece, re.sub(r"([.{}()+*?^$|\\\[\]])", r"\\\1", recorded))
    pattern = re.sub(r"::f816:3eff:fe[0-9a-f:]+", "::f816:3eff:fe[0-9a-f:]+", pattern)
    found = re.fullmatch(pattern, mine)
    if found:
        names.update(zip(unknown, found.groups(), strict=True))
    return found is not None


def substituted(value: Any, names: Mapping[str, str]) -> Any:
    return json.loads(re.sub(r"<[a-z0-9_]+>", lambda m: names.get(m[0], m[0]), json.dumps(value)))
