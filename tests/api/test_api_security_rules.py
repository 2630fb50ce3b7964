"""Rules of security groups."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ovine.model.protocols import PROTOCOLS
from support.api_server import Caller, Cloud, running_cloud

NOWHERE = "00000000-0000-4000-8000-000000000000"
RULES = "/v2.0/security-group-rules"


def error(reply: tuple[int, Any]) -> tuple[int, str]:
    return reply[0], reply[1]["NeutronError"]["type"]


@pytest.fixture
def group(alice: Caller) -> Any:
    return alice.make("security_group", name="web")


def ask(caller: Caller, group: Any, **attributes: Any) -> tuple[int, Any]:
    rule = {"security_group_id": group["id"], "direction": "ingress", **attributes}
    return caller.post(RULES, {"security_group_rule": rule})


def made(caller: Caller, group: Any, **attributes: Any) -> Any:
    status, body = ask(caller, group, **attributes)
    assert status == 201, body
    return body["security_group_rule"]


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name.startswith("ipv6-")])
def test_what_is_only_in_ipv6_is_refused_for_ipv4_by_name_and_by_number(alice: Caller, group: Any, name: str) -> None:
    for protocol in (name, PROTOCOLS[name]):
        wrong = (400, "SecurityGroupEthertypeConflictWithProtocol")
        assert error(ask(alice, group, ethertype="IPv4", protocol=protocol)) == wrong
    assert made(alice, group, ethertype="IPv6", protocol=PROTOCOLS[name])["protocol"] == str(PROTOCOLS[name])


def test_a_rule_is_shown_listed_and_deleted_and_belongs_to_its_group(alice: Caller, group: Any) -> None:
    rule = made(alice, group, protocol="tcp", port_range_min=22, port_range_max=22, description="ssh")
    assert alice.show("security_group_rule", rule["id"]) == rule
    assert [r["id"] for r in alice.list("security_group_rule", f"security_group_id={group['id']}&protocol=tcp")] == [
        rule["id"]
    ]
    shown = alice.show("security_group", group["id"])
    assert rule in shown["security_group_rules"]
    assert shown["revision_number"] == group["revision_number"] + 1
    alice.remove("security_group_rule", rule["id"])
    assert error(alice.get(f"{RULES}/{rule['id']}")) == (404, "SecurityGroupRuleNotFound")
    assert alice.show("security_group", group["id"])["revision_number"] == group["revision_number"] + 2


def test_a_rule_is_never_changed_but_can_be_tagged(alice: Caller, group: Any) -> None:
    rule = made(alice, group, protocol="udp")
    path = f"{RULES}/{rule['id']}"
    assert error(alice.put(path, {"security_group_rule": {"description": "x"}})) == (405, "HTTPMethodNotAllowed")
    assert alice.put(f"{path}/tags/red", None)[0] == 201
    assert alice.show("security_group_rule", rule["id"])["tags"] == ["red"]


V6_ONLY = {name for name in PROTOCOLS if name.startswith("ipv6-") or name == "icmpv6"}


def test_every_protocol_can_be_named_or_numbered(alice: Caller, group: Any) -> None:
    for name in sorted(PROTOCOLS):
        ethertype = "IPv6" if name in V6_ONLY else "IPv4"
        rule = made(alice, group, protocol=name.upper(), ethertype=ethertype.lower())
        assert rule["ethertype"] == ethertype
        assert rule["protocol"] == ("ipv6-icmp" if name == "icmpv6" else name)
        alice.remove("security_group_rule", rule["id"])
    assert made(alice, group, protocol=47)["protocol"] == "47"
    assert made(alice, group, protocol="255")["protocol"] == "255"


KEPT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
    (
        {"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535},
        {"port_range_min": None, "port_range_max": None},
    ),
    ({"protocol": "tcp", "port_range_min": "80", "port_range_max": "81"}, {"port_range_min": 80, "port_range_max": 81}),
    ({"protocol": "icmp", "port_range_min": 8}, {"port_range_min": 8, "port_range_max": None}),
    ({"protocol": "icmp", "port_range_min": 0, "port_range_max": 0}, {"port_range_min": 0, "port_range_max": 0}),
    ({"remote_ip_prefix": "10.1.2.3"}, {"remote_ip_prefix": "10.1.2.3/32", "normalized_cidr": "10.1.2.3/32"}),
    ({"remote_ip_prefix": "10.1.2.3/8"}, {"remote_ip_prefix": "10.1.2.3/8", "normalized_cidr": "10.0.0.0/8"}),
    (
        {"remote_ip_prefix": "FD00::1/64", "ethertype": "IPv6"},
        {"remote_ip_prefix": "fd00::1/64", "normalized_cidr": "fd00::/64"},
    ),
    ({"remote_ip_prefix": ""}, {"remote_ip_prefix": None, "normalized_cidr": None}),
]


@pytest.mark.parametrize(("given", "kept"), KEPT)
def test_a_rule_is_kept_in_one_spelling(alice: Caller, group: Any, given: dict[str, Any], kept: dict[str, Any]) -> None:
    rule = made(alice, group, **given)
    assert {name: rule[name] for name in kept} == kept


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "ports without protocol": ({"port_range_min": 1, "port_range_max": 2}, "SecurityGroupProtocolRequiredWithPorts"),
    "ports of gre": (
        {"protocol": "gre", "port_range_min": 1, "port_range_max": 2},
        "SecurityGroupInvalidProtocolForPort",
    ),
    "port 0": ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 2}, "SecurityGroupInvalidPortValue"),
    "port 65536": ({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
    "port x": ({"protocol": "tcp", "port_range_min": "x", "port_range_max": 2}, "SecurityGroupInvalidPortValue"),
    "range upside down": (
        {"protocol": "udp", "port_range_min": 3, "port_range_max": 2},
        "SecurityGroupInvalidPortRange",
    ),
    "half a range": ({"protocol": "sctp", "port_range_min": 3}, "SecurityGroupInvalidPortRange"),
    "icmp type 256": ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
    "icmp code 256": (
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 256},
        "SecurityGroupInvalidIcmpValue",
    ),
    "icmp code alone": ({"protocol": "icmp", "port_range_max": 0}, "SecurityGroupMissingIcmpType"),
    "protocol 256": ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol"),
    "protocol name": ({"protocol": "quic"}, "SecurityGroupRuleInvalidProtocol"),
    "protocol list": ({"protocol": ["tcp"]}, "SecurityGroupRuleInvalidProtocol"),
    "icmpv6 over IPv4": ({"protocol": "icmpv6"}, "SecurityGroupEthertypeConflictWithProtocol"),
    "ipv6-frag over IPv4": ({"protocol": "ipv6-frag"}, "SecurityGroupEthertypeConflictWithProtocol"),
    "IPv6 prefix over IPv4": ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict"),
    "IPv4 prefix over IPv6": (
        {"remote_ip_prefix": "10.0.0.0/8", "ethertype": "IPv6"},
        "SecurityGroupRuleParameterConflict",
    ),
    "no prefix": ({"remote_ip_prefix": "everywhere"}, "InvalidCIDR"),
    "prefix number": ({"remote_ip_prefix": 7}, "InvalidCIDR"),
    "two peers": (
        {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": NOWHERE},
        "SecurityGroupMultipleRemoteEntites",
    ),
    "other two peers": (
        {"remote_address_group_id": NOWHERE, "remote_group_id": NOWHERE},
        "SecurityGroupMultipleRemoteEntites",
    ),
    "direction": ({"direction": "sideways"}, "HTTPBadRequest"),
    "ethertype": ({"ethertype": "ARP"}, "HTTPBadRequest"),
    "ethertype number": ({"ethertype": 4}, "HTTPBadRequest"),
    "group number": ({"remote_group_id": 4}, "HTTPBadRequest"),
}


@pytest.mark.parametrize(("given", "kind"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_together_is_refused(alice: Caller, group: Any, given: dict[str, Any], kind: str) -> None:
    assert error(ask(alice, group, **given)) == (400, kind)


MISSING: dict[str, tuple[dict[str, Any], str]] = {
    "group": ({"security_group_id": NOWHERE}, "SecurityGroupNotFound"),
    "remote group": ({"remote_group_id": NOWHERE}, "SecurityGroupNotFound"),
    "remote address group": ({"remote_address_group_id": NOWHERE}, "AddressGroupNotFound"),
}


@pytest.mark.parametrize(("given", "kind"), MISSING.values(), ids=MISSING.keys())
def test_what_a_rule_names_must_be_there(alice: Caller, group: Any, given: dict[str, Any], kind: str) -> None:
    assert error(ask(alice, group, **given)) == (404, kind)


SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({}, {"description": "another"}),
    ({"protocol": "tcp"}, {"protocol": "6"}),
    ({"protocol": "tcp"}, {"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}),
    ({}, {"remote_ip_prefix": "0.0.0.0/0"}),
    ({"remote_ip_prefix": "10.0.0.1/8"}, {"remote_ip_prefix": "10.0.0.0/8"}),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_a_rule_that_is_there_already_is_refused_and_named(
    alice: Caller, group: Any, first: dict[str, Any], second: dict[str, Any]
) -> None:
    rule = made(alice, group, **first)
    reply = ask(alice, group, **second)
    assert error(reply) == (409, "SecurityGroupRuleExists")
    assert rule["id"] in reply[1]["NeutronError"]["message"]


def test_many_rules_are_made_at_once_or_none(alice: Caller, group: Any) -> None:
    def bulk(*protocols: str) -> tuple[int, Any]:
        rules = [{"security_group_id": group["id"], "direction": "ingress", "protocol": p} for p in protocols]
        return alice.post(RULES, {"security_group_rules": rules})

    assert error(bulk("tcp", "udp", "tcp")) == (409, "DuplicateSecurityGroupRuleInPost")
    assert len(alice.show("security_group", group["id"])["security_group_rules"]) == 2
    status, body = bulk("tcp", "udp")
    assert status == 201
    assert [rule["protocol"] for rule in body["security_group_rules"]] == ["tcp", "udp"]
    assert len(alice.show("security_group", group["id"])["security_group_rules"]) == 4


def test_another_projects_rules_do_not_exist(alice: Caller, bob: Caller, group: Any) -> None:
    rule = made(alice, group)
    path = f"{RULES}/{rule['id']}"
    assert error(bob.get(path)) == error(bob.delete(path)) == (404, "SecurityGroupRuleNotFound")
    assert rule["id"] not in [r["id"] for r in bob.list("security_group_rule")]


def test_of_equal_rules_made_at_once_by_two_processes_one_stays(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_cloud(tmp_path_factory.mktemp("rules"), daemons=(1, 1)) as cloud:
        group = cloud.user("alice").make("security_group", name="race")
        assert sorted(statuses(cloud, group)) == [201] + [409] * 7
        assert len(cloud.user("alice").show("security_group", group["id"])["security_group_rules"]) == 3


def statuses(cloud: Cloud, group: Any) -> list[int]:
    callers = [cloud.user("alice", daemon=number % 2) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda caller: ask(caller, group, protocol="tcp")[0], callers))
