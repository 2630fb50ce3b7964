"""A router's extra routes: static routes that its owner writes, whole (`routes`) or one by one (extraroute-atomic).

A next hop must be in a subnet that the router is in, and not be the router itself.

Tests: tests/api/test_api_router_gateways.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from neutron_lib.api import validators
from neutron_lib.exceptions import extraroute as route_exc

from ovine.api import router_ports
from ovine.api.addressing import network_of
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import bad_request
from ovine.model.cloud import Router

Routes = list[dict[str, str]]


def parse(body: Any) -> Routes:
    """The routes of an `add_extraroutes` or `remove_extraroutes` body. Raises HttpError."""
    router = body.get("router") if isinstance(body, dict) else None
    if not isinstance(router, dict) or set(router) != {"routes"}:
        raise bad_request("Invalid request body: it needs a router with routes, a list")
    reason = validators.validate_hostroutes(router["routes"])
    if reason:
        raise bad_request(f"Invalid input for routes. Reason: {reason}.")
    found: Routes = router["routes"]
    return found


def replace(draft: Draft, env: Env, router: Router, routes: Routes) -> None:
    """Makes these all of a router's routes."""
    _write(draft, env, router, {_text(route) for route in routes})


def add(draft: Draft, env: Env, router: Router, routes: Routes) -> None:
    """Adds routes; those that are there already do no harm."""
    _write(draft, env, router, {*router.routes, *(_text(route) for route in routes)})


def remove(draft: Draft, env: Env, router: Router, routes: Routes) -> None:
    """Removes routes; those that are not there do no harm."""
    _write(draft, env, router, set(router.routes) - {_text(route) for route in routes})


ACTIONS = {"add_extraroutes": add, "remove_extraroutes": remove}
"""What a PUT of `/v2.0/routers/ID/ACTION` does."""


def _text(route: dict[str, str]) -> str:
    destination, nexthop = network_of(route["destination"]), ipaddress.ip_address(route["nexthop"])
    if destination.version != nexthop.version:
        raise route_exc.InvalidRoutes(routes=[route], reason="the destination and nexthop are of different IP versions")
    return f"{destination},{nexthop}"


def _write(draft: Draft, env: Env, router: Router, routes: Iterable[str]) -> None:
    wanted = tuple(sorted(routes))
    if len(wanted) > env.config.max_routes:
        raise route_exc.RoutesExhausted(router_id=router.uuid, quota=env.config.max_routes)
    if fresh := sorted(set(wanted) - set(router.routes)):
        _check_nexthops(draft, router, fresh)
    draft.update(router, routes=wanted)


def _check_nexthops(draft: Draft, router: Router, routes: list[str]) -> None:
    ports = [*router_ports.gateways(draft, router), *router_ports.interfaces(draft, router)]
    nets = [network_of(subnet.cidr) for subnet in router_ports.subnets_of(draft, ports)]
    own = {ipaddress.ip_address(row.ip_address) for port in ports for row in draft.addresses_of(port)}
    shown = [dict(zip(("destination", "nexthop"), route.split(","), strict=True)) for route in routes]
    for route in shown:
        hop = ipaddress.ip_address(route["nexthop"])
        if not any(hop in net for net in nets):
            raise route_exc.InvalidRoutes(routes=shown, reason="the nexthop is not connected with router")
        if hop in own:
            raise route_exc.InvalidRoutes(routes=shown, reason="the nexthop is used by router")
