"""Who let a packet pass, and who did not, in the cloud's words: security groups and their rules, or ACLs.

A flow that was made for an ACL says so by its hint (`Origins`). The ACLs of a security group allow; what none of them
allows is dropped by the ACLs of `neutron_pg_drop`, which stands here as "no rule allows it".

Tests: tests/unit/trace/test_trace_verdicts.py, tests/interop/test_trace_cloud.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ovine.model import nb
from ovine.trace.explain import HINT, Origins
from ovine.trace.tree import Fork, Node, Section, Step, Trace

DROP_GROUP: Final = "neutron_pg_drop"
Outcome = Literal["allowed", "dropped", "rejected", "no rule", "known connection", "passed on"]

REFUSED: Final[frozenset[Outcome]] = frozenset({"dropped", "rejected", "no rule"})
"""The outcomes with which a packet goes no further."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided at a port; `by` says who decided it, "" if that is said by `outcome`."""

    outcome: Outcome
    direction: Literal["out of", "in to"]
    """As the port sees it: what enters the logical network comes out of its port."""
    port: str
    by: str = ""


def verdicts(trace: Trace, origins: Origins) -> tuple[Verdict, ...]:
    """All of them, in the order in which the packet and its copies met them."""
    return tuple(dict.fromkeys(_below((trace.root,), trace.root, origins)))


def text_of(verdict: Verdict, label: str) -> str:
    """A verdict as a line; `label` is what people call the port."""
    match verdict.outcome:
        case "no rule":
            return f"no rule allows it {verdict.direction} {label}; {verdict.by}"
        case "known connection":
            return f"allowed {verdict.direction} {label}: it belongs to a connection that was allowed"
    return f"{verdict.outcome} {verdict.direction} {label} by {verdict.by}"


def _below(nodes: tuple[Node, ...], section: Section, origins: Origins) -> Iterator[Verdict]:
    for node in nodes:
        match node:
            case Step():
                yield from _of_step(node, section, origins)
                yield from _below(node.nodes, section, origins)
            case Section():
                yield from _below(node.nodes, node, origins)
            case Fork():
                yield from _below(node.nodes, section, origins)


def _of_step(step: Step, section: Section, origins: Origins) -> Iterator[Verdict]:
    direction: Literal["out of", "in to"] = "in to" if section.kind == "egress" else "out of"
    port = section.outport if section.kind == "egress" else section.inport
    hint = step.flow.external_ids.get("stage-hint", "")[:HINT]
    for row in origins.by_hint.get(hint, ()) if hint else ():
        if isinstance(row, nb.ACL) and "acl" in step.stage:
            yield _of_acl(row, direction, port, origins)
    if not hint and "acl" in step.stage and "ct.rpl" in step.flow.match and "next;" in step.flow.actions:
        yield Verdict("known connection", direction, port)


def _of_acl(row: nb.ACL, direction: Literal["out of", "in to"], port: str, origins: Origins) -> Verdict:
    owners = origins.groups.get(row.uuid, ())
    if row.action == "drop" and any(group.name == DROP_GROUP for group in owners):
        return Verdict("no rule", direction, port, _its_groups(port, origins))
    outcomes: dict[str, Outcome] = {"drop": "dropped", "reject": "rejected", "pass": "passed on"}
    by = ", ".join(map(str, origins.behind(row))) or f"ACL {row.name or row.uuid}: {row.match}"
    return Verdict(outcomes.get(row.action, "allowed"), direction, port, by)


def _its_groups(port: str, origins: Origins) -> str:
    row = origins.ports.get(port)
    found = [str(each) for each in origins.security_groups_of(row)] if row is not None else []
    return f"its groups: {', '.join(found)}" if found else "it is in no security group"
