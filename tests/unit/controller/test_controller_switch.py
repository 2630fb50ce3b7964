"""What is sent to the switch: the difference, and nothing else."""

from __future__ import annotations

from ovine.controller.flows import Body, FlowKey, as_flow
from ovine.controller.switch import Desired, Held, SwitchState, flow_mod
from ovine.controller.tables import ECMP_NEXT_HOP
from ovine.openflow import Band, Flow, GroupEntry, GroupMod, MeterEntry, MeterMod, Output, normalise

A: FlowKey = (0, 100, normalise((("in_port", 1, None),)))
B: FlowKey = (0, 100, normalise((("in_port", 2, None),)))
C: FlowKey = (8, 0, ())
OUT1, OUT2 = Body((Output(1),), 7), Body((Output(2),), 7)


def loaded(there: dict[FlowKey, Body], desired: dict[FlowKey, Body]) -> Held[FlowKey, Body]:
    state = SwitchState()
    state.load([as_flow(key, body) for key, body in there.items()], [], [], Desired(desired))
    return state.flows


def commands(flows: Held[FlowKey, Body], desired: dict[FlowKey, Body]) -> dict[FlowKey, str]:
    return {key: "add" if body is not None else "delete_strict" for key, body in flows.plan(desired).items()}


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
    state.load([Flow(*A, OUT1.actions, OUT1.cookie, idle_timeout=5)], [], [], Desired({A: OUT1}))
    assert commands(state.flows, {A: OUT1}) == {A: "add"}


def test_a_change_stays_pending_until_it_is_acknowledged() -> None:
    state = loaded({}, {A: OUT1})
    first = state.plan({A: OUT1})
    assert commands(state, {A: OUT1}) == {A: "add"}
    state.done(first)
    assert commands(state, {A: OUT1}) == {} and state.actual == {A: OUT1} and not state.pending


def test_what_came_beside_a_refused_flow_goes_when_it_is_no_longer_desired() -> None:
    state, group = SwitchState(), GroupEntry(5, "all")
    state.load([], [], [], Desired({A: OUT1, B: OUT1}, {5: group}))
    plan = state.plan(Desired({A: OUT1, B: OUT1}, {5: group}))
    state.bundled(plan, [flow_mod(B, OUT1)])
    state.flows.reject(B, OUT1, "OFPBMC_BAD_PREREQ")
    assert state.flows.actual == {A: OUT1} and state.groups.actual == {5: group}
    state.flows.note([A])
    assert commands(state.flows, {B: OUT1}) == {A: "delete_strict"}


def test_a_rejected_flow_is_kept_out_until_another_one_is_desired() -> None:
    state = loaded({}, {A: OUT1, B: OUT1})
    state.plan({A: OUT1, B: OUT1})
    state.reject(A, OUT1, "OFPBAC_BAD_OUT_PORT")
    assert commands(state, {A: OUT1, B: OUT1}) == {B: "add"}
    assert state.rejected[A].error == "OFPBAC_BAD_OUT_PORT"
    state.note([A])
    assert commands(state, {A: OUT2, B: OUT1}) == {A: "add", B: "add"}
    assert not state.rejected


def test_what_a_rejected_flow_was_to_replace_goes() -> None:
    """The flow that is there says what is no longer desired."""
    state = loaded({A: OUT1}, {A: OUT2})
    state.plan({A: OUT2})
    state.reject(A, OUT2, "OFPBAC_BAD_OUT_PORT")
    assert commands(state, {A: OUT2}) == {A: "delete_strict"}


def test_what_flows_use_comes_before_them_and_what_they_used_goes_behind_them() -> None:
    state = SwitchState()
    group, meter = GroupEntry(3, "all"), MeterEntry(4)
    desired = Desired({A: OUT1}, {3: group}, {4: meter})
    state.load([as_flow(C, OUT2)], [GroupEntry(1, "all")], [MeterEntry(2)], desired)
    plan = state.plan(desired)
    assert state.new_meters(plan) == [MeterMod("add", meter)]
    assert state.old_meters(plan) == [MeterMod("delete", MeterEntry(2))]
    assert list(state.bundle(plan)) == [
        GroupMod("add_or_mod", group),
        flow_mod(C, None),
        flow_mod(A, OUT1),
        GroupMod("delete", GroupEntry(1, "all")),
    ]


def test_a_meter_that_somebody_else_changed_is_modified() -> None:
    state = SwitchState()
    desired = Desired({}, {}, {2: MeterEntry(2, bands=(Band(5),))})
    state.load([], [], [MeterEntry(2, bands=(Band(9),))], desired)
    assert state.new_meters(state.plan(desired)) == [MeterMod("modify", MeterEntry(2, bands=(Band(5),)))]


def test_flows_that_the_switch_made_itself_are_not_ours() -> None:
    state = SwitchState()
    learned = Flow(ECMP_NEXT_HOP, 32768, (), OUT1.actions, idle_timeout=20)
    state.load([learned], [], [], Desired({}))
    assert not any(state.plan(Desired({})))
