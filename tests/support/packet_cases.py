"""Packet cases: text files that say which frames go in where, and which come out where.

    # What the case claims.
    dhcp4 opts 10.0.0.0/24 server_id=10.0.0.254 server_mac=02:00:00:00:00:fe lease_time=3600
    switch sw                                        nb ls-add sw
    port a h1 sw 02:00:00:00:00:01 10.0.0.1 dhcp4=opts
    port b h2 sw 02:00:00:00:00:02 10.0.0.2 open     without port security
    port c h2 sw 02:00:00:00:00:03 unknown           also takes what no other port's addresses match
    outside x vlan 101                               a machine on the provider network
    nb lsp-set-enabled b disabled                    any ovn-nbctl command
    group pg a b                                     a port group; without ports: an empty one
    set as 10.0.0.1 10.0.0.2                         an address set
    dns sw vm1.test="10.0.0.4 fd00::4" owned         names that a switch, or several (s1,s2), knows
    global default_acl_drop=true                     an option of NB_Global, for this case

    send a a.mac>b.mac ip a.ip>b.ip udp 1>2
      b same                                         b sees this very frame, and nobody else sees anything
    until a a.mac>c.mac ip a.ip>10.0.0.9 udp 1>2     sends again until what is seen is what is expected
      c same

`PORT.mac`, `PORT.ip` and `PORT.ip6` stand for a port's addresses; a frame is written as `support.frames` has it, and an
expected one may hold `*`. Hosts are h1, h2 …
"""

from __future__ import annotations

import contextlib
import re
import secrets
import select
import shlex
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ovine.lab import Lab, netns
from ovine.lab.instance import Instance
from support.frames import build, describe

ARRIVAL = 5.0
"""Seconds within which an expected frame must arrive."""
QUIET = 0.2
"""Seconds in which nothing more may arrive."""
PACKET_OUTGOING = 4
SILENT = {"ipv6/conf/all/disable_ipv6": "1"}
"""Keeps a namespace's kernel from taking part; what it said before that is `CHATTER`."""
ANNOUNCEMENT = re.compile(r" arp request [0-9a-f:]+/([0-9.]+)>00:00:00:00:00:00/\1$")
"""A controller may announce a port's address on a physical network, at any time."""
CHATTER = re.compile(r">ff02::(16|2) |ip6 ::>")


class CaseError(AssertionError):
    """A case that failed, or that is not written as it must be; says the line."""


@dataclass(frozen=True)
class Step:
    """A line, and for `send` and `until` the expectations under it, as (port, description)."""

    number: int
    words: tuple[str, ...]
    text: str
    expected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Case:
    path: Path
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        return self.path.stem


def read(path: Path) -> Case:
    """Reads a case's file."""
    steps: list[Step] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.split("#", 1)[0].rstrip()
        if not text.strip():
            continue
        if text[0].isspace():
            port, _, frame = text.strip().partition(" ")
            last = steps.pop()
            steps.append(Step(last.number, last.words, last.text, (*last.expected, (port, frame.strip()))))
        else:
            steps.append(Step(number, tuple(shlex.split(text)), text))
    return Case(path, tuple(steps))


@dataclass
class Port:
    """One place where frames go in and out."""

    name: str
    socket: socket.socket
    mac: str = ""
    ip: str = ""
    ip6: str = ""
    instance: Instance | None = None


