"""Multicast snooping: switches with other_config:mcast_snoop send IP multicast where it is wanted.

Hosts listen to IGMP and MLD and write what they heard into IGMP_Group rows: who wants which address, and, under the
address "mrouters", behind which ports routers that ask are. An address that somebody wants becomes a multicast group
and a flow. Three groups of ports are there besides, on every such switch:

- `_MC_static` gets all multicast: ports with options:mcast_flood, those of routers that ask, and those to logical
  routers that relay (`ovine.northd.relay`),
- `_MC_mrouter_flood` gets the reports: those routers, and ports with options:mcast_flood_reports,
- `_MC_flood` gets what may not be held back: addresses of the local network, where nobody reports (RFC 4541).

What nobody is known to want goes to `_MC_static` only, or to all, with other_config:mcast_flood_unregistered.

Terms: addresses that are *reserved* are not snooped. All flows but that of an address are shared by all such switches.

Wire behaviour is that of ovn-nb(5), "IP Multicast Snooping Options", and ovn-northd(8), "Destination Lookup".
Tests: tests/unit/northd/test_northd_snooping.py, tests/cases/northd/snooping.txt, tests/cases/packets/igmp_*.txt.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from ipaddress import IPv4Network, IPv6Address, ip_address
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, Sticky, query, rule
from ovine.model import nb, sb
from ovine.model.base import Map, Uuid
from ovine.northd.addresses import parse_ip4, parse_ip6, parse_mac
from ovine.northd.datapaths import member
from ovine.northd.flows import FLOWS, MEMBERS, Shared, datapath_ref, flow, quoted, scope
from ovine.northd.multicast import FLOOD_GROUP, GROUPS, L2_GROUP, SNOOPS, snoops
from ovine.northd.pipeline import FORWARD
from ovine.northd.ports import PORTS, binding_ref
from ovine.projection import Names, Target

SOURCE = "snooping"

ROUTER_GROUP, ROUTER_KEY = "_MC_mrouter_flood", 32770
STATIC_GROUP, STATIC_KEY = "_MC_static", 32771
FIRST_KEY, LAST_KEY = 32773, 65535
"""Keys of groups for addresses; those before are of groups that every implementation has."""
ROUTERS = "mrouters"
"""In place of an address: the ports of routers that ask."""

SNOOPING = scope("switches with multicast snooping")
STRICT = scope("switches that send multicast only where it is wanted")

SHARED = (
    Shared(SNOOPING, FORWARD, 100, "igmp", "igmp;", SOURCE, "igmp"),
    Shared(SNOOPING, FORWARD, 100, "mldv1 || mldv2", "igmp;", SOURCE, "igmp"),
    Shared(SNOOPING, FORWARD, 85, "ip4.mcast && ip4.dst == 224.0.0.0/24", f'outport = "{L2_GROUP}"; output;', SOURCE),
    Shared(SNOOPING, FORWARD, 85, "ip6.mcast_flood", f'outport = "{FLOOD_GROUP}"; output;', SOURCE),
    Shared(STRICT, FORWARD, 80, "ip4.mcast || ip6.mcast", f'outport = "{STATIC_GROUP}"; output;', SOURCE),
)

_LOCAL = IPv4Network("224.0.0.0/24")


class Numbers(NamedTuple):
    """A setting of other_config: its default, and what it may be."""

    default: int
    low: int
    high: int


SETTINGS = {
    "mcast_table_size": Numbers(2048, 1, 32766),
    "mcast_idle_timeout": Numbers(300, 15, 3600),
    "mcast_query_max_response": Numbers(1, 1, 10),
}

IP_MULTICAST: Relation[Uuid, sb.IPMulticast] = Relation("IP_Multicast")
"""By switch."""
KEYS: Sticky[tuple[Uuid, str]] = Sticky("tunnel keys of multicast addresses", FIRST_KEY, LAST_KEY)
"""By (switch or router, address); a pool for each of them."""


class Wanted(NamedTuple):
    """An address that ports of a switch want, or `ROUTERS`."""

    switch: Uuid
    address: str
    ports: tuple[str, ...]


WANTED: Relation[tuple[Uuid, str], Wanted] = Relation("wanted multicast addresses")
"""By (switch, address)."""

HEARD = Index(
    sb.IGMPGroup,
    lambda row: ((row.datapath, row.address),) if row.datapath is not None and row.chassis is not None else (),
    "IGMP_Group by datapath and address",
)
FLOODED_AT = Index(
    nb.LogicalSwitchPort,
    lambda row: (row.uuid,) if row.options.get("mcast_flood", "").lower() == "true" else (),
    "ports that get all multicast",
)
REPORTED_AT = Index(
    nb.LogicalSwitchPort,
    lambda row: (row.uuid,) if row.options.get("mcast_flood_reports", "").lower() == "true" else (),
    "ports that get all reports",
)


class Special(NamedTuple):
    """A port that gets more than it asks for."""

    datapath: Uuid
    group: str
    name: str


SPECIAL: Relation[tuple[str, Uuid], Special] = Relation("ports that get more multicast than they ask for")
SPECIAL_OF = Index(SPECIAL, lambda one: ((one.datapath, one.group),), "such ports by datapath and group")


# --- switches ---------------------------------------------------------------------------------------------------------


@rule(over=SNOOPS, writes=(MEMBERS,))
def scopes(q: Reader, switch: Uuid) -> Iterator[Emit]:
    yield member(SNOOPING, switch)
    if q.row(nb.LogicalSwitch, switch).other_config.get("mcast_flood_unregistered", "").lower() != "true":
        yield member(STRICT, switch)


def _settings(switch: Uuid, config: Map[str, str], numbers: dict[str, int]) -> Emit:
    idle = numbers["mcast_idle_timeout"]
    row = sb.IPMulticast(
        datapath=datapath_ref(switch),
        enabled=True,
        querier=config.get("mcast_querier", "true").lower() == "true",
        eth_src=config.get("mcast_eth_src", ""),
        ip4_src=config.get("mcast_ip4_src", ""),
        ip6_src=config.get("mcast_ip6_src", ""),
        table_size=numbers["mcast_table_size"],
        idle_timeout=idle,
        query_interval=numbers.get("mcast_query_interval", idle // 2),
        query_max_resp=numbers["mcast_query_max_response"],
    )
    return IP_MULTICAST(switch, row)


def _read(config: Map[str, str]) -> tuple[dict[str, int], list[str]]:
    """The numbers among the settings, and what is wrong with others, for which defaults hold."""
    numbers = {name: about.default for name, about in SETTINGS.items()}
    wrong = []
    for name, about in {**SETTINGS, "mcast_query_interval": Numbers(0, 1, 3600)}.items():
        text = config.get(name)
        if text is None:
            continue
        if text.isascii() and text.isdigit() and about.low <= int(text) <= about.high:
            numbers[name] = int(text)
        else:
            wrong.append(f"{name} {text!r} is not a number from {about.low} to {about.high}")
    return numbers, [*wrong, *_cannot_ask(config)]


def _cannot_ask(config: Map[str, str]) -> list[str]:
    """What keeps hosts from asking who wants what. That nothing is said of it is no fault: others may ask."""
    readers = {"mcast_eth_src": parse_mac, "mcast_ip4_src": parse_ip4, "mcast_ip6_src": parse_ip6}
    wrong = []
    for name, reader in readers.items():
        try:
            if name in config:
                reader(config[name])
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    asked = config.get("mcast_querier", "").lower() == "true"
    if asked and ("mcast_eth_src" not in config or not {"mcast_ip4_src", "mcast_ip6_src"} & config.keys()):
        wrong.append("to ask who wants multicast takes mcast_eth_src, and mcast_ip4_src or mcast_ip6_src")
    return wrong


def _with_defaults(q: Reader, switch: Uuid) -> Iterator[Emit]:
    config = q.row(nb.LogicalSwitch, switch).other_config
    yield _settings(switch, config, _read(config)[0])


@rule(over=SNOOPS, writes=(IP_MULTICAST,), on_failure=_with_defaults)
def ip_multicast(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """What hosts are told: how to snoop, and how to ask. What cannot be read is reported, and its default holds."""
    row = q.row(nb.LogicalSwitch, switch)
    wrong = _read(row.other_config)[1]
    if wrong:
        raise ValueError(f"switch {row.name}: {'; '.join(wrong)}")
    yield from _with_defaults(q, switch)


# --- ports ------------------------------------------------------------------------------------------------------------


def _special(q: Reader, key: Uuid, group: str) -> Iterator[Emit]:
    port = q.get(PORTS, key)
    if port is not None and port.enabled and port.switched and snoops(q, port.switch):
        yield SPECIAL((group, key), Special(port.switch, group, port.name))


@rule(over=FLOODED_AT, writes=(SPECIAL,))
def flooded_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """options:mcast_flood."""
    yield from _special(q, key, STATIC_GROUP)


@rule(over=REPORTED_AT, writes=(SPECIAL,))
def reported_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """options:mcast_flood_reports."""
    yield from _special(q, key, ROUTER_GROUP)


@query
def configured(q: Reader, datapath: Uuid, group: str) -> frozenset[str]:
    """The ports that the northbound puts into a group."""
    return frozenset(one.name for one in q.find_rows(SPECIAL_OF, (datapath, group)))


@query
def asking(q: Reader, switch: Uuid) -> frozenset[str]:
    """The ports behind which routers are that ask."""
    row = q.get(WANTED, (switch, ROUTERS))
    return frozenset(row.ports) if row is not None else frozenset()


@rule(over=SNOOPS, writes=(GROUPS,))
def special_groups(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """The groups that every such switch has, if only without ports: shared flows name one of them."""
    routers = asking(q, switch)
    for name, key in ((STATIC_GROUP, STATIC_KEY), (ROUTER_GROUP, ROUTER_KEY)):
        yield group(switch, name, key, configured(q, switch, name) | routers)


def group(datapath: Uuid, name: str, key: int, ports: frozenset[str]) -> Emit:
    """A multicast group of the ports with these names."""
    members = tuple(binding_ref(port) for port in sorted(ports))
    row = sb.MulticastGroup(datapath=datapath_ref(datapath), name=name, tunnel_key=key, ports=members)
    return GROUPS((datapath, name), row)


# --- addresses --------------------------------------------------------------------------------------------------------


def canonical(text: str) -> str | None:
    """A multicast address that is snooped, in canonical form; None for one that is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not address.is_multicast or (isinstance(address, IPv6Address) and _is_reserved(address)) or address in _LOCAL:
        return None
    return str(address)


