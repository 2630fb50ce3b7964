"""Routers: planning of create, update and delete. What joins and leaves them is in `ovine.api.router_actions`.

Tests: tests/api/test_api_routers.py, tests/api/test_api_router_gateways.py.
"""

from __future__ import annotations

from typing import Any

from neutron_lib.exceptions import l3 as l3_exc

from ovine.api import availability_zones, extra_routes, router_ports
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.policy import Judge, Target, target_of
from ovine.api.resources import ROUTER, UNSET
from ovine.api.views import positioned
from ovine.model.base import Map, Uuid
from ovine.model.cloud import Router

_PLAIN = ("name", "description", "admin_state_up")
_DEFAULT_ROUTES = ("enable_default_route_bfd", "enable_default_route_ecmp")


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> Router:
    """A new router, with its gateway if the request names one."""
    project = parsed["project_id"]
    judge.require_create(ROUTER, given, parsed, Target(project, project, False, False))
    _check_ha(parsed)
    if hints := parsed["availability_zone_hints"]:
        availability_zones.check(env.hosts(), hints)
    router = draft.insert_resource(
        Router(
            project_id=project,
            availability_zone_hints=positioned(hints),
            enable_snat=env.config.enable_snat_by_default,
            tags=() if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"])),
            enable_default_route_bfd=bool(parsed["enable_default_route_bfd"]),
            enable_default_route_ecmp=bool(parsed["enable_default_route_ecmp"]),
            **{name: parsed[name] for name in _PLAIN},
        ),
        revision=1,
    )
    if parsed["external_gateway_info"]:
        router = _set_gateway(draft, env, judge, router, parsed["external_gateway_info"])
    return router


def update(draft: Draft, env: Env, judge: Judge, router: Router, parsed: dict[str, Any]) -> None:
    """Changes a router, its gateway or its extra routes."""
    judge.require_update(ROUTER, parsed, target_of(draft, router))
    _check_ha(parsed)
    columns: dict[str, Any] = {name: parsed[name] for name in _PLAIN if name in parsed}
    columns |= {name: bool(parsed[name]) for name in _DEFAULT_ROUTES if name in parsed}
    router = draft.update(router, **columns)
    if "external_gateway_info" in parsed:
        router = _set_gateway(draft, env, judge, router, parsed["external_gateway_info"])
    if "routes" in parsed:
        extra_routes.replace(draft, env, router, parsed["routes"])


def _check_ha(parsed: dict[str, Any]) -> None:
    """A gateway is on several chassis wherever there are several, and that can't be had otherwise."""
    if parsed.get("ha", UNSET) is False:
        raise router_ports.bad("ha can't be turned off: a gateway is taken over by another host when its own fails")


def _set_gateway(draft: Draft, env: Env, judge: Judge, router: Router, info: dict[str, Any] | None) -> Router:
    """Makes the first gateway what `external_gateway_info` says; an empty one gives it up."""
    present = router_ports.gateways(draft, router)
    snat = bool((info or {}).get("enable_snat", env.config.enable_snat_by_default))
    router = draft.update(router, enable_snat=snat)
    if not info:
        return router_ports.drop_gateway(draft, router, present[0]) if present else router
    wanted = router_ports.asked(draft, judge, info)
    if not present:
        return router_ports.add_gateway(draft, env, router, wanted, 0)
    if present[0].network == wanted.network.uuid:
        return router_ports.change_gateway(draft, env, router, present[0], wanted)
    router_ports.drop_gateway(draft, router, present[0])
    others: dict[int, Uuid] = {place: port.uuid for place, port in enumerate(present[1:], start=1)}
    return router_ports.add_gateway(draft, env, draft.update(router, gateways=Map(others)), wanted, 0)


def delete(draft: Draft, env: Env, judge: Judge, router: Router) -> None:
    """Deletes a router with its gateways; an interface or a floating IP keeps it."""
    judge.require("delete_router", target_of(draft, router))
    if router.interfaces:
        raise l3_exc.RouterInUse(router_id=router.uuid)
    for port in router_ports.gateways(draft, router):
        router = router_ports.drop_gateway(draft, draft.update(router, routes=()), port)
    draft.delete(router)
