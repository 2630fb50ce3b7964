"""Load balancers as they are to be carried out: what each virtual address means (`Vip`), and where it holds.

Terms: a *virtual address* is an IP address, perhaps with a port, that stands for a choice of *backends*. A *template*
has variables (`^NAME`) in the place of addresses or ports, which each host fills in from its Chassis_Template_Var row.

Load balancers are on switches and routers, by themselves or by groups. So that a flow need not be there once for each
of them, each load balancer has an *owner*: the group that is all that brings it anywhere, or else itself. The owner's
datapaths are scopes of `ovine.northd.flows`: its switches, and its gateway routers. A distributed router has flows of
its own, for they hold where its gateway port is. With NB_Global options:install_ls_lb_from_router, routers *lend* their
load balancers to the switches that they are attached to.

An entry that cannot be read is reported, and the others work. Of several load balancers of one datapath with the same
virtual address, port and protocol the first by name holds, and the others are reported.
Source: ovn-nb(5), "Load_Balancer TABLE". Tests: tests/cases/northd/load_balancers.txt,
tests/unit/northd/test_balancers.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.datapaths import member
from ovine.northd.flows import MEMBERS, Place, Scope, place_of, quoted, scope
from ovine.northd.inputs import nb_option
from ovine.northd.nat_forced import forced_for_lb, forces_router_ip
from ovine.northd.router_ports import GATEWAYS, PORTS_OF_ROUTER, PORTS_ON_SWITCH, ROUTER_PORTS
from ovine.northd.routers import ROUTERS

BALANCED = scope("switches with load balancers")
BALANCING = scope("routers with load balancers")
AFFINITY_MOST = 65535


class End(NamedTuple):
    """An address, and a port or ""; of a template, each may be a variable."""

    address: str
    port: str

    def __str__(self) -> str:
        if not self.port:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Vip:
    """A virtual address of a load balancer."""

    balancer: Uuid
    """The northbound row."""
    text: str
    """How the row writes it; health checks name it so."""
    ip: str
    """What the language calls the IP version: ip4 or ip6."""
    end: End
    protocol: str
    """tcp, udp or sctp; "" if it has no port, for then all protocols are balanced."""
    backends: tuple[End, ...]
    fields: str
    """The fields that choose the backend, as an argument of the action; "" if OVS is to choose."""
    affinity: int
    """Seconds for which a client keeps its backend; 0 for none."""
    rejects: bool
    """Without backends, clients are refused."""
    tells: bool
    """Without backends, clients are told to whoever watches controller events."""
    skips_snat: bool
    offered: bool
    """Neighbouring routers are to have a route to the address (`ovine.northd.offered_routes`)."""
    responder: str
    """Which routers answer ARP requests for the address: "all", "reachable" (it is on their networks) or "none"."""

    @property
    def match(self) -> str:
        """Packets for it."""
        to = f"{self.ip}.dst == {self.end.address}"
        return f"{to} && {self.protocol}.dst == {self.end.port}" if self.protocol else to


VipKey = tuple[Uuid, str]
VIPS: Relation[VipKey, Vip] = Relation("virtual addresses")
"""By load balancer and the text of the virtual address."""

VIPS_OF = Index(VIPS, lambda vip: (vip.balancer,), "virtual addresses by load balancer")
RIVALS = Index(VIPS, lambda vip: ((vip.end, vip.protocol),), "load balancers by virtual address")
BY_ADDRESS = Index(VIPS, lambda vip: (vip.end.address,), "virtual addresses by address")

GROUPS_WITH = Index(nb.LoadBalancerGroup, lambda row: row.load_balancer, "load balancer groups by load balancer")
SWITCHES_WITH = Index(
    nb.LogicalSwitch, lambda row: (*row.load_balancer, *row.load_balancer_group), "switches by load balancer or group"
)
ROUTERS_WITH = Index(
    nb.LogicalRouter, lambda row: (*row.load_balancer, *row.load_balancer_group), "routers by load balancer or group"
)
SWITCHES_HAVING = Index(
    nb.LogicalSwitch,
    lambda row: (row.uuid,) if row.load_balancer or row.load_balancer_group else (),
    "switches that have load balancers",
)
ROUTERS_HAVING = Index(
    nb.LogicalRouter,
    lambda row: (row.uuid,) if row.load_balancer or row.load_balancer_group else (),
    "routers that have load balancers",
)
FIELDS = {"eth_src": "eth_src", "eth_dst": "eth_dst", "ip_src": "ip_src", "ip_dst": "ip_dst"}
FIELDS |= {"tp_src": "{}_src", "tp_dst": "{}_dst"}


# --- reading ----------------------------------------------------------------------------------------------------------

_VARIABLE = r"\^[A-Za-z_.][A-Za-z0-9_.]*"
_TEMPLATE = re.compile(rf"({_VARIABLE})(?::({_VARIABLE}|\d{{1,5}}))?")


def parse_end(text: str) -> End:
    """Reads "10.0.0.1:80", "[fd00::1]:80", "10.0.0.1" or "fd00::1" into canonical form. Raises ValueError."""
    address, bracket, rest = text.strip().removeprefix("[").partition("]")
    port = rest.removeprefix(":") if bracket else ""
    if not bracket and address.count(":") == 1:
        address, _, port = address.partition(":")
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"{text!r} is not an address, with or without a port") from None
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ValueError(f"{port!r} in {text!r} is not a port")
    return End(str(read), str(int(port)) if port else "")


def parse_template(text: str) -> End:
    """Reads "^ADDRESS", "^ADDRESS:^PORT" or "^ADDRESS:80". Raises ValueError."""
    read = _TEMPLATE.fullmatch(text.strip())
    if read is None:
        raise ValueError(f"{text!r} is not a template variable, with or without a port")
    return End(read[1], read[2] or "")


def _read_vip(row: nb.LoadBalancer, text: str, targets: str) -> Vip:
    template = _is_set(row, "template")
    end = parse_template(text) if template else parse_end(text)
    ip = "ip6" if ":" in end.address or (template and row.options.get("address-family") == "ipv6") else "ip4"
    words = [word for word in targets.split(",") if word.strip()]
    backends = tuple(dict.fromkeys(_read_backend(word, template) for word in words))
    for backend in backends if not template else ():
        if (":" in backend.address) != (ip == "ip6"):
            raise ValueError(f"{text} and its backend {backend} are of different IP versions")
        if end.port and not backend.port:
            raise ValueError(f"{text} has a port, and its backend {backend} has none")
        if backend.port and not end.port:
            raise ValueError(f"{text} has no port, and its backend {backend} has one")
    protocol = (row.protocol or "tcp") if end.port else ""
    responder = row.options.get("neighbor_responder", "none" if template else "reachable")
    return Vip(
        balancer=row.uuid,
        text=text,
        ip=ip,
        end=end,
        protocol=protocol,
        backends=backends,
        fields=",".join(_fields(row.selection_fields, ip, protocol)),
        affinity=_affinity(row) if end.port and not template else 0,
        rejects=_is_set(row, "reject"),
        tells=_is_set(row, "event"),
        skips_snat=_is_set(row, "skip_snat"),
        offered=_is_set(row, "add_route"),
        responder=responder if responder in ("all", "none") or template else "reachable",
    )


def _read_backend(text: str, template: bool) -> End:
    return parse_template(text) if template and "^" in text else parse_end(text)


def _is_set(row: nb.LoadBalancer, option: str) -> bool:
    return row.options.get(option, "").lower() == "true"


def _fields(chosen: tuple[str, ...], ip: str, protocol: str) -> Iterator[str]:
    for name in sorted(chosen):
        if name.startswith("tp_") and not protocol:
            continue  # there is no telling what the ports of all protocols are called
        field = FIELDS[name].format(protocol)
        yield field.replace("ip_", "ipv6_") if ip == "ip6" and field.startswith("ip_") else field


def _affinity(row: nb.LoadBalancer) -> int:
    text = row.options.get("affinity_timeout", "0")
    if not text.isascii() or not text.isdigit():
        return 0
    return min(int(text), AFFINITY_MOST)


def _vips(row: nb.LoadBalancer) -> tuple[list[Vip], list[str]]:
    """Its virtual addresses, and what is wrong with others."""
    read, wrong = [], []
    for text, targets in sorted(row.vips.items()):
        try:
            read.append(_read_vip(row, text, targets))
        except ValueError as error:
            wrong.append(str(error))
    affinity = row.options.get("affinity_timeout", "0")
    if not affinity.isascii() or not affinity.isdigit() or int(affinity) > AFFINITY_MOST:
        wrong.append(f"affinity_timeout {affinity!r} is not a number from 0 to {AFFINITY_MOST}")
    return read, wrong


def _readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.value(nb.LoadBalancer, key)
    for vip in _vips(row)[0] if row is not None else ():
        yield VIPS((key, vip.text), vip)


@rule(over=nb.LoadBalancer, writes=(VIPS,), on_failure=_readable)
def virtual_addresses(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reads a row; what is wrong with it is reported, and the rest works."""
    row = q.value(nb.LoadBalancer, key)
    wrong = _vips(row)[1] if row is not None else []
    if row is not None and wrong:
        raise ValueError(f"load balancer {row.name}: {'; '.join(wrong)}")
    yield from _readable(q, key)


