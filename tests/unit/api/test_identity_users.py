"""The identity file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ovine.api.identity.users import (
    Directory,
    IdentityError,
    NewUser,
    create_identity_file,
    hash_password,
    load,
    verify_password,
)


def test_a_file_is_written_for_its_owner_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "identity.toml"
    odd = 'Zoë "the\tboss" \\ 5'
    made = create_identity_file(path, ["demo", odd], [NewUser(odd, "secret", {odd: ["admin"], "demo": ["member"]})])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path) == made
    user = made.user_named(odd)
    assert user is not None
    assert user.default_project == odd
    assert "secret" not in path.read_text()
    assert [p.name for p in made.projects_of(user)] == ["demo", odd]


def test_roles_imply_the_weaker_ones() -> None:
    directory = Directory()
    made = create_roles("admin"), create_roles("member"), create_roles("reader")
    assert made == (("admin", "member", "reader"), ("member", "reader"), ("reader",))
    assert directory.users == ()


def create_roles(role: str) -> tuple[str, ...]:
    from ovine.api.identity.users import Project, User

    return Directory.roles_in(User("u", "u", "", roles={"p": (role,)}), Project("i", "p"))


def test_passwords_are_verified_against_salted_hashes() -> None:
    hashed = hash_password("correct horse")
    assert verify_password("correct horse", hashed)
    assert not verify_password("wrong horse", hashed)
    assert hash_password("correct horse") != hashed
    for broken in ("", "scrypt$1", "plain", "scrypt$0$8$1$AAAA$AAAA", "scrypt$16384$8$1$!$!", "x$16384$8$1$AAAA$AAAA"):
        assert not verify_password("correct horse", broken)


@pytest.mark.parametrize(
    "text, told",
    [
        ("= 1", "identity.toml"),
        ("[[users]]\nname = 'x'\n", "id"),
        ("[[projects]]\nid='1'\nname='p'\n[[projects]]\nid='2'\nname='p'\n", "two projects"),
        ("[[users]]\nid='1'\nname='u'\npassword=''\nroles={ p=['admin'] }\n", "no project"),
        ("[[projects]]\nid='1'\nname='p'\n[[users]]\nid='1'\nname='u'\npassword=''\nroles={ p=['king'] }\n", "king"),
    ],
)
def test_an_unusable_file_is_refused_with_its_reason(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "identity.toml"
    path.write_text(text)
    with pytest.raises(IdentityError, match=told):
        load(path)
