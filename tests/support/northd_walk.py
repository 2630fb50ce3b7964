"""Walks through northbound histories, and what must hold in every state.

A walk is a list of commands as of `support.northd`. At every step the incremental state must equal a recompute. At the
end, an engine that saw every step and one that saw only the last state must agree, but for the numbers that depend on
the order of events by design; they are made equal by seeding the second with those of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ovine import northd
from ovine.engine import Engine
from ovine.language import parse_actions, parse_match
from ovine.northd import bfd, datapaths, ipam, ports, snooping, tags
from ovine.northd.flows import FLOWS, Scope
from support.northd import Northbound

STICKY = (
    datapaths.KEYS,
    ports.KEYS,
    snooping.KEYS,
    ipam.ADDRESSES,
    ipam.MACS,
    tags.TAGS,
    bfd.SOURCE_PORTS,
    bfd.DISCRIMINATORS,
)


def walk(northbound: Northbound, commands: Iterable[str], apply: Callable[[Northbound, str], object]) -> Engine:
    """Applies the commands one by one; returns the engine that saw all of it, in its last state."""
    stepwise = northd.new_engine()
    for command in commands:
        apply(northbound, command)
        northbound.feed(stepwise)
        assert stepwise.audit() == [], command
    northbound.feed(stepwise)
    stepwise.run()
    at_once = northd.new_engine()
    for sticky in STICKY:
        at_once.seed(sticky, dict(stepwise.rows(sticky)))
    northbound.feed(at_once)
    at_once.run()
    assert stepwise.differences(at_once) == []
    assert [f.error for f in stepwise.failures()] == [f.error for f in at_once.failures()]
    check_invariants(stepwise)
    return stepwise


def check_invariants(engine: Engine) -> None:
    """What holds in every state: flows can be read, refer to what is there, and groups have at least two members."""
    for (place, *_), row in engine.rows(FLOWS).items():
        parse_match(row.match)
        if "^" not in row.actions:  # else it can be read when its variables have values
            parse_actions(row.actions, row.pipeline)  # type: ignore[arg-type]
        assert (row.logical_datapath is None) != (row.logical_dp_group is None)
        assert isinstance(place, Scope) or place in engine.rows(northd.flows.DATAPATHS)
    for scope, group in engine.rows(northd.flows.DP_GROUPS).items():
        assert len(group.datapaths) > 1, scope
    assert not any("rules disagree" in failure.error for failure in engine.failures())


def doing_it_again_does_nothing(northbound: Northbound) -> None:
    """An engine that is told once more what it knows runs nothing, and has nothing new to say."""
    engine = northd.new_engine()
    northbound.feed(engine)
    engine.run()
    for relation in northd.WATCHED:
        engine.take(relation)
    engine.log = []
    for (table, key), row in northbound.rows.items():
        engine.feed(table, key, row)
    engine.run()
    assert engine.log == []
    assert all(engine.take(relation) == [] for relation in northd.WATCHED)
