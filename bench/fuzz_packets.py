"""Damaged packets for each packet service of a host: none may break it.

    .venv/bin/python bench/fuzz_packets.py [--packets 100000] [--seed 1]

Takes honest packets of each kind, changes bytes in them at random, cuts some off, and hands them to the service as the
switch would. A service may answer, or let the packet go on; it may not fail. Prints the count and the time for each,
and ends with status 1 if one failed. Test: tests/faults/test_fuzzed_packets.py.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from ovine.controller.packets import PacketServices
from ovine.controller.services import Userdata
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.openflow import Resume
from support.controller_world import uuid_of
from support.frames import build
from support.service_bed import Host, packet_in, replica_of, userdata

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
IP4, IP6 = f"{A}>{B} ip 10.0.0.1>10.0.0.2", f"{A}>{B} ip6 fd00::1>fd00::2"
MOST_CHANGES = 12
CLIENT = f"{A}>ff:ff:ff:ff:ff:ff ip 0.0.0.0>255.255.255.255 udp 68>67 dhcp"
SERVER = f"{B}>{A} ip 172.16.0.5>10.0.0.254 udp 67>67 dhcp"
RELAYED = "yiaddr 10.0.0.1 giaddr 10.0.0.254 server 172.16.0.5"
CLIENT6 = f"{A}>33:33:00:01:00:02 ip6 fe80::ff:fe00:1>ff02::1:2 udp 546>547 dhcp6"


@dataclass(frozen=True)
class Service:
    """The action whose packets it takes, and honest packets."""

    name: str
    actions: str
    packets: tuple[str, ...]
    match: str = "1"


SERVICES = (
    Service(
        "DHCPv4",
        "reg0[3] = put_dhcp_opts(offerip = 10.0.0.1, netmask = 255.255.255.0, server_id = 10.0.0.254, "
        "lease_time = 3600, router = 10.0.0.254); next;",
        (f"{CLIENT} discover", f"{CLIENT} request ask 10.0.0.1 server 10.0.0.254", f"{CLIENT} release"),
    ),
    Service(
        "requests to a DHCP relay",
        "reg3[0] = dhcp_relay_req_chk(10.0.0.254, 172.16.0.5); next;",
        (f"{CLIENT} discover", f"{CLIENT} request ask 10.0.0.1 server 172.16.0.5", f"{CLIENT} release"),
    ),
    Service(
        "replies to a DHCP relay",
        "reg3[1] = dhcp_relay_resp_chk(10.0.0.254, 172.16.0.5); next;",
        tuple(f"{SERVER} {kind} {A} {RELAYED}" for kind in ("offer", "ack", "nak")),
    ),
    Service(
        "DHCPv6",
        "reg0[3] = put_dhcpv6_opts(ia_addr = fd00::1, server_id = 02:00:00:00:00:fe, dns_server = fd00::53); next;",
        (f"{CLIENT6} solicit {A}", f"{CLIENT6} request {A} server 02:00:00:00:00:fe addr fd00::1"),
    ),
    Service(
        "DNS",
        "reg0[3] = dns_lookup(); next;",
        (
            f"{IP4} udp 3000>53 dns a vm1",
            f"{IP6} udp 3000>53 dns ptr 4.0.0.10.in-addr.arpa",
            f"{IP4} udp 3000>53 dns a vm1 edns",
        ),
        "udp",
    ),
    Service("ND", "nd_na { output; };", (f"{A}>33:33:ff:00:00:02 ip6 fd00::1>ff02::1:ff00:2 ns fd00::2 {A}",)),
    Service(
        "RS",
        'reg0[3] = put_nd_ra_opts(addr_mode = "slaac", mtu = 1442, prefix = fd00::/64, slla = 02:00:00:00:00:fe); '
        "next;",
        (f"{A}>33:33:00:00:00:02 ip6 fe80::ff:fe00:1>ff02::2 rs {A}",),
    ),
    Service(
        "IGMP and MLD",
        "igmp;",
        (
            f"{A}>01:00:5e:00:00:16 ip 10.0.0.1>224.0.0.22 ttl 1 igmp3 join 239.1.1.1",
            f"{A}>33:33:00:00:00:01 ip6 fe80::1>ff0a::1 ttl 1 mld1 report ff0a::1",
        ),
        "igmp",
    ),
    Service("packets that wait for a neighbour", "arp { output; };", (f"{IP4} udp 1>2", f"{IP4} icmp echo")),
    Service(
        "answers to health checks",
        "handle_svc_check(inport);",
        (
            f"{IP4} tcp 80>40000 SA",
            f"{IP6} tcp 80>40000 RA",
            f"{IP4} icmp 3/3 about udp 40000>53",
            f"{IP6} icmp6 1/4 about udp 40000>53",
        ),
        "tcp || icmp4 || icmp6",
    ),
    Service("refusals", "reject { output; };", (f"{IP4} tcp 1>2 S", f"{IP6} udp 1>2", f"{IP4} udp 1>2")),
)


def host() -> Host:
    """One whose datapath 1 has names and addresses for the DNS."""
    datapath = sb.DatapathBinding(uuid=uuid_of("datapath", "1"), tunnel_key=1)
    records = StrMap({"vm1": "10.0.0.4", "4.0.0.10.in-addr.arpa": "vm1"})
    known = sb.DNS(uuid=uuid_of("dns"), records=records, datapaths=(datapath.uuid,))
    return Host(southbound=replica_of(datapath, known))


def damaged(frame: bytes, chance: random.Random) -> bytes:
    """The frame with some bytes changed, and sometimes cut off or made longer."""
    made = bytearray(frame)
    for _ in range(chance.randrange(MOST_CHANGES)):
        made[chance.randrange(len(made))] = chance.randrange(256)
    how = chance.randrange(8)
    if how == 0:
        return bytes(made[: chance.randrange(len(made) + 1)])
    return bytes(made) + chance.randbytes(chance.randrange(40)) if how == 1 else bytes(made)


PLACE = (("metadata", 1, None), ("reg14", 1, None))


def answers(service: Service) -> list[bool]:
    """Whether each honest packet of a service has an effect beside its going on: a fuzz of deaf services is none."""
    carried = userdata(service.actions, service.match)
    found = []
    for text in service.packets:
        dispatcher = PacketServices(host())
        sent = dispatcher.handle(packet_in(build(text), carried, PLACE))
        changed = any(not isinstance(message, Resume) or message.packet for message in sent)
        found.append(changed or bool(dispatcher.events or dispatcher.learned))
    return found


def fuzz(service: Service, packets: int, seed: int) -> list[str]:
    """Hands damaged packets to a service; what it failed at, with one of the packets."""
    chance = random.Random(f"{service.name} {seed}")
    carried: Userdata = userdata(service.actions, service.match)
    frames = [build(text) for text in service.packets]
    dispatcher = PacketServices(host())
    faults = []
    for _ in range(packets):
        frame = damaged(chance.choice(frames), chance)
        before = sum(dispatcher.failed.values())
        dispatcher.handle(packet_in(frame, carried, PLACE))
        dispatcher.events.clear()
        if sum(dispatcher.failed.values()) != before:
            faults.append(f"{service.name}: {'; '.join(dispatcher.last_error.values())}: {frame.hex()}")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    bad = 0
    for service in SERVICES:
        started = time.monotonic()
        faults = fuzz(service, asked.packets, asked.seed)
        bad += len(faults)
        seconds = time.monotonic() - started
        print(f"{service.name}: {asked.packets} packets, {len(faults)} failures, {seconds:.1f} s", flush=True)
        for fault in faults[:3]:
            print(f"  {fault}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
