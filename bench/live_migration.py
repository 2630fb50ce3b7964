"""What an instance misses while it moves to another host.

    sudo chrt -r 5 .venv/bin/python bench/live_migration.py [--stacks ovine c] [--moves 20]
                                                            [--json FILE] [--page FILE] [--check]

A lab with three hosts is started for each stack: "ovine" has our northd and controllers, "c" Debian's. A neighbour on
the third host pings an instance every 10 ms while that moves between the other two, several times in each way, and one
stack after the other, so that the machine's other work meets them alike (`chrt` keeps most of it away: see
docs/latency.md):

- *afterwards*: the port is for the old host until the instance is on the new one (`requested-chassis` changes then);
- *on both*: `requested-chassis` names both hosts before, so both get what is sent to the instance;
- *activated*: the same with `activation-strategy=rarp`, so that the new host's port is blocked until the instance runs.

On both, nothing has to happen in the network when the instance changes over: what is lost there is what the change over
itself takes, and no network can do better. The *network's part* of a gap is the time from when the instance could send
on its new host, or, afterwards, from when the northbound was told of it, to the next answer. `--page` writes the table
of docs/live-migration.md. `--check` ends with status 1 if with ours, in the median, either of the last two ways has no
shorter gap than the first, or afterwards the network's part is more than 1.5 of Debian's.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

import command_line
from ovine.lab import Instance, Lab, migration

INTERVAL = 0.01
"""Seconds between two pings."""
WORST = 1.5
"""Our median of the network's part as a part of Debian's that `--check` lets pass."""
WAYS = ("afterwards", "on both", "activated")
ADDRESS, NEIGHBOUR = "10.0.0.1", "10.0.0.2"


@dataclass(frozen=True)
class Move:
    """One move. Times are in milliseconds; `gap` is the longest run of packets without an answer.

    `network` is the network's part of it: until the next answer once the network could know all.
    """

    stack: str
    way: str
    sent: int
    lost: int
    gap: float
    network: float


def longest_gap(output: str, sent: int) -> float:
    """Milliseconds: the longest run of pings that were not answered."""
    answered = sorted({int(number) for number in re.findall(r"icmp_seq=(\d+) .*time=", output)})
    missing = [after - before - 1 for before, after in zip([0, *answered], [*answered, sent + 1], strict=True)]
    return max(missing, default=0) * INTERVAL * 1000


def next_answer(output: str, since: float) -> float:
    """Milliseconds from a time (seconds since the epoch) to the next answer."""
    times = [float(text) for text in re.findall(r"^\[(\d+\.\d+)\] .*icmp_seq=\d+ .*time=", output, re.MULTILINE)]
    return (min(answered for answered in times if answered >= since) - since) * 1000


def move(lab: Lab, stack: str, way: str, neighbour: Instance, source: str, target: str) -> Move:
    moved = migration.prepare(lab, "a", target)
    ping = neighbour.ping_in_background(ADDRESS, INTERVAL)
    if way != "afterwards":
        migration.place(lab, "a", source, target, strategy="rarp" if way == "activated" else "")
    known = migration.cut_over(lab, moved)
    if way == "afterwards":
        known = time.time()
    migration.place(lab, "a", target)
    moved.wait_installed()
    outcome = ping.stop()
    lost = outcome.sent - outcome.received
    gap, network = longest_gap(outcome.output, outcome.sent), next_answer(outcome.output, known)
    return Move(stack, way, outcome.sent, lost, gap, network)


def network(lab: Lab) -> Instance:
    """A switch with the instance `a` on h1 and its neighbour `b` on h3, which is returned."""
    lab.nbctl("ls-add", "sw")
    made = {}
    for name, host, number, address in (("a", "h1", 1, ADDRESS), ("b", "h3", 2, NEIGHBOUR)):
        mac = f"02:00:00:00:00:{number:02x}"
        lab.nbctl("lsp-add", "sw", name, "--", "lsp-set-addresses", name, f"{mac} {address}")
        made[name] = lab.plug(name, host=host, port_id=name, mac=mac)
        made[name].add_address(f"{address}/24")
    migration.place(lab, "a", "h1")
    made["b"].wait_installed()
    made["b"].wait_reaches(ADDRESS)
    return made["b"]


def measure_all(stacks: list[str], moves: int) -> list[Move]:
    """Moves of all stacks by turns, in labs that are there side by side."""
    found = []
    with ExitStack() as labs:
        made = {s: labs.enter_context(Lab(northd=s, controllers=[s] * 3, api=False)) for s in stacks}
        neighbours = {stack: network(lab) for stack, lab in made.items()}
        here, there = "h1", "h2"
        for way in WAYS:
            for _ in range(moves):
                for stack, lab in made.items():
                    one = move(lab, stack, way, neighbours[stack], here, there)
                    print(f"{stack}, {way}: lost {one.lost} of {one.sent}, gap {one.gap:.0f} ms", flush=True)
                    found.append(one)
                here, there = there, here
    return found


def median(moves: list[Move], stack: str, way: str, field: str) -> float:
    return statistics.median(getattr(one, field) for one in moves if (one.stack, one.way) == (stack, way))


def page(moves: list[Move]) -> str:
    """The table in docs/live-migration.md: medians and worst values, and how ours compare with Debian's."""
    titles = ("", "pings lost: median, most", "gap: median, longest (ms)", "network's part: median, longest (ms)")
    lines = [f"| {' | '.join(titles)} |", "|---|---:|---:|---:|"]
    stacks = list(dict.fromkeys(one.stack for one in moves))
    for way in WAYS:
        for stack in stacks:
            chosen = [one for one in moves if (one.stack, one.way) == (stack, way)]
            lost = f"{median(moves, stack, way, 'lost'):g}, {max(one.lost for one in chosen)}"
            gap = f"{median(moves, stack, way, 'gap'):.0f}, {max(one.gap for one in chosen):.0f}"
            network = f"{median(moves, stack, way, 'network'):.0f}, {max(one.network for one in chosen):.0f}"
            lines.append(f"| {way}: {command_line.TITLES[stack]} | {lost} | {gap} | {network} |")
    return "\n".join(lines) + "\n"


def ratio(moves: list[Move], way: str, field: str) -> float:
    """Our median as a part of Debian's."""
    ours, theirs = (median(moves, stack, way, field) for stack in ("ovine", "c"))
    return ours / theirs if theirs else float(ours > 0)


def ratios(moves: list[Move]) -> str:
    """Our medians as parts of Debian's."""
    parts = [f"{way}: {ratio(moves, way, 'gap'):.2f}, {ratio(moves, way, 'network'):.2f}" for way in WAYS]
    return "ours / Debian's, gap and network's part: " + "; ".join(parts)


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check="if a way of ours is too slow, as said above")
    command_line.add_stacks(parser)
    command_line.add_page(parser, "live-migration.md")
    parser.add_argument("--moves", type=int, default=20, help="in each way")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    moves = measure_all(asked.stacks, asked.moves)
    command_line.publish(asked, moves, page(moves))
    if {"ovine", "c"} <= set(asked.stacks):
        print(ratios(moves))
    if not asked.check or "ovine" not in asked.stacks:
        return 0
    first = median(moves, "ovine", WAYS[0], "gap")
    slow = [way for way in WAYS[1:] if median(moves, "ovine", way, "gap") >= first]
    for way in slow:
        print(f"too long a gap: {way}")
    late = "c" in asked.stacks and ratio(moves, WAYS[0], "network") > WORST
    if late:
        print(f"afterwards, the network's part is more than {WORST:g} of Debian's")
    return 1 if slow or late else 0


if __name__ == "__main__":
    sys.exit(main())
