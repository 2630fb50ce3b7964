"""Tokens: signed, expiring, revocable. A JSON Web Token (RFC 7519, HS256) that names user, project and expiry.

What a token permits is looked up in the identity file when it is used, so a role that is taken away is gone at once.
The key and the list of revoked tokens lie beside the identity file (mode 0600): `FILE.key`, `FILE.revoked`. All
processes of one machine that use the file understand each other's tokens.

Tests: tests/unit/api/test_identity_tokens.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import jwt

from ovine.api.context import Caller
from ovine.api.identity.users import Directory, IdentityError, Project, User, load

LIFETIME = 3600.0
_ALGORITHM = "HS256"


@dataclass(frozen=True)
class Token:
    """A valid token, resolved. Times are seconds since the epoch; `project` is None for an unscoped token."""

    text: str
    id: str
    user: User
    project: Project | None
    roles: tuple[str, ...]
    issued: int
    expires: int
    methods: tuple[str, ...]


class Tokens:
    """Issues and judges the tokens of one identity file; notices when the file changes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time, lifetime: float = LIFETIME) -> None:
        self._path, self._clock, self._lifetime = path, clock, lifetime
        self._key = _key(path.with_name(path.name + ".key"))
        self._revoked_path = path.with_name(path.name + ".revoked")
        _drop_expired(self._revoked_path, clock())
        self._directory = load(path)
        self._seen = _stamp(path)
        self._revoked: frozenset[str] = frozenset()
        self._revoked_seen: tuple[int, int] | None = None

    @property
    def directory(self) -> Directory:
        """The identity file as it is now; as it was, if it has become unreadable."""
        stamp = _stamp(self._path)
        if stamp != self._seen:
            with contextlib.suppress(IdentityError):
                self._directory = load(self._path)
            self._seen = stamp
        return self._directory

    def issue(self, user: User, project: Project | None, methods: tuple[str, ...], expires: int | None = None) -> Token:
        """A new token; one made from another token ends with that one."""
        now = int(self._clock())
        ends = now + int(self._lifetime) if expires is None else expires
        claims = {"sub": user.id, "jti": secrets.token_hex(16), "iat": now, "exp": ends, "mth": list(methods)}
        if project is not None:
            claims["prj"] = project.id
        text = jwt.encode(claims, self._key, _ALGORITHM)
        roles = () if project is None else Directory.roles_in(user, project)
        return Token(text, str(claims["jti"]), user, project, roles, now, ends, methods)

    def find(self, text: str) -> Token | None:
        """The token of that text if it is valid now: signed by us, not expired or revoked, its user still there."""
        if not text:
            return None
        try:
            claims = jwt.decode(text, self._key, [_ALGORITHM], options={"verify_exp": False, "verify_iat": False})
            return self._resolved(text, claims)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            return None

    def _resolved(self, text: str, claims: dict[str, Any]) -> Token | None:
        directory = self.directory
        user = directory.user(claims["sub"])
        project = directory.project(claims["prj"]) if "prj" in claims else None
        if user is None or not user.enabled or claims["exp"] <= self._clock() or claims["jti"] in self._revocations():
            return None
        roles: tuple[str, ...] = ()
        if "prj" in claims:
            if project is None or not project.enabled:
                return None
            roles = Directory.roles_in(user, project)
            if not roles:
                return None
        return Token(
            text, claims["jti"], user, project, roles, claims["iat"], claims["exp"], tuple(claims.get("mth", ()))
        )

    def caller(self, text: str) -> Caller | None:
        """The caller whom a token names; None if it is not valid or has no project."""
        token = self.find(text)
        if token is None or token.project is None:
            return None
        return Caller(token.user.id, token.user.name, token.project.id, token.project.name, frozenset(token.roles))

    def revoke(self, token: Token) -> None:
        """Makes a token invalid, in all processes that share the file."""
        with _locked(self._revoked_path) as stream:
            stream.write(f"{token.id} {token.expires}\n")

    def _revocations(self) -> frozenset[str]:
        stamp = _stamp(self._revoked_path)
        if stamp != self._revoked_seen:
            self._revoked = frozenset(line.split()[0] for line in _lines(self._revoked_path))
            self._revoked_seen = stamp
        return self._revoked


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if len(line.split()) == 2]
    except FileNotFoundError:
        return []


def _drop_expired(path: Path, now: float) -> None:
    """Shortens the list of revoked tokens by those that have ended anyway; at start, so it doesn't grow for ever."""
    with _locked(path) as stream:
        stream.seek(0)
        lines = [line for line in stream.read().splitlines() if len(line.split()) == 2]
        kept = [line for line in lines if float(line.split()[1]) > now]
        if len(kept) < len(lines):
            stream.truncate(0)
            stream.writelines(f"{line}\n" for line in kept)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    """The list of revoked tokens, for reading and appending, while nobody else changes it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _key(path: Path) -> bytes:
    """The signing key; made when it is first needed, by whichever process is first."""
    try:
        with contextlib.suppress(FileExistsError):
            new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(32))
            try:
                os.link(new, path)
            finally:
                new.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise IdentityError(f"cannot make or read the key {path}: {error.strerror}") from error
    if len(key) < 32:
        raise IdentityError(f"{path}: a signing key has at least 32 bytes")
    return key
