"""Logical router ports: what the features need to know of them (`RouterPort`).

A port is attached to a switch (a switch port of type router names it in options:router-port), or joined to a port of
another router (each names the other in `peer`). A *gateway port* has Gateway_Chassis or an HA_Chassis_Group: it is on
every host, but what only one may do is done on the chassis that has its *redirect port*, `cr-NAME`.

A network that cannot be read is left out and reported by the rule `readable`; the others work.
Tests: tests/cases/northd/router_ports.txt.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb
from ovine.model.base import Map, Uuid
from ovine.northd.addresses import link_local, parse_mac
from ovine.northd.flows import quoted
from ovine.northd.inputs import ROUTER_PORT_NAMED, SWITCH_OF_PORT
from ovine.northd.ports import LOCALNET, PORTS
from ovine.northd.router_pipeline import DIRECT, NEXT_HOP4, NEXT_HOP6, OWN4, OWN6
from ovine.northd.routers import ROUTERS, router_of

ROUTER_TYPE = "router"
"""The type of a switch port that is attached to a router port."""


@dataclass(frozen=True)
class Network:
    """An address of a router port with its network, in canonical text."""

    address: str
    prefix: int
    cidr: str
    """The network as "10.0.0.0/24"."""
    broadcast: str | None
    """IPv4: the network's broadcast address, where it has one."""
    link_local: bool = False

    @property
    def version(self) -> int:
        return 6 if ":" in self.address else 4

    def __contains__(self, address: str) -> bool:
        """Whether an address in text is in the network."""
        return ipaddress.ip_address(address) in ipaddress.ip_network(self.cidr)


def parse_network(text: str) -> Network:
    """Reads "10.0.0.1/24" or "fd00::1/64". Raises ValueError."""
    try:
        read = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an address with its network") from None
    network = read.network
    broadcast = str(network.broadcast_address) if network.version == 4 and network.prefixlen < 31 else None
    return Network(
        str(read.ip), network.prefixlen, str(network), broadcast, read.ip.is_link_local and read.version == 6
    )


@dataclass(frozen=True)
class RouterPort:
    """A port of a router that is enabled; the port itself may be disabled."""

    key: Uuid
    """The northbound row."""
    name: str
    router: Uuid
    mac: str
    networks4: tuple[Network, ...]
    networks6: tuple[Network, ...]
    networks: tuple[Network, ...]
    """All of them."""
    link_local: str
    """Its IPv6 link-local address: of its Ethernet address, unless another is configured. It is in networks6."""
    enabled: bool
    switch: Uuid | None
    """The switch that it is attached to."""
    switch_port: Uuid | None
    """The port there."""
    peer: Uuid | None
    """The port of another router that it is joined to."""
    gateway: bool
    redirect: str
    """The name of its redirect port, if it is a gateway port."""
    options: Map[str, str]
    problems: tuple[str, ...]


ROUTER_PORTS: Relation[Uuid, RouterPort] = Relation("router ports")
"""By the northbound port's uuid."""

ATTACHED = Index(
    nb.LogicalSwitchPort,
    lambda port: (port.options.get("router-port", ""),) if port.type == ROUTER_TYPE else (),
    "switch ports by router port",
)
PORTS_OF_ROUTER = Index(ROUTER_PORTS, lambda port: (port.router,), "ports by router")
PORTS_ON_SWITCH = Index(
    ROUTER_PORTS, lambda port: () if port.switch is None else (port.switch,), "router ports by switch"
)
GATEWAYS = Index(ROUTER_PORTS, lambda port: (port.router,) if port.gateway else (), "gateway ports by router")
ENABLED = Index(ROUTER_PORTS, lambda port: (port.key,) if port.enabled else (), "enabled router ports")
FAULTY = Index(ROUTER_PORTS, lambda port: (port.key,) if port.problems else (), "router ports with problems")
LOCALNETS = Index(PORTS, lambda port: (port.switch,) if port.type == LOCALNET else (), "localnet ports by switch")


@rule(over=nb.LogicalRouterPort, writes=(ROUTER_PORTS,))
def router_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reads a port's columns, and finds what it is connected to."""
    row = q.row(nb.LogicalRouterPort, key)
    router = router_of(q, key)
    of = q.get(ROUTERS, router) if router is not None else None
    if of is None:
        return
    mac = _mac(row.mac, row.name)
    networks, problems = _read(row.networks)
    networks4 = tuple(network for network in networks if network.version == 4)
    networks6 = tuple(network for network in networks if network.version == 6)
    if not any(network.link_local for network in networks6):
        networks6 += (parse_network(f"{link_local(mac)}/64"),)
    gateway = bool(row.gateway_chassis) or row.ha_chassis_group is not None
    if gateway and of.chassis:
        problems += ("it has gateway chassis, but its router is a gateway router; they are ignored",)
    attached = _attached(q, row.name)
    if len(attached) > 1:
        problems += (f"{len(attached)} switch ports are attached to it; one of them is taken",)
    switches: tuple[Uuid, ...] = q.find(SWITCH_OF_PORT, attached[0]) if attached else ()
    made = RouterPort(
        key=key,
        name=row.name,
        router=of.key,
        mac=mac,
        networks4=networks4,
        networks6=networks6,
        networks=networks4 + networks6,
        link_local=next(network.address for network in networks6 if network.link_local),
        enabled=row.enabled is not False,
        switch=switches[0] if switches else None,
        switch_port=attached[0] if switches else None,
        peer=_joined(q, key, row.name, row.peer or ""),
        gateway=gateway and not of.chassis,
        redirect=f"cr-{row.name}",
        options=row.options,
        problems=problems,
    )
    yield ROUTER_PORTS(key, made)


