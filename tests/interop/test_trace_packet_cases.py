"""The packet cases that real hosts carry out, by the interpreter: the same frames come out at the same ports.

tests/cases/packets/ holds the cases. The packets of a case find the connections that those before them have left. What
a trace cannot know is left out: that a localport is on one host only, what hosts learn (`until`, multicast snooping),
what is put around a frame on the wire (nested ports, kinds of tags), what is said to single hosts, and fragments, which
are put together before they are looked at.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ovine.model import nb, sb
from ovine.trace import Connections, Delivered, Options, World, trace, walk, world_of
from ovine.trace.names import Question
from support.case_network import Network
from support.frames import build
from support.northd_bed import THEIRS, NorthdBed, dump, northd_bed, until_status
from support.packet_cases import Case, Step, read
from support.trace_frames import about, packet

UNKNOWN = re.compile(
    r"^(nested|host|also|ids|hear|where|bfd|stick|keep) |mcast_snoop|localnet_learn|ethtype|l2gateway"
    r"|^send .* (first|last) ",
    re.MULTILINE,
)
"""What is in cases that are left out."""
LEFT_OUT = {
    "connections that are translated, whose replies are turned back by what hosts remember": (
        *("gateway_force_snat", "gateway_router", "gateway_several", "gateway_zone", "lb_acl", "lb_distributed"),
        *("lb_flush", "lb_flush_router", "lb_force_snat", "lb_force_snat_router_ip", "lb_hairpin", "lb_lent"),
        *("lb_switch", "nat_errors", "nat_exempted", "nat_floating6", "nat_match_distributed", "nat_match_router"),
        *("nat_other_network", "nat_snat", "route_ecmp_symmetric"),
    ),
    "one of several, of which a trace takes the first": (
        *("lb_backends", "route_ecmp", "route_policy", "route_policy_chains_ecmp"),
    ),
    "what hosts learn, and packets that wait for it": (
        *("lb_neighbours", "neighbour_ageing", "neighbour_dynamic", "neighbour_heard", "neighbour_unknown"),
        *("route_output_port", "router_echo"),
    ),
    "what is in a DHCP message": ("dhcp_relay", "dhcp_relay_gateway", "dhcp_relay_localnet"),
    "the length of packets": ("router_mtu", "router_mtu_bypass"),
    "what hosts say by themselves": ("nat_announced", "nat_announced_addresses", "port_announced", "ra_periodic"),
    "what is on one host only": ("lb_template", "port_external", "port_virtual"),
}
"""Further cases of what a trace cannot know, by reason."""
CASES = [
    case
    for case in map(read, sorted((Path(__file__).parents[1] / "cases/packets").glob("*.txt")))
    if not UNKNOWN.search(case.path.read_text()) and not any(case.name in names for names in LEFT_OUT.values())
]
FAR = {("localport", "b", "m"), ("localport", "m", "b")}
"""Case, sender and receiver: what a tunnel keeps back."""


@pytest.fixture(scope="module", params=["ours", "theirs"])
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    schema = nb.DATABASE if request.param == "ours" else THEIRS
    with northd_bed(tmp_path_factory.mktemp("cases"), schema) as made:
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
    network: Network
    outside: dict[str, int | None] = field(default_factory=dict)
    connections: Connections = field(default_factory=Connections)
    world: World | None = None
    sent: int = 0

    def run(self) -> None:
        for step in self.case.steps:
            if step.words[0] not in ("send", "until"):
                self.world = None
            if self.network.knows(step.words[0]):
                self.network.do(step.words)
            else:
                getattr(self, f"do_{step.words[0]}")(step)

    def do_outside(self, step: Step) -> None:
        _, name, *words = step.words
        self.outside[name] = int(words[1]) if words[:1] == ["vlan"] else None
        if addresses := words[2:] if words[:1] == ["vlan"] else words:
            self.network.name(name, addresses[0], addresses[1:])

    def do_only(self, step: Step) -> None:
        if (reason := self.case.only_ours) and self.bed.schema is not nb.DATABASE:
            pytest.skip(reason)

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
        frame = build(self.network.filled(" ".join(step.words[2:])))
        asked = re.search(r" dns (\w+ \S+)", step.text)
        question = Question.read(asked[1]) if asked else None
        options = Options(connections=self.connections, about=about(frame), question=question)
        result = trace(self.world, sender, packet(frame), options)
        seen = sorted(
            (self._who(node.port), f"{dict(node.fields)['eth.src']}>{dict(node.fields)['eth.dst']}")
            for node in walk((result.root,))
            if isinstance(node, Delivered) and self._who(node.port)
        )
        seen = [one for one in seen if (self.case.name, step.words[1], one[0]) not in FAR]
        whole = self.network.filled(step.words[2])
        wanted = sorted(
            (port, whole if text == "same" else self.network.filled(text.split()[0])) for port, text in step.expected
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_frames_come_out_where_real_hosts_put_them(bed: NorthdBed, case: Case) -> None:
    runner = Runner(bed, case, Network(bed.nbctl, bed.above.remote))
    try:
        runner.run()
        assert runner.sent
    finally:
        runner.network.clean()


def test_what_is_left_out_is_there() -> None:
    names = {case.name for case in map(read, (Path(__file__).parents[1] / "cases/packets").glob("*.txt"))}
    assert {name for left in LEFT_OUT.values() for name in left} <= names
