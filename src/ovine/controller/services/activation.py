"""A sign of life from a port that waits for it: the port is active on this chassis from now on.

The options are written whole, with this chassis's name added: northd writes the same column, and keeps the name. If
both write at the same moment, the name may be lost; hypervisors say several times that a machine has come.

See `ovine.controller.activation`. Tests: tests/unit/controller/services/test_activation.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller import tables as t
from ovine.controller.activation import ACTIVATED, Activated
from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.timed import Change, Fact
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.openflow import PacketIn


def activate(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Change | Fact]:
    """Says in the port's binding that it is active here."""
    del userdata
    replica = world.southbound
    datapath = replica.index(sb.DatapathBinding, "tunnel_key").one(packet.field(t.DATAPATH) or 0)
    ports = replica.index(sb.PortBinding, "datapath", "tunnel_key")
    port = ports.one(datapath.uuid, packet.field(t.INPORT) or 0) if datapath is not None else None
    if port is None:
        return
    names = {name for name in port.options.get(ACTIVATED, "").split(",") if name}
    if world.chassis not in names:
        options = StrMap({**port.options, ACTIVATED: ",".join(sorted({*names, world.chassis}))})
        yield Fact(Activated, port.logical_port, Activated())
        yield Change(sb.PortBinding, port.uuid, (("options", options),))


SERVICE: Final = Service(Opcode.ACTIVATE, activate)
