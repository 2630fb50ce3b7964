"""Random histories of resources through two processes; what must hold after each of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.api.addressing import eui64, network_of
from support.api_server import Caller, Cloud, collection, running_cloud

AUTO = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
SUBNETS = [
    {"ip_version": 4, "cidr": "10.0.0.0/29"},
    {"ip_version": 4, "cidr": "10.0.0.0/24"},
    {"ip_version": 4, "cidr": "10.1.0.0/24", "enable_dhcp": False},
    {"ip_version": 6, "cidr": "fd00:1::/64", **AUTO},
    {"ip_version": 6, "cidr": "fd00:2::/64", **AUTO},
    {"ip_version": 6, "cidr": "fd00:3::/64"},
]
CHANGES: dict[str, list[dict[str, Any]]] = {
    "network": [{"name": "x"}, {"admin_state_up": False}, {"mtu": 1300}],
    "subnet": [{"enable_dhcp": False}, {"enable_dhcp": True}, {"gateway_ip": None}, {"dns_nameservers": ["9.9.9.9"]}],
    "port": [
        {"fixed_ips": []},
        {"fixed_ips": [{"ip_address": "10.0.0.4"}]},
        {"mac_address": "02:00:00:00:00:01"},
        {"mac_address": "02:00:00:00:00:02"},
        {"device_owner": "compute:x", "device_id": "y"},
        {"security_groups": []},
        {"port_security_enabled": False},
        {"port_security_enabled": True},
    ],
    "security_group": [{"name": "y"}, {"stateful": False}, {"stateful": True}],
}
PORTS: list[dict[str, Any]] = [
    {},
    {},
    {"fixed_ips": [{"ip_address": "10.0.0.4"}]},
    {"mac_address": "02:00:00:00:00:01"},
]

RULES: list[dict[str, Any]] = [
    {},
    {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80},
    {"remote_ip_prefix": "10.0.0.0/8"},
]
DELETED = ["network", "port", "security_group", "security_group_rule", "subnet"]

pick = st.integers(0, 7)
STEP = st.one_of(
    st.tuples(st.just("make network")),
    st.tuples(st.just("make subnet"), pick, st.sampled_from(SUBNETS)),
    st.tuples(st.just("make port"), pick, st.sampled_from(PORTS)),
    st.tuples(st.just("make group")),
    st.tuples(st.just("make rule"), pick, st.none() | pick, st.sampled_from(RULES)),
    st.tuples(st.just("join"), pick, pick),
    st.tuples(st.just("change"), st.sampled_from(sorted(CHANGES)), pick, pick),
    st.tuples(st.just("delete"), st.sampled_from(DELETED), pick),
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("walk"), daemons=(1, 1)) as running:
        yield running


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 1), STEP), min_size=5, max_size=40))
def test_after_any_history_the_resources_fit_together_and_leave_nothing_behind(
    cloud: Cloud, steps: list[tuple[int, Any]]
) -> None:
    admin = cloud.user("admin")
    try:
        for daemon, step in steps:
            status, body = perform(cloud.user("admin", daemon=daemon), step)
            assert status < 500, (step, body)
        check(admin)
    finally:
        clear(admin)
    for table in ("IP_Allocation", "Port", "Subnet", "Security_Group", "Security_Group_Rule"):
        assert cloud.cloud_db.select(table) == [], table


def perform(caller: Caller, step: Any) -> tuple[int, Any]:
    match step:
        case ("make network",):
            return caller.post("/v2.0/networks", {"network": {"name": "walk"}})
        case ("make subnet" | "make port" as make, index, attributes):
            kind = make.removeprefix("make ")
            network = nth(caller, "network", index)
            if network is None:
                return 0, None
            return caller.post(f"/v2.0/{kind}s", {kind: {"network_id": network["id"], **attributes}})
        case ("make group",):
            return caller.post(collection("security_group"), {"security_group": {"name": "walk"}})
        case ("make rule", index, remote, attributes):
            group = nth(caller, "security_group", index)
            peer = None if remote is None else nth(caller, "security_group", remote)["id"]
            rule = {"security_group_id": group["id"], "direction": "ingress", "remote_group_id": peer, **attributes}
            return caller.post(collection("security_group_rule"), {"security_group_rule": rule})
        case ("join", index, member):
            port = nth(caller, "port", member)
            if port is None:
                return 0, None
            groups = [nth(caller, "security_group", index)["id"]]
            return caller.put(f"/v2.0/ports/{port['id']}", {"port": {"security_groups": groups}})
        case ("change", kind, index, which):
            found = nth(caller, kind, index)
            changes = CHANGES[kind]
            if found is None:
                return 0, None
            return caller.put(f"{collection(kind)}/{found['id']}", {kind: changes[which % len(changes)]})
        case ("delete", kind, index):
            found = nth(caller, kind, index)
            return caller.delete(f"{collection(kind)}/{found['id']}") if found is not None else (0, None)
    raise AssertionError(step)


def nth(caller: Caller, kind: str, index: int) -> Any:
    """One of the resources there are; not a metadata port, which tenants leave alone."""
    found = [item for item in caller.list(kind) if item.get("device_owner") != "network:distributed"]
    return found[index % len(found)] if found else None


def check(admin: Caller) -> None:
    networks, subnets, ports = (
        {item["id"]: item for item in admin.list(kind)} for kind in ("network", "subnet", "port")
    )
    held = [(a["subnet_id"], a["ip_address"]) for port in ports.values() for a in port["fixed_ips"]]
    assert len(held) == len(set(held))
    for port in ports.values():
        for address in port["fixed_ips"]:
            subnet = subnets[address["subnet_id"]]
            net = network_of(subnet["cidr"])
            assert subnet["network_id"] == port["network_id"]
            assert ipaddress.ip_address(address["ip_address"]) in net
            if subnet["ipv6_address_mode"] == "slaac":
                assert address["ip_address"] == eui64(net, port["mac_address"])
    for network in networks.values():
        mine = [subnet for subnet in subnets.values() if subnet["network_id"] == network["id"]]
        assert sorted(network["subnets"]) == sorted(subnet["id"] for subnet in mine)
        (metadata,) = (p for p in ports.values() if p["device_id"] == f"ovnmeta-{network['id']}")
        served = {address["subnet_id"] for address in metadata["fixed_ips"]}
        with_dhcp = {subnet["id"] for subnet in mine if subnet["enable_dhcp"]}
        full = {subnet["id"] for subnet in mine if subnet["cidr"].endswith("/29")}
        assert served <= with_dhcp
        assert with_dhcp - served <= full

    check_groups(admin, list(ports.values()))


def check_groups(admin: Caller, ports: list[Any]) -> None:
    groups = {group["id"]: group for group in admin.list("security_group")}
    rules = {rule["id"]: rule for rule in admin.list("security_group_rule")}
    assert sum(group["name"] == "default" for group in groups.values()) == 1
    for group in groups.values():
        mine = {key for key, rule in rules.items() if rule["security_group_id"] == group["id"]}
        assert {rule["id"] for rule in group["security_group_rules"]} == mine
        meanings = [_meaning(rules[key]) for key in mine]
        assert len(meanings) == len(set(meanings))
    for rule in rules.values():
        assert rule["security_group_id"] in groups
        assert rule["remote_group_id"] is None or rule["remote_group_id"] in groups
    for port in ports:
        assert set(port["security_groups"]) <= groups.keys()
        assert port["port_security_enabled"] or not port["security_groups"]


def _meaning(rule: Any) -> tuple[Any, ...]:
    names = ("direction", "ethertype", "protocol", "port_range_min", "remote_ip_prefix", "remote_group_id")
    return tuple(rule[name] for name in names)


def clear(admin: Caller) -> None:
    for port in admin.list("port"):
        if port["device_owner"] != "network:distributed":
            admin.remove("port", port["id"])
    for network in admin.list("network"):
        admin.remove("network", network["id"])
    for group in admin.list("security_group"):
        admin.remove("security_group", group["id"])
