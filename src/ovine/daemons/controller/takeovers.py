"""Ports of ours that other chassis take over, and what becomes of them: told to the engine as facts.

A binding is a row that each chassis may write, and only the change of it shows who did what; so this looks at changes,
not at rows.

Tests: tests/cases/packets/, tests/lab/test_lab_live_migration.py, tests/interop/controller/test_controller_daemon.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ovine.controller.activation import Activated, is_over
from ovine.controller.local import CLAIMS, Yielded
from ovine.controller.southbound import own_chassis
from ovine.daemons.controller.computation import Computation
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.ovsdb import Replica


class Takeovers:
    """Reads them off changes of Port_Binding."""

    def __init__(self, computation: Computation, taken: Callable[[Uuid], None], log: logging.Logger) -> None:
        """`taken` is told of ports without an interface that another chassis has bound."""
        self._computation = computation
        self._taken = taken
        self._log = log

    def notice(self, replica: Replica, chassis: str, old: sb.PortBinding | None, new: sb.PortBinding | None) -> None:
        """Looks at a change, as the chassis of this name."""
        name = _name(old, new)
        ours = own_chassis(replica, chassis)
        self._notice_rival(name, ours, old, new)
        if self._computation.engine.rows(Activated).get(name) is not None and is_over(new, chassis, ours):
            self._computation.feed(Activated, name, None)

    def _notice_rival(
        self, name: str, ours: Uuid | None, old: sb.PortBinding | None, new: sb.PortBinding | None
    ) -> None:
        """Records that another chassis took a port of ours over, or that it is free again."""
        rows = self._computation.engine.rows
        if new is None or new.chassis is None or new.chassis == ours:
            if rows(Yielded).get(name) is not None:
                self._computation.feed(Yielded, name, None)
        elif old is not None and ours is not None and old.chassis == ours:
            claim = rows(CLAIMS).get(new.uuid)
            if claim is not None and claim.interface is not None:
                self._log.info("port %s is now bound to another chassis", name)
                self._computation.feed(Yielded, name, Yielded(claim.interface))
            elif claim is not None:
                self._taken(new.uuid)


def _name(old: sb.PortBinding | None, new: sb.PortBinding | None) -> str:
    row = new if new is not None else old
    assert row is not None
    return row.logical_port
