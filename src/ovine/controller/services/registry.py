"""The list of services and of their rules. Kept apart from the interface, which the services import.

Tests: tests/unit/controller/.
"""

from __future__ import annotations

from ovine.controller.services import Service
from ovine.engine import Rule

SERVICES: tuple[Service, ...] = ()
RULES: tuple[Rule, ...] = ()
