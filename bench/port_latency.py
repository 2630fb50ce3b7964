"""How long a port takes from POST /v2.0/ports to ACTIVE and to its first ping, stage by stage.

    sudo chrt -r 5 .venv/bin/python bench/port_latency.py [--ports 50] [--base 0 1000] [--stacks ovine mixed c]
                                                [--first] [--json FILE] [--check]

A whole lab is started: databases, API, plugin, northd, two hosts with their switches and controllers. Ports are made
one after the other as an ordinary client does, with `binding:host_id`; at the reply the host's interface, which is in
the switch already, gets its `iface-id`, as a hypervisor does when an instance boots. One process watches all databases
and the API, and plays the instances with raw frames: the new one asks for the MAC of a neighbour on the other host, and
pings it across the tunnel, every 2 ms until an answer comes.

The port is deleted again before the next one. `--base` says how many other ports the network has already; one of them
is an instance on the same host, unless `--first` is given. `--stacks` chooses whose daemons are measured under the same
API and plugin: "ovine" is ours, "c" has Debian's ovn-northd and ovn-controller, "mixed" our northd with Debian's
controller; with more than one, ratios are printed, all from one run. `--check` ends with status 1 if the p50 to ACTIVE
of "ovine" is more than 30 ms. The stages, and figures, are in docs/latency.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvloop

import command_line
from latency_probe import Api, Databases, Guest, Seen
from ovine.lab import Lab, LabError, netns
from processes import busy_seconds, cpu_seconds

TARGET_MS = 30.0
STACKS = {
    "ovine": ("ovine", ("ovine", "ovine")),
    "mixed": ("ovine", ("c", "c")),
    "c": ("c", ("c", "c")),
}
STAGES = {
    "cloud": "row in the Cloud database",
    "reply": "reply of the API",
    "nb": "row in the northbound",
    "plugged": "iface-id set on the host",
    "sb": "row in the southbound",
    "claimed": "bound to the chassis",
    "installed": "flows acknowledged (ovn-installed)",
    "pb up": "up in the southbound",
    "lsp up": "up in the northbound",
    "active": "ACTIVE in the Cloud database",
    "rest": "ACTIVE through the API",
    "arp": "neighbour's MAC known",
    "ping": "first ping answered",
}
PAUSE = 0.02
"""Seconds from a new interface in the switch to the POST: what the interface makes everybody do is over then."""
GUESTS = "guests"
INSTANCE = "instance"
RESIDENT = "resident"
NEIGHBOUR = "neighbour"


@dataclass
class Result:
    """One stack at one size. Times in milliseconds since the POST; CPU in milliseconds per port."""

    stack: str
    base: int
    round_trip: float
    spins: list[float] = field(default_factory=list)
    """Milliseconds of one and the same computation, between the ports: how fast the machine was just then."""
    strangers: float = 0.0
    """CPUs that were busy with something else than this lab and this program."""
    times: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    cpu: dict[str, float] = field(default_factory=dict)

    def quantile(self, stage: str, share: float) -> float:
        ordered = sorted(self.times[stage])
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def as_json(self) -> dict[str, Any]:
        stages = {stage: {"p50": self.quantile(stage, 0.5), "p95": self.quantile(stage, 0.95)} for stage in STAGES}
        head = {"stack": self.stack, "base": self.base, "round_trip_ms": self.round_trip, "spins_ms": self.spins}
        head["busy_with_others_cpus"] = self.strangers
        return {**head, "stages_ms": stages, "cpu_ms": self.cpu}


def spin() -> float:
    began = time.perf_counter()
    sum(number * number for number in range(100_000))
    return (time.perf_counter() - began) * 1000


class Bench:
    """A lab that is up, with a network and links for instances to be."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._count = 0
        cloud = lab.cloud
        self.network = cloud.post("networks", {"network": {"name": "bench"}})["network"]["id"]
        subnet = {"network_id": self.network, "ip_version": 4, "cidr": "10.0.0.0/16"}
        cloud.post("subnets", {"subnet": subnet})
        self._wire()

    def _wire(self) -> None:
        """Links from the hosts to one namespace of guests; only the neighbour's is in its switch as yet."""
        lab, (first, second) = self.lab, self.lab.spec.hosts
        self.guests = lab.spec.instance_netns(GUESTS)
        lab.store.add_namespace(self.guests)
        off = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}
        netns.set_sysctl(self.guests, off)
        for host, name in ((first, INSTANCE), (first, RESIDENT), (second, NEIGHBOUR)):
            netns.add_veth(lab.spec.host_netns(host), name, self.guests, f"g-{name}")

    def plug(self) -> None:
        """Puts the instance's link into the switch, without iface-id; returns when the switch has taken it."""
        self.lab.vsctl(self.lab.spec.hosts[0].name, "add-port", "br-int", INSTANCE)

    def unplug(self) -> None:
        self.lab.vsctl(self.lab.spec.hosts[0].name, "del-port", "br-int", INSTANCE)

    def body(self, host: str) -> dict[str, Any]:
        return {
            "port": {
                "network_id": self.network,
                "binding:host_id": host,
                "device_owner": "compute:bench",
                "device_id": f"instance-{host}",
            }
        }

    def grow(self, base: int) -> None:
        """Makes the network have so many ports that are nowhere plugged."""
        while self._count < base:
            step = min(100, base - self._count)
            self.lab.cloud.post("ports", {"ports": [{"network_id": self.network}] * step})
            self._count += step
        self.lab.sync(timeout=120)

    def processes(self) -> dict[str, int]:
        return {process.name: process.pid for process in self.lab.processes.recorded() if process.alive}


