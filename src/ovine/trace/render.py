"""A trace as text, in three lengths, and as JSON. Tests: tests/unit/trace/test_trace_cases.py, test_trace_render.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from ovine.language import quote
from ovine.trace import drops
from ovine.trace.explain import Origins
from ovine.trace.microflow import datapath_name
from ovine.trace.tree import (
    BY_DEFAULT,
    Change,
    Delivered,
    Dropped,
    Effect,
    Ending,
    Fork,
    Node,
    Omitted,
    Section,
    Step,
    Stopped,
    Trace,
    endings,
    walk,
)
from ovine.trace.verdicts import REFUSED, text_of, verdicts

INDENT = "    "
ASSUMED = (
    "where --ct says nothing, est was assumed: a first packet is --ct new, a reply --ct est,rpl, an error --ct rel"
)
SHOWN = 8
"""Digits of a uuid that are shown."""


def heading(trace: Trace) -> str:
    """The packet that is traced."""
    return f"# {trace.packet}"


# --- in full


def detailed(trace: Trace, origins: Origins) -> str:
    """Every stage that decided, why its flow exists, and what it did; at the end what became of the packet."""
    lines = [*_section(trace.root, origins, ""), "", *outcome(trace, origins)]
    return "\n".join(lines[1:])


def _section(section: Section, origins: Origins, indent: str) -> Iterator[str]:
    title = _title(section, origins)
    yield ""
    yield indent + title
    yield indent + "-" * len(title)
    inner = indent + INDENT if section.kind == "multicast" else indent
    for node in section.nodes:
        yield from _node(node, origins, inner)


def _title(section: Section, origins: Origins) -> str:
    behind = origins.datapath(section.datapath)
    place = str(replace(behind, id=behind.id[:SHOWN])) if behind else datapath_name(section.datapath)
    what = f"{section.kind} of {place}, in at {_short_label(section.inport, origins)}"
    if section.kind == "multicast":
        return f"{what}, out to each of {section.outport}"
    return f"{what}, out at {_short_label(section.outport, origins)}" if section.kind == "egress" else what


def _short_label(name: str, origins: Origins) -> str:
    """A port in a heading, where a uuid in full would be in the way of its name."""
    known = origins.port_names.get(name)
    return f'"{known}" ({name[:SHOWN]})' if known else name or "no port"


def port_label(name: str, origins: Origins) -> str:
    """A port by its logical name and the one that people gave it."""
    known = origins.port_names.get(name)
    return f'"{known}" ({name})' if known else name


def _node(node: Node, origins: Origins, indent: str) -> Iterator[str]:
    match node:
        case Step():
            yield from _step(node, origins, indent)
        case Section():
            yield from _section(node, origins, indent)
        case Fork():
            yield from _fork(node, origins, indent)
        case _:
            yield indent + INDENT + _line(node, origins)


def _step(step: Step, origins: Origins, indent: str) -> Iterator[str]:
    if step.trivial:
        return
    flow = step.flow
    source = flow.external_ids.get("source")
    made = f" ({source})" if source else ""
    yield (
        f"{indent}{flow.table_id:2}. {step.stage}{made}: {flow.match}, priority {flow.priority}, "
        f"uuid {flow.uuid[:SHOWN]}"
    )
    for reason in origins.because(step):
        yield f"{indent}{INDENT}# because of {reason}"
    yield from _body(step.nodes, origins, indent)


def _body(nodes: tuple[Node, ...], origins: Origins, indent: str) -> Iterator[str]:
    """What a step leads to stands beside it if nothing follows, else it stands further in."""
    for number, node in enumerate(nodes, 1):
        last = all(isinstance(later, Effect) for later in nodes[number:])
        yield from _node(node, origins, indent if last or not isinstance(node, Section | Fork) else indent + INDENT)


def _fork(fork: Fork, origins: Origins, indent: str) -> Iterator[str]:
    yield ""
    yield indent + fork.title
    yield indent + "-" * len(fork.title)
    if fork.packet:
        yield f"{indent}{INDENT}# a new packet: {fork.packet}"
    yield from _body(fork.nodes, origins, indent)


def _line(node: Node, origins: Origins) -> str:
    match node:
        case Effect():
            return _effect(node)
        case Delivered():
            return f"# delivered to {_delivery(node, origins)}"
        case Dropped():
            return f"# dropped: {node.reason}"
        case Omitted():
            return f"# omitted: {node.reason}"
        case Stopped():
            return f"# the trace stops here: {node.reason}"
    raise TypeError(f"not a line: {node!r}")


def _effect(effect: Effect) -> str:
    """The action; behind it what it changed, if that is not what it says, and what it found."""
    told = [f"{change.field} = {change.value}" for change in effect.changes]
    said = [text for text in told if text != effect.action]
    comment = "; ".join([*said, effect.note] if effect.note else said)
    action = f"{effect.action};" if effect.action else ""
    return f"{action}  # {comment}".strip() if comment else action


def _delivery(node: Delivered, origins: Origins) -> str:
    kind = f", a {node.kind} port" if node.kind else ""
    return f"{port_label(node.port, origins)}{kind}"


def outcome(trace: Trace, origins: Origins) -> list[str]:
    """Who let it pass, or did not; where the packet came out; or, if it did nowhere, which flow dropped it."""
    ends = endings(trace)
    lines = [f"delivered to {_delivery(node, origins)}" for node, _ in ends if isinstance(node, Delivered)]
    lines += [f"stopped: {node.reason}" for node, _ in ends if isinstance(node, Stopped)]
    lines = lines or [f"dropped {_by(node, step, origins)}" for node, step in ends] or ["goes nowhere"]
    decided = verdicts(trace, origins)
    if any(each.outcome in REFUSED for each in decided) and _assumes(trace):
        lines.insert(0, ASSUMED)
    return [*(text_of(each, port_label(each.port, origins)) for each in decided), *lines]


def _assumes(trace: Trace) -> bool:
    """Whether connection tracking was asked more often than `--ct` was given."""
    return any(isinstance(node, Effect) and node.note.endswith(BY_DEFAULT) for node in walk((trace.root,)))


def _by(node: Ending, step: Step | None, origins: Origins) -> str:
    assert isinstance(node, Dropped)
    where = f"by {step.stage}, flow {step.flow.uuid[:SHOWN]} ({step.flow.match}): " if step is not None else "because "
    return where + drops.reason(node, step, origins)


# --- shorter


def summary(trace: Trace) -> str:
    """The pipelines and the actions, without the stages."""
    return "\n".join(_summary((trace.root,), ""))


def _summary(nodes: Iterable[Node], indent: str) -> Iterator[str]:
    for node in nodes:
        match node:
            case Step():
                if not node.trivial:
                    yield from _summary(node.nodes, indent)
            case Section() | Fork():
                yield f"{indent}{_call(node)} {{"
                yield from _summary(node.nodes, indent + INDENT)
                yield indent + "};"
            case _:
                yield indent + _line(node, Origins())


def _call(node: Section | Fork) -> str:
    if isinstance(node, Fork):
        return node.title
    arguments = [f"dp={quote(datapath_name(node.datapath))}", f"inport={quote(node.inport)}"]
    if node.kind == "multicast":
        return f"multicast({arguments[0]}, mcgroup={quote(node.outport)})"
    return f"{node.kind}({', '.join(arguments + [f'outport={quote(node.outport)}'] * (node.kind == 'egress'))})"


def minimal(trace: Trace, origins: Origins) -> str:
    """What was changed in the packet, and where it came out; if nowhere, who dropped it."""
    lines = list(_minimal((trace.root,), ""))
    if not any(isinstance(node, Delivered) for node in walk((trace.root,))):
        lines += [f"# {line}" for line in outcome(trace, origins)]
    return "\n".join(lines)


def _minimal(nodes: Iterable[Node], indent: str) -> Iterator[str]:
    for node in nodes:
        match node:
            case Effect():
                yield from (f"{indent}{change.field} = {change.value};" for change in node.changes if change.data)
            case Delivered():
                yield f"{indent}output({quote(node.port)});"
            case Fork(title, inner, packet) if packet:
                yield f"{indent}{title} {{"
                yield from _minimal(inner, indent + INDENT)
                yield indent + "};"
            case Step() | Section() | Fork():
                yield from _minimal(node.nodes, indent)


# --- for programs


def as_json(trace: Trace, origins: Origins) -> dict[str, Any]:
    """Everything, as JSON values. Nodes have a `kind`; steps say in `why` what their flow was made for."""
    ends = endings(trace)
    return {
        "microflow": trace.microflow,
        "packet": trace.packet,
        "outcome": {
            "delivered": [_json(node, origins) for node, _ in ends if isinstance(node, Delivered)],
            "dropped": [_dropped(node, step, origins) for node, step in ends if isinstance(node, Dropped)],
            "stopped": [node.reason for node, _ in ends if isinstance(node, Stopped)],
        },
        "verdicts": [asdict(each) for each in verdicts(trace, origins)],
        "trace": _json(trace.root, origins),
    }


def _dropped(node: Dropped, step: Step | None, origins: Origins) -> dict[str, Any]:
    flow, stage = (step.flow.uuid, step.stage) if step else (None, None)
    return {"reason": drops.reason(node, step, origins), "stage": stage, "flow": node.flow or flow}


def _json(node: Node, origins: Origins) -> dict[str, Any]:
    match node:
        case Effect(action, changes, note):
            return {"kind": "action", "action": action, "changes": list(map(_change, changes)), "note": note}
        case Delivered(port, kind, _, fields):
            name = origins.port_names.get(port) or None
            return {"kind": "delivered", "port": port, "name": name, "type": kind, "packet": dict(fields)}
        case Dropped(reason, flow):
            return {"kind": "dropped", "reason": reason, "flow": flow}
        case Omitted(reason):
            return {"kind": "omitted", "reason": reason}
        case Stopped(reason):
            return {"kind": "stopped", "reason": reason}
        case Fork(title, nodes, packet):
            return {"kind": "fork", "action": title, "packet": packet, "nodes": _all(nodes, origins)}
        case Section():
            return _json_section(node, origins)
    return {"kind": "step", "stage": node.stage, **_json_flow(node, origins), "nodes": _all(node.nodes, origins)}


def _all(nodes: Iterable[Node], origins: Origins) -> list[dict[str, Any]]:
    return [_json(node, origins) for node in nodes]


def _change(change: Change) -> dict[str, Any]:
    return {"field": change.field, "value": change.value}


def _json_section(node: Section, origins: Origins) -> dict[str, Any]:
    behind = origins.datapath(node.datapath)
    return {
        "kind": node.kind,
        "datapath": datapath_name(node.datapath),
        "datapath_uuid": node.datapath.uuid,
        "object": None if behind is None else {"kind": behind.kind, "id": behind.id, "name": behind.name},
        "inport": node.inport,
        "outport": node.outport,
        "nodes": _all(node.nodes, origins),
    }


def _json_flow(step: Step, origins: Origins) -> dict[str, Any]:
    flow = step.flow
    why = [
        {
            "table": reason.table,
            "name": reason.name,
            "uuid": reason.uuid,
            "objects": [{"kind": one.kind, "id": one.id, "name": one.name} for one in reason.objects],
        }
        for reason in origins.because(step)
    ]
    return {
        "table": flow.table_id,
        "pipeline": flow.pipeline,
        "priority": flow.priority,
        "match": flow.match,
        "actions": flow.actions,
        "flow": flow.uuid,
        "source": flow.external_ids.get("source"),
        "why": why,
    }
