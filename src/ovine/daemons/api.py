"""The Neutron API and the local identity as a daemon.

    ovine api --cloud-db=REMOTES --sb-db=REMOTES --identity-file=FILE [--bind=HOST:PORT] [--workers=N] …

The sockets are opened before anything else, so a port that is taken is told at once. This process is the first worker;
the others are children on the same sockets, started again when they end.

Tests: tests/api/test_api_daemon.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ovine.daemons.options import OptionError, Parsed, valued
from ovine.daemons.service import Context, DaemonSpec, run_daemon

if TYPE_CHECKING:
    from ovine.api.worker import Settings
    from ovine.daemons.unixctl import Commands
    from ovine.ovsdb import Client

OPTIONS = (
    valued("cloud-db", "REMOTES", "connect to the Cloud database at REMOTES"),
    valued("sb-db", "REMOTES", "learn the chassis from the southbound database at REMOTES"),
    valued("config", "FILE", "read settings from FILE (TOML)"),
    valued("bind", "HOST:PORT", "serve the network API there (default: 127.0.0.1:9696)"),
    valued("identity-bind", "HOST:PORT", "serve the local identity there (default: 127.0.0.1:5000)"),
    valued("identity-file", "FILE", "users and projects (default: /etc/ovine/identity.toml)"),
    valued(
        "network-url", "URL", "the network API's URL for the catalog (default: host of the request, port of --bind)"
    ),
    valued("identity-url", "URL", "the identity's URL for the catalog, with /v3"),
    valued("workers", "N", "run N processes (default: 1)"),
)
_RESTART_SECONDS = 1.0


class _Api:
    """The daemon's state from the check of its command line on: the open sockets."""

    def __init__(self) -> None:
        self.network: list[socket.socket] = []
        self.identity: list[socket.socket] = []

    def check(self, parsed: Parsed) -> None:
        """Refuses unusable files and addresses, and to start where only a hypervisor's packages are installed."""
        if find_spec("starlette") is None or find_spec("neutron_lib") is None:
            raise OptionError("the API's packages are not installed here: pip install 'ovine[api]'")
        from ovine.api.config import ConfigError, load
        from ovine.api.identity import users

        path = parsed.value("config")
        try:
            local = load(Path(path) if path else None).keystone is None
            if local:
                users.load(_identity_file(parsed))
        except (ConfigError, users.IdentityError) as error:
            raise OptionError(str(error)) from None
        if not 1 <= parsed.number("workers", 1) <= 64:
            raise OptionError("--workers: a number from 1 to 64")
        self.network = _listen(parsed.get("bind", "127.0.0.1:9696"))
        if local:
            self.identity = _listen(parsed.get("identity-bind", "127.0.0.1:5000"))

    async def main(self, context: Context) -> None:
        from ovine.api.worker import serve

        settings = _settings(context)
        others = [
            asyncio.create_task(self._keep_child(context, settings, number))
            for number in range(2, context.options.number("workers", 1) + 1)
        ]
        try:
            connecting = partial(_register, context.commands)
            await serve(settings, self.network, self.identity, context.stopping, connecting)
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _keep_child(self, context: Context, settings: Settings, number: int) -> None:
        from ovine.api.child import command

        words = command(settings, self.network, self.identity)
        inherited = [s.fileno() for s in (*self.network, *self.identity)]
        while not context.stopping.is_set():
            child = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, pass_fds=inherited
            )
            try:
                await _relay(context, number, child)
                context.log.error("worker %d ended with status %s, starting it again", number, child.returncode)
                await asyncio.sleep(_RESTART_SECONDS)
            finally:
                if child.returncode is None:
                    child.terminate()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(child.wait(), 3.0)


async def _relay(context: Context, number: int, child: asyncio.subprocess.Process) -> None:
    """Writes what a worker says to the daemon's log until the worker ends."""
    assert child.stderr is not None
    async for line in child.stderr:
        context.log.warning("worker %d: %s", number, line.decode(errors="replace").rstrip())
    await child.wait()


def _register(commands: Commands, cloud: Client, southbound: Client) -> None:
    def connection(client: Client) -> str:
        return "connected\n" if client.connected else "not connected\n"

    commands.register("cloud-connection-status", "", 0, 0, lambda _: connection(cloud))
    commands.register("sb-connection-status", "", 0, 0, lambda _: connection(southbound))


def _identity_file(parsed: Parsed) -> Path:
    return Path(parsed.get("identity-file", "/etc/ovine/identity.toml")).absolute()


def _settings(context: Context) -> Settings:
    from ovine.api.worker import Settings
    from ovine.daemons.tls import database_tls

    run, parsed = context.paths.ovn_run, context.options
    tls = database_tls(context.tls)
    config = parsed.value("config")
    return Settings(
        cloud_db=context.remote("cloud-db", "OVINE_CLOUD_DB", f"unix:{run}/ovine_cloud.sock"),
        sb_db=context.remote("sb-db", "OVN_SB_DB", f"unix:{run}/ovnsb_db.sock"),
        identity_file=str(_identity_file(parsed)),
        config_file=str(Path(config).absolute()) if config else None,
        network_url=parsed.get("network-url", "").rstrip("/"),
        identity_url=parsed.get("identity-url", "").rstrip("/"),
        tls=None if tls is None else (str(tls.key), str(tls.cert), str(tls.ca)),
    )


def _listen(text: str) -> list[socket.socket]:
    """The socket of "HOST:PORT" or "[HOST]:PORT". OptionError if it can't be had."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise OptionError(f"{text!r} is not HOST:PORT")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, int(port)))
        opened.listen(512)
    except OSError as error:
        opened.close()
        raise OptionError(f"cannot listen on {text}: {error.strerror or error}") from None
    opened.setblocking(False)
    return [opened]


def spec() -> DaemonSpec:
    """The daemon, declared; each has sockets of its own."""
    api = _Api()
    return DaemonSpec(
        name="api",
        default_program="ovine-api",
        description="Ovine's API: Neutron v2.0, with a local identity.",
        example="ovine api --identity-file=/etc/ovine/identity.toml --bind=0.0.0.0:9696 --identity-bind=0.0.0.0:5000",
        main=api.main,
        options=OPTIONS,
        check=api.check,
        grace=3.0,
    )


def main(argv: Sequence[str], program: str | None = None) -> int:
    return run_daemon(spec(), argv, program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