async def place(bench: Bench, api: Api, host: str, link: str) -> Guest:
    """An instance that is there all the time."""
    lab = bench.lab
    port = (await api.request("POST", "ports", bench.body(host)))["port"]
    setting = ["set", "Interface", link, f"external_ids:iface-id={port['id']}"]
    lab.vsctl(host, "add-port", "br-int", link, "--", *setting)
    lab.cloud.wait_port_active(port["id"], 30.0)
    guest = Guest(bench.guests, f"g-{link}")
    guest.become(port)
    return guest


async def is_active(api: Api, port: str) -> bool:
    reply = await api.request("GET", f"ports/{port}?fields=status")
    return bool(reply["port"]["status"] == "ACTIVE")


async def one_port(
    bench: Bench, api: Api, look: Api, databases: Databases, seen: Seen, guest: Guest, neighbour: Guest
) -> dict[str, float]:
    """Makes a port and follows it to its first ping, then deletes it; gives the milliseconds of each stage."""
    bench.plug()
    await asyncio.sleep(PAUSE)
    body = bench.body(bench.lab.spec.hosts[0].name)
    began = time.perf_counter()
    port = (await api.request("POST", "ports", body))["port"]
    name = port["id"]
    seen.note(name, "reply")
    guest.become(port)
    await databases.plug(INSTANCE, name)
    seen.note(name, "plugged")
    reaching = asyncio.create_task(guest.reach(neighbour, lambda stage: seen.note(name, stage)))
    await seen.wait(name, "active")
    while not await is_active(look, name):
        continue
    seen.note(name, "rest")
    await seen.wait(name, *STAGES)
    await reaching
    bench.unplug()
    await api.request("DELETE", f"ports/{name}")
    await seen.wait(name, "gone")
    bench.lab.sync()  # on the hosts, too
    return {stage: (seen.times[name][stage] - began) * 1000 for stage in STAGES}


async def run(bench: Bench, stack: str, base: int, ports: int, neighbour: Guest) -> Result:
    """Measures so many ports, one after the other."""
    lab, seen = bench.lab, Seen()
    databases = Databases(lab, seen)
    api, look = [Api(*lab.cloud.session()) for _ in range(2)]
    guest = Guest(bench.guests, f"g-{INSTANCE}")
    await databases.start()
    await api.start()
    await look.start()
    round_trips = await databases.round_trips(300)
    result = Result(stack, base, statistics.median(round_trips) * 1000)
    gc.collect()
    gc.disable()
    processes = bench.processes() | {"this program": os.getpid()}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    began, busy = time.perf_counter(), busy_seconds()
    for _ in range(ports):
        result.spins.append(spin())
        times = await one_port(bench, api, look, databases, seen, guest, neighbour)
        for stage, milliseconds in times.items():
            result.times[stage].append(milliseconds)
    spent = {name: cpu_seconds(pid) - before[name] for name, pid in processes.items()}
    result.strangers = (busy_seconds() - busy - sum(spent.values())) / (time.perf_counter() - began)
    result.cpu = {name: seconds * 1000 / ports for name, seconds in spent.items()}
    gc.enable()
    guest.close()
    await databases.close()
    await api.close()
    await look.close()
    return result