def _mac(text: str, name: str) -> str:
    try:
        return parse_mac(text)
    except ValueError as error:
        raise ValueError(f"router port {name}: {error}") from None


def _read(texts: tuple[str, ...]) -> tuple[tuple[Network, ...], tuple[str, ...]]:
    networks: dict[str, Network] = {}
    problems = []
    for text in texts:
        try:
            one = parse_network(text)
        except ValueError as error:
            problems.append(str(error))
            continue
        networks.setdefault(one.address, one)
    return tuple(networks.values()), tuple(problems)


def _attached(q: Reader, name: str) -> list[Uuid]:
    keys: list[Uuid] = list(q.find(ATTACHED, name))
    return keys if len(keys) < 2 else sorted(keys, key=lambda key: q.row(nb.LogicalSwitchPort, key).name)


def _joined(q: Reader, key: Uuid, name: str, peer: str) -> Uuid | None:
    """The peer, if it names this port too, and its router is there."""
    for other in q.find(ROUTER_PORT_NAMED, peer) if peer else ():
        if other != key and q.row(nb.LogicalRouterPort, other).peer == name:
            router = router_of(q, other)
            if router is not None and q.get(ROUTERS, router) is not None:
                return Uuid(other)
    return None


@rule(over=FAULTY, writes=())
def readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports what is wrong with a router port's columns; everything else of the port works."""
    port = q.row(ROUTER_PORTS, key)
    raise ValueError(f"router port {port.name}: {'; '.join(port.problems)}")
    yield from ()  # what makes it a generator


class Way(NamedTuple):
    """How a next hop is reached: by this port, which speaks from that address."""

    port: Uuid
    address: str


@query
def way_to(q: Reader, router: Uuid, next_hop: str, by: Uuid | None) -> Way | None:
    """The port whose network has the next hop, and its address there; `by` says which port it shall be.

    With `by`, the port's first address of that IP version serves if none of its networks has the next hop. A
    link-local next hop could be on any port, so it takes `by`, unless the router has one port only.
    """
    keys: tuple[Uuid, ...] = (by,) if by is not None else q.find(PORTS_OF_ROUTER, router)
    local = ipaddress.ip_address(next_hop).is_link_local
    if by is None and local and len(keys) != 1:
        return None
    wide = ":" in next_hop
    best: tuple[int, Way] | None = None
    for key in keys:
        port = q.get(ROUTER_PORTS, key)
        for network in () if port is None else port.networks6 if wide else port.networks4:
            if next_hop in network and (best is None or network.prefix > best[0]):
                best = (network.prefix, Way(key, network.address))
    if best is not None:
        return best[1]
    port = q.get(ROUTER_PORTS, by) if by is not None else None
    networks = () if port is None else port.networks6 if wide else port.networks4
    return Way(keys[0], networks[0].address) if networks else None


class Used(NamedTuple):
    """An address on a switch that routers there use as a next hop."""

    switch: Uuid
    address: str


NEXT_HOPS: Relation[tuple[Used, Uuid], Used] = Relation("next hops")
"""By next hop and the row that names it, a static route or a policy."""
USED = Index(NEXT_HOPS, lambda used: (used,), "next hops by switch and address")


def next_hop_used(q: Reader, key: Uuid, way: Way, next_hop: str) -> Iterator[Emit]:
    """Notes a next hop, if it is on a switch, for the row `key`."""
    port = q.get(ROUTER_PORTS, way.port)
    if port is not None and port.switch is not None:
        used = Used(port.switch, next_hop)
        yield NEXT_HOPS((used, key), used)


def sent_by(port: RouterPort, next_hop: str, address: str) -> str:
    """The actions that choose an output port, the port's address, and the next hop.

    That is an address, or the field with the packet's destination. A packet may have been routed before (a policy
    overrides the route, a router answers a packet); so both cases are said.
    """
    direct = int(next_hop.endswith(".dst"))
    hop, own = (NEXT_HOP6, OWN6) if ":" in address else (NEXT_HOP4, OWN4)
    return (
        f"{hop.field} = {next_hop}; {own.field} = {address}; eth.src = {port.mac}; outport = {quoted(port.name)}; "
        f"{DIRECT.field} = {direct}; flags.loopback = 1;"
    )


@query
def is_central(q: Reader, router: Uuid) -> bool:
    """Whether some of the router's work is done in one place: it is a gateway router, or has a gateway port."""
    row = q.get(ROUTERS, router)
    return row is not None and (bool(row.chassis) or bool(q.find(GATEWAYS, router)))


@query
def speaks_where(q: Reader, key: Uuid) -> str:
    """The condition under which a host answers for a router port: the chassis of a gateway port; "" if every host does.

    On a switch with a physical network every host would get a request, and the networks there must learn one place. It
    is that of a gateway port itself, or with options:reside-on-redirect-chassis that of the router's only gateway port.
    """
    port = q.row(ROUTER_PORTS, key)
    if port.switch is None or not q.find(LOCALNETS, port.switch):
        return ""
    if port.gateway:
        return f"is_chassis_resident({quoted(port.redirect)})"
    gateways: tuple[Uuid, ...] = q.find(GATEWAYS, port.router)
    if len(gateways) != 1 or port.options.get("reside-on-redirect-chassis", "").lower() != "true":
        return ""
    return f"is_chassis_resident({quoted(q.row(ROUTER_PORTS, gateways[0]).redirect)})"
