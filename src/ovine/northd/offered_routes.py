"""Routes to external and virtual addresses that neighbouring routers get by themselves: options:add_route.

A router *offers* an external address of NAT that it translates as a destination, or a virtual address of a load
balancer, if the row says add_route: on the switch of the gateway port where the address is, or, if it is a gateway
router, on all its switches. Each router on such a switch sends what is for the address there, to the Ethernet address
of who offers it, without a question; but those with dynamic_neigh_routers ask.

What is offered on a switch is one address set for each IP version, which all routers there match that are not the only
one to offer; so of several such routers each also has a route to its own addresses, as if these were on one of its
networks. A router with several ports on the switch sends by the first one by name.

Cost: for each address an entry of a set and a flow, which the routers on the switch share; for each router there a flow
for each IP version.
Source: ovn-nb(5), "NAT TABLE" and "Load_Balancer TABLE". OVN 23.03 does so for IPv4 and at gateway ports only.
Tests: tests/cases/northd/offered_routes.txt, tests/unit/northd/test_offered_routes.py,
tests/cases/packets/nat_add_route.txt, nat_add_route_router.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Gather, Index, Reader, Relation, query, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.northd.balancers import VIPS, VipKey, gateway_port, holding, owner, routers_of
from ovine.northd.datapaths import KEYS
from ovine.northd.flows import FLOWS, flow, place_of
from ovine.northd.nats import NATS, OFFERING
from ovine.northd.next_hops import NEIGHBOURS, ROUTER_NEIGHBOURS, known, several_routers, trusting
from ovine.northd.router_pipeline import RESOLVE, ROUTE
from ovine.northd.router_ports import ENABLED, PORTS_OF_ROUTER, ROUTER_PORTS, RouterPort, sent_by
from ovine.northd.routes import CONNECTED
from ovine.northd.sets import ADDRESS_SETS

SOURCE = "offered_routes"


class Offer(NamedTuple):
    """On a switch, a router has an address."""

    switch: Uuid
    address: str
    port: Uuid
    """The router's port there."""
    mac: str
    row: Uuid
    """The northbound row that says so."""

    @property
    def where(self) -> tuple[Uuid, int]:
        return self.switch, 6 if ":" in self.address else 4


OFFERS: Relation[Offer, Offer] = Relation("offered routes")
BY_ADDRESS = Index(OFFERS, lambda offer: ((offer.switch, offer.address),), "offered routes by switch and address")
OFFERED_ON = Index(OFFERS, lambda offer: (offer.where,), "offered routes by switch and IP version")
ADDRESSES = Gather(OFFERS, lambda key, offer: ((offer.where, offer.address),))
PORTS_OFFERING = Index(OFFERS, lambda offer: ((offer.where, offer.port),), "ports that offer routes")
OFFERERS: Relation[tuple[tuple[Uuid, int], Uuid], tuple[tuple[Uuid, int], Uuid]] = Relation("offering ports")
OFFERERS_ON = Index(OFFERERS, lambda offerer: (offerer[0],), "offering ports by switch and IP version")
OFFERED_VIPS = Index(
    VIPS,
    lambda vip: ((vip.balancer, vip.text),) if vip.offered and not vip.end.address.startswith("^") else (),
    "virtual addresses with add_route",
)


def _offers(q: Reader, ports: tuple[Uuid, ...], address: str, mac: str | None, row: Uuid) -> Iterator[Emit]:
    for key in ports:
        port = q.row(ROUTER_PORTS, key)
        if port.enabled and port.switch is not None:
            offer = Offer(port.switch, address, key, mac or port.mac, row)
            yield OFFERS(offer, offer)


@rule(over=OFFERING, writes=(OFFERS,))
def offered_external(q: Reader, key: Uuid) -> Iterator[Emit]:
    """An external address, where it is."""
    nat = q.row(NATS, key)
    router, gateway, address = nat.external
    ports = q.find(PORTS_OF_ROUTER, router) if gateway is None else (gateway,)
    yield from _offers(q, ports, address, nat.mac, key)


@rule(over=OFFERED_VIPS, writes=(OFFERS,))
def offered_vip(q: Reader, key: VipKey) -> Iterator[Emit]:
    """A virtual address, where routers balance it."""
    vip = holding(q, key)
    for router in routers_of(q, owner(q, key[0])) if vip is not None else ():
        gateway = gateway_port(q, router)
        ports = q.find(PORTS_OF_ROUTER, router) if gateway is None else (gateway,)
        if vip is not None:
            yield from _offers(q, ports, vip.end.address, None, key[0])


