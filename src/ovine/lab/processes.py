"""The processes of a lab: started, recorded, awaited and ended.

Each process writes itself into the lab's journal (`processes`: pid, start time, name) *before* it becomes the
program: a small shell does that and then execs. So there is no moment at which a process runs but is not recorded,
even if the starter is killed. Pid and start time together name a process for good: a pid that was given to somebody
else in the meantime has another start time and is left alone.

Invariants: only recorded processes, and those inside the lab's own network namespaces, are ever signalled. A process
outlives its starter (own session, no terminal). Tests: tests/unit/lab/test_processes.py.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ovine.lab.errors import LabError
from ovine.lab.waiting import wait_for

# Field 22 of /proc/PID/stat is the start time, in clock ticks since boot (proc(5)); the shell's name has no blanks.
_RECORD_AND_EXEC = (
    'journal=$1 name=$2; shift 2; read -r line < /proc/$$/stat; start=$(set -- $line; echo "${22}"); '
    'echo "$$ $start $name" >> "$journal"; exec "$@"'
)
TAIL_LINES = 15
RECORD_TIMEOUT = 20.0


@dataclass(frozen=True)
class Process:
    """A process by its name in the lab, its pid, and its start time in clock ticks since boot."""

    name: str
    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return _start_time(self.pid) == self.started


class Processes:
    """The processes of the lab in `directory`; reads the same journal from whichever process it is used in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = directory / "processes"
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
        output: Path | None = None,
    ) -> Process:
        """Starts `argv`, in the network namespace `netns` if given; its output goes to `output` (or NAME.out).

        `ip netns exec` is used to enter, since it also gives the namespace its own /sys and /etc/netns files.
        """
        enter = ["ip", "netns", "exec", netns] if netns else []
        command = ["/bin/sh", "-c", _RECORD_AND_EXEC, "sh", str(self.journal), name, *enter, *argv]
        with (output or self.output(name)).open("ab") as sink:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                cwd="/",
            )
        self._children[child.pid] = child
        started = _start_time(child.pid)
        process = Process(name, child.pid, -1 if started is None else started)
        wait_for(lambda: not process.alive or process in self.recorded(), f"the record of {name}", RECORD_TIMEOUT)
        return process

    def output(self, name: str) -> Path:
        return self.directory / "log" / f"{name}.out"

    def recorded(self) -> list[Process]:
        """All processes of the journal, oldest first, dead or alive."""
        found = []
        for line in _lines(self.journal):
            fields = line.split(" ", 2)
            if len(fields) == 3 and fields[0].isdigit() and fields[1].isdigit():
                found.append(Process(fields[2], int(fields[0]), int(fields[1])))
        return found

    def find(self, name: str) -> Process | None:
        """The latest living process called `name`."""
        return next((process for process in reversed(self.recorded()) if process.name == name and process.alive), None)

    def must_run(self, process: Process) -> None:
        """Raises LabError, with the end of its log, if the process has ended."""
        child = self._children.get(process.pid)
        status = child.poll() if child else None
        if status is None and process.alive:
            return
        how = f"ended with status {status}" if status is not None else "is not running"
        raise LabError(f"{process.name} {how}; its log is {self.log(process.name)}", self.tail(process.name))

    def log(self, name: str) -> Path:
        """Where to read what became of a process: its log file, or its output where it has none."""
        log = self.directory / "log" / f"{name}.log"
        return log if log.exists() and log.stat().st_size else self.output(name)

    def tail(self, name: str, lines: int = TAIL_LINES) -> str:
        """The last lines of a process's log and of its output."""
        parts = []
        for suffix in ("log", "out"):
            text = _lines(self.directory / "log" / f"{name}.{suffix}")
            if text:
                parts.append("\n".join([f"--- {name}.{suffix}", *text[-lines:]]))
        return "\n".join(parts)

    def signal(self, process: Process, number: signal.Signals) -> None:
        """Signals a process if it is still the one that was recorded."""
        if process.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def end(self, processes: Iterable[Process], grace: float = 3.0) -> None:
        """Ends processes: SIGTERM to all, SIGKILL to those that are left after `grace` seconds. Waits for the end."""
        left = [process for process in processes if process.alive]
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            for process in left:
                self.signal(process, number)
                self.signal(process, signal.SIGCONT)
            wait_until_gone(left, patience)
            left = [process for process in left if process.alive]
        for child in list(self._children.values()):
            child.poll()
        if left:
            raise LabError("could not end " + ", ".join(f"{p.name} (pid {p.pid})" for p in left))


def inside_namespaces(names: Iterable[str]) -> list[Process]:
    """The processes that run inside the named network namespaces, except this one and its ancestors."""
    inodes = set()
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            inodes.add(Path("/run/netns", name).stat().st_ino)
    found = []
    spare = _self_and_ancestors()
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        try:
            inside = pid not in spare and Path(f"/proc/{pid}/ns/net").stat().st_ino in inodes
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        started = _start_time(pid) if inside else None
        if started is not None:
            found.append(Process(f"pid {pid}", pid, started))
    return found


def wait_until_gone(processes: Iterable[Process], timeout: float) -> None:
    """Returns when all have ended, or after `timeout` seconds. They need not be children of this process."""
    deadline = time.monotonic() + timeout
    for process in processes:
        if not process.alive:
            continue
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            if process.alive:
                select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(descriptor)


def _start_time(pid: int) -> int | None:
    """A process's start time in clock ticks since boot; None if it has ended (a zombie has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold blanks and parentheses; the state is the first field after it.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _self_and_ancestors() -> set[int]:
    found, pid = set(), os.getpid()
    while pid > 0:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            break
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
