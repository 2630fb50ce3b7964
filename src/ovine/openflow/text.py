"""Flows, matches, actions and groups in the words of `ovs-ofctl`, for people, logs and tests.

Invariant: `ovs-ofctl parse-flows` reads the text as the flow that was printed.  Two things it has no words for and
refuses: a part that is not interpreted (`Raw`), shown as `raw(hex)`, and an IPv6 mask that is no prefix.
Tests: tests/unit/openflow/test_openflow_actions.py, test_openflow_fields.py, test_openflow_messages.py.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from itertools import takewhile
from typing import Any

from ovine.openflow.actions import (
    PORT_NAMES,
    Action,
    Bundle,
    CheckPktLarger,
    Clone,
    Conjunction,
    Controller,
    Ct,
    CtClear,
    DecTtl,
    DeleteField,
    Exit,
    GotoTable,
    Group,
    Learn,
    LearnLoad,
    LearnOutput,
    LearnSpec,
    Meter,
    Move,
    Nat,
    Note,
    Output,
    OutputReg,
    Pop,
    PopVlan,
    Push,
    PushVlan,
    Raw,
    RawInstruction,
    Resubmit,
    Sample,
    SetField,
    SetQueue,
)
from ovine.openflow.fields import FIELDS
from ovine.openflow.flow import Flow, FlowMod
from ovine.openflow.group import GroupEntry, GroupMod
from ovine.openflow.match import Entry, Match, wire_order

_FRAGMENTS = {(0, None): "no", (1, 1): "yes", (1, None): "first", (3, None): "later", (0, 2): "not_later"}


def _number(value: int) -> str:
    return str(value) if value < 10 else f"{value:#x}"


def port_text(port: int) -> str:
    """A port number, or the name of a reserved port."""
    return PORT_NAMES.get(port, str(port))


def _mac(value: int) -> str:
    return value.to_bytes(6, "big").hex(":")


_PRINTERS: dict[str, Callable[[int], str]] = {
    "int": _number,
    "flags": _number,
    "mac": _mac,
    "ipv4": lambda value: str(IPv4Address(value)),
    "ipv6": lambda value: str(IPv6Address(value)),
    "port": port_text,
    "ptype": lambda value: f"({value >> 16},{value & 0xFFFF:#x})",
    "frag": _number,
}


def value_text(name: str, value: int, mask: int | None) -> str:
    """A field's value, with its mask if there is one."""
    kind = FIELDS[name].format
    if kind == "frag" and (value, mask) in _FRAGMENTS:
        return _FRAGMENTS[value, mask]
    show = _PRINTERS[kind]
    return show(value) if mask is None else f"{show(value)}/{show(mask)}"


def _entry(entry: Entry) -> str:
    return f"{entry[0]}={value_text(*entry)}"


def match_text(match: Match) -> str:
    """A match, prerequisites first; empty for the match on everything."""
    return ",".join(_entry(entry) for entry in wire_order(match))


def subfield_text(sub: tuple[str, int, int]) -> str:
    """`reg0[]` for a whole field, `reg0[3]` for one bit, `reg0[0..15]` for several."""
    name, offset, n_bits = sub
    # ovs-ofctl counts 12 bits in all of vlan_vid, without the one for "tag present".
    if not offset and n_bits == FIELDS[name].bits and name != "vlan_vid":
        return f"{name}[]"
    return f"{name}[{offset}]" if n_bits == 1 else f"{name}[{offset}..{offset + n_bits - 1}]"


def _resubmit(action: Resubmit) -> str:
    port = "" if action.port is None else port_text(int(action.port))
    table = "" if action.table is None else str(action.table)
    return f"resubmit({port},{table}{',ct' if action.ct else ''})"