# --- the routers on a switch ------------------------------------------------------------------------------------------


def _set_name(q: Reader, where: tuple[Uuid, int]) -> str | None:
    number = q.get(KEYS, where[0])
    return None if number is None else f"ovine_offered_{number}_ip{where[1]}"


@rule(over=OFFERED_ON, writes=(ADDRESS_SETS,))
def offered_set(q: Reader, where: tuple[Uuid, int]) -> Iterator[Emit]:
    """What is offered on a switch."""
    name = _set_name(q, where)
    if name is not None:
        yield ADDRESS_SETS(name, sb.AddressSet(name=name, addresses=q.members(ADDRESSES, where)))


@rule(over=PORTS_OFFERING, writes=(OFFERERS,))
def offerer(q: Reader, key: tuple[tuple[Uuid, int], Uuid]) -> Iterator[Emit]:
    """A port that offers something, however much that is."""
    yield OFFERERS(key, key)


@query
def _others_offer(q: Reader, where: tuple[Uuid, int], router: Uuid) -> bool:
    return any(q.row(ROUTER_PORTS, port).router != router for _, port in q.find(OFFERERS_ON, where))


@query
def _first_port(q: Reader, router: Uuid, switch: Uuid) -> Uuid | None:
    """The port by which a router sends to what is offered on a switch."""
    ports = (q.row(ROUTER_PORTS, key) for key in q.find(PORTS_OF_ROUTER, router))
    names = [(port.name, port.key) for port in ports if port.enabled and port.switch == switch]
    return min(names)[1] if names else None


@rule(over=ENABLED, writes=(FLOWS,))
def route(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A router on a switch sends there what is for an address that is offered there."""
    port = q.row(ROUTER_PORTS, key)
    if port.switch is None:
        return
    for version in (4, 6):
        where = (port.switch, version)
        if not _others_offer(q, where, port.router) or _first_port(q, port.router, port.switch) != key:
            continue
        own, name = _own_address(port, version), _set_name(q, where)
        if own and name:
            priority = 3 * (32 if version == 4 else 128) + CONNECTED
            actions = f"ip.ttl--; {sent_by(port, f'ip{version}.dst', own)} next;"
            yield flow(port.router, ROUTE, priority, f"ip{version}.dst == ${name}", actions, source=SOURCE, hint=key)


def _own_address(port: RouterPort, version: int) -> str:
    """What a port asks as: its first address that is not link-local, if it has one."""
    networks = sorted(port.networks4 if version == 4 else port.networks6, key=lambda network: network.link_local)
    return networks[0].address if networks else ""


def _first_offer(q: Reader, where: tuple[Uuid, str]) -> Iterator[Emit]:
    switch, address = where
    place, number = place_of(q, trusting(switch)), q.get(KEYS, switch)
    if place is None or number is None or not several_routers(q, switch):
        return
    if q.find(NEIGHBOURS, where) or q.find(ROUTER_NEIGHBOURS, where):
        return  # who is there under that address is known anyway
    first = _in_order(q, where)[0]
    actions = f"eth.dst = {first.mac}; next;"
    yield flow(place, RESOLVE, 100, known(number, address), actions, source=SOURCE, hint=first.row)


def _in_order(q: Reader, where: tuple[Uuid, str]) -> list[Offer]:
    """By router port; of one port what has an Ethernet address of its own first."""
    offers: tuple[Offer, ...] = q.find(BY_ADDRESS, where)
    ports = {offer.port: q.row(ROUTER_PORTS, offer.port) for offer in offers}
    return sorted(offers, key=lambda one: (ports[one.port].name, one.mac == ports[one.port].mac, one.mac, one.row))


@rule(over=BY_ADDRESS, writes=(FLOWS,), on_failure=_first_offer)
def neighbour(q: Reader, where: tuple[Uuid, str]) -> Iterator[Emit]:
    """Who has an offered address. If several routers offer it, the first; that is reported unless one row says so."""
    offers = _in_order(q, where)
    names = list(dict.fromkeys(q.row(ROUTER_PORTS, offer.port).name for offer in offers))
    if len(names) > 1 and len({offer.row for offer in offers}) > 1:
        raise ValueError(f"router ports {' and '.join(names)} offer routes to {where[1]}; {names[0]} is taken")
    yield from _first_offer(q, where)


RULES = (offered_external, offered_vip, offered_set, offerer, route, neighbour)
