"""The tool that runs Neutron's test-suite: its front takes what the identity refuses, from administrators only."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ovine.api.identity.users import load
from support.api_server import Caller, Cloud, credentials
from support.ovsdb import free_port

TOOL = Path(__file__).parents[2] / "tools/neutron_suite.py"


@pytest.fixture
def front(cloud: Cloud) -> Iterator[str]:
    """The URL of a front before the cloud's identity, with the identity file as it was in the end."""
    spec = importlib.util.spec_from_file_location("neutron_suite", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    file, port = cloud.directory / "identity.toml", free_port()
    server = tool.serve_front(port, cloud.identity.removesuffix("/v3"), tool.IdentityFile(file))
    before = file.read_text()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
        file.write_text(before)


def token(cloud: Cloud, front: str, name: str, password: str, project: str) -> Any:
    return cloud.http.post(f"{front}/v3/auth/tokens", json=credentials(name, password, project))


def test_projects_and_users_come_get_roles_and_go(cloud: Cloud, front: str, admin: Caller) -> None:
    boss = Caller(front, admin.token, cloud.http)
    _, made = boss.post("/v3/projects", {"project": {"name": "short", "description": "d"}})
    project = made["project"]["id"]
    assert boss.get(f"/v3/projects/{project}")[1]["project"]["name"] == "short"
    _, made = boss.post("/v3/users", {"user": {"name": "guest", "password": "guest-secret"}})
    user = made["user"]["id"]
    assert token(cloud, front, "guest", "guest-secret", "short").status_code == 401
    for role in ("member", "reader"):
        assert boss.call("PUT", f"/v3/projects/{project}/users/{user}/roles/{role}") == (204, None)
    given = token(cloud, front, "guest", "guest-secret", "short")
    assert {role["name"] for role in given.json()["token"]["roles"]} == {"member", "reader"}
    guest = Caller(cloud.daemons[0].network, given.headers["X-Subject-Token"], cloud.http)
    assert guest.make("network")["project_id"] == project
    assert boss.delete(f"/v3/users/{user}") == (204, None)
    assert guest.get("/v2.0/networks")[0] == 401
    assert boss.delete(f"/v3/projects/{project}") == (204, None)
    left = load(cloud.directory / "identity.toml")
    assert left.project(project) is None and left.user(user) is None


def test_only_administrators_change_anything_and_the_rest_is_the_identitys_answer(
    cloud: Cloud, front: str, admin: Caller, alice: Caller
) -> None:
    guest, boss = Caller(front, alice.token, cloud.http), Caller(front, admin.token, cloud.http)
    before = load(cloud.directory / "identity.toml")
    assert guest.post("/v3/projects", {"project": {"name": "mine"}})[0] == 403
    assert guest.delete(f"/v3/projects/{cloud.project_id('demo')}")[0] == 403
    assert Caller(front, "x", cloud.http).post("/v3/projects", {"project": {"name": "mine"}})[0] == 401
    assert boss.post("/v3/roles", {"role": {"name": "new"}})[0] == 403
    assert load(cloud.directory / "identity.toml") == before
