"""What the switch holds, what it should hold, and the difference: sans I/O.

*Desired* is the relation FLOWS. *Actual* is what the switch was last known to hold: read back when a connection
begins, and changed by what it has acknowledged. *Pending* are keys on which the two may differ. A flow that the
switch refused is *rejected*: it is kept out until something else is desired under its key, and reported; the rest
goes on.

Nothing is ever cleared: a restart begins with what the switch holds and changes only what differs.

Tests: tests/unit/controller/test_controller_switch.py, tests/packets/controller/test_controller_link.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ovine.controller.flows import Body, FlowKey, as_flow
from ovine.openflow import Flow, FlowMod, GroupEntry, GroupMod, Message, MeterEntry, MeterMod


class Rejected(NamedTuple):
    """A flow that the switch does not take, and its word for why."""

    body: Body
    error: str


class SwitchState:
    """Flows, groups and meters of one bridge."""

    def __init__(self) -> None:
        self.actual: dict[FlowKey, Body] = {}
        self.pending: dict[FlowKey, None] = {}
        self.rejected: dict[FlowKey, Rejected] = {}
        self.leftovers: list[Message] = []
        """What removes groups and meters that a former controller left; sent behind the flows that may use them."""

    def load(
        self,
        flows: Iterable[Flow],
        groups: Iterable[GroupEntry],
        meters: Iterable[MeterEntry],
        desired: Mapping[FlowKey, Body],
    ) -> None:
        """Takes what the switch says it holds; everything is compared once more."""
        self.actual = {flow.key: body_of(flow) for flow in flows}
        self.rejected.clear()
        self.pending = dict.fromkeys([*self.actual, *desired])
        self.leftovers = [GroupMod("delete", group) for group in groups]
        self.leftovers += [MeterMod("delete", meter) for meter in meters]

    def note(self, keys: Iterable[FlowKey]) -> None:
        """Desired flows changed under these keys."""
        self.pending.update(dict.fromkeys(keys))

    def plan(self, desired: Mapping[FlowKey, Body]) -> dict[FlowKey, FlowMod]:
        """The changes that make actual equal to desired, except for what is rejected."""
        mods: dict[FlowKey, FlowMod] = {}
        for key in list(self.pending):
            want, have = desired.get(key), self.actual.get(key)
            refused = self.rejected.get(key)
            if refused is not None and refused.body != want:
                del self.rejected[key]
                refused = None
            if want == have or (refused is not None and have is None):
                del self.pending[key]
            elif want is None or refused is not None:
                mods[key] = FlowMod("delete_strict", Flow(*key))
            else:
                mods[key] = FlowMod("add", as_flow(key, want))
        return mods

    def done(self, mods: Mapping[FlowKey, FlowMod]) -> None:
        """The switch has acknowledged these changes."""
        for key, mod in mods.items():
            if mod.command == "add":
                self.actual[key] = body_of(mod.flow)
            else:
                self.actual.pop(key, None)
        self.leftovers = []

    def reject(self, key: FlowKey, mod: FlowMod, error: str) -> None:
        """The switch has refused this change; the flow stays out, and what is there under its key goes."""
        self.rejected[key] = Rejected(body_of(mod.flow), error)
        self.pending[key] = None


def body_of(flow: Flow) -> Body:
    """A flow's body. One with timeouts is not ours: it is given a body that nobody wants, to be replaced or removed."""
    return Body(flow.actions, flow.cookie if not (flow.idle_timeout or flow.hard_timeout) else -1)
