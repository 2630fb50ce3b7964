"""Logical switch ports: what the features need to know of them (`Port`), and their Port_Binding rows.

A port whose address column holds something that cannot be read keeps the rest; what is wrong is reported by the rule
`readable`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, Sticky, query, rule
from ovine.model import nb, sb
from ovine.model.base import Map, StrMap, Uuid
from ovine.northd.addresses import Owned, parse_owned
from ovine.northd.datapaths import requested_key, switch_of
from ovine.northd.flows import datapath_ref
from ovine.northd.inputs import BOUND, chassis_called
from ovine.northd.ipam import DYNAMIC
from ovine.northd.mirrors import mirrors_of
from ovine.northd.queues import QUEUED, numbered
from ovine.northd.tags import tag_of
from ovine.projection import Names, Target, ref

VIF, LOCALNET, LOCALPORT, ROUTER, VIRTUAL, EXTERNAL = "", "localnet", "localport", "router", "virtual", "external"
L2GATEWAY = "l2gateway"
ACTIVATED = "additional-chassis-activated"
"""The option in which hosts write that a port with an activation strategy is active there."""
COMPILED = frozenset({VIF, LOCALNET, LOCALPORT, L2GATEWAY})
"""Types that take part in switching; so do ports of type router, which `ovine.northd.attachments` reads."""
BOUND_ONLY = frozenset({VIRTUAL, EXTERNAL})
"""Types that take no part in switching: `ovine.northd.virtual_ports` and `ovine.northd.external_ports` compile them."""


@dataclass(frozen=True)
class Port:
    """A port of a type that has a binding."""

    key: Uuid
    """The northbound row."""
    name: str
    switch: Uuid
    type: str
    enabled: bool
    owned: tuple[Owned, ...]
    """Its addresses, merged by MAC address."""
    unknown: bool
    """It takes what nobody is known to own."""
    learns: bool
    """Source addresses seen here go into the forwarding database."""
    switched: bool
    """It takes part in switching."""
    problems: tuple[str, ...]
    router_port: Uuid | None = None
    """The port that a port of type router is attached to."""
    as_router: bool = False
    """It has the addresses of that port, and is where that port is."""
    silent: bool = False
    """The switch does not answer for its addresses (options:disable_arp_nd_rsp)."""


class Flooded(NamedTuple):
    """An enabled port that takes part in switching."""

    switch: Uuid
    unknown: bool
    router: bool


PORTS: Relation[Uuid, Port] = Relation("ports")
"""By the northbound port's uuid."""
FLOODED: Relation[Uuid, Flooded] = Relation("flooded ports")
"""By reference to the port's row: the members of multicast groups, apart from PORTS so that a group reads no more."""
PORT_BINDINGS: Relation[str, sb.PortBinding] = Relation("Port_Binding")
"""By logical port name."""
KEYS: Sticky[tuple[Uuid, str]] = Sticky("port tunnel keys", 1, 2**15 - 1)
"""By (switch, port name); a pool for each switch."""
STATES: Relation[Uuid, nb.LogicalSwitchPort] = Relation("Logical_Switch_Port")
"""What is written back to the northbound: whether the port is up, its tag, and its dynamic_addresses."""


FAULTY = Index(PORTS, lambda port: (port.key,) if port.problems else (), "ports with problems")


@rule(over=nb.LogicalSwitchPort, writes=(PORTS, FLOODED, KEYS))
def port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reads a port's columns into a Port, and asks for a tunnel key."""
    row = q.row(nb.LogicalSwitchPort, key)
    kind = row.type
    if kind not in COMPILED and kind not in BOUND_ONLY:
        return
    switch = switch_of(q, key)
    if switch is None:
        return
    addresses = addresses_of(row.addresses, q.get(DYNAMIC, key))
    owned, problems = read_addresses(addresses)
    wanted, complaint = requested_key(row.options, KEYS.high)
    unknown = "unknown" in addresses
    learns = unknown and (
        (kind == VIF and not row.port_security)
        or (kind == LOCALNET and row.options.get("localnet_learn_fdb", "").lower() == "true")
    )
    made = Port(
        key=key,
        name=row.name,
        switch=switch,
        type=kind,
        enabled=row.enabled is not False,
        owned=owned,
        unknown=unknown,
        learns=learns,
        switched=kind in COMPILED,
        problems=(*problems, *complaint),
        silent=row.options.get("disable_arp_nd_rsp", "").lower() == "true",
    )
    yield PORTS(key, made)
    if made.enabled and made.switched:
        yield FLOODED(binding_ref(made.name), Flooded(switch, unknown, router=False))
    yield KEYS.request((switch, made.name), pool=switch, wanted=wanted)


def addresses_of(configured: tuple[str, ...], dynamic: str | None) -> tuple[str, ...]:
    """The address entries, with those that were given out in place of those that ask for one."""
    given = [entry for entry in configured if "dynamic" not in entry.split()]
    return tuple(given) if dynamic is None else (*given, dynamic)


def read_addresses(addresses: tuple[str, ...]) -> tuple[tuple[Owned, ...], tuple[str, ...]]:
    """What a port owns, merged by Ethernet address, and what of its address entries cannot be read."""
    owned: dict[str, Owned] = {}
    problems = []
    for entry in addresses:
        if entry == "unknown":
            continue
        try:
            one = parse_owned(entry)
        except ValueError as error:
            problems.append(str(error))
            continue
        before = owned.get(one.mac, Owned(one.mac))
        owned[one.mac] = Owned(
            one.mac, tuple(dict.fromkeys(before.ip4 + one.ip4)), tuple(dict.fromkeys(before.ip6 + one.ip6))
        )
    return tuple(owned.values()), tuple(problems)


