"""A TCP stream between two hosts while security group rules come and go: what was lost, and what was let in wrongly.

    sudo .venv/bin/python bench/security_group_churn.py [--changes 1000] [--seed N] [--json FILE] [--check]

A whole lab of ours is started: API, plugin, northd, two hosts with their switches and controllers. Two instances, one
on each host, have a stream between them that rules allow which stay. Meanwhile rules of their groups come and go
through the API at random: overlapping prefixes and port ranges, remote groups, ICMP, in both directions.

- The stream must never need a second retransmission of the same data: tcp(7)'s `tcpi_retransmits` stays at 0 or 1.
- All the time, also during changes, new connections are tried to a port that a lasting rule allows, which must take at
  most one retransmission, and to one that no rule ever allows, which must never be accepted.
- After each change, when all hosts have said that they have it (`hv_cfg`), new connections are tried to ports that the
  rules of that moment allow, and to ports that they forbid.

`--check` ends with status 1 if any of that does not hold. Test: tests/lab/test_lab_security_groups.py.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from random import Random
from types import TracebackType
from typing import Any

import command_line
from ovine.lab import Instance, Lab, LabError
from ovine.lab.waiting import wait_for

CLIENT, SERVER = "10.0.0.11", "10.0.0.12"
STREAM, LASTING, NEVER = 5001, 5002, 9999
"""Ports: of the stream, of connections that are always allowed, and never."""
PROBED = tuple(range(7001, 7009))
PREFIXES = {
    "10.0.0.0/24": True,
    "10.0.0.8/29": True,
    "10.0.0.11/32": True,
    "0.0.0.0/0": True,
    "10.0.0.12/32": False,
    "10.0.0.128/25": False,
    "192.0.2.0/24": False,
}
"""Peers that rules name, and whether the client is one of them."""
MOST_RULES = 24
ONE_RETRANSMISSION = 1
PATIENCE = 2.5
"""Seconds for an allowed connection: its first retransmission comes after 1 s, a second after 3 s (RFC 6298)."""
REFUSAL = 0.05
"""Seconds in which a connection that is accepted at all would be: a round trip takes a fraction of a millisecond."""


@dataclass
class Result:
    """What was seen. `faults` is empty if all is well."""

    changes: int = 0
    probes_allowed: int = 0
    probes_forbidden: int = 0
    meanwhile_allowed: int = 0
    meanwhile_forbidden: int = 0
    retransmissions: int = 0
    """Of the stream's segments, in all."""
    worst_retransmits: int = 0
    """How often the same data were sent again, at most."""
    stream_bytes: int = 0
    longest_silence_ms: float = 0.0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TcpInfo:
    """The fields of linux/tcp.h's struct tcp_info that count retransmissions."""

    retransmits: int
    """Timeouts of what is now unacknowledged, since the last acknowledgement."""
    total_retrans: int

    @classmethod
    def of(cls, opened: socket.socket) -> TcpInfo:
        data = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return cls(data[2], struct.unpack_from("=I", data, 100)[0])


class Background(threading.Thread):
    """Something that goes on from `with` on; an error in it is raised at the end."""

    def __init__(self, result: Result) -> None:
        super().__init__(daemon=True)
        self.result = result
        self.over = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.step()
        except Exception as error:  # told by __exit__
            self.error = error

    def step(self) -> None:
        """What is done again and again."""
        raise AssertionError("a Background has a step of its own")

    def __enter__(self) -> Background:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.join()
        if self.error is not None and error is None:
            raise self.error


class Listeners(Background):
    """The server: takes connections on all ports, and reads what comes."""

    def __init__(self, result: Result, server: Instance) -> None:
        super().__init__(result)
        self.selector = selectors.DefaultSelector()
        self.last_data = 0.0
        for port in (STREAM, LASTING, NEVER, *PROBED):
            opened = server.socket(socket.AF_INET, socket.SOCK_STREAM)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(("0.0.0.0", port))
            opened.listen(64)
            opened.setblocking(False)
            self.selector.register(opened, selectors.EVENT_READ, True)

    def step(self) -> None:
        for key, _ in self.selector.select(0.05):
            assert isinstance(key.fileobj, socket.socket)
            if key.data:
                taken, _ = key.fileobj.accept()
                taken.setblocking(False)
                self.selector.register(taken, selectors.EVENT_READ, False)
            else:
                self._read(key.fileobj)

    def _read(self, opened: socket.socket) -> None:
        try:
            data = opened.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.selector.unregister(opened)
            opened.close()
            return
        now = time.monotonic()
        if self.last_data:
            self.result.longest_silence_ms = max(self.result.longest_silence_ms, 1000 * (now - self.last_data))
        self.last_data = now
        self.result.stream_bytes += len(data)

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self.selector.close()


