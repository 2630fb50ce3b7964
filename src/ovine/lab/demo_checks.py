"""What the demo tries. Each `Check` tells what is tried, what is expected, and looks.

Tests: tests/lab/test_demo.py.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ovine.lab import migration, tcp
from ovine.lab.demo_cloud import BLUE1, BLUE2, DB1, OUTSIDE, RED1, RED2, DemoCloud, Guest
from ovine.lab.errors import LabError
from ovine.lab.frames import echo_request, mac_bytes
from ovine.lab.instance import Instance
from ovine.lab.lab import Lab
from ovine.lab.tools import run
from ovine.lab.traffic import Ping

ICMP_AND_IP_HEADERS = 28
STOP_WITHIN = 1.0
SSH = 22
REFUSED_AFTER = 1.0
"""Seconds after which a connection counts as not let in; one that is takes milliseconds."""


@dataclass(frozen=True)
class Check:
    """Something that is tried. `look` tells what was seen, in the words of `expected` if it is as expected."""

    what: str
    expected: str
    look: Callable[[], str]


def checks(cloud: DemoCloud) -> Iterator[Check]:
    """All checks, in the order in which they are to be made."""
    yield from _on_one_network(cloud)
    yield from _routed(cloud)
    yield from _security_groups(cloud)
    yield from _operation(cloud)


def _on_one_network(cloud: DemoCloud) -> Iterator[Check]:
    instances = cloud.instances
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
    yield Check("red1 asks the DNS for red2", RED2.address, lambda: resolved(cloud, red1, red2))


def _routed(cloud: DemoCloud) -> Iterator[Check]:
    red1, db1 = cloud.instances[RED1], cloud.instances[DB1]
    yield Check("red1 on h1 pings db1 on h3, through the router", "3 of 3 answered", lambda: within(red1, DB1))
    address = router_address(cloud)
    yield Check("db1 connects to the outside, by SNAT", f"seen as {address}", lambda: goes_out(cloud, db1))
    yield Check("red1 connects to the outside", f"seen as {cloud.floating_ip}", lambda: goes_out(cloud, red1))


def _security_groups(cloud: DemoCloud) -> Iterator[Check]:
    to_ssh = f"outside connects to {cloud.floating_ip}, port {SSH}"
    yield Check(to_ssh, "not let in", lambda: comes_in(cloud))
    yield Check("why? ovine trace", "no rule", lambda: why_dropped(cloud))
    yield Check("openstack security group rule create; again", "let in", lambda: opened(cloud))
    yield Check("openstack security group rule delete; again", "not let in", lambda: closed(cloud))


def _operation(cloud: DemoCloud) -> Iterator[Check]:
    lab = cloud.lab
    red1, red2 = cloud.instances[RED1], cloud.instances[RED2]
    yield Check("red tenant lists ports", "sees its own only", lambda: ports_seen(cloud))
    yield Check("ovn-nbctl --wait=hv sync", "done", lambda: sync(lab))
    yield Check("ovn-trace from red1 to red2", "output to red2", lambda: trace(lab, red1, red2))
    yield Check("red2 moves from h2 to h3 under a ping", "moved", lambda: moved_under_ping(cloud))
    yield Check("our daemons recompute everything", "no difference", lambda: audit(lab))
    yield Check(
        "red2's port is deleted under a ping", "stopped at once", lambda: delete_under_ping(lab, red1, RED2.name)
    )


# --- one network ------------------------------------------------------------------------------------------------------


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


# --- routers and security groups --------------------------------------------------------------------------------------


def router_address(cloud: DemoCloud) -> str:
    """The router's address outside."""
    router = cloud.lab.cloud.get("routers", name="red-router")["routers"][0]
    return str(router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"])


def goes_out(cloud: DemoCloud, instance: Instance) -> str:
    """Connects to the machine outside: as whom is the instance seen there?"""
    return f"seen as {tcp.transfer(instance, cloud.internet, OUTSIDE)}, 200 kB of TCP"


def comes_in(cloud: DemoCloud) -> str:
    """The machine outside connects to red1's floating IP."""
    red1 = cloud.instances[RED1]
    try:
        tcp.transfer(cloud.internet, red1, cloud.floating_ip, port=SSH, timeout=REFUSED_AFTER)
    except TimeoutError:
        return "not let in"
    return "let in"


def rules_for_ssh(cloud: DemoCloud) -> list[str]:
    """The ids of the red tenant's rules that let SSH in."""
    project = cloud.lab.cloud.project_id("red")
    rules = cloud.lab.cloud.get("security-group-rules", project_id=project)["security_group_rules"]
    return [rule["id"] for rule in rules if rule["port_range_min"] == SSH]


def opened(cloud: DemoCloud) -> str:
    cloud.openstack(
        "red", "security", "group", "rule", "create", "default", "--protocol", "tcp", "--dst-port", str(SSH)
    )
    cloud.lab.sync()
    return comes_in(cloud)


def closed(cloud: DemoCloud) -> str:
    cloud.openstack("red", "security", "group", "rule", "delete", *rules_for_ssh(cloud))
    cloud.lab.sync()
    return comes_in(cloud)


def why_dropped(cloud: DemoCloud) -> str:
    """What `ovine trace` says of a packet from outside, as it comes from the router to red1's network."""
    lines = traced_by_ovine(cloud).splitlines()
    return next((line for line in lines if line.startswith("no rule")), lines[-1])


def traced_by_ovine(cloud: DemoCloud) -> str:
    lab, red1 = cloud.lab, cloud.instances[RED1]
    network = lab.cloud.network("red-net")["id"]
    interface = lab.cloud.get("ports", network_id=network, device_owner="network:router_interface")["ports"][0]
    packet = (
        f'inport == "{interface["id"]}" && eth.src == {interface["mac_address"]} && eth.dst == {red1.mac} && '
        f"ip4.src == {OUTSIDE} && ip4.dst == {RED1.address} && ip.ttl == 63 && tcp.dst == {SSH}"
    )
    databases = [f"--db={lab.spec.sb_db}", f"--nb={lab.spec.nb_db}", f"--cloud={lab.spec.cloud_db}"]
    return run([sys.executable, "-m", "ovine.cli.main", "trace", *databases, "--ct=new", packet], env=dict(os.environ))


# --- operation --------------------------------------------------------------------------------------------------------


def moved_under_ping(cloud: DemoCloud) -> str:
    """red2 moves to another host while red1 pings it."""
    pinging = cloud.instances[RED1].ping_in_background(RED2.address, interval=0.01)
    try:
        migration.move(cloud.lab, RED2.name, "h3")
    finally:
        outcome = pinging.stop(patience=10.0)
    lost = outcome.sent - outcome.received
    return f"moved, {lost} of {outcome.sent} pings lost" if outcome.received else "not reached any more"


def resolved(cloud: DemoCloud, asking: Instance, wanted: Instance) -> str:
    """What an instance's resolver says of another one's name."""
    port = cloud.lab.cloud.get(f"ports/{wanted.record.port_id}")["port"]
    name = port["dns_assignment"][0]["fqdn"].rstrip(".")
    done = asking.run("getent", "hosts", name)
    return " is ".join(done.stdout.split()[:2]) or f"{name} is not known"


def ports_seen(cloud: DemoCloud) -> str:
    """What a tenant's `openstack port list` has: its own instances' ports, and no other tenant's."""
    listed = set(cloud.openstack("red", "port", "list", "-f", "value", "-c", "ID").split())
    own = {instance.record.port_id for guest, instance in cloud.instances.items() if guest.tenant == "red"}
    foreign = {instance.record.port_id for guest, instance in cloud.instances.items() if guest.tenant != "red"}
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


def delete_under_ping(lab: Lab, sender: Instance, name: str) -> str:
    """Deletes an instance's port through the API while it is pinged: when did the last packet come in?"""
    receiver = lab.instance(name)
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
