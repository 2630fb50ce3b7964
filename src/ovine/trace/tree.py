"""A trace as data: frozen nodes that the interpreter makes and the renderer prints.

Names of ports and datapaths are logical names; `Origins` puts names for people to them. Tests: tests/unit/trace/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ovine.model import sb
from ovine.model.base import Uuid


@dataclass(frozen=True, slots=True)
class Change:
    """A field of the packet got a value, in the language's spelling. `data` is false for registers and metadata."""

    field: str
    value: str
    data: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """An action, as it is written in the flow; what it changed; what it found, in words, and whose address that is."""

    action: str
    changes: tuple[Change, ...] = ()
    note: str = ""
    port: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The packet leaves the logical network by a port; `packet` is what it then is."""

    port: str
    kind: str
    packet: str
    fields: tuple[tuple[str, str], ...]


BY_DEFAULT: Final = ", by default; say another with --ct"
"""Ends the note of an effect for which connection tracking was taken to say what nobody has told."""
NO_REASON: Final = "the flow drops it"
"""Of a packet that a flow drops and nothing else is known of."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The packet ends here. `flow` is the flow that said so; None if no flow matched, or no flow decided it."""

    reason: str
    flow: Uuid | None = None


@dataclass(frozen=True, slots=True)
class Omitted:
    """A copy that is not made, because it would go back to where the packet came from."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """What follows cannot be told."""

    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """The flow that decided in one stage, and what it did. `trivial` if it matches all and only goes on."""

    stage: str
    flow: sb.LogicalFlow
    nodes: tuple[Node, ...]
    trivial: bool = False


@dataclass(frozen=True, slots=True)
class Fork:
    """What happens to a copy of the packet, or to a packet made from it (`packet`), because of an action (`title`)."""

    title: str
    nodes: tuple[Node, ...]
    packet: str = ""


SectionKind = Literal["ingress", "egress", "multicast"]


@dataclass(frozen=True, slots=True)
class Section:
    """A packet in a pipeline of a datapath, or on its way to the members of the multicast group `outport`."""

    kind: SectionKind
    datapath: sb.DatapathBinding
    inport: str
    outport: str
    nodes: tuple[Node, ...]


Node = Effect | Delivered | Dropped | Omitted | Stopped | Step | Fork | Section
Ending = Delivered | Dropped | Stopped


@dataclass(frozen=True, slots=True)
class Trace:
    """The microflow, the packet made from it, and what became of it."""

    microflow: str
    packet: str
    root: Section


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    """All nodes of trees, in the order in which things happened."""
    for node in nodes:
        yield node
        if isinstance(node, Step | Fork | Section):
            yield from walk(node.nodes)


def endings(trace: Trace) -> list[tuple[Ending, Step | None]]:
    """How the ways of a packet and its copies end, each with the step in which that was decided."""
    return list(_endings((trace.root,), None))


def _endings(nodes: Iterable[Node], step: Step | None) -> Iterator[tuple[Ending, Step | None]]:
    for node in nodes:
        if isinstance(node, Delivered | Dropped | Stopped):
            yield node, step
        elif isinstance(node, Step | Fork | Section):
            inner = node if isinstance(node, Step) else None if isinstance(node, Section) else step
            yield from _endings(node.nodes, inner)