def _nat(nat: Nat) -> str:
    if not nat.direction:
        words = []
    else:
        six = ":" in nat.ip_min
        first, last = (f"[{ip}]" if six and nat.port_min and ip else ip for ip in (nat.ip_min, nat.ip_max))
        addresses = f"{first}-{last}" if last else first
        ports = f"{nat.port_min}-{nat.port_max}" if nat.port_max else f"{nat.port_min or ''}"
        range_ = f"{addresses}:{ports}" if ports else addresses
        words = [f"{nat.direction}={range_}" if range_ else nat.direction]
    words += [word for word in ("persistent", "hash", "random") if getattr(nat, word)]
    return f"nat({','.join(words)})" if words else "nat"


def _ct(action: Ct) -> str:
    words = [word for word in ("commit", "force") if getattr(action, word)]
    if action.table is not None:
        words.append(f"table={action.table}")
    if action.zone != 0:
        words.append(f"zone={action.zone if isinstance(action.zone, int) else subfield_text(action.zone)}")
    nats = tuple(takewhile(lambda inner: isinstance(inner, Nat), action.actions))
    words += [_nat(nat) for nat in nats if isinstance(nat, Nat)]
    if len(nats) < len(action.actions):
        words.append(f"exec({actions_text(action.actions[len(nats) :])})")
    if action.alg:
        words.append(f"alg={ {21: 'ftp', 69: 'tftp'}.get(action.alg, action.alg) }")
    return f"ct({','.join(words)})"


def _controller(action: Controller) -> str:
    words = [f"max_len={action.max_len}"]
    if action.reason != "action":
        words.append(f"reason={action.reason}")
    if action.controller_id:
        words.append(f"id={action.controller_id}")
    if action.userdata:
        words.append(f"userdata={action.userdata.hex('.')}")
    if action.pause:
        words.append("pause")
    if action.meter_id is not None:
        words.append(f"meter_id={action.meter_id}")
    return f"controller({','.join(words)})"


def _sample(action: Sample) -> str:
    words = [
        f"probability={action.probability}",
        f"collector_set_id={action.collector_set_id}",
        f"obs_domain_id={action.obs_domain_id}",
        f"obs_point_id={action.obs_point_id}",
    ]
    if action.sampling_port is not None:
        words.append(f"sampling_port={port_text(action.sampling_port)}")
    if action.direction:
        words.append(("ingress", "egress")[action.direction - 1])
    return f"sample({','.join(words)})"


def _learn_spec(spec: LearnSpec) -> str:
    if isinstance(spec, LearnOutput):
        return f"output:{subfield_text(spec.src)}"
    name, _offset, n_bits = spec.dst
    if isinstance(spec.src, tuple):
        src = subfield_text(spec.src)
    elif n_bits == FIELDS[name].bits:
        src = value_text(name, spec.src, None)
    else:
        src = _number(spec.src)
    if isinstance(spec, LearnLoad):
        return f"load:{src}->{subfield_text(spec.dst)}"
    return f"{subfield_text(spec.dst)}={src}"


def _learn(action: Learn) -> str:
    words = [f"table={action.table}"]
    words += [
        f"{name}={getattr(action, name)}"
        for name, default in (
            ("idle_timeout", 0),
            ("hard_timeout", 0),
            ("fin_idle_timeout", 0),
            ("fin_hard_timeout", 0),
            ("priority", 0x8000),
            ("cookie", 0),
            ("limit", 0),
        )
        if getattr(action, name) != default
    ]
    words += ["send_flow_rem"] if action.send_flow_removed else []
    words += ["delete_learned"] if action.delete_learned else []
    words += [f"result_dst={subfield_text(action.result)}"] if action.result is not None else []
    words += [_learn_spec(spec) for spec in action.specs]
    return f"learn({','.join(words)})"


def _move(action: Move) -> str:
    src = subfield_text((action.src, action.src_offset, action.n_bits))
    return f"move:{src}->{subfield_text((action.dst, action.dst_offset, action.n_bits))}"


