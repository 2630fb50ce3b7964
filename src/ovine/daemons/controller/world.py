"""What packet services of the controller may look at: `ovine.controller.services.World`, as the daemon has it.

Tests: tests/interop/controller/.
"""

from __future__ import annotations

import time

from ovine.daemons.controller.settings import Settings
from ovine.daemons.controller.southbound import Southbound
from ovine.ovsdb import Replica


class ServiceWorld:
    """What packet services may look at (`ovine.controller.services.World`)."""

    def __init__(self, southbound: Southbound, settings: Settings) -> None:
        self._southbound = southbound
        self._settings = settings

    @property
    def chassis(self) -> str:
        """The name of this chassis."""
        settings = self._settings.now
        return settings.chassis if settings is not None else ""

    @property
    def southbound(self) -> Replica:
        """The southbound rows that this host replicates."""
        if self._southbound.client is None:
            raise RuntimeError("there is no southbound database yet")
        return self._southbound.client.replica

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()
