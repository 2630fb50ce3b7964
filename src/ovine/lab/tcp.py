"""TCP between endpoints of a lab. Tests: tests/lab/test_lab_routing.py."""

from __future__ import annotations

import socket
import threading

from ovine.lab.endpoint import Endpoint

TIMEOUT = 20.0


def transfer(
    client: Endpoint,
    server: Endpoint,
    address: str,
    size: int = 200_000,
    port: int = 7000,
    inner_port: int | None = None,
    timeout: float = TIMEOUT,
) -> str:
    """Sends `size` bytes from one to the other, and returns the client's address as the server saw it.

    `address` is where the client connects to, `inner_port` where the server listens if not on `port`, `timeout` the
    seconds that each step may take. Raises OSError if they do not all arrive; TimeoutError, which is one, if there is
    no connection.
    """
    kind = (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    with server.socket(*kind) as listener, client.socket(*kind) as opened:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port if inner_port is None else inner_port))
        listener.listen()
        for one in (listener, opened):
            one.settimeout(timeout)
        opened.connect((address, port))
        taken, peer = listener.accept()
        with taken:
            taken.settimeout(timeout)
            sender = threading.Thread(target=_send, args=(opened, data), daemon=True)
            sender.start()
            received = _read_all(taken)
            sender.join()
    if received != data:
        raise OSError(f"{len(received)} of {size} bytes arrived")
    return str(peer[0])


def _send(opened: socket.socket, data: bytes) -> None:
    opened.sendall(data)
    opened.shutdown(socket.SHUT_WR)


def _read_all(opened: socket.socket) -> bytes:
    parts = []
    while part := opened.recv(65536):
        parts.append(part)
    return b"".join(parts)
