"""Our daemons as real processes for tests: each with a run directory of its own, ended when the `with` block ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ovine.daemons.appctl import appctl
from support.ovsdb import DEADLINE, wait_until


@dataclass
class Daemon:
    """A running daemon; `name` is the module below `ovine.daemons`."""

    name: str
    directory: Path
    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    @property
    def program(self) -> str:
        return f"ovine-{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        here = str(self.directory)
        return os.environ | {"OVN_RUNDIR": here, "OVN_LOGDIR": here, "OVS_RUNDIR": here, "OVN_SYSCONFDIR": here}

    @property
    def control(self) -> Path:
        assert self.process is not None
        return self.directory / f"{self.program}.{self.process.pid}.ctl"

    def start(self) -> None:
        """Starts the daemon and returns when its control socket answers."""
        command = [sys.executable, "-m", f"ovine.daemons.{self.name}", *self.arguments, "-vconsole:warn"]
        with (self.directory / "stderr").open("ab") as stderr:
            self.process = subprocess.Popen(
                command, env=self.environment | {"OVN_PROGRAM": self.program}, stdout=stderr, stderr=stderr
            )
        process = self.process

        def up() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{self.program} ended: {self.messages()[-2000:]}")
            return self.control.exists()

        wait_until(up, f"{self.program} listens")

    def messages(self) -> str:
        """What it printed: warnings and errors."""
        said = self.directory / "stderr"
        return said.read_text() if said.exists() else ""

    def command(self, *words: str) -> str:
        """Sends a control command and returns its answer."""
        return appctl(str(self.control), *words)

    def failures(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.command("ovine/failures").splitlines()]

    def stop(self, signum: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signum)
            self.process.wait(DEADLINE)


@contextlib.contextmanager
def run_daemon(name: str, directory: Path, *arguments: str) -> Iterator[Daemon]:
    """Runs `python -m ovine.daemons.NAME ARGUMENTS` in its own directory."""
    directory.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(name, directory, arguments)
    try:
        daemon.start()
        yield daemon
        if daemon.process is not None and daemon.process.poll() is None:
            assert daemon.command("ovine/audit") == ""
    finally:
        daemon.stop(signal.SIGKILL)
