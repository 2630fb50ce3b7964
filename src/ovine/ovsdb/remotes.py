"""Where a server is: "unix:/run/x.sock", "tcp:[::1]:6641", "ssl:10.0.0.1:6641" (ovsdb(7), "Connection Methods").

Several remotes are separated by commas or blanks. Also here: TLS files and the back-off between attempts.

Tests: tests/unit/ovsdb/test_remotes.py.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from ovine.ovsdb.errors import RemoteError

DEFAULT_PORT = 6640
FIRST_DELAY = 1.0
MAX_DELAY = 8.0


@dataclass(frozen=True)
class Remote:
    """One place: a unix socket's path, or a host (name or address) and a port."""

    text: str
    path: str | None = None
    host: str = ""
    port: int = 0
    tls: bool = False


TLS_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True)
class Tls:
    """Files in PEM form: our private key and certificate, and the authority that must have signed the server's.

    `ca` None trusts any server. `protocols` are the TLS versions to allow, a run of `TLS_VERSIONS`; none for those that
    the library allows. `ciphers` chooses among those up to TLS 1.2, in OpenSSL's notation. `server_name` is what to ask
    for (SNI).
    """

    key: Path | str
    cert: Path | str
    ca: Path | str | None
    protocols: tuple[str, ...] = ()
    ciphers: str | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Raises RemoteError if a file cannot be used. Names are not checked, as OVSDB servers are told by address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE if self.ca is None else ssl.CERT_REQUIRED
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
            context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise RemoteError(f"cannot use the TLS files {self.key}, {self.cert}, {self.ca}: {error}") from None
        self._restrict(context)
        return context

    def _restrict(self, context: ssl.SSLContext) -> None:
        unknown = [name for name in self.protocols if name not in TLS_VERSIONS]
        if unknown:
            raise RemoteError(f"{unknown[0]!r} is no TLS version; there are {', '.join(TLS_VERSIONS)}")
        if self.protocols:
            versions = [TLS_VERSIONS[name] for name in self.protocols]
            context.minimum_version, context.maximum_version = min(versions), max(versions)
        if self.ciphers is not None:
            try:
                context.set_ciphers(self.ciphers)
            except ssl.SSLError:
                raise RemoteError(f"no TLS cipher matches {self.ciphers!r}") from None


def parse_remotes(text: str) -> tuple[Remote, ...]:
    """Reads a list of remotes. Raises RemoteError that shows the one that is wrong."""
    remotes = tuple(_parse(part) for part in re.split(r"[,\s]+", text) if part)
    if not remotes:
        raise RemoteError("no remote is given; write for example unix:/run/openvswitch/db.sock or tcp:127.0.0.1:6641")
    return remotes


def _parse(text: str) -> Remote:
    method, _, rest = text.partition(":")
    if method == "unix" and rest:
        return Remote(text, path=rest)
    if method in ("tcp", "ssl"):
        match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]|([^:\[\]]+))(?::(\d{1,5}))?", rest)
        if match:
            port = int(match[3] or DEFAULT_PORT)
            if 0 < port < 65536:
                return Remote(text, host=match[1] or match[2], port=port, tls=method == "ssl")
    raise RemoteError(f"{text!r} is not a remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT, IPv6 in brackets")


class Backoff:
    """How long to wait before the next attempt: not at all while there are remotes untried, then 1 s … 8 s a round.

    `succeeded` starts the count afresh; call it for a connection that was of use, not for one that merely opened.
    """

    def __init__(self, remotes: int) -> None:
        self._remotes = remotes
        self._failures = 0

    def failed(self) -> float:
        """Counts a failure and returns the delay before the next attempt, in seconds."""
        self._failures += 1
        rounds, rest = divmod(self._failures, self._remotes)
        if rest or rounds < 1:
            return 0.0
        return min(MAX_DELAY, FIRST_DELAY * 2.0 ** (rounds - 1))

    def succeeded(self) -> None:
        self._failures = 0
