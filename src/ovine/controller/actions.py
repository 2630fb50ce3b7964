"""Logical actions to OpenFlow actions.

Flow control is `resubmit`: `next;` runs the next logical table, `output;` what comes after the pipeline. Calls like
`get_arp(…)` run a subroutine table whose arguments lie in fixed registers; arguments that are elsewhere are moved there
and back on the switch's stack. What only the controller can do becomes a `controller` action whose userdata says what
(`ovine.controller.services`). An action that has no entry in `_ENCODERS` is refused by name.

Sources: ovn-sb(5), "actions"; ovs-actions(7). Tests: tests/cases/controller/actions.txt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ovine import openflow as of
from ovine.controller import action_choice, action_ecmp, action_lb, action_nat
from ovine.controller import tables as t
from ovine.controller.action_scope import Encoded, Encoder, Place, Scope, call, copy, flag_result
from ovine.controller.environment import datapath_key, port_key
from ovine.controller.flows import cookie_of
from ovine.controller.services import Opcode, UnsupportedAction, Userdata, services
from ovine.controller.services.userdata import Block
from ovine.language import actions as act
from ovine.language import openflow_subfield
from ovine.language.action_printer import format_actions
from ovine.language.symbols import FIELDS, Subfield
from ovine.openflow.action_codec import encode_actions as openflow_bytes


def encode(actions: Iterable[act.Action], scope: Scope) -> Encoded:
    """The OpenFlow actions; UnsupportedAction if one cannot be carried out, ValueError if one makes no sense."""
    encoded: list[of.Action] = []
    for action in actions:
        encoder = _ENCODERS.get(type(action))
        if encoder is None:
            raise UnsupportedAction(f"the action {_word(action)} is not supported")
        encoded += encoder(action, scope)
    return tuple(encoded)


def _word(action: act.Action) -> str:
    text = format_actions((action,))
    head = text.partition("(")[0].partition("{")[0]
    return repr(head.rpartition("=")[2].strip(" ;") or text)


# --- flow control -----------------------------------------------------------------------------------------------------


def _output(action: act.Output, scope: Scope) -> Encoded:
    del action
    return (of.Resubmit(table=t.REMOTE_OUTPUT if scope.pipeline == "ingress" else t.SAVE_INPORT),)


def _next(action: act.Next, scope: Scope) -> Encoded:
    table = scope.table + 1 if action.table is None else action.table
    return (of.Resubmit(table=t.logical_table(action.pipeline or scope.pipeline, table)),)


def _clone(action: act.Clone, scope: Scope) -> Encoded:
    return (of.Clone(encode(action.actions, scope)),)


def _drop(action: act.Drop, scope: Scope) -> Encoded:
    del action, scope
    return ()


# --- data -------------------------------------------------------------------------------------------------------------


def _set(action: act.Set, scope: Scope) -> Encoded:
    name, offset, bits = openflow_subfield(action.dst)
    if isinstance(action.value, str):
        key = port_key(scope.q, scope.datapath, action.value) if action.value else 0
        return (of.SetField(name, key or 0),)
    value, mask = action.value.value, action.value.mask
    ones = (1 << bits) - 1 if mask is None else mask
    return (of.SetField(name, value << offset, ones << offset),)


def _move(action: act.Move, scope: Scope) -> Encoded:
    del scope
    return (copy(openflow_subfield(action.src), openflow_subfield(action.dst)),)


def _exchange(action: act.Exchange, scope: Scope) -> Encoded:
    del scope
    left, right = openflow_subfield(action.left), openflow_subfield(action.right)
    return of.Push(*right), of.Push(*left), of.Pop(*right), of.Pop(*left)


def _push(action: act.Push, scope: Scope) -> Encoded:
    del scope
    return (of.Push(*openflow_subfield(action.field)),)


def _pop(action: act.Pop, scope: Scope) -> Encoded:
    del scope
    return (of.Pop(*openflow_subfield(action.field)),)


def _dec_ttl(action: act.DecTtl, scope: Scope) -> Encoded:
    del action, scope
    return (of.DecTtl(),)


def _check_pkt_larger(action: act.CheckPktLarger, scope: Scope) -> Encoded:
    del scope
    return (of.CheckPktLarger(action.length, openflow_subfield(action.dst)),)


def _set_queue(action: act.SetQueue, scope: Scope) -> Encoded:
    del scope
    return (of.SetQueue(action.queue),)


def _sample(action: act.Sample, scope: Scope) -> Encoded:
    """The observation domain has the datapath's key in its lower 24 bits."""
    if isinstance(action.point, Subfield):
        raise UnsupportedAction("the action 'sample' with a field as its point is not supported")
    point = cookie_of(scope.flow) if action.point is None else action.point
    domain = action.domain << 24 | datapath_key(scope.q, scope.datapath)
    return (of.Sample(action.probability, action.collector_set, domain, point),)