@dataclass
class Runner:
    """One case in one lab."""

    lab: Lab
    case: Case
    ports: dict[str, Port] = field(default_factory=dict)
    undo: list[tuple[str, ...]] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    """DHCP_Options rows by the name that the case gives them."""
    outsiders: list[str] = field(default_factory=list)
    """Namespaces of machines outside; bridges forget a machine's address with its link."""
    settled: bool = False

    def run(self) -> None:
        for step in self.case.steps:
            try:
                getattr(self, f"do_{step.words[0]}")(step)
            except CaseError as error:
                raise CaseError(f"{self.case.path.name}:{step.number}: {step.text}\n{error}") from None

    # --- the network

    def do_switch(self, step: Step) -> None:
        name = step.words[1]
        self.lab.nbctl("ls-add", name)
        self.undo.append(("ls-del", name))
        self.settled = False

    def do_nb(self, step: Step) -> None:
        self.lab.nbctl(*step.words[1:])
        if step.words[1] == "lsp-del":
            self.ports[step.words[2]].instance = None
        self.settled = False

    def do_group(self, step: Step) -> None:
        self.lab.nbctl("pg-add", *step.words[1:])
        self.undo.append(("pg-del", step.words[1]))
        self.settled = False

    def do_set(self, step: Step) -> None:
        _, name, *addresses = step.words
        quoted = ",".join(f'"{address}"' for address in addresses)
        self.lab.nbctl("create", "Address_Set", f"name={name}", f"addresses=[{quoted}]")
        self.undo.append(("destroy", "Address_Set", name))
        self.settled = False

    def do_dns(self, step: Step) -> None:
        _, switches, *pairs = step.words
        records = [f'records:{name}="{value}"' for name, _, value in (pair.partition("=") for pair in pairs) if value]
        ids = ["external_ids:ovn-owned=true"] if "owned" in pairs else []
        row = self.lab.nbctl("create", "DNS", *records, *ids).strip()
        for switch in switches.split(","):
            self.lab.nbctl("add", "Logical_Switch", switch, "dns_records", row)
        self.undo.append(("destroy", "DNS", row))
        self.settled = False

    def do_global(self, step: Step) -> None:
        self.lab.nbctl("set", "NB_Global", ".", f"options:{step.words[1]}")
        self.undo.append(("remove", "NB_Global", ".", "options", step.words[1].partition("=")[0]))
        self.settled = False

    def do_dhcp4(self, step: Step) -> None:
        self._options(step)

    def do_dhcp6(self, step: Step) -> None:
        self._options(step)

    def _options(self, step: Step) -> None:
        _, name, cidr, *pairs = step.words
        escaped = cidr.replace(":", r"\:")
        named = (pair.replace('"', r"\"").partition("=") for pair in pairs)
        settings = [f'options:{key}="{value}"' for key, _, value in named]
        self.named[name] = self.lab.nbctl("create", "DHCP_Options", f"cidr={escaped}", *settings).strip()
        self.undo.append(("dhcp-options-del", self.named[name]))

    def do_port(self, step: Step) -> None:
        _, name, host, switch, mac, *rest = step.words
        flags = {word for word in rest if word in ("open", "unknown")}
        settings = dict(word.split("=", 1) for word in rest if "=" in word)
        ips = [word for word in rest if word not in flags and "=" not in word]
        address = " ".join((mac, *ips))
        command = ["lsp-add", switch, name, "--", "lsp-set-addresses", name, address]
        command += ["unknown"] if "unknown" in flags else []
        if not flags and "type" not in settings:
            command += ["--", "lsp-set-port-security", name, address]
        if "type" in settings:
            command += ["--", "lsp-set-type", name, settings["type"]]
        for version in "46":
            if f"dhcp{version}" in settings:
                row = self.named[settings[f"dhcp{version}"]]
                command += ["--", f"lsp-set-dhcpv{version}-options", name, row]
        self.lab.nbctl(*command)
        instance = self.lab.plug(name, host=host, port_id=name, mac=mac)
        netns.set_sysctl(instance.netns, SILENT)
        v4 = next((ip.split("/")[0] for ip in ips if ":" not in ip), "")
        v6 = next((ip.split("/")[0] for ip in ips if ":" in ip), "")
        opened = netns.packet_socket(instance.netns, instance.interface)
        self.ports[name] = Port(name, opened, mac, v4, v6, instance if settings.get("type") is None else None)
        self.settled = False

    def do_outside(self, step: Step) -> None:
        name = step.words[1]
        vlan = int(step.words[3]) if step.words[2:3] == ("vlan",) else None
        endpoint = self.lab.outside(f"{name}-{secrets.token_hex(3)}", "192.0.2.9/24", vlan=vlan)
        self.outsiders.append(endpoint.netns)
        netns.set_sysctl(endpoint.netns, SILENT)
        self.ports[name] = Port(name, netns.packet_socket(endpoint.netns, endpoint.interface))

    # --- the packets

    def do_send(self, step: Step) -> None:
        self._settle()
        difference = self._try(step, ARRIVAL)
        if difference:
            raise CaseError(difference)

    def do_until(self, step: Step) -> None:
        self._settle()
        deadline = time.monotonic() + ARRIVAL * 2
        while difference := self._try(step, 0.3):
            if time.monotonic() > deadline:
                raise CaseError(difference)

    def _settle(self) -> None:
        if not self.settled:
            for port in self.ports.values():
                if port.instance is not None:
                    port.instance.wait_installed()
            self.lab.sync()
            self.settled = True

    def _try(self, step: Step, patience: float) -> str:
        """Sends the frame once; what was seen that should not be, or was not that should, as text."""
        frame = build(self._filled(" ".join(step.words[2:])))
        expected = [(port, self._filled(text) if text != "same" else describe(frame)) for port, text in step.expected]
        self._drain()
        self.ports[step.words[1]].socket.send(frame)
        seen: list[tuple[str, str]] = []
        deadline = time.monotonic() + patience
        while _missing(expected, seen) and (left := deadline - time.monotonic()) > 0:
            seen += self._receive(left)
        quiet = time.monotonic() + QUIET
        while (left := quiet - time.monotonic()) > 0:
            seen += self._receive(left)
        missing, surplus = _missing(expected, seen), _missing(seen, expected, swapped=True)
        surplus = [(port, text) for port, text in surplus if not ANNOUNCEMENT.search(text)]
        lines = [f"  not seen at {port}: {text}" for port, text in missing]
        return "\n".join(lines + [f"  seen at {port}: {text}" for port, text in surplus])

    def _receive(self, patience: float) -> list[tuple[str, str]]:
        by_socket = {port.socket: port for port in self.ports.values()}
        ready, _, _ = select.select(list(by_socket), [], [], patience)
        seen = []
        for opened in ready:
            frame, address = opened.recvfrom(65536)
            text = describe(frame)
            if address[2] != PACKET_OUTGOING and not CHATTER.search(text):
                seen.append((by_socket[opened].name, text))
        return seen

    def _drain(self) -> None:
        while self._receive(0) or select.select([p.socket for p in self.ports.values()], [], [], 0)[0]:
            pass

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            return str(getattr(self.ports[match[1]], match[2])) if match[1] in self.ports else match[0]

        return re.sub(r"\b(\w+)\.(mac|ip6|ip)\b", value, text)

    def clean(self) -> None:
        for port in self.ports.values():
            port.socket.close()
        for instance in self.lab.instances():
            instance.delete()
        for name in self.outsiders:
            netns.remove(name)
        for command in reversed(self.undo):
            with contextlib.suppress(Exception):
                self.lab.nbctl(*command)


def _missing(
    wanted: list[tuple[str, str]], given: list[tuple[str, str]], *, swapped: bool = False
) -> list[tuple[str, str]]:
    """What of `wanted` has no match in `given`, each used once. Patterns are in `wanted`, or in `given` if swapped."""
    left = list(given)
    missing = []
    for port, text in wanted:
        for candidate in left:
            pattern, plain = (candidate[1], text) if swapped else (text, candidate[1])
            if candidate[0] == port and fnmatchcase(plain, pattern):
                left.remove(candidate)
                break
        else:
            missing.append((port, text))
    return missing


@contextlib.contextmanager
def running(lab: Lab, case: Case) -> Iterator[Runner]:
    """Runs a case, and takes away what it made."""
    runner = Runner(lab, case)
    try:
        runner.run()
        yield runner
    finally:
        runner.clean()
