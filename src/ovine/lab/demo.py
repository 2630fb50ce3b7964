"""`make demo`: a cloud of three hosts, two tenants with the same addresses, and what must and must not work there.

Every line of the table is a `Check`: what is tried, what is expected, and a function that tells what was seen. The
networks are made by the real `openstack` client, the packets are real, and the OVN tools are Debian's.
Tests: tests/lab/test_demo.py runs it.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ovine.lab.errors import LabError
from ovine.lab.frames import echo_request, mac_bytes
from ovine.lab.instance import Instance
from ovine.lab.interrupts import ended_by_sigterm
from ovine.lab.lab import Lab
from ovine.lab.spec import spread
from ovine.lab.tools import run
from ovine.lab.traffic import Ping

HOSTS = 3
RANGE = "10.0.0.0/24"
CLIENT_TIMEOUT = 60.0
ICMP_AND_IP_HEADERS = 28
STOP_WITHIN = 1.0
PLAIN_WIDTH = 150


@dataclass(frozen=True)
class Guest:
    """An instance of the demo. Both tenants use the same range, and one address is used twice."""

    name: str
    tenant: str
    host: str
    address: str


RED1 = Guest("red1", "red", "h1", "10.0.0.11")
RED2 = Guest("red2", "red", "h2", "10.0.0.12")
BLUE1 = Guest("blue1", "blue", "h1", "10.0.0.11")
BLUE2 = Guest("blue2", "blue", "h3", "10.0.0.13")
GUESTS = (RED1, RED2, BLUE1, BLUE2)


@dataclass(frozen=True)
class Check:
    """Something that is tried. `look` tells what was seen, in the words of `expected` if it is as expected."""

    what: str
    expected: str
    look: Callable[[], str]


@dataclass(frozen=True)
class Outcome:
    what: str
    expected: str
    seen: str

    @property
    def good(self) -> bool:
        return self.seen.startswith(self.expected)


def main(northd: str = "ovine", controllers: Sequence[str] = ("ovine",)) -> int:
    """Runs the demo; 0 if all was as expected. Whatever happens, nothing of it is left behind."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    started = time.monotonic()

    def say(step: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.1f} s[/dim]  {step}")

    lab = Lab(northd=northd, controllers=spread(controllers, HOSTS))
    with ended_by_sigterm():
        lab.up(say)
        try:
            outcomes = show(lab, console, say)
        finally:
            say("cleaning up")
            lab.down()
    console.print(as_table(outcomes))
    bad = sum(not outcome.good for outcome in outcomes)
    verdict = "all as expected" if not bad else f"{bad} of {len(outcomes)} not as expected"
    console.print(f"{verdict}; {time.monotonic() - started:.0f} s in all")
    return 1 if bad else 0


def show(lab: Lab, console: Console, say: Callable[[str], None]) -> list[Outcome]:
    """Makes networks and instances, then tries everything. A failed check does not end the demo."""
    openstack = Client(lab.spec.clouds_file)
    say("openstack: a network and a subnet for each of two projects")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda tenant: make_network(openstack, tenant), ("red", "blue")))
        say("four instances: " + ", ".join(f"{g.name} on {g.host} with {g.address}" for g in GUESTS))
        instances = dict(zip(GUESTS, pool.map(lambda guest: boot(lab, guest), GUESTS), strict=True))
    say("what the OVN tools say")
    show_tools(lab, console)
    say("trying")
    return [try_out(check) for check in checks(lab, openstack, instances)]


def try_out(check: Check) -> Outcome:
    try:
        seen = check.look()
    except LabError as error:
        seen = f"failed: {error}"
    return Outcome(check.what, check.expected, seen)


@dataclass(frozen=True)
class Client:
    """The real `openstack` client, as a tenant or an administrator would call it."""

    clouds_file: Path

    def __call__(self, cloud: str, *words: str) -> str:
        program = shutil.which("openstack", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program is None:
            raise LabError("the openstack client is not installed: pip install 'ovine[lab]'")
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.clouds_file)}
        return run([program, "--os-cloud", cloud, *words], timeout=CLIENT_TIMEOUT, env=environment)


