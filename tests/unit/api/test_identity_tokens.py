"""Tokens: what makes one valid, and what ends it."""

from __future__ import annotations

import stat
from pathlib import Path

import jwt
import pytest

from ovine.api.identity.tokens import Tokens
from ovine.api.identity.users import IdentityError, NewUser, create_identity_file


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "identity.toml"
    create_identity_file(made, ["demo"], [NewUser("alice", "pw", {"demo": ["member"]})])
    return made


def issue(tokens: Tokens) -> str:
    user, project = tokens.directory.user_named("alice"), tokens.directory.project_named("demo")
    assert user is not None
    return tokens.issue(user, project, ("password",)).text


def test_a_token_names_its_caller_until_it_expires(path: Path) -> None:
    clock = Clock()
    tokens = Tokens(path, clock, lifetime=60)
    token = issue(tokens)
    caller = tokens.caller(token)
    assert caller is not None
    assert (caller.user_name, caller.project_name, caller.roles) == ("alice", "demo", {"member", "reader"})
    clock.now += 59
    assert tokens.caller(token) is not None
    clock.now += 1
    assert tokens.caller(token) is None


def test_only_tokens_of_the_same_key_are_valid(path: Path, tmp_path: Path) -> None:
    tokens = Tokens(path)
    token = issue(tokens)
    assert Tokens(path).caller(token) is not None
    claims = jwt.decode(token, options={"verify_signature": False})
    assert tokens.find(jwt.encode(claims, b"x" * 32, "HS256")) is None
    assert tokens.find(jwt.encode(claims, "", "none")) is None
    for garbage in ("", "x", "a.b.c", token[:-2], token + "A", "\ud800"):
        assert tokens.find(garbage) is None


def test_the_key_is_the_owners_only_and_must_be_long(path: Path) -> None:
    Tokens(path)
    key = path.with_name("identity.toml.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.glob("*.key.*")] == []
    key.write_bytes(b"short")
    with pytest.raises(IdentityError, match="32 bytes"):
        Tokens(path)


def test_a_revoked_token_is_invalid_in_every_process_and_after_a_restart(path: Path) -> None:
    clock = Clock()
    one, other = Tokens(path, clock), Tokens(path, clock)
    first, second = issue(one), issue(one)
    token = other.find(first)
    assert token is not None
    other.revoke(token)
    assert one.find(first) is None
    assert one.find(second) is not None
    assert Tokens(path, clock).find(first) is None
    clock.now += 10_000
    Tokens(path, clock)
    assert path.with_name("identity.toml.revoked").read_text() == ""


def test_what_the_file_takes_away_is_gone_at_once(path: Path) -> None:
    tokens = Tokens(path)
    token = issue(tokens)
    text = path.read_text()
    path.write_text(text.replace('"member"', '"reader"'))
    caller = tokens.caller(token)
    assert caller is not None
    assert caller.roles == {"reader"}
    path.write_text(text.replace('roles = { "demo" = ["member"] }', "roles = {}"))
    assert tokens.caller(token) is None
    path.write_text("broken =")
    assert tokens.caller(token) is None  # the last good state goes on
    path.write_text(text)
    assert tokens.caller(token) is not None
