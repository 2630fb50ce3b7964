"""Hosts change from OVN's controller to ours, and from one encapsulation to another, under traffic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from ovine.lab import Instance, Lab
from support.ovsdb import wait_until


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


@pytest.fixture
def lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="c", controllers=("c", "c"), api=False) as made:
        yield made


@pytest.fixture
def pair(lab: Lab) -> tuple[Instance, Instance]:
    """Two instances of one network on two hosts, with addresses."""
    lab.nbctl("ls-add", "sw")
    instances = []
    for number in (1, 2):
        name, address = f"p{number}", f"{mac(number)} 10.0.0.{number}"
        lab.nbctl("lsp-add", "sw", name, "--", "lsp-set-addresses", name, address)
        lab.nbctl("lsp-set-port-security", name, address)
        instance = lab.plug(f"vm{number}", host=f"h{number}", port_id=name, mac=mac(number))
        instance.wait_installed()
        instance.run("ip", "address", "add", f"10.0.0.{number}/24", "dev", instance.interface)
        instances.append(instance)
    lab.sync()
    instances[0].wait_reaches("10.0.0.2")
    return instances[0], instances[1]


def tunnel(lab: Lab, host: str) -> str:
    """The OpenFlow port of a host's tunnel to the other one."""
    other = {"h1": "h2", "h2": "h1"}[host]
    return lab.vsctl(host, "get", "interface", f"ovn-{other}-0", "ofport")


def in_charge(lab: Lab, host: str) -> bool:
    """Whether our controller has replaced what it found in the switch, as it found ports of its own."""
    lines = lab.ask(f"{host}-controller", "ovine/switch").splitlines()
    status = dict(line.split(": ", 1) for line in lines if ": " in line)
    return int(status.get("sent", "0")) > 100 and status["pending"] == "0"


def test_taking_over_from_ovn_controller_loses_no_packet_and_keeps_ports(
    lab: Lab, pair: tuple[Instance, Instance]
) -> None:
    """Host by host, so that in between one runs OVN's controller and the other ours; then over VXLAN instead."""
    tunnels = {host.name: tunnel(lab, host.name) for host in lab.spec.hosts}
    zones = lab.vsctl("h1", "get", "bridge", "br-int", "external_ids:ct-zone-p1")
    pinging = pair[0].ping_in_background("10.0.0.2", interval=0.01)
    for host in lab.spec.hosts:
        lab.stop_controller(host, kill=True)
        lab.start_controller(dataclasses.replace(host, controller="ovine"))
        wait_until(lambda host=host: in_charge(lab, host.name), f"our flows are in the switch of {host.name}")
    outcome = pinging.stop()
    assert outcome.sent > 20 and outcome.received == outcome.sent, outcome.output
    for host in lab.spec.hosts:
        controller = f"{host.name}-controller"
        assert lab.ask(controller, "ovine/audit") == lab.ask(controller, "ovine/failures") == ""
        assert tunnel(lab, host.name) == tunnels[host.name]
    assert lab.vsctl("h1", "get", "bridge", "br-int", "external_ids:ct-zone-p1") == zones

    for host in lab.spec.hosts:
        lab.vsctl(host.name, "set", "open", ".", "external-ids:ovn-encap-type=vxlan")
    wait_until(
        lambda: lab.sbctl("--bare", "--columns=type", "list", "encap").split() == ["vxlan", "vxlan"], "VXLAN only"
    )
    pair[0].wait_reaches("10.0.0.2")
    assert pair[0].ping("10.0.0.2", count=3).all
