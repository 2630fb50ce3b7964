"""Asking a running daemon through its control socket: the unixctl protocol of ovs-appctl(8), JSON-RPC 1.0.

Tests: tests/unit/lab/test_lab_control.py, against a real ovsdb-server.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from ovine.lab.errors import LabError


def call(path: Path, command: str, *arguments: str, timeout: float = 5.0) -> str:
    """The answer of a control command. LabError if nobody listens, or the daemon refuses the command."""
    request = json.dumps({"id": 0, "method": command, "params": list(arguments)})
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(request.encode())
            reply = _read_object(connection)
    except TimeoutError:
        raise LabError(f"{path.name} gave no answer to {command} within {timeout:g} s") from None
    except (OSError, ValueError) as error:
        raise LabError(f"{path.name} cannot be asked {command}: {error}") from None
    if reply.get("error") is not None:
        raise LabError(f"{path.name} refuses {command}: {str(reply['error']).strip()}")
    return str(reply.get("result") or "")


def _read_object(connection: socket.socket) -> dict[str, object]:
    """One JSON object from a stream; there is no other framing, so each piece is tried until the object is whole."""
    received = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            raise ValueError("the connection ended within an answer")
        received += piece
        if not received.rstrip().endswith(b"}"):
            continue
        try:
            reply = json.loads(received)
        except ValueError:
            continue
        if not isinstance(reply, dict):
            raise ValueError("the answer is no JSON object")
        return reply
