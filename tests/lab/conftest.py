"""Labs that tests share. `lab_machine`, in the conftest above, tells whether this machine can run them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovine.lab import Instance, Lab


@pytest.fixture(scope="module")
def c_lab(lab_machine: None) -> Iterator[Lab]:
    """Two hosts with Debian's northd and controllers, and no API."""
    with Lab(northd="c", controllers=["c", "c"], api=False) as lab:
        yield lab


@pytest.fixture(scope="module")
def labs(lab_machine: None) -> Iterator[Path]:
    """A directory for labs that are started as commands, so that what they leave can be told from other labs."""
    directory = Path("/run") / f"ovine-{secrets.token_hex(4)}"
    directory.mkdir()
    yield directory
    directory.rmdir()


@pytest.fixture(scope="module")
def cloud_lab(lab_machine: None) -> Iterator[Lab]:
    """Two hosts with all daemons of ours."""
    with Lab(northd="ovine", controllers=["ovine", "ovine"]) as lab:
        yield lab


@pytest.fixture(scope="module")
def pair(cloud_lab: Lab) -> tuple[Instance, Instance]:
    """Two instances of one network on the two hosts, 10.0.0.11 and 10.0.0.12, both in the default group."""
    network = cloud_lab.cloud.post("networks", {"network": {"name": "net1"}})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24", "enable_dhcp": False}
    cloud_lab.cloud.post("subnets", {"subnet": subnet})
    one, two = (
        cloud_lab.boot(f"vm{number}", network="net1", host=f"h{number}", address=f"10.0.0.1{number}")
        for number in (1, 2)
    )
    one.wait_reaches("10.0.0.12")
    return one, two
