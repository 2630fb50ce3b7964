"""Replies against those of a Neutron 29.0.0 (ML2/OVN), recorded in data/neutron29.jsonl.

Ids are names in angle brackets there, times are T, generated MACs <macN>. The differences allowed are listed here, each
with its reason, and in docs/api.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.api_server import Cloud, running_cloud

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "data" / "neutron29.jsonl").read_text().splitlines()]

NOT_OFFERED = {
    "network": {
        "availability_zone_hints": "network_availability_zone",
        "availability_zones": "network_availability_zone",
        "ipv4_address_scope": "address-scope",
        "ipv6_address_scope": "address-scope",
        "is_default": "auto-allocated-topology",
        "qinq": "qinq",
        "vlan_transparent": "vlan-transparent",
    },
    "security_group": {},
    "policy": {},
    "port_forwarding": {},
    "bandwidth_limit_rule": {},
    "dscp_marking_rule": {},
    "security_group_rule": {},
    "address_group": {},
    "subnet": {"dns_publish_fixed_ip": "subnet-dns-publish-fixed-ip", "segment_id": "segment"},
    "router": {
        "flavor_id": "l3-flavors",
    },
    "floatingip": {},
    "port": {
        "propagate_uplink_status": "uplink-status-propagation",
        "resource_request": "port-resource-request",
        "trusted": "port-trusted-vif",
    },
}
"""Attributes that Neutron's reply has and ours has not, with the extension that is not listed."""
OFFERED_BESIDES = {"qos_network_policy_id": ("floatingip", "qos-fip-network-policy")}
"""Attributes that ours has and that Neutron's has not, with the kind and the extension, which was not loaded there."""


@pytest.fixture(scope="module")
def recorded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    config = 'flat_networks = ["public"]\n[vlan_ranges]\nphysnet1 = []\n[dhcp]\ndomain = "openstackgate.local."\n'
    with running_cloud(tmp_path_factory.mktemp("recorded"), config=config) as running:
        running.register_chassis("chassis1", "chassis1", datapath_type="netdev")
        yield running


def test_the_recorded_calls_get_neutrons_status_and_reply(recorded_cloud: Cloud) -> None:
    admin = recorded_cloud.user("admin")
    (default,) = admin.list("security_group", "name=default")
    ids = {"project": default["project_id"], "row4": default["id"]}
    for step in RECORDED:
        path, body = named(step["path"], ids), named(step["body"], ids)
        status, reply = admin.call(step["do"], path, body)
        assert status == step["status"], (step, reply)
        if step["do"] == "POST" and status == 201:
            ids[step["step"]] = next(iter(reply.values()))["id"]
        assert comparable(reply, step) == comparable(named(expected(step), ids), step), step["step"]


def named(value: Any, ids: dict[str, str]) -> Any:
    """Names in angle brackets to our ids, where there are any."""
    return json.loads(re.sub(r"<([a-z0-9_]+)>", lambda m: ids.get(m[1], m[0]), json.dumps(value)))


def expected(step: dict[str, Any]) -> Any:
    reply = step["reply"]
    if reply is None or "NeutronError" in reply:
        return reply
    kind = next(iter(reply))
    if kind not in NOT_OFFERED:
        return reply  # what an interface's router and port are
    return {kind: {name: value for name, value in reply[kind].items() if name not in NOT_OFFERED[kind]}}


def comparable(reply: Any, step: dict[str, Any]) -> Any:
    """What must be equal: not what is chosen at random, and not these differences."""
    if reply is None or "NeutronError" in reply:
        return reply
    if len(reply) > 1:
        return reply | {"port_id": "<port>"}
    ((kind, resource),) = reply.items()
    resource = {name: v for name, v in resource.items() if OFFERED_BESIDES.get(name, ("",))[0] != kind}
    resource |= {name: "T" for name in ("created_at", "updated_at") if name in resource}
    if "mac_address" in resource and not resource["mac_address"].startswith("02:"):
        resource["mac_address"] = "<mac>"
    if resource.get("port_details"):
        resource["port_details"] = resource["port_details"] | {"mac_address": "<mac>"}
    for address in resource.get("fixed_ips", []):
        address["ip_address"] = re.sub(r"::f816:3eff:fe..?.?.?:.*", "::<eui64>", address["ip_address"])
    for name in resource.get("dns_assignment", []):
        for key, value in name.items():
            name[key] = re.sub(r"(::|--)f816.3eff.fe[0-9a-f]{2}.[0-9a-f]{1,4}", r"\1<eui64>", value)
    if kind == "security_group_rule":
        resource.pop("tags", None)  # Neutron shows it in the reply to a GET, not in the one to a POST
    if "security_group_rules" in resource:
        resource["security_group_rules"] = comparable_rules(resource["security_group_rules"])
    if "subnets" in resource:
        resource["subnets"] = sorted(resource["subnets"])  # Neutron's order is arbitrary
    if step["do"] == "PUT":
        # Ours counts requests. Neutron's counts some changes twice, and others (of a subnet's name servers) not at all.
        resource.pop("revision_number")
        # Neutron shows it in the reply to the request that binds and then no more; we always do.
        resource.get("binding:vif_details", {}).pop("bound_drivers", None)
        if kind == "floatingip" and resource["port_id"] is None:
            # Neutron still shows the status that it had when it stood for a port.
            resource["status"] = "DOWN"
    return {kind: resource}


def comparable_rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A new group's rules in an order of ours. Neutron's have the number of a row in its database, too."""
    found = []
    for rule in rules:
        shown = {name: value for name, value in rule.items() if name != "standard_attr_id"}
        found.append(shown | {"id": "<rule>", "created_at": "T", "updated_at": "T"})
    return sorted(found, key=lambda rule: (rule["direction"], rule["ethertype"]))
