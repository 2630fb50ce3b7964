"""Rules: defaults, and a file that replaces some."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovine.api.context import Caller
from ovine.api.errors import PolicyNotAuthorized
from ovine.api.policy import Policy, Target
from ovine.api.resources import NETWORK, PORT

MINE = Target("demo", "demo", False, False)
THEIRS = Target("other", "other", False, False)
MY_PORT_IN_THEIR_NETWORK = Target("demo", "other", True, False)
MY_RULE_IN_THEIR_GROUP = Target("demo", "other", False, False)
THEIR_RULE_IN_MY_GROUP = Target("other", "demo", False, False)
THEIR_PORT_IN_MY_NETWORK = Target("other", "demo", True, False)


def caller(*roles: str) -> Caller:
    return Caller("u", project_id="demo", roles=frozenset(roles))


CASES = [
    (("member", "reader"), "create_network", MINE, True),
    (("reader",), "create_network", MINE, False),
    (("member", "reader"), "create_network", THEIRS, False),
    (("admin",), "create_network", THEIRS, True),
    ((), "get_network", MINE, False),
    (("reader",), "get_network", MINE, True),
    (("reader",), "get_network", THEIRS, False),
    (("reader",), "get_network", THEIRS._replace(shared=True), True),
    (("reader",), "get_network", THEIRS._replace(external=True), True),
    (("reader",), "get_subnet", THEIRS._replace(external=True), True),
    (("reader",), "get_subnet", THEIRS, False),
    (("member",), "create_subnet", MY_PORT_IN_THEIR_NETWORK, False),
    (("member",), "create_port:mac_address", MY_PORT_IN_THEIR_NETWORK, False),
    (("member",), "create_port:mac_address", MINE, True),
    (("reader",), "get_port", THEIR_PORT_IN_MY_NETWORK, True),
    (("member",), "delete_port", THEIR_PORT_IN_MY_NETWORK, True),
    (("member",), "update_port", THEIR_PORT_IN_MY_NETWORK, False),
    (("service",), "update_port:binding:host_id", THEIRS, True),
    (("member",), "update_port:binding:host_id", MINE, False),
    (("reader",), "get_security_group", MINE, True),
    (("reader",), "get_security_group", THEIRS, False),
    (("reader",), "create_security_group", MINE, False),
    (("member",), "create_security_group_rule", MINE, True),
    (("member",), "create_security_group_rule", MY_RULE_IN_THEIR_GROUP, False),
    (("member",), "delete_security_group_rule", THEIR_RULE_IN_MY_GROUP, True),
    (("reader",), "get_security_group_rule", THEIR_RULE_IN_MY_GROUP, True),
    (("reader",), "get_address_group", THEIRS, False),
    (("member",), "update_address_group", MINE, True),
]


@pytest.mark.parametrize("roles, rule, target, allowed", CASES)
def test_the_default_rules_are_neutrons(roles: tuple[str, ...], rule: str, target: Target, allowed: bool) -> None:
    assert Policy().judge(caller(*roles)).allows(rule, target) == allowed


def test_hidden_attributes_are_those_whose_rule_refuses() -> None:
    member = Policy().judge(caller("member", "reader"))
    assert "binding:host_id" in member.hidden(PORT, MINE)
    assert "binding:vnic_type" not in member.hidden(PORT, MINE)
    assert Policy().judge(caller("admin")).hidden(NETWORK, MINE) == frozenset()


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(PolicyNotAuthorized, match="rule:delete_network is disallowed by policy"):
        Policy().judge(caller("reader")).require("delete_network", MINE)


def test_a_file_replaces_rules_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text('"create_network": "role:admin"\n')
    judge = Policy(str(path)).judge(caller("member", "reader"))
    assert not judge.allows("create_network", MINE)
    assert judge.allows("update_network", MINE)
