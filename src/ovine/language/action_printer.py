"""Actions: trees to text. `parse_actions(format_actions(actions)) == actions` for what the parser returned.

Tests: tests/unit/language/test_action_cases.py, test_language_roundtrip.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ovine.language import action_forms as forms
from ovine.language import actions as act
from ovine.language.actions import Action
from ovine.language.values import format_value, quote

_WORD_OF: Final[dict[type, str]] = {
    **{action: word for word, action in forms.WORDS.items()},
    **{action: word for word, action in forms.BLOCKS.items()},
    **{action: word for word, action in forms.PUT_OPTIONS.items()},
    **{signature.action: word for word, signature in forms.CALLS.items()},
    act.CtCommitBlock: "ct_commit",
}


def format_actions(actions: Iterable[Action]) -> str:
    """Print actions, each with its semicolon."""
    return " ".join(f"{format_action(action)};" for action in actions)


def format_action(action: Action) -> str:
    """Print one action without its semicolon."""
    if isinstance(action, act.Regular):
        return "ip.ttl--" if isinstance(action, act.DecTtl) else _WORD_OF[type(action)]
    if isinstance(action, act.Block):
        body = format_actions(action.actions)
        return f"{_WORD_OF[type(action)]} {{ {body} }}" if body else f"{_WORD_OF[type(action)]} {{ }}"
    if isinstance(action, act.Call):
        return _format_call(action)
    if isinstance(action, act.PutOptions):
        return f"{action.dst} = {_WORD_OF[type(action)]}({_format_options(action.options)})"
    return _format_special(action)


def _format_call(action: act.Call) -> str:
    word = _WORD_OF[type(action)]
    signature = forms.CALLS[word]
    arguments = []
    for name, kind in signature.parameters:
        value = getattr(action, name)
        arguments.append(quote(value) if kind == "string" else str(value))
    text = f"{word}({', '.join(arguments)})"
    return f"{getattr(action, 'dst')} = {text}" if signature.result else text  # noqa: B009


def _format_special(action: Action) -> str:
    match action:
        case act.Next():
            return _format_next(action)
        case act.Set(dst, value):
            return f"{dst} = {format_value(value)}"
        case act.SetOvnField(name, number):
            return f"{name} = {number}"
        case act.Move(dst, src):
            return f"{dst} = {src}"
        case act.Exchange(left, right):
            return f"{left} <-> {right}"
        case act.CtNext(zone):
            return f"ct_next({zone})" if zone else "ct_next"
        case act.CtCommit(mark, label):
            parts = [f"{name}={value}" for name, value in (("ct_mark", mark), ("ct_label", label)) if value is not None]
            return f"ct_commit({', '.join(parts)})" if parts else "ct_commit"
        case act.CtCommitToZone(zone):
            return f"ct_commit_to_zone({zone})"
        case act.CtNat():
            return _format_nat(action)
        case act.CtLb():
            return _format_lb(action)
        case act.SetMeter(rate, burst):
            return f"set_meter({rate})" if burst is None else f"set_meter({rate}, {burst})"
    return _format_keyworded(action)


def _format_keyworded(action: Action) -> str:
    match action:
        case act.CommitLbAff(vip, backend, protocol, timeout):
            proto = f", proto = {protocol}" if protocol else ""
            ends = f"vip = {quote(_format_endpoint(vip))}, backend = {quote(_format_endpoint(backend))}"
            return f"commit_lb_aff({ends}{proto}, timeout = {timeout})"
        case act.TriggerEvent(event, options):
            rest = f", {_format_options(options)}" if options else ""
            return f"trigger_event(event = {quote(event)}{rest})"
        case act.Select(dst, members, hash_fields):
            chosen = ", ".join(f"{value}={weight}" for value, weight in members)
            if not hash_fields:
                return f"{dst} = select({chosen})"
            return f"{dst} = select(values=({chosen}); hash_fields={quote(','.join(hash_fields))})"
        case act.FwdGroup(liveness, ports):
            live = "liveness=true, " if liveness else ""
            return f"fwd_group({live}childports={', '.join(map(quote, ports))})"
        case act.CommitEcmpNh(ipv6, protocol):
            proto = f", proto = {protocol}" if protocol else ""
            return f"commit_ecmp_nh(ipv6 = {'true' if ipv6 else 'false'}{proto})"
        case act.Log():
            return _format_log(action)
        case act.Sample(probability, collector_set, domain, point):
            where = "$cookie" if point is None else str(point)
            numbers = f"probability={probability},collector_set={collector_set},obs_domain={domain}"
            return f"sample({numbers},obs_point={where})"
    raise TypeError(f"not an action: {action!r}")


def _format_next(action: act.Next) -> str:
    if action.pipeline is None:
        return "next" if action.table is None else f"next({action.table})"
    table = "" if action.table is None else f", table={action.table}"
    return f"next(pipeline={action.pipeline}{table})"


def _format_nat(action: act.CtNat) -> str:
    word = f"ct_{action.direction}{'_in_czone' if action.common_zone else ''}"
    if action.address is None:
        return word
    if action.ports is None:
        return f"{word}({action.address})"
    low, high = action.ports
    return f"{word}({action.address}, {low})" if low == high else f"{word}({action.address}, {low}-{high})"


def _format_lb(action: act.CtLb) -> str:
    if not action.backends:
        return action.word
    parts = ["backends=" + ",".join(map(_format_endpoint, action.backends))]
    if action.hash_fields:
        parts.append(f"hash_fields={quote(','.join(action.hash_fields))}")
    if action.flag:
        parts.append(action.flag)
    return f"{action.word}({'; '.join(parts)})"


def _format_endpoint(endpoint: act.Endpoint) -> str:
    name = "" if endpoint.logical_port is None else f"{quote(endpoint.logical_port)}:"
    if endpoint.port is None:
        return f"{name}{endpoint.address}"
    if endpoint.address.style == "ip6":
        return f"{name}[{endpoint.address}]:{endpoint.port}"
    return f"{name}{endpoint.address}:{endpoint.port}"


def _format_options(options: tuple[act.Option, ...]) -> str:
    return ", ".join(f"{option.name} = {_format_option(option)}" for option in options)


def _format_option(option: act.Option) -> str:
    if len(option.values) == 1:
        return format_value(option.values[0])
    return f"{{{', '.join(map(format_value, option.values))}}}"


def _format_log(action: act.Log) -> str:
    parts = [] if action.name is None else [f"name={quote(action.name)}"]
    if action.verdict is not None:
        parts.append(f"verdict={action.verdict}")
    parts.append(f"severity={action.severity}")
    if action.meter is not None:
        parts.append(f"meter={quote(action.meter)}")
    return f"log({', '.join(parts)})"
