"""The client of control commands: what ovs-appctl(8) does, for our own command line.

Tests: tests/interop/daemons/test_appctl.py, against our server and against Open vSwitch's.
"""

import socket
from pathlib import Path

import orjson

from ovine.daemons import paths
from ovine.daemons.unixctl import CommandError, Splitter, short_address


class Unreachable(Exception):
    """No daemon answers at the target; the text says why."""


def find_socket(target: str, where: paths.Paths | None = None) -> Path:
    """The control socket of a target: a path as it is, or a program's name by its pidfile in $OVN_RUNDIR.

    Unreachable if there is no such pidfile.
    """
    if target.startswith("/"):
        return Path(target)
    where = where or paths.from_environment()
    pidfile = where.pidfile(target)
    try:
        pid = int(pidfile.read_text())
    except (OSError, ValueError) as fault:
        raise Unreachable(f"cannot read pidfile {pidfile}: {_reason(fault)}") from None
    return where.control_socket(target, pid)


def appctl(target: str, command: str, *words: str, timeout: float | None = None) -> str:
    """Run a control command and return its answer; `timeout` is in seconds, None waits for ever.

    CommandError with the daemon's text if it refuses; Unreachable if it cannot be asked.
    """
    path = find_socket(target)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, short_address(path) as address:
            connection.settimeout(timeout)
            connection.connect(address)
            connection.sendall(orjson.dumps({"method": command, "params": list(words), "id": 0}))
            reply = orjson.loads(_receive(connection))
    except (OSError, ValueError) as fault:
        raise Unreachable(f"{path}: {_reason(fault)}") from None
    if reply.get("error") is not None:
        raise CommandError(str(reply["error"]).rstrip("\n"))
    return str(reply.get("result") or "")


def _receive(connection: socket.socket) -> bytes:
    splitter = Splitter(longest=1 << 30)
    while data := connection.recv(65536):
        for message in splitter.feed(data):
            return message
    raise ConnectionError("the daemon closed the connection without an answer")


def _reason(fault: Exception) -> str:
    return (fault.strerror if isinstance(fault, OSError) else None) or str(fault) or type(fault).__name__
