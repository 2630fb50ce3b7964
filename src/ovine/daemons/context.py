"""What a daemon declares and what it gets: `DaemonSpec`, and the `Context` that its `main` stands on.

Tests: tests/interop/daemons/test_appctl.py, tests/interop/daemons/test_daemon_process.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ovine.daemons import options as opts
from ovine.daemons import paths, vlog
from ovine.daemons.unixctl import Commands


class CannotStart(Exception):
    """A daemon that cannot start; the text is one line for the user."""


@dataclass(frozen=True)
class Ending:
    """Why a daemon ends: `exit` with its words, a signal, or a failed `main`; none of these if `main` was done."""

    words: tuple[str, ...] = ()
    signal: int | None = None
    failed: bool = False

    @property
    def clean_up(self) -> bool:
        """Whether to take back what was written to databases: after a plain `exit`, but not if it will start again."""
        return self.signal is None and not self.failed and "--restart" not in self.words


@dataclass(frozen=True)
class TlsOptions:
    """What the command line says about TLS; None where it says nothing.  Files are absolute paths."""

    private_key: str | None = None
    certificate: str | None = None
    ca_cert: str | None = None
    bootstrap_ca_cert: str | None = None
    protocols: str | None = None
    ciphers: str | None = None
    ciphersuites: str | None = None
    server_name: str | None = None

    @property
    def given(self) -> bool:
        """Whether the command line names keys, so that other sources of keys don't count."""
        return any((self.private_key, self.certificate, self.ca_cert, self.bootstrap_ca_cert))

    @classmethod
    def parsed(cls, options: opts.Parsed) -> "TlsOptions":
        """Those of a parsed command line."""

        def file(name: str) -> str | None:
            value = options.value(name)
            return value if value is None or value == "none" else str(Path(value).absolute())

        return cls(
            private_key=file("private-key"),
            certificate=file("certificate"),
            ca_cert=file("ca-cert"),
            bootstrap_ca_cert=file("bootstrap-ca-cert"),
            protocols=options.value("ssl-protocols"),
            ciphers=options.value("ssl-ciphers"),
            ciphersuites=options.value("ssl-ciphersuites"),
            server_name=options.value("ssl-server-name"),
        )


@dataclass
class Context:
    """What a running daemon's `main` stands on."""

    program: str
    options: opts.Parsed
    paths: paths.Paths
    tls: TlsOptions
    commands: Commands
    vlog: vlog.Vlog
    log: logging.Logger
    environment: Mapping[str, str]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Ending | None = None
    _callbacks: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def stop(self, ending: Ending) -> None:
        """Begin the end; the first reason counts."""
        if self.ending is None:
            self.ending = ending
            self.stopping.set()

    def on_exit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this when the daemon ends, after `main` is over, the last one added first.  `ending` tells why."""
        self._callbacks.append(callback)

    def remote(self, option: str, variable: str, default: str) -> str:
        """A database's remotes: from an option, else from an environment variable, else the default."""
        return self.options.value(option) or self.environment.get(variable) or default

    async def run_callbacks(self) -> None:
        """Run what `on_exit` collected; a failing one is logged and doesn't keep the others from running."""
        while self._callbacks:
            try:
                await self._callbacks.pop()()
            except Exception:
                self.log.exception("clean-up failed")


@dataclass(frozen=True)
class DaemonSpec:
    """A daemon, declared.

    `main` runs for ever, or watches `Context.stopping`.  Up to where it first waits, it belongs to the start: commands
    that it registers there exist when a detached start returns, and `CannotStart` raised there is the user's answer.
    When the end has come it has `grace` seconds to return by itself and is cancelled then; `on_exit` is the place for
    clean-up that takes longer.
    `name` is its logger (`ovine.NAME`), `default_program` its program name unless $OVN_PROGRAM or argv[0] say else.
    `example` is a whole command line for the end of the help, which has none without.
    `positional` is the least and most number of words beside the options, shown in the help as `arguments`.
    `check` may refuse a parsed command line by OptionError.  `modules` are names for -v that no logger has yet.
    """

    name: str
    default_program: str
    description: str
    main: Callable[[Context], Awaitable[None]]
    options: tuple[opts.Option, ...] = ()
    arguments: str = ""
    positional: tuple[int, int] = (0, 0)
    check: Callable[[opts.Parsed], None] | None = None
    modules: tuple[str, ...] = ()
    grace: float = 0.5
    cleanup_seconds: float = 10.0
    example: str = ""
