"""How long DHCP, DNS, neighbour and router answers, and health checks of backends, take while a large change compiles.

    sudo .venv/bin/python bench/answers_under_load.py [--ports 10000] [--stacks ovine c] [--json FILE] [--check]

One host, a network with DHCPv4, DNS names and a router with SLAAC. An instance asks for each service again and again,
10 ms after each answer: DHCPv4 (DISCOVER), DNS (A), ND (a neighbour solicitation), RA (a router solicitation).
The instance is also a backend that a load balancer has checked each second, over TCP. It answers at once; timed is
until the host takes the answer and resets the connection ("health: taken"), and how much later than a second after
that it asks again ("health: late"). A host that takes longer than a second calls the backend offline, which is told.

Meanwhile `--ports` ports are added to the very same network in one northbound transaction, and the asking goes on
until the host has them all (`hv_cfg`). Shown are the median before, and the median and the worst answer time
meanwhile, for our northd and controller ("ovine") and Debian's ("c"). `--check` ends with status 1 if an answer of
ours took more than 1 s, or none came.
"""

from __future__ import annotations

import argparse
import asyncio
import math
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
from ovine.lab import Lab, LabError, netns
from ovine.lab.frames import mac_bytes
from ovine.model import nb, sb
from ovine.ovsdb import Batch, Client, Transaction

TARGET_MS = 1000.0
PAUSE, PATIENCE, SYNC_PATIENCE = 0.01, 5.0, 200.0
MAC, IP, IP6 = "02:00:00:00:00:01", "10.64.0.1", "fd00::1"
ROUTER_MAC, ROUTER_IP = "02:00:00:00:00:fe", "10.64.255.254"
NEIGHBOUR_MAC, NEIGHBOUR_IP6 = "02:00:00:00:00:02", "fd00::2"
NAME = "vm2.example.org"
BACKEND_PORT, VIP, ASKING = 8080, "10.64.255.100:80", "10.64.255.253"
INTERVAL = 1.0
SYN, ACK, RST = 2, 16, 4


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


class Backend(threading.Thread):
    """Answers health checks until told to end, and notes how the host goes about them."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__(daemon=True)
        self.opened = opened
        self.loaded, self.over = threading.Event(), threading.Event()
        self.taken = Service("health: taken", bytes, bool)
        self.late = Service("health: late", bytes, bool)
        self._answered = self._done = 0.0

    def run(self) -> None:
        self.opened.settimeout(0.2)
        while not self.over.is_set():
            try:
                frame, address = self.opened.recvfrom(65536)
            except TimeoutError:
                continue
            if address[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\x08\x00" and frame[23] == 6:
                self._tcp(dpkt.ethernet.Ethernet(frame), time.perf_counter())

    def _tcp(self, frame: dpkt.ethernet.Ethernet, now: float) -> None:
        segment = frame.data.data
        if segment.dport != BACKEND_PORT:
            return
        if segment.flags & SYN:
            if self._done:
                self._note(self.late, now - self._done - INTERVAL)
            self.taken.unanswered += self._answered > self._done
            self.opened.send(self._accept(frame))
            self._answered = time.perf_counter()
        elif segment.flags & RST:
            self._note(self.taken, now - self._answered)
            self._done = now

    def _note(self, where: Service, seconds: float) -> None:
        (where.meanwhile if self.loaded.is_set() else where.before).append(seconds * 1000)

    @staticmethod
    def _accept(frame: dpkt.ethernet.Ethernet) -> bytes:
        """What a server says to a SYN."""
        asked = frame.data.data
        data = dpkt.tcp.TCP(
            sport=asked.dport, dport=asked.sport, seq=7, ack=(asked.seq + 1) & 0xFFFFFFFF, flags=SYN | ACK
        )
        packet = dpkt.ip.IP(src=frame.data.dst, dst=frame.data.src, p=6, ttl=64, data=data)
        packet.len = len(packet)
        return bytes(dpkt.ethernet.Ethernet(src=frame.dst, dst=frame.src, type=0x0800, data=packet))


class Statuses(threading.Thread):
    """What the southbound says of the backend, from its first word on."""

    def __init__(self, database: str) -> None:
        super().__init__(daemon=True)
        self.found: list[str] = []
        self.over = threading.Event()
        self._database = database

    def run(self) -> None:
        asyncio.run(self._watch())

    def until_online(self) -> None:
        """Waits for the host's first good word, and forgets what it said before the backend was there."""
        deadline = time.monotonic() + 60
        while self.found[-1:] != ["online"]:
            if time.monotonic() > deadline:
                raise SystemExit("the host never called the backend online")
            time.sleep(0.05)
        self.found = ["online"]

    async def _watch(self) -> None:
        client = Client(sb.DATABASE, self._database, monitors=[sb.ServiceMonitor])
        client.subscribe(self._changed)
        await client.start()
        await asyncio.to_thread(self.over.wait)
        await client.close()

    def _changed(self, batch: Batch) -> None:
        for change in batch:
            status = change.new.status if isinstance(change.new, sb.ServiceMonitor) else None
            if status is not None and self.found[-1:] != [status]:
                self.found.append(status)


def make_network(lab: Lab) -> None:
    """A switch with two ports, DHCP options, a DNS name, a load balancer, and a router that sends advertisements."""
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
    lab.nbctl("lb-add", "web", VIP, f"{IP}:{BACKEND_PORT}", "--", "ls-lb-add", "sw", "web")
    lab.nbctl("set", "Load_Balancer", "web", f"ip_port_mappings:{IP}=vm1:{ASKING}")
    each = [f"options:{name}={INTERVAL:.0f}" for name in ("interval", "timeout", "success_count", "failure_count")]
    check = ("--id=@c", "create", "Load_Balancer_Health_Check", f'vip="{VIP}"', *each)
    lab.nbctl(*check, "--", "set", "Load_Balancer", "web", "health_check=@c")


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


def measure(stack: str, ports: int) -> tuple[list[Service], float, list[str]]:
    """The answer times of one stack, how long the change took until the host had it, in seconds, and what was said of
    the backend.
    """
    with Lab(northd=stack, controllers=[stack], api=False) as lab:
        make_network(lab)
        instance = lab.plug("vm1", host="h1", port_id="vm1", mac=MAC)
        netns.set_sysctl(instance.netns, {"ipv6/conf/all/disable_ipv6": "1"})
        instance.wait_installed()
        lab.sync()
        found = services()
        askers = [Asker(one, netns.packet_socket(instance.netns, instance.interface)) for one in found]
        backend = Backend(netns.packet_socket(instance.netns, instance.interface))
        statuses = Statuses(lab.spec.sb_db)
        everybody = [*askers, backend]
        for one in [*everybody, statuses]:
            one.start()
        statuses.until_online()
        time.sleep(10)
        for one in everybody:
            one.loaded.set()
        started = time.monotonic()
        try:
            add_ports(lab, ports)
            lab.sync(timeout=SYNC_PATIENCE)
            seconds = time.monotonic() - started
        except LabError as error:
            print(f"{stack}: not done within {SYNC_PATIENCE:.0f} s: {error}")
            seconds = math.inf
        for one in [*everybody, statuses]:
            one.over.set()
        statuses.join()
        for one in everybody:
            one.join()
            one.opened.close()
    return [*found, backend.taken, backend.late], seconds, statuses.found


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
        found, seconds, statuses = measure(stack, asked.ports)
        print(f"{stack}: {asked.ports} ports in {seconds:.1f} s; the backend was {', '.join(statuses) or 'not judged'}")
        if statuses != ["online"] or seconds == math.inf:
            bad.append((stack, "status"))
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
