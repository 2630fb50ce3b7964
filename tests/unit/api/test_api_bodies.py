"""Request bodies and attribute maps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovine.api import bodies
from ovine.api.config import Config
from ovine.api.context import Caller
from ovine.api.errors import fault
from ovine.api.policy import RULES
from ovine.api.resources import NETWORK, NOT_OFFERED, PORT, RESOURCES, SOMETIMES, UNSET
from ovine.api.views import view
from ovine.model import cloud
from ovine.ovsdb import Replica

ALICE = Caller("alice", project_id="demo", roles=frozenset({"member", "reader"}))
bodies.configure_library(Config())


def test_a_body_is_completed_with_defaults() -> None:
    parsed = bodies.for_create(NETWORK, {"name": "n", "admin_state_up": "false"}, ALICE)
    assert parsed["admin_state_up"] is False
    assert (parsed["shared"], parsed["mtu"], parsed["description"]) == (False, 0, "")
    assert parsed["provider:network_type"] is UNSET
    assert parsed["project_id"] == parsed["tenant_id"] == "demo"
    writable = {name for name, spec in NETWORK.attributes.items() if spec["allow_post"]}
    assert writable <= set(parsed)


def test_an_update_has_only_what_was_named() -> None:
    assert bodies.for_update(PORT, {"name": "p", "mac_address": "FA-16-3E-00-00-01"}) == {
        "name": "p",
        "mac_address": "fa:16:3e:00:00:01",
    }


def test_views_show_just_the_attributes_of_the_maps() -> None:
    replica = Replica(cloud.DATABASE)
    for resource in RESOURCES.values():
        row = cloud.Subnet(cidr="10.0.0.0/24") if resource.row is cloud.Subnet else resource.row()
        shown = view(replica, row, Config())
        visible = {name for name, spec in resource.attributes.items() if spec["is_visible"]}
        assert {name for name in shown if name in visible} == visible - SOMETIMES
        assert {name for name in shown if name not in visible} <= {"shared"}


def test_what_is_not_offered_is_in_no_attribute_map() -> None:
    offered = {name for resource in RESOURCES.values() for name in resource.attributes}
    assert offered.isdisjoint(NOT_OFFERED)


def test_every_rule_of_an_attribute_names_an_attribute() -> None:
    for rule in RULES:
        action, colon, attribute = rule.partition(":")
        if colon:
            name = "router" if action.endswith("_external_gateways") else action.partition("_")[2]
            resource = next(r for r in RESOURCES.values() if r.name == name)
            whole, _, part = attribute.partition(":")
            structured = whole in ("fixed_ips", "external_gateway_info", "external_gateways")
            assert attribute in resource.attributes or (structured and part)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
HINTS = ["ip_address", "subnet_id", "mac_address", "opt_name", "opt_value", "start", "end", "destination", "nexthop"]
SHAPED = st.lists(st.dictionaries(st.sampled_from(HINTS), JSON, max_size=3), max_size=3)


@given(resource=st.sampled_from(list(RESOURCES.values())), data=st.data())
def test_any_value_is_parsed_or_refused_with_a_status(resource: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(resource.attributes)))
    value = data.draw(JSON | SHAPED)
    for parse in (
        lambda: bodies.for_create(resource, {name: value}, ALICE),
        lambda: bodies.for_update(resource, {name: value}),
    ):
        try:
            parse()
        except Exception as error:
            told = fault(error)
            assert told is not None, error
            assert told[0] < 500


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    try:
        bodies.decode(raw)
    except Exception as error:
        told = fault(error)
        assert told is not None
        assert told[1]["NeutronError"]["type"] == "MalformedRequestBody"


@pytest.mark.parametrize("body", [None, [], {}, {"networks": []}, {"networks": 5}, {"port": {}}])
def test_a_body_without_its_resource_is_refused(body: Any) -> None:
    with pytest.raises(Exception) as caught:
        bodies.items_for_create(NETWORK, body)
    told = fault(caught.value)
    assert told is not None
    assert told[0] == 400
