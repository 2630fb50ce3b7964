"""What is on this host: interfaces of the integration bridge, and the ports that they bind here.

Terms. An *interface* belongs to the integration bridge and names a logical port by `external_ids:iface-id`. A port is
*claimed* if it is this host's to serve: an interface names it, and it is not reserved for another chassis. Ports that
are bound without an interface are claimed by `ovine.controller.residents`. A datapath is *local* if a port of it is
claimed, or if it can be reached from such a one (`ovine.controller.reach`); only local datapaths have flows here.

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
PORTS_OF_DATAPATH = Index(sb.PortBinding, lambda port: (port.datapath,), "Port_Binding by datapath")
CHASSIS_BY_NAME = Index(sb.Chassis, lambda chassis: (chassis.name,), "Chassis by name")
LOCALNETS_OF_DATAPATH = Index(
    sb.PortBinding, lambda port: (port.datapath,) if port.type == "localnet" else (), "localnet ports by datapath"
)
PATCH_TYPES = frozenset({"patch", "l3gateway"})
"""Port types that are one end of a link between two datapaths: everywhere, or on the chassis of a gateway router."""
PATCHES_OF_DATAPATH = Index(
    sb.PortBinding, lambda port: (port.datapath,) if port.type == "patch" else (), "patch ports by datapath"
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

    `encap_ip` is the interface's wish for its tunnels.
    """

    logical_port: str
    interface: Uuid | None = None
    ofport: int = 0
    encap_ip: str = ""


CLAIMS: Relation[Uuid, Claim] = Relation("claimed port")
"""By Port_Binding."""
LOCAL_DATAPATHS: Relation[Uuid, int] = Relation("local datapath")
"""By Datapath_Binding: its tunnel key."""
CLAIMED_IN: Relation[Uuid, Uuid] = Relation("datapath of a claimed port")
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


def _may_bind(q: Reader, port: Any) -> bool:
    """Whether the port is not reserved for somebody else: `options:requested-chassis`, by name or host name."""
    wanted = port.options.get("requested-chassis", "").split(",")[0].strip()
    settings = config(q)
    if not wanted or settings is None:
        return settings is not None
    return wanted in (settings.chassis, settings.hostname) or (
        port.requested_chassis is not None and port.requested_chassis == chassis(q)
    )


def _reserved(port: Any) -> bool:
    return bool(port.options.get("requested-chassis", "").strip())


@query
def interface_claim(q: Reader, uuid: Uuid) -> Claim | None:
    """The claim of a port with an interface here, if it is ours to serve."""
    port = q.row(sb.PortBinding, uuid)
    found = plugged(q, port.logical_port) if port.type in CLAIMED_TYPES and not port.parent_port else None
    if found is None or not _may_bind(q, port):
        return None
    if not _reserved(port):
        yielded = q.value(Yielded, port.logical_port)
        if isinstance(yielded, Yielded) and yielded.interface == found.interface:
            return None
    interface = q.row(vs.Interface, found.interface)
    return Claim(port.logical_port, found.interface, found.ofport, interface.external_ids.get("encap-ip", ""))


@rule(over=sb.PortBinding, writes=(CLAIMS,))
def claim(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """Ports with an interface here that are ours to serve."""
    parent = q.row(sb.PortBinding, uuid).parent_port
    if parent and plugged(q, parent) is not None:
        name = q.row(sb.PortBinding, uuid).logical_port
        raise UnsupportedPort(f"port {name!r}: ports inside another one ({parent!r}) are not supported")
    found = interface_claim(q, uuid)
    if found is not None:
        yield CLAIMS(uuid, found)


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
