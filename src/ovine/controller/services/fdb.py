"""MAC addresses learned behind ports that any address may be behind: the tables of what is known, and learning.

Source: ovn-sb(5), get_fdb, put_fdb, lookup_fdb, table FDB. Tests: tests/unit/controller/services/test_learning.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller import tables as t
from ovine.controller.environment import GROUP_BY_NAME
from ovine.controller.flows import FLOWS, flow
from ovine.controller.local import LOCAL_DATAPATHS
from ovine.controller.physical import may_be_reached, may_enter
from ovine.controller.services import Opcode, Service, Userdata, World
from ovine.controller.services.frames import Malformed, ethernet
from ovine.engine import Emit, Index, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Entry, PacketIn, SetField

LOCAL_KEYS = Index(LOCAL_DATAPATHS, lambda key: (key,), "local datapaths by key")
_UNKNOWN: Final = "_MC_unknown"
"""The multicast group of those ports (ovn-northd(8))."""
PORT_BY_KEY = Index(sb.PortBinding, lambda port: ((port.datapath, port.tunnel_key),), "Port_Binding by key")


@rule(over=sb.FDB, writes=(FLOWS,))
def fdb_flows(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """What one row says, to both tables that are asked; the second one only for ports by which packets come in here."""
    row = q.row(sb.FDB, uuid)
    local: tuple[Uuid, ...] = q.find(LOCAL_KEYS, row.dp_key)
    if not local:
        return
    mac, datapath = mac_number(row.mac), (t.DATAPATH, row.dp_key, None)
    hit = SetField(t.FLAGS, 1 << t.LOOKUP_FDB_HIT, 1 << t.LOOKUP_FDB_HIT)
    port: Entry = (t.INPORT, row.port_key, None)
    ports: tuple[Uuid, ...] = q.find(PORT_BY_KEY, (local[0], row.port_key))
    if not ports or _matters(q, local[0], ports[0]):
        yield flow(t.GET_FDB, 100, (datapath, ("eth_dst", mac, None)), (SetField(t.OUTPORT, row.port_key),), uuid)
    if any(may_enter(q, found) for found in ports):
        yield flow(t.LOOKUP_FDB, 100, (datapath, port, ("eth_src", mac, None)), (hit,), uuid)


def _matters(q: Reader, datapath: Uuid, port: Uuid) -> bool:
    """Whether it makes a difference that a port's address is known.

    What is for an instance that is nowhere goes nowhere, unless there are ports that take what nobody is known to have.
    """
    return may_be_reached(q, port) or bool(q.find(GROUP_BY_NAME, (datapath, _UNKNOWN)))


def mac_number(text: str) -> int:
    """A MAC address as an integer; ValueError if it is none."""
    parts = text.split(":")
    if len(parts) != 6:
        raise ValueError(f"{text!r} is no MAC address")
    return int.from_bytes(bytes(int(part, 16) for part in parts))


def learn(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[sb.FDB]:
    """`put_fdb`: the source of the packet is behind its inport. The database of OVN 23.03 does not keep when."""
    del userdata
    datapath, port = packet.field(t.DATAPATH), packet.field(t.INPORT)
    try:
        source = ethernet(packet.packet).src
    except Malformed:
        return
    if datapath and port and not source[0] & 1:
        dated = ("FDB", "timestamp") not in world.southbound.missing_columns
        when = int(world.now() * 1000) if dated else 0
        yield sb.FDB(mac=source.hex(":"), dp_key=datapath, port_key=port, timestamp=when)


SERVICE: Final = Service(Opcode.PUT_FDB, learn)
RULES: Final = (fdb_flows,)
