"""Several bindings of a port: how Nova moves an instance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.api_server import Caller, Cloud, running_cloud
from support.openstack_sdk import sdk_connection
from support.routed import refused


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        for name in ("h1", "h2", "h3"):
            running.register_chassis(name, name)
        yield running


@pytest.fixture
def nova(cloud: Cloud) -> Caller:
    return cloud.user("nova")


def instance(nova: Caller, host: str = "h1", **attributes: Any) -> Any:
    network = nova.make("network")
    given = {"device_id": "i", "device_owner": "compute:nova", "binding:host_id": host, **attributes}
    return nova.make("port", network_id=network["id"], **given)


def path(port: Any, *words: str) -> str:
    return "/".join((f"/v2.0/ports/{port['id']}/bindings", *words))


def states(nova: Caller, port: Any) -> dict[str, str]:
    return {b["host"]: b["status"] for b in nova.get(path(port))[1]["bindings"]}


def test_a_port_moves_from_host_to_host(nova: Caller) -> None:
    port = instance(nova, **{"binding:profile": {"a": 1}})
    status, reply = nova.post(path(port), {"binding": {"host": "h2", "vnic_type": "normal", "profile": {"b": 2}}})
    assert status == 201
    shown = reply["binding"]
    assert shown | {"vif_details": {}} == {
        "host": "h2",
        "vif_type": "ovs",
        "vif_details": {},
        "vnic_type": "normal",
        "profile": {"b": 2},
        "status": "INACTIVE",
        "project_id": port["project_id"],
    }
    assert shown["vif_details"]["bridge_name"] == "br-int"
    assert nova.get(path(port, "h2")) == (200, reply)
    assert nova.get(f"{path(port)}?status=INACTIVE&fields=host") == (200, {"bindings": [{"host": "h2"}]})
    assert states(nova, port) == {"h1": "ACTIVE", "h2": "INACTIVE"}
    assert nova.show("port", port["id"])["binding:host_id"] == "h1"
    activated = nova.call("PUT", path(port, "h2", "activate"))
    assert (activated[0], activated[1]["binding"]["status"]) == (200, "ACTIVE")
    moved = nova.show("port", port["id"])
    assert (moved["binding:host_id"], moved["binding:profile"], moved["binding:vif_type"]) == ("h2", {"b": 2}, "ovs")
    assert states(nova, port) == {"h1": "INACTIVE", "h2": "ACTIVE"}
    assert refused(nova.call("PUT", path(port, "h2", "activate"))) == (409, "PortBindingAlreadyActive")
    assert nova.delete(path(port, "h1")) == (204, None)
    assert states(nova, port) == {"h2": "ACTIVE"}
    assert refused(nova.get(path(port, "h1"))) == (404, "PortBindingNotFound")
    assert refused(nova.delete(path(port, "h1"))) == (404, "PortBindingNotFound")
    assert refused(nova.call("PUT", path(port, "h1", "activate"))) == (404, "PortBindingNotFound")
    assert refused(nova.delete(path(port, "h2"))) == (409, "PortBindingAlreadyActive")


def test_a_move_may_be_given_up(nova: Caller) -> None:
    port = instance(nova)
    for host in ("h2", "h3"):
        assert nova.post(path(port), {"binding": {"host": host}})[0] == 201
    for host in ("h1", "h2"):
        again = refused(nova.post(path(port), {"binding": {"host": host}}))
        assert again == (409, "PortBindingAlreadyExists")
    changed = nova.put(path(port, "h3"), {"binding": {"profile": {"x": 1}}})
    assert (changed[0], changed[1]["binding"]["profile"]) == (200, {"x": 1})
    own = nova.put(path(port, "h1"), {"binding": {"profile": {"migrating_to": "h2"}}})
    assert own[1]["binding"]["status"] == "ACTIVE"
    assert nova.show("port", port["id"])["binding:profile"] == {"migrating_to": "h2"}
    nova.change("port", port["id"], **{"binding:host_id": "h2"})
    assert states(nova, port) == {"h2": "ACTIVE", "h3": "INACTIVE"}
    nova.change("port", port["id"], **{"binding:host_id": ""})
    assert states(nova, port) == {}
    assert nova.post(path(port), {"binding": {"host": "h3"}})[1]["binding"]["status"] == "ACTIVE"
    assert nova.post(path(port), {"binding": {"host": "h1"}})[0] == 201
    nova.remove("port", port["id"])
    assert refused(nova.get(path(port))) == (404, "PortNotFound")


def test_only_the_service_binds(cloud: Cloud, nova: Caller) -> None:
    alice, admin, bob = (cloud.user(name) for name in ("alice", "admin", "bob"))
    network = alice.make("network")
    port = alice.make("port", network_id=network["id"], device_owner="compute:nova", device_id="i")
    forbidden = (403, "PolicyNotAuthorized")
    for caller in (alice, admin):
        assert refused(caller.post(path(port), {"binding": {"host": "h1"}})) == forbidden
        assert refused(caller.delete(path(port, "h1"))) == forbidden
        assert refused(caller.call("PUT", path(port, "h1", "activate"))) == forbidden
    assert refused(alice.get(path(port))) == forbidden
    assert admin.get(path(port)) == (200, {"bindings": []})
    assert refused(bob.get(path(port))) == (404, "PortNotFound")
    other = alice.make("port", network_id=network["id"])
    assert refused(nova.post(path(other), {"binding": {"host": "h1"}})) == (400, "BadRequest")
    assert refused(nova.post(path({"id": "x"}), {"binding": {"host": "h1"}})) == (404, "PortNotFound")


@pytest.mark.parametrize(
    "body, status",
    [
        ({}, 400),
        ({"host": ""}, 400),
        ({"host": None}, 400),
        ({"host": 7}, 400),
        ({"host": "h" * 256}, 400),
        ({"host": "h2", "vnic_type": "x"}, 400),
        ({"host": "h2", "profile": []}, 400),
        ({"host": "h2", "profile": {"a": "b" * 5000}}, 400),
        ({"host": "h2", "status": "ACTIVE"}, 400),
        ({"host": "h2", "nothing": 1}, 400),
        ({"host": "nowhere"}, 409),
        ({"host": "h2", "vnic_type": "direct"}, 409),
    ],
)
def test_a_binding_that_cannot_be_is_refused(nova: Caller, body: dict[str, Any], status: int) -> None:
    port = instance(nova)
    assert nova.post(path(port), {"binding": body})[0] == status
    assert nova.post(path(port), {"bindings": [{"host": "h2"}]})[0] == 400
    assert nova.put(path(port, "h1"), {"binding": {"host": "h2"}})[0] == 400
    assert refused(nova.call("PUT", path(port, "h1", "nothing")))[0] == 404
    assert states(nova, port) == {"h1": "ACTIVE"}


def test_openstacksdk_moves_a_port(cloud: Cloud, nova: Caller) -> None:
    port = instance(nova)
    with sdk_connection(cloud, "nova") as connection:
        connection.network.create_port_binding(port["id"], host="h2")
        assert {b.host for b in connection.network.port_bindings(port["id"])} == {"h1", "h2"}
        connection.network.activate_port_binding(port["id"], host="h2")
        connection.network.delete_port_binding(port["id"], host="h1")
    assert states(nova, port) == {"h2": "ACTIVE"}
