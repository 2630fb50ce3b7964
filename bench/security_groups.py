"""Security groups at size: ours beside OVN's C daemons, in one run on one machine.

    python bench/security_groups.py [--switches 50] [--ports 200] [--local 200] [--rounds 5] [--stacks ovine c below]
                                    [--no-router] [--json FILE] [--check]

Per stack a northbound and a southbound database, northd, and one host: Open vSwitch with the dummy datapath (real
OpenFlow tables, no packets) and a controller. The northbound has switches with ports, one router that joins them all
(`--no-router` leaves it out), one port group over all ports
and ten stateful ACLs for it. `--local` ports, spread over all switches, are on the host. Then one ACL more is added,
`ip4.src == $pg_ip4`: whoever multiplies the ports of the host by the members of the group is found out.

Without and with that ACL are measured, each several times (median):

- a port elsewhere leaves the group, and joins it again: from the transaction until `hv_cfg` says that the host has it,
- an interface appears for a port of the group: until the northbound says `up`; and it goes: until it says not up.

And counted: OpenFlow flows of the host, logical flows, size of the southbound file after compaction, peak memory.

Stacks: "ovine" is ours, "c" has Debian's ovn-northd and ovn-controller, "below" our controller under their northd.
`--check` ends with status 1 if a target
(printed with the figures) is missed; the ratios need both "ovine" and "c".
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import command_line
import processes
from ovine.model import nb, sb, vs
from ovine.model.base import StrMap, Uuid
from ovine.ovsdb import Batch, Client, Monitor, Transaction
from support.hosts import OVS_SCHEMA, Vswitchd
from support.ovsdb import Server, start_server

STACKS = {"ovine": ("ovine", "ovine"), "c": ("c", "c"), "below": ("c", "ovine")}
"""Whose northd and whose controller."""
NB_SCHEMA, SB_SCHEMA = Path("/usr/share/ovn/ovn-nb.ovsschema"), Path("/usr/share/ovn/ovn-sb.ovsschema")
GROUP = "pg"
ACL = f"outport == @{GROUP} && ip4 && ip4.src == ${GROUP}_ip4"
DEADLINE = 900.0
BATCH = 10
"""So many ports are plugged at a time when the host is set up."""
MAX_FLOWS, MAX_JOIN, MAX_BIND, MAX_SLOWER, MAX_SIZE = 25_000, 0.02, 0.01, 2.0, 0.4


@dataclass
class Phase:
    """Figures without the ACL, or with it. Times in seconds."""

    openflow: int = 0
    logical: int = 0
    southbound_bytes: int = 0
    times: dict[str, list[float]] = field(default_factory=dict)

    def median(self, operation: str) -> float:
        return statistics.median(self.times[operation])


@dataclass
class Result:
    """One stack."""

    stack: str
    start: float = 0.0
    """Seconds from the start of northd and controller until everything is on the host."""
    acl: float = 0.0
    """Seconds until the ACL with the set is on the host."""
    plain: Phase = field(default_factory=Phase)
    with_set: Phase = field(default_factory=Phase)
    memory: dict[str, float] = field(default_factory=dict)
    """Peak memory in MiB by process."""

    def slowdowns(self) -> dict[str, float]:
        """How many times as long each operation takes with the ACL."""
        return {name: self.with_set.median(name) / self.plain.median(name) for name in self.plain.times}

    def as_json(self) -> dict[str, Any]:
        phases = {}
        for name, phase in (("without", self.plain), ("with", self.with_set)):
            sizes = (phase.openflow, phase.logical, phase.southbound_bytes)
            counts = dict(zip(("openflow_flows", "logical_flows", "southbound_bytes"), sizes, strict=True))
            phases[name] = {**counts, **{f"{operation}_s": times for operation, times in phase.times.items()}}
        head = {"stack": self.stack, "start_s": self.start, "acl_s": self.acl, "peak_memory_mib": self.memory}
        return {**head, **phases, "slowdowns": self.slowdowns()}


class Watch:
    """Waits until rows of a database are as wanted; looks whenever one changes. Not for ever, nor for the dead."""

    processes: ClassVar[dict[str, subprocess.Popen[bytes]]] = {}

    def __init__(self, client: Client) -> None:
        self._changed = asyncio.Event()
        client.subscribe(self._note)

    def _note(self, batch: Batch) -> None:
        del batch
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():
                for name, process in self.processes.items():
                    if process.poll() is not None:
                        raise SystemExit(f"security_groups: {name} has ended with status {process.returncode}")
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 1.0)


# --- one cloud --------------------------------------------------------------------------------------------------------


def port(switch: int, number: int) -> nb.LogicalSwitchPort:
    mac = f"0a:00:00:{switch:02x}:{number >> 8:02x}:{number & 255:02x}"
    address = f"{mac} 10.{switch}.{number >> 8}.{number & 255}"
    return nb.LogicalSwitchPort(name=name_of(switch, number), addresses=(address,), port_security=(address,))


def routed(txn: Transaction, switch: int) -> tuple[Uuid, Uuid]:
    """A port of the router, and the switch's port that leads to it."""
    near, far = f"router-{switch}", f"lrp-{switch}"
    inner = nb.LogicalRouterPort(name=far, mac=f"0a:00:00:{switch:02x}:ff:fe", networks=(f"10.{switch}.255.254/16",))
    options = StrMap({"router-port": far})
    outer = nb.LogicalSwitchPort(name=near, type="router", addresses=("router",), options=options)
    return txn.insert(inner), txn.insert(outer)


