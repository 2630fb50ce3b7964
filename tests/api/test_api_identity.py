"""The local identity: tokens, scopes, revocation, and what may be read."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.api_server import Cloud, credentials


def issue(cloud: Cloud, body: Any) -> httpx.Response:
    return cloud.http.post(f"{cloud.identity}/auth/tokens", json=body)


def get(cloud: Cloud, token: str, path: str) -> tuple[int, Any]:
    reply = cloud.http.get(f"{cloud.identity}{path}", headers={"X-Auth-Token": token})
    return reply.status_code, reply.json()


def token_of(cloud: Cloud, name: str, project: str | None = None) -> str:
    reply = issue(cloud, credentials(name, f"{name}-secret", project))
    assert reply.status_code == 201, reply.text
    return reply.headers["X-Subject-Token"]


def test_a_password_gives_a_token_with_project_roles_and_catalog(cloud: Cloud) -> None:
    token = issue(cloud, credentials("alice", "alice-secret", "demo")).json()["token"]
    assert token["user"]["name"] == "alice"
    assert token["project"] == {
        "id": cloud.project_id("demo"),
        "name": "demo",
        "domain": {"id": "default", "name": "Default"},
    }
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    urls = {s["type"]: e["url"] for s in token["catalog"] for e in s["endpoints"] if e["interface"] == "public"}
    assert urls == {"identity": cloud.identity, "network": cloud.daemons[0].network}


def test_without_a_scope_the_default_project_is_taken_unless_none_is_wanted(cloud: Cloud) -> None:
    body = credentials("alice", "alice-secret")
    assert issue(cloud, body).json()["token"]["project"]["name"] == "demo"
    body["auth"]["scope"] = "unscoped"
    reply = issue(cloud, body)
    assert "project" not in reply.json()["token"]
    network = cloud.http.get(
        f"{cloud.daemons[0].network}/v2.0/networks", headers={"X-Auth-Token": reply.headers["X-Subject-Token"]}
    )
    assert network.status_code == 401


def test_a_token_is_exchanged_for_one_of_another_project(cloud: Cloud) -> None:
    first = token_of(cloud, "admin", "admin")
    scope = {"project": {"id": cloud.project_id("demo")}}
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": first}}, "scope": scope}}
    reply = issue(cloud, body)
    assert reply.json()["token"]["project"]["name"] == "demo"
    assert reply.json()["token"]["methods"] == ["password", "token"]
    assert get(cloud, reply.headers["X-Subject-Token"], "/auth/projects")[0] == 200


REFUSED = {
    "wrong password": (credentials("alice", "wrong", "demo"), 401),
    "no such user": (credentials("mallory", "x", "demo"), 401),
    "another's project": (credentials("alice", "alice-secret", "other"), 401),
    "no such project": (credentials("alice", "alice-secret", "nowhere"), 401),
    "unknown method": ({"auth": {"identity": {"methods": ["totp"]}}}, 401),
    "bad token": ({"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}}}, 401),
    "password is a number": (credentials("alice", 5, "demo"), 400),  # type: ignore[arg-type]
    "no auth": ({}, 400),
    "a list": ([], 400),
    "no user": ({"auth": {"identity": {"methods": ["password"], "password": {}}}}, 400),
}


@pytest.mark.parametrize("body, status", REFUSED.values(), ids=REFUSED.keys())
def test_bad_credentials_are_refused_in_keystones_shape(cloud: Cloud, body: Any, status: int) -> None:
    reply = issue(cloud, body)
    assert reply.status_code == status
    assert reply.json()["error"]["code"] == status
    assert "X-Subject-Token" not in reply.headers


def test_malformed_json_and_large_bodies_are_refused(cloud: Cloud) -> None:
    url = f"{cloud.identity}/auth/tokens"
    assert cloud.http.post(url, content=b"{").json()["error"]["code"] == 400
    assert cloud.http.post(url, content=b"x" * (1 << 20)).json()["error"]["code"] == 413


def test_a_token_can_be_checked_and_revoked(cloud: Cloud) -> None:
    admin, alice = token_of(cloud, "admin"), token_of(cloud, "alice")
    url = f"{cloud.identity}/auth/tokens"
    headers = {"X-Auth-Token": admin, "X-Subject-Token": alice}
    shown = cloud.http.get(url, headers=headers)
    assert (shown.status_code, shown.json()["token"]["user"]["name"]) == (200, "alice")
    assert cloud.http.head(url, headers=headers).status_code == 200
    assert cloud.http.get(url, headers={"X-Auth-Token": alice, "X-Subject-Token": admin}).status_code == 403
    assert cloud.http.delete(url, headers=headers).status_code == 204
    assert cloud.http.get(url, headers=headers).status_code == 404
    network = f"{cloud.daemons[0].network}/v2.0/networks"
    assert cloud.http.get(network, headers={"X-Auth-Token": alice}).status_code == 401


def test_users_see_themselves_and_administrators_see_all(cloud: Cloud) -> None:
    admin, alice = token_of(cloud, "admin"), token_of(cloud, "alice")
    users = {user["name"]: user["id"] for user in get(cloud, admin, "/users")[1]["users"]}
    assert set(users) == {"admin", "alice", "reader", "bob", "nova"}
    assert [p["name"] for p in get(cloud, alice, "/auth/projects")[1]["projects"]] == ["demo"]
    assert [p["name"] for p in get(cloud, alice, f"/users/{users['alice']}/projects")[1]["projects"]] == ["demo"]
    assert get(cloud, alice, f"/users/{users['alice']}")[1]["user"]["name"] == "alice"
    for path in ("/users", "/projects", "/roles", f"/users/{users['bob']}", f"/projects/{cloud.project_id('other')}"):
        assert get(cloud, alice, path)[0] == 403
    assert get(cloud, admin, "/projects?name=demo")[1]["projects"][0]["id"] == cloud.project_id("demo")
    assert get(cloud, admin, "/projects?name=nothing")[1]["projects"] == []
    assert {role["name"] for role in get(cloud, admin, "/roles")[1]["roles"]} >= {"admin", "member", "reader"}
    assert get(cloud, admin, "/domains/default")[1]["domain"]["name"] == "Default"
    assert get(cloud, admin, "/nothing")[0] == 404
    assert get(cloud, "", "/users")[0] == 401


def test_versions_are_told_without_a_token(cloud: Cloud) -> None:
    root = cloud.http.get(cloud.identity.removesuffix("/v3") + "/")
    assert (root.status_code, root.json()["versions"]["values"][0]["id"]) == (300, "v3.14")
    assert cloud.http.get(cloud.identity).json()["version"]["status"] == "stable"


def test_what_is_in_the_file_is_not_changed_over_http(cloud: Cloud) -> None:
    reply = cloud.http.post(
        f"{cloud.identity}/projects",
        json={"project": {"name": "x"}},
        headers={"X-Auth-Token": token_of(cloud, "admin")},
    )
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, 403)
