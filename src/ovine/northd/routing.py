"""The features of logical routers, as one list of rules and shared flows for `ovine.northd`."""

from __future__ import annotations

from ovine.engine import Rule
from ovine.northd import (
    bfd,
    gateway_ports,
    mac_bindings,
    next_hops,
    policies,
    policy_chains,
    router_admission,
    router_input,
    router_mtu,
    router_neighbours,
    router_ports,
    router_ra,
    routers,
    routes,
    symmetric,
)

SHARED = (
    *router_admission.SHARED,
    *router_neighbours.SHARED,
    *router_input.SHARED,
    *router_mtu.SHARED,
    *router_ra.SHARED,
    *routes.SHARED,
    *symmetric.SHARED,
    *policies.SHARED,
    *next_hops.SHARED,
    *gateway_ports.SHARED,
)

RULES: tuple[Rule, ...] = (
    routers.router,
    router_ports.router_port,
    router_ports.readable,
    router_admission.admission,
    router_admission.disabled_router_port,
    router_neighbours.learning,
    router_neighbours.learn_requests,
    router_neighbours.answer,
    router_input.own_address,
    router_input.expired,
    router_mtu.limited,
    router_mtu.mtu_readable,
    router_mtu.too_big,
    router_ra.advertisement,
    routes.port_table,
    routes.link_local_network,
    routes.connected,
    routes.static_route,
    routes.tables_differ,
    routes.group_flows,
    symmetric.symmetric,
    policy_chains.chained,
    policies.policy,
    next_hops.attachment,
    next_hops.neighbour,
    next_hops.hand_over,
    next_hops.take_over,
    next_hops.neighbour_router,
    next_hops.joined_router,
    gateway_ports.redirect,
    mac_bindings.static_binding,
    bfd.session_numbers,
    bfd.session,
    bfd.session_packets,
)

TARGETS = (mac_bindings.TARGET, bfd.TARGET)
