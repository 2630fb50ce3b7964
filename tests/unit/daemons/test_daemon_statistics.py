"""The text of inc-engine/show-stats."""

import asyncio

import pytest

from ovine.daemons import statistics
from ovine.daemons.unixctl import CommandError, Commands

COUNTS = {"northd": {"recompute": 1, "compute": 12, "cancel": 3}, "flows": {"compute": 7}}


def test_nodes_keep_their_order_and_missing_counters_are_zero():
    assert statistics.render(COUNTS) == (
        "Node: northd\n- recompute:            1\n- compute:              12\n- cancel:               3\n"
        "Node: flows\n- recompute:            0\n- compute:              7\n- cancel:               0\n"
    )
    assert statistics.render({}) == ""


def test_one_number_can_be_asked_for():
    assert statistics.select(COUNTS, "northd", "compute") == "12"
    assert statistics.select(COUNTS, "flows", "recompute") == "0"


def test_an_unknown_node_or_counter_is_refused():
    with pytest.raises(CommandError, match="no node 'x'"):
        statistics.select(COUNTS, "x", "compute")
    with pytest.raises(CommandError, match="no counter 'x': it is one of recompute, compute, cancel"):
        statistics.select(COUNTS, "northd", "x")


def test_the_commands_read_the_counts_at_the_moment_and_clear_them():
    counts = {"a": {"compute": 1}}
    commands = Commands()
    statistics.register(commands, lambda: counts, lambda: counts["a"].update(compute=0))
    counts["a"]["compute"] = 5
    assert asyncio.run(commands.run("inc-engine/show-stats", ["a", "compute"])) == "5"
    assert asyncio.run(commands.run("inc-engine/clear-stats", [])) == ""
    assert asyncio.run(commands.run("inc-engine/show-stats", ["a", "compute"])) == "0"
