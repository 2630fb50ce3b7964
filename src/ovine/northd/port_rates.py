"""Rates of ports: packets are told the queue of the port that sends them, and that of the localnet port they leave by.

The queue stays with a packet, also into tunnels and physical networks. Where it leaves, the host's queues limit it.
Numbers and rates are `ovine.northd.queues`.

Wire behaviour is that of ovn-northd(8), "Admission Control" and "Egress Port Security", actions set_queue.
Tests: tests/cases/northd/port_rates.txt, tests/cases/packets/qos_rates.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.flows import FLOWS, flow, quoted
from ovine.northd.pipeline import ADMIT, CHECK, UNWANTED
from ovine.northd.port_security import CHECKED
from ovine.northd.ports import LOCALNET, PORTS
from ovine.northd.queues import QUEUED
from ovine.northd.switching import LOOK_UP

SOURCE = "port_rates"


@rule(over=QUEUED, writes=(FLOWS,))
def told(q: Reader, key: Uuid) -> Iterator[Emit]:
    """One flow for a port, that does besides what the stage does for all packets of the port."""
    port = q.get(PORTS, key)
    if port is None or not port.enabled:
        return
    name, action = quoted(port.name), f"set_queue({q.row(QUEUED, key)});"
    if port.type == LOCALNET:
        actions = f"{action} {UNWANTED.field} = check_out_port_sec(); next;"
        yield flow(port.switch, CHECK, 150, f"outport == {name}", actions, source=SOURCE, hint=key)
    else:
        actions = f"{action} {LOOK_UP if port.learns else CHECKED}"
        yield flow(port.switch, ADMIT, 70, f"inport == {name}", actions, source=SOURCE, hint=key, port=port.name)
