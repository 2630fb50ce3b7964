"""Asking a lab's daemon through its control socket, with the lab's own kind of error. Tests: tests/lab/."""

from __future__ import annotations

from pathlib import Path

from ovine.daemons.appctl import Unreachable, appctl
from ovine.daemons.unixctl import CommandError
from ovine.lab.errors import LabError


def call(path: Path, command: str, *arguments: str, timeout: float = 5.0) -> str:
    """The answer of a control command. LabError if nobody answers within `timeout` seconds, or the daemon refuses."""
    try:
        return appctl(str(path), command, *arguments, timeout=timeout)
    except Unreachable as error:
        raise LabError(str(error)) from None
    except CommandError as error:
        raise LabError(f"{path.name} refuses {command}: {error}") from None
