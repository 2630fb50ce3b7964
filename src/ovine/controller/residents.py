"""Ports that are bound to this chassis without an interface: those of gateways, and virtual ones.

| type | here if |
|---|---|
| l3gateway, l2gateway | `options:l3gateway-chassis` or `options:l2gateway-chassis` names this chassis |
| chassisredirect, external | this chassis is the active one of the port's group (`ovine.controller.ha`) |
| virtual | the port that has the address at present, `virtual_parent`, is claimed here |

Tests: tests/unit/controller/test_controller_residents.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller.config import config
from ovine.controller.ha import PORTS_OF_GROUP, is_active
from ovine.controller.local import CLAIMS, Claim, interface_claim, port_named
from ovine.engine import Emit, Index, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid

CHASSIS_OPTIONS: Final = {"l3gateway": "l3gateway-chassis", "l2gateway": "l2gateway-chassis"}


def _assigned(port: sb.PortBinding) -> tuple[str, ...]:
    option = CHASSIS_OPTIONS.get(port.type)
    name = port.options.get(option, "") if option is not None else ""
    return (name,) if name else ()


PORTS_ASSIGNED: Final = Index(sb.PortBinding, _assigned, "gateway ports by name of their chassis")
VIRTUAL_OF_PARENT: Final = Index(
    sb.PortBinding,
    lambda port: (port.virtual_parent,) if port.type == "virtual" and port.virtual_parent else (),
    "virtual ports by parent",
)


@rule(over=PORTS_ASSIGNED, writes=(CLAIMS,))
def assigned_ports(q: Reader, name: str) -> Iterator[Emit]:
    """Ports of gateway routers and layer 2 gateways that are assigned to this chassis."""
    settings = config(q)
    if settings is not None and settings.chassis == name:
        for uuid in q.find(PORTS_ASSIGNED, name):
            yield CLAIMS(uuid, Claim(q.row(sb.PortBinding, uuid).logical_port))


@rule(over=PORTS_OF_GROUP, writes=(CLAIMS,))
def active_ports(q: Reader, group: Uuid) -> Iterator[Emit]:
    """Ports of the groups whose active chassis this is."""
    if is_active(q, group):
        for uuid in q.find(PORTS_OF_GROUP, group):
            yield CLAIMS(uuid, Claim(q.row(sb.PortBinding, uuid).logical_port))


@rule(over=VIRTUAL_OF_PARENT, writes=(CLAIMS,))
def virtual_ports(q: Reader, parent: str) -> Iterator[Emit]:
    """Virtual ports whose address is at a port of this host."""
    port = port_named(q, parent)
    held = interface_claim(q, port) if port is not None else None
    if held is not None and not held.additional:
        for uuid in q.find(VIRTUAL_OF_PARENT, parent):
            yield CLAIMS(uuid, Claim(q.row(sb.PortBinding, uuid).logical_port))


RULES = (assigned_ports, active_ports, virtual_ports)
