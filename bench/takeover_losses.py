"""What is lost when a running cloud changes from Debian's OVN daemons to ours, one by one, and back again.

    sudo .venv/bin/python bench/takeover_losses.py [--json FILE] [--page FILE] [--check]

The cloud of bench/routed_cloud.py is started with Debian's ovn-northd and ovn-controllers. Three pings go on, one
packet every 10 ms: *routed* between instances of two networks on two hosts, *floating IP* from a machine outside,
*SNAT* from an instance to that machine. First northd is replaced by ours, then the controllers host by host; then all
is put back in the same order, for which Debian's controllers are told to compute their flows before they empty the
switch (`ovn-ofctrl-wait-before-clear`). After each step all hosts say that they have everything (`hv_cfg`), and what
was lost is counted. `--page` writes the table of docs/restarts.md. `--check` ends with status 1 if a packet was lost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import command_line
from ovine.lab import Lab, restarts
from ovine.lab.spec import Flavour
from routed_cloud import KINDS, RoutedCloud, make, pings

PATIENCE = 120.0
"""Seconds for answers to come again: Debian's controller has been seen to take half a minute on a busy machine."""
WAIT_BEFORE_CLEAR = 8000
"""Milliseconds for which Debian's controllers compute before they empty the switch."""
TITLES: dict[Flavour, str] = {"ovine": "Ovine's", "c": "Debian's"}


@dataclass(frozen=True)
class Step:
    """One daemon that was replaced, and the packets lost of those sent, by kind of traffic."""

    what: str
    to: Flavour
    sent: dict[str, int]
    lost: dict[str, int]


def steps(lab: Lab, to: Flavour) -> Iterator[tuple[str, Callable[[], None]]]:
    """The replacements of one direction, in an operator's order."""
    yield "northd", lambda: restarts.replace_northd(lab, to)
    for host in lab.spec.hosts:
        yield f"controller of {host.name}", lambda name=host.name: restarts.replace_controller(lab, name, to)


def step(cloud: RoutedCloud, what: str, to: Flavour, action: Callable[[], None]) -> Step:
    """Replaces a daemon under traffic."""
    outcomes = pings(cloud, lambda: (action(), cloud.lab.sync(60)), patience=PATIENCE)
    return Step(
        what,
        to,
        {kind: outcome.sent for kind, outcome in outcomes.items()},
        {kind: outcome.sent - outcome.received for kind, outcome in outcomes.items()},
    )


def take_over_and_back(cloud: RoutedCloud, progress: Callable[[Step], None]) -> list[Step]:
    """Both directions, in a cloud under Debian's daemons."""
    found = []
    directions: tuple[Flavour, ...] = ("ovine", "c")
    for to in directions:
        if to == "c":
            ask_for_patience(cloud.lab)
        for what, action in steps(cloud.lab, to):
            found.append(step(cloud, what, to, action))
            progress(found[-1])
    return found


def ask_for_patience(lab: Lab) -> None:
    """Lets Debian's controllers compute their flows before they empty the switch, as ovn-controller(8) advises."""
    setting = f"external_ids:ovn-ofctrl-wait-before-clear={WAIT_BEFORE_CLEAR}"
    for host in lab.spec.hosts:
        lab.vsctl(host.name, "set", "Open_vSwitch", ".", setting)


def page(found: list[Step]) -> str:
    """The table in docs/restarts.md."""
    lines = ["| replaced | by | " + " | ".join(KINDS) + " |", "|---|---|" + "---:|" * len(KINDS)]
    for one in found:
        cells = " | ".join(str(one.lost[kind]) for kind in KINDS)
        lines.append(f"| {one.what} | {TITLES[one.to]} | {cells} |")
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check="if a packet was lost")
    command_line.add_page(parser, "restarts.md")
    return parser.parse_args()


def show(one: Step) -> None:
    print(f"{one.what} replaced by {TITLES[one.to]}: lost {one.lost} of {one.sent}", flush=True)


def main() -> int:
    asked = arguments()
    with Lab(northd="c", controllers=["c", "c", "c"]) as lab:
        found = take_over_and_back(make(lab), show)
    command_line.publish(asked, found, page(found))
    bad = [one for one in found if any(one.lost.values())]
    return 1 if asked.check and bad else 0


if __name__ == "__main__":
    sys.exit(main())
