"""The HTTP side: an instance's request goes on to Nova's metadata API, with headers that say who asks.

Nova trusts X-Instance-ID because of X-Instance-ID-Signature, the HMAC-SHA256 of the id under a secret that both know
(`metadata_proxy_shared_secret` in nova.conf). Headers of that kind that an instance sends itself are dropped.
Tests: tests/unit/metadata/test_metadata_proxy.py.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, web

from ovine.metadata.rules import Guest

FORWARDED_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "host", "content-length"),
    )
)
"""Headers that concern one connection only (RFC 9110, 7.6.1), and those that the client library writes itself."""
IDENTITY = frozenset(("x-forwarded-for", "x-instance-id", "x-tenant-id", "x-instance-id-signature", "x-provider-id"))
TIMEOUT = 60.0
"""Seconds for Nova to answer."""
LONGEST_BODY = 1024 * 1024
"""Bytes; what instances send is a password at most."""


@dataclass(frozen=True)
class Upstream:
    """Nova's metadata API, and the secret that it shares with us."""

    url: str
    secret: bytes


def signature(secret: bytes, instance: str) -> str:
    """HMAC-SHA256 in hexadecimal, as Nova checks it."""
    return hmac.new(secret, instance.encode(), hashlib.sha256).hexdigest()


def headers_for(upstream: Upstream, guest: Guest, address: str, given: Mapping[str, str]) -> dict[str, str]:
    """The headers of the request to Nova: the instance's own, but for those that say who asks."""
    named = str(given.get("Connection", "")).lower()
    dropped = FORWARDED_BY_HOP | IDENTITY | {word.strip() for word in named.split(",")}
    kept = {name: value for name, value in given.items() if name.lower() not in dropped}
    return kept | {
        "X-Forwarded-For": address,
        "X-Instance-ID": guest.instance,
        "X-Tenant-ID": guest.project,
        "X-Instance-ID-Signature": signature(upstream.secret, guest.instance),
    }


class Proxy:
    """Answers requests; `who(request)` tells the guest behind one and its address, or None."""

    def __init__(
        self,
        upstream: Upstream,
        who: Callable[[web.Request], tuple[Guest, str] | None],
        log: logging.Logger,
    ) -> None:
        self.upstream = upstream
        self._who = who
        self._log = log
        self._session: ClientSession | None = None
        self.answered = 0
        self.app = web.Application(client_max_size=LONGEST_BODY)
        self.app.router.add_route("*", "/{path:.*}", self._answer)
        self.app.on_cleanup.append(self._close)

    async def _close(self, app: web.Application) -> None:
        del app
        if self._session is not None:
            await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        known = self._who(request)
        if known is None:
            self._log.warning("%s asks for metadata, but no instance here has that address", request.remote)
            raise web.HTTPNotFound(text="no instance has this address\n")
        guest, address = known
        body = await request.read()
        if self._session is None:
            # One session for all instances: no cookie of one may reach Nova with another's request.
            self._session = ClientSession(
                timeout=ClientTimeout(total=TIMEOUT), auto_decompress=False, cookie_jar=DummyCookieJar()
            )
        try:
            async with self._session.request(
                request.method,
                self.upstream.url + request.raw_path,
                headers=headers_for(self.upstream, guest, address, request.headers),
                data=body or None,
                allow_redirects=False,
            ) as reply:
                kept = {name: value for name, value in reply.headers.items() if name.lower() not in FORWARDED_BY_HOP}
                self.answered += 1
                return web.Response(status=reply.status, headers=kept, body=await reply.read())
        except (ClientError, TimeoutError) as error:
            self._log.error("Nova's metadata API at %s does not answer: %s", self.upstream.url, error or "timeout")
            raise web.HTTPServiceUnavailable(text="the metadata service is not available at present\n") from None