class Stream(Background):
    """Sends a kilobyte every 5 ms, and looks how often it had to be sent again."""

    def __init__(self, result: Result, client: Instance) -> None:
        super().__init__(result)
        self.opened = client.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.opened.settimeout(30.0)
        self.opened.connect((SERVER, STREAM))
        self.opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def step(self) -> None:
        self.opened.send(b"x" * 1000)
        info = TcpInfo.of(self.opened)
        self.result.worst_retransmits = max(self.result.worst_retransmits, info.retransmits)
        self.result.retransmissions = info.total_retrans
        self.over.wait(0.005)

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        self.opened.close()


class Meanwhile(Background):
    """Connections whose fate no change alters, tried all the time."""

    def __init__(self, result: Result, client: Instance) -> None:
        super().__init__(result)
        self.client = client

    def step(self) -> None:
        if connects(self.client, NEVER, REFUSAL) is not None:
            self.result.faults.append(f"port {NEVER} was reached, which no rule ever allows")
        self.result.meanwhile_forbidden += 1
        again = connects(self.client, LASTING, PATIENCE)
        if again is None or again > ONE_RETRANSMISSION:
            self.result.faults.append(
                f"port {LASTING}, always allowed, needed {again} retransmissions (None: too many)"
            )
        self.result.meanwhile_allowed += 1


def connects(client: Instance, port: int, patience: float) -> int | None:
    """How many retransmissions a new connection took; None if there was none in that many seconds."""
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
        opened.settimeout(patience)
        try:
            opened.connect((SERVER, port))
        except TimeoutError:
            return None
        return TcpInfo.of(opened).total_retrans


# --- rules ----------------------------------------------------------------------------------------------------------


class Rules:
    """The rules that come and go, and what they allow."""

    def __init__(self, lab: Lab, random: Random, groups: dict[str, str]) -> None:
        self.lab, self.random, self.groups = lab, random, groups
        self.present: dict[str, dict[str, Any]] = {}

    def change(self) -> None:
        """Adds or removes one at random; returns when all hosts have it."""
        few = len(self.present) < MOST_RULES * self.random.random()
        identity = self._add() if few else self._remove()
        there = identity in self.present
        find = (
            "--bare",
            "--columns=_uuid",
            "find",
            "ACL",
            f'external_ids:"neutron:security_group_rule_id"="{identity}"',
        )
        wait_for(lambda: bool(self.lab.nbctl(*find).strip()) == there, f"the ACL of rule {identity}", 20.0)
        self.lab.sync()

    def _add(self) -> str:
        while True:
            body = self._random_rule()
            if body not in self.present.values():
                break
        made = self.lab.cloud.post("security-group-rules", {"security_group_rule": body})["security_group_rule"]
        self.present[made["id"]] = body
        return str(made["id"])

    def _remove(self) -> str:
        identity = self.random.choice(sorted(self.present))
        self.lab.cloud.delete(f"security-group-rules/{identity}")
        del self.present[identity]
        return identity

    def _random_rule(self) -> dict[str, Any]:
        random = self.random
        body: dict[str, Any] = {"security_group_id": self.groups["churn"], "ethertype": "IPv4"}
        body["direction"] = random.choice(("ingress", "ingress", "ingress", "egress"))
        if random.random() < 0.2:
            body |= random.choice(({"protocol": "icmp"}, {"protocol": "icmp", "port_range_min": 8}))
        else:
            low = random.choice((STREAM, *PROBED))
            high = random.choice([port for port in PROBED if port >= low])
            body |= {"protocol": random.choice(("tcp", "tcp", "tcp", "udp"))}
            body |= {"port_range_min": low, "port_range_max": random.choice((low, high))}
        if random.random() < 0.3:
            body["remote_group_id"] = self.groups[random.choice(("lasting", "churn", "empty"))]
        else:
            body["remote_ip_prefix"] = random.choice(sorted(PREFIXES))
        return body

    def allow(self, port: int) -> bool:
        """Whether the server is to take a new connection from the client."""
        return any(
            body["direction"] == "ingress"
            and body["protocol"] == "tcp"
            and body["port_range_min"] <= port <= body["port_range_max"]
            and (
                PREFIXES[body["remote_ip_prefix"]]
                if "remote_ip_prefix" in body
                else body["remote_group_id"] != self.groups["empty"]
            )
            for body in self.present.values()
        )


