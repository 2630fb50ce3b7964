"""Packet cases: text files that say which frames go in where, and which come out where.

    # What the case claims.
    switch sw                                        what is in the northbound: see `support.case_network`
    router r
    join r sw 02:00:00:00:00:fe 10.0.0.254/24
    port a h1 sw 02:00:00:00:00:01 10.0.0.1
    port b h2 sw 02:00:00:00:00:02 10.0.0.2 open     without port security
    port c h2 sw 02:00:00:00:00:03 unknown           also takes what no other port's addresses match
    also a2 a h3 [KEY=VALUE …]                       another interface for port a, on h3; external_ids of it
    ids a2 KEY=VALUE                                 an external_id of an interface
    leaves a                                         the port is not to be at a's interface any more
    outside x vlan 101 02:00:00:00:00:09 192.0.2.9   a machine on the provider network; all but its name may be left out

    send a a.mac>b.mac ip a.ip>b.ip udp 1>2
      b same                                         b sees this very frame, and nobody else sees anything
      b|c same                                       one of the two sees it
    until a a.mac>c.mac ip a.ip>10.0.0.9 udp 1>2     sends again until what is seen is what is expected
      c same
    until a a.mac>c.mac ip a.ip>10.0.0.{1..9} udp 1>2   the same, with another number each time
    stick a a.mac>c.mac ip a.ip>10.0.0.9 udp {1..9}>1   sends that often, and all are seen by the same one of two
      b|c *
    keep 6 a a.mac>c.mac ip a.ip>10.0.0.9 udp 1>2    the same again and again for 6 seconds, always as expected
      c same
    answers x                                        from now on x says who it is to those who ask it alone
    asked x                                          somebody has done so since the last such line
    silent x                                         x answers no more
    forgotten MAC_Binding ip x.ip                    waits until no row of the southbound has that
    hear                                             what comes by itself, beside other things
      x r-sw.mac>*
    host h1 ovn-chassis-mac-mappings=physnet1:02:…  an external_id of a host's Open_vSwitch row, for this case
    where r-sw h2                                    waits until that host serves the gateway port
    bfd x up r-ext.mac r-ext.ip                      x takes its part in a neighbour's BFD session, until that is up

A frame is written as `support.frames` has it, and an expected one may hold `*`; names of addresses are as
`support.case_network` has them. Hosts are h1, h2 and h3, and their chassis have these names. A case about what Debian's
OVN does not have says `only ours: ` and why; it runs where all daemons are ours.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import secrets
import select
import shlex
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from ovine.lab import Lab, LabError, control, netns
from ovine.lab.instance import Instance
from ovine.lab.tools import run
from support.case_network import Network, Plug
from support.frames import bfd_discriminator, build, describe

ARRIVAL = 5.0
"""Seconds within which an expected frame must arrive."""
EVENTUALLY = 20.0
"""Seconds within which what needs time must have come about: what hosts learn, and what they say again and again."""
QUIET = 0.1
"""Seconds in which nothing more may arrive."""
SILENCE = 0.2
"""Seconds in which nothing at all may arrive."""
PACKET_OUTGOING = 4
SOL_PACKET = 263
PACKET_AUXDATA = 8
AUXDATA = struct.Struct("=IIIHHHH")
"""What packet(7) says beside a frame: its status, two lengths and two places, a VLAN tag and the tag's protocol."""
VLAN_VALID = 1 << 4
SILENT = {"ipv6/conf/all/disable_ipv6": "1"}
"""Keeps a namespace's kernel from taking part; what it said before that is `CHATTER`."""
UNASKED = re.compile(
    r" arp request [0-9a-f:]+/([0-9.]+)>00:00:00:00:00:00/\1$| bfd |>ff02::1 ra "
    r"|>33:33:00:00:00:01 ip6 ([0-9a-f:]+)>ff02::1 na [a2]0 \2 |>ff:ff:ff:ff:ff:ff type 0x8035$| query$"
)
"""What a controller may say at any time: announcements of addresses and prefixes, BFD, and who wants multicast."""
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

    @property
    def only_ours(self) -> str:
        """Why it makes no sense with Debian's daemons; "" if it does."""
        return next(
            (step.text.removeprefix("only ours:").strip() for step in self.steps if step.words[0] == "only"), ""
        )

    def has(self, word: str) -> bool:
        """Whether a line begins with `word`."""
        return any(step.words[0] == word for step in self.steps)


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
    instance: Instance | None = None


