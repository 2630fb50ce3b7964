"""Health checks of load balancers: which backends hosts are to watch, and which may be used.

Each backend of a virtual address that has a Load_Balancer_Health_Check, and an entry in `ip_port_mappings`, becomes a
row of Service_Monitor. The host of the backend's port asks the backend now and then, from an address that the mapping
gives and one Ethernet address for the whole cloud, and writes what it finds into the row. A backend that is offline
gets no new connections; nor does one that was online when its port left its host.

Questions and answers bypass ACLs and connection tracking of the backend's switch, which answers ARP requests and
neighbour solicitations for the asking address.

The Ethernet address is NB_Global options:svc_monitor_mac, else one made from the cloud's uuid.
Source: ovn-nb(5), "Load_Balancer_Health_Check TABLE"; ovn-sb(5), "Service_Monitor TABLE". Tests:
tests/cases/northd/health.txt, tests/interop/test_load_balancing.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.northd.acl_shared import SERVICE, SKIP
from ovine.northd.addresses import parse_address, parse_mac
from ovine.northd.attachments import arp_reply, request_for
from ovine.northd.balancers import VIPS, End, VipKey, holding
from ovine.northd.copp import limit
from ovine.northd.datapaths import member, switch_of
from ovine.northd.flows import FLOWS, MEMBERS, flow, place_of, scope
from ovine.northd.inputs import BOUND, nb_option
from ovine.northd.pipeline import ANSWER, FORWARD, IN_ACL, IN_ACL_AFTER, IN_TRACK, OUT_ACL, OUT_TRACK
from ovine.northd.ports import PORTS
from ovine.projection import Names, Target

SOURCE = "health"
WATCHED = scope("switches with backends that are watched")
OPTIONS = {"interval": (5, 1, 86400), "timeout": (20, 1, 86400), "success_count": (1, 1, 1000)}
OPTIONS |= {"failure_count": (1, 1, 1000)}
"""What is taken where a health check does not say, and what it may say."""


class Service(NamedTuple):
    """What is watched; the southbound has one row for it."""

    port: str
    """The logical port's name."""
    ip: str
    number: int
    protocol: str


class Watch(NamedTuple):
    """A virtual address's having a service watched."""

    vip: VipKey
    service: Service
    source: str
    options: StrMap


WATCHES: Relation[tuple[VipKey, Service], Watch] = Relation("watched backends")
MONITORS: Relation[Service, sb.ServiceMonitor] = Relation("Service_Monitor")

BY_SERVICE = Index(WATCHES, lambda watch: (watch.service,), "watches by service")
OF_VIP = Index(WATCHES, lambda watch: (watch.vip,), "watches by virtual address")
PORTS_NAMED = Index(PORTS, lambda port: (port.name,), "switch ports by name")
REPORTED = Index(
    sb.ServiceMonitor,
    lambda row: ((row.logical_port, row.ip, row.port, row.protocol or "tcp"),),
    "service monitors by service",
)


class Asking(NamedTuple):
    """An address that hosts ask from, on a switch."""

    switch: Uuid
    address: str


ASKING: Relation[tuple[Asking, Service], Asking] = Relation("addresses that services are asked from")
BY_ASKING = Index(ASKING, lambda one: (one,), "services by the address that they are asked from")


@query
def monitor_mac(q: Reader) -> str:
    """The Ethernet address that hosts ask from; one that cannot be read is reported by `address_readable`."""
    try:
        return parse_mac(nb_option(q, "svc_monitor_mac"))
    except ValueError:
        cloud = "".join(sorted(q.keys(nb.NBGlobal)))
        made = bytearray(hashlib.sha256(cloud.encode()).digest()[:6])
        made[0] = made[0] & 0xFC | 0x02  # of nobody's range, and one machine's (IEEE 802)
        return made.hex(":")


@rule(writes=())
def address_readable(q: Reader, _: tuple[()]) -> Iterator[Emit]:
    """Reports an Ethernet address that is none."""
    text = nb_option(q, "svc_monitor_mac")
    if text:
        try:
            parse_mac(text)
        except ValueError as error:
            raise ValueError(f"svc_monitor_mac: {error}; another is taken") from None
    yield from ()


# --- what is watched --------------------------------------------------------------------------------------------------


def _options(check: nb.LoadBalancerHealthCheck) -> tuple[StrMap, list[str]]:
    """The settings of a health check, and what is wrong with others, for which defaults hold."""
    taken, wrong = {}, []
    for name, (default, low, high) in OPTIONS.items():
        text = check.options.get(name, str(default))
        good = text.isascii() and text.isdigit() and low <= int(text) <= high
        taken[name] = text if good else str(default)
        if not good:
            wrong.append(f"{name} {text!r} is not a number from {low} to {high}")
    return StrMap(taken), wrong


def _checks(q: Reader, row: nb.LoadBalancer, text: str) -> list[nb.LoadBalancerHealthCheck]:
    found = [q.get(nb.LoadBalancerHealthCheck, key) for key in row.health_check]
    return [check for check in found if check is not None and check.vip == text]


def mappings(texts: StrMap) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """The port and the asking address by backend address, of `ip_port_mappings`; and what cannot be read."""
    read, wrong = {}, []
    for backend, text in sorted(texts.items()):
        port, colon, source = text.partition(":")
        try:
            if not colon or not port:
                raise ValueError(f"{text!r} is not a port and an address")
            read[_address(backend)] = (port, _address(source))
        except ValueError as error:
            wrong.append(f"ip_port_mappings: {error}")
    return read, wrong


def _address(text: str) -> str:
    return parse_address(text.strip().removeprefix("[").removesuffix("]"))


