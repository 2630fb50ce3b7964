"""How long instances wait for DHCP, DNS, neighbour and router answers while a large change compiles.

    sudo .venv/bin/python bench/answers_under_load.py [--ports 10000] [--stacks ovine c] [--json FILE] [--check]

One host, a network with DHCPv4, DNS names and a router with SLAAC. An instance asks for each service again and again,
10 ms after each answer: DHCPv4 (DISCOVER), DNS (A), ND (a neighbour solicitation), RA (a router solicitation).
Meanwhile `--ports` ports are added to the very same network in one northbound transaction, and the asking goes on
until the host has them all (`hv_cfg`). Shown are the median before, and the median and the worst answer time
meanwhile, for our northd and controller ("ovine") and Debian's ("c"). `--check` ends with status 1 if an answer of
ours took more than 1 s, or none came.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dpkt

import command_line
from ovine.lab import Lab, netns
from ovine.lab.frames import mac_bytes
from ovine.model import nb
from ovine.ovsdb import Client, Transaction

TARGET_MS = 1000.0
PAUSE, PATIENCE = 0.01, 5.0
MAC, IP, IP6 = "02:00:00:00:00:01", "10.64.0.1", "fd00::1"
ROUTER_MAC, ROUTER_IP = "02:00:00:00:00:fe", "10.64.255.254"
NEIGHBOUR_MAC, NEIGHBOUR_IP6 = "02:00:00:00:00:02", "fd00::2"
NAME = "vm2.example.org"


@dataclass
class Service:
    """A question, how to know its answer, and the answer times in ms; None where none came."""

    name: str
    question: Callable[[], bytes]
    answers: Callable[[bytes], bool]
    before: list[float] = field(default_factory=list)
    meanwhile: list[float] = field(default_factory=list)
    unanswered: int = 0


def udp(source: str, target: str, sport: int, dport: int, payload: bytes, eth_dst: str) -> bytes:
    """A UDP datagram from the instance."""
    data = dpkt.udp.UDP(sport=sport, dport=dport, ulen=8 + len(payload), data=payload)
    packet = dpkt.ip.IP(src=socket.inet_aton(source), dst=socket.inet_aton(target), p=17, ttl=64, data=data)
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(src=mac_bytes(MAC), dst=mac_bytes(eth_dst), type=0x0800, data=packet))


def dhcp_discover() -> bytes:
    options = bytes([53, 1, 1, 255])
    fixed = struct.pack(
        "!BBBBIHH4s4s4s4s16s192x4s", 1, 1, 6, 0, 7, 0, 0, *[bytes(4)] * 4, mac_bytes(MAC), b"\x63\x82Sc"
    )
    return udp("0.0.0.0", "255.255.255.255", 68, 67, fixed + options, "ff:ff:ff:ff:ff:ff")


def dns_query() -> bytes:
    question = dpkt.dns.DNS(id=1, qd=[dpkt.dns.DNS.Q(name=NAME, type=1)])
    return udp(IP, "192.0.2.53", 4444, 53, bytes(question), ROUTER_MAC)


def icmp6(kind: int, body: bytes, target: str, eth_dst: str) -> bytes:
    """An ICMPv6 message of neighbour discovery, from the instance, with its checksum (RFC 4443, 2.3)."""
    source, destination = (socket.inet_pton(socket.AF_INET6, text) for text in (IP6, target))
    message = struct.pack("!BBH", kind, 0, 0) + body
    total = dpkt.in_cksum(source + destination + struct.pack("!II", len(message), 58) + message)
    message = struct.pack("!BBH", kind, 0, total) + body
    packet = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + source + destination + message
    return mac_bytes(eth_dst) + mac_bytes(MAC) + b"\x86\xdd" + packet


def neighbour_solicitation() -> bytes:
    body = bytes(4) + socket.inet_pton(socket.AF_INET6, NEIGHBOUR_IP6) + b"\x01\x01" + mac_bytes(MAC)
    return icmp6(135, body, "ff02::1:ff00:2", "33:33:ff:00:00:02")


def router_solicitation() -> bytes:
    return icmp6(133, bytes(4) + b"\x01\x01" + mac_bytes(MAC), "ff02::2", "33:33:00:00:00:02")


def is_icmp6(kind: int) -> Callable[[bytes], bool]:
    return lambda frame: frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == kind


def is_udp_from(port: int) -> Callable[[bytes], bool]:
    wanted = struct.pack("!H", port)
    return lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:36] == wanted


def services() -> list[Service]:
    return [
        Service("DHCPv4", dhcp_discover, is_udp_from(67)),
        Service("DNS", dns_query, is_udp_from(53)),
        Service("ND", neighbour_solicitation, is_icmp6(136)),
        Service("RA", router_solicitation, is_icmp6(134)),
    ]


class Asker(threading.Thread):
    """Asks for one service again and again, until told to end."""

    def __init__(self, service: Service, opened: socket.socket) -> None:
        super().__init__(daemon=True)
        self.service, self.opened = service, opened
        self.loaded, self.over = threading.Event(), threading.Event()

    def run(self) -> None:
        self.opened.settimeout(0.2)
        while not self.over.is_set():
            loaded = self.loaded.is_set()
            taken = self._ask()
            if taken is None:
                self.service.unanswered += 1
            else:
                (self.service.meanwhile if loaded else self.service.before).append(taken * 1000)
            time.sleep(PAUSE)

    def _ask(self) -> float | None:
        """Seconds to the answer; a question that gets none in PATIENCE counts as that long, and as unanswered."""
        started = time.perf_counter()
        self.opened.send(self.service.question())
        while (waited := time.perf_counter() - started) < PATIENCE:
            try:
                frame, address = self.opened.recvfrom(65536)
            except TimeoutError:
                continue
            if address[2] != socket.PACKET_OUTGOING and self.service.answers(frame):
                return time.perf_counter() - started
        return None if waited >= PATIENCE else waited


def make_network(lab: Lab) -> None:
    """A switch with two ports, DHCP options, a DNS name and a router that sends advertisements."""
    options = lab.nbctl(
        *("create", "DHCP_Options", "cidr=10.64.0.0/16", f"options:server_id={ROUTER_IP}"),
        *(f"options:server_mac={ROUTER_MAC}", "options:lease_time=3600", f"options:router={ROUTER_IP}"),
    ).strip()
    dns = lab.nbctl("create", "DNS", f'records:{NAME.replace(".", chr(92) + ".")}="10.64.0.2"').strip()
    lab.nbctl("ls-add", "sw", "--", "set", "Logical_Switch", "sw", f"dns_records={dns}")
    lab.nbctl("lsp-add", "sw", "vm1", "--", "lsp-set-addresses", "vm1", f"{MAC} {IP} {IP6}")
    lab.nbctl("lsp-set-dhcpv4-options", "vm1", options)
    lab.nbctl("lsp-add", "sw", "vm2", "--", "lsp-set-addresses", "vm2", f"{NEIGHBOUR_MAC} 10.64.0.2 {NEIGHBOUR_IP6}")
    lab.nbctl("lr-add", "r", "--", "lrp-add", "r", "r-sw", ROUTER_MAC, f"{ROUTER_IP}/16", "fd00::ffff/64")
    lab.nbctl("set", "Logical_Router_Port", "r-sw", "ipv6_ra_configs:address_mode=slaac")
    lab.nbctl(
        "lsp-add", "sw", "sw-r", "--", "lsp-set-type", "sw-r", "router", "--", "lsp-set-addresses", "sw-r", "router"
    )
    lab.nbctl("lsp-set-options", "sw-r", "router-port=r-sw")


def add_ports(lab: Lab, count: int) -> None:
    """Many ports in one transaction, as a large import would."""

    async def work() -> None:
        client = Client(nb.DATABASE, lab.spec.nb_db, monitors=[nb.LogicalSwitch])
        await client.start()
        await client.ready()
        switch = next(iter(client.replica.rows(nb.LogicalSwitch)))
        txn = Transaction()
        made = []
        for number in range(1000, 1000 + count):
            mac = f"02:00:01:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
            address = f"{mac} 10.64.{number >> 8}.{number & 255}"
            made.append(
                txn.insert(nb.LogicalSwitchPort(name=f"p{number}", addresses=(address,), port_security=(address,)))
            )
        txn.mutate(nb.LogicalSwitch, switch, "ports", "insert", tuple(made))
        await client.transact(txn)
        await client.close()

    asyncio.run(work())


def measure(stack: str, ports: int) -> tuple[list[Service], float]:
    """The answer times of one stack, and how long the change took until the host had it, in seconds."""
    with Lab(northd=stack, controllers=[stack], api=False) as lab:
        make_network(lab)
        instance = lab.plug("vm1", host="h1", port_id="vm1", mac=MAC)
        netns.set_sysctl(instance.netns, {"ipv6/conf/all/disable_ipv6": "1"})
        instance.wait_installed()
        lab.sync()
        found = services()
        askers = [Asker(one, netns.packet_socket(instance.netns, instance.interface)) for one in found]
        for asker in askers:
            asker.start()
        time.sleep(3)
        for asker in askers:
            asker.loaded.set()
        started = time.monotonic()
        add_ports(lab, ports)
        lab.sync(timeout=300)
        seconds = time.monotonic() - started
        for asker in askers:
            asker.over.set()
        for asker in askers:
            asker.join()
            asker.opened.close()
    return found, seconds


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check=f"if an answer of ours takes more than {TARGET_MS:g} ms or is missing")
    command_line.add_stacks(parser)
    parser.add_argument("--ports", type=int, default=10_000, help="that are added at once")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    shown: dict[str, dict[str, dict[str, float]]] = {}
    bad = []
    for stack in asked.stacks:
        found, seconds = measure(stack, asked.ports)
        print(f"{stack}: {asked.ports} ports in {seconds:.1f} s")
        for one in found:
            if not one.before or not one.meanwhile:
                print(f"  {one.name}: no answer")
                bad.append((stack, one.name))
                continue
            values = {
                "before": statistics.median(one.before),
                "median": statistics.median(one.meanwhile),
                "worst": max(one.meanwhile),
                "asked": float(len(one.meanwhile)),
                "unanswered": float(one.unanswered),
            }
            shown.setdefault(one.name, {})[stack] = values
            print(
                f"  {one.name}: median before {values['before']:.1f} ms; meanwhile median {values['median']:.1f} ms, "
                f"worst {values['worst']:.0f} ms of {len(one.meanwhile)}; {one.unanswered} unanswered"
            )
            if one.unanswered or values["worst"] > TARGET_MS:
                bad.append((stack, one.name))
    for name, by_stack in shown.items():
        if {"ovine", "c"} <= by_stack.keys():
            print(f"{name}: worst, ours / Debian's: {by_stack['ovine']['worst'] / by_stack['c']['worst']:.2f}")
    command_line.publish(asked, shown)
    return 1 if asked.check and any(stack == "ovine" for stack, _ in bad) else 0


if __name__ == "__main__":
    sys.exit(main())