def instances(lab: Lab) -> tuple[Instance, Instance, dict[str, str]]:
    """Client and server in the groups "lasting" and "churn", and all groups' ids."""
    cloud = lab.cloud
    network = cloud.post("networks", {"network": {"name": "churn"}})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24", "enable_dhcp": False}
    cloud.post("subnets", {"subnet": subnet})
    groups = {
        name: cloud.post("security-groups", {"security_group": {"name": name}})["security_group"]["id"]
        for name in ("lasting", "churn", "empty")
    }
    for port in (STREAM, LASTING):
        rule = {"security_group_id": groups["lasting"], "direction": "ingress", "protocol": "tcp"}
        rule |= {"port_range_min": port, "port_range_max": port}
        cloud.post("security-group-rules", {"security_group_rule": rule})
    ends = [lab.boot(f"vm{n}", network="churn", host=f"h{n}", address=f"10.0.0.1{n}") for n in (1, 2)]
    for end in ends:
        chosen = {"security_groups": [groups["lasting"], groups["churn"]]}
        cloud.put(f"ports/{end.record.port_id}", {"port": chosen})
    return ends[0], ends[1], groups


def silent(result: Result) -> None:
    """Takes what was seen so far and shows it to nobody."""


def churn(lab: Lab, changes: int, seed: int, progress: Callable[[Result], None] = silent) -> Result:
    """Makes the changes in a lab, and tells what was seen; `progress` is told after each change."""
    result, random = Result(), Random(seed)
    client, server, groups = instances(lab)
    with ExitStack() as stack:
        stack.enter_context(Listeners(result, server))
        wait_for(lambda: connects(client, LASTING, PATIENCE) is not None, "the first connection", 20.0)
        wait_for(lambda: connects(client, NEVER, REFUSAL) is None, "the drop of what no rule allows", 20.0)
        rules = Rules(lab, random, groups)
        stack.enter_context(Stream(result, client))
        stack.enter_context(Meanwhile(result, client))
        started = time.monotonic()
        for _ in range(changes):
            rules.change()
            result.changes += 1
            probe(rules, client, result)
            progress(result)
        result.seconds = time.monotonic() - started
    if result.worst_retransmits > ONE_RETRANSMISSION:
        result.faults.append(f"the stream sent the same data again {result.worst_retransmits} times")
    return result


def probe(rules: Rules, client: Instance, result: Result) -> None:
    """New connections at a moment when all hosts have all rules: to a port that is allowed, and one that is not."""
    now = {wanted: [port for port in PROBED if rules.allow(port) is wanted] for wanted in (True, False)}
    if now[True]:
        port = rules.random.choice(now[True])
        again = connects(client, port, PATIENCE)
        result.probes_allowed += 1
        if again is None or again > ONE_RETRANSMISSION:
            result.faults.append(f"change {result.changes}: port {port} is allowed, and needed {again} retransmissions")
    if now[False]:
        port = rules.random.choice(now[False])
        result.probes_forbidden += 1
        if connects(client, port, REFUSAL) is not None:
            result.faults.append(f"change {result.changes}: port {port} is forbidden, and was reached")


def arguments() -> argparse.Namespace:
    parser = command_line.parser(__doc__, check="if anything was lost or let in wrongly")
    parser.add_argument("--changes", type=int, default=1000, help="rules added or removed (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="of the random choices (default: 1)")
    return parser.parse_args()


def show(result: Result) -> None:
    """A line for every hundred changes."""
    if result.changes % 100 == 0:
        print(
            f"{result.changes} changes, {result.retransmissions} retransmissions, {len(result.faults)} faults",
            flush=True,
        )


def main() -> int:
    options = arguments()
    if options.changes < 1:
        sys.exit("security_group_churn: --changes is at least 1")
    try:
        with Lab(northd="ovine", controllers=["ovine", "ovine"]) as lab:
            result = churn(lab, options.changes, options.seed, show)
            result.faults += lab.audit()
    except LabError as error:
        sys.exit(f"security_group_churn: {error}\n{error.details}".rstrip())
    for name, value in asdict(result).items():
        print(f"{name.replace('_', ' '):22}{value if name != 'faults' else len(value)}")
    for fault in result.faults:
        print(fault)
    command_line.publish(options, result)
    return 1 if options.check and result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
