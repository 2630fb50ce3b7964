"""Availability zones of routers."""

from __future__ import annotations

from typing import Any

import pytest

from support.api_server import Caller, Cloud
from support.routed import refused


@pytest.fixture(scope="module", autouse=True)
def zones(cloud: Cloud) -> None:
    cloud.register_chassis("hv1", "host1", ovn_cms_options="enable-chassis-as-gw,availability-zones=north:east")
    cloud.register_chassis("hv2", "host2", ovn_cms_options="availability-zones=north")
    cloud.register_chassis("hv3", "host3")


def zone(name: str) -> dict[str, str]:
    return {"name": name, "resource": "router", "state": "available"}


def test_zones_are_those_of_the_chassis(alice: Caller) -> None:
    path = "/v2.0/availability_zones"
    assert alice.get(path) == (200, {"availability_zones": [zone("east"), zone("north")]})
    assert alice.get(f"{path}?name=east&resource=router&fields=name")[1] == {"availability_zones": [{"name": "east"}]}
    assert alice.get(f"{path}?resource=network")[1] == {"availability_zones": []}
    assert refused(alice.get(f"{path}?cheese=1")) == (400, "HTTPBadRequest")
    assert refused(alice.post(path, {})) == (405, "HTTPMethodNotAllowed")


def test_a_router_keeps_the_hints_it_was_made_with(alice: Caller) -> None:
    router = alice.make("router", availability_zone_hints=["north", "east"])
    assert router["availability_zone_hints"] == router["availability_zones"] == ["north", "east"]
    assert alice.make("router")["availability_zone_hints"] == []
    unknown = {"router": {"availability_zone_hints": ["west"]}}
    assert refused(alice.post("/v2.0/routers", unknown)) == (404, "AvailabilityZoneNotFound")
    changed = {"router": {"availability_zone_hints": ["east"]}}
    assert refused(alice.put(f"/v2.0/routers/{router['id']}", changed)) == (400, "HTTPBadRequest")


@pytest.mark.parametrize("hints", ["north", [1], ["north", "north"], {"a": 1}, ["x" * 300]])
def test_hints_that_are_none_are_refused(alice: Caller, hints: Any) -> None:
    assert refused(alice.post("/v2.0/routers", {"router": {"availability_zone_hints": hints}}))[0] == 400
