"""What the plugin's rules read, and the ways to find it."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from ovine.engine import Index, Reader, query
from ovine.model import cloud, nb
from ovine.model.base import Uuid
from ovine.plugin.settings import Settings

DISTRIBUTED = "network:distributed"
"""The device_owner of a network's metadata port, which exists on every host."""

METADATA_PORTS: Index[cloud.Port] = Index(
    cloud.Port, lambda port: (port.network,) if port.device_owner == DISTRIBUTED else ()
)
BINDINGS_OF_PORT: Index[cloud.PortBinding] = Index(cloud.PortBinding, lambda row: (row.port,), "inactive bindings")
SUBPORTS_OF_PORT: Index[cloud.SubPort] = Index(cloud.SubPort, lambda sub: (sub.port,), "subports by port")


def _single_pairs(port: cloud.Port) -> tuple[tuple[Uuid, str], ...]:
    ips = (pair.partition(" ")[0] for pair in port.allowed_address_pairs)
    return tuple((port.network, ip) for ip in ips if "/" not in ip)


PAIRS: Index[cloud.Port] = Index(cloud.Port, _single_pairs, "ports by allowed address")
"""By network and address: ports that may use it besides their own. Whole ranges make no port virtual."""
SWITCH_PORTS_BY_NAME: Index[nb.LogicalSwitchPort] = Index(nb.LogicalSwitchPort, lambda port: (port.name,))


class Address(NamedTuple):
    """One fixed IP of a port."""

    subnet: Uuid
    ip: str


@query
def settings(q: Reader) -> Settings:
    """The operator's settings."""
    found = q.value(Settings, ())
    return found if found is not None else Settings()


@query
def addresses(q: Reader, port: Uuid) -> tuple[Address, ...]:
    """A port's fixed IPs, in the API's order."""
    row = q.get(cloud.Port, port)
    if row is None:
        return ()
    found = [ip for key in row.fixed_ips if (ip := q.value(cloud.IPAllocation, key)) is not None]
    return tuple(Address(ip.subnet, ip.ip_address) for ip in sorted(found, key=lambda ip: (ip.position, ip.ip_address)))


class Nested(NamedTuple):
    """Where a subport is: in which port, with which VLAN tag."""

    parent: Uuid
    tag: int


@query
def nested(q: Reader, port: Uuid) -> Nested | None:
    """A subport's place in a trunk; None for any other port."""
    for key in q.find(SUBPORTS_OF_PORT, port):
        sub = q.row(cloud.SubPort, key)
        trunk = q.get(cloud.Trunk, sub.trunk)
        return None if trunk is None else Nested(trunk.port, sub.segmentation_id)
    return None


class Virtual(NamedTuple):
    """An address that others may take over, and who they are."""

    ip: str
    parents: tuple[Uuid, ...]


@query
def virtual(q: Reader, port: Uuid) -> Virtual | None:
    """What makes a port virtual: one of its addresses is allowed to other ports of its network; None for others.

    A port that is on a host itself, or belongs to a network service, is none.
    """
    row = q.row(cloud.Port, port)
    if row.binding_host_id or row.device_owner.startswith("network:"):
        return None
    for address in addresses(q, port):
        parents = tuple(sorted(other for other in q.find(PAIRS, (row.network, address.ip)) if other != port))
        if parents:
            return Virtual(address.ip, parents)
    return None


@query
def metadata_address(q: Reader, subnet: Uuid) -> str | None:
    """The address of the metadata port in a subnet."""
    row = q.get(cloud.Subnet, subnet)
    if row is None:
        return None
    for port in q.find(METADATA_PORTS, row.network):
        for address in addresses(q, port):
            if address.subnet == subnet:
                return address.ip
    return None


def segment_id(network: Uuid) -> str:
    """The id of a network's one segment."""
    return str(uuid.uuid5(uuid.UUID(network), "segment"))
