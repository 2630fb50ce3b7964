"""A controller that ends and comes back loses nobody's packets."""

from __future__ import annotations

import pytest

from ovine.lab import Instance, Lab


@pytest.fixture(scope="module")
def lab(cloud_lab: Lab) -> Lab:
    return cloud_lab


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
