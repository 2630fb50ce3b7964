"""One process of the API: its database connections, its two HTTP services on sockets that are already open, its end.

A second process of the same server is another worker on the same sockets; the Cloud database is all that they share.

Tests: tests/api/ (real processes).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ovine.api.binding import Host, host_of
from ovine.api.bodies import configure_library
from ovine.api.config import load
from ovine.api.context import Caller
from ovine.api.env import Env
from ovine.api.errors import UNAVAILABLE, ServiceUnavailable
from ovine.api.identity.app import IdentityApi
from ovine.api.identity.tokens import Tokens
from ovine.api.keystone import KeystoneAuthenticator
from ovine.api.policy import Policy
from ovine.api.server import Authenticator, NetworkApi
from ovine.api.service import Service
from ovine.api.store import Store
from ovine.model import cloud, sb
from ovine.ovsdb import Client, Monitor, NotConnected, Tls

_log = logging.getLogger("ovine.api")
_PATIENCE = 5.0
_TABLES = tuple(table.row for table in cloud.DATABASE.tables.values())


@dataclass(frozen=True)
class Settings:
    """All that a worker is told, in plain values, so that it can be handed to another process."""

    cloud_db: str
    sb_db: str
    identity_file: str
    config_file: str | None = None
    network_url: str = ""
    identity_url: str = ""
    tls: tuple[str, str, str] | None = None
    """Private key, certificate and CA certificate for the databases."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class LocalAuthenticator:
    """Tokens of the local identity."""

    def __init__(self, tokens: Tokens, uri: str) -> None:
        self._tokens = tokens
        self.www_authenticate = f'Keystone uri="{uri}"'

    async def caller(self, token: str) -> Caller | None:
        return self._tokens.caller(token)


async def serve(
    settings: Settings,
    network: Sequence[socket.socket],
    identity: Sequence[socket.socket],
    stopping: asyncio.Event,
    connecting: Callable[[Client, Client], None] | None = None,
) -> None:
    """Serves until `stopping`. Raises ConfigError, IdentityError and RemoteError at the start.

    `identity` is empty if a Keystone has the users. `connecting` is told the clients of the Cloud and of the southbound
    database before they connect.
    """
    # A client's garbage is answered and is nobody's business else; uvicorn would warn of each.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = load(Path(settings.config_file) if settings.config_file else None)
    configure_library(config)
    tls = Tls(*settings.tls) if settings.tls else None
    upper = Client(cloud.DATABASE, settings.cloud_db, monitors=_TABLES, leader_only=True, tls=tls, name="cloud")
    columns = ("name", "hostname", "other_config", "external_ids")
    lower = Client(sb.DATABASE, settings.sb_db, monitors=[Monitor(sb.Chassis, columns)], tls=tls, name="southbound")
    if connecting is not None:
        connecting(upper, lower)
    async with contextlib.AsyncExitStack() as stack:
        for client in (upper, lower):
            await client.start()
            stack.push_async_callback(client.close)
        for client in (upper, lower):
            await _patiently_ready(client)
        services: list[tuple[ASGIApp, Sequence[socket.socket]]] = []
        authenticator: Authenticator
        if config.keystone is not None:
            authenticator = keystone = KeystoneAuthenticator(config.keystone)
            stack.push_async_callback(keystone.close)
        else:
            tokens = Tokens(Path(settings.identity_file))
            endpoints = partial(_endpoints, settings, network[0], identity[0])
            services.append((IdentityApi(tokens, endpoints), identity))
            authenticator = LocalAuthenticator(tokens, settings.identity_url or endpoints("127.0.0.1")["identity"])
        service = Service(Store(upper, config), Policy(config.policy_file), Env(config, lambda: _hosts(lower)))
        services.append((NetworkApi(service, authenticator, config.max_body_bytes), network))
        await _run(services, stopping)


async def _patiently_ready(client: Client) -> None:
    """Waits for a database, but not for ever: without it, requests get a 503 that says so."""
    try:
        await client.ready(_PATIENCE)
    except NotConnected as error:
        _log.warning("serving without a database: %s", error)


def _hosts(southbound: Client) -> Iterable[Host]:
    if not southbound.connected:
        raise ServiceUnavailable(reason=UNAVAILABLE)
    return [host_of(chassis) for chassis in southbound.replica.rows(sb.Chassis).values()]


def _endpoints(settings: Settings, network: socket.socket, identity: socket.socket, host: str) -> dict[str, str]:
    return {
        "identity": settings.identity_url or _url(host, identity, "/v3"),
        "network": settings.network_url or _url(host, network, ""),
    }


def _url(host: str, bound: socket.socket, path: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}{path}"


async def _run(services: Iterable[tuple[ASGIApp, Sequence[socket.socket]]], stopping: asyncio.Event) -> None:
    servers = [(_server(app), sockets) for app, sockets in services]
    gc.freeze()  # the libraries are large, and would be walked in the midst of requests
    tasks = [asyncio.create_task(server.serve(list(sockets))) for server, sockets in servers]
    ended = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


def _server(app: ASGIApp) -> _Server:
    options = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=2,
        backlog=512,
    )
    return _Server(options)
