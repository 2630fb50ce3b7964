"""Load balancers with real servers behind them: health checks, events, and a port forwarding as Neutron writes it.

One host, whose controller is ours or Debian's, under our northd or Debian's.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from ovine.lab import Lab, LabError
from ovine.lab.endpoint import Endpoint
from ovine.lab.instance import Instance
from ovine.lab.netns import call_inside
from ovine.lab.waiting import wait_for

COMBINATIONS = [("ovine", "ovine"), ("ovine", "c"), ("c", "ovine")]


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda pair: f"{pair[0]} northd, {pair[1]} controller")
def lab(request: pytest.FixtureRequest, lab_machine: None) -> Iterator[Lab]:
    northd, controller = request.param
    with Lab(northd=northd, controllers=(controller,), api=False) as made:
        _network(made)
        yield made
        if northd == "ovine":
            assert made.ask("northd", "ovine/failures").splitlines() == []
        if controller == "ovine":
            named = [line for line in made.ask("h1-controller", "ovine/failures").splitlines() if "health" in line]
            assert named == []


def _network(lab: Lab) -> None:
    """Switch in (with a, b) behind router r, whose gateway port is on the provider network ext."""
    nb = lab.nbctl
    nb("ls-add", "in", "--", "ls-add", "ext", "--", "lr-add", "r")
    nb("lrp-add", "r", "r-in", "02:00:00:00:00:fe", "10.0.1.254/24")
    nb("lrp-add", "r", "r-ext", "02:00:00:00:01:fe", "192.0.2.254/24", "--", "lrp-set-gateway-chassis", "r-ext", "h1")
    for switch in ("in", "ext"):
        port = f"{switch}-r"
        nb("lsp-add", switch, port, "--", "lsp-set-type", port, "router", "--", "lsp-set-addresses", port, "router")
        nb("lsp-set-options", port, f"router-port=r-{switch}", "nat-addresses=router")
    nb("lsp-add", "ext", "net", "--", "lsp-set-type", "net", "localnet", "--", "lsp-set-addresses", "net", "unknown")
    nb("lsp-set-options", "net", "network_name=physnet1")
    for number, name in enumerate("abc", 1):
        mac, address = f"02:00:00:00:00:0{number}", f"10.0.1.{number}"
        nb("lsp-add", "in", name, "--", "lsp-set-addresses", name, f"{mac} {address}")
        nb("lsp-set-port-security", name, f"{mac} {address}")
        instance = lab.plug(name, host="h1", port_id=name, mac=mac)
        instance.wait_installed()
        instance.add_address(f"{address}/24")
        instance.add_route("default", "10.0.1.254")
    outside = lab.outside("outside", "192.0.2.9/24")
    assert isinstance(outside, Endpoint)
    lab.sync()


@contextlib.contextmanager
def serving(endpoint: Endpoint, kind: socket.SocketKind, port: int) -> Iterator[socket.socket]:
    """A server's socket."""

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            made.listen(8)
        made.settimeout(10)
        return made

    with call_inside(endpoint.netns, opened) as server:
        yield server


def said(endpoint: Endpoint, server: socket.socket, address: str, port: int) -> tuple[str, str]:
    """Connects; returns whom the server sees, and what it then says to the client."""
    client = call_inside(endpoint.netns, lambda: socket.create_connection((address, port), timeout=10))
    with client:
        peer, (seen, _) = server.accept()
        with peer:
            peer.sendall(b"hello")
        return seen, client.recv(99).decode()


def status(lab: Lab, ip: str) -> str:
    return lab.sbctl("--bare", "--columns=status", "find", "Service_Monitor", f"ip={ip}").strip()


def balancer(lab: Lab, name: str, protocol: str, vip: str, backends: str, *settings: str) -> str:
    row = lab.nbctl("create", "Load_Balancer", f"name={name}", f"protocol={protocol}", f'vips:"{vip}"="{backends}"')
    if settings:
        lab.nbctl("set", "Load_Balancer", row.strip(), *settings)
    return row.strip()


def checked(lab: Lab, row: str, vip: str) -> None:
    """Has the backends b and c asked, once a second."""
    options = [f"options:{name}={value}" for name, value in (("interval", 1), ("timeout", 1))]
    counts = ["options:success_count=1", "options:failure_count=1"]
    command = ["--id=@check", "create", "Load_Balancer_Health_Check", f'vip="{vip}"', *options, *counts]
    lab.nbctl(*command, "--", "add", "Load_Balancer", row, "health_check", "@check")
    for number, name in ((2, "b"), (3, "c")):
        lab.nbctl("set", "Load_Balancer", row, f'ip_port_mappings:10.0.1.{number}="{name}:10.0.1.253"')
    lab.nbctl("ls-lb-add", "in", row)
    lab.sync()


