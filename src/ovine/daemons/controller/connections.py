"""Ends the connections of load balancers whose backends are gone, after the switch has acknowledged flows without them.

What is to end is worked out by `ovine.controller.services.lb_flush`. Tests: tests/cases/packets/lb_flush*.txt,
tests/packets/controller/test_controller_connections.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ovine.controller.local import CLAIMED_IN, CLAIMS
from ovine.controller.services.lb_flush import BALANCED, Balanced, lost
from ovine.controller.zones import ZONES

if TYPE_CHECKING:
    from ovine.daemons.controller.link import SwitchLink
    from ovine.engine import Engine
    from ovine.model.base import Uuid


class Connections:
    """Remembers what load balancers did when the switch last had all flows for it: nothing at the start."""

    def __init__(self) -> None:
        self._before: Mapping[Uuid, Balanced] = {}

    async def end(self, engine: Engine, now: Mapping[Uuid, Balanced], link: SwitchLink) -> bool:
        """Has the switch forget what is lost; False if it is away, and then it is tried again."""
        gone = lost(self._before, now, lambda datapaths: zones_of(engine, datapaths))
        if gone and not await link.forget(gone):
            return False
        self._before = now
        return True


def balanced(engine: Engine) -> Mapping[Uuid, Balanced]:
    """What load balancers do here, as computed now."""
    return dict(engine.rows(BALANCED))


def zones_of(engine: Engine, datapaths: Iterable[Uuid]) -> set[int]:
    """The conntrack zones of datapaths, and of their ports on this host."""
    wanted, claims, zones = set(datapaths), engine.rows(CLAIMS), engine.rows(ZONES)
    names = [f"{datapath}_{kind}" for datapath in wanted for kind in ("dnat", "snat")]
    for port, datapath in engine.rows(CLAIMED_IN).items():
        if datapath in wanted and port in claims:
            names.append(claims[port].logical_port)
    return {zones[name] for name in names if name in zones}