def _is_reserved(address: IPv6Address) -> bool:
    """What the language calls ip6.mcast_flood."""
    packed = address.packed
    nodes = {"ff01::1", "ff02::1", "ff01::2", "ff02::2", "ff05::2"}
    solicited = packed[:13] == IPv6Address("ff02::1:ff00:0").packed[:13]
    return solicited or str(address) in nodes or (packed[1] >> 4 == 0 and not any(packed[2:]))


@rule(over=HEARD, writes=(WANTED, KEYS))
def wanted(q: Reader, heard: tuple[Uuid, str]) -> Iterator[Emit]:
    """Who wants an address, put together from what all hosts heard."""
    datapath, text = heard
    actual = q.get(sb.DatapathBinding, datapath)
    switch = Uuid(actual.external_ids.get("logical-switch", "")) if actual is not None else None
    address = ROUTERS if text == ROUTERS else canonical(text)
    if switch is None or address is None or not snoops(q, switch):
        return
    bindings = dict.fromkeys(port for row in q.find_rows(HEARD, heard) for port in row.ports)
    rows = [row for row in (q.get(sb.PortBinding, uuid) for uuid in bindings) if row is not None]
    names = tuple(sorted(row.logical_port for row in rows))
    if not names:
        return
    yield WANTED((switch, address), Wanted(switch, address, names))
    if address != ROUTERS:
        yield KEYS.request((switch, address), pool=switch)


