"""The counters of incremental work as `inc-engine/show-stats` prints them.

A daemon hands over a function that returns {node: {counter: number}}, with the counters `recompute` (computed from
nothing), `compute` (brought up to date from a change) and `cancel` (put off); the words are those of OVN's command.
Tests: tests/unit/daemons/test_daemon_statistics.py.
"""

from collections.abc import Callable, Mapping

from ovine.daemons.unixctl import CommandError, Commands

type_of_statistics = Mapping[str, Mapping[str, int]]
COUNTERS = ("recompute", "compute", "cancel")


def render(statistics: type_of_statistics) -> str:
    """All nodes in their order, a line for each counter."""
    return "".join(
        f"Node: {node}\n" + "".join(f"- {name + ':':<22}{counts.get(name, 0)}\n" for name in COUNTERS)
        for node, counts in statistics.items()
    )


def select(statistics: type_of_statistics, node: str, counter: str | None = None) -> str:
    """One node, or one number.  CommandError if there is no such node or counter."""
    if node not in statistics:
        raise CommandError(f"no node {node!r}; inc-engine/show-stats lists them all")
    if counter is None:
        return render({node: statistics[node]})
    if counter not in COUNTERS:
        raise CommandError(f"no counter {counter!r}: it is one of {', '.join(COUNTERS)}")
    return str(statistics[node].get(counter, 0))


def register(commands: Commands, read: Callable[[], type_of_statistics], clear: Callable[[], None]) -> None:
    """Add `inc-engine/show-stats` and `inc-engine/clear-stats`, answered from what `read` returns at the moment."""

    def show(words: list[str]) -> str:
        return select(read(), *words) if words else render(read())

    def clear_all(words: list[str]) -> str:
        del words
        clear()
        return ""

    commands.register("inc-engine/show-stats", "[NODE [COUNTER]]", 0, 2, show)
    commands.register("inc-engine/clear-stats", "", 0, 0, clear_all)
