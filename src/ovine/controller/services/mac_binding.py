"""MAC addresses of a router port's neighbours: the tables of what is known or configured, and learning.

A configured binding (Static_MAC_Binding) yields to a learned one unless `override_dynamic_mac` says otherwise.

Source: ovn-sb(5), get_arp, put_arp, lookup_arp, tables MAC_Binding and Static_MAC_Binding.
Tests: tests/unit/controller/services/test_learning.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from ovine.controller import tables as t
from ovine.controller.environment import port_key
from ovine.controller.flows import FLOWS, flow
from ovine.controller.local import LOCAL_DATAPATHS, PORT_BY_NAME
from ovine.controller.physical import may_enter
from ovine.controller.services import Handle, Opcode, Service, Userdata, World
from ovine.controller.services.ageing import AGEING
from ovine.controller.services.fdb import mac_number
from ovine.controller.services.frames import IPV4, IPV6, Malformed, ethernet
from ovine.engine import Emit, Reader, rule
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Action, Entry, PacketIn, Resubmit, SetField

_HIT: Final = SetField(t.FLAGS, 1 << t.LOOKUP_MAC_HIT, 1 << t.LOOKUP_MAC_HIT)
_WHERE: Final = {4: ("reg0", t.GET_MAC, t.LOOKUP_MAC), 6: ("xxreg0", t.GET_MAC6, t.LOOKUP_MAC6)}
"""Register and tables by IP version."""
_LEARNED, _FALLBACK, _OVERRIDE = 100, 50, 150


@rule(over=sb.MACBinding, writes=(FLOWS,))
def learned_bindings(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """What was learned from neighbours; what grows old is counted when it is used."""
    row = q.row(sb.MACBinding, uuid)
    ages = q.get(AGEING, row.datapath)
    if ages is None or not ages.bindings.of(row.ip):
        yield from _flows(q, uuid, row.datapath, row.logical_port, row.ip, row.mac, _LEARNED)
        return
    count = (Resubmit(table=t.NEIGHBOUR_USED),)
    yield from _flows(q, uuid, row.datapath, row.logical_port, row.ip, row.mac, _LEARNED, count)
    yield from _count(q, uuid, row)


def _count(q: Reader, uuid: Uuid, row: sb.MACBinding) -> Iterator[Emit]:
    """What is sent to a neighbour; a packet that only asks who it is, such as an ARP request of its own, is not."""
    key, port = q.get(LOCAL_DATAPATHS, row.datapath), port_key(q, row.datapath, row.logical_port)
    if key is not None and port is not None:
        address = ip_address(row.ip)
        kind: Entry = ("eth_type", IPV4 if address.version == 4 else IPV6, None)
        to: tuple[Entry, ...] = ((_WHERE[address.version][0], int(address), None), (t.OUTPORT, port, None))
        yield flow(t.NEIGHBOUR_USED, _LEARNED, ((t.DATAPATH, key, None), kind, *to), (), uuid)


@rule(over=sb.StaticMACBinding, writes=(FLOWS,))
def configured_bindings(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """What was configured."""
    row = q.row(sb.StaticMACBinding, uuid)
    priority = _OVERRIDE if row.override_dynamic_mac else _FALLBACK
    yield from _flows(q, uuid, row.datapath, row.logical_port, row.ip, row.mac, priority)


def _flows(
    q: Reader, uuid: Uuid, datapath: Uuid, name: str, ip: str, mac: str, priority: int, more: tuple[Action, ...] = ()
) -> Iterator[Emit]:
    """Who has an address, and whether that is known already; `more` is done besides by who asks for the former."""
    key, port = q.get(LOCAL_DATAPATHS, datapath), port_key(q, datapath, name)
    if key is None or port is None:
        return
    address, number = ip_address(ip), mac_number(mac)
    register, get, look_up = _WHERE[address.version]
    known: tuple[Entry, ...] = ((t.DATAPATH, key, None), (register, int(address), None))
    yield flow(get, priority, (*known, (t.OUTPORT, port, None)), (SetField("eth_dst", number), _HIT, *more), uuid)
    if any(may_enter(q, found) for found in q.find(PORT_BY_NAME, name)):
        same: tuple[Entry, ...] = (*known, (t.INPORT, port, None), ("eth_src", number, None))
        yield flow(look_up, priority, same, (_HIT,), uuid)


def _learn(version: int) -> Handle:
    def handle(packet: PacketIn, userdata: Userdata, world: World) -> Iterator[sb.MACBinding]:
        """`put_arp`, `put_nd`: the packet's source has the address in the register, behind the inport."""
        del userdata
        try:
            source = ethernet(packet.packet).src
        except Malformed:
            return
        port = _port(packet, world)
        address = _address(packet, version)
        if port is None or source[0] & 1 or address == "0.0.0.0" or address == "::":
            return
        yield sb.MACBinding(
            logical_port=port.logical_port,
            ip=address,
            mac=source.hex(":"),
            timestamp=int(world.now() * 1000),
            datapath=port.datapath,
        )

    return handle


def _port(packet: PacketIn, world: World) -> sb.PortBinding | None:
    datapath = world.southbound.index(sb.DatapathBinding, "tunnel_key").one(packet.field(t.DATAPATH) or 0)
    if datapath is None:
        return None
    ports = world.southbound.index(sb.PortBinding, "datapath", "tunnel_key")
    return ports.one(datapath.uuid, packet.field(t.INPORT) or 0)


def _address(packet: PacketIn, version: int) -> str:
    words = [(packet.field(f"reg{n}") or 0).to_bytes(4) for n in range(1 if version == 4 else 4)]
    return str(ip_address(b"".join(words)))


SERVICES: Final = (Service(Opcode.PUT_ARP, _learn(4)), Service(Opcode.PUT_ND, _learn(6)))
RULES: Final = (learned_bindings, configured_bindings)
