"""Actions that write fields. Source: ovn-sb(5). Tests: tests/unit/trace/test_trace_cases.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ovine.language import actions as act
from ovine.language import format_action, quote, whole
from ovine.trace.machine import Done, Handler, Machine, Place, State
from ovine.trace.tree import Dropped, Effect, Stopped
from ovine.trace.values import style_of


def set_(machine: Machine, place: Place, state: State, action: act.Set) -> Done:
    if not isinstance(action.value, str):
        constant = action.value
        keep = 0 if constant.mask is None else state.packet.get(action.dst) & ~constant.mask
        return machine.assign(place, state, action, {action.dst: keep | constant.value}, style=constant.style)
    key = machine.world.environment(place.datapath).port_key(action.value) if action.value else 0
    if key is None:
        why = f"no port or group {quote(action.value)} is in this datapath"
        return Done((Effect(format_action(action)), Stopped(why)), None)
    return machine.assign(place, state, action, {action.dst: key})


def set_by_controller(machine: Machine, place: Place, state: State, action: act.SetOvnField) -> Done:
    return Done((Effect(format_action(action), (), "written by the controller"),), state)


def move(machine: Machine, place: Place, state: State, action: act.Move) -> Done:
    style = style_of(action.src)
    return machine.assign(place, state, action, {action.dst: state.packet.get(action.src)}, style=style)


def exchange(machine: Machine, place: Place, state: State, action: act.Exchange) -> Done:
    left, right = state.packet.get(action.left), state.packet.get(action.right)
    return machine.assign(place, state, action, {action.left: right, action.right: left})


def push(machine: Machine, place: Place, state: State, action: act.Push) -> Done:
    stack = (*state.stack, state.packet.get(action.field))
    return Done((Effect(format_action(action)),), replace(state, stack=stack))


def pop(machine: Machine, place: Place, state: State, action: act.Pop) -> Done:
    """What was pushed is cut to the field's width; an empty stack leaves the field as it is (ovs-actions(7))."""
    if not state.stack:
        return Done((Effect(format_action(action), (), "the stack is empty"),), state)
    value = state.stack[-1] & ((1 << action.field.width) - 1)
    return machine.assign(place, replace(state, stack=state.stack[:-1]), action, {action.field: value})


def decrement_ttl(machine: Machine, place: Place, state: State, action: act.DecTtl) -> Done:
    ttl = state.packet.get("ip.ttl")
    if ttl <= 1:
        return Done((Effect("ip.ttl--"), Dropped(f"its time to live is over: ip.ttl is {ttl}")), None)
    return machine.assign(place, state, action, {whole("ip.ttl"): ttl - 1})


HANDLERS: Final[Mapping[type, Handler]] = {
    act.Set: set_,
    act.SetOvnField: set_by_controller,
    act.Move: move,
    act.Exchange: exchange,
    act.Push: push,
    act.Pop: pop,
    act.DecTtl: decrement_ttl,
}
