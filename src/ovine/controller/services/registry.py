"""The list of services and of their rules. Kept apart from the interface, which the services import.

Tests: tests/unit/controller/services/.
"""

from __future__ import annotations

from ovine.controller.services import (
    Service,
    acl_log,
    dhcp4,
    dhcp6,
    dns,
    fdb,
    mac_binding,
    neighbours,
    port_security,
    ra,
    refusals,
)
from ovine.engine import Rule

SERVICES: tuple[Service, ...] = (
    dhcp4.SERVICE,
    dhcp6.SERVICE,
    dns.SERVICE,
    fdb.SERVICE,
    *mac_binding.SERVICES,
    *neighbours.SERVICES,
    *refusals.SERVICES,
    ra.SERVICE,
    acl_log.SERVICE,
)
RULES: tuple[Rule, ...] = (*port_security.RULES, *fdb.RULES, *mac_binding.RULES)
