"""NAT rules of routers, as they are to be carried out (`Nat`).

Terms: the *external* address is the one that others see, the *logical* one (an address, or a network for type snat) is
that of the instances. On a gateway router a rule works at all its ports. On a distributed router it works at one
distributed gateway port: the one that `gateway_port` names, else the only one, else the one on whose networks the
external address is. There it is carried out on the chassis of the gateway; or, for a dnat_and_snat rule with
`external_mac` and `logical_port`, on the host of that logical port (*on the spot*).

A rule with a `match` is for packets that satisfy it too, and goes before all without one; of several with matches the
one with the highest `priority` goes first, then the one with the longest prefix. That order has no bound, and flows'
priorities have; so they count *levels*, those pairs of priority and prefix length that rules of the router have.

A rule that cannot be carried out has no effect, and is reported.
Tests: tests/cases/northd/nat.txt, nat_gateway.txt, nat_match.txt; tests/unit/northd/test_nats.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.language import SyntaxProblem, parse_match
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_mac
from ovine.northd.flows import quoted
from ovine.northd.router_ports import GATEWAYS, ROUTER_PORTS
from ovine.northd.routers import ROUTERS

SNAT, DNAT, BOTH = "snat", "dnat", "dnat_and_snat"


class External(NamedTuple):
    """An external address of a router, and the gateway port where it is; None on a gateway router."""

    router: Uuid
    gateway: Uuid | None
    address: str


class Spot(NamedTuple):
    """An Ethernet address that a router has on the host of an instance, at a gateway port."""

    router: Uuid
    gateway: Uuid
    mac: str
    place: str
    """The condition under which a host is that one."""


class Replies(NamedTuple):
    """Packets that may be replies of a translated destination, on a distributed router."""

    router: Uuid
    gateway: Uuid
    logical: str
    place: str


class Level(NamedTuple):
    """What orders the rules of a router that have a match: later ones go first."""

    router: Uuid
    priority: int
    prefix: int


@dataclass(frozen=True)
class Nat:
    """A rule that works. Addresses are in canonical form."""

    key: Uuid
    """The northbound row."""
    kind: str
    external: External
    logical: str
    prefix: int
    """Of the logical network; 32 or 128 for an address."""
    mac: str | None
    """Of the external address, if the rule is carried out on the spot."""
    place: str
    """The condition under which a host carries the rule out; "" on a gateway router, which is in one place anyway."""
    ports: str
    """external_port_range, or ""."""
    stateless: bool
    allowed: str
    """The address set of those whom the rule is for, or ""."""
    exempted: str
    """The address set of those whom it is not for, or ""."""
    match: str
    """What else packets must satisfy, or ""."""
    priority: int
    offered: bool
    """Neighbouring routers are to have a route to the external address."""

    @property
    def level(self) -> Level | None:
        """Its place among the router's rules with a match, if it has one."""
        return Level(self.external.router, self.priority, self.prefix) if self.match else None

    @property
    def ip(self) -> str:
        """What the language calls the IP version: ip4 or ip6."""
        return "ip6" if ":" in self.external.address else "ip4"

    @property
    def from_inside(self) -> bool:
        """It translates sources."""
        return self.kind in (SNAT, BOTH)

    @property
    def from_outside(self) -> bool:
        """It translates destinations."""
        return self.kind in (DNAT, BOTH)

    @property
    def spot(self) -> Spot | None:
        """Where it is carried out, if that is on the spot."""
        if self.mac is None or self.external.gateway is None:
            return None
        return Spot(self.external.router, self.external.gateway, self.mac, self.place)

    @property
    def replies(self) -> Replies | None:
        """The replies that are to be translated back at a gateway port."""
        router, gateway, _ = self.external
        if gateway is None or not self.from_outside or self.stateless:
            return None
        return Replies(router, gateway, self.logical, self.place)


def _source(nat: Nat) -> tuple[Uuid, Uuid | None, str, str, str]:
    """The packets whose sources a rule translates; but for its exemptions."""
    return *nat.external[:2], nat.logical, nat.allowed, nat.match


NATS: Relation[Uuid, Nat] = Relation("NAT rules")
"""By the northbound row's uuid."""

