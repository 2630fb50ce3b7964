"""What is lost of routed and translated traffic when a part of the cloud restarts.

    sudo .venv/bin/python bench/restart_losses.py [--stacks ovine c] [--json FILE] [--page FILE] [--check]

A lab with three hosts and the cloud of bench/routed_cloud.py is started once for each stack. Three pings go on, one
packet every 10 ms: *routed* from an instance to one of another network on another host, *floating IP* from a machine
outside to an instance, *SNAT* from an instance to that machine. Each part is then ended, by SIGTERM and by SIGKILL,
and started again; when all hosts say that they have everything (`hv_cfg`) and answers come, the lost packets are
counted. `--stacks` chooses whose northd and controllers run under the same API: "ovine" is ours, "c" Debian's.
`--page` writes the table of docs/restarts.md. `--check` ends with status 1 if our northd or controller, or an
ovsdb-server under them, loses a packet.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import command_line
from ovine.lab import Lab, restarts
from routed_cloud import KINDS, RoutedCloud, make, pings


@dataclass(frozen=True)
class Loss:
    """Packets lost of those sent, by kind of traffic."""

    stack: str
    part: str
    how: str
    sent: dict[str, int]
    lost: dict[str, int]


def parts() -> dict[str, Callable[[RoutedCloud], str]]:
    """What restarts, in words, and how to find the lab's name for it: the gateway may have moved meanwhile."""
    return {
        "northd": lambda _: "northd",
        "northbound ovsdb-server": lambda _: "nb-db",
        "southbound ovsdb-server": lambda _: "sb-db",
        "controller of the instance's host": lambda _: "h1-controller",
        "controller of the gateway": lambda cloud: f"{cloud.gateway}-controller",
        "ovsdb-server of the instance's host": lambda _: "h1-ovsdb",
        "ovsdb-server of the gateway": lambda cloud: f"{cloud.gateway}-ovsdb",
        "ovs-vswitchd of the instance's host": lambda _: "h1-vswitchd",
        "ovs-vswitchd of the gateway": lambda cloud: f"{cloud.gateway}-vswitchd",
    }


REST = 10.0
"""Seconds between two losses of a switch's own database: in quick succession ovs-vswitchd waits longer each time before
it connects again, and does not work its BFD sessions meanwhile, so that gateways change."""


def measure(cloud: RoutedCloud, stack: str, part: str, name: str, kill: bool) -> Loss:
    def happening() -> None:
        restarts.restart(cloud.lab, name, kill=kill)
        cloud.lab.sync()

    outcomes = pings(cloud, happening)
    return Loss(
        stack,
        part,
        "SIGKILL" if kill else "SIGTERM",
        {kind: outcome.sent for kind, outcome in outcomes.items()},
        {kind: outcome.sent - outcome.received for kind, outcome in outcomes.items()},
    )


def measure_all(stack: str) -> list[Loss]:
    found = []
    with Lab(northd=stack, controllers=[stack] * 3) as lab:
        cloud = make(lab)
        for part, name in parts().items():
            for kill in (False, True):
                if name(cloud).endswith("-ovsdb"):
                    time.sleep(REST)
                found.append(measure(cloud, stack, part, name(cloud), kill))
                loss = found[-1]
                print(f"{stack}: {part}, {loss.how}: lost {loss.lost} of {loss.sent}", flush=True)
    return found


def page(losses: list[Loss]) -> str:
    """The table in docs/restarts.md: a row for each part and signal, a column for each stack and kind of traffic."""
    stacks = list(dict.fromkeys(loss.stack for loss in losses))
    columns = [(stack, kind) for stack in stacks for kind in KINDS]
    heads = [f"{command_line.TITLES[stack]}: {kind}" for stack, kind in columns]
    lines = ["| restarted | by | " + " | ".join(heads) + " |"]
    lines.append("|---|---|" + "---:|" * len(columns))
    rows = dict.fromkeys((loss.part, loss.how) for loss in losses)
    cells = {(loss.part, loss.how, loss.stack): loss for loss in losses}
    for part, how in rows:
        shown = [str(cells[part, how, stack].lost[kind]) for stack, kind in columns]
        lines.append(f"| {part} | {how} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def must_not_lose(loss: Loss) -> bool:
    return loss.stack == "ovine" and "vswitchd" not in loss.part


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check="if northd, a controller or an ovsdb-server of ours loses a packet")
    command_line.add_stacks(parser)
    command_line.add_page(parser, "restarts.md")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    losses = [loss for stack in asked.stacks for loss in measure_all(stack)]
    command_line.publish(asked, losses, page(losses))
    bad = [loss for loss in losses if must_not_lose(loss) and any(loss.lost.values())]
    for loss in bad:
        print(f"lost packets: {loss.part}, {loss.how}: {loss.lost}")
    return 1 if asked.check and bad else 0


if __name__ == "__main__":
    sys.exit(main())
