"""How a controller was started, as far as rules are told.

Tests: tests/interop/daemons/, tests/unit/controller/.
"""

from __future__ import annotations

import contextlib
import socket

from ovine.controller.config import Startup
from ovine.daemons.context import Context


def startup(context: Context) -> Startup:
    """What the command line and the override file say of the chassis's name, and the host's own name."""
    name = context.options.value("system-id")
    if not name:
        with contextlib.suppress(OSError):
            name = context.paths.system_id_override.read_text().strip()
    return Startup(name or None, socket.gethostname())
