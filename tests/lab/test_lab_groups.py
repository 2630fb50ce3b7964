"""Security groups from the API to packets: what the default group lets in, and what nothing lets in."""

from __future__ import annotations

from typing import Any

import pytest

from ovine.lab import Instance, Lab
from ovine.lab.waiting import wait_for


@pytest.fixture(scope="module")
def lab(cloud_lab: Lab) -> Lab:
    return cloud_lab


def set_groups(lab: Lab, instance: Instance, *groups: str) -> None:
    lab.cloud.put(f"ports/{instance.record.port_id}", {"port": {"security_groups": list(groups)}})


def until_refused(instance: Instance, target: str) -> None:
    wait_for(lambda: not instance.ping(target, count=1, wait=0.2).received, f"no answer from {target}", 10.0)


def test_the_default_groups_members_reach_each_other_and_others_do_not(
    lab: Lab, pair: tuple[Instance, Instance]
) -> None:
    one, two = pair
    (default,) = groups(lab, "default")
    set_groups(lab, one)
    until_refused(one, "10.0.0.12")
    set_groups(lab, one, default["id"])
    one.wait_reaches("10.0.0.12")
    set_groups(lab, two)
    until_refused(one, "10.0.0.12")
    set_groups(lab, two, default["id"])
    one.wait_reaches("10.0.0.12")


def test_a_rule_lets_in_what_it_names_from_the_moment_it_is_there(lab: Lab, pair: tuple[Instance, Instance]) -> None:
    one, two = pair
    group = lab.cloud.post("security-groups", {"security_group": {"name": "web"}})["security_group"]
    set_groups(lab, two, group["id"])
    until_refused(one, "10.0.0.12")
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "icmp",
        "port_range_min": 8,
        "remote_ip_prefix": "10.0.0.11/32",
    }
    made = lab.cloud.post("security-group-rules", {"security_group_rule": rule})["security_group_rule"]
    one.wait_reaches("10.0.0.12")
    lab.cloud.delete(f"security-group-rules/{made['id']}")
    until_refused(one, "10.0.0.12")
    addresses = lab.cloud.post("address-groups", {"address_group": {"addresses": ["10.0.0.11/32"]}})["address_group"]
    by_set = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "remote_address_group_id": addresses["id"],
    }
    lab.cloud.post("security-group-rules", {"security_group_rule": by_set})
    one.wait_reaches("10.0.0.12")


def groups(lab: Lab, name: str) -> list[Any]:
    network = lab.cloud.network("net1")
    found: list[Any] = lab.cloud.get("security-groups", name=name, project_id=network["project_id"])["security_groups"]
    return found