def _watched(q: Reader, key: VipKey) -> Iterator[Emit]:
    vip, row = holding(q, key), q.get(nb.LoadBalancer, key[0])
    checks = _checks(q, row, key[1]) if row is not None and vip is not None else []
    if row is None or vip is None or not checks or vip.protocol not in ("tcp", "udp"):
        return
    found = mappings(row.ip_port_mappings)[0]
    for end in vip.backends:
        if end.address in found and "^" not in end.port:
            port, source = found[end.address]
            service = Service(port, end.address, int(end.port), vip.protocol)
            yield WATCHES((key, service), Watch(key, service, source, _options(checks[0])[0]))


@rule(over=VIPS, writes=(WATCHES,), on_failure=_watched)
def watched(q: Reader, key: VipKey) -> Iterator[Emit]:
    """The services of a virtual address that are watched."""
    row = q.get(nb.LoadBalancer, key[0])
    checks = _checks(q, row, key[1]) if row is not None else []
    wrong = [text for check in checks for text in _options(check)[1]]
    if row is not None and checks:
        wrong += mappings(row.ip_port_mappings)[1]
        vip = q.value(VIPS, key)
        if vip is not None and vip.protocol not in ("tcp", "udp"):
            wrong.append(f"only TCP and UDP can be checked, with a port; {key[1]} is taken to be well")
        if wrong:
            raise ValueError(f"health check of load balancer {row.name}: {'; '.join(wrong)}")
    yield from _watched(q, key)


@rule(over=BY_SERVICE, writes=(MONITORS, ASKING, MEMBERS))
def monitor(q: Reader, service: Service) -> Iterator[Emit]:
    """The row for a service, if its port is there: as its first virtual address wants it."""
    first = min(q.find_rows(BY_SERVICE, service), key=lambda watch: watch.vip)
    ports = q.find_rows(PORTS_NAMED, service.port)
    if not ports:
        return
    yield MONITORS(
        service,
        sb.ServiceMonitor(
            ip=service.ip,
            protocol=service.protocol,
            port=service.number,
            logical_port=service.port,
            src_mac=monitor_mac(q),
            src_ip=first.source,
            options=first.options,
        ),
    )
    switch = switch_of(q, ports[0].key)
    if switch is not None:
        asking = Asking(switch, first.source)
        yield ASKING((asking, service), asking)
        yield member(WATCHED, switch)


# --- what is found ----------------------------------------------------------------------------------------------------


@query
def usable(q: Reader, key: VipKey) -> tuple[End, ...]:
    """The backends of a virtual address that may get new connections."""
    vip = q.value(VIPS, key)
    if vip is None:
        return ()
    services = {(watch.service.ip, watch.service.number): watch.service for watch in q.find_rows(OF_VIP, key)}
    if not services:
        return vip.backends
    chosen = ((end, services.get((end.address, int(end.port)))) for end in vip.backends)
    return tuple(end for end, service in chosen if service is None or is_well(q, service))


@query
def is_well(q: Reader, service: Service) -> bool:
    """Whether a service is online, as far as is known."""
    for row in q.find_rows(REPORTED, (service.port, service.ip, service.number, service.protocol)):
        if row.status is not None:
            bound = any(binding.chassis is not None for binding in q.find_rows(BOUND, service.port))
            return row.status == "online" and bound
    return True


# --- questions and answers --------------------------------------------------------------------------------------------


@rule(writes=(FLOWS,))
def bypass(q: Reader, _: tuple[()]) -> Iterator[Emit]:
    """What hosts ask, and what they are answered, on all switches with backends that are watched."""
    place = place_of(q, WATCHED)
    if place is None:
        return
    mac = monitor_mac(q)
    hint = Uuid(next(iter(q.keys(nb.NBGlobal)), "0" * 8))
    to, by = f"eth.dst == {mac}", f"eth.src == {mac}"
    for stage, priority, match, actions in (
        (IN_TRACK, 112, to, SKIP[IN_TRACK]),
        (IN_ACL, SERVICE, to, "next;"),
        (IN_ACL_AFTER, SERVICE, to, "next;"),
        (OUT_TRACK, 112, by, SKIP[OUT_TRACK]),
        (OUT_ACL, SERVICE, by, "next;"),
    ):
        yield flow(place, stage, priority, match, actions, source=SOURCE, hint=hint)
    meter = limit(q, place, "svc-monitor") if isinstance(place, str) else None
    answer = f"{to} && (tcp || icmp4 || icmp6)"
    yield flow(place, FORWARD, 110, answer, "handle_svc_check(inport);", source=SOURCE, hint=hint, meter=meter)


@rule(over=BY_ASKING, writes=(FLOWS,))
def asking_address(q: Reader, asking: Asking) -> Iterator[Emit]:
    """The switch answers for an address that its backends are asked from."""
    mac, address = monitor_mac(q), asking.address
    answer = (
        f"nd_na {{ eth.src = {mac}; ip6.src = {address}; nd.target = {address}; nd.tll = {mac}; outport = inport; "
        "flags.loopback = 1; output; };"
        if ":" in address
        else arp_reply(mac, address)
    )
    yield flow(asking.switch, ANSWER, 110, request_for(address), answer, source=SOURCE, hint=asking.switch)


def _key(row: sb.ServiceMonitor, names: Names) -> Hashable:
    del names
    return Service(row.logical_port, row.ip, row.port, row.protocol or "tcp")


TARGET = Target(
    MONITORS,
    sb.ServiceMonitor,
    _key,
    ("ip", "protocol", "port", "logical_port", "src_mac", "src_ip", "options"),
)
"""The column `status` is the hosts'."""