@dataclass
class Runner:
    """One case in one lab."""

    lab: Lab
    case: Case
    network: Network
    ports: dict[str, Port] = field(default_factory=dict)
    outsiders: dict[str, str] = field(default_factory=dict)
    """Machines outside, and their namespaces."""
    host_settings: list[tuple[str, str, str]] = field(default_factory=list)
    """Hosts, keys, and what they had before, "" for nothing."""
    answering: dict[str, int] = field(default_factory=dict)
    """Who answers questions for it, and how many there have been."""
    settled: bool = False

    def run(self) -> None:
        for step in self.case.steps:
            try:
                self._do(step)
            except CaseError as error:
                raise CaseError(f"{self.case.path.name}:{step.number}: {step.text}\n{error}") from None

    def _do(self, step: Step) -> None:
        if not self.network.knows(step.words[0]):
            getattr(self, f"do_{step.words[0]}")(step)
            return
        plug = self.network.do(step.words)
        if plug is not None:
            self._plug(plug)
        if step.words[:2] == ("nb", "lsp-del"):
            self.ports[step.words[2]].instance = None
        self.settled = False

    # --- the network

    def _plug(self, plug: Plug) -> None:
        instance = self.lab.plug(plug.name, host=plug.host, port_id=plug.port or plug.name, mac=plug.mac)
        netns.set_sysctl(instance.netns, SILENT)
        opened = _opened(instance.netns, instance.interface)
        self.ports[plug.name] = Port(plug.name, opened, None if plug.kind else instance)

    def do_only(self, step: Step) -> None:
        """Whether the case runs at all is for who runs it to see (`Case.only_ours`)."""
        if step.words[1] != "ours:":
            raise CaseError("  only what?")

    def do_also(self, step: Step) -> None:
        _, name, port, host, *ids = step.words
        mac = self.network.addresses[f"{port}.mac"]
        self._plug(Plug(name, host, mac, "also", port))
        for pair in ids:
            self._set_id(name, pair)

    def do_ids(self, step: Step) -> None:
        self._set_id(*step.words[1:])

    def _set_id(self, name: str, pair: str) -> None:
        instance = self.lab.instance(name)
        key, _, value = pair.partition("=")
        self.lab.vsctl(instance.host.name, "set", "Interface", instance.record.tap, f'external_ids:{key}="{value}"')
        self.settled = False

    def do_leaves(self, step: Step) -> None:
        self.ports[step.words[1]].instance = None

    def do_outside(self, step: Step) -> None:
        _, name, *words = step.words
        vlan = None
        if words[:1] == ["vlan"]:
            vlan, words = int(words[1]), words[2:]
        endpoint = self.lab.outside(f"{name}-{secrets.token_hex(3)}", "192.0.2.9/24", vlan=vlan)
        self.outsiders[name] = endpoint.netns
        netns.set_sysctl(endpoint.netns, SILENT)
        self.ports[name] = Port(name, _opened(endpoint.netns, endpoint.interface))
        if words:
            self.network.name(name, words[0], words[1:])

    def do_host(self, step: Step) -> None:
        _, host, pair = step.words
        key, _, value = pair.partition("=")
        before = self.lab.vsctl(host, "--if-exists", "get", "Open_vSwitch", ".", f"external_ids:{key}").strip()
        self.lab.vsctl(host, "set", "Open_vSwitch", ".", f'external_ids:{key}="{value}"')
        self.host_settings.append((host, key, before))
        self.settled = False

    # --- the packets

    def do_send(self, step: Step) -> None:
        self._settle()
        difference = self._try(step, ARRIVAL)
        if difference:
            raise CaseError(difference)

    def do_until(self, step: Step) -> None:
        self._settle()
        deadline = time.monotonic() + EVENTUALLY
        turns = itertools.count()
        while difference := self._try(step, 0.3, next(turns)):
            if time.monotonic() > deadline:
                raise CaseError(difference)

    def do_keep(self, step: Step) -> None:
        self._settle()
        seconds = float(step.words[1])
        repeated = replace(step, words=(step.words[0], *step.words[2:]))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            difference = self._try(repeated, ARRIVAL)
            if difference:
                raise CaseError(difference)

    def do_answers(self, step: Step) -> None:
        self.answering[step.words[1]] = 0

    def do_silent(self, step: Step) -> None:
        del self.answering[step.words[1]]

    def do_asked(self, step: Step) -> None:
        name = step.words[1]
        deadline = time.monotonic() + EVENTUALLY
        while not self.answering[name]:
            if (left := deadline - time.monotonic()) < 0:
                raise CaseError(f"  nobody asks {name}")
            self._receive(left)
        self.answering[name] = 0

    def do_forgotten(self, step: Step) -> None:
        _, table, column, value = (self.network.filled(word) for word in step.words)
        deadline = time.monotonic() + EVENTUALLY
        while found := self.lab.sbctl("--bare", "--columns=_uuid", "find", table, f'{column}="{value}"').split():
            if (left := deadline - time.monotonic()) < 0:
                raise CaseError(f"  {found[0]} is there")
            self._receive(min(left, 0.2))

    def do_stick(self, step: Step) -> None:
        self._settle()
        ((ports, text),) = step.expected
        choices = [replace(step, expected=((port, text),)) for port in ports.split("|")]
        first, last = map(int, re.findall(r"\{(\d+)\.\.(\d+)\}", step.text)[0])
        taken = [one for turn, one in enumerate(choices) if not self._try(one, 1.0, turn)]
        if len(taken) != 1:
            raise CaseError(f"  of {ports}, {len(taken)} have seen it")
        for turn in range(len(choices), last - first + 1):
            difference = self._try(taken[0], ARRIVAL, turn)
            if difference:
                raise CaseError(difference)

    def do_hear(self, step: Step) -> None:
        self._settle()
        expected = [(port, self.network.filled(text)) for port, text in step.expected]
        seen: list[tuple[str, str]] = []
        deadline = time.monotonic() + EVENTUALLY
        while missing := _missing(expected, seen):
            if (left := deadline - time.monotonic()) < 0:
                raise CaseError("\n".join(f"  not heard at {port}: {text}" for port, text in missing))
            seen += self._receive(left)

    def do_where(self, step: Step) -> None:
        self._settle()
        _, port, host = step.words
        chassis = self.lab.sbctl("--bare", "--columns=_uuid", "find", "Chassis", f"name={host}").strip()
        try:
            self.lab.sbctl("wait-until", "Port_Binding", f"cr-{port}", f"chassis={chassis}", timeout=EVENTUALLY)
        except LabError:
            raise CaseError(f"  {port} is not on {host}") from None
        self.lab.sync()

    def do_bfd(self, step: Step) -> None:
        """Answers the packets of a session until its far end is in that state too (RFC 5880 §6.8.6)."""
        self._settle()
        _, name, state, mac, ip = (self.network.filled(word) for word in step.words)
        start = self.network.filled(f"{name}.mac>{mac} ip {name}.ip>{ip} ttl 255 udp 49152>3784 bfd")
        opened, theirs = self.ports[name].socket, ""
        deadline = time.monotonic() + EVENTUALLY
        while theirs != state:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([opened], [], [], left)[0]:
                raise CaseError(f"  the session is {theirs or 'not there'}")
            text = describe(frame := opened.recv(65536))
            if " bfd " not in text or not text.startswith(f"{mac}>"):
                continue
            theirs = text.rsplit(" ", 1)[1]
            self.settled = False  # hosts tell the databases when they are at it: let us ask them to be
            if theirs == state != "up":
                return  # an answer would begin the session anew
            answer = {"down": "init", "init": "up", "up": "up"}[theirs] if state == "up" else state
            opened.send(build(f"{start} {answer} mine 7 yours {bfd_discriminator(frame)}"))

    def _settle(self) -> None:
        """Waits until the hosts have applied everything, and the gateways have taken their seats."""
        if self.settled:
            return
        for port in self.ports.values():
            if port.instance is not None:
                port.instance.wait_installed()
        self.lab.sync()
        if self.network.routed and self._wait_for_seats():
            self.lab.sync()
        self.settled = True

    def _wait_for_seats(self) -> bool:
        """Returns whether there are ports for gateways, when each has a chassis."""
        taken = False
        for kind in ("chassisredirect", "l3gateway"):
            for seat in self.lab.sbctl("--bare", "--columns=_uuid", "find", "Port_Binding", f"type={kind}").split():
                try:
                    self.lab.sbctl("wait-until", "Port_Binding", seat, "chassis!=[]")
                except LabError:
                    raise CaseError(f"  no chassis takes {kind} port {seat}") from None
                taken = True
        return taken

    def _try(self, step: Step, patience: float, turn: int = 0) -> str:
        """Sends the frame once; what was seen that should not be, or was not that should, as text."""
        frame = build(_in_turn(self.network.filled(" ".join(step.words[2:])), turn))
        expected = [
            (port, self.network.filled(text) if text != "same" else describe(frame)) for port, text in step.expected
        ]
        self._drain()
        self.ports[step.words[1]].socket.send(frame)
        seen: list[tuple[str, str]] = []
        deadline = time.monotonic() + patience
        while _missing(expected, seen) and (left := deadline - time.monotonic()) > 0:
            seen += self._receive(left)
        quiet = time.monotonic() + (QUIET if expected else SILENCE)
        while (left := quiet - time.monotonic()) > 0:
            seen += self._receive(left)
        missing, surplus = _missing(expected, seen), _missing(seen, expected, swapped=True)
        surplus = [one for one in surplus if not self._is_for_another(*one)]
        surplus = [one for one in surplus if not UNASKED.search(one[1]) and not CHATTER.search(one[1])]
        lines = [f"  not seen at {port}: {text}" for port, text in missing]
        return "\n".join(lines + [f"  seen at {port}: {text}" for port, text in surplus])

    def _receive(self, patience: float) -> list[tuple[str, str]]:
        by_socket = {port.socket: port for port in self.ports.values()}
        ready, _, _ = select.select(list(by_socket), [], [], patience)
        seen = []
        for opened in ready:
            frame, outgoing = _taken(opened)
            text = describe(frame)
            if not outgoing and not self._answered(by_socket[opened], text):
                seen.append((by_socket[opened].name, text))
        return seen

    def _answered(self, port: Port, text: str) -> bool:
        """Answers who asks a port alone who it is, if the port does so."""
        mac, ip, ip6 = (self.network.addresses.get(f"{port.name}.{kind}", "") for kind in ("mac", "ip", "ip6"))
        if port.name not in self.answering or f">{mac} " not in text:
            return False
        if found := re.fullmatch(rf"(\S+)>{mac} arp request \S+/(\S+)>\S+/{ip}", text):
            answer = f"{mac}>{found[1]} arp reply {mac}/{ip}>{found[1]}/{found[2]}"
        elif found := re.fullmatch(rf"(\S+)>{mac} ip6 (\S+)>{ip6} ns {ip6} \S+", text):
            answer = f"{mac}>{found[1]} ip6 {ip6}>{found[2]} na 60 {ip6}"  # as Linux, to who asks it alone
        else:
            return False
        self.answering[port.name] += 1
        port.socket.send(build(answer))
        return True

    def _is_for_another(self, port: str, text: str) -> bool:
        """Whether this is between others outside: bridges bring it to all until they know who is where."""
        macs = {self.network.addresses.get(f"{name}.mac", name): name for name in self.outsiders}
        source, _, target = text.split()[0].partition(">")
        if port not in self.outsiders or int(target[:2], 16) & 1:
            return False
        return macs.get(target, port) != port or macs.get(source, port) != port

    def _drain(self) -> None:
        while self._receive(0) or select.select([p.socket for p in self.ports.values()], [], [], 0)[0]:
            pass

    def clean(self) -> None:
        for port in self.ports.values():
            port.socket.close()
        for instance in self.lab.instances():
            instance.delete()
        for namespace in self.outsiders.values():
            netns.remove(namespace)
        self.network.clean()
        for host, key, before in reversed(self.host_settings):
            self.lab.vsctl(host, "remove", "Open_vSwitch", ".", "external_ids", key)
            if before:
                self.lab.vsctl(host, "set", "Open_vSwitch", ".", f"external_ids:{key}={before}")
        self._forget()

    def _forget(self) -> None:
        """Lets switches forget what they have learned: the next case may give the same addresses other places."""
        spec = self.lab.spec
        for host in spec.hosts:
            switch = spec.host_directory(host) / "ovs-vswitchd.ctl"
            control.call(switch, "dpctl/flush-conntrack")
            if self.outsiders:
                control.call(switch, "fdb/flush", "br-ex")
        if self.outsiders:
            run(["ip", "-n", spec.fabric_netns, "link", "set", "provider", "type", "bridge", "fdb_flush"])