_WORDS: dict[type, Callable[[Any], str]] = {
    Output: lambda a: f"output:{port_text(a.port)}",
    OutputReg: lambda a: f"output:{subfield_text(a.source)}",
    Resubmit: _resubmit,
    SetField: lambda a: f"set_field:{value_text(a.field, a.value, a.mask)}->{a.field}",
    Move: _move,
    Push: lambda a: f"push:{subfield_text((a.field, a.offset, a.n_bits))}",
    Pop: lambda a: f"pop:{subfield_text((a.field, a.offset, a.n_bits))}",
    DeleteField: lambda a: f"delete_field:{a.field}",
    Nat: _nat,
    Ct: _ct,
    CtClear: lambda a: "ct_clear",
    Controller: _controller,
    Conjunction: lambda a: f"conjunction({a.id},{a.clause}/{a.n_clauses})",
    Clone: lambda a: f"clone({actions_text(a.actions)})",
    Group: lambda a: f"group:{a.group_id}",
    Meter: lambda a: f"meter:{a.meter_id}",
    Bundle: lambda a: f"bundle(eth_src,0,active_backup,ofport,members:{','.join(map(str, a.members))})",
    DecTtl: lambda a: "dec_ttl",
    PushVlan: lambda a: f"push_vlan:{a.ethertype:#x}",
    PopVlan: lambda a: "pop_vlan",
    SetQueue: lambda a: f"set_queue:{a.queue_id}",
    Note: lambda a: f"note:{a.data.hex('.')}",
    CheckPktLarger: lambda a: f"check_pkt_larger({a.length})->{subfield_text(a.dst)}",
    Sample: _sample,
    Learn: _learn,
    Exit: lambda a: "exit",
    GotoTable: lambda a: f"goto_table:{a.table}",
    Raw: lambda a: f"raw({a.data.hex()})",
    RawInstruction: lambda a: f"raw({a.data.hex()})",
}


def actions_text(actions: tuple[Action, ...]) -> str:
    """A list of actions; `drop` for none."""
    return ",".join(_WORDS[type(action)](action) for action in actions) or "drop"


def flow_text(flow: Flow) -> str:
    """A flow as `ovs-ofctl add-flow` takes it."""
    words = [f"cookie={flow.cookie:#x}"] if flow.cookie else []
    words.append(f"table={flow.table}")
    words += [f"idle_timeout={flow.idle_timeout}"] if flow.idle_timeout else []
    words += [f"hard_timeout={flow.hard_timeout}"] if flow.hard_timeout else []
    words.append(f"priority={flow.priority}")
    words += [match_text(flow.match)] if flow.match else []
    return f"{','.join(words)} actions={actions_text(flow.actions)}"


def message_text(message: object) -> str:
    """A message in one line: flow and group changes in ovs-ofctl's words, others as they are."""
    if isinstance(message, FlowMod):
        return f"flow {message.command}: {flow_text(message.flow)}"
    if isinstance(message, GroupMod):
        return f"group {message.command}: {group_text(message.group)}"
    return str(message)


def group_text(group: GroupEntry) -> str:
    """A group as `ovs-ofctl add-group` takes it."""
    words = [f"group_id={group.group_id},type={group.type}"]
    if group.selection_method:
        words.append(f"selection_method={group.selection_method},selection_method_param={group.selection_param}")
    if group.fields:
        words.append(f"fields({match_text(group.fields)})")
    for bucket in group.buckets:
        parts = [f"bucket=bucket_id:{bucket.bucket_id}"]
        parts += [f"weight:{bucket.weight}"] if bucket.weight is not None else []
        parts += [f"watch_port:{port_text(bucket.watch_port)}"] if bucket.watch_port is not None else []
        parts += [f"watch_group:{bucket.watch_group}"] if bucket.watch_group is not None else []
        words.append(f"{','.join(parts)},actions={actions_text(bucket.actions)}")
    return ",".join(words)
