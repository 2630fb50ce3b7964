"""A further worker process of the API: `python -m ovine.api.child JSON`, started by the daemon.

The JSON has the worker's settings and the file descriptors of the sockets, which are inherited. The process ends when
its standard input does, so it can't outlive the daemon, or on SIGTERM.

Tests: tests/api/test_api_daemon.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict

from ovine.api.worker import Settings, serve


def command(settings: Settings, network: Sequence[socket.socket], identity: Sequence[socket.socket]) -> list[str]:
    """The command line that starts a worker; it must inherit the sockets' descriptors."""
    told = {
        "settings": asdict(settings),
        "network": [s.fileno() for s in network],
        "identity": [s.fileno() for s in identity],
    }
    return [sys.executable, "-m", "ovine.api.child", json.dumps(told)]


async def _main(told: dict[str, object]) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_reader(sys.stdin.fileno(), stopping.set)
    settings = told["settings"]
    assert isinstance(settings, dict)
    settings["tls"] = tuple(settings["tls"]) if settings["tls"] else None
    opened = []
    for name in ("network", "identity"):
        descriptors = told[name]
        assert isinstance(descriptors, list)
        opened.append([socket.socket(fileno=descriptor) for descriptor in descriptors])
    await serve(Settings(**settings), opened[0], opened[1], stopping)


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    asyncio.run(_main(json.loads(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
