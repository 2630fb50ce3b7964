"""Router advertisements that nobody asked for, on the networks of router ports with `ipv6_ra_send_periodic`.

The advertisement goes into the switch by the port that leads to the router, on each host where the router is, and stays
on that host. The first ones come soon (RFC 4861 §6.2.4), later ones at random between `ipv6_ra_min_interval` and
`ipv6_ra_max_interval`.

Sources: RFC 4861; Port_Binding options ipv6_ra_*, which ovn-northd derives from Logical_Router_Port ipv6_ra_configs in
ovn-nb(5). Tests: tests/unit/controller/services/test_ra_periodic.py.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address
from typing import Final, NamedTuple

from ovine.controller import tables as t
from ovine.controller.environment import datapath_key
from ovine.controller.local import LOCAL_DATAPATHS, PORT_BY_NAME
from ovine.controller.services import World, ra
from ovine.controller.services.fdb import mac_number
from ovine.controller.services.frames import ICMPV6, IPV6, Ethernet, make_icmpv6, make_ipv6
from ovine.controller.services.timed import Effect, Event
from ovine.engine import Emit, Reader, Relation, rule
from ovine.language import quote
from ovine.language.action_parser import parse_actions
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import PacketOut, Resubmit, SetField

_ALL_NODES: Final = IPv6Address("ff02::1").packed
_ALL_NODES_MAC: Final = b"\x33\x33\x00\x00\x00\x01"
INITIAL, INITIAL_PAUSE = 3, 16.0
"""How many come soon, and at most how many seconds apart."""
DEFAULT_MAX: Final = 600.0


class Advertiser(NamedTuple):
    """What is sent into a switch by the port that leads to a router, and how often (in seconds)."""

    datapath: int
    port: int
    frame: bytes
    shortest: float
    longest: float


ADVERTISERS: Relation[Uuid, Advertiser] = Relation("periodic router advertisements")
"""By the Port_Binding of the router's port."""


@rule(over=sb.PortBinding, writes=(ADVERTISERS,))
def advertisers(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """What a router's port advertises, if its router is on this host."""
    port = q.row(sb.PortBinding, uuid)
    if port.options.get("ipv6_ra_send_periodic") != "true" or q.get(LOCAL_DATAPATHS, port.datapath) is None:
        return
    for peer in q.find(PORT_BY_NAME, port.options.get("peer", "")):
        other = q.row(sb.PortBinding, peer)
        key = datapath_key(q, other.datapath)
        if q.get(LOCAL_DATAPATHS, other.datapath) is None or not key:
            continue
        shortest, longest = intervals(port.options)
        yield ADVERTISERS(uuid, Advertiser(key, other.tunnel_key, frame(q, port.options), shortest, longest))


def intervals(options: Mapping[str, str]) -> tuple[float, float]:
    """The shortest and longest pause; ValueError if an option is no number."""
    longest = float(options.get("ipv6_ra_max_interval", DEFAULT_MAX))
    shortest = float(options.get("ipv6_ra_min_interval", longest / 3))
    if not 0 < shortest <= longest:
        raise ValueError(f"router advertisements cannot be between {shortest} and {longest} seconds apart")
    return shortest, longest


def frame(q: Reader, options: Mapping[str, str]) -> bytes:
    """The advertisement; ValueError if an option makes no sense."""
    mac = mac_number(options.get("ipv6_ra_src_eth", "")).to_bytes(6)
    source = IPv6Address(options.get("ipv6_ra_src_addr", "")).packed
    (action,) = parse_actions(_action(options), "ingress")
    message = make_icmpv6(source, _ALL_NODES, ra.payload(q, action))  # type: ignore[arg-type]
    packet = make_ipv6(source, _ALL_NODES, ICMPV6, message, 255)
    return Ethernet(_ALL_NODES_MAC, mac, b"", IPV6, packet).encode()


def _action(options: Mapping[str, str]) -> str:
    """The action that answers solicitations of the same port."""

    def text(name: str, option: str) -> list[str]:
        return [f"{name} = {quote(options[option])}"] if options.get(option) else []

    words = [f"addr_mode = {quote(options.get('ipv6_ra_address_mode', 'slaac'))}"]
    words.append(f"slla = {options.get('ipv6_ra_src_eth', '')}")
    words += [f"mtu = {options['ipv6_ra_mtu']}"] if options.get("ipv6_ra_mtu") else []
    words += [f"prefix = {prefix}" for prefix in options.get("ipv6_ra_prefixes", "").split()]
    words += [f"prefix = {prefix}" for prefix in options.get("ipv6_ra_pd_list", "").split()]
    words += text("router_preference", "ipv6_ra_prf") + text("route_info", "ipv6_ra_route_info")
    words += [f"rdnss = {options['ipv6_ra_rdnss']}"] if options.get("ipv6_ra_rdnss") else []
    words += text("dnssl", "ipv6_ra_dnssl")
    return f"reg0[0] = put_nd_ra_opts({', '.join(words)});"


class PeriodicAdvertisements:
    """When each port advertises next. `rng` chooses the pauses, so that routers do not speak all at once."""

    name = "periodic router advertisements"
    wants = ADVERTISERS
    events: tuple[type[Event], ...] = ()

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next: dict[Uuid, tuple[Advertiser, float, int]] = {}
        """What was advertised last, when it is again, and how many times it has been."""

    def hear(self, event: Event, now: float) -> None:
        """Nothing tells it anything."""

    def step(self, wanted: Mapping[Uuid, Advertiser], world: World, now: float) -> Iterator[Effect]:
        """Advertises what is new or has changed at once, and repeats what is due."""
        del world
        before, self._next = self._next, {}
        for uuid, advertiser in wanted.items():
            known, due, count = before.get(uuid, (None, now, 0))
            if known != advertiser:
                due, count = now, 0
            if due <= now:
                yield _packet_out(advertiser)
                count += 1
                pause = self._rng.uniform(advertiser.shortest, advertiser.longest)
                due = now + (min(pause, INITIAL_PAUSE) if count < INITIAL else pause)
            self._next[uuid] = (advertiser, due, count)

    def deadline(self) -> float | None:
        """When the next advertisement is due."""
        return min((due for _, due, _ in self._next.values()), default=None)


def _packet_out(advertiser: Advertiser) -> PacketOut:
    place = ((t.DATAPATH, advertiser.datapath, None), (t.INPORT, advertiser.port, None))
    actions = (SetField(t.FLAGS, 1 << t.LOCAL_ONLY, 1 << t.LOCAL_ONLY), Resubmit(table=t.LOG_INGRESS))
    return PacketOut("CONTROLLER", actions, advertiser.frame, place)


RULES: Final = (advertisers,)