def _reads(field: str, bits: int) -> Encoder:
    """An action that copies bits of a field that the language has no symbol for."""

    def encoder(action: Any, scope: Scope) -> Encoded:
        del scope
        return (copy((field, 0, bits), openflow_subfield(action.dst)),)

    return encoder


# --- connection tracking ----------------------------------------------------------------------------------------------


def _ct_next(action: act.CtNext, scope: Scope) -> Encoded:
    register = {None: scope.zone()[0], "dnat": t.DNAT_ZONE, "snat": t.SNAT_ZONE}[action.zone]
    return (of.Ct(zone=(register, 0, 16), table=scope.next_table()),)


def _ct_clear(action: act.CtClear, scope: Scope) -> Encoded:
    del action, scope
    return (of.CtClear(),)


def _commit(zone: Place, inner: Encoded) -> Encoded:
    # Without nat(src): nothing is translated in a port's zone, and the userspace tracker of Open vSwitch 3.1 would keep
    # a second entry for each connection, on which it fails an assertion when short ones reuse their ports.
    return (of.Ct(commit=True, zone=zone, actions=inner),)


def _ct_commit(action: act.CtCommit, scope: Scope) -> Encoded:
    given = (("ct_mark", 32, action.mark), ("ct_label", 128, action.label))
    inner = [
        of.SetField(name, value.value, (1 << bits) - 1 if value.mask is None else value.mask)
        for name, bits, value in given
        if value is not None
    ]
    return _commit(scope.zone(), tuple(inner))


def _ct_commit_block(action: act.CtCommitBlock, scope: Scope) -> Encoded:
    return _commit(scope.zone(), encode(action.actions, scope))


# --- subroutines ------------------------------------------------------------------------------------------------------


def _check_in_port_sec(action: act.CheckInPortSec, scope: Scope) -> Encoded:
    del scope
    return flag_result((), t.IN_PORT_SEC, t.PORT_SEC_REFUSES, action.dst)


def _check_out_port_sec(action: act.CheckOutPortSec, scope: Scope) -> Encoded:
    del scope
    return flag_result((), t.OUT_PORT_SEC, t.PORT_SEC_REFUSES, action.dst)


def _get_fdb(action: act.GetFdb, scope: Scope) -> Encoded:
    del scope
    find = (of.SetField(t.OUTPORT, 0), of.Resubmit(table=t.GET_FDB))
    arguments = ((action.mac, "eth_dst"),)
    dst = openflow_subfield(action.dst)
    if dst == (t.OUTPORT, 0, 32):
        return call(arguments, find)
    outport = (t.OUTPORT, 0, 32)
    return of.Push(*outport), *call(arguments, find), copy(outport, dst), of.Pop(*outport)


def _lookup_fdb(action: act.LookupFdb, scope: Scope) -> Encoded:
    del scope
    arguments = ((action.port, t.INPORT), (action.mac, "eth_src"))
    return flag_result(arguments, t.LOOKUP_FDB, t.LOOKUP_FDB_HIT, action.dst)


def _get_mac(action: act.GetArp | act.GetNd, scope: Scope) -> Encoded:
    del scope
    run = (of.SetField("eth_dst", 0), of.Resubmit(table=_table_for(action.ip, t.GET_MAC, t.GET_MAC6)))
    return call(((action.port, t.OUTPORT), (action.ip, _ip_register(action.ip))), run)


