"""QoS policies, their rules, and who may have them."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller
from support.routed import inside, outside, refused

UNKNOWN = "00000000-0000-4000-8000-000000000000"
POLICIES = "/v2.0/qos/policies"


def make(caller: Caller, **attributes: Any) -> Any:
    status, body = caller.post(POLICIES, {"policy": attributes})
    assert status == 201, body
    return body["policy"]


def show(caller: Caller, policy: Any) -> Any:
    status, body = caller.get(f"{POLICIES}/{policy['id']}")
    assert status == 200, body
    return body["policy"]


def add(caller: Caller, policy: Any, kind: str, **attributes: Any) -> Any:
    status, body = caller.post(f"{POLICIES}/{policy['id']}/{kind}s", {kind: attributes})
    assert status == 201, body
    return body[kind]


def test_a_policy_has_rules_which_are_shown_with_it_and_change_its_revision(admin: Caller) -> None:
    policy = make(admin, name="gold", description="d", tags=["t"])
    assert (policy["rules"], policy["shared"], policy["is_default"], policy["revision_number"]) == ([], False, False, 0)
    limit = add(admin, policy, "bandwidth_limit_rule", max_kbps=1000)
    assert limit == {"id": limit["id"], "max_kbps": 1000, "max_burst_kbps": 0, "direction": "egress"}
    mark = add(admin, policy, "dscp_marking_rule", dscp_mark=26)
    shown = show(admin, policy)
    assert shown["revision_number"] == 2
    assert shown["rules"] == [
        limit | {"type": "bandwidth_limit", "qos_policy_id": policy["id"]},
        mark | {"type": "dscp_marking", "qos_policy_id": policy["id"]},
    ]
    path = f"{POLICIES}/{policy['id']}/bandwidth_limit_rules"
    assert admin.get(f"{path}?direction=egress&fields=max_kbps") == (
        200,
        {"bandwidth_limit_rules": [{"max_kbps": 1000}]},
    )
    assert admin.get(f"{path}?direction=ingress") == (200, {"bandwidth_limit_rules": []})
    changed = admin.put(f"{path}/{limit['id']}", {"bandwidth_limit_rule": {"max_kbps": 2000, "direction": "ingress"}})
    assert changed == (200, {"bandwidth_limit_rule": limit | {"max_kbps": 2000, "direction": "ingress"}})
    assert admin.get(f"{path}/{limit['id']}") == changed
    assert admin.delete(f"{path}/{limit['id']}") == (204, None)
    assert refused(admin.get(f"{path}/{limit['id']}")) == (404, "QosRuleNotFound")
    assert admin.delete(f"{POLICIES}/{policy['id']}") == (204, None)
    assert refused(admin.get(f"{POLICIES}/{policy['id']}")) == (404, "QosPolicyNotFound")
    assert refused(admin.get(path)) == (404, "QosPolicyNotFound")


def test_of_each_kind_and_direction_there_is_one_rule(admin: Caller) -> None:
    policy = make(admin, name="one")
    path = f"{POLICIES}/{policy['id']}"
    conflict = (409, "QoSRulesConflict")
    egress = add(admin, policy, "bandwidth_limit_rule", max_kbps=1)
    again = {"bandwidth_limit_rule": {"max_kbps": 2}}
    assert refused(admin.post(f"{path}/bandwidth_limit_rules", again)) == conflict
    add(admin, policy, "bandwidth_limit_rule", max_kbps=3, max_burst_kbps=4, direction="ingress")
    turned = {"bandwidth_limit_rule": {"direction": "ingress"}}
    assert refused(admin.put(f"{path}/bandwidth_limit_rules/{egress['id']}", turned)) == conflict
    add(admin, policy, "dscp_marking_rule", dscp_mark=0)
    assert refused(admin.post(f"{path}/dscp_marking_rules", {"dscp_marking_rule": {"dscp_mark": 8}})) == conflict


def test_ports_and_networks_have_policies_which_then_stay(alice: Caller, admin: Caller) -> None:
    gold, silver = make(admin, shared=True), make(admin, shared=True)
    network, _ = inside(alice, "10.30.0.0/24")
    port = alice.make("port", network_id=network["id"], qos_policy_id=gold["id"])
    assert (port["qos_policy_id"], port["qos_network_policy_id"]) == (gold["id"], None)
    assert alice.change("network", network["id"], qos_policy_id=silver["id"])["qos_policy_id"] == silver["id"]
    assert alice.show("port", port["id"])["qos_network_policy_id"] == silver["id"]
    for policy in (gold, silver):
        assert refused(admin.delete(f"{POLICIES}/{policy['id']}")) == (409, "QosPolicyInUse")
        unshared = admin.put(f"{POLICIES}/{policy['id']}", {"policy": {"shared": False}})
        assert refused(unshared) == (409, "QosPolicyInUse")
    assert alice.change("port", port["id"], qos_policy_id=None)["qos_policy_id"] is None
    assert admin.delete(f"{POLICIES}/{gold['id']}") == (204, None)
    alice.change("network", network["id"], qos_policy_id=None)
    assert admin.put(f"{POLICIES}/{silver['id']}", {"policy": {"shared": False}})[0] == 200


def test_new_networks_get_the_projects_default_policy(admin: Caller) -> None:
    default, other = make(admin, is_default=True), make(admin)
    taken = (409, "QoSPolicyDefaultAlreadyExists")
    assert refused(admin.post(POLICIES, {"policy": {"is_default": True}})) == taken
    assert refused(admin.put(f"{POLICIES}/{other['id']}", {"policy": {"is_default": True}})) == taken
    assert admin.make("network")["qos_policy_id"] == default["id"]
    assert admin.make("network", qos_policy_id=other["id"])["qos_policy_id"] == other["id"]
    assert (
        admin.put(f"{POLICIES}/{default['id']}", {"policy": {"is_default": False}})[1]["policy"]["is_default"] is False
    )
    assert admin.make("network")["qos_policy_id"] is None
    assert admin.put(f"{POLICIES}/{other['id']}", {"policy": {"is_default": True}})[0] == 200
    assert admin.put(f"{POLICIES}/{other['id']}", {"policy": {"is_default": False}})[0] == 200


def test_administrators_make_policies_and_others_see_what_is_shared(alice: Caller, admin: Caller) -> None:
    forbidden = (403, "PolicyNotAuthorized")
    assert refused(alice.post(POLICIES, {"policy": {"name": "mine"}})) == forbidden
    secret, common = make(admin, name="secret"), make(admin, name="common", shared=True)
    rule = add(admin, common, "dscp_marking_rule", dscp_mark=8)
    add(admin, secret, "dscp_marking_rule", dscp_mark=8)
    names = {policy["name"] for policy in alice.get(POLICIES)[1]["policies"]}
    assert "common" in names and "secret" not in names
    path = f"{POLICIES}/{common['id']}/dscp_marking_rules"
    assert alice.get(f"{path}/{rule['id']}")[0] == 200
    assert refused(alice.delete(f"{path}/{rule['id']}")) == forbidden
    assert refused(alice.post(path, {"dscp_marking_rule": {"dscp_mark": 8}})) == forbidden
    hidden_path = f"{POLICIES}/{secret['id']}/dscp_marking_rules"
    assert refused(alice.post(hidden_path, {"dscp_marking_rule": {"dscp_mark": 8}})) == forbidden
    assert refused(alice.get(f"{POLICIES}/{secret['id']}/dscp_marking_rules")) == (404, "QosPolicyNotFound")
    network = alice.make("network")
    hidden = {"port": {"network_id": network["id"], "qos_policy_id": secret["id"]}}
    assert refused(alice.post("/v2.0/ports", hidden)) == (404, "QosPolicyNotFound")
    port = alice.make("port", network_id=network["id"])
    admin.change("port", port["id"], qos_policy_id=secret["id"])
    none = {"port": {"qos_policy_id": None}}
    assert refused(alice.put(f"/v2.0/ports/{port['id']}", none)) == (403, "PolicyRemoveAuthorizationError")
    assert alice.change("port", port["id"], name="kept")["qos_policy_id"] == secret["id"]


@pytest.mark.parametrize(
    "kind, body",
    [
        ("bandwidth_limit_rule", {}),
        ("bandwidth_limit_rule", {"max_kbps": 0}),
        ("bandwidth_limit_rule", {"max_kbps": -1}),
        ("bandwidth_limit_rule", {"max_kbps": "x"}),
        ("bandwidth_limit_rule", {"max_kbps": 2**40}),
        ("bandwidth_limit_rule", {"max_kbps": None}),
        ("bandwidth_limit_rule", {"max_kbps": 1, "max_burst_kbps": -1}),
        ("bandwidth_limit_rule", {"max_kbps": 1, "direction": "both"}),
        ("bandwidth_limit_rule", {"max_kbps": 1, "nothing": 1}),
        ("dscp_marking_rule", {}),
        ("dscp_marking_rule", {"dscp_mark": 1}),
        ("dscp_marking_rule", {"dscp_mark": 64}),
        ("dscp_marking_rule", {"dscp_mark": [8]}),
        ("minimum_bandwidth_rule", {"min_kbps": 1}),
        ("minimum_packet_rate_rule", {"min_kpps": 1}),
    ],
)
def test_a_rule_that_makes_no_sense_or_cannot_be_kept_is_refused(admin: Caller, kind: str, body: Any) -> None:
    policy = make(admin)
    assert admin.post(f"{POLICIES}/{policy['id']}/{kind}s", {kind: body})[0] == 400
    assert show(admin, policy)["rules"] == []


def test_what_is_not_there_is_not_found(admin: Caller) -> None:
    policy, other = make(admin), make(admin)
    rule = add(admin, other, "dscp_marking_rule", dscp_mark=8)
    assert refused(admin.get(f"{POLICIES}/{policy['id']}/dscp_marking_rules/{rule['id']}")) == (404, "QosRuleNotFound")
    assert refused(admin.delete(f"{POLICIES}/{policy['id']}/dscp_marking_rules/x")) == (404, "QosRuleNotFound")
    assert refused(admin.get(f"{POLICIES}/{UNKNOWN}/dscp_marking_rules")) == (404, "QosPolicyNotFound")
    assert refused(admin.get(f"{POLICIES}/{policy['id']}/nothing"))[0] == 404
    assert refused(admin.get(f"{POLICIES}/{other['id']}/dscp_marking_rules/{rule['id']}/x"))[0] == 404
    assert refused(admin.get("/v2.0/policies"))[0] == 404


def test_the_types_of_rules_are_listed_and_administrators_see_what_rules_may_say(alice: Caller, admin: Caller) -> None:
    kinds = [{"type": "bandwidth_limit"}, {"type": "dscp_marking"}]
    assert alice.get("/v2.0/qos/rule-types") == (200, {"rule_types": kinds})
    assert alice.get("/v2.0/qos/rule-types?type=dscp_marking") == (200, {"rule_types": kinds[1:]})
    assert alice.get("/v2.0/qos/rule-types?size=1")[0] == 400
    assert refused(alice.get("/v2.0/qos/rule-types/bandwidth_limit")) == (403, "NotAuthorized")
    (driver,) = admin.get("/v2.0/qos/rule-types/bandwidth_limit")[1]["rule_type"]["drivers"]
    assert {p["parameter_name"] for p in driver["supported_parameters"]} == {"max_kbps", "max_burst_kbps", "direction"}
    assert admin.get("/v2.0/qos/rule-types/minimum_bandwidth")[0] == 404


def test_a_policys_tags_are_found_beside_the_qos_api_too(admin: Caller) -> None:
    policy = make(admin)
    path = f"/v2.0/policies/{policy['id']}/tags"
    assert admin.put(path, {"tags": ["a", "b"]}) == (200, {"tags": ["a", "b"]})
    assert admin.get(f"{path}/a")[0] == 204
    assert admin.delete(f"{path}/a")[0] == 204
    assert admin.get(f"{POLICIES}/{policy['id']}/tags") == (200, {"tags": ["b"]})
    assert admin.get(f"/v2.0/policies/{policy['id']}")[0] == 404


def test_a_floating_ip_has_a_policy_which_then_stays(admin: Caller, alice: Caller) -> None:
    gold, hidden = (make(admin, name="p", shared=shared) for shared in (True, False))
    public = outside(admin, "198.51.100.0/24")
    path = "/v2.0/floatingips"
    asked = {"floating_network_id": public.id, "qos_policy_id": gold["id"]}
    floating = alice.make("floatingip", **asked)
    assert (floating["qos_policy_id"], floating["qos_network_policy_id"]) == (gold["id"], None)
    assert refused(admin.delete(f"/v2.0/qos/policies/{gold['id']}")) == (409, "QosPolicyInUse")
    change = {"floatingip": {"qos_policy_id": hidden["id"]}}
    assert refused(alice.put(f"{path}/{floating['id']}", change)) == (404, "QosPolicyNotFound")
    assert refused(alice.post(path, {"floatingip": asked | {"qos_policy_id": hidden["id"]}}))[0] == 404
    unshared = {"policy": {"shared": False}}
    assert refused(admin.put(f"/v2.0/qos/policies/{gold['id']}", unshared)) == (409, "QosPolicyInUse")
    assert alice.change("floatingip", floating["id"], description="d")["qos_policy_id"] == gold["id"]
    assert alice.change("floatingip", floating["id"], qos_policy_id=None)["qos_policy_id"] is None
    admin.change("network", public.id, qos_policy_id=gold["id"])
    assert alice.show("floatingip", floating["id"])["qos_network_policy_id"] == gold["id"]
    assert admin.change("floatingip", floating["id"], qos_policy_id=hidden["id"])["qos_policy_id"] == hidden["id"]
    taken = {"floatingip": {"qos_policy_id": None}}
    assert refused(alice.put(f"{path}/{floating['id']}", taken)) == (403, "PolicyRemoveAuthorizationError")
