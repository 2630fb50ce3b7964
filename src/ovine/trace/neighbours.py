"""Who has which address: MAC_Binding and FDB, as the southbound has them now. Nothing is written.

Source: ovn-sb(5). Tests: tests/unit/trace/test_trace_cases.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ovine.language import Subfield, format_action, whole
from ovine.language import actions as act
from ovine.language.values import parse_address
from ovine.trace.machine import Done, Handler, Machine, Place, State
from ovine.trace.tree import Effect


def _known(machine: Machine, place: Place, state: State, port: Subfield, ip: Subfield) -> tuple[int | None, str]:
    """The Ethernet address of an IP address behind a port, and the question in words."""
    name = machine.world.port_name(place.datapath, state.packet.get(port))
    number = state.packet.get(ip)
    address = str(ipaddress.IPv4Address(number) if ip.width == 32 else ipaddress.IPv6Address(number))
    found = parse_address(machine.world.bindings.get((name, address), ""))
    return (found[0] if found is not None else None), f'{address} behind "{name}"'


def get_neighbour(machine: Machine, place: Place, state: State, action: act.GetArp | act.GetNd) -> Done:
    mac, question = _known(machine, place, state, action.port, action.ip)
    note = f"nobody is known to have {question}" if mac is None else f"known: who has {question}"
    done = machine.assign(place, state, action, {whole("eth.dst"): mac or 0}, note)
    return _of_port(machine, place, done, machine.world.fdb.get(_fdb_key(machine, place, mac or 0), 0))


def look_up(machine: Machine, place: Place, state: State, action: act.LookupArp | act.LookupNd) -> Done:
    mac, _ = _known(machine, place, state, action.port, action.ip)
    return machine.assign(place, state, action, {action.dst: int(mac == state.packet.get(action.mac))})


def look_up_ip(machine: Machine, place: Place, state: State, action: act.LookupArpIp | act.LookupNdIp) -> Done:
    mac, _ = _known(machine, place, state, action.port, action.ip)
    return machine.assign(place, state, action, {action.dst: int(mac is not None)})


def learn(machine: Machine, place: Place, state: State, action: act.Action) -> Done:
    return Done((Effect(format_action(action), (), "would be learned"),), state)


def _fdb(machine: Machine, place: Place, state: State, mac: Subfield) -> int:
    return machine.world.fdb.get(_fdb_key(machine, place, state.packet.get(mac)), 0)


def _fdb_key(machine: Machine, place: Place, mac: int) -> tuple[int, str]:
    return machine.world.datapaths[place.datapath].tunnel_key, mac.to_bytes(6).hex(":")


def _of_port(machine: Machine, place: Place, done: Done, key: int) -> Done:
    """Says whose address was found."""
    port = machine.world.port_name(place.datapath, key)
    return replace(done, nodes=tuple(replace(n, port=port) if isinstance(n, Effect) else n for n in done.nodes))


def get_fdb(machine: Machine, place: Place, state: State, action: act.GetFdb) -> Done:
    key = _fdb(machine, place, state, action.mac)
    note = "known" if key else "no port is known to have it"
    return _of_port(machine, place, machine.assign(place, state, action, {action.dst: key}, note), key)


def look_up_fdb(machine: Machine, place: Place, state: State, action: act.LookupFdb) -> Done:
    key = _fdb(machine, place, state, action.mac)
    known = key != 0 and key == state.packet.get(action.port)
    return machine.assign(place, state, action, {action.dst: int(known)})


HANDLERS: Final[Mapping[type, Handler]] = {
    act.GetArp: get_neighbour,
    act.GetNd: get_neighbour,
    act.LookupArp: look_up,
    act.LookupNd: look_up,
    act.LookupArpIp: look_up_ip,
    act.LookupNdIp: look_up_ip,
    act.PutArp: learn,
    act.PutNd: learn,
    act.PutFdb: learn,
    act.MacCacheUse: learn,
    act.GetFdb: get_fdb,
    act.LookupFdb: look_up_fdb,
}