def _lookup_mac(action: act.LookupArp | act.LookupNd, scope: Scope) -> Encoded:
    del scope
    arguments = ((action.port, t.INPORT), (action.ip, _ip_register(action.ip)), (action.mac, "eth_src"))
    table = _table_for(action.ip, t.LOOKUP_MAC, t.LOOKUP_MAC6)
    return flag_result(arguments, table, t.LOOKUP_MAC_HIT, action.dst)


def _lookup_mac_ip(action: act.LookupArpIp | act.LookupNdIp, scope: Scope) -> Encoded:
    """The table that knows neighbours by address sets eth_dst, which must come back unharmed, and says that it did."""
    del scope
    arguments = ((action.port, t.OUTPORT), (action.ip, _ip_register(action.ip)))
    found = flag_result(arguments, _table_for(action.ip, t.GET_MAC, t.GET_MAC6), t.LOOKUP_MAC_HIT, action.dst)
    return of.Push("eth_dst", 0, 48), *found, of.Pop("eth_dst", 0, 48)


def _ip_register(ip: Subfield) -> str:
    return "reg0" if ip.width == 32 else "xxreg0"


def _table_for(ip: Subfield, ipv4: int, ipv6: int) -> int:
    return ipv4 if ip.width == 32 else ipv6


# --- the controller ---------------------------------------------------------------------------------------------------


def _to_controller(scope: Scope, userdata: Userdata) -> of.Action:
    return of.Controller(userdata.encode(), pause=userdata.result is not None, meter_id=scope.meter_id)


def _service(opcode: Opcode) -> Encoder:
    """An action that a service carries out; with a result, the packet waits for it."""

    def encoder(action: Any, scope: Scope) -> Encoded:
        service = services().get(opcode)
        if service is None:
            raise UnsupportedAction(f"the action {_word(action)} is not supported")
        result = getattr(action, "dst", None)
        where = openflow_subfield(result)[:2] if result is not None else None
        return (_to_controller(scope, Userdata(opcode, where, service.payload(scope.q, action))),)

    return encoder


def _learn(opcode: Opcode) -> Encoder:
    """`put_…(port, …)`: the controller finds port, address and MAC in fixed places."""

    def encoder(action: Any, scope: Scope) -> Encoded:
        arguments = [(action.port, t.INPORT), (action.mac, "eth_src")]
        if not isinstance(action, act.PutFdb):
            arguments.insert(1, (action.ip, _ip_register(action.ip)))
        return call(arguments, _service(opcode)(action, scope))

    return encoder


def _bind_vport(action: act.BindVport, scope: Scope) -> Encoded:
    return call(((action.parent, t.INPORT),), _service(Opcode.BIND_VPORT)(action, scope))


def _svc_check(action: act.HandleSvcCheck, scope: Scope) -> Encoded:
    return call(((action.port, t.INPORT),), _service(Opcode.HANDLE_SVC_CHECK)(action, scope))


def _maker(opcode: Opcode) -> Encoder:
    """A block for a new packet: the block travels as OpenFlow actions, to be run on what the controller makes.

    What it assigns to fields that OpenFlow does not know travels in front of them.
    """

    def encoder(action: Any, scope: Scope) -> Encoded:
        if opcode not in services():
            raise UnsupportedAction(f"the action {_word(action)} is not supported")
        ours = [inner for inner in action.actions if isinstance(inner, act.SetOvnField)]
        others = [inner for inner in action.actions if not isinstance(inner, act.SetOvnField)]
        block = Block(openflow_bytes(encode(others, scope)), _frag_mtu(opcode, ours))
        return (_to_controller(scope, Userdata(opcode, None, block.encode())),)

    return encoder


def _frag_mtu(opcode: Opcode, assigned: Iterable[act.SetOvnField]) -> int:
    """The MTU that a block says is too small; 0 if it says none."""
    mtu = 0
    for action in assigned:
        if _MTU_FIELDS.get(action.name) is None or opcode not in _MTU_FIELDS[action.name]:
            raise UnsupportedAction(f"the field {action.name} cannot be set here")
        mtu = action.value.value
    return mtu


