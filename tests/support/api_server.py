"""A real API for tests: its databases, one or more daemons on them, and users who call it.

    with running_cloud(tmp_path) as cloud:
        reply = cloud.user("alice").post("/v2.0/networks", {"network": {"name": "blue"}})

Users: admin (admin in project admin), alice and reader (member and reader in demo), bob (member in other), nova (admin
and service in admin); the password of each is NAME-secret. All processes are children of the test, ended when the
`with` block ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ovine.api.identity.users import NewUser, create_identity_file, load
from ovine.model import cloud as cloud_model
from ovine.model import sb
from ovine.model.base import Map
from ovine.ovsdb import Transaction
from support.ovsdb import Server, connected, free_port, start_server, wait_until

USERS = (
    NewUser("admin", "admin-secret", {"admin": ["admin"], "demo": ["admin"]}),
    NewUser("alice", "alice-secret", {"demo": ["member"]}),
    NewUser("reader", "reader-secret", {"demo": ["reader"]}),
    NewUser("bob", "bob-secret", {"other": ["member"]}),
    NewUser("nova", "nova-secret", {"admin": ["admin", "service"]}),
)
CONFIG = """
flat_networks = ["public"]
[vlan_ranges]
physnet1 = ["100:199"]
"""


UNLIMITED = """
[quota]
network = -1
subnet = -1
port = -1
router = -1
floatingip = -1
security_group = -1
security_group_rule = -1
"""
"""Tests share their projects."""


@dataclass
class Caller:
    """A user with a token; each method returns the reply's status and decoded body."""

    base: str
    token: str
    http: httpx.Client

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        given = {"X-Auth-Token": self.token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        reply = self.http.request(method, self.base + path, json=body, headers=given)
        return reply.status_code, reply.json() if reply.content else None

    def get(self, path: str) -> tuple[int, Any]:
        return self.call("GET", path)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        return self.call("PUT", path, body, **headers)

    def delete(self, path: str) -> tuple[int, Any]:
        return self.call("DELETE", path)

    # The same, for what must succeed.

    def make(self, kind: str, **attributes: Any) -> Any:
        status, body = self.post(collection(kind), {kind: attributes})
        assert status == 201, body
        return body[kind]

    def show(self, kind: str, uuid: str) -> Any:
        status, body = self.get(f"{collection(kind)}/{uuid}")
        assert status == 200, body
        return body[kind]

    def change(self, kind: str, uuid: str, **attributes: Any) -> Any:
        status, body = self.put(f"{collection(kind)}/{uuid}", {kind: attributes})
        assert status == 200, body
        return body[kind]

    def list(self, kind: str, query: str = "") -> list[Any]:
        status, body = self.get(f"{collection(kind)}?{query}")
        assert status == 200, body
        found: list[Any] = body[f"{kind}s"]
        return found

    def remove(self, kind: str, uuid: str) -> None:
        status, body = self.delete(f"{collection(kind)}/{uuid}")
        assert status == 204, body


@dataclass
class Daemon:
    """One API daemon."""

    process: subprocess.Popen[bytes]
    network: str
    identity: str
    log: Path


@dataclass
class Cloud:
    """Two databases and the API daemons on them."""

    directory: Path
    cloud_db: Server
    sb_db: Server
    daemons: list[Daemon] = field(default_factory=list)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return self.daemons[0].identity

    def user(self, name: str, project: str = "", daemon: int = 0) -> Caller:
        """A caller with a token for a project (by default the user's first)."""
        known = next(user for user in USERS if user.name == name)
        project = project or next(iter(known.roles))
        if (name, project) not in self._tokens:
            reply = self.http.post(f"{self.identity}/auth/tokens", json=credentials(name, known.password, project))
            assert reply.status_code == 201, reply.text
            self._tokens[name, project] = reply.headers["X-Subject-Token"]
        return Caller(self.daemons[daemon].network, self._tokens[name, project], self.http)

    def project_id(self, name: str) -> str:
        project = load(self.directory / "identity.toml").project_named(name)
        assert project is not None
        return project.id

    def environment(self, name: str, project: str = "") -> dict[str, str]:
        """What makes the `openstack` client act as a user."""
        known = next(user for user in USERS if user.name == name)
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "OS_AUTH_URL": self.identity,
            "OS_USERNAME": name,
            "OS_PASSWORD": known.password,
            "OS_PROJECT_NAME": project or next(iter(known.roles)),
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_IDENTITY_API_VERSION": "3",
        }

    def start_daemon(self, workers: int = 1) -> Daemon:
        """Starts one more daemon and waits until it answers."""
        network, identity = free_port(), free_port()
        log = self.directory / f"api{len(self.daemons)}.log"
        words = [
            *(sys.executable, "-m", "ovine.daemons.api"),
            f"--cloud-db={self.cloud_db.remote}",
            f"--sb-db={self.sb_db.remote}",
            f"--config={self.directory / 'ovine.toml'}",
            f"--identity-file={self.directory / 'identity.toml'}",
            f"--bind=127.0.0.1:{network}",
            f"--identity-bind=127.0.0.1:{identity}",
            f"--workers={workers}",
            "--unixctl=none",
            f"--log-file={log}",
            "-vconsole:off",
        ]
        with log.with_suffix(".out").open("wb") as out:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=os.environ | {"OVN_RUNDIR": str(self.directory)},
            )
        daemon = Daemon(process, f"http://127.0.0.1:{network}", f"http://127.0.0.1:{identity}/v3", log)
        self.daemons.append(daemon)

        def answers() -> bool:
            assert process.poll() is None, log.with_suffix(".out").read_text()
            try:
                return self.http.get(f"{daemon.network}/").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, "the API answers")
        return daemon

    def register_chassis(self, name: str, hostname: str, **other_config: str) -> None:
        """Does what a controller does at its start, as far as the API can see."""
        settings = Map({key.replace("_", "-"): value for key, value in other_config.items()})
        asyncio.run(_insert_chassis(self.sb_db.remote, name, hostname, settings))

    def stop(self) -> None:
        for daemon in self.daemons:
            daemon.process.terminate()
        for daemon in self.daemons:
            try:
                daemon.process.wait(10)
            except subprocess.TimeoutExpired:
                daemon.process.kill()
                daemon.process.wait()
        self.http.close()


