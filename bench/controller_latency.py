"""How long a host takes from a southbound change to the switch's acknowledgement, and from an interface to `up`.

    .venv/bin/python bench/controller_latency.py [--ports N] [--networks N] [--rounds N]

One southbound database, one switch with the dummy datapath, our controller, all on this machine. Each round changes one
logical flow and `nb_cfg` in one transaction and waits for `Chassis_Private.nb_cfg`, which is written after the switch's
acknowledgement: so the figure has one more database transaction in it than the flow itself needs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ovine.model import sb
from ovine.model.base import Uuid
from ovine.ovsdb import Batch, Transaction
from support.hosts import Host, host


class Watch:
    """Waits for a southbound row to become as wanted; one subscription for all rounds, so that rounds cost alike."""

    def __init__(self, bench: Host) -> None:
        self._wanted: Callable[[Any], bool] = lambda _: False
        self._done = asyncio.Event()
        bench.southbound.subscribe(self._look)

    def _look(self, batch: Batch) -> None:
        if any(change.new is not None and self._wanted(change.new) for change in batch):
            self._done.set()

    def expect(self, wanted: Callable[[Any], bool]) -> None:
        self._wanted = wanted
        self._done.clear()

    async def wait(self) -> None:
        await self._done.wait()


async def _flow_round(bench: Host, watch: Watch, datapath: Uuid, number: int) -> float:
    (root,) = bench.southbound.replica.rows(sb.SBGlobal).values()
    wanted = root.nb_cfg + 1
    watch.expect(lambda row: isinstance(row, sb.ChassisPrivate) and row.nb_cfg == wanted)
    txn = Transaction()
    txn.insert(bench.logical_flow(datapath, 9, f"ip4.dst == 10.1.{number >> 8}.{number & 255}", "next;"))
    txn.update(sb.SBGlobal, root.uuid, nb_cfg=wanted)
    begin = time.perf_counter()
    await bench.southbound.transact(txn)
    await watch.wait()
    return time.perf_counter() - begin


async def _port_round(bench: Host, watch: Watch, name: str) -> float:
    watch.expect(lambda row: isinstance(row, sb.PortBinding) and row.logical_port == name and bool(row.up))
    begin = time.perf_counter()
    await bench.plug(name)
    await watch.wait()
    return time.perf_counter() - begin


def _say(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p95 = ordered[int(len(ordered) * 0.95)]
    print(
        f"{what}: p50 {statistics.median(ordered) * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms, max {ordered[-1] * 1e3:.1f} ms"
    )


async def _main(ports: int, networks: int, rounds: int) -> None:
    async with host() as bench:
        names = [[f"n{n}p{p}" for p in range(ports)] for n in range(networks)]
        datapaths = [await bench.network(f"sw{n}", n + 1, *names[n]) for n in range(networks)]
        begin = time.perf_counter()
        await bench.set_up(*(row[0] for row in names))
        await bench.settled()
        print(f"{networks} networks of {ports} ports, one of each here: {time.perf_counter() - begin:.2f} s,", end=" ")
        print(f"{len(bench.flows())} flows")
        watch = Watch(bench)
        changes = [await _flow_round(bench, watch, datapaths[0], n) for n in range(rounds)]
        _say("flow → acknowledged, reported", changes)
        if ports > 1:
            plugged = names[0][1 : 1 + rounds]
            _say("interface → up", [await _port_round(bench, watch, name) for name in plugged])
        assert bench.controller.command("ovine/audit") == ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ports", type=int, default=50)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    asyncio.run(_main(given.ports, given.networks, given.rounds))
