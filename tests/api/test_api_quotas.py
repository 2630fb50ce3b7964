"""Quotas: who may see and set them, and that they hold, whoever makes resources at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ovine.model.cloud import DATABASE, QuotaUsage
from ovine.ovsdb import Transaction
from support.api_server import Caller, Cloud, running_cloud
from support.openstack_sdk import sdk_connection
from support.ovsdb import connected
from support.routed import inside, join, refused

CONFIG = "[quota]\nnetwork = 5\nrouter = -1\nport = 6\nsecurity_group = 0\n[vlan_ranges]\nphysnet1 = []\n"
OVER = (409, "OverQuota")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory: Path = tmp_path_factory.mktemp("quotas")
    with running_cloud(directory, daemons=(1, 1), config=CONFIG) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(cloud: Cloud) -> Iterator[None]:
    yield
    admin = cloud.user("admin")
    for router in admin.list("router"):
        for port in admin.list("port", f"device_id={router['id']}"):
            admin.put(f"/v2.0/routers/{router['id']}/remove_router_interface", {"port_id": port["id"]})
        admin.remove("router", router["id"])
    for port in admin.list("port"):
        if port["device_owner"] != "network:distributed":
            admin.remove("port", port["id"])
    for network in admin.list("network"):
        admin.remove("network", network["id"])
    for project in ("demo", "other"):
        admin.delete(f"/v2.0/quotas/{cloud.project_id(project)}")
    real = {(project, name): n for project in ("demo", "other") for name, n in counts(cloud, project).items()}
    assert {key: n for key, n in recorded(cloud).items() if key in real} == {
        key: n for key, n in real.items() if key in recorded(cloud)
    }


def counts(cloud: Cloud, project: str) -> dict[str, int]:
    admin, key = cloud.user("admin"), cloud.project_id(project)
    kinds = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
    return {kind: len(admin.list(kind, f"project_id={key}")) for kind in kinds}


def recorded(cloud: Cloud) -> dict[tuple[str, str], int]:
    """What the database says is used, by the names of the projects."""
    names = {cloud.project_id(name): name for name in ("admin", "demo", "other")}
    rows = cloud.cloud_db.select("Quota_Usage", "project_id", "resource", "used")
    return {(names[row["project_id"]], row["resource"]): row["used"] for row in rows}


def quota(caller: Caller, project: str, what: str = "") -> Any:
    status, body = caller.get(f"/v2.0/quotas/{project}{what}")
    assert status == 200, body
    return body["quota"]


def test_limits_are_shown_set_and_reset(cloud: Cloud, admin: Caller, alice: Caller) -> None:
    demo = cloud.project_id("demo")
    defaults = {
        "network": 5,
        "subnet": 100,
        "subnetpool": -1,
        "port": 6,
        "router": -1,
        "floatingip": 50,
        "security_group": 0,
        "security_group_rule": 100,
    }
    assert quota(alice, demo) == quota(alice, demo, "/default") == defaults
    assert alice.get("/v2.0/quotas/tenant")[1] == {"tenant": {"tenant_id": demo}}
    status, body = admin.put(f"/v2.0/quotas/{demo}", {"quota": {"port": 7, "network": "-1"}})
    assert (status, body["quota"]) == (200, defaults | {"port": 7, "network": -1})
    assert quota(alice, demo, "/default") == defaults
    assert [q["project_id"] for q in admin.get("/v2.0/quotas")[1]["quotas"]] == [demo]
    assert admin.delete(f"/v2.0/quotas/{demo}")[0] == 204
    assert quota(alice, demo) == defaults
    assert refused(admin.delete(f"/v2.0/quotas/{demo}")) == (404, "ProjectQuotaNotFound")


def test_only_administrators_set_them_and_see_those_of_others(cloud: Cloud, alice: Caller) -> None:
    demo, other = cloud.project_id("demo"), cloud.project_id("other")
    forbidden = (403, "PolicyNotAuthorized")
    assert refused(alice.get(f"/v2.0/quotas/{other}")) == forbidden
    assert refused(alice.get("/v2.0/quotas")) == forbidden
    assert refused(alice.put(f"/v2.0/quotas/{demo}", {"quota": {"port": 7}})) == forbidden
    assert refused(alice.delete(f"/v2.0/quotas/{demo}")) == forbidden


@pytest.mark.parametrize("value", ["x", None, 1.5, True, -2, 2**31, [], {}, "9" * 100])
def test_what_is_no_limit_is_refused(cloud: Cloud, admin: Caller, value: Any) -> None:
    path = f"/v2.0/quotas/{cloud.project_id('demo')}"
    assert refused(admin.put(path, {"quota": {"port": value}})) == (400, "HTTPBadRequest")
    assert refused(admin.put(path, {"quota": {"cheese": 1}})) == (400, "HTTPBadRequest")
    assert refused(admin.put(path, {"quota": [value]})) == (400, "HTTPBadRequest")


def test_one_too_many_is_refused_and_a_bulk_request_as_a_whole(cloud: Cloud, alice: Caller, bob: Caller) -> None:
    for _ in range(4):
        alice.make("network")
    two = {"networks": [{}, {}]}
    assert refused(alice.post("/v2.0/networks", two)) == OVER
    fifth = alice.make("network")
    assert refused(alice.post("/v2.0/networks", {"network": {}})) == OVER
    assert bob.make("network")["id"]
    alice.remove("network", fifth["id"])
    assert alice.make("network")["id"]
    shown = quota(alice, cloud.project_id("demo"), "/details")["network"]
    assert shown == {"used": 5, "limit": 5, "reserved": 0}


def test_what_services_make_counts_but_is_not_refused(alice: Caller) -> None:
    networks = [inside(alice, f"10.{n}.0.0/24") for n in range(4)]
    assert alice.list("security_group") != []
    for network, _ in networks[:2]:
        alice.make("port", network_id=network["id"])
    one_more = {"port": {"network_id": networks[0][0]["id"]}}
    assert refused(alice.post("/v2.0/ports", one_more)) == OVER
    join(alice, alice.make("router"), networks[0][1])
    assert refused(alice.post("/v2.0/security-groups", {"security_group": {"name": "x"}})) == OVER


def test_the_rules_of_a_new_group_need_room_but_those_of_a_default_group_do_not(
    cloud: Cloud, admin: Caller, alice: Caller
) -> None:
    demo = cloud.project_id("demo")
    path = f"/v2.0/quotas/{demo}"
    assert admin.put(path, {"quota": {"security_group": -1, "security_group_rule": 0, "force": True}})[0] == 200
    (default,) = alice.list("security_group")
    assert len(default["security_group_rules"]) == 4
    assert refused(alice.post("/v2.0/security-groups", {"security_group": {"name": "x"}})) == OVER
    assert admin.put(path, {"quota": {"security_group_rule": 6}})[0] == 200
    group = alice.make("security_group", name="x")
    assert refused(alice.post("/v2.0/security-groups", {"security_group": {"name": "y"}})) == OVER
    alice.remove("security_group", group["id"])


def test_a_limit_below_the_usage_lets_nothing_more_be_made(cloud: Cloud, admin: Caller, alice: Caller) -> None:
    demo = cloud.project_id("demo")
    for _ in range(3):
        alice.make("network")
    body = {"network": 1, "check_limit": True}
    for asked in (body, {"network": 1}, {"network": 1, "force": False}):
        assert refused(admin.put(f"/v2.0/quotas/{demo}", {"quota": asked})) == (400, "InvalidQuotaValue")
    assert quota(alice, demo)["network"] == 5
    assert admin.put(f"/v2.0/quotas/{demo}", {"quota": body | {"force": True}})[0] == 200
    assert refused(alice.post("/v2.0/networks", {"network": {}})) == OVER
    assert admin.put(f"/v2.0/quotas/{demo}", {"quota": {"network": -1}})[0] == 200
    for _ in range(4):
        alice.make("network")


def test_the_limit_holds_for_many_at_once(cloud: Cloud, admin: Caller) -> None:
    demo = cloud.project_id("demo")
    for limit in (3, 8):
        assert admin.put(f"/v2.0/quotas/{demo}", {"quota": {"network": limit}})[0] == 200
        there = len(admin.list("network", f"project_id={demo}"))
        with ThreadPoolExecutor(8) as pool:
            callers = [cloud.user("alice", daemon=n % 2) for n in range(16)]
            replies = list(pool.map(lambda caller: caller.post("/v2.0/networks", {"network": {}}), callers))
        assert sorted({status for status, _ in replies}) == [201, 409]
        assert sum(status == 201 for status, _ in replies) == limit - there
        assert {reply["NeutronError"]["type"] for status, reply in replies if status == 409} == {"OverQuota"}


async def test_a_number_that_was_changed_by_hand_is_put_right(cloud: Cloud, alice: Caller) -> None:
    alice.make("network")
    async with connected(DATABASE, cloud.cloud_db.remote, monitors=[QuotaUsage]) as client:
        for wrong in (99, -5):
            transaction = Transaction()
            for row in client.replica.rows(QuotaUsage).values():
                if (row.resource, row.project_id) == ("network", cloud.project_id("demo")):
                    transaction.update(QuotaUsage, row.uuid, used=wrong)
            await client.transact(transaction)
            made = await asyncio.to_thread(alice.make, "network")
            assert made["id"]
    assert recorded(cloud)["demo", "network"] == 3
    alice.make("network")
    alice.make("network")
    assert refused(alice.post("/v2.0/networks", {"network": {}})) == OVER


def test_openstacksdk_reads_and_sets_them(cloud: Cloud) -> None:
    demo = cloud.project_id("demo")
    with sdk_connection(cloud, "admin") as connection:
        assert connection.network.get_quota(demo).ports == 6
        assert connection.network.update_quota(demo, ports=9).ports == 9
        assert connection.network.get_quota(demo, details=True).ports["limit"] == 9
        assert connection.network.get_quota_default(demo).ports == 6
        connection.network.delete_quota(demo, ignore_missing=False)
