"""What our controller does for routers and load balancers of Debian's northd, beside a host with Debian's controller.

Host h1 is ours, h2 is Debian's. Each has a gateway router with one network behind it (in1, in2); a switch joins the
routers, and BFD watches the route from each to the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from ovine.lab import Lab
from ovine.lab.instance import Instance

SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 8080))
while True:
    client, address = server.accept()
    client.sendall(address[0].encode())
    client.close()
"""
CLIENT = "import socket; print(socket.create_connection(('{}', 80), timeout=5).recv(99).decode())"


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="c", controllers=("ovine", "c"), api=False) as made:
        made.nbctl("ls-add", "join")
        for number in (1, 2):
            _router(made, number)
        for row in made.nbctl("--bare", "--columns=_uuid", "list", "bfd").split():
            made.nbctl("set", "bfd", row, "min_tx=500", "min_rx=500", "detect_mult=8")
        made.nbctl("lb-add", "lb", "10.0.1.100:80", "10.0.1.5:8080", "tcp")
        made.nbctl("ls-lb-add", "in1", "lb")
        made.sync()
        yield made


def _router(lab: Lab, number: int) -> None:
    router = f"gr{number}"
    lab.nbctl("lr-add", router)
    lab.nbctl("set", "logical_router", router, f"options:chassis=h{number}")
    _port(lab, router, f"j{number}", "join", f"02:00:00:00:00:0{number}", f"172.16.0.{number}/24")
    lab.nbctl("ls-add", f"in{number}")
    _port(
        lab,
        router,
        f"i{number}",
        f"in{number}",
        f"02:00:00:00:01:0{number}",
        f"10.0.{number}.1/24",
        f"fd0{number}::1/64",
    )
    settings = {"address_mode": "slaac", "send_periodic": "true", "max_interval": "4", "min_interval": "3"}
    words = [f"ipv6_ra_configs:{name}={value}" for name, value in settings.items()]
    lab.nbctl("set", "logical_router_port", f"i{number}", *words)
    other = 3 - number
    lab.nbctl("--bfd", "lr-route-add", router, f"10.0.{other}.0/24", f"172.16.0.{other}", f"j{number}")


def _port(lab: Lab, router: str, name: str, switch: str, mac: str, *networks: str) -> None:
    lab.nbctl("lrp-add", router, name, mac, *networks)
    lab.nbctl("lsp-add", switch, f"s-{name}")
    lab.nbctl("lsp-set-type", f"s-{name}", "router")
    lab.nbctl("lsp-set-addresses", f"s-{name}", "router")
    lab.nbctl("lsp-set-options", f"s-{name}", f"router-port={name}")


def instance(lab: Lab, number: int, address: str, *, known: bool = True) -> Instance:
    """A machine on the network behind a router; one that is not known to the northbound has to be asked for."""
    name = f"vm{number}-{address}"
    mac = f"02:00:00:00:0{number + 1}:{int(address):02x}"
    lab.nbctl("lsp-add", f"in{number}", name)
    lab.nbctl("lsp-set-addresses", name, f"{mac} 10.0.{number}.{address}" if known else "unknown")
    made = lab.plug(name, host=f"h{number}", port_id=name, mac=mac)
    made.wait_installed()
    made.add_address(f"10.0.{number}.{address}/24")
    made.add_route("default", f"10.0.{number}.1")
    return made


def until(claim: str, holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, claim
        time.sleep(0.05)


def status(lab: Lab, port: str) -> str:
    return lab.sbctl("--bare", "--columns=status", "find", "bfd", f"logical_port={port}").strip()


def test_bfd_comes_up_with_the_other_controller(lab: Lab) -> None:
    watched(lab)


def watched(lab: Lab) -> None:
    """Both ends are up, and what northd makes of that is in the switches."""
    until("both ends are up", lambda: (status(lab, "j1"), status(lab, "j2")) == ("up", "up"))
    lab.sync()


def test_the_first_packet_waits_for_a_neighbour_that_has_to_be_asked_for(lab: Lab) -> None:
    instance(lab, 1, "9", known=False)
    sender = instance(lab, 2, "9")
    watched(lab)
    sender.wait_reaches("10.0.1.1")
    found = sender.run("ping", "-c", "1", "-W", "3", "10.0.1.9")
    assert " 0% packet loss" in found.stdout
    assert "arp: " in lab.ask("h1-controller", "ovine/services")


def test_an_instance_makes_its_address_of_an_advertisement_that_nobody_asked_for(lab: Lab) -> None:
    listener = instance(lab, 1, "7")
    until("an address of fd01::/64", lambda: any("fd01:" in each for each in listener.addresses))


def test_a_client_that_is_its_own_backend_gets_an_answer_from_the_virtual_address(lab: Lab) -> None:
    server = instance(lab, 1, "5")
    server.start("server", ["python3", "-c", SERVER])
    until("the server is there", lambda: "0.0.0.0:8080" in server.run("ss", "-ltn").stdout)
    server.run("ip", "route", "add", "10.0.1.100", "via", "10.0.1.1")
    assert server.run("python3", "-c", CLIENT.format("10.0.1.100")).stdout.strip() == "10.0.1.100"


def test_nothing_is_refused_and_the_switch_holds_what_it_should(lab: Lab) -> None:
    assert lab.ask("h1-controller", "ovine/failures") == ""
    assert lab.audit() == []


def test_bfd_notices_that_the_other_end_is_silent(lab: Lab) -> None:
    """Last, as the other host's controller is gone then."""
    lab.stop_controller(lab.spec.host("h2"), kill=True)
    until("our end is down", lambda: status(lab, "j1") == "down")
