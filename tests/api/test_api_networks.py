"""Networks: attributes, provider networks, sharing, deletion; versions and extensions."""

from __future__ import annotations

import pytest

from support.api_server import Caller, Cloud


def error(reply: tuple[int, dict]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


def test_the_list_of_versions_needs_no_token(cloud: Cloud) -> None:
    reply = cloud.http.get(f"{cloud.daemons[0].network}/")
    assert reply.status_code == 200
    assert [(v["id"], v["status"]) for v in reply.json()["versions"]] == [("v2.0", "CURRENT")]


def test_extensions_are_listed_and_shown_by_alias(alice: Caller) -> None:
    aliases = {item["alias"] for item in alice.get("/v2.0/extensions")[1]["extensions"]}
    assert {"binding", "provider", "port-security", "allowed-address-pairs", "revision-if-match"} <= aliases
    assert {"security-group", "stateful-security-group", "address-group"} <= aliases
    assert {"router", "ext-gw-mode", "extraroute", "extraroute-atomic", "fip-port-details"} <= aliases
    assert aliases.isdisjoint({"dvr", "l3-flavors", "network_availability_zone", "address-scope"})
    assert {"agent", "subnet_allocation", "network-ip-availability", "qos-fip"} <= aliases
    assert alice.get("/v2.0/extensions/provider")[1]["extension"]["alias"] == "provider"
    assert error(alice.get("/v2.0/extensions/nothing")) == (404, "HTTPNotFound")


def test_a_network_gets_a_metadata_port_that_does_not_keep_it(alice: Caller) -> None:
    network = alice.make("network", name="n")
    alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    alice.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.1.0/24", enable_dhcp=False)
    (port,) = alice.list("port", f"network_id={network['id']}")
    assert (port["device_owner"], port["device_id"]) == ("network:distributed", f"ovnmeta-{network['id']}")
    assert port["port_security_enabled"] is False
    assert [a["ip_address"] for a in port["fixed_ips"]] == ["10.0.0.2"]
    assert error(alice.delete(f"/v2.0/ports/{port['id']}")) == (409, "ServicePortInUse")
    alice.remove("network", network["id"])
    assert alice.list("port", f"network_id={network['id']}") == []
    assert alice.list("subnet", f"network_id={network['id']}") == []


def test_a_network_with_a_port_is_in_use(alice: Caller) -> None:
    network = alice.make("network")
    port = alice.make("port", network_id=network["id"])
    assert error(alice.delete(f"/v2.0/networks/{network['id']}")) == (409, "NetworkInUse")
    alice.remove("port", port["id"])
    alice.remove("network", network["id"])


def test_bulk_creation_makes_all_or_nothing(admin: Caller) -> None:
    good = [{"name": "bulk"}, {"name": "bulk"}]
    status, body = admin.post("/v2.0/networks", {"networks": good})
    assert (status, len(body["networks"])) == (201, 2)
    assert len({n["provider:segmentation_id"] for n in body["networks"]}) == 2
    bad = [{"name": "half"}, {"name": "half", "provider:network_type": "token-ring"}]
    assert error(admin.post("/v2.0/networks", {"networks": bad})) == (400, "InvalidInput")
    assert admin.list("network", "name=half") == []


PROVIDER = {
    "vlan": (
        {"network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 7},
        ("vlan", "physnet1", 7),
        1500,
    ),
    "vlan, any number": ({"network_type": "vlan", "physical_network": "physnet1"}, ("vlan", "physnet1", 100), 1500),
    "vlan, anywhere": ({"network_type": "vlan"}, ("vlan", "physnet1", 100), 1500),
    "flat": ({"network_type": "flat", "physical_network": "public"}, ("flat", "public", None), 1500),
    "geneve": ({"network_type": "geneve", "segmentation_id": 70000}, ("geneve", None, 70000), 1442),
    "vxlan": ({"network_type": "vxlan"}, ("vxlan", None, 1), 1442),
}


@pytest.mark.parametrize("asked, got, mtu", PROVIDER.values(), ids=PROVIDER.keys())
def test_an_administrator_names_the_segment_or_part_of_it(admin: Caller, asked: dict, got: tuple, mtu: int) -> None:
    names = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
    network = admin.make("network", **{f"provider:{name}": value for name, value in asked.items()})
    assert (tuple(network[name] for name in names), network["mtu"]) == (got, mtu)
    admin.remove("network", network["id"])


REFUSED_SEGMENTS = {
    "unknown type": ({"network_type": "gre"}, 400, "InvalidInput"),
    "number without type": ({"segmentation_id": 5}, 400, "InvalidInput"),
    "tunnel with physical network": ({"network_type": "geneve", "physical_network": "public"}, 400, "InvalidInput"),
    "vni 0": ({"network_type": "vxlan", "segmentation_id": 0}, 400, "InvalidInput"),
    "vni too large": ({"network_type": "geneve", "segmentation_id": 1 << 24}, 400, "InvalidInput"),
    "vlan 4095": (
        {"network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 4095},
        400,
        "InvalidInput",
    ),
    "vlan nowhere": ({"network_type": "vlan", "segmentation_id": 5}, 400, "InvalidInput"),
    "vlan on an unknown network": ({"network_type": "vlan", "physical_network": "what"}, 400, "InvalidInput"),
    "flat nowhere": ({"network_type": "flat"}, 400, "InvalidInput"),
    "flat on an unknown network": ({"network_type": "flat", "physical_network": "what"}, 400, "InvalidInput"),
    "flat with number": (
        {"network_type": "flat", "physical_network": "public", "segmentation_id": 1},
        400,
        "InvalidInput",
    ),
}


@pytest.mark.parametrize("asked, status, kind", REFUSED_SEGMENTS.values(), ids=REFUSED_SEGMENTS.keys())
def test_an_impossible_segment_is_refused(admin: Caller, asked: dict, status: int, kind: str) -> None:
    body = {f"provider:{name}": value for name, value in asked.items()}
    assert error(admin.post("/v2.0/networks", {"network": body})) == (status, kind)


def test_a_segment_in_use_is_refused_by_neutrons_names(admin: Caller) -> None:
    cases = {
        "TunnelIdInUse": {"provider:network_type": "geneve", "provider:segmentation_id": 4711},
        "VlanIdInUse": {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": 9,
        },
        "FlatNetworkInUse": {"provider:network_type": "flat", "provider:physical_network": "public"},
    }
    for kind, body in cases.items():
        network = admin.make("network", **body)
        assert error(admin.post("/v2.0/networks", {"network": body})) == (409, kind)
        admin.remove("network", network["id"])


def test_update_changes_what_may_be_changed_and_counts_revisions(admin: Caller) -> None:
    network = admin.make("network", name="before")
    changed = admin.change(
        "network", network["id"], name="after", description="d", admin_state_up=False, shared=True, mtu=1400
    )
    wanted = {"name": "after", "description": "d", "admin_state_up": False, "shared": True, "mtu": 1400}
    assert {name: changed[name] for name in wanted} == wanted
    assert changed["revision_number"] == network["revision_number"] + 1
    assert admin.show("network", network["id"]) == changed
    path = f"/v2.0/networks/{network['id']}"
    assert error(admin.put(path, {"network": {"provider:segmentation_id": 5}})) == (400, "InvalidInput")
    assert error(admin.put(path, {"network": {"id": network["id"]}})) == (400, "HTTPBadRequest")
    assert error(admin.put(path, {"network": {"mtu": 1443}})) == (400, "InvalidInput")


def test_the_mtu_must_suit_the_subnets(admin: Caller) -> None:
    small = admin.make("network", mtu=1000)
    body = {"network_id": small["id"], "ip_version": 6, "cidr": "fd00::/64"}
    assert error(admin.post("/v2.0/subnets", {"subnet": body})) == (409, "NetworkMTUSubnetConflict")
    tiny = admin.make("network", mtu=67)
    four = {"network_id": tiny["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
    assert error(admin.post("/v2.0/subnets", {"subnet": four})) == (409, "NetworkMTUSubnetConflict")
    admin.change("network", tiny["id"], mtu=68)
    admin.make("subnet", **four)
    reply = admin.put(f"/v2.0/networks/{tiny['id']}", {"network": {"mtu": 67}})
    assert error(reply) == (409, "NetworkMTUSubnetConflict")
    large = admin.make("network")
    admin.make("subnet", **body | {"network_id": large["id"]})
    reply = admin.put(f"/v2.0/networks/{large['id']}", {"network": {"mtu": 1200}})
    assert error(reply) == (409, "NetworkMTUSubnetConflict")


def test_a_network_in_use_by_others_stays_shared(admin: Caller, bob: Caller) -> None:
    network = admin.make("network", shared=True)
    port = bob.make("port", network_id=network["id"])
    path = f"/v2.0/networks/{network['id']}"
    assert error(admin.put(path, {"network": {"shared": False}})) == (409, "InvalidSharedSetting")
    bob.remove("port", port["id"])
    assert admin.change("network", network["id"], shared=False)["shared"] is False
    assert bob.get(path)[0] == 404


def test_port_security_of_a_network_is_its_ports_default(alice: Caller) -> None:
    network = alice.make("network", port_security_enabled=False)
    assert alice.make("port", network_id=network["id"])["port_security_enabled"] is False
    assert alice.make("port", network_id=network["id"], port_security_enabled=True)["port_security_enabled"] is True
