"""Daemons that benches start one by one, ours and Debian's, and what they take of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.daemons import run_daemon


@contextmanager
def c_daemon(program: str, directory: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon of OVN's, with its files in this directory."""
    directory.mkdir(parents=True, exist_ok=True)
    here = str(directory)
    environment = os.environ | {"OVN_RUNDIR": here, "OVN_LOGDIR": here, "OVS_RUNDIR": here, "OVN_SYSCONFDIR": here}
    options = ["-vconsole:off", f"--log-file={here}/{program}.log"]
    process = subprocess.Popen([program, *arguments, *options], env=environment, cwd=directory)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def our_daemon(name: str, directory: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon of ours; the bench ends if it refused something."""
    with run_daemon(name, directory, *arguments) as daemon:
        assert daemon.process is not None
        yield daemon.process
        if daemon.failures():
            raise SystemExit(f"{name}: {daemon.failures()[0]['error']}")


def northd(stack: str, directory: Path, *arguments: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The northd of a stack."""
    if stack == "ovine":
        return our_daemon("northd", directory, *arguments)
    return c_daemon("ovn-northd", directory, *arguments)


def controller(stack: str, directory: Path, *arguments: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The controller of a stack."""
    if stack == "ovine":
        return our_daemon("controller", directory, *arguments)
    return c_daemon("ovn-controller", directory, *arguments)


def peak_mib(pid: int) -> float:
    """The most memory that a process has held so far, in MiB (proc(5), VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads; the kernel counts it in steps of 10 ms (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exact_cpu_seconds(pid: int) -> float:
    """CPU time of the threads that a process has now, to the nanosecond (proc(5), schedstat)."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def busy_seconds() -> float:
    """CPU time of the whole machine so far that was not idle (proc(5), stat)."""
    user, nice, system, _idle, _wait, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