ROUTER_OF_NAT = Index(nb.LogicalRouter, lambda router: router.nat, "routers by NAT rule")
BY_EXTERNAL = Index(NATS, lambda nat: (nat.external,), "NAT rules by external address")
BY_ROUTER = Index(NATS, lambda nat: (nat.external.router,), "NAT rules by router")
BY_GATEWAY = Index(
    NATS, lambda nat: (nat.external.gateway,) if nat.external.gateway is not None else (), "NAT rules by gateway port"
)
ON_THE_SPOT = Index(NATS, lambda nat: (nat.key,) if nat.mac is not None else (), "NAT rules on the spot")
BY_DESTINATION = Index(
    NATS, lambda nat: ((nat.external, nat.allowed, nat.match),) if nat.from_outside else (), "NAT by destination"
)
BY_SOURCE = Index(
    NATS,
    lambda nat: (_source(nat),) if nat.from_inside else (),
    "NAT by source",
)
OFFERING = Index(NATS, lambda nat: (nat.key,) if nat.offered and nat.from_outside else (), "NAT with add_route")
LEVELED = Index(NATS, lambda nat: () if nat.level is None else (nat.level,), "NAT rules with a match by level")
LEVELS: Relation[Level, Level] = Relation("levels of NAT rules")
LEVELS_OF = Index(LEVELS, lambda level: (level.router,), "levels of NAT rules by router")
BY_REPLY = Index(NATS, lambda nat: () if nat.replies is None else (nat.replies,), "NAT rules by replies")
BY_SPOT = Index(NATS, lambda nat: () if nat.spot is None else (nat.spot,), "NAT rules by place")
SPOTS_OF_ROUTER = Index(
    NATS, lambda nat: (nat.external.router,) if nat.mac is not None else (), "NAT rules on the spot by router"
)


