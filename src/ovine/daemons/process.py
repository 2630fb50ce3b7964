"""Becoming a daemon: --detach and --monitor, by forks made before any event loop, thread or large import exists.

With --detach there are: the parent, which waits for word from the daemon and returns; a session leader, which goes away
or, with --monitor, stays to start the daemon again whenever it dies of a signal that means a bug; and the daemon. Word
travels through pipes: one byte means ready, an end of file means that the daemon failed and has said why on standard
error.
Tests: tests/interop/daemons/test_daemon_process.py.
"""

import contextlib
import logging
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

# Signals that mean a programming error (ovn-northd(8), --monitor); death of any other kind is taken as wanted.
ERROR_SIGNALS = frozenset(
    getattr(signal, f"SIG{name}") for name in ("ABRT", "ALRM", "BUS", "FPE", "ILL", "PIPE", "SEGV", "XCPU", "XFSZ")
)
RESTART_INTERVAL = 10.0
_log = logging.getLogger("ovine.daemon")


@dataclass(frozen=True)
class Startup:
    """What a process that was just forked still owes: leaving the terminal, and word to whoever waits for it."""

    detached: bool = False
    chdir: bool = False
    monitored: bool = False
    report: int | None = None

    def ready(self) -> None:
        """Leave terminal and directory as far as asked, then tell that the daemon is ready.  Once for each process."""
        if self.detached:
            leave_terminal()
        if self.chdir:
            os.chdir("/")
        if self.report is not None:
            os.write(self.report, b"\0")
            os.close(self.report)


def start(*, detach: bool, monitor: bool, chdir: bool) -> Startup | int:
    """Fork as asked.  Returns a Startup in the process that is to be the daemon, an exit status in its caller."""
    if not detach:
        return _monitor(Startup()) if monitor else Startup()
    reading, writing = os.pipe()
    _flush()
    leader = os.fork()
    if leader:
        os.close(writing)
        ready = _hears(reading)
        if not monitor:
            os.waitpid(leader, 0)
        return 0 if ready else 1
    os.close(reading)
    os.setsid()
    startup = Startup(detached=True, chdir=chdir, report=writing)
    if monitor:
        return _monitor(startup)
    if os.fork():
        os._exit(0)
    return startup


def _monitor(own: Startup) -> Startup:
    """Be the monitor: start the daemon, and start it again after crashes.  Returns in the daemon only."""
    restarted: float | None = None
    ever_ready = False
    program = process_name()
    while True:
        reading, writing = os.pipe()
        _flush()
        child = os.fork()
        if child == 0:
            for wish in (signal.SIGTERM, signal.SIGINT):
                signal.signal(wish, signal.SIG_DFL)
            os.close(reading)
            if own.report is not None:
                os.close(own.report)
            return replace(own, monitored=True, report=writing)
        os.close(writing)
        rename_process(f"mon:{program}")
        _forward_signals(child)
        if _hears(reading) and not ever_ready:
            own.ready()
            own = Startup(detached=own.detached)
            ever_ready = True
        status = os.waitpid(child, 0)[1]
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number not in ERROR_SIGNALS or not ever_ready:
            _end_like(status)
        _log.error("pid %d died of signal %d (%s), starting again", child, number, signal.strsignal(number))
        if restarted is not None:
            # The first restart is immediate; a daemon that keeps crashing must not keep a processor busy.
            time.sleep(max(0.0, RESTART_INTERVAL - (time.monotonic() - restarted)))
        restarted = time.monotonic()
        rename_process(program)


def _hears(reading: int) -> bool:
    """Wait for word from a process that starts; False if it went away without."""
    word = os.read(reading, 1)
    os.close(reading)
    return bool(word)


def _forward_signals(child: int) -> None:
    """Pass the wish to end on to the daemon: service managers often know only the monitor's id."""

    def forward(number: int, frame: object) -> None:
        del frame
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)


def _end_like(status: int) -> None:
    """End this process as the one with this wait status ended."""
    _flush()
    if os.WIFSIGNALED(status):
        die_of(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def die_of(number: int) -> None:
    """End at once by a signal, as if it had never been caught; without a core file of Python's heap."""
    _flush()
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # SIGKILL cannot be caught, and only the main thread may set others
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def leave_terminal() -> None:
    """Point standard input, output and error at /dev/null, so that nobody waits for their end."""
    _flush()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def process_name() -> str:
    """The name that ps(1) and /proc/PID/comm show."""
    return Path("/proc/self/comm").read_text().rstrip("\n")


def rename_process(name: str) -> None:
    """Set that name, at most 15 characters; ovn-ctl(8) tells by it whether a pidfile belongs to the right program."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name[:15])


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
