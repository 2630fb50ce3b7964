"""Agents: how they are shown, who may see and forget them. The plugin's part of the database is written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ovine.model import cloud as model
from ovine.model.base import Map, Row, Uuid
from ovine.ovsdb import Client, Transaction
from support.api_server import CONFIG, Caller, Cloud, running_cloud
from support.routed import refused

ALIVE, SILENT, DEAD, NEVER = (Uuid(f"{n}0000000-0000-4000-8000-000000000000") for n in (1, 2, 3, 4))
PATH = "/v2.0/agents"
NOW = datetime.now(UTC).replace(microsecond=0)
"""When this module was read; its agents are judged by an hour."""


def ago(minutes: int) -> str:
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(minutes: int) -> str:
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")


def agent(uuid: Uuid, number: int, **columns: Any) -> model.Agent:
    return model.Agent(
        uuid=uuid,
        agent_type="OVN Controller agent",
        binary="ovn-controller",
        host=f"host{number}",
        chassis=f"hv{number}",
        bridge_mappings="public:br-ex",
        availability_zones=("east", "north"),
        created_at=ago(6000),
        started_at=ago(5000),
        **columns,
    )


async def write(remote: str, *rows: Row) -> None:
    client = Client(model.DATABASE, remote, monitors=[model.Agent, model.AgentCheck])
    await client.start()
    await client.ready(10)
    txn = Transaction()
    for table in (model.Agent, model.AgentCheck):
        for uuid in client.replica.rows(table):
            txn.delete(table, uuid)
    await client.transact(txn)
    txn = Transaction()
    for row in rows:
        txn.insert(row)
    await client.transact(txn)
    await client.close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An hour is long enough that no test is a race."""
    config = f"agent_down_time = 3600\n{CONFIG}"
    with running_cloud(tmp_path_factory.mktemp("cloud"), config=config) as running:
        yield running


@pytest.fixture(autouse=True)
def rows(cloud: Cloud) -> None:
    asyncio.run(
        write(
            cloud.cloud_db.remote,
            model.AgentCheck(asked=Map({7: ago(30), 8: ago(20), 9: ago(10)})),
            agent(ALIVE, 1, responding=True, heartbeat_at=ago(900)),
            agent(SILENT, 2, heartbeat_at=ago(40)),
            agent(DEAD, 3, heartbeat_at=ago(80), description="in repair"),
            agent(NEVER, 4),
        )
    )


def test_an_agent_is_shown_as_neutron_shows_one_of_ovn(admin: Caller) -> None:
    assert admin.show("agent", ALIVE) == {
        "id": ALIVE,
        "agent_type": "OVN Controller agent",
        "binary": "ovn-controller",
        "topic": "n/a",
        "host": "host1",
        "admin_state_up": True,
        "alive": True,
        "created_at": shown(6000),
        "started_at": shown(5000),
        "heartbeat_timestamp": shown(20),
        "configurations": {"chassis_name": "hv1", "bridge-mappings": "public:br-ex"},
        "description": None,
        "availability_zone": "east, north",
    }


def test_who_is_alive_depends_on_the_last_heartbeat(admin: Caller) -> None:
    found = {item["id"]: (item["alive"], item["heartbeat_timestamp"]) for item in admin.list("agent")}
    assert found == {
        ALIVE: (True, shown(20)),
        SILENT: (True, shown(40)),
        DEAD: (False, shown(80)),
        NEVER: (False, None),
    }


def test_nobody_is_alive_if_nobody_asks(cloud: Cloud, admin: Caller) -> None:
    check = model.AgentCheck(asked=Map({7: ago(80), 8: ago(70)}))
    asyncio.run(write(cloud.cloud_db.remote, check, agent(ALIVE, 1, responding=True)))
    assert [(item["alive"], item["heartbeat_timestamp"]) for item in admin.list("agent")] == [(False, shown(80))]


def test_agents_are_filtered_and_their_fields_chosen(admin: Caller) -> None:
    assert {item["id"] for item in admin.list("agent", "alive=True")} == {ALIVE, SILENT}
    assert [item["id"] for item in admin.list("agent", "host=host3&binary=ovn-controller")] == [DEAD]
    assert admin.list("agent", "agent_type=OVN+Metadata+agent") == []
    assert admin.list("agent", "host=host1&fields=alive") == [{"alive": True}]
    for unknown in ("tags=x", "changed_since=2026-01-01", "cheese=1", "started_at=x"):
        assert refused(admin.get(f"{PATH}?{unknown}")) == (400, "HTTPBadRequest")


def test_only_administrators_see_agents(alice: Caller) -> None:
    assert alice.list("agent") == []
    assert refused(alice.get(f"{PATH}/{ALIVE}")) == (404, "AgentNotFound")
    assert refused(alice.put(f"{PATH}/{ALIVE}", {"agent": {"description": "x"}})) == (404, "AgentNotFound")
    assert refused(alice.delete(f"{PATH}/{DEAD}")) == (404, "AgentNotFound")


def test_agents_are_described_and_never_disabled_or_made(admin: Caller) -> None:
    assert admin.change("agent", ALIVE, description="rack 7", admin_state_up=True)["description"] == "rack 7"
    assert admin.change("agent", ALIVE, description=None)["description"] is None
    assert refused(admin.put(f"{PATH}/{ALIVE}", {"agent": {"admin_state_up": False}})) == (400, "BadRequest")
    assert refused(admin.put(f"{PATH}/{ALIVE}", {"agent": {"host": "x"}})) == (400, "HTTPBadRequest")
    assert refused(admin.post(PATH, {"agent": {}})) == (400, "BadRequest")
    assert refused(admin.put(f"{PATH}/{ALIVE}", {"agent": {}}, If_Match="revision_number=1"))[0] == 412


def test_only_a_dead_agent_can_be_forgotten_and_is_gone_at_once(cloud: Cloud, admin: Caller) -> None:
    for alive in (ALIVE, SILENT):
        assert refused(admin.delete(f"{PATH}/{alive}")) == (409, "AgentInUse")
    for dead in (DEAD, NEVER):
        admin.remove("agent", dead)
        assert refused(admin.get(f"{PATH}/{dead}")) == (404, "AgentNotFound")
        assert refused(admin.delete(f"{PATH}/{dead}")) == (404, "AgentNotFound")
    assert {item["id"] for item in admin.list("agent")} == {ALIVE, SILENT}
    assert asyncio.run(removals(cloud.cloud_db.remote)) == {DEAD, NEVER}


async def removals(remote: str) -> set[Uuid]:
    client = Client(model.DATABASE, remote, monitors=[model.Agent])
    await client.start()
    await client.ready(10)
    found = {row.uuid for row in client.replica.rows(model.Agent).values() if row.removal}
    await client.close()
    return found


def test_one_that_comes_back_meanwhile_is_there_again(cloud: Cloud, admin: Caller) -> None:
    check = model.AgentCheck(asked=Map({9: ago(1)}))
    asyncio.run(write(cloud.cloud_db.remote, check, agent(DEAD, 3, responding=True, removal=True)))
    assert admin.show("agent", DEAD)["alive"] is True
