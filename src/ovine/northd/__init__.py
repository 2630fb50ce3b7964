"""northd: compiles the northbound (what is wanted) into the southbound (what hosts do). See docs/northd.md.

Each feature is a module with rules (`ovine.engine`); this package lists them. `RULES` with `TARGETS` is the whole
compiler; `new_engine` and `seeded` make it an engine. Nothing here does I/O.

Tests: tests/unit/northd/, tests/cases/northd/, tests/paths/test_northd_walk.py, tests/interop/test_northd_*.py.
"""

from __future__ import annotations

from typing import Any

from ovine.engine import Engine, Relation, Rule, Sticky
from ovine.model import sb
from ovine.model.base import Row, Uuid
from ovine.northd import (
    acl,
    acl_scopes,
    acl_shared,
    arp_nd,
    attachments,
    balancers,
    bfd,
    config,
    copp,
    datapaths,
    dhcp,
    dhcp_relay,
    dns,
    expiry,
    external_ports,
    flows,
    gaps,
    ha_groups,
    health,
    ipam,
    lb_router,
    lb_switch,
    learned,
    meters,
    mirrors,
    multicast,
    nat,
    nat_addresses,
    nat_forced,
    nat_shared,
    nats,
    offered_routes,
    port_rates,
    port_security,
    ports,
    proxy_arp,
    qos,
    queues,
    rbac,
    relay,
    router_bindings,
    routing,
    samples,
    sets,
    snooping,
    switching,
    tags,
    templates,
    thresholds,
    virtual_ports,
)
from ovine.northd.inputs import NB_INPUTS, SB_INPUTS
from ovine.ovsdb import Replica
from ovine.projection import Target

SHARED = (
    *port_security.SHARED,
    *switching.SHARED,
    *attachments.SHARED,
    *nat_shared.SHARED,
    *acl_shared.SHARED,
    *arp_nd.SHARED,
    *dhcp.SHARED,
    *dhcp_relay.SHARED,
    *dns.SHARED,
    *qos.SHARED,
    *routing.SHARED,
    *snooping.SHARED,
    *lb_switch.SHARED,
    *lb_router.SHARED,
    *relay.SHARED,
)

_RULES: tuple[Rule, ...] = (
    datapaths.ask_datapath_key,
    datapaths.ask_router_key,
    datapaths.datapath,
    datapaths.router_datapath,
    datapaths.scopes,
    *routing.RULES,
    ipam.reserved,
    ipam.readable,
    ipam.taken,
    ipam.kept_back,
    ipam.ask_address,
    ipam.ask_mac,
    ipam.dynamic,
    tags.ask_tag,
    ports.port,
    ports.readable,
    *queues.RULES,
    ports.port_binding,
    ports.port_state,
    attachments.attachment,
    attachments.attachment_binding,
    attachments.answers,
    attachments.own_requests_pass,
    attachments.requests_for_router,
    attachments.request,
    attachments.requests_by_router,
    attachments.quiet,
    router_bindings.router_port_keys,
    router_bindings.router_port_binding,
    router_bindings.redirect_binding,
    router_bindings.advertisements_readable,
    nats.nat,
    nats.level,
    nat.destination,
    nat.reply_of_destination,
    nat.translated_source,
    nat.on_the_spot,
    nat.spot_admission,
    nat.spot_on_switch,
    nat_addresses.answers,
    nat_addresses.silence,
    nat_addresses.replies,
    nat_addresses.at_gateway_port,
    nat_addresses.on_switches,
    *offered_routes.RULES,
    nat_forced.forced,
    nat_forced.forced_readable,
    nat_shared.translating,
    ha_groups.presence,
    ha_groups.used_group,
    ha_groups.group_of_port,
    switching.knowledge,
    switching.known_address,
    switching.learning_port,
    port_security.disabled_port,
    *proxy_arp.RULES,
    *virtual_ports.RULES,
    *external_ports.RULES,
    port_rates.told,
    arp_nd.neighbour,
    arp_nd.ask_book_key,
    arp_nd.book,
    arp_nd.look_up,
    arp_nd.localnet_asks,
    dhcp.option_definitions,
    dhcp.dhcpv4,
    dhcp.dhcpv6,
    dhcp_relay.relay_readable,
    dhcp_relay.relay,
    dhcp_relay.hand_over,
    dns.dns,
    dns.resolving,
    multicast.multicast_group,
    flows.datapath_group,
    flows.shared_flows(SHARED),
    copp.companions(SHARED),
    copp.sensible,
    qos.qos_rule,
    qos.qos_flow,
    sets.address_set,
    sets.membership,
    sets.port_group,
    sets.port_group_addresses,
    acl_scopes.presence,
    acl_scopes.acl_scopes,
    acl.written,
    acl.acl_flow,
    acl.untracked_port,
    snooping.scopes,
    snooping.ip_multicast,
    snooping.flooded_port,
    snooping.reported_port,
    snooping.special_groups,
    snooping.wanted,
    snooping.address,
    balancers.virtual_addresses,
    balancers.own_scopes,
    balancers.group_scopes,
    balancers.balanced,
    balancers.balancing,
    balancers.disputed,
    lb_switch.on_switches,
    lb_switch.load_balancer,
    lb_router.replies,
    lb_router.on_routers,
    lb_router.spared,
    lb_router.answers,
    health.watched,
    health.monitor,
    health.bypass,
    health.asking_address,
    health.address_readable,
    templates.template,
    *relay.RULES,
    meters.meter,
    mirrors.mirror,
    config.any_nested,
    config.global_row,
    config.hosts_reached,
    config.probe_setting,
    rbac.host_role,
    learned.stale_mac_binding,
    learned.stale_fdb,
    learned.stale_group,
    *expiry.RULES,
    *thresholds.RULES,
    *gaps.RULES,
)
RULES: tuple[Rule, ...] = tuple(map(samples.sampling, _RULES))

