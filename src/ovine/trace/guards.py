"""Actions that check, count and watch. Source: ovn-sb(5). Tests: tests/unit/trace/test_trace_cases.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ovine.language import actions as act
from ovine.language import format_action
from ovine.model import sb
from ovine.trace.machine import Done, Handler, Machine, Place, State
from ovine.trace.port_security import refusal_in, refusal_out
from ovine.trace.tree import Effect

_CheckPort = act.CheckInPortSec | act.CheckOutPortSec


def check_port_security(machine: Machine, place: Place, state: State, action: _CheckPort) -> Done:
    coming = isinstance(action, act.CheckInPortSec)
    key = state.packet.get("inport" if coming else "outport")
    port = machine.world.keys.get((place.datapath, key))
    elements = port.port_security if isinstance(port, sb.PortBinding) else ()
    why = (refusal_in if coming else refusal_out)(elements, state.packet)
    note = f"port security refuses it: {why}" if why else ("" if elements else "the port has no port security")
    return machine.assign(
        place, replace(state, refused=note if why else ""), action, {action.dst: int(bool(why))}, note
    )


def check_length(machine: Machine, place: Place, state: State, action: act.CheckPktLarger) -> Done:
    return machine.assign(place, state, action, {action.dst: 0}, "taken as short enough")


def no_route_known(machine: Machine, place: Place, state: State, action: act.ChkEcmpNh | act.ChkEcmpNhMac) -> Done:
    return machine.assign(place, state, action, {action.dst: 0}, "taken as no")


def noted(machine: Machine, place: Place, state: State, action: act.Action) -> Done:
    """Nothing that has to do with where the packet goes."""
    return Done((Effect(format_action(action)),), state)


HANDLERS: Final[Mapping[type, Handler]] = {
    act.CheckInPortSec: check_port_security,
    act.CheckOutPortSec: check_port_security,
    act.CheckPktLarger: check_length,
    act.ChkEcmpNh: no_route_known,
    act.ChkEcmpNhMac: no_route_known,
    act.CommitEcmpNh: noted,
    act.Log: noted,
    act.Sample: noted,
    act.Mirror: noted,
    act.SetQueue: noted,
    act.SetMeter: noted,
}
