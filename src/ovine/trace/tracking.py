"""Connection tracking, of which the databases know nothing: what the user says (--ct), else "tracked, established".

Or what packets before this one left there, for whoever traces several (`ovine.trace.connections`).

Each action that asks connection tracking takes the next --ct. Translations for which a state would be needed leave the
packet as it is. Source: ovn-sb(5); ovn-trace(8), "STATEFUL ACTIONS". Tests: tests/unit/trace/test_trace_cases.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ovine.language import FIELDS, Packet, format_action, whole
from ovine.language import actions as act
from ovine.trace.connections import Zone
from ovine.trace.machine import Done, Handler, Machine, Place, State, after, fork, without_tracking
from ovine.trace.tree import BY_DEFAULT, Change, Effect, Fork
from ovine.trace.values import text_of, with_openflow

_FLAGS: Final = ("est", "new", "rel", "rpl", "inv", "snat", "dnat", "trk")
_DNAT: Final = 1 << FIELDS["ct.dnat"].offset
_SNAT: Final = 1 << FIELDS["ct.snat"].offset
_TRK: Final = 1 << FIELDS["ct.trk"].offset


def _state_text(state: int) -> str:
    return "|".join(flag for flag in _FLAGS if state >> FIELDS[f"ct.{flag}"].offset & 1)


def _zone(place: Place, packet: Packet) -> Zone:
    return Zone(place.datapath, packet.get("inport" if place.pipeline == "ingress" else "outport"))


def _tracked(machine: Machine, place: Place, state: State, extra: int = 0) -> tuple[State, str]:
    """The state after asking connection tracking, and what it said in words."""
    if machine.connections is not None:
        found = machine.connections.look(_zone(place, state.packet), state.packet)
        packet = state.packet.with_value("ct_state", found.state | extra)
        packet = packet.with_value("ct_mark", found.mark).with_value("ct_label", found.label)
        return replace(state, packet=packet), f"ct_state={_state_text(found.state | extra)}"
    value, given = machine.next_ct_state()
    value |= extra
    packet = state.packet.with_value("ct_state", value)
    text = f"ct_state={_state_text(value)}" + ("" if given else BY_DEFAULT)
    return replace(state, packet=packet), text


def ct_next(machine: Machine, place: Place, state: State, action: act.CtNext) -> Done:
    tracked, text = _tracked(machine, place, state)
    return Done((Effect(format_action(action), (), text), fork(machine, place, tracked, "ct_next")), state)


def ct_clear(machine: Machine, place: Place, state: State, action: act.CtClear) -> Done:
    return Done((Effect("ct_clear"),), replace(state, packet=without_tracking(state.packet)))


def commit(machine: Machine, place: Place, state: State, action: act.Action) -> Done:
    if machine.connections is not None:
        inner = machine.act(place, state, action.actions).state if isinstance(action, act.CtCommitBlock) else None
        machine.connections.commit(_zone(place, state.packet), (inner or state).packet)
    return Done((Effect(format_action(action), (), "the connection would be committed"),), state)


def commit_nat(machine: Machine, place: Place, state: State, action: act.CtCommitNat) -> Done:
    tracked, text = _tracked(machine, place, state)
    return Done((Effect(format_action(action), (), text), fork(machine, place, tracked, "ct_commit_nat")), state)


def translate(machine: Machine, place: Place, state: State, action: act.CtNat) -> Done:
    """ct_dnat, ct_snat and their kin."""
    title = format_action(action)
    if action.address is None:
        tracked, text = _tracked(machine, place, state)
        note = f"no translation is known to undo; {text}"
        return Done((Effect(title, (), note), Fork(title, machine.pipeline(after(place), tracked))), state)
    side, flag = ("dst", _DNAT) if action.direction == "dnat" else ("src", _SNAT)
    packet, changes = _with_address(
        machine, place, state.packet, side, action.address.value, None, action.address.style
    )
    packet = packet.with_value("ct_state", packet.get("ct_state") | flag | _TRK)
    effect = Effect(title, changes, "the connection would be translated")
    return Done((effect, Fork(title, machine.pipeline(after(place), replace(state, packet=packet)))), state)


def _with_address(
    machine: Machine, place: Place, packet: Packet, side: str, address: int, port: int | None, style: str
) -> tuple[Packet, tuple[Change, ...]]:
    values = {f"{style}.{side}": address}
    protocol = {6: "tcp", 17: "udp", 132: "sctp"}.get(packet.get("ip.proto"))
    if port is not None and protocol is not None:
        values[f"{protocol}.{side}"] = port
    packet = _with_original(packet) if side == "dst" else packet
    for name, value in values.items():
        packet = packet.with_value(name, value)
    changes = (Change(n, text_of(whole(n), packet, machine.world, place.datapath), True) for n in values)
    return packet, tuple(changes)


def _with_original(packet: Packet) -> Packet:
    """Connection tracking remembers the destination before translation."""
    return with_openflow(packet, ct_nw_dst=packet.get("ip4.dst"), ct_ipv6_dst=packet.get("ip6.dst"))


def balance(machine: Machine, place: Place, state: State, action: act.CtLb) -> Done:
    """ct_lb and its kin: to the first backend; without backends, back to what the connection says."""
    title = format_action(action)
    if not action.backends:
        tracked, text = _tracked(machine, place, state)
        return Done((Effect(title, (), text), fork(machine, place, tracked, title)), state)
    chosen = action.backends[0]
    address = chosen.address
    packet, changes = _with_address(machine, place, state.packet, "dst", address.value, chosen.port, address.style)
    tracked, text = _tracked(machine, place, replace(state, packet=packet), _DNAT)
    note = f"the first of {len(action.backends)} backends; {text}"
    return Done((Effect(title, changes, note), fork(machine, place, tracked, action.word)), state)


def not_known(machine: Machine, place: Place, state: State, action: act.ChkLbHairpin | act.ChkLbAff) -> Done:
    """Questions about connections and load balancers, answered with no."""
    return machine.assign(place, state, action, {action.dst: 0}, "taken as no")


def original(name: str) -> Handler:
    """What the connection's first packet had."""

    def handler(machine: Machine, place: Place, state: State, action: act.CtNwDst) -> Done:
        return machine.assign(place, state, action, {action.dst: state.packet.openflow(name)})

    return handler


def save_state(machine: Machine, place: Place, state: State, action: act.CtStateSave) -> Done:
    return machine.assign(place, state, action, {action.dst: state.packet.get("ct_state") & 0xFF})


def no_change(machine: Machine, place: Place, state: State, action: act.Action) -> Done:
    return Done((Effect(format_action(action), (), "changes nothing that is known here"),), state)


HANDLERS: Final[Mapping[type, Handler]] = {
    act.CtNext: ct_next,
    act.CtClear: ct_clear,
    act.CtCommit: commit,
    act.CtCommitBlock: commit,
    act.CtCommitToZone: commit,
    act.CtCommitNat: commit_nat,
    act.CtNat: translate,
    act.CtLb: balance,
    act.CtSnatToVip: no_change,
    act.ChkLbHairpin: not_known,
    act.ChkLbHairpinReply: not_known,
    act.ChkLbAff: not_known,
    act.CommitLbAff: no_change,
    act.CtNwDst: original("ct_nw_dst"),
    act.CtIp6Dst: original("ct_ipv6_dst"),
    act.CtTpDst: original("ct_tp_dst"),
    act.CtProto: original("nw_proto"),
    act.CtStateSave: save_state,
}
