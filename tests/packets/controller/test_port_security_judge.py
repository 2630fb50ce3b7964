"""Port security as a real switch carries it out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ovine.controller import tables as t
from ovine.controller.flows import FLOWS, as_flow
from ovine.controller.rules import failures
from ovine.openflow.text import flow_text
from support.controller_world import World
from support.dummy_switch import running_switch
from support.port_security_cases import Check, Judge, read

CHECKS = [*read("port_security.txt"), *read("port_security_ours.txt")]
SECURITIES = list(dict.fromkeys(check.security for check in CHECKS))


def world_with_ports() -> World:
    """A port for each port_security that occurs, with keys from 1, and one without any."""
    world = World()
    world.datapath("sw0", 1)
    for number, security in enumerate([*SECURITIES, ()], 1):
        world.port(f"p{number}", "sw0", number, port_security=security)
        world.interface(f"p{number}", 10 + number)
    world.engine.run()
    return world


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    engine = world_with_ports().engine
    flows = [as_flow(key, body) for key, body in engine.table(FLOWS).rows.items()]
    secured = (t.IN_PORT_SEC, t.IN_PORT_SEC_IP, t.IN_PORT_SEC_ND, t.OUT_PORT_SEC, t.OUT_PORT_SEC_IP)
    with running_switch() as switch:
        yield Judge(
            switch, [flow_text(flow) for flow in flows if flow.table in secured], (t.IN_PORT_SEC, t.OUT_PORT_SEC)
        )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.direction}-{check.number}")
def test_a_port_sends_and_gets_what_its_security_allows(judge: Judge, check: Check) -> None:
    port = SECURITIES.index(check.security) + 1
    assert judge.allows(1, port, check) == check.allowed, check


def test_a_port_without_security_may_do_anything(judge: Judge) -> None:
    assert all(judge.allows(1, len(SECURITIES) + 1, check) for check in CHECKS[:20])


def test_elements_that_cannot_be_read_are_shown_with_their_port() -> None:
    shown = [failure for failure in failures(world_with_ports().engine) if failure.rule.endswith("unreadable_elements")]
    assert len(shown) == sum(any("nonsense" in element for element in security) for security in SECURITIES)
    assert all("'nonsense' is no MAC address" in failure.error for failure in shown)
    assert sum("'10.0.0.999' is no IP address or prefix" in failure.error for failure in shown) == 1
