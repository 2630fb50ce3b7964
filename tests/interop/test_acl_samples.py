"""What collectors get of connections that sampled ACLs allow: new and known ones, replies and errors, by hosts of both.

The test is the collector itself, of IPFIX (RFC 7011), at a third host's address.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from ovine.lab import Lab, netns
from ovine.lab.requirements import why_not
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.ovsdb import Client, Transaction
from support.frames import build

IPFIX_PORT = 4739
SET = 100
OUT_NEW, OUT_KNOWN, IN_NEW, IN_KNOWN = POINTS = tuple(0x5A17C0D0 + n for n in range(4))
"""Observation points: of the sender's ACL and of the receiver's, for packets of new and of known connections."""
THERE = "02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2"
BACK = "02:00:00:00:00:02>02:00:00:00:00:01 ip 10.0.0.2>10.0.0.1"


@dataclass
class Cloud:
    sockets: dict[str, socket.socket]
    listener: socket.socket

    def sampled(self, sender: str, frame: str, wanted: set[int]) -> set[int]:
        """Sends a frame; the observation points of samples that arrive, until those that are wanted have."""
        while select.select([self.listener], [], [], 0)[0]:
            self.listener.recv(65536)
        self.sockets[sender].send(build(frame))
        seen: set[int] = set()
        deadline = time.monotonic() + 10
        while (left := (deadline if seen != wanted else min(deadline, time.monotonic() + 0.3)) - time.monotonic()) > 0:
            if not select.select([self.listener], [], [], left)[0]:
                break
            seen |= _points(self.listener.recv(65536))
        return seen


def _points(message: bytes) -> set[int]:
    """The observation points in an IPFIX message; templates differ, but these numbers are found nowhere else."""
    return {point for point in POINTS if point.to_bytes(4) in message}


def _collector(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, IPFIX_PORT))
    return opened


async def write_acls(remote: str) -> None:
    client = Client(nb.DATABASE, remote)
    await client.start()
    await client.ready(10)
    (switch,) = client.replica.rows(nb.LogicalSwitch)
    txn = Transaction()
    collector = txn.insert(nb.SampleCollector(name="c", probability=65535, set_id=SET))
    for kind, number in (("acl-new", 7), ("acl-est", 8)):
        txn.insert(nb.SamplingApp(type=kind, id=number))
    samples = [txn.insert(nb.Sample(metadata=point, collectors=(collector,))) for point in POINTS]

    def acl(direction: str, match: str, new: Uuid, known: Uuid) -> Uuid:
        row = nb.ACL(
            direction=direction, priority=1001, match=match, action="allow-related", sample_new=new, sample_est=known
        )
        return txn.insert(row)

    acls = [acl("from-lport", 'inport == "a" && udp', samples[0], samples[1])]
    acls.append(acl("to-lport", 'outport == "b" && udp', samples[2], samples[3]))
    txn.mutate(nb.LogicalSwitch, switch, "acls", "insert", tuple(acls))
    await client.transact(txn)
    await client.close()


@pytest.fixture(scope="module", params=["ours", "debian's"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    if reason := why_not(c_daemons=True):
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    controllers = ["ovine", "ovine", "ovine"] if request.param == "ours" else ["c", "c", "ovine"]
    with Lab(northd="ovine", controllers=controllers, api=False) as lab:  # type: ignore[arg-type]
        sink = lab.spec.host("h3")
        lab.nbctl("ls-add", "sw")
        sockets = {}
        for name, host, mac in (("a", "h1", "02:00:00:00:00:01"), ("b", "h2", "02:00:00:00:00:02")):
            lab.nbctl("lsp-add", "sw", name, "--", "lsp-set-addresses", name, mac)
            instance = lab.plug(name, host=host, port_id=name, mac=mac)
            sockets[name] = netns.packet_socket(instance.netns, instance.interface)
            instance.wait_installed()
            ipfix = f'targets="{sink.tunnel_address}:{IPFIX_PORT}" cache_max_flows=0'.split()
            new = ["--id=@i", "create", "IPFIX", *ipfix, "--", "--id=@b", "get", "Bridge", "br-int"]
            lab.vsctl(host, *new, "--", "create", "Flow_Sample_Collector_Set", f"id={SET}", "bridge=@b", "ipfix=@i")
        asyncio.run(write_acls(lab.spec.nb_db))
        lab.sync()
        listener = netns.call_inside(lab.spec.host_netns(sink), partial(_collector, sink.tunnel_address))
        yield Cloud(sockets, listener)
        for opened in (*sockets.values(), listener):
            opened.close()


def test_a_connection_is_sampled_at_both_ends_and_in_both_directions(cloud: Cloud) -> None:
    new, known = {OUT_NEW, IN_NEW}, {OUT_KNOWN, IN_KNOWN}
    assert cloud.sampled("a", f"{THERE} udp 5>6", new) == new
    assert cloud.sampled("b", f"{BACK} udp 6>5", known) == known
    assert cloud.sampled("a", f"{THERE} udp 5>6", known) == known
    assert cloud.sampled("b", f"{BACK} icmp 3/3 about udp 5>6", known) == known
    assert cloud.sampled("a", f"{THERE} icmp 3/3 about udp 6>5", known) == known
    assert cloud.sampled("b", f"{BACK} icmp echo", set()) == set()