# --- where they hold --------------------------------------------------------------------------------------------------


@query
def owner(q: Reader, balancer: Uuid) -> Uuid:
    """Whose datapaths a load balancer has: those of its only group, or its own."""
    groups: tuple[Uuid, ...] = q.find(GROUPS_WITH, balancer)
    alone = q.find(SWITCHES_WITH, balancer) or q.find(ROUTERS_WITH, balancer)
    return groups[0] if len(groups) == 1 and not alone else balancer


@query
def switches_of(q: Reader, owned_by: Uuid) -> frozenset[Uuid]:
    """The switches of an owner, and those that its routers lend it to."""
    own = {one for each in (owned_by, *q.find(GROUPS_WITH, owned_by)) for one in q.find(SWITCHES_WITH, each)}
    return frozenset(own).union(*(lent_to(q, router) for router in _routers_with(q, owned_by)) if lends(q) else ())


@query
def routers_of(q: Reader, owned_by: Uuid) -> frozenset[Uuid]:
    """The routers of an owner that can balance."""
    return frozenset(one for one in _routers_with(q, owned_by) if can_balance(q, one))


def _routers_with(q: Reader, owned_by: Uuid) -> set[Uuid]:
    return {one for each in (owned_by, *q.find(GROUPS_WITH, owned_by)) for one in q.find(ROUTERS_WITH, each)}