def _opened(namespace: str, interface: str) -> socket.socket:
    """A socket that says of each frame whether it had a VLAN tag."""
    made = netns.packet_socket(namespace, interface)
    made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    return made


def _taken(opened: socket.socket) -> tuple[bytes, bool]:
    """The next frame, and whether it is one that was sent. The kernel puts VLAN tags aside; here they are back."""
    frame, said, _, address = opened.recvmsg(65536, socket.CMSG_SPACE(AUXDATA.size))
    for _, _, raw in said:
        status, *_, tag, kind = AUXDATA.unpack(raw[: AUXDATA.size])
        if status & VLAN_VALID:
            frame = frame[:12] + struct.pack("!HH", kind, tag) + frame[12:]
    return frame, address[2] == PACKET_OUTGOING


def _in_turn(text: str, turn: int) -> str:
    """The text with one number in place of {FIRST..LAST}, another one each turn."""

    def number(found: re.Match[str]) -> str:
        first, last = int(found[1]), int(found[2])
        return str(first + turn % (last - first + 1))

    return re.sub(r"\{(\d+)\.\.(\d+)\}", number, text)


def _missing(
    wanted: list[tuple[str, str]], given: list[tuple[str, str]], *, swapped: bool = False
) -> list[tuple[str, str]]:
    """What of `wanted` has no match in `given`, each used once. Patterns are in `wanted`, or in `given` if swapped."""
    left = list(given)
    missing = []
    for port, text in wanted:
        for candidate in left:
            pattern, plain = (candidate[1], text) if swapped else (text, candidate[1])
            places = (candidate[0] if swapped else port).split("|")
            if (port if swapped else candidate[0]) in places and fnmatchcase(plain, pattern):
                left.remove(candidate)
                break
        else:
            missing.append((port, text))
    return missing


@contextlib.contextmanager
def running(lab: Lab, case: Case) -> Iterator[Runner]:
    """Runs a case, and takes away what it made."""
    runner = Runner(lab, case, Network(lab.nbctl, lab.spec.nb_db))
    try:
        runner.run()
        yield runner
    finally:
        runner.clean()
