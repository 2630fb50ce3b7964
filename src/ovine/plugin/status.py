"""State that flows up: a port is ACTIVE while its logical switch port is up."""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import cloud, nb
from ovine.model.base import Uuid
from ovine.plugin.inputs import SWITCH_PORTS_BY_NAME

PORT_STATUS: Relation[Uuid, cloud.Port] = Relation("Port (status)")


@rule(over=cloud.Port, writes=(PORT_STATUS,))
def port_status(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What the API shows as a port's status."""
    up = any(q.row(nb.LogicalSwitchPort, port).up for port in q.find(SWITCH_PORTS_BY_NAME, key))
    yield PORT_STATUS(key, cloud.Port(status="ACTIVE" if up else "DOWN"))