@query
def lends(q: Reader) -> bool:
    """NB_Global options:install_ls_lb_from_router."""
    return nb_option(q, "install_ls_lb_from_router").lower() == "true"


@query
def lent_to(q: Reader, router: Uuid) -> frozenset[Uuid]:
    """The switches that a router's load balancers are for as well: those that it is attached to, if routers lend."""
    ports = (q.row(ROUTER_PORTS, key) for key in (q.find(PORTS_OF_ROUTER, router) if lends(q) else ()))
    return frozenset(port.switch for port in ports if port.switch is not None and port.enabled)


@query
def can_balance(q: Reader, router: Uuid) -> bool:
    """Whether a router is enabled, and has one place where it can balance."""
    row = q.get(ROUTERS, router)
    return row is not None and (bool(row.chassis) or gateway_port(q, router) is not None)


def balancers_of(q: Reader, row: nb.LogicalSwitch | nb.LogicalRouter) -> Iterator[Uuid]:
    """The load balancers of a switch or router."""
    yield from row.load_balancer
    for key in row.load_balancer_group:
        group = q.get(nb.LoadBalancerGroup, key)
        yield from group.load_balancer if group is not None else ()


@query
def balances(q: Reader, switch: Uuid) -> bool:
    """Whether a switch has virtual addresses, of its own or lent."""
    row = q.get(nb.LogicalSwitch, switch)
    if row is None:
        return False
    if any(q.find(VIPS_OF, one) for one in balancers_of(q, row)):
        return True
    ports = (q.row(ROUTER_PORTS, key) for key in (q.find(PORTS_ON_SWITCH, switch) if lends(q) else ()))
    return any(balances_here(q, port.router) for port in ports if port.enabled)