def test_tcp_backends_are_used_while_they_answer(lab: Lab) -> None:
    a, b, c = (lab.instance(name) for name in "abc")
    checked(lab, balancer(lab, "web", "tcp", "10.9.9.9:80", "10.0.1.2:8080,10.0.1.3:8080"), "10.9.9.9:80")
    with serving(b, socket.SOCK_STREAM, 8080) as at_b:
        wait_for(lambda: (status(lab, "10.0.1.2"), status(lab, "10.0.1.3")) == ("online", "offline"), "b alone", 30)
        lab.sync()
        _drained(at_b)
        for _ in range(4):
            assert _seen_by(a, at_b) == "10.0.1.1"
        with serving(c, socket.SOCK_STREAM, 8080):
            wait_for(lambda: status(lab, "10.0.1.3") == "online", "c is back", 30)
    wait_for(lambda: status(lab, "10.0.1.2") == "offline", "b has gone", 30)
    lab.nbctl("lb-del", "web")
    lab.sync()
    assert status(lab, "10.0.1.2") == ""


def _drained(server: socket.socket) -> None:
    """Takes away the connections that health checks have opened."""
    server.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        while True:
            server.accept()[0].close()
    server.settimeout(10)


def _seen_by(client: Instance, server: socket.socket) -> str:
    """Connects to the virtual address; whom the server sees, apart from health checks."""
    opened = call_inside(client.netns, lambda: socket.create_connection(("10.9.9.9", 80), timeout=10))
    with opened:
        while True:
            peer, (seen, _) = server.accept()
            peer.close()
            if seen != "10.0.1.253":
                return str(seen)


def test_udp_backends_are_used_while_nobody_says_that_they_are_closed(lab: Lab) -> None:
    checked(lab, balancer(lab, "dns", "udp", "10.9.9.9:53", "10.0.1.2:5353,10.0.1.3:5353"), "10.9.9.9:53")
    with serving(lab.instance("b"), socket.SOCK_DGRAM, 5353):
        wait_for(lambda: (status(lab, "10.0.1.2"), status(lab, "10.0.1.3")) == ("online", "offline"), "b alone", 30)
    lab.nbctl("lb-del", "dns")
    lab.sync()


def test_a_load_balancer_without_backends_tells_of_it(lab: Lab) -> None:
    row = balancer(lab, "none", "tcp", "10.9.9.8:80", "")
    lab.nbctl("set", "NB_Global", ".", "options:controller_event=true")
    lab.nbctl("ls-lb-add", "in", row)
    lab.sync()

    def told() -> str:
        with contextlib.suppress(OSError, LabError):
            address = ("10.9.9.8", 80)
            call_inside(lab.instance("a").netns, lambda: socket.create_connection(address, timeout=0.2)).close()
        return lab.sbctl("--bare", "--columns=event_info", "list", "Controller_Event").strip()

    wait_for(lambda: "10.9.9.8:80" in told(), "the event", 30)
    assert "tcp" in told() and row in told()
    assert len(lab.sbctl("--bare", "--columns=_uuid", "list", "Controller_Event").split()) == 1
    lab.sbctl("--all", "destroy", "Controller_Event")
    wait_for(lambda: "10.9.9.8:80" in told(), "the event, when the first was seen", 30)
    lab.nbctl("remove", "NB_Global", ".", "options", "controller_event", "--", "lb-del", "none")
    lab.sbctl("--all", "destroy", "Controller_Event")


def test_a_port_forwarding_works_from_outside_and_inside(lab: Lab) -> None:
    """The rows are those that Neutron writes: one load balancer for router, network and external network.

    Debian's northd balances on the external network too what comes in from outside, and then has the replies translated
    by NAT first; there the load balancer is kept from that network.
    """
    lab.nbctl("lr-nat-add", "r", "snat", "192.0.2.254", "10.0.1.0/24")
    row = balancer(lab, "pf-floatingip-fip-tcp", "tcp", "192.0.2.102:2222", "10.0.1.2:22")
    lab.nbctl("lr-lb-add", "r", row, "--", "ls-lb-add", "in", row)
    if lab.spec.northd == "ovine":
        lab.nbctl("ls-lb-add", "ext", row)
    lab.sync()
    with serving(lab.instance("b"), socket.SOCK_STREAM, 22) as server:
        assert said(lab.endpoint("outside"), server, "192.0.2.102", 2222) == ("192.0.2.9", "hello")
        assert said(lab.instance("a"), server, "192.0.2.102", 2222) == ("10.0.1.1", "hello")
        assert said(lab.instance("b"), server, "192.0.2.102", 2222) == ("192.0.2.102", "hello")
    with serving(lab.endpoint("outside"), socket.SOCK_STREAM, 80) as server:
        assert said(lab.instance("b"), server, "192.0.2.9", 80) == ("192.0.2.254", "hello")
    lab.nbctl("lb-del", "pf-floatingip-fip-tcp")
