"""A controller that ends and comes back loses nobody's packets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ovine.lab import Instance, Lab


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="ovine", controllers=["ovine", "ovine"]) as lab:
        yield lab
        assert lab.audit() == []


@pytest.fixture(scope="module")
def pair(lab: Lab) -> tuple[Instance, Instance]:
    """Two instances of one network on two hosts."""
    network = lab.cloud.post("networks", {"network": {"name": "net1"}})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24", "enable_dhcp": False}
    lab.cloud.post("subnets", {"subnet": subnet})
    instances = [
        lab.boot(f"vm{number}", network="net1", host=f"h{number}", address=f"10.0.0.1{number}") for number in (1, 2)
    ]
    instances[0].wait_reaches("10.0.0.12")
    return instances[0], instances[1]


@pytest.mark.parametrize("kill", [False, True], ids=["exit --restart", "kill -9"])
@pytest.mark.parametrize("number", [0, 1], ids=["sender's host", "receiver's host"])
def test_a_restarted_controller_loses_no_packet_of_a_running_ping(
    lab: Lab, pair: tuple[Instance, Instance], number: int, kill: bool
) -> None:
    host = lab.spec.hosts[number]
    pinging = pair[0].ping_in_background("10.0.0.12", interval=0.01)
    lab.stop_controller(host, kill=kill)
    lab.start_controller(host)
    lab.sync()
    outcome = pinging.stop()
    assert outcome.sent > 10
    assert outcome.received == outcome.sent, outcome.output


def test_a_recompute_leaves_every_flow_as_it_is(lab: Lab, pair: tuple[Instance, Instance]) -> None:
    for host in lab.spec.hosts:
        before = lab.flows(host)
        lab.ask(f"{host.name}-controller", "recompute")
        lab.sync()
        assert lab.flows(host) == before
