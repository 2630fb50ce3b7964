"""What our interpreter says becomes of a packet is what Debian's ovn-trace says, over both northds' flows.

Compared are the minimal outputs: the fields of the packet that changed, in their order, the packets that were made,
and the ports where it came out. What theirs shows beyond that is registers and the names of stateful actions.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovine.language.values import parse_constant
from ovine.model import nb, sb
from ovine.trace import Options, Origins, World, render, run, world_of
from support.northd_bed import NorthdBed, dump, northd_bed, until_status

NORTHDS = ("ours", "theirs")
MAKERS = "arp|nd_ns|nd_na|nd_na_router|icmp4|icmp4_error|icmp6|icmp6_error|tcp_reset|sctp_abort"


def fill(bed: NorthdBed) -> None:
    """Two switches; s1 has secured ports, a disabled one, one of unknown addresses, a localnet, a localport, DHCP."""
    for switch in ("s1", "s2"):
        bed.nbctl("ls-add", switch)
    for number, name in enumerate(("p1", "p2", "p3"), start=1):
        address = f"0a:00:00:00:00:0{number} 10.0.0.{number} fd00::{number}"
        bed.nbctl("lsp-add", "s1", name, "--", "lsp-set-addresses", name, address)
        bed.nbctl("lsp-set-port-security", name, address)
    bed.nbctl(
        "lsp-set-enabled", "p3", "disabled", "--", "lsp-add", "s1", "p4", "--", "lsp-set-addresses", "p4", "unknown"
    )
    bed.nbctl("lsp-add", "s1", "meta", "--", "lsp-set-type", "meta", "localport")
    bed.nbctl("lsp-set-addresses", "meta", "0a:00:00:00:00:0a 169.254.169.254")
    bed.nbctl("lsp-add", "s1", "ln", "--", "lsp-set-type", "ln", "localnet")
    bed.nbctl("lsp-set-addresses", "ln", "unknown", "--", "lsp-set-options", "ln", "network_name=phys")
    bed.nbctl("lsp-add", "s2", "q1", "--", "lsp-set-addresses", "q1", "0a:00:00:00:01:01 10.0.1.1")
    bed.serve_dhcp("p1")


def route(bed: NorthdBed) -> None:
    """A router between the switches, an ACL of each kind, a load balancer."""
    bed.nbctl("lr-add", "r1", "--", "lrp-add", "r1", "r1s1", "0a:00:00:00:00:ff", "10.0.0.254/24")
    bed.nbctl("lrp-add", "r1", "r1s2", "0a:00:00:00:01:ff", "10.0.1.254/24")
    for n in "12":
        port = f"s{n}r1"
        bed.nbctl("lsp-add", f"s{n}", port, "--", "lsp-set-type", port, "router")
        bed.nbctl("lsp-set-addresses", port, "router", "--", "lsp-set-options", port, f"router-port=r1s{n}")
    for priority, port, verdict in ((1000, 80, "allow-related"), (900, 81, "reject"), (800, 82, "drop")):
        bed.nbctl("acl-add", "s2", "to-lport", str(priority), f'outport == "q1" && tcp.dst == {port}', verdict)
    bed.nbctl("lb-add", "lb1", "10.0.0.100:80", "10.0.1.1:80", "--", "ls-lb-add", "s1", "lb1")


@contextlib.contextmanager
def compiled(northd: str, directory: Path, *fills: Callable[[NorthdBed], None]) -> Iterator[tuple[NorthdBed, World]]:
    """A southbound that one of `NORTHDS` has made of what is filled in, and its snapshot."""
    with northd_bed(directory) as made, contextlib.ExitStack() as stack:
        if northd == "ours":
            until_status(stack.enter_context(made.ours()), "active")
        else:
            stack.enter_context(made.debians())
        for each in fills:
            each(made)
        made.sync()
        yield made, snapshot(made)


@pytest.fixture(scope="module", params=NORTHDS)
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NorthdBed, World]]:
    """Switches only: no packet is tracked."""
    with compiled(request.param, tmp_path_factory.mktemp("trace"), fill) as made:
        yield made


@pytest.fixture(scope="module", params=NORTHDS)
def routed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[NorthdBed, World]]:
    """With a router between them, and tracked connections."""
    with compiled(request.param, tmp_path_factory.mktemp("routed"), fill, route) as made:
        yield made


def snapshot(bed: NorthdBed) -> World:
    return world_of(asyncio.run(dump(bed.below, sb.DATABASE)).values())


def theirs(bed: NorthdBed, switch: str, microflow: str, *options: str) -> list[str]:
    remote = f"--db={bed.below.remote}"
    ttl = re.search(r"ip.ttl == (\d+)", microflow)
    text = bed.tool("ovn-trace", remote, "--minimal", *options, switch, microflow)
    return comparable(text, int(ttl[1]) if ttl else 0)


def comparable(text: str, ttl: int = 0) -> list[str]:
    """Changes of the packet, made packets and deliveries of a minimal output, with values as numbers.

    Theirs shows that the time to live was decremented, ours what it then is: `ttl` is what the packet came with.
    """
    kept = []
    for line in map(str.strip, text.splitlines()):
        assignment = re.fullmatch(
            r"((?:eth|vlan|ip|ip4|ip6|arp|nd|icmp4|icmp6|tcp|udp|sctp)\.[\w\[\].]+) = (\S+);", line
        )
        if line == "ip.ttl--;":
            ttl -= 1
            kept.append(f"ip.ttl = {ttl}")
        elif assignment:
            value = parse_constant(assignment[2]).value
            ttl = value if assignment[1] == "ip.ttl" else ttl
            kept.append(f"{assignment[1]} = {value}")
        elif re.fullmatch(rf'output\(".*"\);|(?:{MAKERS}|reject) {{', line):
            ttl = ttl if line.startswith("output") else 255
            kept.append(re.sub("^reject", "tcp_reset", line))
    return kept


def frame(inport: str, source: int, destination: str) -> str:
    return f'inport == "{inport}" && eth.src == 0a:00:00:00:00:0{source} && eth.dst == {destination}'


def ip4(source: str, destination: str, rest: str = "icmp4.type == 8") -> str:
    return f"ip4.src == {source} && ip4.dst == {destination} && ip.ttl == 64 && {rest}"


def arp(inport: str, source: int, target: str, spa: str = "") -> str:
    asks = f"arp.op == 1 && arp.sha == 0a:00:00:00:00:0{source} && arp.tpa == {target}"
    return f"{frame(inport, source, 'ff:ff:ff:ff:ff:ff')} && {asks} && arp.spa == {spa or f'10.0.0.{source}'}"


def solicitation(inport: str, source: int, target: str) -> str:
    return (
        f"{frame(inport, source, '33:33:ff:00:00:02')} && ip6.src == fd00::{source} && ip6.dst == ff02::1:ff00:2 && "
        f"icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255 && nd.target == {target} && "
        f"nd.sll == 0a:00:00:00:00:0{source}"
    )


DHCP = "ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && ip.ttl == 64 && udp.src == 68 && udp.dst == 67"
DHCP6 = "ip6.src == fe80::800:ff:fe00:1 && ip6.dst == ff02::1:2 && ip.ttl == 64 && udp.src == 546 && udp.dst == 547"
P1, P2, OWN, GROUP = "0a:00:00:00:00:01", "0a:00:00:00:00:02", "10.0.0.1", "ff:ff:ff:ff:ff:ff"

SWITCHED = {
    "unicast": f"{frame('p1', 1, P2)} && {ip4(OWN, '10.0.0.2')}",
    "unicast to a disabled port": f"{frame('p1', 1, '0a:00:00:00:00:03')} && {ip4(OWN, '10.0.0.3')}",
    "from a disabled port": f"{frame('p3', 3, P1)} && {ip4('10.0.0.3', OWN)}",
    "unknown": f"{frame('p1', 1, '0a:00:00:00:00:77')} && {ip4(OWN, '10.0.0.77')}",
    "unknown, from an unknown port": f"{frame('p4', 7, '0a:00:00:00:00:77')} && {ip4('10.0.0.7', '10.0.0.77')}",
    "known, from an unknown port": f"{frame('p4', 7, P2)} && {ip4('10.0.0.7', '10.0.0.2')}",
    "not what the receiver may have": f"{frame('p4', 7, P2)} && {ip4('10.0.0.7', '10.0.0.77')}",
    "broadcast": f"{frame('p1', 1, GROUP)} && {ip4(OWN, '255.255.255.255')}",
    "multicast": f"{frame('p1', 1, '01:00:5e:00:00:fb')} && {ip4(OWN, '224.0.0.251')}",
    "multicast of IPv6": f"{frame('p1', 1, '33:33:00:00:00:01')} && ip6.src == fd00::1 && ip6.dst == ff02::1",
    "not IP": f"{frame('p1', 1, P2)} && eth.type == 0x88cc",
    "sender's MAC": f"{frame('p1', 9, P2)} && {ip4(OWN, '10.0.0.2')}",
    "sender's IPv4 address": f"{frame('p1', 1, P2)} && {ip4('10.0.0.9', '10.0.0.2')}",
    "sender's IPv6 address": f"{frame('p1', 1, P2)} && ip6.src == fd00::9 && ip6.dst == fd00::2 && ip.ttl == 64",
    "a good IPv6 sender": f"{frame('p1', 1, P2)} && ip6.src == fd00::1 && ip6.dst == fd00::2 && ip.ttl == 64",
    "ARP of a foreign address": arp("p1", 1, "10.0.0.2", "10.0.0.9"),
    "group as the sender": f'inport == "p4" && eth.src == 01:00:00:00:00:01 && eth.dst == {P2}',
    "ARP": arp("p1", 1, "10.0.0.2"),
    "ARP for oneself": arp("p1", 1, OWN),
    "ARP for a localport": arp("p1", 1, "169.254.169.254"),
    "ARP for nobody": arp("p1", 1, "10.0.0.77"),
    "ARP from the physical network": arp("ln", 7, "10.0.0.2"),
    "from the physical network": f"{frame('ln', 7, P2)} && {ip4('10.0.0.7', '10.0.0.2')}",
    "unknown, from the physical network": f"{frame('ln', 7, '0a:00:00:00:00:77')} && {ip4('10.0.0.7', '10.0.0.77')}",
    "solicitation": solicitation("p1", 1, "fd00::2"),
    "solicitation for oneself": solicitation("p2", 2, "fd00::2"),
    "DHCP": f"{frame('p1', 1, GROUP)} && {DHCP}",
    "DHCP where there is none": f"{frame('p2', 2, GROUP)} && {DHCP}",
    "DHCPv6": f"{frame('p1', 1, '33:33:00:01:00:02')} && {DHCP6}",
}
TAGGED = f"{frame('p4', 9, P2)} && vlan.present && vlan.vid == 7"
GATEWAY = "0a:00:00:00:00:ff"
ROUTED = {
    "to another switch": ip4(OWN, "10.0.1.1"),
    "to the router": ip4(OWN, "10.0.0.254"),
    "to nobody known": ip4(OWN, "10.0.1.77"),
    "to no route": ip4(OWN, "192.0.2.1"),
    "allowed": ip4(OWN, "10.0.1.1", "tcp.dst == 80"),
    "rejected": ip4(OWN, "10.0.1.1", "tcp.dst == 81"),
    "dropped": ip4(OWN, "10.0.1.1", "tcp.dst == 82"),
    "TTL over": f"ip4.src == {OWN} && ip4.dst == 10.0.1.1 && ip.ttl == 1 && udp.dst == 9",
}


@pytest.mark.parametrize(
    "microflow", [pytest.param(flow, id=name) for name, flow in (SWITCHED | {"tagged": TAGGED}).items()]
)
def test_on_a_switch_a_packet_fares_as_ovn_trace_says(bed: tuple[NorthdBed, World], microflow: str) -> None:
    made, world = bed
    ours = comparable(render.minimal(run(world, "s1", microflow), Origins()))
    if DHCP in microflow and ours[-1] == 'output("p1");':
        # Theirs leaves out that the controller addresses the reply to the client.
        ours.remove(f"ip4.dst = {parse_constant(OWN).value}")
    assert ours == theirs(made, "s1", microflow)


@pytest.mark.parametrize("ct", [(), ("new",)], ids=["established", "new"])
@pytest.mark.parametrize("rest", [pytest.param(flow, id=name) for name, flow in ROUTED.items()])
def test_through_a_router_a_packet_fares_as_ovn_trace_says(
    routed: tuple[NorthdBed, World], rest: str, ct: tuple[str, ...]
) -> None:
    made, world = routed
    microflow = f"{frame('p1', 1, GATEWAY)} && {rest}"
    ours = comparable(render.minimal(run(world, "s1", microflow, Options(ct=ct)), Origins()))
    said = theirs(made, "s1", microflow, *(f"--ct={flags}" for flags in ct))
    assert ours == said


def test_a_balanced_packet_comes_out_where_ovn_trace_says(routed: tuple[NorthdBed, World]) -> None:
    """Theirs does not show the new destination, so that only the outcome is compared."""
    made, world = routed
    microflow = f"{frame('p1', 1, GATEWAY)} && {ip4(OWN, '10.0.0.100', 'tcp.dst == 80')}"
    ours = comparable(render.minimal(run(world, "s1", microflow, Options(ct=["new"])), Origins()))
    assert {"ip4.dst = 167772417", 'output("q1");'} < set(ours)
    assert theirs(made, "s1", microflow, "--ct=new")[-1] == ours[-1]


def test_a_learned_address_is_found_and_a_learned_port_too(routed: tuple[NorthdBed, World]) -> None:
    made, _ = routed
    datapath = made.tool(
        "ovn-sbctl", "--bare", "--columns=_uuid,tunnel_key", "find", "datapath", "external_ids:name=s1"
    )
    key = datapath.split()[1]
    port = made.tool("ovn-sbctl", "--bare", "--columns=tunnel_key", "find", "port_binding", "logical_port=p4").strip()
    made.tool("ovn-sbctl", "create", "FDB", 'mac="0a:00:00:00:00:55"', f"dp_key={key}", f"port_key={port}")
    router = made.tool("ovn-sbctl", "--bare", "--columns=_uuid", "find", "datapath", "external_ids:name=r1").strip()
    made.tool(
        *("ovn-sbctl", "create", "MAC_Binding", "logical_port=r1s2", "ip=10.0.1.55", 'mac="0a:00:00:00:01:01"'),
        f"datapath={router}",
    )
    world = snapshot(made)
    for packet in (
        f"{frame('p1', 1, '0a:00:00:00:00:55')} && {ip4(OWN, '10.0.0.55')}",
        f"{frame('p1', 1, GATEWAY)} && {ip4(OWN, '10.0.1.55')}",
    ):
        ours = comparable(render.minimal(run(world, "s1", packet), Origins()))
        assert ours == theirs(made, "s1", packet)
        assert len([line for line in ours if line.startswith("output")]) == 1


def test_every_flow_of_debians_northd_can_be_read(routed: tuple[NorthdBed, World]) -> None:
    _, world = routed
    for datapath in ("s1", "s2"):
        port = "p4" if datapath == "s1" else "q1"
        packet = f"{frame(port, 1, GROUP)} && {ip4('10.0.1.1', '10.0.0.1')}"
        assert "cannot be read" not in render.detailed(run(world, datapath, packet), Origins())


def test_a_flow_is_because_of_the_northbound_row_that_ovn_detrace_would_name(
    routed: tuple[NorthdBed, World],
) -> None:
    made, world = routed
    origins = Origins.of(asyncio.run(dump(made.above, nb.DATABASE)).values())
    text = render.detailed(run(world, "s1", f"{frame('p1', 1, GATEWAY)} && {ROUTED['rejected']}"), origins)
    assert '# because of ACL to-lport, priority 900, outport == "q1" && tcp.dst == 81: reject' in text
    assert "# because of Logical_Router_Port r1s2" in text
    assert "# because of Logical_Switch_Port q1" in text