TARGETS: tuple[Target[Any], ...] = (
    config.TARGET,
    datapaths.TARGET,
    *ha_groups.TARGETS,
    mirrors.TARGET,
    ports.TARGET,
    multicast.TARGET,
    switching.TARGET,
    arp_nd.TARGET,
    flows.GROUP_TARGET,
    flows.FLOW_TARGET,
    *sets.TARGETS,
    *meters.TARGETS,
    *dhcp.TARGETS,
    dns.TARGET,
    snooping.TARGET,
    *rbac.TARGETS,
    *routing.TARGETS,
    lb_switch.TARGET,
    health.TARGET,
    templates.TARGET,
)
"""The southbound tables, each after those that its rows refer to."""

INPUTS: tuple[type[Row], ...] = (*NB_INPUTS, *SB_INPUTS)

WATCHED: tuple[Relation[Any, Any], ...] = (
    *(target.relation for target in TARGETS),
    *(ports.STATES, bfd.STATES, expiry.EXPIRY, expiry.FDB_EXPIRY),
)

__all__ = ["INPUTS", "NB_INPUTS", "RULES", "SB_INPUTS", "TARGETS", "WATCHED", "agrees", "new_engine", "seeded"]


def new_engine() -> Engine:
    """An engine with northd's rules and no input."""
    return Engine(RULES, WATCHED)


def _numbers(southbound: Replica) -> tuple[tuple[Sticky[Any], dict[Any, int]], ...]:
    """The tunnel keys that are in use."""
    datapath_rows = southbound.rows(sb.DatapathBinding)
    owners = {
        uuid: Uuid(row.external_ids[kind])
        for uuid, row in datapath_rows.items()
        for kind in ("logical-switch", "logical-router")
        if kind in row.external_ids
    }
    bindings = southbound.rows(sb.PortBinding).values()
    queued = [
        (row, int(row.options[queues.NUMBER])) for row in bindings if row.options.get(queues.NUMBER, "").isdigit()
    ]
    sessions = {(row.logical_port, row.dst_ip): row for row in southbound.rows(sb.BFD).values()}
    groups = southbound.rows(sb.MulticastGroup).values()
    return (
        (datapaths.KEYS, {owner: datapath_rows[uuid].tunnel_key for uuid, owner in owners.items()}),
        (bfd.SOURCE_PORTS, {name: row.src_port for name, row in sessions.items()}),
        (bfd.DISCRIMINATORS, {name: row.disc for name, row in sessions.items()}),
        (ports.KEYS, {(owners[r.datapath], r.logical_port): r.tunnel_key for r in bindings if r.datapath in owners}),
        (queues.OF_CHASSIS, {(r.chassis, r.logical_port): n for r, n in queued if r.type == "" and r.chassis}),
        (queues.EVERYWHERE, {r.logical_port: n for r, n in queued if r.type == queues.LOCALNET}),
        (
            snooping.KEYS,
            {
                (owners[r.datapath], r.name): r.tunnel_key
                for r in groups
                if r.datapath in owners and snooping.canonical(r.name) is not None
            },
        ),
    )


def agrees(engine: Engine, southbound: Replica) -> bool:
    """Whether the engine has given out the very tunnel keys that are in use, so that it needs no seeding."""
    for sticky, numbers in _numbers(southbound):
        given = engine.rows(sticky)
        if any(given.get(key) != number for key, number in numbers.items()):
            return False
    return True


def seeded(northbound: Replica, southbound: Replica) -> Engine:
    """An engine with everything that the two replicas hold, not yet run."""
    engine = new_engine()
    for sticky, numbers in _numbers(southbound):
        engine.seed(sticky, numbers)
    for replica, tables in ((northbound, NB_INPUTS), (southbound, SB_INPUTS)):
        for table in tables:
            for uuid, row in replica.rows(table).items():
                engine.feed(table, uuid, row)
    return engine
