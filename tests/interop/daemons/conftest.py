"""The demo daemon as a program of its own name in its own directories."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("demo_daemon.py")
DEADLINE = 30.0


@dataclass
class Demo:
    """A directory with an executable PROGRAM that is the demo daemon, and means to drive it."""

    directory: Path
    program: str = "demod"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("run", "log", "bin"):
            (self.directory / name).mkdir(exist_ok=True)
        self.executable = self.directory / "bin" / self.program
        self.executable.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(SCRIPT.parent)!r})\n"
            "from demo_daemon import main\nsys.exit(main(sys.argv[1:], sys.argv[0]))\n"
        )
        self.executable.chmod(0o755)
        self.environment = {
            **os.environ,
            "OVN_RUNDIR": str(self.run),
            "OVS_RUNDIR": str(self.run),
            "OVN_LOGDIR": str(self.directory / "log"),
            "PATH": f"{self.executable.parent}:{os.environ['PATH']}",
            **self.environment,
        }

    @property
    def run(self) -> Path:
        return self.directory / "run"

    @property
    def pidfile(self) -> Path:
        return self.run / f"{self.program}.pid"

    @property
    def log(self) -> str:
        return (self.directory / "log" / f"{self.program}.log").read_text()

    def call(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the program to its end, or to the end of its detaching."""
        return subprocess.run(
            [self.executable, *words], env=self.environment, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE
        )

    def start(self, *words: str, cwd: Path | None = None) -> int:
        """Start it in the background with pidfile and log; its process id."""
        done = self.call("--detach", "--pidfile", "--log-file", "-vsyslog:off", *words, cwd=cwd)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return self.pid()

    def pid(self) -> int:
        return int(self.pidfile.read_text())

    def appctl(self, *words: str, tool: str = "ovs-appctl", target: str = "") -> subprocess.CompletedProcess[str]:
        """Debian's ovs-appctl or ovn-appctl on the daemon."""
        return subprocess.run(
            [tool, "-t", target or self.program, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    def ask(self, *words: str) -> str:
        """The answer of a control command that must succeed."""
        done = self.appctl(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self) -> list[int]:
        """The living processes that run in this directory: known by their environment."""
        mark = f"OVN_RUNDIR={self.run}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found


@pytest.fixture
def make_demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Makes demo daemons; whatever runs in their directories is killed afterwards."""
    made: list[Demo] = []

    def make(program: str = "demod", **environment: str) -> Demo:
        made.append(Demo(tmp_path, program, dict(environment)))
        return made[-1]

    yield make
    for demo in made:
        for pid in demo.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def demo(make_demo: Callable[..., Demo]) -> Demo:
    """One demo daemon, not yet started."""
    return make_demo()