async def _insert_chassis(remote: str, name: str, hostname: str, settings: Map[str, str]) -> None:
    async with connected(sb.DATABASE, remote, monitors=[sb.Chassis]) as client:
        txn = Transaction()
        ip = f"192.0.2.{len(client.replica.rows(sb.Chassis)) + 1}"
        encap = txn.insert(sb.Encap(type="geneve", ip=ip, chassis_name=name))
        txn.insert(sb.Chassis(name=name, hostname=hostname, encaps=(encap,), other_config=settings))
        await client.transact(txn)


def collection(kind: str) -> str:
    """The path of a kind of resource."""
    return f"/v2.0/{kind.replace('_', '-')}s"


def credentials(name: str, password: str, project: str | None = None) -> dict[str, Any]:
    """The body of a password authentication."""
    user = {"name": name, "domain": {"id": "default"}, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if project is not None:
        auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
    return {"auth": auth}


@contextlib.contextmanager
def running_cloud(directory: Path, *, daemons: Sequence[int] = (1,), config: str = CONFIG) -> Iterator[Cloud]:
    """A cloud with one daemon for each number of workers in `daemons`."""
    (directory / "ovine.toml").write_text(config if "[quota]" in config else config + UNLIMITED)
    create_identity_file(directory / "identity.toml", ["admin", "demo", "other"], USERS)
    with (
        start_server(cloud_model.DATABASE, directory / "cloud", name="cloud") as upper,
        start_server(sb.DATABASE, directory / "sb", name="sb") as lower,
    ):
        cloud = Cloud(directory, upper, lower)
        try:
            for workers in daemons:
                cloud.start_daemon(workers)
            yield cloud
        finally:
            cloud.stop()
