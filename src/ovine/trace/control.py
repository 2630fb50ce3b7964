"""Actions that say where a packet goes. Source: ovn-sb(5). Tests: tests/unit/trace/test_trace_cases.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ovine.language import actions as act
from ovine.language import format_action, quote, whole
from ovine.trace.machine import Done, Handler, Machine, Place, State, fork, target
from ovine.trace.tree import NO_REASON, Dropped, Effect, Fork, Node, Stopped


def output(machine: Machine, place: Place, state: State, action: act.Output) -> Done:
    """The packet goes on as a copy, so that what follows finds it as it was."""
    return Done((Effect("output"), _way(machine, place, state)), state)


def _way(machine: Machine, place: Place, state: State) -> Node:
    """Where a packet that is output goes; if nowhere, port security's reason is not forgotten."""
    node = (machine.out_of_ingress if place.pipeline == "ingress" else machine.out_of_egress)(place, state)
    if isinstance(node, Dropped) and state.refused:
        return replace(node, reason=f"{node.reason} ({state.refused})")
    return node


def drop(machine: Machine, place: Place, state: State, action: act.Drop) -> Done:
    return Done((Effect("drop"), Dropped(state.refused or NO_REASON)), None)


def next_(machine: Machine, place: Place, state: State, action: act.Next) -> Done:
    """`next` that is not the last action."""
    return Done((Effect("next"), Fork("next", machine.pipeline(target(place, action), state))), state)


def clone(machine: Machine, place: Place, state: State, action: act.Clone) -> Done:
    return Done((Fork("clone", machine.block(place, state, action.actions)),), state)


def select(machine: Machine, place: Place, state: State, action: act.Select) -> Done:
    """One of several is chosen by a hash; here it is the first."""
    note = f"the first of {len(action.members)}"
    done = machine.assign(place, state, action, {action.dst: action.members[0].value}, note)
    assert done.state is not None
    return Done((*done.nodes, fork(machine, place, done.state, "select")), None)


def forward_to_group(machine: Machine, place: Place, state: State, action: act.FwdGroup) -> Done:
    """One child port is chosen by a hash; here it is the first that exists."""
    env = machine.world.environment(place.datapath)
    for port in action.ports:
        key = env.port_key(port)
        if key is not None:
            chosen = replace(state, packet=state.packet.with_value(whole("outport"), key))
            note = f"chooses {quote(port)}, the first of {len(action.ports)}"
            return Done((Effect(format_action(action), (), note), _way(machine, place, chosen)), state)
    return Done((Effect(format_action(action)), Stopped("none of the child ports is in this datapath")), None)


HANDLERS: Final[Mapping[type, Handler]] = {
    act.Output: output,
    act.Drop: drop,
    act.Next: next_,
    act.Clone: clone,
    act.Select: select,
    act.FwdGroup: forward_to_group,
}
