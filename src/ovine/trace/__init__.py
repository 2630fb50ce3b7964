"""What becomes of a packet: an interpreter of logical flows, and why each flow that decided exists.

The second executor of the flow language: it judges packets with `ovine.language` alone and knows nothing of OpenFlow,
so that it can judge what the controller compiles, too. Nothing here does I/O; `ovine.cli.trace_command` reads the
databases.

    world = world_of(rows)                                        # rows of the southbound
    trace = run(world, "net1", 'inport == "p1" && eth.dst == 0a:00:00:00:00:02')
    print(render.detailed(trace, Origins.of(north_rows, cloud_rows)))

Terms: a *trace* is a tree. A *section* is a packet in one pipeline of one datapath (or a multicast group's fan-out),
a *step* is a flow that decided in one stage, a *fork* is a copy or a new packet that goes a way of its own, and an
*ending* says where a way ends: delivered, dropped, omitted, or stopped at something that cannot be known here.

For readers: docs/trace.md. Tests: tests/unit/trace/, tests/interop/test_trace_*.py.
"""

from ovine.trace import render
from ovine.trace.connections import Connections
from ovine.trace.explain import Origins, Reason
from ovine.trace.interpreter import Options, run, trace
from ovine.trace.microflow import TraceError, find_datapath, microflow
from ovine.trace.tree import (
    Change,
    Delivered,
    Dropped,
    Effect,
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
from ovine.trace.world import World, world_of

__all__ = [
    "Change",
    "Connections",
    "Delivered",
    "Dropped",
    "Effect",
    "Fork",
    "Node",
    "Omitted",
    "Options",
    "Origins",
    "Reason",
    "Section",
    "Step",
    "Stopped",
    "Trace",
    "TraceError",
    "World",
    "endings",
    "find_datapath",
    "microflow",
    "render",
    "run",
    "trace",
    "walk",
    "world_of",
]
