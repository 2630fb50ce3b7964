"""`make demo`: a cloud of three hosts and two tenants with the same addresses, and what must and must not work there.

The networks are made by the real `openstack` client (`demo_cloud`), the packets are real (`demo_checks`), and the OVN
tools are Debian's. Tests: tests/lab/test_demo.py runs it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from ovine.lab import demo_cloud
from ovine.lab.demo_checks import Check, checks, traced, traced_by_ovine
from ovine.lab.demo_cloud import GUESTS, DemoCloud
from ovine.lab.errors import LabError
from ovine.lab.interrupts import ended_by_sigterm
from ovine.lab.lab import Lab
from ovine.lab.spec import spread

HOSTS = 3
PLAIN_WIDTH = 150


@dataclass(frozen=True)
class Outcome:
    what: str
    expected: str
    seen: str

    @property
    def good(self) -> bool:
        return self.seen.startswith(self.expected)


def main(northd: str = "ovine", controllers: Sequence[str] = ("ovine",)) -> int:
    """Runs the demo; 0 if all was as expected. Whatever happens, nothing of it is left behind."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    started = time.monotonic()

    def say(step: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.1f} s[/dim]  {step}")

    lab = Lab(northd=northd, controllers=spread(controllers, HOSTS))
    with ended_by_sigterm():
        lab.up(say)
        try:
            outcomes = show(lab, console, say)
        finally:
            say("cleaning up")
            lab.down()
    console.print(as_table(outcomes))
    bad = sum(not outcome.good for outcome in outcomes)
    verdict = "all as expected" if not bad else f"{bad} of {len(outcomes)} not as expected"
    console.print(f"{verdict}; {time.monotonic() - started:.0f} s in all")
    return 1 if bad else 0


def show(lab: Lab, console: Console, say: Callable[[str], None]) -> list[Outcome]:
    """Makes a cloud, then tries everything. A failed check does not end the demo."""
    say("openstack: a public network; a router and two networks for one project, a network for another")
    say("five instances: " + ", ".join(f"{g.name} on {g.host} with {g.address}" for g in GUESTS))
    cloud = demo_cloud.make(lab)
    say(f"red1 has the floating IP {cloud.floating_ip}; what the OVN tools say")
    show_tools(cloud, console)
    say("trying")
    return [try_out(check) for check in checks(cloud)]


def try_out(check: Check) -> Outcome:
    try:
        seen = check.look()
    except (LabError, OSError) as error:
        seen = f"failed: {error}"
    return Outcome(check.what, check.expected, seen)


# --- what is shown


def show_tools(cloud: DemoCloud, console: Console) -> None:
    """Debian's OVN tools on the lab's databases, and our trace of a packet that is dropped."""
    lab = cloud.lab
    show_command(console, "ovn-nbctl show | head", lab.nbctl("show"), 12)
    show_command(console, "ovn-sbctl lflow-list | head", lab.sbctl("lflow-list"), 12)
    show_command(console, "ovn-trace: red1 to red2", traced(lab, lab.instance("red1"), lab.instance("red2")), 60)
    show_command(console, "ovine trace: from outside to red1, port 22", traced_by_ovine(cloud), 60)


def show_command(console: Console, title: str, output: str, lines: int) -> None:
    console.print(f"\n[bold]$ {title}[/bold]")
    for line in output.splitlines()[:lines]:
        console.print(line, markup=False, overflow="ellipsis", no_wrap=True)
    console.print()


def as_table(outcomes: Sequence[Outcome]) -> Table:
    table = Table()
    for column in ("tried", "expected", "seen", ""):
        table.add_column(column)
    for outcome in outcomes:
        mark = "[green]ok[/green]" if outcome.good else "[red]NOT OK[/red]"
        table.add_row(outcome.what, outcome.expected, outcome.seen, mark)
    return table
