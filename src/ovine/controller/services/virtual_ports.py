"""`bind_vport("V", P)`: who announces the address of a virtual port has it from now on.

Such an address wanders between ports, as VRRP has it. The packet that announces it came from a port of this host; that
port becomes `virtual_parent` of the virtual port, which is thereby claimed here (`ovine.controller.residents`). The
binding changes to this chassis at the same moment, so that the one that had it does not clear it as it lets go.

Sources: ovn-nb(5), Logical_Switch_Port type virtual; ovn-sb(5), bind_vport. Tests:
tests/unit/controller/services/test_virtual_ports.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller import tables as t
from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.timed import Change
from ovine.engine import Reader
from ovine.language.actions import BindVport
from ovine.model import sb
from ovine.openflow import PacketIn


def payload(q: Reader, action: BindVport) -> bytes:
    """The virtual port's name."""
    del q
    return action.virtual_port.encode()


def bind(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[Change]:
    """Says who has the address now, if the virtual port allows it."""
    replica = world.southbound
    datapath = replica.index(sb.DatapathBinding, "tunnel_key").one(packet.field(t.DATAPATH) or 0)
    virtual = replica.index(sb.PortBinding, "logical_port").one(userdata.payload.decode())
    ours = replica.index(sb.Chassis, "name").one(world.chassis)
    if (
        datapath is None
        or ours is None
        or virtual is None
        or virtual.type != "virtual"
        or virtual.datapath != datapath.uuid
    ):
        return
    ports = replica.index(sb.PortBinding, "datapath", "tunnel_key")
    parent = ports.one(datapath.uuid, packet.field(t.INPORT) or 0)
    allowed = [name.strip() for name in virtual.options.get("virtual-parents", "").split(",")]
    if parent is not None and parent.logical_port in allowed:
        yield Change(sb.PortBinding, virtual.uuid, (("virtual_parent", parent.logical_port), ("chassis", ours.uuid)))


SERVICE: Final = Service(Opcode.BIND_VPORT, bind, payload)
