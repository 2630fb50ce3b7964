"""Queues of ports with rates: options:qos_max_rate, qos_min_rate and qos_burst.

A port of an instance has a queue on its chassis, for what it sends; a localnet port has the same number on all
chassis, for what leaves by it. Numbers of the two kinds are apart, so that they meet on no chassis. The binding carries
the rates and the number; `ovine.northd.port_rates` has packets say it, and hosts set the queue up.

Source: ovn-nb(5), options qos_max_rate and following; ovn-sb(5), Port_Binding options:qdisc_queue_id.
Tests: tests/cases/northd/port_rates.txt, tests/unit/northd/test_northd_port_rates.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, Relation, Sticky, rule
from ovine.model import nb
from ovine.model.base import Map, StrMap, Uuid
from ovine.northd.inputs import BOUND

NUMBER = "qdisc_queue_id"
LOCALNET = "localnet"
LIMITS = frozenset({"qos_max_rate", "qos_min_rate"})
RATES = LIMITS | {"qos_burst"}

OF_CHASSIS: Sticky[tuple[Uuid, str]] = Sticky("queues of chassis", 1, 40960)
"""By (chassis, port name); a pool for each chassis."""
EVERYWHERE: Sticky[str] = Sticky("queues of localnet ports", 40961, 61440)
"""By port name."""
QUEUED: Relation[Uuid, int] = Relation("queues of ports")
"""The number, by the northbound port."""

RATED = Index(
    nb.LogicalSwitchPort,
    lambda row: (row.uuid,) if row.type in ("", LOCALNET) and not RATES.isdisjoint(row.options) else (),
    "ports with rates",
)


def problem(options: Map[str, str]) -> str:
    """What is wrong with the rates (bit/s) and the burst (bits) of a port; "" if nothing is."""
    for name in sorted(RATES & options.keys()):
        text = options[name]
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            return f"{name} {text!r} is not a positive number of bits"
    if not LIMITS & options.keys():
        return "it has a burst, but no rate"
    if options.keys() >= LIMITS and int(options["qos_min_rate"]) > int(options["qos_max_rate"]):
        return "its qos_min_rate is above its qos_max_rate"
    return ""


def numbered(options: Map[str, str], number: int | None) -> Map[str, str]:
    """The options of a binding with the number of its queue."""
    if number is None:
        return options if NUMBER not in options else StrMap({k: v for k, v in options.items() if k != NUMBER})
    return StrMap({**options, NUMBER: str(number)})


def _home(q: Reader, name: str) -> Uuid | None:
    """The chassis that a port is bound to."""
    bindings = q.find_rows(BOUND, name)
    return bindings[0].chassis if bindings else None


@rule(over=RATED, writes=(OF_CHASSIS, EVERYWHERE))
def ask_queue(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Asks for a number for a port with rates: on its chassis, or for all of them. Reports rates that make no sense."""
    row = q.row(nb.LogicalSwitchPort, key)
    wrong = problem(row.options)
    if wrong:
        raise ValueError(f"port {row.name} is not limited: {wrong}")
    home = _home(q, row.name)
    if row.type == LOCALNET:
        yield EVERYWHERE.request(row.name)
    elif home is not None:
        yield OF_CHASSIS.request((home, row.name), pool=home)


@rule(over=RATED, writes=(QUEUED,))
def queue(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The number that was given."""
    row = q.row(nb.LogicalSwitchPort, key)
    home = _home(q, row.name)
    if row.type == LOCALNET:
        number = q.get(EVERYWHERE, row.name)
    else:
        number = q.get(OF_CHASSIS, (home, row.name)) if home is not None else None
    if number is not None:
        yield QUEUED(key, number)


RULES = (ask_queue, queue)
