"""northd at size: ours beside OVN's, on the same northbound, one after the other in one run.

    python bench/northd_scale.py [--switches 50] [--ports 200] [--adds 40] [--stacks ovine c] [--json FILE]

A northbound of switches with dual-stack ports (port security, DHCPv4) is filled; then northd is started on it with an
empty southbound. Reported are the time from the start of the process to `sb_cfg` (everything compiled and written);
then for single ports, each added in a transaction of its own, the time until `sb_cfg` says that it is in the
southbound (median and 95th percentile, after a few to warm up); the number of logical flows and datapath groups;
northd's peak memory.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import command_line
import processes
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.ovsdb import Client, Monitor, Transaction
from support.ovsdb import start_server

WARM_UP = 5
Filled = TypeVar("Filled")


@dataclass(frozen=True)
class Figures:
    """What one northd took."""

    stack: str
    full_s: float
    adds_s: list[float]
    flows: int
    groups: int
    peak_mib: float

    HEAD = "      full compile     add: p50          p95     flows  groups     peak memory"

    def line(self) -> str:
        cuts = statistics.quantiles(self.adds_s, n=20)
        times = f"{self.full_s:9.2f} s {cuts[9] * 1000:9.2f} ms {cuts[18] * 1000:9.2f} ms"
        return f"{self.stack:>5} {times} {self.flows:9d} {self.groups:7d} {self.peak_mib:8.0f} MiB"


def port(switch: int, number: int, options: Uuid) -> nb.LogicalSwitchPort:
    address = (
        f"0a:00:00:{switch:02x}:{number >> 8:02x}:{number & 255:02x} "
        f"10.{switch}.{number >> 8}.{number & 255} fd00:{switch:x}::{number + 2:x}"
    )
    return nb.LogicalSwitchPort(
        name=f"port-{switch}-{number}", addresses=(address,), port_security=(address,), dhcpv4_options=options
    )


async def fill(client: Client, switches: int, ports: int) -> list[tuple[Uuid, Uuid]]:
    """Writes the northbound; returns the uuids of each switch and its DHCP options."""
    first = Transaction()
    first.insert(nb.NBGlobal(nb_cfg=1))
    await client.transact(first)
    made = []
    for switch in range(switches):
        transaction = Transaction()
        options = transaction.insert(
            nb.DHCPOptions(
                cidr=f"10.{switch}.0.0/16",
                options=StrMap(
                    server_id=f"10.{switch}.255.1",
                    server_mac="0a:ff:00:00:00:01",
                    lease_time="43200",
                    router=f"10.{switch}.255.1",
                    dns_server="{8.8.8.8,1.1.1.1}",
                    mtu="1442",
                ),
            )
        )
        members = tuple(transaction.insert(port(switch, number, options)) for number in range(1, ports + 1))
        row = nb.LogicalSwitch(name=f"switch-{switch}", ports=tuple(sorted(members)))
        made.append((transaction.insert(row), options))
        await client.transact(transaction)
    return made


async def sb_cfg(client: Client, number: int, deadline: float) -> None:
    """Waits until the southbound has everything up to this nb_cfg."""
    seen = asyncio.Event()
    client.subscribe(lambda _: seen.set())
    async with asyncio.timeout(deadline):
        while not any(row.sb_cfg >= number for row in client.replica.rows(nb.NBGlobal).values()):
            seen.clear()
            await seen.wait()


async def commit(client: Client, transaction: Transaction) -> float:
    """Commits a change of the northbound; returns the seconds until it is in the southbound."""
    ((uuid, row),) = client.replica.rows(nb.NBGlobal).items()
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


async def measure(
    stack: str,
    directory: Path,
    fill: Callable[[Client], Awaitable[Filled]],
    change: Callable[[Filled, int], Transaction],
    changes: int,
) -> Figures:
    """Starts northd on the northbound that `fill` writes, then makes changes, each in a transaction of its own."""
    with start_server(nb.DATABASE, directory / "nb") as above, start_server(sb.DATABASE, directory / "sb") as below:
        client = Client(nb.DATABASE, above.remote)
        await client.start()
        await client.ready(10)
        filled = await fill(client)
        remotes = (f"--ovnnb-db={above.remote}", f"--ovnsb-db={below.remote}")
        began = time.perf_counter()
        with processes.northd(stack, directory / "northd", *remotes) as process:
            await sb_cfg(client, 1, 300)
            full = time.perf_counter() - began
            times = [await commit(client, change(filled, n)) for n in range(WARM_UP + changes)][WARM_UP:]
            memory = processes.peak_mib(process.pid)
        flows, groups = await counts(below.remote)
        await client.close()
    return Figures(stack, full, times, flows, groups, memory)


def compare(
    stacks: list[str],
    fill: Callable[[Client], Awaitable[Filled]],
    change: Callable[[Filled, int], Transaction],
    changes: int,
) -> list[Figures]:
    """Measures the stacks one after the other, and prints a table."""
    print(Figures.HEAD)
    found = []
    for stack in stacks:
        with tempfile.TemporaryDirectory(prefix="northd-") as directory:
            found.append(asyncio.run(measure(stack, Path(directory), fill, change, changes)))
        print(found[-1].line(), flush=True)
    return found


def add_port(switches: list[tuple[Uuid, Uuid]], number: int) -> Transaction:
    index = number % len(switches)
    switch, options = switches[index]
    transaction = Transaction()
    made = transaction.insert(port(index, 10_000 + number, options))
    transaction.mutate(nb.LogicalSwitch, switch, "ports", "insert", (made,))
    return transaction


def main() -> None:
    parser = command_line.add_stacks(command_line.parser(__doc__))
    parser.add_argument("--switches", type=int, default=50)
    parser.add_argument("--ports", type=int, default=200, help="ports of each switch")
    parser.add_argument("--adds", type=int, default=40, help="ports that are added one by one")
    options = parser.parse_args()
    print(f"{options.switches} switches x {options.ports} ports")
    filled = partial(fill, switches=options.switches, ports=options.ports)
    command_line.publish(options, compare(options.stacks, filled, add_port, options.adds))


if __name__ == "__main__":
    main()
