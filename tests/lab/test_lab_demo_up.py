"""`ovine lab up --demo`: the demo's cloud stays up to play with."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from ovine.lab import Lab

pytestmark = pytest.mark.timeout(300)


def ovine(labs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OVINE_LAB_DIR": str(labs), "COLUMNS": "200"}
    command = [sys.executable, "-m", "ovine.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)


def test_a_lab_with_the_demos_cloud_is_there_to_play_with(lab_machine: None, labs: Path) -> None:
    name = f"lab-{secrets.token_hex(3)}"
    up = ovine(labs, "lab", "up", "--name", name, "--demo")
    try:
        assert up.returncode == 0, up.stderr
        assert "red1 has the floating IP 203.0.113." in up.stdout
        floating_ip = up.stdout.partition("the floating IP ")[2].split(".\n")[0]
        assert ovine(labs, "ping", "red1", "db1", "--count", "2").returncode == 0
        assert ovine(labs, "exec", "db1", "--", "ping", "-c", "2", "203.0.113.1").returncode == 0
        assert "10.0.0.12" in ovine(labs, "exec", "red1", "--", "getent", "hosts", "red2.openstacklocal").stdout
        assert ovine(labs, "exec", "internet", "--", "ping", "-c", "1", "-W", "1", floating_ip).returncode == 1
        assert Lab.open(labs / name).audit() == []
    finally:
        assert ovine(labs, "lab", "down", "--name", name).returncode == 0


def test_a_lab_too_small_for_the_demos_cloud_is_refused(lab_machine: None, labs: Path) -> None:
    refused = ovine(labs, "lab", "up", "--demo", "--hosts", "2")
    assert (refused.returncode, refused.stderr) == (1, "ovine: --demo needs the API and 3 hosts\n")
