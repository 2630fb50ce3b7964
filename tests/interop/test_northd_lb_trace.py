"""Debian's ovn-trace walks packets to load balancers that our northd wrote, and our trace comes to the same end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from ovine.model import sb
from ovine.trace import Options, Origins, render, run, world_of
from support.northd_bed import NorthdBed, dump, northd_bed, until_status

ROUTER = "0a:00:00:00:ff:01"
CASES = {
    "a virtual address": ("a", "10.9.9.9", "tcp.src == 5000 && tcp.dst == 80", "b", "10.0.0.2"),
    "one of another protocol": ("a", "10.9.9.9", "udp.src == 5000 && udp.dst == 80", "", ""),
    "one without a port": ("a", "10.9.9.8", "udp.src == 5000 && udp.dst == 7", "b", "10.0.0.2"),
    "one without backends": ("a", "10.9.9.7", "tcp.src == 5000 && tcp.dst == 80", "", ""),
    "what is not balanced": ("a", "10.0.0.2", "udp.src == 5000 && udp.dst == 7", "b", "10.0.0.2"),
    "a router's virtual address": ("x", "172.16.0.10", "tcp.src == 5000 && tcp.dst == 80", "b", "10.0.0.2"),
}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NorthdBed]:
    """Switches s1 (a, b) and public (x), and router r1 with a gateway port on public."""
    with northd_bed(tmp_path_factory.mktemp("lb")) as made, made.ours() as daemon:
        until_status(daemon, "active")
        made.nbctl("ls-add", "s1", "--", "ls-add", "public", "--", "lr-add", "r1")
        for switch, name, number, address in (("s1", "a", 1, "10.0.0.1"), ("s1", "b", 2, "10.0.0.2")):
            made.nbctl("lsp-add", switch, name, "--", "lsp-set-addresses", name, f"0a:00:00:00:00:0{number} {address}")
        made.nbctl("lsp-add", "public", "x", "--", "lsp-set-addresses", "x", "0a:00:00:00:00:09 172.16.0.9")
        for switch, mac, network in (("s1", ROUTER, "10.0.0.254/24"), ("public", ROUTER, "172.16.0.100/24")):
            made.join("r1", switch, mac, network)
        made.nbctl("lrp-set-gateway-chassis", "r1-public", "gw", "20")
        for name, vip, backends in (
            ("web", "10.9.9.9:80", "10.0.0.2:8080"),
            ("all", "10.9.9.8", "10.0.0.2"),
            ("out", "172.16.0.10:80", "10.0.0.2:8080"),
        ):
            made.nbctl("lb-add", name, vip, backends)
        made.nbctl("create", "Load_Balancer", "name=none", 'vips:"10.9.9.7:80"=""')
        for name in ("web", "all", "none"):
            made.nbctl("ls-lb-add", "s1", name)
        made.nbctl("lr-lb-add", "r1", "out")
        made.sync()
        made.tool("ovn-sbctl", "chassis-add", "gw", "geneve", "127.0.0.1", "--", "lsp-bind", "cr-r1-public", "gw")
        made.sync()
        assert daemon.failures() == []
        yield made


def microflow(name: str) -> tuple[str, str]:
    """The switch and the packet of a case."""
    inport, to, more, _, _ = CASES[name]
    switch, mac, source = {"a": ("s1", "01", "10.0.0.1"), "x": ("public", "09", "172.16.0.9")}[inport]
    packet = f'inport == "{inport}" && eth.src == 0a:00:00:00:00:{mac} && eth.dst == {ROUTER} && ip4.src == {source}'
    return switch, f"{packet} && ip4.dst == {to} && ip.ttl == 64 && {more}"


def outputs(text: str) -> list[str]:
    return re.findall(r'output\("(.*)"\)', text)


@pytest.mark.parametrize("name", CASES)
def test_a_packet_comes_out_where_its_backend_is(bed: NorthdBed, name: str) -> None:
    """All connections are new, at each look at them. Debian's trace does not show the new destination, ours does."""
    switch, packet = microflow(name)
    *_, port, address = CASES[name]
    new = ["--ct=new"] * 4
    theirs = bed.trace(switch, packet, "--minimal", *new)
    assert outputs(theirs) == ([port] if port else []), theirs
    world = world_of(asyncio.run(dump(bed.below, sb.DATABASE)).values())
    ours = render.minimal(run(world, switch, packet, Options(ct=["new"] * 4)), Origins())
    assert outputs(ours) == outputs(theirs), ours
    assert not address or f"ip4.dst = {address};" in ours or f"ip4.dst == {address}" in packet, ours
