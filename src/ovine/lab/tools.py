"""Calls of the OVS and OVN command-line tools. Tests: tests/lab/."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from ovine.lab.errors import LabError


def run(argv: Sequence[str], *, timeout: float = 30.0, env: Mapping[str, str] | None = None) -> str:
    """Runs a command to its end and gives its output; LabError with its last line if it fails or takes too long."""
    try:
        done = subprocess.run(
            list(argv), capture_output=True, text=True, timeout=timeout, env=dict(env) if env else None, check=False
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: no answer within {timeout:g} s") from None
    except FileNotFoundError:
        raise LabError(f"{argv[0]} is not installed") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise LabError(f"{' '.join(argv)}: {lines[-1]}", done.stderr)
    return done.stdout


def database_tool(tool: str, database: str, arguments: Sequence[str], timeout: float = 15.0) -> str:
    """`ovs-vsctl`, `ovn-nbctl` or `ovn-sbctl` on a database; they wait for it up to `timeout` seconds."""
    return run([tool, f"--db={database}", f"--timeout={max(1, round(timeout))}", *arguments], timeout=timeout + 5)
