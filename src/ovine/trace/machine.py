"""The machine that runs packets through tables; what single actions do is in the modules of actions.

Terms: a *place* is a table of a pipeline of a datapath. A *state* is the packet and what goes along with it. `next` as
the last action of a flow is a jump, so that a pipeline is a loop and not a recursion; everything else that runs tables
works on a copy and is a fork or a section of the tree.

Invariants: a trace ends, whatever the flows say: the tables that it visits and the depth of its forks are limited.
Tests: tests/unit/trace/test_trace_cases.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ovine.language import (
    Packet,
    Subfield,
    SyntaxProblem,
    evaluate,
    format_action,
    parse_actions,
    parse_match,
    prerequisites,
)
from ovine.language import actions as act
from ovine.language.actions import Action, Pipeline
from ovine.language.values import Style
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.trace.connections import Connections
from ovine.trace.names import Question
from ovine.trace.tree import Change, Delivered, Dropped, Effect, Fork, Node, Omitted, Section, Step, Stopped
from ovine.trace.values import data_of, describe, is_data, text_of
from ovine.trace.world import World

MAX_TABLES: Final = 4096
"""Tables visited by a packet and all its copies."""
MAX_DEPTH: Final = 48
"""Forks and sections within each other."""
LOGICAL_REGISTERS: Final = tuple(f"reg{n}" for n in range(10))
"""What is zero when a packet enters a pipeline (ovn-architecture(7))."""


@dataclass(frozen=True, slots=True)
class Place:
    """A table."""

    datapath: Uuid
    pipeline: Pipeline
    table: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """The packet, push()'s stack, and why port security last refused it, if it did."""

    packet: Packet
    stack: tuple[int, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did: its nodes, and the state in which the next action finds the packet; None if it ended."""

    nodes: tuple[Node, ...]
    state: State | None
    goto: Place | None = None


Handler = Callable[["Machine", Place, State, Any], Done]


@dataclass
class Machine:
    """One trace.

    `ct_states` are what connection tracking will say, in order; then it says `default_ct`. With `connections` it says
    what these know instead.
    """

    world: World
    handlers: Mapping[type, Handler]
    ct_states: list[int] = field(default_factory=list)
    default_ct: int = 0
    connections: Connections | None = None
    question: Question | None = None
    """What the packet asks the DNS for."""
    tables: int = 0
    depth: int = 0

    # --- tables

    def pipeline(self, place: Place, state: State) -> tuple[Node, ...]:
        """What happens to a packet from a table on."""
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                return (
                    Stopped(f"the packet has been forked or handed on {MAX_DEPTH} times: it seems to go in circles"),
                )
            return tuple(self._tables(place, state))
        finally:
            self.depth -= 1

    def _tables(self, place: Place, state: State) -> list[Node]:
        nodes: list[Node] = []
        at: Place | None = place
        while at is not None:
            self.tables += 1
            if self.tables > MAX_TABLES:
                return [*nodes, Stopped(f"the packet has been through {MAX_TABLES} tables: it seems to go in circles")]
            flow, actions = self._decide(at, state, nodes)
            if flow is None:
                return [*nodes, Dropped(f"no flow matches in stage {self.stage(at)}")]
            done = self.act(at, state, actions)
            nodes.append(_step(self.stage(at), flow, actions, done))
            if done.goto is not None and done.state is not None and done.goto.pipeline != at.pipeline:
                return [*nodes, self._section(done.goto, done.state)]
            at, state = done.goto, done.state or state
        return nodes

    def _decide(
        self, place: Place, state: State, nodes: list[Node]
    ) -> tuple[sb.LogicalFlow | None, tuple[Action, ...]]:
        """The flow of a table that a packet matches, and its actions; flows that cannot be read are told to nodes."""
        env = self.world.environment(place.datapath)
        for flow in self.world.flows.get((place.datapath, place.pipeline, place.table), ()):
            try:
                if not evaluate(parse_match(flow.match), state.packet, env):
                    continue
                actions = parse_actions(flow.actions, place.pipeline)
            except SyntaxProblem as problem:
                nodes.append(
                    Effect("", (), f"flow {flow.uuid[:8]} cannot be read and is passed over: {problem.message}")
                )
                continue
            if evaluate(prerequisites(actions), state.packet, env):
                return flow, actions
        return None, ()

    def stage(self, place: Place) -> str:
        """The name of a table's stage; if it has none, which table it is."""
        for flow in self.world.flows.get((place.datapath, place.pipeline, place.table), ()):
            if name := flow.external_ids.get("stage-name"):
                return name
        return f"{place.pipeline} table {place.table}"

    # --- actions

    def act(self, place: Place, state: State, actions: Sequence[Action]) -> Done:
        """Runs actions in order; `next` as the last one is left to the caller, who finds it in `goto`."""
        nodes: list[Node] = []
        current = state
        for number, action in enumerate(actions, 1):
            if isinstance(action, act.Next) and number == len(actions):
                return Done((*nodes, Effect(format_action(action))), current, target(place, action))
            handler = self.handlers.get(type(action))
            if handler is None:
                text = format_action(action)
                return Done((*nodes, Effect(text), Stopped(f"what {text} does cannot be told here")), None)
            done = handler(self, place, current, action)
            nodes += done.nodes
            if done.state is None:
                return Done(tuple(nodes), None)
            current = done.state
        return Done(tuple(nodes), current)

    def block(self, place: Place, state: State, actions: Sequence[Action]) -> tuple[Node, ...]:
        """Runs a block of actions to its end, with the tables that it leads to."""
        done = self.act(place, state, actions)
        if done.goto is None or done.state is None:
            return _ended(done.nodes, "the block does nothing more with it")
        if done.goto.pipeline != place.pipeline:
            return (*done.nodes, self._section(done.goto, done.state))
        return (*done.nodes, *self.pipeline(done.goto, done.state))

    def assign(
        self,
        place: Place,
        state: State,
        action: Action,
        values: Mapping[Subfield, int],
        note: str = "",
        style: Style = "dec",
    ) -> Done:
        """Sets fields, and says so; `style` is how values of registers are written."""
        packet = state.packet
        for subfield, value in values.items():
            packet = packet.with_value(subfield, value)
        changes = tuple(
            Change(str(subfield), text_of(subfield, packet, self.world, place.datapath, style), is_data(subfield.name))
            for subfield in values
        )
        return Done((Effect(format_action(action), changes, note),), replace(state, packet=packet))

    def next_ct_state(self) -> tuple[int, bool]:
        """What connection tracking says, and whether that was given by the user."""
        return (self.ct_states.pop(0), True) if self.ct_states else (self.default_ct, False)

    # --- ways

    def ingress(self, port: sb.PortBinding, packet: Packet) -> Section:
        """A packet comes in at a port."""
        packet = _cleared(packet, *LOGICAL_REGISTERS, "flags", "outport").with_value("inport", port.tunnel_key)
        nodes = self.pipeline(Place(port.datapath, "ingress"), State(packet))
        return Section("ingress", self.world.datapaths[port.datapath], port.logical_port, "", nodes)

    def _section(self, place: Place, state: State) -> Section:
        """`next` into the other pipeline of the datapath."""
        nodes = self.pipeline(place, state)
        inport, outport = self._name(place, state, "inport"), self._name(place, state, "outport")
        return Section(place.pipeline, self.world.datapaths[place.datapath], inport, outport, nodes)

    def out_of_ingress(self, place: Place, state: State) -> Node:
        """`output;` in the ingress pipeline: on to the egress pipeline of the port, or of each member of the group."""
        key = state.packet.get("outport")
        target = self.world.keys.get((place.datapath, key))
        if target is None:
            return Dropped(f"no port or group has the key {key}" if key else "no output port is set", None)
        if isinstance(target, sb.PortBinding):
            return self._egress(target, state)
        copies = tuple(self._egress(port, state) for port in self.world.group_members(target))
        inport = self._name(place, state, "inport")
        return Section("multicast", self.world.datapaths[place.datapath], inport, target.name, copies)

    def _egress(self, port: sb.PortBinding, state: State) -> Section:
        packet = _cleared(state.packet, *LOGICAL_REGISTERS).with_value("outport", port.tunnel_key)
        place = Place(port.datapath, "egress")
        nodes: tuple[Node, ...]
        distributed = self.world.ports.get(port.options.get("distributed-port", ""))
        if port.type == "chassisredirect" and distributed is not None:
            note = f'the gateway chassis of "{port.logical_port}" sends it out by "{distributed.logical_port}"'
            inner = self._egress(distributed, state)
            return replace(inner, nodes=(Effect("", (), note), *inner.nodes))
        if packet.get("inport") == port.tunnel_key and not packet.get("flags.loopback"):
            nodes = (Omitted("it would go back to where it came from, and flags.loopback is not set"),)
        else:
            nodes = self.pipeline(place, State(packet))
        inport = self.world.port_name(port.datapath, packet.get("inport"))
        return Section("egress", self.world.datapaths[port.datapath], inport, port.logical_port, nodes)

    def out_of_egress(self, place: Place, state: State) -> Node:
        """`output;` in the egress pipeline: out of the port, or through it into its peer's datapath."""
        port = self.world.keys.get((place.datapath, state.packet.get("outport")))
        if not isinstance(port, sb.PortBinding):
            return Dropped("the output port does not exist")
        if port.type not in ("patch", "l3gateway") or "peer" not in port.options:
            fields = data_of(state.packet, self.world, place.datapath)
            text = describe(state.packet, self.world, place.datapath)
            return Delivered(port.logical_port, port.type, text, fields)
        peer = self.world.ports.get(port.options["peer"])
        if peer is None:
            return Dropped(f'the peer "{port.options["peer"]}" of port "{port.logical_port}" does not exist')
        # A patch port is a new beginning for connection tracking, too.
        return self.ingress(peer, without_tracking(state.packet))

    def _name(self, place: Place, state: State, symbol: str) -> str:
        return self.world.port_name(place.datapath, state.packet.get(symbol))


def without_tracking(packet: Packet) -> Packet:
    """A packet of which no connection is known."""
    return _cleared(packet, "ct_state", "ct_mark", "ct_label")


def _cleared(packet: Packet, *symbols: str) -> Packet:
    for symbol in symbols:
        packet = packet.with_value(symbol, 0)
    return packet


def target(place: Place, action: act.Next) -> Place:
    """The table that `next` means."""
    table = place.table + 1 if action.table is None else action.table
    return Place(place.datapath, action.pipeline or place.pipeline, table)


def after(place: Place) -> Place:
    """The next table of the pipeline."""
    return replace(place, table=place.table + 1)


def fork(machine: Machine, place: Place, state: State, title: str, packet: str = "") -> Fork:
    """A copy of the packet goes on to the next table."""
    return Fork(title, machine.pipeline(after(place), state), packet)


def _step(stage: str, flow: sb.LogicalFlow, actions: tuple[Action, ...], done: Done) -> Step:
    nodes = tuple(replace(n, flow=flow.uuid) if isinstance(n, Dropped) and n.flow is None else n for n in done.nodes)
    if done.goto is None:
        nodes = _ended(nodes, "the flow does nothing more with it", flow.uuid)
    trivial = flow.match == "1" and actions == (act.Next(),)
    return Step(stage, flow, nodes, trivial)


def _ended(nodes: tuple[Node, ...], reason: str, flow: Uuid | None = None) -> tuple[Node, ...]:
    """What actions did, with an ending if they neither handed the packet on nor ended it."""
    return nodes if any(not isinstance(node, Effect) for node in nodes) else (*nodes, Dropped(reason, flow))
