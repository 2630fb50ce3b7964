"""The packet cases that real hosts carry out, by the interpreter: the same frames come out at the same ports.

tests/cases/packets/ holds the cases. What a trace cannot know is left out: that a localport is on one host only, what
hosts learn (`until`), which connections there are (cases with `allow-related`), and what hosts themselves send (cases
with routers or DNS).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ovine.model import sb
from ovine.trace import Delivered, World, trace, walk, world_of
from support.frames import build
from support.northd_bed import NorthdBed, dump, northd_bed, until_status
from support.packet_cases import Case, Step, read
from support.trace_frames import packet

CASES = [
    case
    for case in map(read, sorted((Path(__file__).parents[1] / "cases/packets").glob("*.txt")))
    if "allow-related" not in case.path.read_text() and not case.has("router") and not case.has("dns")
]
FAR = {("localport", "b", "m"), ("localport", "m", "b")}
"""Case, sender and receiver: what a tunnel keeps back."""


@pytest.fixture(scope="module", params=["ours", "theirs"])
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    with northd_bed(tmp_path_factory.mktemp("cases")) as made:
        if request.param == "theirs":
            with made.debians():
                yield made
            return
        with made.ours() as daemon:
            until_status(daemon, "active")
            yield made


@dataclass
class Runner:
    """One case, without hosts. `addresses` are what PORT.mac and its like stand for."""

    bed: NorthdBed
    case: Case
    addresses: dict[str, str] = field(default_factory=dict)
    outside: dict[str, int | None] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    undo: list[tuple[str, ...]] = field(default_factory=list)
    world: World | None = None
    sent: int = 0

    def run(self) -> None:
        for step in self.case.steps:
            if step.words[0] not in ("send", "until"):
                self.world = None
            getattr(self, f"do_{step.words[0]}")(step)

    def do_switch(self, step: Step) -> None:
        self.bed.nbctl("ls-add", step.words[1])
        self.undo.append(("ls-del", step.words[1]))

    def do_nb(self, step: Step) -> None:
        self.bed.nbctl(*step.words[1:])

    def do_dhcp4(self, step: Step) -> None:
        _, name, cidr, *pairs = step.words
        split = (pair.replace('"', r"\"").partition("=") for pair in pairs)
        settings = [f'options:{key}="{value}"' for key, _, value in split]
        escaped = cidr.replace(":", r"\:")
        self.named[name] = self.bed.nbctl("create", "DHCP_Options", f"cidr={escaped}", *settings).strip()
        self.undo.append(("dhcp-options-del", self.named[name]))

    do_dhcp6 = do_dhcp4

    def do_port(self, step: Step) -> None:
        _, name, _host, switch, mac, *rest = step.words
        settings = dict(word.split("=", 1) for word in rest if "=" in word)
        ips = [word for word in rest if word not in ("open", "unknown") and "=" not in word]
        address = " ".join((mac, *ips))
        command = ["lsp-add", switch, name, "--", "lsp-set-addresses", name, address]
        command += ["unknown"] if "unknown" in rest else []
        if "type" in settings:
            command += ["--", "lsp-set-type", name, settings["type"]]
        elif not {"open", "unknown"} & set(rest):
            command += ["--", "lsp-set-port-security", name, address]
        for version in "46":
            if f"dhcp{version}" in settings:
                command += ["--", f"lsp-set-dhcpv{version}-options", name, self.named[settings[f"dhcp{version}"]]]
        self.bed.nbctl(*command)
        self.addresses[f"{name}.mac"] = mac
        for ip in reversed(ips):
            self.addresses[f"{name}.ip6" if ":" in ip else f"{name}.ip"] = ip.split("/")[0]

    def do_outside(self, step: Step) -> None:
        self.outside[step.words[1]] = int(step.words[3]) if step.words[2:3] == ("vlan",) else None

    def do_until(self, step: Step) -> None:
        """What hosts learn on the way is not known here."""

    def do_send(self, step: Step) -> None:
        if self.world is None:
            self.bed.sync()
            self.world = world_of(asyncio.run(dump(self.bed.below, sb.DATABASE)).values())
        sender = self._place(step.words[1])
        if sender is None:
            assert not step.expected, f"{self.case.name}:{step.number}: no port {step.words[1]}"
            return
        result = trace(self.world, sender, packet(build(self._filled(" ".join(step.words[2:])))))
        seen = sorted(
            (self._who(node.port), f"{dict(node.fields)['eth.src']}>{dict(node.fields)['eth.dst']}")
            for node in walk((result.root,))
            if isinstance(node, Delivered) and self._who(node.port)
        )
        seen = [one for one in seen if (self.case.name, step.words[1], one[0]) not in FAR]
        whole = self._filled(step.words[2])
        wanted = sorted(
            (port, whole if text == "same" else self._filled(text.split()[0])) for port, text in step.expected
        )
        same = len(seen) == len(wanted) and all(
            one[0] == other[0] and fnmatchcase(one[1], other[1]) for one, other in zip(seen, wanted, strict=True)
        )
        assert same, f"{self.case.name}:{step.number}: {step.text}: {seen}, expected {wanted}"
        self.sent += 1

    def _place(self, name: str) -> sb.PortBinding | None:
        """The port of that name, or the localnet port behind which a machine outside is."""
        assert self.world is not None
        if name not in self.outside:
            return self.world.ports.get(name)
        nets = [port for port in self.world.ports.values() if port.type == "localnet"]
        return next((port for port in nets if port.tag == self.outside[name]), None)

    def _who(self, port: str) -> str:
        """Who is behind a port; "" for a physical network without a machine."""
        assert self.world is not None
        row = self.world.ports[port]
        if row.type != "localnet":
            return port
        return next((name for name, tag in self.outside.items() if tag == row.tag), "")

    def _filled(self, text: str) -> str:
        return re.sub(r"\b\w+\.(?:mac|ip6|ip)\b", lambda found: self.addresses.get(found[0], found[0]), text)

    def clean(self) -> None:
        for command in reversed(self.undo):
            self.bed.nbctl(*command)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_frames_come_out_where_real_hosts_put_them(bed: NorthdBed, case: Case) -> None:
    runner = Runner(bed, case)
    try:
        runner.run()
        assert runner.sent
    finally:
        runner.clean()
