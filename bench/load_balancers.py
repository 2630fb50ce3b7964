"""northd with many load balancers: ours beside OVN's, on the same northbound, one after the other in one run.

    python bench/load_balancers.py [--balancers 1000] [--backends 10] [--switches 10] [--adds 20] [--group]
                                   [--stacks ovine c] [--json FILE]

A northbound of switches that all have all load balancers, each by itself or with --group all by one group, is filled;
then northd is started on it with an empty southbound. Reported are the time from the start of the process to `sb_cfg`;
then for single load balancers, each added to all switches in a transaction of its own, the time until it is in the
southbound (median and 95th percentile, after a few to warm up); logical flows, datapath groups; peak memory.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import NamedTuple

import command_line
from northd_scale import compare
from ovine.model import nb
from ovine.model.base import StrMap, Uuid
from ovine.ovsdb import Client, Transaction


class Filled(NamedTuple):
    switches: list[Uuid]
    group: Uuid | None


def balancer(number: int, backends: int) -> nb.LoadBalancer:
    vip = f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}:80"
    ends = ",".join(f"10.0.{number % 200}.{one}:8080" for one in range(1, backends + 1))
    return nb.LoadBalancer(name=f"lb-{number}", protocol="tcp", vips=StrMap({vip: ends}))


async def fill(client: Client, options: argparse.Namespace) -> Filled:
    transaction = Transaction()
    transaction.insert(nb.NBGlobal(nb_cfg=1))
    made = tuple(sorted(transaction.insert(balancer(n, options.backends)) for n in range(options.balancers)))
    group = transaction.insert(nb.LoadBalancerGroup(name="all", load_balancer=made)) if options.group else None
    switches = []
    for number in range(options.switches):
        groups = (group,) if group is not None else ()
        row = nb.LogicalSwitch(name=f"s{number}", load_balancer=() if groups else made, load_balancer_group=groups)
        switches.append(transaction.insert(row))
    await client.transact(transaction)
    return Filled(switches, group)


def add(filled: Filled, number: int, options: argparse.Namespace) -> Transaction:
    """One more load balancer, of all switches."""
    transaction = Transaction()
    made = transaction.insert(balancer(options.balancers + number, options.backends))
    if filled.group is not None:
        transaction.mutate(nb.LoadBalancerGroup, filled.group, "load_balancer", "insert", (made,))
    for switch in filled.switches if filled.group is None else ():
        transaction.mutate(nb.LogicalSwitch, switch, "load_balancer", "insert", (made,))
    return transaction


def main() -> None:
    parser = command_line.add_stacks(command_line.parser(__doc__))
    parser.add_argument("--balancers", type=int, default=1000)
    parser.add_argument("--backends", type=int, default=10, help="of each load balancer")
    parser.add_argument("--switches", type=int, default=10, help="which all have all load balancers")
    parser.add_argument("--adds", type=int, default=20, help="load balancers that are added one by one")
    parser.add_argument("--group", action="store_true", help="switches have their load balancers by a group")
    options = parser.parse_args()
    print(f"{options.balancers} load balancers x {options.backends} backends on {options.switches} switches")
    filled, change = partial(fill, options=options), partial(add, options=options)
    command_line.publish(options, compare(options.stacks, filled, change, options.adds))


if __name__ == "__main__":
    main()
