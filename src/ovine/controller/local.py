"""What is on this host: interfaces of the integration bridge, and the ports that they bind here.

Terms. An *interface* belongs to the integration bridge and names a logical port by `external_ids:iface-id`. A port is
*claimed* if it is this host's to serve: an interface names it, and it is not reserved for another chassis. Ports that
are bound without an interface are claimed by `ovine.controller.residents`. A datapath is *local* if a port of it is
claimed, or if it can be reached from such a one (`ovine.controller.reach`); only local datapaths have flows here.

A *nested* port is inside another one, its parent: the instance tags its packets. It is claimed with its parent.

`options:requested-chassis` may name several chassis. The first is the port's *main* one, and writes `chassis`; the
others are *additional*, and enter themselves into `additional_chassis`. All of them claim the port, and get a copy of
what is sent to it: so a machine that migrates has its packets on both hosts, whenever it starts on the second one.
With `options:activation-strategy` an additional chassis keeps the port blocked until a packet says that the machine
runs there (`ovine.controller.services.activation`).

A port that another chassis took over while our interface still exists is *yielded*: it is ours again only after it
has been released there or plugged again here, so that two hosts with the same interface do not take it from each
other for ever.

Tests: tests/unit/controller/test_controller_local.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ovine.controller.config import config
from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import sb, vs
from ovine.model.base import Uuid

# --- indexes ----------------------------------------------------------------------------------------------------------

BRIDGE_BY_NAME = Index(vs.Bridge, lambda bridge: (bridge.name,), "Bridge by name")
BRIDGE_OF_PORT = Index(vs.Bridge, lambda bridge: bridge.ports, "Bridge by port")
PORT_OF_INTERFACE = Index(vs.Port, lambda port: port.interfaces, "Port by interface")
INTERFACE_BY_NAME = Index(vs.Interface, lambda interface: (interface.name,), "Interface by name")


def _iface_id(interface: vs.Interface) -> Iterable[str]:
    name = interface.external_ids.get("iface-id")
    return (name,) if name else ()


INTERFACE_BY_ID = Index(vs.Interface, _iface_id, "Interface by iface-id")
PORT_BY_NAME = Index(sb.PortBinding, lambda port: (port.logical_port,), "Port_Binding by name")
CHASSIS_BY_NAME = Index(sb.Chassis, lambda chassis: (chassis.name,), "Chassis by name")
LOCALNETS_OF_DATAPATH = Index(
    sb.PortBinding, lambda port: (port.datapath,) if port.type == "localnet" else (), "localnet ports by datapath"
)
PATCH_TYPES = frozenset({"patch", "l3gateway"})
"""Port types that are one end of a link between two datapaths: everywhere, or on the chassis of a gateway router."""
PATCHES_OF_DATAPATH = Index(
    sb.PortBinding, lambda port: (port.datapath,) if port.type == "patch" else (), "patch ports by datapath"
)
NESTED_IN = Index(
    sb.PortBinding, lambda port: (port.parent_port,) if port.parent_port else (), "nested ports by parent"
)
SHARED_PORTS_OF_DATAPATH = Index(
    sb.PortBinding,
    lambda port: (port.datapath,) if port.type in ("localnet", "localport") else (),
    "ports that every host has, by datapath",
)

CLAIMED_TYPES = frozenset({""})
"""Port types that are bound to one chassis by an interface."""


class UnsupportedPort(ValueError):
    """A port of a kind that this controller does not serve."""


@dataclass(frozen=True)
class Yielded:
    """The interface of a port that another chassis took over."""

    interface: Uuid


class Plugged(NamedTuple):
    """An interface of the integration bridge with an OpenFlow port."""

    interface: Uuid
    ofport: int


class Claim(NamedTuple):
    """A port that is bound here, by name. Gateways' ports have no interface.

    `encap_ip` is the interface's wish for its tunnels. `additional` ports have their main chassis elsewhere.
    """

    logical_port: str
    interface: Uuid | None = None
    ofport: int = 0
    encap_ip: str = ""
    additional: bool = False


CLAIMS: Relation[Uuid, Claim] = Relation("claimed port")
"""By Port_Binding."""
LOCAL_DATAPATHS: Relation[Uuid, int] = Relation("local datapath")
"""By Datapath_Binding: its tunnel key."""
CLAIMED_IN: Relation[Uuid, Uuid] = Relation("datapath of a claimed port")
AWAITED: Relation[Uuid, Uuid] = Relation("datapath of a port that is expected here")
"""By Port_Binding: it has an interface here, and is reserved for another chassis. So it is before a machine moves."""
AWAITED_OF_DATAPATH: Index[Uuid] = Index(AWAITED, lambda datapath: (datapath,), "expected ports by datapath")
CLAIMED_OF_DATAPATH: Index[Uuid] = Index(CLAIMED_IN, lambda datapath: (datapath,), "claimed ports by datapath")


@query
def bridge(q: Reader) -> Uuid | None:
    """The integration bridge, if it is there."""
    settings = config(q)
    found = q.find(BRIDGE_BY_NAME, settings.bridge) if settings is not None else ()
    return Uuid(found[0]) if found else None


@query
def ofport(q: Reader, interface: Uuid) -> int | None:
    """The OpenFlow port of an interface of the integration bridge; None if it has none."""
    row = q.get(vs.Interface, interface)
    if row is None or row.ofport is None or row.ofport <= 0:
        return None
    integration = bridge(q)
    for port in q.find(PORT_OF_INTERFACE, interface):
        if integration in q.find(BRIDGE_OF_PORT, port):
            return row.ofport
    return None


@query
def plugged(q: Reader, logical_port: str) -> Plugged | None:
    """The interface of the integration bridge that names this logical port."""
    for interface in q.find(INTERFACE_BY_ID, logical_port):
        number = ofport(q, interface)
        if number is not None:
            return Plugged(interface, number)
    return None


@query
def port_named(q: Reader, name: str) -> Uuid | None:
    """The Port_Binding of this name, if this host has been told of it."""
    found = q.find(PORT_BY_NAME, name)
    return Uuid(found[0]) if found else None


@query
def chassis(q: Reader) -> Uuid | None:
    """Our row in the Chassis table."""
    settings = config(q)
    found = q.find(CHASSIS_BY_NAME, settings.chassis) if settings is not None else ()
    return Uuid(found[0]) if found else None


def requested(port: Any) -> tuple[str, ...]:
    """The chassis that a port is reserved for, by name or host name, the main one first; none if it is not reserved."""
    names = (name.strip() for name in port.options.get("requested-chassis", "").split(","))
    return tuple(name for name in names if name)


def _role(q: Reader, port: Any) -> str:
    """What this chassis may be to a port: its "main" chassis, an "additional" one, or nothing ("")."""
    wanted, settings, own = requested(port), config(q), chassis(q)
    if settings is None:
        return ""
    ours = (settings.chassis, settings.hostname)
    if not wanted or wanted[0] in ours or (own is not None and port.requested_chassis == own):
        return "main"
    return "additional" if set(wanted[1:]) & set(ours) or own in port.requested_additional_chassis else ""


@query
def interface_claim(q: Reader, uuid: Uuid) -> Claim | None:
    """The claim of a port with an interface here, its own or its parent's, if it is ours to serve."""
    port = q.row(sb.PortBinding, uuid)
    if port.type not in CLAIMED_TYPES:
        return None
    if port.parent_port:
        return _nested_claim(q, port)
    found = plugged(q, port.logical_port)
    role = _role(q, port) if found is not None else ""
    if found is None or not role:
        return None
    interface = q.row(vs.Interface, found.interface)
    if port.options.get("iface-id-ver", "") not in ("", interface.external_ids.get("iface-id-ver")):
        return None
    if not requested(port):
        yielded = q.value(Yielded, port.logical_port)
        if isinstance(yielded, Yielded) and yielded.interface == found.interface:
            return None
    encap = interface.external_ids.get("encap-ip", "")
    return Claim(port.logical_port, found.interface, found.ofport, encap, role == "additional")