@query
def balances_here(q: Reader, router: Uuid) -> bool:
    """Whether an enabled router has virtual addresses."""
    row = q.get(nb.LogicalRouter, router) if q.get(ROUTERS, router) is not None else None
    return row is not None and any(q.find(VIPS_OF, one) for one in balancers_of(q, row))


@query
def has_vip(q: Reader, router: Uuid, address: str) -> bool:
    """Whether a router has a virtual address with this address."""
    return any(router in routers_of(q, owner(q, vip.balancer)) for vip in q.find_rows(BY_ADDRESS, address))


def vips_of(q: Reader, router: Uuid) -> Iterator[Vip]:
    """All virtual addresses of a router."""
    row = q.get(nb.LogicalRouter, router)
    for balancer in balancers_of(q, row) if row is not None else ():
        yield from q.find_rows(VIPS_OF, balancer)


@query
def hides(q: Reader, router: Uuid) -> bool:
    """Whether backends see an address of the gateway router in place of the client's."""
    return bool(forced_for_lb(q, router)) or forces_router_ip(q, router)


@query
def gateway_port(q: Reader, router: Uuid) -> Uuid | None:
    """The gateway port where a distributed router balances; None for others, and if it has not exactly one."""
    gateways: tuple[Uuid, ...] = q.find(GATEWAYS, router)
    return gateways[0] if len(gateways) == 1 and not q.row(ROUTERS, router).chassis else None


def on_switches(owned_by: Uuid) -> Scope:
    """An owner's switches."""
    return scope(f"switches of load balancer {owned_by}")


def on_gateways(owned_by: Uuid, hiding: bool) -> Scope:
    """An owner's gateway routers, those that hide senders or the others."""
    return scope(f"gateway routers of load balancer {owned_by}{' that hide senders' if hiding else ''}")


def on_all(owned_by: Uuid) -> Scope:
    """An owner's switches and routers together."""
    return scope(f"datapaths of load balancer {owned_by}")


class Site(NamedTuple):
    """Routers that carry out a load balancer in the same way."""

    place: Place
    hiding: bool
    gateway: Uuid | None
    """The gateway port of a distributed router."""
    where: str
    """The condition under which a host carries it out; "" on gateway routers."""


@query
def switch_place(q: Reader, balancer: Uuid) -> Place | None:
    """Where the flows for a load balancer's switches go."""
    return place_of(q, on_switches(owner(q, balancer)))


@query
def told_place(q: Reader, balancer: Uuid) -> Place | None:
    """The datapaths that hosts are told of: those where they tell hairpins, or end connections."""
    return (place_of(q, on_all(owner(q, balancer))) if ends(q, balancer) else None) or switch_place(q, balancer)


@query
def ends(q: Reader, balancer: Uuid) -> bool:
    """Whether connections end with their backends."""
    row = q.get(nb.LoadBalancer, balancer)
    return row is not None and _is_set(row, "ct_flush")


@query
def sites(q: Reader, balancer: Uuid) -> tuple[Site, ...]:
    """Where the flows for a load balancer's routers go."""
    owned_by = owner(q, balancer)
    found = []
    for hiding in (False, True):
        place = place_of(q, on_gateways(owned_by, hiding))
        if place is not None:
            found.append(Site(place, hiding, None, ""))
    for router in sorted(routers_of(q, owned_by)):
        gateway = gateway_port(q, router)
        if gateway is not None:
            where = f"is_chassis_resident({quoted(q.row(ROUTER_PORTS, gateway).redirect)})"
            found.append(Site(router, False, gateway, where))
    return tuple(found)


