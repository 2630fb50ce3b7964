"""Bindings of router ports: the southbound rows by which hosts know them.

A port of a distributed router is a `patch` port, on every host; one of a gateway router an `l3gateway` port, on its
chassis. A gateway port has a second binding, of type `chassisredirect` and called `cr-NAME`: its instance on the
chassis that is active. Where these are bound is for the hosts to write.

Tests: tests/unit/northd/test_router_bindings.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, rule
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.northd import periodic_ra
from ovine.northd.datapaths import requested_key
from ovine.northd.flows import datapath_ref
from ovine.northd.ha_groups import GROUPS, group_name, redirects_always
from ovine.northd.ports import KEYS, PORT_BINDINGS, reported_up
from ovine.northd.router_ports import ROUTER_PORTS
from ovine.northd.routers import ROUTERS
from ovine.projection import ref

GATEWAY_PORTS = Index(ROUTER_PORTS, lambda port: (port.key,) if port.gateway else (), "gateway ports")
ADVERTISING = Index(
    nb.LogicalRouterPort,
    lambda row: (row.uuid,) if periodic_ra.problems(row.ipv6_ra_configs) else (),
    "router ports with faulty ipv6_ra_configs",
)


@rule(over=ROUTER_PORTS, writes=(KEYS,))
def router_port_keys(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Asks for tunnel keys for a router port, and for its redirect port."""
    port = q.row(ROUTER_PORTS, key)
    wanted, _ = requested_key(port.options, KEYS.high)
    yield KEYS.request((port.router, port.name), pool=port.router, wanted=wanted)
    if port.gateway:
        yield KEYS.request((port.router, port.redirect), pool=port.router)


@rule(over=ROUTER_PORTS, writes=(PORT_BINDINGS,))
def router_port_binding(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The router's side of a patch."""
    port = q.row(ROUTER_PORTS, key)
    number = q.get(KEYS, (port.router, port.name))
    if number is None:
        return
    chassis = q.row(ROUTERS, port.router).chassis
    options = {"l3gateway-chassis": chassis} if chassis else {}
    if peer := _peer(q, key):
        options["peer"] = peer
        row = q.row(nb.LogicalRouterPort, key)
        prefixes = [network.cidr for network in port.networks6 if not network.link_local]
        options |= periodic_ra.options(port.mac, prefixes, row.ipv6_ra_configs)
    if port.gateway:
        options["chassis-redirect-port"] = port.redirect
    yield _binding(q, key, port.name, number, type="l3gateway" if chassis else "patch", options=StrMap(options))


@rule(over=GATEWAY_PORTS, writes=(PORT_BINDINGS,))
def redirect_binding(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The instance of a gateway port on its active chassis."""
    port = q.row(ROUTER_PORTS, key)
    number = q.get(KEYS, (port.router, port.redirect))
    if number is None:
        return
    options = {"distributed-port": port.name}
    kind = port.options.get("redirect-type", "")
    if kind:
        options["redirect-type"] = kind
    if redirects_always(q, key):
        options["always-redirect"] = "true"
    group = ref(GROUPS, group_name(q, key))
    yield _binding(
        q, key, port.redirect, number, type="chassisredirect", options=StrMap(options), ha_chassis_group=group
    )


def _binding(q: Reader, key: Uuid, name: str, number: int, **columns: object) -> Emit:
    """What the bindings of a router port have in common; `columns` are the others."""
    row = q.row(nb.LogicalRouterPort, key)
    binding = sb.PortBinding(
        logical_port=name,
        datapath=datapath_ref(q.row(ROUTER_PORTS, key).router),
        tunnel_key=number,
        mac=(" ".join((row.mac, *row.networks)),),
        external_ids=row.external_ids,
        up=reported_up(q, name),
        **columns,  # type: ignore[arg-type]
    )
    return PORT_BINDINGS(name, binding)


def _peer(q: Reader, key: Uuid) -> str:
    """The name of the port that a router port is connected to; "" if there is none."""
    port = q.row(ROUTER_PORTS, key)
    if port.switch_port is not None:
        return q.row(nb.LogicalSwitchPort, port.switch_port).name
    return q.row(nb.LogicalRouterPort, port.peer).name if port.peer is not None else ""


@rule(over=ADVERTISING, writes=())
def advertisements_readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports what is wrong with the configuration of router advertisements."""
    row = q.row(nb.LogicalRouterPort, key)
    raise ValueError(f"router port {row.name}: ipv6_ra_configs: {'; '.join(periodic_ra.problems(row.ipv6_ra_configs))}")
    yield from ()  # what makes it a generator