def _nested_claim(q: Reader, port: Any) -> Claim | None:
    """A nested port is where its parent is; where it is main, unless it says itself which chassis it is for."""
    parent = port_named(q, port.parent_port)
    if parent is None or not port.tag or q.row(sb.PortBinding, parent).parent_port:
        return None
    held, role = interface_claim(q, parent), _role(q, port)
    if held is None or not role or (held.additional and not requested(port)):
        return None
    return held._replace(logical_port=port.logical_port, additional=role == "additional")


@rule(over=sb.PortBinding, writes=(CLAIMS, AWAITED))
def claim(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """Ports with an interface here: those that are ours to serve, and those that may become so."""
    found = interface_claim(q, uuid)
    if found is not None:
        yield CLAIMS(uuid, found)
        return
    port = q.row(sb.PortBinding, uuid)
    if port.type in CLAIMED_TYPES and requested(port) and plugged(q, port.logical_port) is not None:
        yield AWAITED(uuid, port.datapath)


@rule(over=CLAIMS, writes=(CLAIMED_IN,))
def claimed_in(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The datapaths of claimed ports."""
    port = q.get(sb.PortBinding, uuid)
    if port is not None:
        yield CLAIMED_IN(uuid, port.datapath)


@query
def localnet(q: Reader, datapath: Uuid) -> Uuid | None:
    """The localnet port by which a datapath leaves this host: the first whose network is mapped to a bridge."""
    settings = config(q)
    if settings is None:
        return None
    for uuid in q.find(LOCALNETS_OF_DATAPATH, datapath):
        port = q.row(sb.PortBinding, uuid)
        if port.options.get("network_name", "") in settings.bridges:
            return Uuid(uuid)
    return None


RULES = (claim, claimed_in)