def _members(q: Reader, owned_by: Uuid, balancers: Iterable[Uuid]) -> Iterator[Emit]:
    switches, routers = switches_of(q, owned_by), routers_of(q, owned_by)
    for switch in switches:
        yield member(on_switches(owned_by), switch)
    if routers and any(ends(q, one) for one in balancers):
        for datapath in switches | routers:
            yield member(on_all(owned_by), datapath)
    for router in routers:
        if q.row(ROUTERS, router).chassis:
            yield member(on_gateways(owned_by, hides(q, router)), router)


@rule(over=nb.LoadBalancer, writes=(MEMBERS,))
def own_scopes(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The datapaths of a load balancer that is its own owner."""
    if owner(q, key) == key and q.find(VIPS_OF, key):
        yield from _members(q, key, (key,))


@rule(over=nb.LoadBalancerGroup, writes=(MEMBERS,))
def group_scopes(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The datapaths of a group that owns load balancers."""
    owned = [one for one in q.row(nb.LoadBalancerGroup, key).load_balancer if owner(q, one) == key]
    if owned:
        yield from _members(q, key, owned)


@rule(over=SWITCHES_HAVING, writes=(MEMBERS,))
def balanced(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """The switches with virtual addresses."""
    if balances(q, switch):
        yield member(BALANCED, switch)


@rule(over=ROUTERS_HAVING, writes=(MEMBERS,))
def balancing(q: Reader, router: Uuid) -> Iterator[Emit]:
    """The routers with virtual addresses, and the switches that they lend them to; those of no use are reported."""
    if not balances_here(q, router):
        return
    row = q.row(ROUTERS, router)
    lent = lent_to(q, router)
    for switch in lent:
        yield member(BALANCED, switch)
    if not row.chassis and gateway_port(q, router) is None:
        if lent:
            return
        count = len(q.find(GATEWAYS, router))
        many = f"has {count} gateway ports" if count else "is on no chassis, and has no gateway port"
        raise ValueError(f"router {row.name} {many}; its load balancers have no effect")
    yield member(BALANCING, router)


# --- which of several holds -------------------------------------------------------------------------------------------


def _order(q: Reader, key: VipKey) -> tuple[str, Uuid, str]:
    row = q.get(nb.LoadBalancer, key[0])
    return (row.name if row is not None else "", *key)


@query
def beaten_by(q: Reader, key: VipKey) -> str | None:
    """The load balancer that has the same virtual address on one of the same datapaths, and goes before."""
    vip = q.value(VIPS, key)
    rivals: tuple[VipKey, ...] = q.find(RIVALS, (vip.end, vip.protocol)) if vip is not None else ()
    if len(rivals) < 2:
        return None
    own = _order(q, key)
    mine = owner(q, key[0])
    for rival in rivals:
        other = owner(q, rival[0])
        common = switches_of(q, mine) & switches_of(q, other) or routers_of(q, mine) & routers_of(q, other)
        if _order(q, rival) < own and common:
            return _order(q, rival)[0]
    return None


@rule(over=RIVALS, writes=())
def disputed(q: Reader, identity: tuple[End, str]) -> Iterator[Emit]:
    """Reports load balancers that have no effect, because others have the same virtual address."""
    found = {_order(q, key)[0]: name for key in q.find(RIVALS, identity) if (name := beaten_by(q, key)) is not None}
    if found:
        end, protocol = identity
        beaten = ", ".join(sorted(found))
        raise ValueError(f"load balancers {beaten}: {end} {protocol} is that of {min(found.values())} already")
    yield from ()  # what makes it a generator


def holding(q: Reader, key: VipKey) -> Vip | None:
    """The virtual address, if no other load balancer has it."""
    return q.value(VIPS, key) if beaten_by(q, key) is None else None


@query
def tells_of_empty(q: Reader) -> bool:
    """NB_Global options:controller_event."""
    return nb_option(q, "controller_event").lower() == "true"
