"""The command line on a running lab, as a user types it."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovine.lab import Lab

Ovine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ovine(labs: Path) -> Ovine:
    environment = {**os.environ, "OVINE_LAB_DIR": str(labs), "COLUMNS": "200"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ovine.cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)

    return run


@pytest.fixture(scope="module")
def lab(labs: Path, ovine: Ovine) -> Iterator[Lab]:
    name = f"lab-{secrets.token_hex(3)}"
    done = ovine("lab", "up", "--name", name, "--hosts", "2", "--controller", "ovine", "--controller", "c")
    assert done.returncode == 0, done.stderr
    lab = Lab.open(labs / name)
    try:
        network = lab.cloud.post("networks", {"network": {"name": "net1"}})["network"]
        lab.cloud.post("subnets", {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}})
        yield lab
        assert lab.audit() == []
    finally:
        assert ovine("lab", "down").returncode == 0
        assert not list(labs.glob("*"))


@pytest.fixture(scope="module")
def pair(lab: Lab, ovine: Ovine) -> None:
    for number in (1, 2):
        words = ("--network", "net1", "--host", f"h{number}", "--address", f"10.0.0.1{number}")
        done = ovine("boot", f"vm{number}", *words)
        assert done.returncode == 0, done.stderr
        assert f"vm{number} is up on h{number}: 10.0.0.1{number}/24" in done.stdout


@pytest.mark.usefixtures("pair")
class TestWithTwoInstances:
    def test_ping_takes_an_instances_name_or_an_address(self, ovine: Ovine) -> None:
        assert "1 received" in ovine("ping", "vm1", "vm2", "--count", "1").stdout
        assert ovine("ping", "vm1", "10.0.0.99", "-c", "1").returncode == 1

    def test_exec_passes_words_output_and_status_on(self, ovine: Ovine) -> None:
        done = ovine("exec", "vm1", "--", "sh", "-c", "echo $0 $1; exit 7", "a b", "--lab")
        assert (done.returncode, done.stdout) == (7, "a b --lab\n")
        assert "10.0.0.11/24" in ovine("exec", "vm1", "ip", "addr").stdout

    def test_status_shows_hosts_ports_versions_and_progress(self, lab: Lab, ovine: Ovine) -> None:
        lab.sync()
        done = ovine("status")
        assert done.returncode == 0, done.stdout
        for part in (
            "h1",
            "h2",
            "ovn-controller 23.03",
            "3.1",
            "1/1",
            "failing rules: none",
        ):
            assert part in done.stdout
        said = re.search(r"nb_cfg (\d+), in the southbound (\d+), on all hosts (\d+)", done.stdout)
        assert said is not None, done.stdout
        wanted, passed_on, reached = map(int, said.groups())
        assert wanted >= max(passed_on, reached) and min(passed_on, reached) >= 1  # the plugin asks again and again

    def test_list_shows_the_lab(self, lab: Lab, ovine: Ovine) -> None:
        assert ovine("lab", "list").stdout == f"{lab.spec.name}  hosts 2  instances 2  running\n"

    def test_a_name_that_is_taken_is_refused_and_makes_no_port(self, lab: Lab, ovine: Ovine) -> None:
        before = len(lab.cloud.get("ports")["ports"])
        done = ovine("boot", "vm1", "--network", "net1", "--host", "h1")
        assert (done.returncode, done.stderr) == (1, "ovine: instance vm1 exists already: choose another name\n")
        assert len(lab.cloud.get("ports")["ports"]) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--network", "net9", "--host", "h1"], "no network net9: there are net1"),
        (["--network", "net1", "--host", "h9"], "has h1, h2"),
        (["--network", "net1", "--host", "h1", "--project", "nobody"], "no project nobody: there are admin, blue, red"),
        (["--network", "net1", "--host", "h1", "--address", "192.0.2.1"], "192.0.2.1 is not a valid IP"),
    ],
    ids=["network", "host", "project", "address"],
)
def test_what_cannot_be_booted_is_told_in_one_line(lab: Lab, ovine: Ovine, words: list[str], said: str) -> None:
    done = ovine("boot", "vm9", *words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr


def test_an_instance_of_one_project_boots_on_a_network_that_another_shares(lab: Lab, ovine: Ovine) -> None:
    network = lab.cloud.post("networks", {"network": {"name": "common", "shared": True}})["network"]
    assert ovine("boot", "guest", "--network", "common", "--host", "h1", "--project", "red").returncode == 0
    port = lab.cloud.get(f"ports/{lab.store.instance('guest').port_id}")["port"]
    assert (port["project_id"], port["network_id"]) == (lab.cloud.project_id("red"), network["id"])
    assert ovine("delete", "guest").returncode == 0


def test_delete_ends_the_instance_and_its_port(lab: Lab, ovine: Ovine) -> None:
    assert ovine("boot", "short", "--network", "net1", "--host", "h1").returncode == 0
    port = lab.store.instance("short").port_id
    assert ovine("delete", "short").stdout == "short is gone\n"
    assert lab.cloud.send("GET", f"ports/{port}").status_code == 404
    assert "no instance short" in ovine("exec", "short", "true").stderr


def test_a_process_that_ended_is_told_by_status_and_list(lab: Lab, ovine: Ovine) -> None:
    host = lab.spec.hosts[1]
    lab.stop_controller(host, kill=True)
    shown = ovine("status")
    assert shown.returncode == 1
    assert [line for line in shown.stdout.splitlines() if "h2-controller" in line] == ["h2-controller has ended"]
    assert "ended: h2-controller" in ovine("lab", "list").stdout
    lab.start_controller(host)
    assert ovine("status").returncode == 0
