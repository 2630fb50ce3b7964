"""What is sent to the switch: the difference, and nothing else."""

from __future__ import annotations

from ovine.controller.flows import Body, FlowKey, as_flow
from ovine.controller.switch import SwitchState
from ovine.openflow import Flow, GroupEntry, GroupMod, MeterEntry, MeterMod, Output, normalise

A: FlowKey = (0, 100, normalise((("in_port", 1, None),)))
B: FlowKey = (0, 100, normalise((("in_port", 2, None),)))
C: FlowKey = (8, 0, ())
OUT1, OUT2 = Body((Output(1),), 7), Body((Output(2),), 7)


def loaded(there: dict[FlowKey, Body], desired: dict[FlowKey, Body]) -> SwitchState:
    state = SwitchState()
    state.load([as_flow(key, body) for key, body in there.items()], [], [], desired)
    return state


def commands(state: SwitchState, desired: dict[FlowKey, Body]) -> dict[FlowKey, str]:
    return {key: mod.command for key, mod in state.plan(desired).items()}


def test_a_switch_that_holds_what_is_desired_is_sent_nothing() -> None:
    assert commands(loaded({A: OUT1, C: OUT2}, {A: OUT1, C: OUT2}), {A: OUT1, C: OUT2}) == {}


def test_only_what_differs_is_sent() -> None:
    desired = {A: OUT1, B: OUT2}
    assert commands(loaded({A: OUT1, B: OUT1, C: OUT2}, desired), desired) == {B: "add", C: "delete_strict"}


def test_a_flow_with_another_cookie_is_replaced() -> None:
    desired = {A: OUT1}
    assert commands(loaded({A: OUT1._replace(cookie=8)}, desired), desired) == {A: "add"}


def test_a_flow_that_would_time_out_is_replaced() -> None:
    state = SwitchState()
    state.load([Flow(*A, OUT1.actions, OUT1.cookie, idle_timeout=5)], [], [], {A: OUT1})
    assert commands(state, {A: OUT1}) == {A: "add"}


def test_a_change_stays_pending_until_it_is_acknowledged() -> None:
    state = loaded({}, {A: OUT1})
    first = state.plan({A: OUT1})
    assert commands(state, {A: OUT1}) == {A: "add"}
    state.done(first)
    assert commands(state, {A: OUT1}) == {} and state.actual == {A: OUT1} and not state.pending


def test_a_rejected_flow_is_kept_out_until_another_one_is_desired() -> None:
    state = loaded({}, {A: OUT1, B: OUT1})
    mods = state.plan({A: OUT1, B: OUT1})
    state.reject(A, mods[A], "OFPBAC_BAD_OUT_PORT")
    assert commands(state, {A: OUT1, B: OUT1}) == {B: "add"}
    assert state.rejected[A].error == "OFPBAC_BAD_OUT_PORT"
    state.note([A])
    assert commands(state, {A: OUT2, B: OUT1}) == {A: "add", B: "add"}
    assert not state.rejected


def test_what_a_rejected_flow_was_to_replace_goes() -> None:
    """The flow that is there says what is no longer desired."""
    state = loaded({A: OUT1}, {A: OUT2})
    state.reject(A, state.plan({A: OUT2})[A], "OFPBAC_BAD_OUT_PORT")
    assert commands(state, {A: OUT2}) == {A: "delete_strict"}


def test_groups_and_meters_that_a_former_controller_left_are_removed_once() -> None:
    state = SwitchState()
    state.load([], [GroupEntry(1, "all")], [MeterEntry(2)], {})
    assert state.leftovers == [GroupMod("delete", GroupEntry(1, "all")), MeterMod("delete", MeterEntry(2))]
    state.done({})
    assert state.leftovers == []
