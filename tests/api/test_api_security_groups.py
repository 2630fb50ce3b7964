"""Security groups, and the groups of ports."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.api_server import Caller, Cloud, running_cloud

NOWHERE = "00000000-0000-4000-8000-000000000000"


def error(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


def default_of(caller: Caller) -> Any:
    (group,) = caller.list("security_group", "name=default")
    return group


@pytest.fixture
def network(alice: Caller) -> Any:
    return alice.make("network")


@pytest.fixture
def group(alice: Caller) -> Any:
    return alice.make("security_group", name="web")


def test_a_project_has_a_default_group_whose_members_reach_each_other(alice: Caller) -> None:
    group = default_of(alice)
    rules = {(rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in group["security_group_rules"]}
    assert rules == {
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]),
        ("ingress", "IPv6", group["id"]),
    }
    assert len(group["security_group_rules"]) == 4
    assert all(rule["belongs_to_default_sg"] for rule in group["security_group_rules"])
    assert default_of(alice)["id"] == group["id"]


def test_the_default_group_keeps_its_name_and_stays(alice: Caller) -> None:
    path = f"/v2.0/security-groups/{default_of(alice)['id']}"
    assert error(alice.put(path, {"security_group": {"name": "x"}})) == (409, "SecurityGroupCannotUpdateDefault")
    assert alice.put(path, {"security_group": {"description": "ours"}})[1]["security_group"]["description"] == "ours"
    assert error(alice.delete(path)) == (409, "SecurityGroupCannotRemoveDefault")


def test_an_administrator_may_delete_a_default_group_and_it_comes_back(admin: Caller, bob: Caller) -> None:
    old = default_of(bob)
    admin.remove("security_group", old["id"])
    new = default_of(bob)
    assert new["id"] != old["id"]
    assert len(new["security_group_rules"]) == 4


@pytest.mark.parametrize("name", ["default", "Default"])
def test_no_other_group_is_called_default(alice: Caller, group: Any, name: str) -> None:
    expected = (409, "SecurityGroupDefaultAlreadyExists")
    assert error(alice.post("/v2.0/security-groups", {"security_group": {"name": name}})) == expected
    path = f"/v2.0/security-groups/{group['id']}"
    assert error(alice.put(path, {"security_group": {"name": name}})) == expected


def test_a_new_group_lets_everything_out_and_nothing_in(alice: Caller, group: Any) -> None:
    assert (group["name"], group["stateful"], group["shared"], group["tags"]) == ("web", True, False, [])
    rules = group["security_group_rules"]
    assert sorted((rule["direction"], rule["ethertype"], rule["protocol"]) for rule in rules) == [
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
    ]
    assert not any(rule["belongs_to_default_sg"] for rule in rules)
    assert alice.show("security_group", group["id"]) == group


def test_a_group_is_changed_tagged_and_deleted(alice: Caller, group: Any) -> None:
    changed = alice.change("security_group", group["id"], name="www", description="d", stateful=False)
    assert (changed["name"], changed["description"], changed["stateful"]) == ("www", "d", False)
    assert changed["revision_number"] == group["revision_number"] + 1
    assert alice.put(f"/v2.0/security-groups/{group['id']}/tags/blue", None)[0] == 201
    assert [g["id"] for g in alice.list("security_group", "tags=blue")] == [group["id"]]
    alice.remove("security_group", group["id"])
    assert error(alice.get(f"/v2.0/security-groups/{group['id']}")) == (404, "SecurityGroupNotFound")
    assert alice.list("security_group_rule", f"security_group_id={group['id']}") == []


def test_groups_can_be_filtered(alice: Caller, group: Any) -> None:
    assert group["id"] in [g["id"] for g in alice.list("security_group", "name=web&stateful=True")]
    assert alice.list("security_group", "shared=True") == []
    assert group["id"] in [g["id"] for g in alice.list("security_group", "shared=False")]


def test_another_projects_group_does_not_exist(alice: Caller, bob: Caller, group: Any, network: Any) -> None:
    path = f"/v2.0/security-groups/{group['id']}"
    gone = (404, "SecurityGroupNotFound")
    assert error(bob.get(path)) == error(bob.delete(path)) == gone
    assert error(bob.put(path, {"security_group": {"name": "mine"}})) == gone
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    assert error(bob.post("/v2.0/security-group-rules", {"security_group_rule": rule})) == gone
    mine = bob.make("security_group", name="b")
    rule = {"security_group_id": mine["id"], "direction": "ingress", "remote_group_id": group["id"]}
    assert error(bob.post("/v2.0/security-group-rules", {"security_group_rule": rule})) == gone
    port = {"network_id": bob.make("network")["id"], "security_groups": [group["id"]]}
    assert error(bob.post("/v2.0/ports", {"port": port})) == gone


def test_readers_read_only(cloud: Cloud, group: Any) -> None:
    reader = cloud.user("reader")
    assert reader.show("security_group", group["id"])["name"] == "web"
    forbidden = (403, "PolicyNotAuthorized")
    assert error(reader.post("/v2.0/security-groups", {"security_group": {"name": "x"}})) == forbidden
    assert error(reader.delete(f"/v2.0/security-groups/{group['id']}")) == forbidden
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    assert error(reader.post("/v2.0/security-group-rules", {"security_group_rule": rule})) == forbidden


# --- the groups of ports --------------------------------------------------------------------------------------------


def test_a_port_gets_the_default_group_unless_others_are_named(alice: Caller, network: Any, group: Any) -> None:
    plain = alice.make("port", network_id=network["id"])
    assert plain["security_groups"] == [default_of(alice)["id"]]
    assert alice.make("port", network_id=network["id"], security_groups=None)["security_groups"] == [
        default_of(alice)["id"]
    ]
    assert alice.make("port", network_id=network["id"], security_groups=[])["security_groups"] == []
    named = alice.make("port", network_id=network["id"], security_groups=[group["id"]])
    assert named["security_groups"] == [group["id"]]


def test_a_port_names_each_group_once(alice: Caller, network: Any, group: Any) -> None:
    port = alice.make("port", network_id=network["id"])
    twice = {"port": {"security_groups": [group["id"], group["id"]]}}
    assert error(alice.put(f"/v2.0/ports/{port['id']}", twice)) == (400, "InvalidInput")
    twice["port"]["network_id"] = network["id"]
    assert error(alice.post("/v2.0/ports", twice)) == (400, "InvalidInput")
    assert alice.show("port", port["id"]) == port


def test_the_groups_of_a_port_are_all_stateful_or_all_stateless(alice: Caller, network: Any, group: Any) -> None:
    stateless = [alice.make("security_group", stateful=False)["id"] for _ in range(2)]
    mixed = {"network_id": network["id"], "security_groups": [group["id"], stateless[0]]}
    assert error(alice.post("/v2.0/ports", {"port": mixed})) == (409, "SecurityGroupConflict")
    port = alice.make("port", network_id=network["id"], security_groups=[group["id"]])
    both = {"port": {"security_groups": [group["id"], stateless[0]]}}
    assert error(alice.put(f"/v2.0/ports/{port['id']}", both)) == (409, "SecurityGroupConflict")
    changed = alice.change("port", port["id"], security_groups=stateless)
    assert changed["security_groups"] == sorted(stateless)


def test_an_item_of_a_bulk_request_may_have_its_kinds_name_around_it(alice: Caller) -> None:
    status, reply = alice.post("/v2.0/security-groups", {"security_groups": [{"security_group": {"name": "a"}}, {}]})
    assert status == 201, reply
    assert [made["name"] for made in reply["security_groups"]] == ["a", ""]
    wrong = {"security_groups": [{"security_group": {"name": "a"}, "name": "b"}]}
    assert alice.post("/v2.0/security-groups", wrong)[0] == 400


def test_a_port_without_port_security_has_no_groups(alice: Caller, network: Any, group: Any) -> None:
    base = {"network_id": network["id"], "port_security_enabled": False}
    port = alice.make("port", **base)
    assert port["security_groups"] == []
    needed = (400, "PortSecurityAndIPRequiredForSecurityGroups")
    assert error(alice.post("/v2.0/ports", {"port": base | {"security_groups": [group["id"]]}})) == needed
    path = f"/v2.0/ports/{port['id']}"
    assert error(alice.put(path, {"port": {"security_groups": [group["id"]]}})) == needed
    both = {"security_groups": [group["id"]], "port_security_enabled": True}
    assert alice.change("port", port["id"], **both)["security_groups"] == [group["id"]]
    off = {"port": {"port_security_enabled": False}}
    assert error(alice.put(path, off)) == (409, "PortSecurityPortHasSecurityGroup")
    off["port"]["security_groups"] = []  # type: ignore[assignment]
    assert alice.put(path, off)[1]["port"]["security_groups"] == []


def test_the_port_of_a_network_service_has_no_groups(admin: Caller) -> None:
    network = admin.make("network")
    port = admin.make("port", network_id=network["id"], device_owner="network:dhcp")
    assert port["security_groups"] == []


def test_a_ports_groups_are_replaced(alice: Caller, network: Any, group: Any) -> None:
    port = alice.make("port", network_id=network["id"])
    assert alice.change("port", port["id"], name="x")["security_groups"] == port["security_groups"]
    assert alice.change("port", port["id"], security_groups=[group["id"]])["security_groups"] == [group["id"]]
    assert alice.change("port", port["id"], security_groups=[])["security_groups"] == []


@pytest.mark.parametrize(
    ("groups", "kind"),
    [
        ([NOWHERE], (404, "SecurityGroupNotFound")),
        (["web"], (400, "InvalidInput")),
        ("web", (400, "InvalidInput")),
        ([7], (400, "InvalidInput")),
    ],
)
def test_groups_that_are_none_are_refused(alice: Caller, network: Any, groups: Any, kind: tuple[int, str]) -> None:
    assert error(alice.post("/v2.0/ports", {"port": {"network_id": network["id"], "security_groups": groups}})) == kind


def test_ports_are_filtered_by_group(alice: Caller, network: Any, group: Any) -> None:
    port = alice.make("port", network_id=network["id"], security_groups=[group["id"]])
    alice.make("port", network_id=network["id"])
    assert [p["id"] for p in alice.list("port", f"security_groups={group['id']}")] == [port["id"]]


def test_a_group_in_use_stays_as_it_is(alice: Caller, network: Any, group: Any) -> None:
    port = alice.make("port", network_id=network["id"], security_groups=[group["id"]])
    path = f"/v2.0/security-groups/{group['id']}"
    in_use = (409, "SecurityGroupInUse")
    assert error(alice.delete(path)) == in_use
    assert error(alice.put(path, {"security_group": {"stateful": False}})) == in_use
    alice.remove("port", port["id"])
    alice.remove("security_group", group["id"])


def test_rules_that_name_a_deleted_group_go_with_it(alice: Caller, group: Any) -> None:
    other = alice.make("security_group", name="other")
    rule = alice.make(
        "security_group_rule", security_group_id=other["id"], direction="ingress", remote_group_id=group["id"]
    )
    itself = {"security_group_id": group["id"], "direction": "ingress", "remote_group_id": group["id"]}
    alice.make("security_group_rule", **itself)
    alice.remove("security_group", group["id"])
    assert error(alice.get(f"/v2.0/security-group-rules/{rule['id']}")) == (404, "SecurityGroupRuleNotFound")
    assert len(alice.show("security_group", other["id"])["security_group_rules"]) == 2


def test_processes_that_race_make_one_default_group(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_cloud(tmp_path_factory.mktemp("race"), daemons=(1, 1)) as cloud:
        admin = cloud.user("admin")
        admins = cloud.project_id("admin")
        callers = [cloud.user("admin", daemon=number % 2) for number in range(8)]
        network = cloud.user("alice").make("network", name="n")

        def port(caller: Caller) -> tuple[int, Any]:
            return caller.post("/v2.0/ports", {"port": {"network_id": network["id"]}})

        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(port, callers))
        assert [status for status, _ in replies] == [201] * 8
        (default,) = admin.list("security_group", f"name=default&project_id={admins}")
        assert {tuple(body["port"]["security_groups"]) for _, body in replies} == {(default["id"],)}
