"""The identity file: projects, users, hashed passwords, roles. TOML, readable by its owner only.

    [[projects]]
    id = "6f…"
    name = "demo"

    [[users]]
    id = "c0…"
    name = "alice"
    password = "scrypt$16384$8$1$SALT$HASH"      # base64; see hash_password
    default_project = "demo"
    roles = { demo = ["member"] }                # by project name

Roles imply each other as in Keystone: admin, member, reader, downwards. All is in the domain "default".

Tests: tests/unit/api/test_identity_users.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import tomllib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

ROLES = ("admin", "member", "reader", "service")
_IMPLIED = {"admin": ("member", "reader"), "member": ("reader",)}
_N, _R, _P, _SALT, _LENGTH = 1 << 14, 8, 1, 16, 32
_MAX_MEMORY = 64 << 20


class IdentityError(ValueError):
    """The identity file can't be used; the text says why."""


@dataclass(frozen=True)
class Project:
    id: str
    name: str
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class User:
    id: str
    name: str
    password: str
    default_project: str = ""
    enabled: bool = True
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Project name to role names."""


@dataclass(frozen=True)
class Directory:
    """The whole file."""

    projects: tuple[Project, ...] = ()
    users: tuple[User, ...] = ()

    def project(self, id: str) -> Project | None:
        return next((p for p in self.projects if p.id == id), None)

    def project_named(self, name: str) -> Project | None:
        return next((p for p in self.projects if p.name == name), None)

    def user(self, id: str) -> User | None:
        return next((u for u in self.users if u.id == id), None)

    def user_named(self, name: str) -> User | None:
        return next((u for u in self.users if u.name == name), None)

    def projects_of(self, user: User) -> tuple[Project, ...]:
        """The enabled projects in which a user has a role."""
        return tuple(p for p in self.projects if p.enabled and user.roles.get(p.name))

    @staticmethod
    def roles_in(user: User, project: Project) -> tuple[str, ...]:
        """A user's roles in a project, with those implied, the strongest first."""
        held = set(user.roles.get(project.name, ()))
        for role in tuple(held):
            held.update(_IMPLIED.get(role, ()))
        return tuple(role for role in ROLES if role in held)


@dataclass(frozen=True)
class NewUser:
    """A user to be written to a new file. `roles` are by project name; the first project is the default."""

    name: str
    password: str
    roles: Mapping[str, Sequence[str]]


def load(path: Path) -> Directory:
    """Reads an identity file. Raises IdentityError."""
    try:
        with path.open("rb") as stream:
            directory = msgspec.convert(tomllib.load(stream), Directory)
    except OSError as error:
        raise IdentityError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise IdentityError(f"{path}: {error}") from error
    _check(path, directory)
    return directory


def _check(path: Path, directory: Directory) -> None:
    names = {project.name for project in directory.projects}
    for kind, items in (("project", directory.projects), ("user", directory.users)):
        seen: set[str] = set()
        for item in items:
            if item.name in seen or item.id in seen:
                raise IdentityError(f"{path}: two {kind}s named {item.name!r}, or with its id")
            seen |= {item.name, item.id}
    for user in directory.users:
        for project, roles in user.roles.items():
            if project not in names:
                raise IdentityError(f"{path}: user {user.name!r} has roles in {project!r}, which is no project")
            unknown = set(roles) - set(ROLES)
            if unknown:
                raise IdentityError(f"{path}: user {user.name!r}: no role is named {min(unknown)!r}")


def create_identity_file(path: Path, projects: Iterable[str], users: Iterable[NewUser]) -> Directory:
    """Writes a new identity file (mode 0600) with fresh ids, and returns what it holds. Raises IdentityError."""
    directory = Directory(
        tuple(Project(uuid.uuid4().hex, name) for name in projects),
        tuple(
            User(
                uuid.uuid4().hex,
                user.name,
                hash_password(user.password),
                next(iter(user.roles), ""),
                roles={project: tuple(roles) for project, roles in user.roles.items()},
            )
            for user in users
        ),
    )
    _check(path, directory)
    text = to_toml(directory)
    try:
        new = path.with_name(path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        new.replace(path)
    except OSError as error:
        raise IdentityError(f"cannot write {path}: {error.strerror}") from error
    return directory


def to_toml(directory: Directory) -> str:
    """The file's text. JSON's texts are TOML's basic strings."""
    lines = []
    for project in directory.projects:
        lines += ["[[projects]]", *_pairs(id=project.id, name=project.name, description=project.description)]
        lines += [f"enabled = {json.dumps(project.enabled)}", ""]
    for user in directory.users:
        pairs = _pairs(id=user.id, name=user.name, password=user.password, default_project=user.default_project)
        roles = ", ".join(f"{json.dumps(name)} = {json.dumps(list(held))}" for name, held in user.roles.items())
        lines += ["[[users]]", *pairs, f"enabled = {json.dumps(user.enabled)}", f"roles = {{ {roles} }}", ""]
    return "\n".join(lines)


def _pairs(**values: str) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]


def hash_password(password: str) -> str:
    """`scrypt$N$R$P$SALT$HASH` (RFC 7914), salt and hash in base64."""
    salt = os.urandom(_SALT)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MAX_MEMORY, dklen=_LENGTH)
    texts = (base64.b64encode(value).decode() for value in (salt, digest))
    return "$".join(("scrypt", str(_N), str(_R), str(_P), *texts))


def verify_password(password: str, hashed: str) -> bool:
    """Whether a password is the hashed one. Takes tens of milliseconds, on purpose; False for a malformed hash."""
    try:
        kind, n, r, p, salt, digest = hashed.split("$")
        wanted = base64.b64decode(digest, validate=True)
        found = hashlib.scrypt(
            password.encode(),
            salt=base64.b64decode(salt, validate=True),
            n=int(n),
            r=int(r),
            p=int(p),
            maxmem=_MAX_MEMORY,
            dklen=len(wanted),
        )
    except ValueError:
        return False
    return kind == "scrypt" and hmac.compare_digest(found, wanted)
