"""The cases of port security, judged by the flows of Debian's controller: what they say is what is expected there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ovine.lab import Lab
from support.dummy_switch import running_switch
from support.port_security_cases import Check, Judge, read

CHECKS = read("port_security.txt")
SECURITIES = list(dict.fromkeys(check.security for check in CHECKS))
INGRESS, EGRESS = 73, 75
"""Debian's tables; 74 is asked by 73."""


@pytest.fixture(scope="module")
def flows(lab_machine: None) -> list[str]:
    """Those of a host with one port for each port_security that occurs, keys from 1."""
    with Lab(northd="c", controllers=("c",), api=False) as lab:
        lab.nbctl("ls-add", "sw")
        for number, security in enumerate(SECURITIES, 1):
            name = f"p{number}"
            lab.nbctl("lsp-add", "sw", name, "--", "lsp-set-port-security", name, *security)
            lab.nbctl("set", "Logical_Switch_Port", name, f"options:requested-tnl-key={number}")
        for number in range(1, len(SECURITIES) + 1):
            lab.plug(f"p{number}", host="h1", port_id=f"p{number}", mac=f"02:00:00:00:01:{number:02x}").wait_installed()
        lab.sync()
        found = lab.flows(lab.spec.hosts[0])
    wanted = re.compile(r"table=7[345]\b")
    return [re.sub(r"cookie=\w+, *", "", flow).strip() for flow in found if wanted.search(flow)]


@pytest.fixture(scope="module")
def judge(flows: list[str]) -> Iterator[Judge]:
    assert flows
    with running_switch() as switch:
        yield Judge(switch, flows, (INGRESS, EGRESS))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.direction}-{check.number}")
def test_their_controller_judges_as_written(judge: Judge, check: Check) -> None:
    port = SECURITIES.index(check.security) + 1
    assert judge.allows(1, port, check) == check.allowed_by_theirs, check
