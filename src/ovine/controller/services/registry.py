"""The list of services and of their rules. Kept apart from the interface, which the services import.

Tests: tests/unit/controller/services/.
"""

from __future__ import annotations

from random import Random
from typing import Any

from ovine.controller.services import (
    Service,
    acl_log,
    activation,
    ageing,
    announcements,
    bfd,
    dhcp4,
    dhcp6,
    dhcp_relay,
    dns,
    events,
    fdb,
    health,
    lb_flush,
    lb_hairpin,
    mac_binding,
    neighbours,
    port_security,
    prefix_delegation,
    ra,
    ra_periodic,
    refusals,
    snooping,
    virtual_ports,
)
from ovine.controller.services.timed import TimedServices
from ovine.controller.services.waiting import Waiting
from ovine.engine import Relation, Rule

SERVICES: tuple[Service, ...] = (
    dhcp4.SERVICE,
    dhcp6.SERVICE,
    *dhcp_relay.SERVICES,
    dns.SERVICE,
    fdb.SERVICE,
    *mac_binding.SERVICES,
    *neighbours.SERVICES,
    *refusals.SERVICES,
    ra.SERVICE,
    acl_log.SERVICE,
    bfd.SERVICE,
    virtual_ports.SERVICE,
    activation.SERVICE,
    snooping.SERVICE,
    health.SERVICE,
    events.SERVICE,
)
RULES: tuple[Rule, ...] = (
    *port_security.RULES,
    *fdb.RULES,
    *mac_binding.RULES,
    *announcements.RULES,
    *ra_periodic.RULES,
    *bfd.RULES,
    *lb_hairpin.RULES,
    *lb_flush.RULES,
    *prefix_delegation.RULES,
    *snooping.RULES,
    *health.RULES,
    *ageing.RULES,
)


def timed() -> TimedServices:
    """The services that act by the clock, as a host starts with them."""
    rng = Random()
    return TimedServices(
        (
            Waiting(),
            announcements.Announcer(),
            ra_periodic.PeriodicAdvertisements(rng),
            bfd.Sessions(rng),
            snooping.Snooping(),
            health.HealthChecks(rng),
            ageing.Refresher(rng),
        )
    )


WANTS: tuple[Relation[Any, Any], ...] = (
    announcements.ANNOUNCEMENTS,
    ra_periodic.ADVERTISERS,
    bfd.SESSIONS,
    snooping.SWITCHES,
    health.WATCHED,
    ageing.AGEING,
)
"""What they are told."""
