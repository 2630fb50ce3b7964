"""The interpreter: `trace` runs a packet, `run` a microflow as its author wrote it.

Each module of actions has a table `HANDLERS` (class of the action → function); here they become one. An action in none
of them ends the way of the packet, and the trace says at which action.

Tests: tests/unit/trace/test_trace_cases.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ovine.language import FIELDS, Packet
from ovine.model import sb
from ovine.trace import control, fields, guards, makers, neighbours, services, tracking
from ovine.trace.connections import Connections
from ovine.trace.machine import Handler, Machine
from ovine.trace.microflow import TraceError, microflow
from ovine.trace.names import Question
from ovine.trace.tree import Trace
from ovine.trace.values import describe
from ovine.trace.world import World

HANDLERS: Final[Mapping[type, Handler]] = {
    action: handler
    for module in (control, fields, tracking, neighbours, makers, services, guards)
    for action, handler in module.HANDLERS.items()
}

CT_FLAGS: Final = ("trk", "new", "est", "rel", "rpl", "inv", "dnat", "snat")


@dataclass(frozen=True)
class Options:
    """What cannot be known from the databases.

    `ct` are the words of --ct, one for each time that a flow asks. With `connections` these answer, and learn what the
    packet's way commits; `about` is then what an ICMP error is about. `question` is what
    the packet asks the DNS for.
    """

    ct: Sequence[str] = ()
    connections: Connections | None = None
    about: Packet | None = None
    question: Question | None = None


def ct_state(text: str) -> int:
    """A ct_state from names of flags; the packet is always tracked. Raises TraceError for a name that is none."""
    words = [word for word in re.split(r"[\s,|]+", text) if word]
    for word in words:
        if word not in CT_FLAGS:
            raise TraceError(f"--ct: {word!r} is no connection tracking flag: use {', '.join(CT_FLAGS)}")
    return sum(1 << FIELDS[f"ct.{word}"].offset for word in {"trk", *words})


def trace(world: World, port: sb.PortBinding, packet: Packet, options: Options = Options(), text: str = "") -> Trace:
    """What becomes of a packet that comes in at a port. `text` is the question, for the record."""
    states = [ct_state(words) for words in options.ct]
    if options.connections is not None:
        options.connections.subject = options.about or packet
    machine = Machine(world, HANDLERS, states, ct_state("trk,est"), options.connections, options.question)
    root = machine.ingress(port, packet)
    return Trace(text, describe(packet, world, port.datapath), root)


def run(world: World, datapath: str, text: str, options: Options = Options()) -> Trace:
    """What becomes of a microflow. Datapath "" is that of the port where it comes in.

    Raises TraceError or SyntaxProblem if it cannot be asked so.
    """
    port, packet = microflow(world, datapath, text)
    return trace(world, port, packet, options, text)
