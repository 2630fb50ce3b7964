"""Tokens of a Keystone, validated over HTTP as Identity v3 says (`GET /v3/auth/tokens`), and remembered for a while.

A token that Keystone revokes is accepted until `cache_seconds` have passed since it was last asked about; so is a role
that was taken away. If Keystone can't be reached, what is remembered goes on being served and the rest gets a 503.

Tests: tests/api/test_api_keystone.py.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx

from ovine.api.config import KeystoneConfig
from ovine.api.context import Caller
from ovine.api.errors import ServiceUnavailable

_log = logging.getLogger("ovine.api")
_TIMEOUT = 10.0
_MOST_REMEMBERED = 10_000


class KeystoneAuthenticator:
    """Asks a Keystone whose a token is, with a service user's own token."""

    def __init__(self, config: KeystoneConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._clock = config, clock
        self._url = f"{config.url.rstrip('/')}/auth/tokens"
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)
        self._own = ""
        self._known: dict[bytes, tuple[float, Caller | None]] = {}
        self.www_authenticate = f'Keystone uri="{config.url}"'

    async def close(self) -> None:
        await self._http.aclose()

    async def caller(self, token: str) -> Caller | None:
        """The caller, or None if the token is not valid. Raises ServiceUnavailable."""
        if not token or not token.isascii():
            return None
        key = hashlib.sha256(token.encode()).digest()
        known = self._known.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        try:
            found = await self._ask(token)
        except httpx.HTTPError as error:
            _log.warning("Keystone cannot be reached: %s", error or type(error).__name__)
            raise ServiceUnavailable(reason="The identity service cannot be reached; try again.") from None
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = self._clock() + self._config.cache_seconds, found
        return found

    async def _ask(self, token: str) -> Caller | None:
        reply = await self._validate(token)
        if reply.status_code == 401:
            # Our own token has expired, or there is none yet.
            self._own = await self._log_in()
            reply = await self._validate(token)
        if reply.status_code == 404:
            return None
        if reply.status_code != 200:
            _log.error("Keystone answers %d to a validation: %s", reply.status_code, reply.text[:200])
            raise ServiceUnavailable(reason="The identity service refuses to validate tokens.")
        return _caller(reply.json().get("token", {}))

    async def _validate(self, token: str) -> httpx.Response:
        headers = {"X-Auth-Token": self._own, "X-Subject-Token": token}
        return await self._http.get(self._url, params={"nocatalog": ""}, headers=headers)

    async def _log_in(self) -> str:
        config = self._config
        user = {"name": config.username, "password": config.password, "domain": {"id": config.user_domain_id}}
        project = {"name": config.project_name, "domain": {"id": config.project_domain_id}}
        identity = {"methods": ["password"], "password": {"user": user}}
        reply = await self._http.post(self._url, json={"auth": {"identity": identity, "scope": {"project": project}}})
        if reply.status_code != 201:
            _log.error("Keystone refuses user %s: %d", config.username, reply.status_code)
            raise ServiceUnavailable(reason="The identity service refuses this service's own credentials.")
        return str(reply.headers["X-Subject-Token"])


def _caller(token: dict[str, Any]) -> Caller | None:
    """The caller of a token as Keystone shows it; None without a project, in which nothing could be owned."""
    user, project = token.get("user", {}), token.get("project")
    if project is None:
        return None
    roles = frozenset(role["name"].lower() for role in token.get("roles", ()))
    return Caller(user["id"], user["name"], project["id"], project["name"], roles)