@rule(over=ROUTER_OF_NAT, writes=(NATS,))
def nat(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reads a NAT row, and finds where it works."""
    row = q.get(nb.NAT, key)
    routers: tuple[Uuid, ...] = q.find(ROUTER_OF_NAT, key)
    router = q.get(ROUTERS, routers[0])
    if row is None or router is None:
        return
    who = f"NAT {row.type} {row.external_ip} {row.logical_ip} of router {router.name}"
    if len(routers) > 1:
        raise ValueError(f"{who}: it is in {len(routers)} routers")
    try:
        external, logical, prefix = read_addresses(row.type, row.external_ip, row.logical_ip)
        ports = read_ports(row.external_port_range)
        gateway = None if router.chassis else _gateway(q, router.key, row.gateway_port, external)
        mac = _mac(row.external_mac) if gateway is not None and row.type == BOTH and row.logical_port else None
        allowed, exempted = _set(q, row.allowed_ext_ips), _set(q, row.exempted_ext_ips)
        stateless = row.options.get("stateless", "").lower() == "true"
        if allowed and exempted:
            raise ValueError("allowed_ext_ips and exempted_ext_ips exclude each other")
        if stateless and row.type != BOTH:
            raise ValueError("only dnat_and_snat rules can be stateless")
        check_match(row.match)
    except ValueError as error:
        raise ValueError(f"{who}: {error}; it has no effect") from None
    place = ""
    if gateway is not None:
        resident = row.logical_port if mac is not None else q.row(ROUTER_PORTS, gateway).redirect
        place = f"is_chassis_resident({quoted(resident or '')})"
    made = Nat(
        key=key,
        kind=row.type,
        external=External(router.key, gateway, external),
        logical=logical,
        prefix=prefix,
        mac=mac,
        place=place,
        ports=ports,
        stateless=stateless,
        allowed=allowed,
        exempted=exempted,
        match=row.match.strip(),
        priority=row.priority,
        offered=row.options.get("add_route", "").lower() == "true",
    )
    yield NATS(key, made)


def read_addresses(kind: str, external: str, logical: str) -> tuple[str, str, int]:
    """The external address, the logical address or network, and its prefix length. Raises ValueError."""
    outside, inside = _network(external, "external_ip"), _network(logical, "logical_ip")
    if outside.version != inside.version:
        raise ValueError("external_ip and logical_ip are of different IP versions")
    if outside.prefixlen != outside.max_prefixlen:
        raise ValueError(f"external_ip {external!r} is not a single address")
    single = inside.prefixlen == inside.max_prefixlen
    if kind != SNAT and not single:
        raise ValueError(f"logical_ip {logical!r} is not a single address")
    return str(outside.network_address), str(inside.network_address if single else inside), inside.prefixlen


def _network(text: str, column: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{column} {text!r} is neither an address nor a network") from None


_RANGE = re.compile(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?")


def read_ports(text: str) -> str:
    """external_port_range as the language writes it: "" for none, "80" or "1-3000". Raises ValueError."""
    if not text.strip():
        return ""
    read = _RANGE.fullmatch(text)
    if read is None or not 1 <= int(read[1]) <= int(read[2] or read[1]) <= 65535:
        raise ValueError(f"external_port_range {text!r} is not a range of ports")
    return read[1] if read[2] is None else f"{read[1]}-{read[2]}"


def check_match(text: str) -> None:
    """Raises ValueError if a match cannot be read; "" is none."""
    try:
        if text.strip():
            parse_match(text)
    except SyntaxProblem as problem:
        raise ValueError(f"match {text!r} cannot be read: {problem.message}") from None


def _mac(text: str | None) -> str | None:
    return parse_mac(text) if text else None


def _set(q: Reader, key: Uuid | None) -> str:
    row = q.get(nb.AddressSet, key) if key is not None else None
    return row.name if row is not None else ""


def _gateway(q: Reader, router: Uuid, wanted: Uuid | None, external: str) -> Uuid:
    """The gateway port of a rule on a distributed router. Raises ValueError if there is none."""
    gateways: tuple[Uuid, ...] = q.find(GATEWAYS, router)
    if wanted is not None:
        if wanted not in gateways:
            raise ValueError("its gateway_port is not a gateway port of the router")
        return wanted
    if not gateways:
        raise ValueError("the router is on no chassis, and has no gateway port")
    if len(gateways) == 1:
        return gateways[0]
    for gateway in gateways:
        if any(external in net for net in q.row(ROUTER_PORTS, gateway).networks if _same(net.address, external)):
            return gateway
    raise ValueError(f"the router has {len(gateways)} gateway ports, and external_ip is on the networks of none")


def _same(one: str, other: str) -> bool:
    return (":" in one) == (":" in other)


# --- what others ask --------------------------------------------------------------------------------------------------


@query
def taken_addresses(q: Reader, router: Uuid) -> frozenset[str]:
    """The external addresses of a router: packets for them are for NAT, even if a router port has the same address."""
    return frozenset(one.external.address for one in q.find_rows(BY_ROUTER, router))


@query
def works_on_the_spot(q: Reader, router: Uuid) -> bool:
    """Whether a router has rules that are carried out on the hosts of instances."""
    return bool(q.find(SPOTS_OF_ROUTER, router))


@rule(over=LEVELED, writes=(LEVELS,))
def level(q: Reader, key: Level) -> Iterator[Emit]:
    """The levels that there are, whatever the number of rules."""
    yield LEVELS(key, key)


@query
def levels_below(q: Reader, level: Level) -> int:
    """How many levels of the router come after this one."""
    return sum(other < level for other in q.find(LEVELS_OF, level.router))


def translates_destinations(q: Reader, nat: Nat) -> bool:
    """Whether the rule is the one for its external address. Raises ValueError if another one is."""
    rivals = q.find(BY_DESTINATION, (nat.external, nat.allowed, nat.match)) if nat.from_outside else ()
    return nat.from_outside and _is_first(q, nat, rivals, "destination")


def translates_sources(q: Reader, nat: Nat) -> bool:
    """Whether the rule is the one for its logical addresses. Raises ValueError if another one is."""
    rivals = q.find(BY_SOURCE, _source(nat)) if nat.from_inside else ()
    return nat.from_inside and _is_first(q, nat, rivals, "source")


def is_source_of(q: Reader, nat: Nat) -> bool:
    """As `translates_sources`, without complaint."""
    rivals = q.find(BY_SOURCE, _source(nat))
    return nat.from_inside and min(rivals, key=lambda key: rank(q, key)) == nat.key


def _is_first(q: Reader, nat: Nat, rivals: tuple[Uuid, ...], what: str) -> bool:
    ordered = sorted(rivals, key=lambda key: rank(q, key))
    if ordered[0] == nat.key:
        return True
    other = q.row(NATS, ordered[0])
    raise ValueError(
        f"NAT {nat.kind} {nat.external.address} {nat.logical}: the {what} is translated by "
        f"{other.kind} {other.external.address} {other.logical} already"
    )


def rank(q: Reader, key: Uuid) -> tuple[int, str, str, str, Uuid]:
    """Which of several rules comes first."""
    row = q.row(NATS, key)
    return -row.priority, row.kind, row.external.address, row.logical, key


def rules_of(q: Reader, external: External) -> list[Nat]:
    """The rules of an external address: those on the spot first, then by kind and logical address."""
    found = [q.value(NATS, key) for key in q.find(BY_EXTERNAL, external)]
    return sorted(
        (one for one in found if one is not None), key=lambda one: (one.mac is None, one.kind, one.logical, one.key)
    )