def make_network(openstack: Client, tenant: str) -> None:
    openstack(tenant, "network", "create", f"{tenant}-net")
    openstack(tenant, "subnet", "create", f"{tenant}-subnet", "--network", f"{tenant}-net", "--subnet-range", RANGE)


def boot(lab: Lab, guest: Guest) -> Instance:
    return lab.boot(guest.name, network=f"{guest.tenant}-net", host=guest.host, address=guest.address)


# --- what is tried


def checks(lab: Lab, openstack: Client, instances: dict[Guest, Instance]) -> Iterator[Check]:
    for guest, instance in instances.items():
        yield Check(f"DHCP: {guest.name} gets its address", guest.address, partial(lease_of, instance))
    for one, other in ((RED1, RED2), (BLUE1, BLUE2)):
        what = f"{one.name} on {one.host} pings {other.name} on {other.host}, same tenant"
        yield Check(what, "3 of 3 answered", partial(within, instances[one], other))
    for one, other in ((RED1, BLUE2), (BLUE1, RED2)):
        what = f"{one.name} on {one.host} pings {other.name} on {other.host}, other tenant"
        yield Check(what, "0 of 3 answered, nothing arrived", partial(between, instances[one], instances[other], other))
    red1, red2 = instances[RED1], instances[RED2]
    yield Check("red1 sends with a source IP that is not its own", "dropped", lambda: spoof(red1, red2, ip="10.0.0.99"))
    yield Check(
        "red1 sends with a source MAC that is not its own",
        "dropped",
        lambda: spoof(red1, red2, mac="fa:16:3e:00:00:99"),
    )
    yield Check("red1 sends packets as large as the MTU", "3 of 3 answered", lambda: large(red1, 0))
    yield Check("red1 sends packets of 1 byte more", "refused", lambda: large(red1, 1))
    yield Check("red tenant lists ports", "sees its own only", lambda: ports_seen(openstack, instances))
    yield Check("ovn-nbctl --wait=hv sync", "done", lambda: sync(lab))
    yield Check("ovn-trace from red1 to red2", "output to red2", lambda: trace(lab, red1, red2))
    yield Check("our daemons recompute everything", "no difference", lambda: audit(lab))
    yield Check("red2's port is deleted under a ping", "stopped at once", lambda: delete_under_ping(lab, red1, red2))


def within(sender: Instance, target: Guest) -> str:
    return in_words(sender.ping(target.address))


def between(sender: Instance, receiver: Instance, target: Guest) -> str:
    """Pings a foreign address, and also sends a frame straight to the foreign MAC."""
    with receiver.capture() as seen:
        sender.send(echo_request(sender.mac, receiver.mac, sender.addresses[0].split("/")[0], target.address))
        ping = sender.ping(target.address, wait=0.3)
        arrived = sum(mac_bytes(sender.mac) == frame[6:12] for frame in seen.frames)
    return f"{in_words(ping)}, {arrived or 'nothing'} arrived"


def in_words(ping: Ping) -> str:
    time_taken = f", {ping.rtt_ms:.1f} ms" if ping.rtt_ms is not None else ""
    return f"{ping.received} of {ping.sent} answered{time_taken}"


def lease_of(instance: Instance) -> str:
    lease = instance.lease()
    return f"{lease.address}, MTU {lease.mtu}" if lease else "no lease"


def spoof(sender: Instance, receiver: Instance, *, ip: str = RED1.address, mac: str | None = None) -> str:
    """Sends a forged frame and an honest one behind it: when the honest one is there, the forged one would be too."""
    forged = echo_request(mac or sender.mac, receiver.mac, ip, RED2.address)
    honest = echo_request(sender.mac, receiver.mac, RED1.address, RED2.address)
    with receiver.capture() as seen:
        sender.send(forged)
        sender.send(honest)
        frames = seen.wait(lambda frames: honest in frames)
    return "arrived" if forged in frames else "dropped"


def large(sender: Instance, beyond: int) -> str:
    lease = sender.lease()
    if lease is None or lease.mtu is None:
        return "no MTU in the lease"
    size = lease.mtu - ICMP_AND_IP_HEADERS + beyond
    ping = sender.ping(RED2.address, size=size, fragment=False, wait=0.3)
    if ping.none and "message too long" in ping.output:
        return f"refused, message too long for MTU {lease.mtu}"
    return in_words(ping)


