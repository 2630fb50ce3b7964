"""northd with many load balancers: ours beside OVN's, on the same northbound, one after the other in one run.

    python bench/load_balancers.py [--balancers 1000] [--backends 10] [--switches 10] [--adds 20] [--group]

A northbound of switches that all have all load balancers, each by itself or with --group all by one group, is filled;
then northd is started on it with an empty southbound. Reported are the time from the start of the process to `sb_cfg`;
then for single load balancers, each added to all switches in a transaction of its own, the time until it is in the
southbound (median and 95th percentile, after a few to warm up); logical flows, datapath groups; peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from northd_scale import WARM_UP, c_northd, our_northd, peak_mib, sb_cfg
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.ovsdb import Client, Monitor, Transaction
from support.ovsdb import start_server


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


async def add(client: Client, filled: Filled, number: int, backends: int) -> float:
    """Adds one load balancer to all switches; returns the seconds until it is in the southbound."""
    ((uuid, row),) = client.replica.rows(nb.NBGlobal).items()
    transaction = Transaction()
    made = transaction.insert(balancer(number, backends))
    if filled.group is not None:
        transaction.mutate(nb.LoadBalancerGroup, filled.group, "load_balancer", "insert", (made,))
    for switch in filled.switches if filled.group is None else ():
        transaction.mutate(nb.LogicalSwitch, switch, "load_balancer", "insert", (made,))
    transaction.update(nb.NBGlobal, uuid, nb_cfg=row.nb_cfg + 1)
    began = time.perf_counter()
    await client.transact(transaction)
    await sb_cfg(client, row.nb_cfg + 1, 60)
    return time.perf_counter() - began


async def counts(remote: str) -> tuple[int, int]:
    """Logical flows and datapath groups."""
    tables = [Monitor(sb.LogicalFlow, ("table_id",)), Monitor(sb.LogicalDPGroup, ("datapaths",))]
    client = Client(sb.DATABASE, remote, monitors=tables)
    await client.start()
    await client.ready(60)
    found = len(client.replica.rows(sb.LogicalFlow)), len(client.replica.rows(sb.LogicalDPGroup))
    await client.close()
    return found


async def measure(which: str, directory: Path, options: argparse.Namespace) -> str:
    with start_server(nb.DATABASE, directory / "nb") as above, start_server(sb.DATABASE, directory / "sb") as below:
        client = Client(nb.DATABASE, above.remote)
        await client.start()
        await client.ready(10)
        filled = await fill(client, options)
        start = our_northd if which == "ours" else c_northd
        began = time.perf_counter()
        with start(directory / "northd", f"--ovnnb-db={above.remote}", f"--ovnsb-db={below.remote}") as pid:
            await sb_cfg(client, 1, 300)
            full = time.perf_counter() - began
            numbers = range(options.balancers, options.balancers + WARM_UP + options.adds)
            adds = [await add(client, filled, number, options.backends) for number in numbers][WARM_UP:]
            memory = peak_mib(pid)
        flows, groups = await counts(below.remote)
        await client.close()
    cuts = statistics.quantiles(adds, n=20)
    middle, high = cuts[9] * 1000, cuts[18] * 1000
    return f"{which:>5} {full:9.2f} s {middle:9.2f} ms {high:9.2f} ms {flows:9d} {groups:7d} {memory:8.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balancers", type=int, default=1000)
    parser.add_argument("--backends", type=int, default=10)
    parser.add_argument("--switches", type=int, default=10)
    parser.add_argument("--adds", type=int, default=20)
    parser.add_argument("--group", action="store_true")
    parser.add_argument("--only", choices=("ours", "ovn"))
    options = parser.parse_args()
    print(f"{options.balancers} load balancers x {options.backends} backends on {options.switches} switches")
    print("      full compile     add: p50          p95     flows  groups     peak memory")
    for which in [options.only] if options.only else ["ours", "ovn"]:
        with tempfile.TemporaryDirectory(prefix="balancers-") as directory:
            print(asyncio.run(measure(which, Path(directory), options)), flush=True)


if __name__ == "__main__":
    main()
