"""The demonstration is a test: it must find everything as expected, and leave nothing behind however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ovine.lab import netns
from ovine.lab.waiting import wait_for

pytestmark = [pytest.mark.usefixtures("lab_machine"), pytest.mark.timeout(300)]
DEMO = [sys.executable, "-m", "ovine.cli.main", "demo"]


def with_usual_signals() -> None:
    """Whoever runs the tests in the background of a shell ignores Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(labs: Path, output: Path, *options: str) -> subprocess.Popen[bytes]:
    with output.open("wb") as sink:
        return subprocess.Popen(
            [*DEMO, *options],
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OVINE_LAB_DIR": str(labs)},
            start_new_session=True,
            preexec_fn=with_usual_signals,
        )


def test_the_demo_finds_everything_as_expected_and_leaves_nothing(labs: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    status = start(labs, output).wait(timeout=280)
    text = output.read_text()
    assert status == 0, text
    assert "all as expected" in text and "NOT OK" not in text
    assert not list(labs.glob("*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_demo_cleans_up(labs: Path, tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "output"
    demo = start(labs, output)
    try:
        wait_for(lambda: "five instances" in output.read_text() or demo.poll() is not None, "the instances", 120)
        name = next(path.name for path in labs.glob("*"))
        demo.send_signal(number)
        assert demo.wait(timeout=60) == 130, output.read_text()
    finally:
        demo.kill()
    assert not list(labs.glob("*"))
    assert not list(netns.NAMESPACES.glob(f"{name}-*"))
