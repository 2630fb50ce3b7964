"""Projects don't see each other; what only administrators may do or see."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller, Cloud


def error(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


@pytest.fixture(scope="module")
def alices(cloud: Cloud) -> dict[str, Any]:
    """A network, subnet and port of alice's."""
    alice = cloud.user("alice")
    network = alice.make("network", name="hers")
    subnet = alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    return {"network": network, "subnet": subnet, "port": alice.make("port", network_id=network["id"])}


NOT_FOUND = {"network": "NetworkNotFound", "subnet": "SubnetNotFound", "port": "PortNotFound"}


@pytest.mark.parametrize("kind", NOT_FOUND)
def test_another_projects_resources_do_not_exist(bob: Caller, alices: dict[str, Any], kind: str) -> None:
    path = f"/v2.0/{kind}s/{alices[kind]['id']}"
    expected = (404, NOT_FOUND[kind])
    assert error(bob.get(path)) == expected
    assert error(bob.put(path, {kind: {"name": "mine"}})) == expected
    assert error(bob.delete(path)) == expected
    assert error(bob.put(f"{path}/tags/x", None)) == expected
    assert alices[kind]["id"] not in [item["id"] for item in bob.list(kind)]
    assert bob.list(kind, f"id={alices[kind]['id']}") == []


def test_nothing_can_be_made_in_another_projects_network(bob: Caller, alices: dict[str, Any]) -> None:
    network_id = alices["network"]["id"]
    assert error(bob.post("/v2.0/ports", {"port": {"network_id": network_id}})) == (404, "NetworkNotFound")
    subnet = {"network_id": network_id, "ip_version": 4, "cidr": "10.1.0.0/24"}
    assert error(bob.post("/v2.0/subnets", {"subnet": subnet})) == (404, "NetworkNotFound")


def test_another_projects_subnet_is_no_subnet_of_mine(bob: Caller, alices: dict[str, Any]) -> None:
    network = bob.make("network")
    body = {"network_id": network["id"], "fixed_ips": [{"subnet_id": alices["subnet"]["id"]}]}
    assert error(bob.post("/v2.0/ports", {"port": body})) == (400, "InvalidInput")


def test_nothing_can_be_made_for_another_project_but_by_administrators(
    cloud: Cloud, alice: Caller, admin: Caller
) -> None:
    others = cloud.project_id("other")
    assert error(alice.post("/v2.0/networks", {"network": {"project_id": others}})) == (400, "HTTPBadRequest")
    assert error(alice.post("/v2.0/networks", {"network": {"tenant_id": others}})) == (400, "HTTPBadRequest")
    assert admin.make("network", project_id=others)["tenant_id"] == others


def test_the_same_addresses_live_in_two_projects(alice: Caller, bob: Caller) -> None:
    for caller in (alice, bob):
        network = caller.make("network")
        caller.make("subnet", network_id=network["id"], ip_version=4, cidr="10.77.0.0/24")
        port = caller.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.77.0.5"}])
        assert port["fixed_ips"][0]["ip_address"] == "10.77.0.5"


def test_administrators_see_everything(admin: Caller, alices: dict[str, Any]) -> None:
    for kind in NOT_FOUND:
        assert admin.show(kind, alices[kind]["id"])["id"] == alices[kind]["id"]


def test_members_do_not_see_what_is_the_operators(alice: Caller, admin: Caller, alices: dict[str, Any]) -> None:
    hidden = {"network": "provider:network_type", "port": "binding:vif_type"}
    for kind, attribute in hidden.items():
        assert attribute not in alice.show(kind, alices[kind]["id"])
        assert attribute in admin.show(kind, alices[kind]["id"])
    assert "binding:vnic_type" in alice.show("port", alices["port"]["id"])
    host = f"id={alices['port']['id']}&binding:host_id="
    assert alice.list("port", host) == []
    assert len(admin.list("port", host)) == 1


FORBIDDEN = {
    "shared": ("network", {"shared": True}),
    "external": ("network", {"router:external": True}),
    "provider": ("network", {"provider:network_type": "vlan"}),
    "host": ("port", {"binding:host_id": "host1"}),
    "profile": ("port", {"binding:profile": {"a": 1}}),
}


@pytest.mark.parametrize("kind, attributes", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_members_are_refused_what_is_the_operators(
    alice: Caller, alices: dict[str, Any], kind: str, attributes: dict[str, Any]
) -> None:
    needed = {"network_id": alices["network"]["id"]} if kind == "port" else {}
    reply = alice.post(f"/v2.0/{kind}s", {kind: needed | attributes})
    assert error(reply) == (403, "PolicyNotAuthorized")
    assert next(iter(attributes)) in reply[1]["NeutronError"]["message"]
    changed = alice.put(f"/v2.0/{kind}s/{alices[kind]['id']}", {kind: attributes})
    assert error(changed) == (403, "PolicyNotAuthorized")


def test_readers_read_only(cloud: Cloud, alices: dict[str, Any]) -> None:
    reader = cloud.user("reader")
    assert reader.show("network", alices["network"]["id"])["name"] == "hers"
    assert error(reader.post("/v2.0/networks", {"network": {}})) == (403, "PolicyNotAuthorized")
    path = f"/v2.0/networks/{alices['network']['id']}"
    assert error(reader.put(path, {"network": {"name": "x"}})) == (403, "PolicyNotAuthorized")
    assert error(reader.delete(path)) == (403, "PolicyNotAuthorized")
    assert error(reader.delete(f"{path}/tags")) == (403, "PolicyNotAuthorized")


def test_a_shared_network_can_be_used_but_not_changed(admin: Caller, bob: Caller) -> None:
    network = admin.make("network", shared=True)
    subnet = admin.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    path = f"/v2.0/networks/{network['id']}"
    assert bob.show("subnet", subnet["id"])["cidr"] == "10.0.0.0/24"
    assert error(bob.put(path, {"network": {"name": "x"}})) == (403, "PolicyNotAuthorized")
    more = {"network_id": network["id"], "ip_version": 4, "cidr": "10.1.0.0/24"}
    assert error(bob.post("/v2.0/subnets", {"subnet": more})) == (403, "PolicyNotAuthorized")
    port = bob.make("port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}])
    refused = [
        {"fixed_ips": [{"ip_address": "10.0.0.9"}]},
        {"mac_address": "02:00:00:00:00:01"},
        {"device_owner": "network:router_interface"},
        {"port_security_enabled": False},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]},
    ]
    for attributes in refused:
        body = {"port": {"network_id": network["id"]} | attributes}
        assert error(bob.post("/v2.0/ports", body)) == (403, "PolicyNotAuthorized"), attributes
    assert [p["id"] for p in bob.list("port", f"network_id={network['id']}")] == [port["id"]]
    assert admin.show("port", port["id"])["project_id"] == port["project_id"]