async def measure(stack: str, options: argparse.Namespace, show: Callable[[str], None]) -> list[Result]:
    """A lab of one stack, at each size in turn."""
    northd, controllers = STACKS[stack]
    results = []
    show(f"{stack}: starting northd ({northd}) and controllers ({controllers[0]})")
    with Lab(northd=northd, controllers=controllers) as lab:
        bench = Bench(lab)
        api = Api(*lab.cloud.session())
        await api.start()
        first, second = (host.name for host in lab.spec.hosts)
        neighbour = await place(bench, api, second, NEIGHBOUR)
        guests = [neighbour] if options.first else [neighbour, await place(bench, api, first, RESIDENT)]
        await api.close()
        for base in sorted(options.base):
            show(f"{stack}: {base} ports on the network, then {options.ports} measured")
            bench.grow(base)
            await run(bench, stack, base, options.warm, neighbour)
            results.append(await run(bench, stack, base, options.ports, neighbour))
        for guest in guests:
            guest.close()
    return results


def table(result: Result) -> str:
    lines = [
        f"{result.stack}, {result.base} other ports; calibration: ovsdb-server round trip {result.round_trip:.2f} ms, "
        f"a fixed computation p50 {statistics.median(result.spins):.1f} ms, fastest {min(result.spins):.1f} ms; "
        f"{result.strangers:.1f} CPUs busy with other things",
        "  ms since the POST                        p50      p95",
    ]
    for stage, words in STAGES.items():
        lines.append(f"  {words:<36}{result.quantile(stage, 0.5):8.1f} {result.quantile(stage, 0.95):8.1f}")
    busy = sorted(result.cpu.items(), key=lambda item: -item[1])
    spent = ", ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in busy if milliseconds >= 0.1)
    lines.append(f"  CPU ms per port, with plugging and deleting it: {spent}")
    return "\n".join(lines)


def ratios(results: list[Result]) -> list[str]:
    """How many times as long the other stacks take, at the same size in the same run."""
    ours = {result.base: result for result in results if result.stack == "ovine"}
    lines = []
    for other in results:
        own = ours.get(other.base)
        if own is not None and other is not own:
            parts = [
                f"{words} {other.quantile(stage, share) / own.quantile(stage, share):.1f}"
                for stage, words in (("active", "ACTIVE"), ("ping", "first ping"))
                for share, words in ((0.5, f"{words} p50"), (0.95, f"{words} p95"))
            ]
            lines.append(f"{other.stack} / ovine, {other.base} other ports: {', '.join(parts)}")
    return lines


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check=f"if ovine's p50 to ACTIVE exceeds {TARGET_MS:g} ms")
    command_line.add_stacks(parser, STACKS, default=["ovine"])
    parser.add_argument("--ports", type=int, default=50, help="ports to measure at each size (default: 50)")
    parser.add_argument("--warm", type=int, default=5, help="ports before that, which do not count (default: 5)")
    parser.add_argument("--base", type=int, nargs="+", default=[0], help="ports that are there already (default: 0)")
    parser.add_argument("--first", action="store_true", help="each port is the first of its network on its host")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.ports < 1 or options.warm < 1 or min(options.base) < 0:
        sys.exit("port_latency: --ports and --warm are at least 1, --base is not negative")
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, load {load:.1f}", flush=True)
    results: list[Result] = []
    try:
        for stack in options.stacks:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(measure(stack, options, print))
            for result in found:
                print(table(result), flush=True)
            results += found
    except LabError as error:
        sys.exit(f"port_latency: {error}")
    for line in ratios(results):
        print(line)
    command_line.publish(options, [result.as_json() for result in results])
    late = [r for r in results if r.stack == "ovine" and r.quantile("active", 0.5) > TARGET_MS]
    for result in late:
        middle = result.quantile("active", 0.5)
        print(f"ACTIVE with {result.base} other ports: p50 {middle:.1f} ms, target {TARGET_MS:g} ms")
    return 1 if options.check and late else 0


if __name__ == "__main__":
    sys.exit(main())
