"""`ovine status`: what `ovine.lab.facts` read, as tables. Tests: tests/unit/cli/test_cli_status.py, tests/lab/."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from ovine.cli.choose import choose
from ovine.lab import facts, requirements
from ovine.lab.facts import Facts, Failure

RULES_SHOWN = 3
OUR_WORDS = re.compile(
    r"^(ValueError|NotCompiled|LogicalFlowError|IncompleteSettings|MissingBridge|UnsupportedPort|UnsupportedAction): "
)
"""Kinds of errors whose text is meant for the user; of any other the kind is told, for it is a defect."""


def show(lab_name: str) -> int:
    """Prints the state of a lab; 0 if all is well, 1 if a rule fails, a host is not there, or a process has ended."""
    lab = choose(lab_name)
    requirements.check()
    # The database clients report their coming and going; here only the answer is wanted.
    logging.getLogger("ovine").setLevel(logging.ERROR)
    state = facts.read(lab)
    render(state, lab.spec.name, Console(highlight=False))
    return 0 if is_well(state) else 1


def is_well(state: Facts) -> bool:
    return not state.failures and not state.ended and all(host.registered for host in state.hosts)


def render(state: Facts, name: str, console: Console) -> None:
    table = Table(title=f"lab {name}", title_justify="left")
    for column in ("host", "controller", "switch", "ports up/bound", "nb_cfg"):
        table.add_column(column)
    for host in state.hosts:
        behind = "" if host.nb_cfg == state.nb_cfg else f" of {state.nb_cfg}"
        row = [host.name, host.controller, host.switch, f"{host.up}/{host.bound}", f"{host.nb_cfg}{behind}"]
        table.add_row(*row, style=None if host.registered else "red")
    console.print(table)
    for daemon, version in state.daemons.items():
        console.print(f"{daemon}: {version}")
    console.print(f"logical switch ports: {state.ports_up} of {state.ports} up")
    console.print(f"changes: nb_cfg {state.nb_cfg}, in the southbound {state.sb_cfg}, on all hosts {state.hv_cfg}")
    for process in state.ended:
        console.print(f"[red]{process} has ended[/red]")
    for line in _told(state.failures):
        console.print(line, style="red", markup=False, soft_wrap=True)
    if not state.failures:
        console.print("failing rules: none")


def _told(failures: Iterable[Failure]) -> Iterator[str]:
    """A line for each thing that is wrong: who says so, what it is, and which rules (all hosts meet the same flow)."""
    found: dict[str, list[Failure]] = {}
    for failure in failures:
        found.setdefault(OUR_WORDS.sub("", failure.error), []).append(failure)
    for what, alike in found.items():
        daemons = ", ".join(dict.fromkeys(failure.daemon for failure in alike))
        rules = list(dict.fromkeys(_rule(failure) for failure in alike if failure.rule))
        more = f" and {len(rules) - RULES_SHOWN} more" if len(rules) > RULES_SHOWN else ""
        yield f"{daemons}: {what}" + (f" (rule {', '.join(rules[:RULES_SHOWN])}{more})" if rules else "")


def _rule(failure: Failure) -> str:
    """A rule's name, and the key that it failed for if the error does not name it already."""
    named = any(word in failure.error for word in re.findall(r"[0-9a-f-]{36}", failure.key))
    return failure.rule if named or failure.key == "()" else f"{failure.rule} for {failure.key}"