def name_of(switch: int, number: int) -> str:
    return f"port-{switch}-{number}"


def stateful_acls() -> list[nb.ACL]:
    """Ten: out to everywhere; in to nine ports."""
    out = nb.ACL(direction="from-lport", priority=1002, match=f"inport == @{GROUP} && ip4", action="allow-related")
    doors = [
        nb.ACL(
            direction="to-lport",
            priority=1002,
            match=f"outport == @{GROUP} && ip4 && tcp.dst == {8000 + n}",
            action="allow-related",
        )
        for n in range(9)
    ]
    return [out, *doors]


class Cloud:
    """The databases of one stack, and what is in them."""

    def __init__(self, above: Client, local: Client, options: argparse.Namespace) -> None:
        self.above, self.local = above, local
        self.switches, self.ports, self.here = options.switches, options.ports, options.local
        self.has_router = options.router
        self.watch, self.group = Watch(above), Uuid("")
        self.members: dict[str, Uuid] = {}

    async def fill(self) -> None:
        """Writes the northbound, without the ACL with the set."""
        first = Transaction()
        first.insert(nb.NBGlobal(options=StrMap({"northd_probe_interval": "600000"})))
        router = first.insert(nb.LogicalRouter(name="router")) if self.has_router else None
        await self.above.transact(first)
        for switch in range(self.switches):
            txn = Transaction()
            rows = [port(switch, number) for number in range(1, self.ports + 1)]
            made = {row.name: txn.insert(row) for row in rows}
            ports = list(made.values())
            if router is not None:
                inner, outer = routed(txn, switch)
                txn.mutate(nb.LogicalRouter, router, "ports", "insert", (inner,))
                ports.append(outer)
            txn.insert(nb.LogicalSwitch(name=f"switch-{switch}", ports=tuple(sorted(ports))))
            await self.above.transact(txn)
            self.members |= made
        last = Transaction()
        acls = tuple(sorted(last.insert(acl) for acl in stateful_acls()))
        self.group = last.insert(nb.PortGroup(name=GROUP, ports=tuple(sorted(self.members.values())), acls=acls))
        await self.above.transact(last)

    def local_names(self, first: int, count: int) -> list[str]:
        """Names of ports, spread over the switches."""
        return [name_of(n % self.switches, 1 + n // self.switches) for n in range(first, first + count)]

    async def plug(self, *names: str) -> None:
        """Interfaces for ports, in one transaction."""
        (bridge,) = [row for row in self.local.replica.rows(vs.Bridge).values() if row.name == "br-int"]
        txn = Transaction()
        made = []
        for name in names:
            interface = txn.insert(vs.Interface(name=f"v-{name}"[:15], external_ids=StrMap({"iface-id": name})))
            made.append(txn.insert(vs.Port(name=f"v-{name}"[:15], interfaces=(interface,))))
        txn.mutate(vs.Bridge, bridge.uuid, "ports", "insert", tuple(made))
        await self.local.transact(txn)

    async def unplug(self, name: str) -> None:
        (bridge,) = [row for row in self.local.replica.rows(vs.Bridge).values() if row.name == "br-int"]
        (found,) = [u for u, row in self.local.replica.rows(vs.Port).items() if row.name == f"v-{name}"[:15]]
        txn = Transaction()
        txn.mutate(vs.Bridge, bridge.uuid, "ports", "delete", (found,))
        await self.local.transact(txn)

    def is_up(self, name: str) -> bool:
        return bool(self.above.replica.rows(nb.LogicalSwitchPort)[self.members[name]].up)

    async def apply(self, txn: Transaction, column: str = "hv_cfg") -> float:
        """Carries a change of the northbound out; the seconds until the host has it (sb_cfg: the southbound)."""
        ((uuid, row),) = self.above.replica.rows(nb.NBGlobal).items()
        wanted = row.nb_cfg + 1
        txn.update(nb.NBGlobal, uuid, nb_cfg=wanted)
        began = time.perf_counter()
        await self.above.transact(txn)
        await self.watch.until(lambda: getattr(self.above.replica.rows(nb.NBGlobal)[uuid], column) >= wanted)
        return time.perf_counter() - began

    async def regroup(self, name: str, change: Any) -> float:
        """A port joins or leaves the group."""
        txn = Transaction()
        txn.mutate(nb.PortGroup, self.group, "ports", change, (self.members[name],))
        return await self.apply(txn)

    async def bind(self, name: str) -> float:
        began = time.perf_counter()
        await self.plug(name)
        await self.watch.until(lambda: self.is_up(name))
        return time.perf_counter() - began

    async def unbind(self, name: str) -> float:
        began = time.perf_counter()
        await self.unplug(name)
        await self.watch.until(lambda: not self.is_up(name))
        return time.perf_counter() - began

    async def add_acl(self) -> float:
        txn = Transaction()
        acl = txn.insert(nb.ACL(direction="to-lport", priority=1002, match=ACL, action="allow-related"))
        txn.mutate(nb.PortGroup, self.group, "acls", "insert", (acl,))
        return await self.apply(txn)


# --- measuring --------------------------------------------------------------------------------------------------------


async def operations(cloud: Cloud, rounds: int) -> dict[str, list[float]]:
    """The seconds of each operation; the first round does not count. Other ports than those before, so that none is
    known already."""
    times: dict[str, list[float]] = {"leave": [], "join": [], "bind": [], "unbind": []}
    for number in range(rounds + 1):
        elsewhere = name_of(number % cloud.switches, cloud.ports - number // cloud.switches)
        (guest,) = cloud.local_names(cloud.here + number, 1)
        found = {
            "leave": await cloud.regroup(elsewhere, "delete"),
            "join": await cloud.regroup(elsewhere, "insert"),
            "bind": await cloud.bind(guest),
            "unbind": await cloud.unbind(guest),
        }
        await cloud.apply(Transaction())  # what the binding left to do must not fall upon the next
        for name, seconds in found.items() if number else ():
            times[name].append(seconds)
    return times


def openflow_flows(directory: Path) -> int:
    command = ["ovs-ofctl", "-O", "OpenFlow15", "dump-aggregate", f"unix:{directory}/br-int.mgmt"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    return int(answer.rpartition("flow_count=")[2].split()[0])


async def logical_flows(server: Server) -> int:
    client = Client(sb.DATABASE, server.remote, monitors=[Monitor(sb.LogicalFlow, ("table_id",))])
    await client.start()
    await client.ready(DEADLINE)
    count = len(client.replica.rows(sb.LogicalFlow))
    await client.close()
    return count


async def phase(cloud: Cloud, below: Server, directory: Path, rounds: int) -> Phase:
    found = Phase(openflow_flows(directory), await logical_flows(below))
    below.appctl("ovsdb-server/compact", "OVN_Southbound")
    found.southbound_bytes = below.database.stat().st_size
    found.times = await operations(cloud, rounds)
    return found


async def measure(stack: str, root: Path, options: argparse.Namespace, show: Callable[[str], None]) -> Result:
    """Builds the cloud of one stack and measures it."""
    northd, controller = STACKS[stack]
    result, here = Result(stack), root / "host"
    here.mkdir()
    with ExitStack() as stage:
        enter = stage.enter_context
        stage.callback(Watch.processes.clear)  # they are stopped before the next stack starts
        above = enter(start_server(NB_SCHEMA, root / "nb"))
        below = enter(start_server(SB_SCHEMA, root / "sb"))
        local = enter(start_server(OVS_SCHEMA, here / "vs", name="conf"))
        clients = Client(nb.DATABASE, above.remote), Client(vs.DATABASE, local.remote)
        for client in clients:
            await client.start()
            await client.ready(30)
        await introduce(clients[1], below)
        switch = Vswitchd(here, local.remote)
        switch.start()
        stage.callback(switch.kill)
        cloud = Cloud(*clients, options)
        await cloud.fill()
        show(f"{stack}: {options.switches} switches of {options.ports} ports are in the northbound")
        began = time.perf_counter()
        remotes = (f"--ovnnb-db={above.remote}", f"--ovnsb-db={below.remote}")
        assert switch.process is not None
        running = {"ovs-vswitchd": switch.process}
        running["northd"] = enter(processes.northd(northd, root / "northd", *remotes))
        await cloud.apply(Transaction(), "sb_cfg")
        running["controller"] = enter(processes.controller(controller, here, local.remote))
        Watch.processes.update(running)
        await Watch(clients[1]).until(
            lambda: any(row.name == "br-int" for row in clients[1].replica.rows(vs.Bridge).values())
        )
        names = cloud.local_names(0, options.local)
        for first in range(0, len(names), BATCH):  # as instances boot
            await cloud.plug(*names[first : first + BATCH])
            await cloud.watch.until(lambda first=first: all(map(cloud.is_up, names[: first + BATCH])))
        await cloud.apply(Transaction())
        result.start = time.perf_counter() - began
        show(f"{stack}: all on the host after {result.start:.1f} s")
        result.plain = await phase(cloud, below, here, options.rounds)
        result.acl = await cloud.add_acl()
        show(f"{stack}: the ACL with the set is on the host after {result.acl:.2f} s")
        result.with_set = await phase(cloud, below, here, options.rounds)
        result.memory = {name: processes.peak_mib(process.pid) for name, process in running.items()}
        for client in clients:
            await client.close()
    return result


async def introduce(local: Client, below: Server) -> None:
    """What an operator tells the host. Probes would only get in the way of who is busy for long."""
    ids = {
        "system-id": "hv1",
        "hostname": "hv1",
        "ovn-remote": below.remote,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "127.0.0.1",
        "ovn-remote-probe-interval": "0",
        "ovn-openflow-probe-interval": "0",
    }
    txn = Transaction()
    txn.insert(vs.OpenVSwitch(external_ids=StrMap(ids)))
    await local.transact(txn)


# --- telling ----------------------------------------------------------------------------------------------------------


def table(results: list[Result]) -> Iterator[str]:
    head = f"{'':34}" + "".join(f"{result.stack + each:>16}" for result in results for each in ("", " +set"))
    yield head
    phases = [each for result in results for each in (result.plain, result.with_set)]

    def line(what: str, cells: list[str]) -> str:
        return f"{what:34}" + "".join(f"{cell:>16}" for cell in cells)

    yield line("OpenFlow flows", [f"{each.openflow:,}" for each in phases])
    yield line("logical flows", [f"{each.logical:,}" for each in phases])
    yield line("southbound, KiB", [f"{each.southbound_bytes / 1024:,.0f}" for each in phases])
    words = {"leave": "port leaves the group, ms", "join": "port joins the group, ms"}
    words |= {"bind": "interface to up, ms", "unbind": "interface gone to not up, ms"}
    for operation, what in words.items():
        yield line(what, [f"{each.median(operation) * 1000:,.1f}" for each in phases])
    firsts = [(result.start, result.acl) for result in results]
    yield line("everything, then the ACL, s", [f"{seconds:.2f}" for pair in firsts for seconds in pair])
    for name in results[0].memory:
        yield line(f"{name}, peak MiB", [c for result in results for c in ("", f"{result.memory[name]:,.0f}")])


def verdicts(results: list[Result]) -> list[tuple[str, float, float]]:
    """(target, figure, the most that it may be); those against the C daemons only if they ran."""
    by_stack = {result.stack: result for result in results}
    ours, theirs = by_stack.get("ovine"), by_stack.get("c")
    if ours is None:
        return []
    found = [("OpenFlow flows", float(ours.with_set.openflow), float(MAX_FLOWS))]
    slower = ours.slowdowns()
    found += [(f"{name}, with the ACL / without", slower[name], MAX_SLOWER) for name in slower]
    if theirs is None:
        return found
    mine, other = ours.with_set, theirs.with_set
    found.append(("join, ours / theirs", mine.median("join") / other.median("join"), MAX_JOIN))
    found.append(("bind, ours / theirs", mine.median("bind") / other.median("bind"), MAX_BIND))
    found.append(("logical flows, ours / theirs", mine.logical / other.logical, MAX_SIZE))
    return [*found, ("southbound bytes, ours / theirs", mine.southbound_bytes / other.southbound_bytes, MAX_SIZE)]


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check="if a target is missed")
    command_line.add_stacks(parser, STACKS)
    parser.add_argument("--switches", type=int, default=50)
    parser.add_argument("--ports", type=int, default=200, help="ports of each switch")
    parser.add_argument("--local", type=int, default=200, help="ports on the host, spread over all switches")
    parser.add_argument("--no-router", dest="router", action="store_false", help="leave the switches unconnected")
    parser.add_argument("--rounds", type=int, default=5, help="how often each operation is measured")
    options = parser.parse_args()
    spare = options.switches * options.ports - options.local
    if min(options.switches, options.ports, options.local, options.rounds) < 1 or spare < 2 * (options.rounds + 1):
        parser.error("too few ports: beside those on the host, each round needs two of its own")
    return options


def main() -> int:
    options = arguments()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    results = []
    for stack in options.stacks:
        with tempfile.TemporaryDirectory(prefix="sg-") as directory:
            show = lambda text: print(text, flush=True)  # noqa: E731
            results.append(asyncio.run(measure(stack, Path(directory), options, show)))
    for line in table(results):
        print(line)
    missed = 0
    for target, figure, most in verdicts(results):
        good = figure <= most
        missed += not good
        print(f"{'met   ' if good else 'MISSED'} {target}: {figure:,.3f}, at most {most:,.2f}")
    command_line.publish(options, [result.as_json() for result in results])
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
