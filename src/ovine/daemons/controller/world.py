"""What packet services of the controller may look at: `ovine.controller.services.World`, as the daemon has it.

Tests: tests/interop/controller/.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovine.daemons.controller.controller import Controller
    from ovine.ovsdb import Replica


class ServiceWorld:
    """What packet services may look at (`ovine.controller.services.World`)."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    @property
    def chassis(self) -> str:
        """The name of this chassis."""
        settings = self._controller.settings
        return settings.chassis if settings is not None else ""

    @property
    def southbound(self) -> Replica:
        """The southbound rows that this host replicates."""
        if self._controller.southbound is None:
            raise RuntimeError("there is no southbound database yet")
        return self._controller.southbound.replica

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()
