"""What a lab starts, `down` ends, whoever calls it and however far the start came."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ovine.lab import Lab, LabError, netns
from ovine.lab.processes import Process, inside_namespaces
from ovine.lab.waiting import wait_for

pytestmark = pytest.mark.usefixtures("lab_machine")
OVINE = [sys.executable, "-m", "ovine.cli.main"]
BARE = ["--hosts", "1", "--northd", "c", "--controller", "c", "--no-api"]


@pytest.fixture
def name() -> str:
    return f"lab-{secrets.token_hex(3)}"


def left_of(directory: Path, name: str, processes: list[Process]) -> list[str]:
    """What is still there of a lab."""
    namespaces = [path.name for path in netns.NAMESPACES.glob(f"{name}-*")]
    etc = [str(path) for path in netns.ETC_NETNS.glob(f"{name}-*")]
    return [p.name for p in processes if p.alive] + namespaces + etc + ([str(directory)] if directory.exists() else [])


def test_down_leaves_no_process_namespace_or_directory(name: str) -> None:
    lab = Lab(name=name, northd="c", controllers=["c"], api=False)
    with lab:
        instance = lab.plug("vm1", host="h1", port_id="p1", mac="02:00:00:00:00:01")
        instance.start("sleeper", ["sleep", "1000"])
        processes = lab.processes.recorded()
        assert {"nb-db", "sb-db", "northd", "h1-ovsdb", "h1-vswitchd", "h1-controller", "vm1-sleeper"} == {
            process.name for process in processes if process.alive
        }
    assert left_of(lab.spec.directory, name, processes) == []
    lab.down()


def test_a_start_that_fails_half_way_leaves_nothing(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("ovs-vswitchd",):
        broken = tmp_path / program
        broken.write_text("#!/bin/sh\necho cannot work today\nexit 3\n")
        broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    lab = Lab(name=name, northd="c", controllers=["c"], api=False)
    with pytest.raises(LabError, match="h1-vswitchd ended with status 3") as failure:
        lab.up()
    assert "cannot work today" in failure.value.details
    assert left_of(lab.spec.directory, name, []) == []


def test_a_lab_whose_starter_was_killed_can_be_ended_from_another_process(name: str) -> None:
    starter = subprocess.Popen(
        [*OVINE, "lab", "up", "--name", name, *BARE],
        stderr=subprocess.DEVNULL,
        # Whoever runs the tests in the background of a shell ignores Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    lab = Lab(name=name, northd="c", controllers=["c"], api=False)
    wait_for(lambda: any(p.name == "h1-ovsdb" for p in lab.processes.recorded()), "the first process", 30)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    processes = lab.processes.recorded()
    assert any(process.alive for process in processes)
    subprocess.run([*OVINE, "lab", "down", "--name", name], check=True, stdout=subprocess.DEVNULL)
    assert left_of(lab.spec.directory, name, processes) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_start_cleans_up(name: str, number: signal.Signals) -> None:
    starter = subprocess.Popen([*OVINE, "lab", "up", "--name", name, *BARE], stderr=subprocess.DEVNULL)
    lab = Lab(name=name, northd="c", controllers=["c"], api=False)
    wait_for(lambda: any(p.name == "h1-ovsdb" for p in lab.processes.recorded()), "the first process", 30)
    starter.send_signal(number)
    assert starter.wait(timeout=60) == 130
    assert left_of(lab.spec.directory, name, []) == []


def test_two_labs_run_beside_each_other_and_end_apart(name: str) -> None:
    with (
        Lab(name=name, northd="c", controllers=["c"], api=False) as one,
        Lab(northd="c", controllers=["c"], api=False) as other,
    ):
        one.down()
        assert all(process.alive for process in other.processes.recorded())
        other.nbctl("ls-add", "still-served")
        assert inside_namespaces([f"{name}-h1"]) == []


def test_a_second_lab_of_the_same_name_is_refused_and_the_first_goes_on(name: str) -> None:
    with Lab(name=name, northd="c", controllers=["c"], api=False) as lab:
        with pytest.raises(LabError, match=f"lab {name} is up already"):
            Lab(name=name, northd="c", controllers=["c"], api=False).up()
        assert all(process.alive for process in lab.processes.recorded())
