"""What the controller does with packets: DHCP, DNS, router advertisements and the like.

What is in the packet's payload is not known, so requests are taken as well formed: DHCP answers, and DNS does if the
question is given.
Source: ovn-sb(5). Tests: tests/unit/trace/test_trace_cases.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ovine.language import Constant, format_action, whole
from ovine.language import actions as act
from ovine.trace.machine import Done, Handler, Machine, Place, State
from ovine.trace.tree import Effect

_TAKEN: Final = "taken as a request that can be answered; the reply carries these options"


def dhcp4(machine: Machine, place: Place, state: State, action: act.PutDhcpOpts) -> Done:
    """The controller makes the reply one to the address that it offers (RFC 2131, section 4.1)."""
    offered = [option.values[0] for option in action.options if option.name == "offerip"]
    address = {whole("ip4.dst"): one.value for one in offered if isinstance(one, Constant)}
    return machine.assign(place, state, action, {action.dst: 1, **address}, _TAKEN)


def dhcp6(machine: Machine, place: Place, state: State, action: act.PutDhcpv6Opts) -> Done:
    return machine.assign(place, state, action, {action.dst: 1}, _TAKEN)


def router_advertisement(machine: Machine, place: Place, state: State, action: act.PutNdRaOpts) -> Done:
    values = {action.dst: 1, whole("icmp6.type"): 134}
    return machine.assign(place, state, action, values, "the solicitation becomes an advertisement")


def relayed_request(machine: Machine, place: Place, state: State, action: act.DhcpRelayReqChk) -> Done:
    note = f"taken as a request that can be relayed; giaddr becomes {action.relay}"
    return machine.assign(place, state, action, {action.dst: 1}, note)


def relayed_reply(machine: Machine, place: Place, state: State, action: act.DhcpRelayRespChk) -> Done:
    """Who the client is, is in the reply; one that cannot hear its own address yet gets it with all others."""
    values = {action.dst: 1, whole("eth.dst"): (1 << 48) - 1, whole("ip4.dst"): (1 << 32) - 1}
    note = "taken as a reply to a client that asked for a broadcast; else its own addresses are written here"
    return machine.assign(place, state, action, values, note)


def dns(machine: Machine, place: Place, state: State, action: act.DnsLookup) -> Done:
    """The name is that of `Options.question`; without one, it is another than those that are known."""
    there, question = machine.world.dns.get(place.datapath, {}), machine.question
    if question is None:
        note = f"taken as a question for another name than the {len(there)} that are known here"
        return machine.assign(place, state, action, {action.dst: 0}, note)
    known = there.get(question.name)
    if known is None:
        return machine.assign(place, state, action, {action.dst: 0}, f"{question.name} is not known here")
    answers = known.answers(question)
    if answers:
        note = f"{question.type} {question.name}: {', '.join(answers)}"
    elif known.owned:
        note = f"{question.name} is known here, and has no record of type {question.type}"
    else:
        note = f"nothing is known here of type {question.type} for {question.name}"
    return machine.assign(place, state, action, {action.dst: int(bool(answers or known.owned))}, note)


def to_controller(machine: Machine, place: Place, state: State, action: act.Action) -> Done:
    return Done((Effect(format_action(action), (), "handled by the controller"),), state)


HANDLERS: Final[Mapping[type, Handler]] = {
    act.PutDhcpOpts: dhcp4,
    act.PutDhcpv6Opts: dhcp6,
    act.PutNdRaOpts: router_advertisement,
    act.DhcpRelayReqChk: relayed_request,
    act.DhcpRelayRespChk: relayed_reply,
    act.DnsLookup: dns,
    act.HandleDhcpv6Reply: to_controller,
    act.HandleSvcCheck: to_controller,
    act.HandleBfdMsg: to_controller,
    act.Igmp: to_controller,
    act.BindVport: to_controller,
    act.TriggerEvent: to_controller,
}
