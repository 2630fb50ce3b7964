"""A real ovs-vswitchd of its own, with the userspace dummy datapath."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Switch:
    """A running switch with bridge br0 and ports p1…p3 (OpenFlow ports 1…3)."""

    directory: Path
    environment: dict[str, str]

    @property
    def target(self) -> str:
        """Where br0 speaks OpenFlow."""
        return f"unix:{self.directory}/br0.mgmt"

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def ofctl(self, *words: str) -> str:
        return self.run("ovs-ofctl", "-O", "OpenFlow15", words[0], self.target, *words[1:])

    def appctl(self, *words: str) -> str:
        return self.run("ovs-appctl", "-t", f"{self.directory}/vswitchd.ctl", *words)

    def vsctl(self, *words: str) -> str:
        return self.run("ovs-vsctl", f"--db=unix:{self.directory}/db.sock", *words)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{process.args!r} did not create {path}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running_switch() -> Iterator[Switch]:
    """Starts a switch, and ends it in all cases."""
    # Unix socket paths end at 108 characters: a directory of our own, short, instead of tmp_path.
    directory = Path(tempfile.mkdtemp(prefix="ofsw-"))
    environment = dict(os.environ) | {
        name: str(directory) for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
    }
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        with (directory / f"{command[0]}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        processes.append(process)
        return process

    try:
        schema = "/usr/share/openvswitch/vswitch.ovsschema"
        subprocess.run(["ovsdb-tool", "create", directory / "conf.db", schema], check=True, env=environment)
        database = start(
            "ovsdb-server",
            str(directory / "conf.db"),
            f"--remote=punix:{directory}/db.sock",
            f"--unixctl={directory}/ovsdb.ctl",
        )
        _wait_for(directory / "db.sock", database)
        made = Switch(directory, environment)
        made.vsctl("--no-wait", "init")
        vswitchd = start(
            "ovs-vswitchd",
            f"unix:{directory}/db.sock",
            "--enable-dummy=override",
            "--disable-system",
            "--disable-system-route",
            f"--unixctl={directory}/vswitchd.ctl",
        )
        _wait_for(directory / "vswitchd.ctl", vswitchd)
        made.vsctl("--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail-mode=secure")
        for number in (1, 2, 3):
            name = f"p{number}"
            made.vsctl(
                "add-port", "br0", name, "--", "set", "interface", name, "type=dummy", f"ofport_request={number}"
            )
        yield made
    finally:
        for process in reversed(processes):
            _stop(process)
        shutil.rmtree(directory, ignore_errors=True)