@rule(over=WANTED, writes=(GROUPS, FLOWS))
def address(q: Reader, key: tuple[Uuid, str]) -> Iterator[Emit]:
    """The group and the flow of an address. Who gets all multicast anyway is not in the group."""
    switch, text = key
    number = q.get(KEYS, key)
    if text == ROUTERS or number is None:
        return
    ports = frozenset(q.row(WANTED, key).ports) - configured(q, switch, STATIC_GROUP) - asking(q, switch)
    ip = "ip6" if ":" in text else "ip4"
    actions = f'clone {{ outport = "{STATIC_GROUP}"; output; }}; outport = {quoted(text)}; output;'
    yield group(switch, text, number, ports)
    yield flow(switch, FORWARD, 90, f"eth.mcast && {ip}.dst == {text}", actions, source=SOURCE, hint=switch)


def _key(row: sb.IPMulticast, names: Names) -> Hashable:
    return names(sb.DatapathBinding, row.datapath) or row.uuid


TARGET = Target(
    IP_MULTICAST,
    sb.IPMulticast,
    _key,
    (
        "datapath",
        "enabled",
        "querier",
        "eth_src",
        "ip4_src",
        "ip6_src",
        "table_size",
        "idle_timeout",
        "query_interval",
        "query_max_resp",
    ),
)
