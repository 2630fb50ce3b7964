"""Pidfiles with the meaning they have for Open vSwitch: the process that holds the fcntl lock is alive, whatever the
text says.

A pidfile holds the process id and a newline. It is written and locked under a temporary name and then moved into place,
so no reader ever sees it empty or unlocked. The lock belongs to the process, is lost in a fork and when the process
dies: a pidfile that nobody locks is stale and is replaced.
Tests: tests/unit/daemons/test_daemon_pidfile.py, tests/interop/daemons/test_appctl.py.
"""

import contextlib
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, pid


class AlreadyRunning(Exception):
    """Another process holds the pidfile; the text is one line for the user."""


@dataclass(frozen=True)
class Pidfile:
    """A pidfile that this process holds until `release` or its end."""

    path: Path
    descriptor: int

    def release(self) -> None:
        """Remove the file, unless another process has put its own in its place."""
        with contextlib.suppress(OSError):
            if os.path.samestat(self.path.stat(), os.fstat(self.descriptor)):
                self.path.unlink()
        os.close(self.descriptor)


def holder(path: Path) -> int | None:
    """The id of the process that holds a pidfile; None if nobody does.

    Not for the holder itself: closing the file here would drop its lock.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _lock_owner(descriptor)
    finally:
        os.close(descriptor)


def _lock_owner(descriptor: int) -> int | None:
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return None if kind == fcntl.F_UNLCK else int(pid)


def acquire(path: Path, *, overwrite: bool = False) -> Pidfile:
    """Write and hold a pidfile.

    AlreadyRunning if a live process holds it and `overwrite` is not set; OSError if it cannot be written.
    """
    draft = path.with_name(f"{path.name}.tmp{os.getpid()}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, f"{os.getpid()}\n".encode())
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if overwrite:
            draft.rename(path)
        else:
            _place(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    return Pidfile(path, descriptor)


def _place(draft: Path, path: Path) -> None:
    """Move the draft to its place, if nobody alive is there."""
    while True:
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            if not _replace_stale(draft, path):
                continue  # it went away in the meantime
        else:
            draft.unlink()
        return


def _replace_stale(draft: Path, path: Path) -> bool:
    """Replace a pidfile that nobody holds, keeping rivals off by its own lock; False if it changed under our hands."""
    try:
        old = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        try:
            fcntl.lockf(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"{path}: already running as pid {_lock_owner(old)}, aborting") from None
        try:
            if not os.path.samestat(path.stat(), os.fstat(old)):
                return False
        except FileNotFoundError:
            return False
        draft.rename(path)
        return True
    finally:
        os.close(old)