def _for_nobody(action: act.HandleDhcpv6Reply, scope: Scope) -> Encoded:
    """Answers to requests for prefixes. This controller sends none."""
    del action, scope
    return ()


_MTU_FIELDS: Final = {
    "icmp4.frag_mtu": frozenset({Opcode.ICMP4, Opcode.ICMP4_ERROR}),
    "icmp6.frag_mtu": frozenset({Opcode.ICMP6, Opcode.ICMP6_ERROR}),
}

_ENCODERS: Final[dict[type[Any], Encoder]] = {
    **action_nat.ENCODERS,
    **action_ecmp.ENCODERS,
    **action_choice.ENCODERS,
    **action_lb.ENCODERS,
    act.Output: _output,
    act.Next: _next,
    act.Clone: _clone,
    act.Drop: _drop,
    act.Set: _set,
    act.Move: _move,
    act.Exchange: _exchange,
    act.Push: _push,
    act.Pop: _pop,
    act.DecTtl: _dec_ttl,
    act.CheckPktLarger: _check_pkt_larger,
    act.SetQueue: _set_queue,
    act.Sample: _sample,
    act.CtNext: _ct_next,
    act.CtClear: _ct_clear,
    act.CtCommit: _ct_commit,
    act.CtCommitBlock: _ct_commit_block,
    act.CtNwDst: _reads("ct_nw_dst", 32),
    act.CtIp6Dst: _reads("ct_ipv6_dst", 128),
    act.CtTpDst: _reads("ct_tp_dst", 16),
    act.CtProto: _reads("ct_nw_proto", 8),
    act.CtStateSave: _reads("ct_state", 8),
    act.CheckInPortSec: _check_in_port_sec,
    act.CheckOutPortSec: _check_out_port_sec,
    act.GetFdb: _get_fdb,
    act.LookupFdb: _lookup_fdb,
    act.PutFdb: _learn(Opcode.PUT_FDB),
    act.GetArp: _get_mac,
    act.GetNd: _get_mac,
    act.LookupArp: _lookup_mac,
    act.LookupNd: _lookup_mac,
    act.LookupArpIp: _lookup_mac_ip,
    act.LookupNdIp: _lookup_mac_ip,
    act.PutArp: _learn(Opcode.PUT_ARP),
    act.PutNd: _learn(Opcode.PUT_ND),
    act.Arp: _maker(Opcode.ARP),
    act.NdNs: _maker(Opcode.ND_NS),
    act.NdNa: _maker(Opcode.ND_NA),
    act.NdNaRouter: _maker(Opcode.ND_NA_ROUTER),
    act.Icmp4: _maker(Opcode.ICMP4),
    act.Icmp4Error: _maker(Opcode.ICMP4_ERROR),
    act.Icmp6: _maker(Opcode.ICMP6),
    act.Icmp6Error: _maker(Opcode.ICMP6_ERROR),
    act.TcpReset: _maker(Opcode.TCP_RESET),
    act.SctpAbort: _maker(Opcode.SCTP_ABORT),
    act.Reject: _maker(Opcode.REJECT),
    act.PutDhcpOpts: _service(Opcode.PUT_DHCP_OPTS),
    act.PutDhcpv6Opts: _service(Opcode.PUT_DHCPV6_OPTS),
    act.PutNdRaOpts: _service(Opcode.PUT_ND_RA_OPTS),
    act.DhcpRelayReqChk: _service(Opcode.DHCP_RELAY_REQ_CHK),
    act.DhcpRelayRespChk: _service(Opcode.DHCP_RELAY_RESP_CHK),
    act.DnsLookup: _service(Opcode.DNS_LOOKUP),
    act.HandleDhcpv6Reply: _for_nobody,
    act.HandleSvcCheck: _svc_check,
    act.TriggerEvent: _service(Opcode.TRIGGER_EVENT),
    act.HandleBfdMsg: _service(Opcode.HANDLE_BFD_MSG),
    act.Igmp: _service(Opcode.IGMP),
    act.BindVport: _bind_vport,
    act.Log: _service(Opcode.LOG),
}

assert FIELDS["flags"].openflow == t.FLAGS
