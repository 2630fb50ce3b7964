"""What the switch holds, what it should hold, and the difference: sans I/O.

*Desired* are the relations FLOWS, GROUPS and METERS. *Actual* is what the switch was last known to hold: read back when
a connection begins, and changed by what it has acknowledged. *Pending* are keys on which the two may differ. What the
switch refused is *rejected*: it is kept out until something else is desired under its key, and reported; the rest goes
on.

Nothing is ever cleared: a restart begins with what the switch holds and changes only what differs. Tables that the
switch fills itself (`ovine.controller.tables.LEARNED`) are left to it.

Tests: tests/unit/controller/test_controller_switch.py, tests/packets/controller/test_controller_link.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from ovine.controller.flows import Body, FlowKey, as_flow
from ovine.controller.tables import LEARNED
from ovine.openflow import Flow, FlowMod, GroupEntry, GroupMod, Message, MeterEntry, MeterMod

K = TypeVar("K", bound=Hashable)
B = TypeVar("B")


class Desired(NamedTuple):
    """What the switch should hold."""

    flows: Mapping[FlowKey, Body]
    groups: Mapping[int, GroupEntry] = {}
    meters: Mapping[int, MeterEntry] = {}


class Rejected(NamedTuple, Generic[B]):
    """What the switch does not take, and its word for why."""

    body: B
    error: str


class Held(Generic[K, B]):
    """One kind of thing that the switch holds by key."""

    def __init__(self) -> None:
        self.actual: dict[K, B] = {}
        self.pending: dict[K, None] = {}
        self.rejected: dict[K, Rejected[B]] = {}

    def load(self, actual: Mapping[K, B], desired: Mapping[K, B]) -> None:
        """Takes what the switch says it holds; everything is compared once more."""
        self.actual = dict(actual)
        self.rejected.clear()
        self.pending = dict.fromkeys([*self.actual, *desired])

    def note(self, keys: Iterable[K]) -> None:
        """What is desired under these keys changed."""
        self.pending.update(dict.fromkeys(keys))

    def plan(self, desired: Mapping[K, B]) -> dict[K, B | None]:
        """The changes that make actual equal to desired, except for what is rejected; None removes."""
        changes: dict[K, B | None] = {}
        for key in list(self.pending):
            want, have = desired.get(key), self.actual.get(key)
            refused = self.rejected.get(key)
            if refused is not None and refused.body != want:
                del self.rejected[key]
                refused = None
            if want == have or (refused is not None and have is None):
                del self.pending[key]
            else:
                changes[key] = None if refused is not None else want
        return changes

    def done(self, changes: Mapping[K, B | None]) -> None:
        """The switch has acknowledged these changes."""
        for key, body in changes.items():
            if body is not None:
                self.actual[key] = body
            else:
                self.actual.pop(key, None)

    def reject(self, key: K, body: B, error: str) -> None:
        """The switch has refused this; it stays out, and what is there under its key goes."""
        self.rejected[key] = Rejected(body, error)
        self.pending[key] = None


class Plan(NamedTuple):
    """Changes by kind and key; None removes."""

    flows: dict[FlowKey, Body | None]
    groups: dict[int, GroupEntry | None]
    meters: dict[int, MeterEntry | None]


class SwitchState:
    """Flows, groups and meters of one bridge."""

    def __init__(self) -> None:
        self.flows: Held[FlowKey, Body] = Held()
        self.groups: Held[int, GroupEntry] = Held()
        self.meters: Held[int, MeterEntry] = Held()

    def load(
        self,
        flows: Iterable[Flow],
        groups: Iterable[GroupEntry],
        meters: Iterable[MeterEntry],
        desired: Desired,
    ) -> None:
        """Takes what the switch says it holds; everything is compared once more."""
        self.flows.load(bodies(flows), desired.flows)
        self.groups.load({group.group_id: group for group in groups}, desired.groups)
        self.meters.load({meter.meter_id: meter for meter in meters}, desired.meters)

    def plan(self, desired: Desired) -> Plan:
        """The changes that make actual equal to desired, except for what is rejected."""
        return Plan(self.flows.plan(desired.flows), self.groups.plan(desired.groups), self.meters.plan(desired.meters))

    def bundle(self, plan: Plan) -> Iterator[Message]:
        """The flows and groups of a plan as messages: groups come before flows, and go behind them."""
        yield from (GroupMod("add_or_mod", group) for group in plan.groups.values() if group is not None)
        yield from (flow_mod(key, body) for key, body in plan.flows.items())
        yield from (GroupMod("delete", GroupEntry(key, "all")) for key, group in plan.groups.items() if group is None)

    def new_meters(self, plan: Plan) -> list[Message]:
        """What has to be sent before the flows that use meters; Open vSwitch takes no meters in bundles."""
        there = self.meters.actual
        wanted = [meter for meter in plan.meters.values() if meter is not None]
        return [MeterMod("modify" if meter.meter_id in there else "add", meter) for meter in wanted]

    def old_meters(self, plan: Plan) -> list[Message]:
        """What has to be sent behind the flows that used meters."""
        return [MeterMod("delete", MeterEntry(key)) for key, meter in plan.meters.items() if meter is None]

    def done(self, plan: Plan) -> None:
        """The switch has acknowledged these changes."""
        self.flows.done(plan.flows)
        self.groups.done(plan.groups)
        self.meters.done(plan.meters)

    def bundled(self, plan: Plan, refused: Iterable[Message | None]) -> None:
        """The switch has acknowledged the flows and groups of these changes, but for some messages."""
        messages = list(refused)
        flows = {message.flow.key for message in messages if isinstance(message, FlowMod)}
        groups = {message.group.group_id for message in messages if isinstance(message, GroupMod)}
        self.flows.done({key: body for key, body in plan.flows.items() if key not in flows})
        self.groups.done({key: group for key, group in plan.groups.items() if key not in groups})


def flow_mod(key: FlowKey, body: Body | None) -> FlowMod:
    """The message for a change of a flow."""
    return FlowMod("delete_strict", Flow(*key)) if body is None else FlowMod("add", as_flow(key, body))


def bodies(flows: Iterable[Flow]) -> dict[FlowKey, Body]:
    """Flows that were read from the switch, without those that it made itself."""
    return {flow.key: body_of(flow) for flow in flows if flow.table not in LEARNED}


def body_of(flow: Flow) -> Body:
    """A flow's body. One with timeouts is not ours: it is given a body that nobody wants, to be replaced or removed."""
    return Body(flow.actions, flow.cookie if not (flow.idle_timeout or flow.hard_timeout) else -1)
