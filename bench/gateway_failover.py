"""How long traffic through a gateway is interrupted when the gateway's host dies.

    sudo .venv/bin/python bench/gateway_failover.py [--runs 3] [--stacks ovine c] [--json FILE] [--check]

A whole lab with three hosts is started for each run, with the cloud of bench/routed_cloud.py. A machine outside pings a
floating IP, and an instance without one pings the machine outside, both every 10 ms; then the host that has the
gateway port loses its switch, database and controller at once (SIGKILL). The outage is what was lost until answers
came again. `--stacks` chooses whose northd and controllers are measured under the same API: "ovine" is ours, "c"
Debian's. `--check` ends with status 1 if an outage of "ovine" is longer than 3 s. Figures: docs/restarts.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys

import command_line
from ovine.lab import Lab, restarts
from routed_cloud import INTERNET, RoutedCloud, make

TARGET_S = 3.0
INTERVAL = 0.01
PATIENCE = 30.0


def outages(cloud: RoutedCloud) -> tuple[float, float]:
    """Seconds for which the floating IP, and the way out through SNAT, were gone."""
    cloud.internet.wait_reaches(cloud.floating_ip)
    cloud.blue1.wait_reaches(INTERNET)
    inward = cloud.internet.ping_in_background(cloud.floating_ip, interval=INTERVAL)
    outward = cloud.blue1.ping_in_background(INTERNET, interval=INTERVAL)
    restarts.kill_host(cloud.lab, cloud.lab.spec.host(cloud.gateway))
    first, second = inward.stop(PATIENCE), outward.stop(PATIENCE)
    return (first.sent - first.received) * INTERVAL, (second.sent - second.received) * INTERVAL


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check=f"if an outage of ours is longer than {TARGET_S:g} s")
    command_line.add_stacks(parser)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    found: dict[str, list[tuple[float, float]]] = {}
    for stack in asked.stacks:
        for run in range(asked.runs):
            with Lab(northd=stack, controllers=[stack] * 3) as lab:
                seconds = outages(make(lab))
            found.setdefault(stack, []).append(seconds)
            print(f"{stack} run {run + 1}: floating IP {seconds[0]:.2f} s, SNAT {seconds[1]:.2f} s", flush=True)
    medians = {stack: statistics.median(max(pair) for pair in runs) for stack, runs in found.items()}
    for stack, median in medians.items():
        print(f"{stack}: median of the longer outage {median:.2f} s")
    if len(medians) == 2:
        print(f"ratio ours / Debian's: {medians['ovine'] / medians['c']:.2f}")
    command_line.publish(asked, {"outages_s": found, "median_s": medians})
    worst = max((max(pair) for pair in found.get("ovine", [])), default=0.0)
    if asked.check and worst > TARGET_S:
        print(f"missed: an outage of {worst:.2f} s, the target is {TARGET_S:g} s")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