@rule(over=FAULTY, writes=())
def readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports what is wrong with a port's columns; everything else of the port works."""
    port = q.row(PORTS, key)
    raise ValueError(f"port {port.name}: {'; '.join(port.problems)}")
    yield from ()  # what makes it a generator


@lru_cache(maxsize=65536)
def binding_ref(name: str) -> Uuid:
    """A reference to the Port_Binding row of a port."""
    return ref(PORT_BINDINGS, name)


def owners_in_order(q: Reader, keys: tuple[Uuid, ...]) -> list[Port]:
    """Ports that claim the same address, the one first that has it: enabled ones, then by name."""
    ports = [q.row(PORTS, key) for key in keys]
    return ports if len(ports) == 1 else sorted(ports, key=lambda port: (not port.enabled, port.name))


def disputed(address: str, ports: list[Port]) -> str:
    """What to say when several ports claim one address."""
    names = " and ".join(port.name for port in ports)
    return f"ports {names} have the same address {address}; {ports[0].name} is taken to own it"


# --- bindings ---------------------------------------------------------------------------------------------------------


@rule(over=PORTS, writes=(PORT_BINDINGS,))
def port_binding(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The row by which hosts know a port of a type that has no rule of its own for it."""
    if q.row(PORTS, key).type not in (ROUTER, EXTERNAL):
        yield from binding(q, key)


def binding(q: Reader, key: Uuid, group: Uuid | None = None) -> Iterator[Emit]:
    """The row by which hosts know a port. Where it is bound is theirs to write, in its chassis group if it has one."""
    port = q.row(PORTS, key)
    row = q.row(nb.LogicalSwitchPort, key)
    number = q.get(KEYS, (port.switch, port.name))
    if number is None:
        return
    main, others = _requested(q, row.options.get("requested-chassis", ""))
    activated = activated_on(q, port.name, others) if others else ""
    options = numbered(row.options, q.get(QUEUED, key))
    yield PORT_BINDINGS(
        port.name,
        sb.PortBinding(
            logical_port=port.name,
            type=port.type,
            options=StrMap({**options, ACTIVATED: activated}) if activated else options,
            datapath=datapath_ref(port.switch),
            tunnel_key=number,
            parent_port=row.parent_name or None,
            tag=tag_of(q, key),
            mac=tuple(sorted(addresses_of(row.addresses, q.get(DYNAMIC, key)))),
            port_security=row.port_security,
            mirror_rules=mirrors_of(q, row.mirror_rules),
            external_ids=binding_ids(row.external_ids),
            up=reported_up(q, port.name),
            requested_chassis=main,
            requested_additional_chassis=others,
            ha_chassis_group=group,
        ),
    )


def binding_ids(external_ids: Map[str, str]) -> Map[str, str]:
    """A binding's external_ids: those of the northbound port, with its friendly name."""
    name = external_ids.get("neutron:port_name")
    return StrMap({**external_ids, "name": name}) if name else external_ids


def _requested(q: Reader, names: str) -> tuple[Uuid | None, tuple[Uuid, ...]]:
    """options:requested-chassis: the main chassis, and those that may have the port besides."""
    main, *others = [name.strip() for name in names.split(",")]
    found = [chassis_called(q, name) for name in others]
    return chassis_called(q, main), tuple(sorted({one for one in found if one is not None}))


@query
def activated_on(q: Reader, name: str, others: tuple[Uuid, ...]) -> str:
    """The additional chassis on which a port is active, as these have said: names, separated by commas.

    It is kept for as long as the port may be there; so a port that comes back to a chassis has to be activated again.
    """
    said = ",".join(row.options.get(ACTIVATED, "") for row in q.find_rows(BOUND, name))
    names = {q.row(sb.Chassis, one).name for one in others} if said else set()
    return ",".join(sorted(names.intersection(said.split(","))))


def reported_up(q: Reader, name: str) -> bool:
    """Port_Binding.up as it is now. It starts as false, which tells hosts that they are to report it."""
    bindings = q.find_rows(BOUND, name)
    return bool(bindings and bindings[0].up)


def is_up(q: Reader, name: str) -> bool:
    """Whether a host has the port, and says that it is wired."""
    return any(binding.chassis is not None and binding.up is not False for binding in q.find_rows(BOUND, name))


@rule(over=PORTS, writes=(STATES,))
def port_state(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Logical_Switch_Port.up, and what was given out. A port to a router is up at all times."""
    name = q.row(PORTS, key).name
    up = q.row(PORTS, key).type == ROUTER or is_up(q, name)
    yield STATES(key, nb.LogicalSwitchPort(up=up, tag=tag_of(q, key), dynamic_addresses=q.get(DYNAMIC, key)))


def _key(row: sb.PortBinding, names: Names) -> Hashable:
    return row.logical_port


TARGET = Target(
    PORT_BINDINGS,
    sb.PortBinding,
    _key,
    (
        "logical_port",
        "type",
        "options",
        "datapath",
        "tunnel_key",
        "parent_port",
        "tag",
        "mac",
        "port_security",
        "external_ids",
        "up",
        "requested_chassis",
        "requested_additional_chassis",
        # Of use for what is not compiled; another northd may have left something here.
        "gateway_chassis",
        "ha_chassis_group",
        "mirror_rules",
        "nat_addresses",
    ),
)
