"""Address groups."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller

GROUPS = "/v2.0/address-groups"


def error(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


@pytest.fixture
def group(alice: Caller) -> Any:
    return alice.make("address_group", name="ag", addresses=["192.0.2.5/24", "fd00::/64"])


def test_an_address_group_holds_networks_in_canonical_form(alice: Caller, group: Any) -> None:
    assert group["addresses"] == ["192.0.2.0/24", "fd00::/64"]
    assert alice.show("address_group", group["id"]) == group
    assert [g["id"] for g in alice.list("address_group", f"id={group['id']}")] == [group["id"]]
    assert alice.make("address_group")["addresses"] == []


def test_an_address_group_is_renamed_and_deleted(alice: Caller, group: Any) -> None:
    assert alice.change("address_group", group["id"], name="x", description="d")["name"] == "x"
    path = f"{GROUPS}/{group['id']}"
    assert error(alice.put(path, {"address_group": {"addresses": []}})) == (400, "HTTPBadRequest")
    alice.remove("address_group", group["id"])
    assert error(alice.get(path)) == (404, "AddressGroupNotFound")


def test_addresses_are_added_and_removed(alice: Caller, group: Any) -> None:
    path = f"{GROUPS}/{group['id']}"
    status, body = alice.put(f"{path}/add_addresses", {"addresses": ["198.51.100.7/32"]})
    assert status == 200
    assert body["address_group"]["addresses"] == ["192.0.2.0/24", "198.51.100.7/32", "fd00::/64"]
    again = alice.put(f"{path}/add_addresses", {"addresses": ["198.51.100.7/32", "10.0.0.0/8"]})
    assert error(again) == (400, "AddressesAlreadyExist")
    status, body = alice.put(f"{path}/remove_addresses", {"addresses": ["192.0.2.0/24", "fd00::/64"]})
    assert body["address_group"]["addresses"] == ["198.51.100.7/32"]
    absent = alice.put(f"{path}/remove_addresses", {"addresses": ["192.0.2.0/24"]})
    assert error(absent) == (404, "AddressesNotFound")


def test_an_address_alone_is_the_network_of_just_itself(alice: Caller, group: Any) -> None:
    path = f"{GROUPS}/{group['id']}"
    _, body = alice.put(f"{path}/add_addresses", {"addresses": ["198.51.100.7", "fd00:1::7"]})
    assert {"198.51.100.7/32", "fd00:1::7/128"} <= set(body["address_group"]["addresses"])
    absent = alice.put(f"{path}/remove_addresses", {"addresses": ["198.51.100.8"]})
    assert error(absent) == (404, "AddressesNotFound")
    _, body = alice.put(f"{path}/remove_addresses", {"addresses": ["198.51.100.7", "fd00:1::7/128"]})
    assert body["address_group"]["addresses"] == group["addresses"]


@pytest.mark.parametrize(
    "body", [{}, [], {"addresses": "10.0.0.0/8"}, {"addresses": ["x"]}, {"addresses": [7]}, {"addresses": None}]
)
def test_what_are_no_addresses_is_refused(alice: Caller, group: Any, body: Any) -> None:
    assert alice.put(f"{GROUPS}/{group['id']}/add_addresses", body)[0] == 400


def test_a_group_that_a_rule_names_stays(alice: Caller, group: Any) -> None:
    security_group = alice.make("security_group", name="g")
    rule = alice.make(
        "security_group_rule",
        security_group_id=security_group["id"],
        direction="ingress",
        remote_address_group_id=group["id"],
    )
    assert rule["remote_address_group_id"] == group["id"]
    assert error(alice.delete(f"{GROUPS}/{group['id']}")) == (409, "AddressGroupInUse")
    alice.remove("security_group_rule", rule["id"])
    alice.remove("address_group", group["id"])


def test_another_projects_address_group_does_not_exist(alice: Caller, bob: Caller, group: Any) -> None:
    path = f"{GROUPS}/{group['id']}"
    missing = (404, "AddressGroupNotFound")
    assert error(bob.get(path)) == error(bob.delete(path)) == missing
    assert error(bob.put(f"{path}/add_addresses", {"addresses": ["10.0.0.0/8"]})) == missing
    mine = bob.make("security_group", name="g")
    rule = {"security_group_id": mine["id"], "direction": "ingress", "remote_address_group_id": group["id"]}
    assert error(bob.post("/v2.0/security-group-rules", {"security_group_rule": rule})) == missing


def test_address_groups_have_no_tags(alice: Caller, group: Any) -> None:
    assert "tags" not in group
    assert alice.get(f"{GROUPS}/{group['id']}/tags")[0] == 404
