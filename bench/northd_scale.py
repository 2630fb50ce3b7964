"""northd at size: ours beside OVN's, on the same northbound, one after the other in one run.

    python bench/northd_scale.py [--switches 50] [--ports 200] [--adds 40] [--only ours|ovn]

A northbound of switches with dual-stack ports (port security, DHCPv4) is filled; then northd is started on it with an
empty southbound. Reported are the time from the start of the process to `sb_cfg` (everything compiled and written);
then for single ports, each added in a transaction of its own, the time until `sb_cfg` says that it is in the
southbound (median and 95th percentile, after a few to warm up); the number of logical flows; northd's peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.ovsdb import Client, Monitor, Transaction
from support.daemons import run_daemon
from support.ovsdb import Server, start_server

WARM_UP = 5


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


@contextmanager
def c_northd(directory: Path, *remotes: str) -> Iterator[int]:
    """Debian's ovn-northd as a child; yields its pid."""
    directory.mkdir()
    options = ["-vconsole:off", f"--unixctl={directory / 'ctl'}", f"--log-file={directory / 'log'}"]
    process = subprocess.Popen(["ovn-northd", *remotes, *options], cwd=directory)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def our_northd(directory: Path, *remotes: str) -> Iterator[int]:
    with run_daemon("northd", directory, *remotes) as daemon:
        assert daemon.process is not None
        yield daemon.process.pid


def peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def flow_count(server: Server) -> int:
    client = Client(sb.DATABASE, server.remote, monitors=[Monitor(sb.LogicalFlow, ("table_id",))])
    await client.start()
    await client.ready(60)
    count = len(client.replica.rows(sb.LogicalFlow))
    await client.close()
    return count


async def measure(which: str, directory: Path, options: argparse.Namespace) -> str:
    with start_server(nb.DATABASE, directory / "nb") as above, start_server(sb.DATABASE, directory / "sb") as below:
        client = Client(nb.DATABASE, above.remote)
        await client.start()
        await client.ready(10)
        switches = await fill(client, options.switches, options.ports)
        start = our_northd if which == "ours" else c_northd
        began = time.perf_counter()
        with start(directory / "northd", f"--ovnnb-db={above.remote}", f"--ovnsb-db={below.remote}") as pid:
            await sb_cfg(client, 1, 300)
            full = time.perf_counter() - began
            adds = [await add(client, switches, n) for n in range(WARM_UP + options.adds)][WARM_UP:]
            memory = peak_mib(pid)
        flows = await flow_count(below)
        await client.close()
    cuts = statistics.quantiles(adds, n=20)
    middle, high = cuts[9] * 1000, cuts[18] * 1000
    return f"{which:>5} {full:9.2f} s {middle:9.2f} ms {high:9.2f} ms {flows:9d} {memory:8.0f} MiB"


async def add(client: Client, switches: list[tuple[Uuid, Uuid]], number: int) -> float:
    """Adds one port; returns the seconds until it is in the southbound."""
    index = number % len(switches)
    switch, options = switches[index]
    ((uuid, row),) = client.replica.rows(nb.NBGlobal).items()
    transaction = Transaction()
    made = transaction.insert(port(index, 10_000 + number, options))
    transaction.mutate(nb.LogicalSwitch, switch, "ports", "insert", (made,))
    transaction.update(nb.NBGlobal, uuid, nb_cfg=row.nb_cfg + 1)
    began = time.perf_counter()
    await client.transact(transaction)
    await sb_cfg(client, row.nb_cfg + 1, 60)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=50)
    parser.add_argument("--ports", type=int, default=200)
    parser.add_argument("--adds", type=int, default=40)
    parser.add_argument("--only", choices=("ours", "ovn"))
    options = parser.parse_args()
    print(f"{options.switches} switches x {options.ports} ports")
    print("      full compile     add: p50          p95     flows     peak memory")
    for which in [options.only] if options.only else ["ours", "ovn"]:
        with tempfile.TemporaryDirectory(prefix="northd-") as directory:
            print(asyncio.run(measure(which, Path(directory), options)), flush=True)


if __name__ == "__main__":
    main()
