"""What names in logical flows mean on this host, answered through a Reader so that each answer is a recorded read.

A flow that mentions a port, address set or port group is compiled again when that very thing changes, and on no other
change.

Tests: tests/cases/controller/logical.txt.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ovine.controller.config import config
from ovine.controller.ha import HA_TYPES
from ovine.controller.local import CLAIMS, PORT_BY_NAME, chassis
from ovine.engine import Index, Reader, query
from ovine.model import sb
from ovine.model.base import Uuid

GROUP_BY_NAME: Final = Index(
    sb.MulticastGroup, lambda group: ((group.datapath, group.name),), "Multicast_Group by name"
)
ADDRESS_SET_BY_NAME: Final = Index(sb.AddressSet, lambda row: (row.name,), "Address_Set by name")
PORT_GROUP_BY_NAME: Final = Index(sb.PortGroup, lambda row: (row.name,), "Port_Group by name")
TEMPLATES: Final = Index(sb.ChassisTemplateVar, lambda row: (row.chassis,), "Chassis_Template_Var by chassis")

NO_PORT: Final = "none"
"""`outport == "none"`: no port was found. Its key is 0, which no port has."""


@query
def datapath_key(q: Reader, datapath: Uuid) -> int:
    """A datapath's tunnel key; 0 if there is no such datapath."""
    row = q.get(sb.DatapathBinding, datapath)
    return row.tunnel_key if row is not None else 0


@query
def is_switch(q: Reader, datapath: Uuid) -> bool:
    """Whether a datapath is a logical switch rather than a router."""
    row = q.get(sb.DatapathBinding, datapath)
    return row is not None and "logical-router" not in row.external_ids


@query
def port_key(q: Reader, datapath: Uuid, name: str) -> int | None:
    """The key of a port or multicast group of the datapath; None if it has none of that name."""
    for uuid in q.find(PORT_BY_NAME, name):
        port = q.row(sb.PortBinding, uuid)
        if port.datapath == datapath:
            return port.tunnel_key
    for uuid in q.find(GROUP_BY_NAME, (datapath, name)):
        return q.row(sb.MulticastGroup, uuid).tunnel_key
    return 0 if name == NO_PORT else None


@query
def address_set(q: Reader, name: str) -> tuple[str, ...] | None:
    """The addresses of a set; None if there is no such set."""
    for uuid in q.find(ADDRESS_SET_BY_NAME, name):
        return q.row(sb.AddressSet, uuid).addresses
    return None


@query
def port_group(q: Reader, name: str) -> tuple[str, ...] | None:
    """The members of a Port_Group row; None if there is no such row."""
    for uuid in q.find(PORT_GROUP_BY_NAME, name):
        return q.row(sb.PortGroup, uuid).ports
    return None


@query
def is_resident(q: Reader, name: str) -> bool:
    """Whether a port is bound to this chassis. What an active gateway serves ends with its claim."""
    for uuid in q.find(PORT_BY_NAME, name):
        if q.get(CLAIMS, uuid) is not None:
            return True
        row = q.row(sb.PortBinding, uuid)
        return row.type not in HA_TYPES and row.chassis is not None and row.chassis == chassis(q)
    return False


@query
def template(q: Reader, name: str) -> str | None:
    """The text of a template variable on this chassis."""
    settings = config(q)
    for uuid in q.find(TEMPLATES, settings.chassis) if settings is not None else ():
        return q.row(sb.ChassisTemplateVar, uuid).variables.get(name)
    return None


class HostEnvironment:
    """`ovine.language.Environment` for flows of one datapath."""

    def __init__(self, q: Reader, datapath: Uuid) -> None:
        self._q = q
        self._datapath = datapath

    def address_set(self, name: str) -> Collection[str] | None:
        """See Environment."""
        return address_set(self._q, name)

    def port_group(self, name: str) -> Collection[str] | None:
        """See Environment. northd cuts port groups by datapath: the row for ours is named KEY_NAME."""
        own = port_group(self._q, f"{datapath_key(self._q, self._datapath)}_{name}")
        return own if own is not None else port_group(self._q, name)

    def port_key(self, port: str) -> int | None:
        """See Environment."""
        return port_key(self._q, self._datapath, port)

    def is_chassis_resident(self, port: str) -> bool:
        """See Environment."""
        return is_resident(self._q, port)

    def template(self, name: str) -> str | None:
        """See Environment."""
        return template(self._q, name)
