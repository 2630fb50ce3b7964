"""Trunks and their subports."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller
from support.routed import refused

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def ports(caller: Caller, count: int, **network: Any) -> list[Any]:
    made = caller.make("network", **network)
    return [caller.make("port", network_id=made["id"]) for _ in range(count)]


def sub(port: Any, number: Any) -> dict[str, Any]:
    return {"port_id": port["id"], "segmentation_type": "vlan", "segmentation_id": number}


def act(caller: Caller, trunk: Any, action: str, *subports: Any) -> tuple[int, Any]:
    return caller.put(f"/v2.0/trunks/{trunk['id']}/{action}", {"sub_ports": list(subports)})


def test_a_trunk_has_a_parent_and_subports(alice: Caller) -> None:
    parent, one, two = ports(alice, 3)
    trunk = alice.make("trunk", port_id=parent["id"], name="t", tags=["x"], sub_ports=[sub(one, 7)])
    assert (trunk["status"], trunk["admin_state_up"], trunk["sub_ports"]) == ("DOWN", True, [sub(one, 7)])
    assert alice.show("port", one["id"])["device_owner"] == "trunk:subport"
    status, reply = act(alice, trunk, "add_subports", sub(two, "8"))
    assert (status, reply["id"], reply["sub_ports"]) == (200, trunk["id"], [sub(one, 7), sub(two, 8)])
    assert reply["revision_number"] == trunk["revision_number"] + 1
    details = alice.show("port", parent["id"])["trunk_details"]
    assert details == {
        "trunk_id": trunk["id"],
        "sub_ports": [sub(port, n) | {"mac_address": port["mac_address"]} for port, n in ((one, 7), (two, 8))],
    }
    assert "trunk_details" not in alice.show("port", one["id"])
    assert alice.get(f"/v2.0/trunks/{trunk['id']}/get_subports") == (200, {"sub_ports": reply["sub_ports"]})
    assert [t["id"] for t in alice.list("trunk", f"port_id={parent['id']}&tags=x")] == [trunk["id"]]
    status, reply = act(alice, trunk, "remove_subports", {"port_id": one["id"]})
    assert (status, reply["sub_ports"]) == (200, [sub(two, 8)])
    assert alice.show("port", one["id"])["device_owner"] == ""
    alice.remove("port", one["id"])
    assert alice.change("trunk", trunk["id"], name="u", description="d")["name"] == "u"
    alice.remove("trunk", trunk["id"])
    assert alice.show("port", two["id"])["device_owner"] == ""
    alice.remove("port", parent["id"])


def test_a_port_is_in_one_trunk_and_stays(alice: Caller) -> None:
    parent, one, two = ports(alice, 3)
    trunk = alice.make("trunk", port_id=parent["id"], sub_ports=[sub(one, 7)])
    as_parent, as_sub = (409, "PortInUseAsTrunkParent"), (409, "PortInUseAsSubPort")
    assert refused(alice.delete(f"/v2.0/ports/{parent['id']}")) == as_parent
    assert refused(alice.delete(f"/v2.0/ports/{one['id']}")) == as_sub
    assert refused(alice.post("/v2.0/trunks", {"trunk": {"port_id": parent["id"]}})) == as_parent
    assert refused(alice.post("/v2.0/trunks", {"trunk": {"port_id": one["id"]}})) == as_sub
    assert refused(act(alice, trunk, "add_subports", sub(one, 9))) == as_sub
    assert refused(act(alice, trunk, "add_subports", sub(parent, 9))) == as_parent
    assert refused(act(alice, trunk, "add_subports", sub(two, 7))) == (409, "DuplicateSubPort")
    self_made = {"trunk": {"port_id": two["id"], "sub_ports": [sub(two, 1)]}}
    assert refused(alice.post("/v2.0/trunks", self_made)) == as_parent
    assert refused(act(alice, trunk, "remove_subports", {"port_id": two["id"]})) == (404, "SubPortNotFound")
    alice.change("port", two["id"], device_id="somebody")
    assert refused(act(alice, trunk, "add_subports", sub(two, 9))) == (409, "PortInUse")
    alice.change("trunk", trunk["id"], admin_state_up=False)
    disabled = (409, "TrunkDisabled")
    assert refused(act(alice, trunk, "remove_subports", {"port_id": one["id"]})) == disabled
    assert refused(act(alice, trunk, "add_subports", sub(two, 9))) == disabled
    assert refused(alice.delete(f"/v2.0/trunks/{trunk['id']}")) == disabled


def test_subports_need_no_more_room_than_their_parent_has(alice: Caller) -> None:
    (parent,), (child,) = ports(alice, 1, mtu=1300), ports(alice, 1, mtu=1400)
    too_big = (409, "SubPortMtuGreaterThanTrunkPortMtu")
    body = {"trunk": {"port_id": parent["id"], "sub_ports": [sub(child, 7)]}}
    assert refused(alice.post("/v2.0/trunks", body)) == too_big
    trunk = alice.make("trunk", port_id=parent["id"])
    assert refused(act(alice, trunk, "add_subports", sub(child, 7))) == too_big


def test_a_tag_may_be_that_of_the_subports_vlan(alice: Caller, admin: Caller) -> None:
    provider = {"network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 177}
    (on_vlan,) = ports(admin, 1, **{f"provider:{key}": value for key, value in provider.items()})
    (parent, other) = ports(admin, 2, mtu=1442)
    admin.change("network", on_vlan["network_id"], mtu=1442)
    inherit = {"segmentation_type": "inherit"}
    trunk = admin.make("trunk", port_id=parent["id"], sub_ports=[{"port_id": on_vlan["id"], **inherit}])
    assert trunk["sub_ports"] == [sub(on_vlan, 177)]
    assert act(admin, trunk, "add_subports", {"port_id": other["id"], **inherit})[0] == 400
    assert act(admin, trunk, "add_subports", {"port_id": other["id"], **inherit}, {"nothing": 1})[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sub_ports": None},
        {"sub_ports": {}},
        {"sub_ports": ["x"]},
        {"sub_ports": [{}]},
        {"sub_ports": [{"port_id": "x"}]},
        {"sub_ports": [{"port_id": "PORT"}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "vlan"}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "vlan", "segmentation_id": 0}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "vlan", "segmentation_id": 4095}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "vlan", "segmentation_id": "x"}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "vlan", "segmentation_id": True}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "vlan", "segmentation_id": 1.5}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "gre", "segmentation_id": 1}]},
        {"sub_ports": [{"port_id": "PORT", "segmentation_type": "inherit"}, "x"]},
    ],
)
def test_subports_that_make_no_sense_are_refused(alice: Caller, body: dict[str, Any]) -> None:
    parent, child = ports(alice, 2)
    trunk = alice.make("trunk", port_id=parent["id"])
    subports = body.get("sub_ports")
    if isinstance(subports, list):
        body = {"sub_ports": [s | {"port_id": child["id"]} if isinstance(s, dict) and s.get("port_id") == "PORT" else s
                              for s in subports]}  # fmt: skip
    assert alice.put(f"/v2.0/trunks/{trunk['id']}/add_subports", body)[0] == 400
    if subports is not None:
        assert alice.post("/v2.0/trunks", {"trunk": {"port_id": child["id"], **body}})[0] in (400, 409)
    assert alice.show("trunk", trunk["id"])["sub_ports"] == []


def test_trunks_are_their_projects(alice: Caller, bob: Caller) -> None:
    (parent, child), (his,) = ports(alice, 2), ports(bob, 1)
    trunk = alice.make("trunk", port_id=parent["id"])
    missing = (404, "TrunkNotFound")
    assert refused(bob.get(f"/v2.0/trunks/{trunk['id']}")) == missing
    assert refused(act(bob, trunk, "add_subports", sub(his, 1))) == missing
    assert refused(act(alice, trunk, "add_subports", sub(his, 1))) == (404, "PortNotFound")
    assert refused(bob.post("/v2.0/trunks", {"trunk": {"port_id": child["id"]}})) == (404, "PortNotFound")
    assert refused(alice.post("/v2.0/trunks", {"trunk": {"port_id": UNKNOWN}})) == (404, "PortNotFound")
    assert refused(alice.get(f"/v2.0/trunks/{trunk['id']}/nothing"))[0] == 404
    assert refused(alice.put(f"/v2.0/trunks/{trunk['id']}/get_subports", {}))[0] == 405
