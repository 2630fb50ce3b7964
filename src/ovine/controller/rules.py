"""All rules of the controller, and the relations that the daemon carries out.

Tests: tests/unit/controller/, tests/paths/test_controller_walk.py.
"""

from __future__ import annotations

from typing import Any, Final

from ovine.controller import (
    activation,
    addresses,
    bfd,
    chassis,
    chassis_macs,
    demands,
    ha,
    interest,
    local,
    logical,
    members,
    mirrors,
    multicast,
    patches,
    peers,
    physical,
    placed,
    plans,
    rates,
    reach,
    redirect,
    residents,
    services,
    sums,
    switch_tables,
    tunnels,
    zones,
)
from ovine.controller.config import Startup
from ovine.controller.flows import FLOWS, clashes
from ovine.engine import Engine, Failure, Relation, Rule, Sticky
from ovine.model import sb, vs
from ovine.model.base import Row
from ovine.ovsdb import Monitor

RULES: Final[tuple[Rule, ...]] = (
    *local.RULES,
    *ha.RULES,
    *residents.RULES,
    *reach.RULES,
    *zones.RULES,
    *interest.RULES,
    *tunnels.RULES,
    *bfd.RULES,
    *patches.RULES,
    *mirrors.RULES,
    *rates.RULES,
    *physical.RULES,
    *peers.RULES,
    *redirect.RULES,
    *chassis_macs.RULES,
    *multicast.RULES,
    *placed.RULES,
    *plans.RULES,
    *members.RULES,
    *addresses.RULES,
    *logical.RULES,
    *sums.RULES,
    *demands.RULES,
    *switch_tables.RULES,
    *chassis.RULES,
    *services.rules(),
)
TO_SOUTHBOUND: Final[tuple[Relation[Any, Any], ...]] = (chassis.PRESENCE, local.CLAIMS)
TO_LOCAL: Final[tuple[Relation[Any, Any], ...]] = (
    tunnels.TUNNELS,
    bfd.BFD,
    patches.PATCHES,
    zones.ZONES,
    mirrors.MIRRORS,
    rates.SHAPED,
)
"""What leads to writes into the southbound, and (besides that) into the local database."""
WATCHED: Final[tuple[Relation[Any, Any], ...]] = (
    FLOWS,
    switch_tables.GROUPS,
    switch_tables.METERS,
    interest.INTEREST,
    *TO_SOUTHBOUND,
    *TO_LOCAL,
    *services.wants(),
)
PLANNED_FROM: Final[frozenset[type[Row]]] = frozenset(
    {sb.SBGlobal, sb.Chassis, sb.ChassisPrivate, sb.Encap, sb.PortBinding}
)
"""The southbound tables that plans of what is written there look at (`ovine.controller.southbound`)."""

SWITCH_MONITORS: Final = (
    Monitor(vs.OpenVSwitch, columns=("bridges", "external_ids", "iface_types")),
    Monitor(vs.SSL),
    Monitor(
        vs.Bridge,
        columns=("name", "ports", "mirrors", "datapath_type", "fail_mode", "other_config", "external_ids", "protocols"),
    ),
    Monitor(vs.Port, columns=("name", "interfaces", "qos", "external_ids")),
    Monitor(vs.QoS),
    Monitor(vs.Queue),
    Monitor(vs.Mirror, columns=("name", "select_src_port", "select_dst_port", "output_port", "external_ids")),
    Monitor(vs.Interface, columns=("name", "type", "options", "external_ids", "ofport", "bfd", "bfd_status")),
)
"""Not the columns that change by themselves all the time, such as statistics."""


INPUTS: Final[tuple[type[Any], ...]] = (
    local.Yielded,
    activation.Activated,
    *(monitor.table for monitor in SWITCH_MONITORS),
    *interest.WHOLE,
    *interest.CONDITIONAL,
)
"""What the engine is fed with while it runs."""
STICKY: Final[tuple[Sticky[Any], ...]] = (
    zones.ZONES,
    sums.CONJUNCTIONS,
    switch_tables.GROUP_NUMBERS,
    switch_tables.METER_NUMBERS,
)


def new_engine(startup: Startup) -> Engine:
    """An engine with the controller's rules, told how the process was started."""
    engine = Engine(RULES, WATCHED)
    engine.feed(Startup, (), startup)
    return engine


def failures(engine: Engine) -> list[Failure]:
    """Everything that does not work. Flows that rivals agree on are no failure, whoever's cookie they bear."""
    found = [failure for failure in engine.failures() if failure.rule != FLOWS.name]
    for key in clashes(engine):
        rivals = ", ".join(f"{name} at {origin!r}" for name, origin in engine.origins(FLOWS, key))
        found.append(Failure(FLOWS.name, repr(key), f"rules want different actions: {rivals}"))
    return sorted(found, key=lambda failure: (failure.rule, failure.key))
