"""Which networks need a responder on this host, and which instance is behind an address.

Source of the rows: a metadata port is a `localport` whose `neutron:device_id` is "ovnmeta-" and the network's id; the
ports of instances carry the instance in `neutron:device_id`. Tests: tests/unit/metadata/test_metadata_rules.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from ovine.engine import Emit, Engine, Index, Reader, Relation, query, rule
from ovine.model import sb
from ovine.model.base import Uuid

DEVICE = "ovnmeta-"


@dataclass(frozen=True)
class Self:
    """Who this host is: the name of its chassis."""

    chassis: str


@dataclass(frozen=True)
class Responder:
    """A network's metadata service on this host."""

    port: str
    """The logical port: its name is the interface's `iface-id`."""
    network: str
    datapath: Uuid
    mac: str
    addresses: tuple[str, ...]
    """Each as "ADDRESS/LENGTH"."""

    @property
    def device(self) -> str:
        """The interface's name; Linux takes 15 characters."""
        return f"meta-{self.network.replace('-', '')[:10]}"


@dataclass(frozen=True)
class Guest:
    """Whom Nova knows behind a port: the instance's id, and the project's."""

    instance: str
    project: str


RESPONDERS: Relation[str, Responder] = Relation("metadata responder")
"""By logical port."""
GUESTS: Relation[tuple[Uuid, str], Guest] = Relation("instance by address")
"""By datapath and IP address."""


def _device(row: sb.PortBinding) -> str:
    return row.external_ids.get("neutron:device_id", "")


CHASSIS_BY_NAME = Index(sb.Chassis, lambda row: (row.name,), "Chassis by name")
METADATA_PORTS = Index(
    sb.PortBinding,
    lambda row: (row.uuid,) if row.type == "localport" and _device(row).startswith(DEVICE) else (),
    "metadata ports",
)
BOUND = Index(
    sb.PortBinding,
    lambda row: ((row.chassis, row.datapath),) if row.chassis is not None and not row.type else (),
    "instances' ports by chassis and datapath",
)


@query
def own_chassis(q: Reader) -> Uuid | None:
    """Our row in the Chassis table."""
    me = q.value(Self, ())
    found = q.find(CHASSIS_BY_NAME, me.chassis) if isinstance(me, Self) else ()
    return Uuid(found[0]) if found else None


@query
def lives_here(q: Reader, datapath: Uuid) -> bool:
    """Whether an instance of the network is on this host."""
    own = own_chassis(q)
    return own is not None and bool(q.find(BOUND, (own, datapath)))


@rule(over=METADATA_PORTS, writes=(RESPONDERS,))
def responder(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """A metadata port gets a responder where its network has an instance."""
    port = q.row(sb.PortBinding, uuid)
    if not lives_here(q, port.datapath):
        return
    network = port.external_ids["neutron:device_id"].removeprefix(DEVICE)
    mac = _words(port.mac)[:1]
    if not mac:
        raise ValueError(f"metadata port {port.logical_port} has no MAC address")
    addresses = tuple(port.external_ids.get("neutron:cidrs", "").split())
    yield RESPONDERS(port.logical_port, Responder(port.logical_port, network, port.datapath, mac[0], addresses))


@rule(over=sb.PortBinding, writes=(GUESTS,))
def guest(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The instance behind each address of a port that is bound here, its link-local one included."""
    port = q.row(sb.PortBinding, uuid)
    instance = port.external_ids.get("neutron:device_id", "")
    if port.type or not instance or port.chassis is None or port.chassis != own_chassis(q):
        return
    found = Guest(instance, port.external_ids.get("neutron:project_id", ""))
    for entry in port.mac:
        mac, *addresses = entry.split()
        if mac.count(":") == 5:
            for address in (*addresses, link_local(mac)):
                yield GUESTS((port.datapath, address), found)


def _words(mac: tuple[str, ...]) -> list[str]:
    return mac[0].split() if mac else []


def link_local(mac: str) -> str:
    """The address that an interface gives itself: fe80::/64 with the modified EUI-64 of its MAC (RFC 4291, 2.5.1)."""
    octets = [int(part, 16) for part in mac.split(":")]
    identifier = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + identifier))


RULES = (responder, guest)
WATCHED = (RESPONDERS, GUESTS)


def new_engine(chassis: str) -> Engine:
    """An engine for one host, with no other input as yet."""
    engine = Engine(RULES, WATCHED)
    engine.feed(Self, (), Self(chassis))
    return engine