def ports_seen(openstack: Client, instances: dict[Guest, Instance]) -> str:
    listed = set(openstack("red", "port", "list", "-f", "value", "-c", "ID").split())
    own = {instance.record.port_id for guest, instance in instances.items() if guest.tenant == "red"}
    foreign = {instance.record.port_id for guest, instance in instances.items() if guest.tenant != "red"}
    if listed & foreign:
        return "sees a foreign port"
    return "sees its own only" if own <= listed else "does not see its own"


def sync(lab: Lab) -> str:
    started = time.monotonic()
    lab.sync()
    return f"done, {(time.monotonic() - started) * 1000:.0f} ms"


def audit(lab: Lab) -> str:
    """Whether what the daemons came to step by step is what they compute from nothing."""
    differences = lab.audit()
    return differences[0] if differences else f"no difference, {len(lab.compilers)} daemons"


def trace(lab: Lab, sender: Instance, receiver: Instance) -> str:
    """ovn-trace(8) calls a port by the name that its owner gave it, where it has one."""
    said = traced(lab, sender, receiver)
    reached = any(f'output to "{name}"' in said for name in (receiver.name, receiver.record.port_id))
    return f"output to {receiver.name}" if reached else "no output"


def traced(lab: Lab, sender: Instance, receiver: Instance) -> str:
    datapath = f"neutron-{lab.cloud.network('red-net')['id']}"
    packet = (
        f'inport == "{sender.record.port_id}" && eth.src == {sender.mac} && eth.dst == {receiver.mac} && '
        f"ip4.src == {RED1.address} && ip4.dst == {RED2.address} && ip.ttl == 64 && icmp4.type == 8"
    )
    return run(["ovn-trace", f"--db={lab.spec.sb_db}", datapath, packet])


def delete_under_ping(lab: Lab, sender: Instance, receiver: Instance) -> str:
    """Deletes the receiver's port through the API while it is pinged: when did the last packet come in?"""
    with receiver.capture() as seen:
        pinging = sender.ping_in_background(RED2.address, interval=0.02)
        try:
            seen.wait(lambda frames: len(frames) >= 10)
            lab.cloud.delete(f"ports/{receiver.record.port_id}")
            deleted = time.monotonic()
            quiet = wait_until_quiet(lambda: len(seen.frames))
        finally:
            outcome = pinging.stop()
    after = max(0.0, quiet - deleted)
    return f"stopped {'at once' if after <= STOP_WITHIN else 'too late'}, {after * 1000:.0f} ms; {in_words(outcome)}"


def wait_until_quiet(count: Callable[[], int], quiet: float = 0.5, timeout: float = 10.0) -> float:
    """When a count stopped to grow: the time.monotonic() of its last change, once nothing came for `quiet` seconds."""
    deadline = time.monotonic() + timeout
    last, changed = count(), time.monotonic()
    while time.monotonic() - changed < quiet:
        if time.monotonic() > deadline:
            raise LabError(f"packets still arrive after {timeout:g} s")
        time.sleep(0.005)
        if count() != last:
            last, changed = count(), time.monotonic()
    return changed


# --- what is shown


def show_tools(lab: Lab, console: Console) -> None:
    """Debian's OVN tools on the lab's databases."""
    show_command(console, "ovn-nbctl show", lab.nbctl("show"), 12)
    show_command(console, "ovn-sbctl lflow-list | head", lab.sbctl("lflow-list"), 12)
    show_command(console, "ovn-trace: red1 to red2", traced(lab, lab.instance("red1"), lab.instance("red2")), 60)


def show_command(console: Console, title: str, output: str, lines: int) -> None:
    console.print(f"\n[bold]$ {title}[/bold]")
    for line in output.splitlines()[:lines]:
        console.print(line, markup=False, overflow="ellipsis", no_wrap=True)
    console.print()


def as_table(outcomes: Sequence[Outcome]) -> Table:
    table = Table()
    for column in ("tried", "expected", "seen", ""):
        table.add_column(column)
    for outcome in outcomes:
        mark = "[green]ok[/green]" if outcome.good else "[red]NOT OK[/red]"
        table.add_row(outcome.what, outcome.expected, outcome.seen, mark)
    return table
