"""Tokens of another identity service; that of a second daemon speaks the same Identity v3 as a Keystone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from support.api_server import CONFIG, Caller, Cloud, running_cloud
from support.ovsdb import wait_until


@pytest.fixture(scope="module")
def keystone(cloud: Cloud) -> Cloud:
    """The cloud whose identity is asked."""
    return cloud


@pytest.fixture(scope="module")
def served(keystone: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    config = f"""{CONFIG}
[keystone]
url = "{keystone.identity}"
username = "admin"
password = "admin-secret"
project_name = "admin"
cache_seconds = 0.2
"""
    with running_cloud(tmp_path_factory.mktemp("served"), config=config) as running:
        yield running


def caller(keystone: Cloud, served: Cloud, name: str) -> Caller:
    return Caller(served.daemons[0].network, keystone.user(name).token, served.http)


def test_a_keystones_users_work_in_their_projects(keystone: Cloud, served: Cloud) -> None:
    alice, bob = (caller(keystone, served, name) for name in ("alice", "bob"))
    network = alice.make("network", name="hers")
    assert network["project_id"] == keystone.project_id("demo")
    assert bob.get(f"/v2.0/networks/{network['id']}")[0] == 404
    assert caller(keystone, served, "admin").show("network", network["id"])["provider:network_type"] == "geneve"


def test_what_keystone_does_not_know_is_refused(served: Cloud) -> None:
    for token in ("", "nonsense", "\u00e9"):
        reply = served.http.get(f"{served.daemons[0].network}/v2.0/networks", headers={"X-Auth-Token": token.encode()})
        assert (reply.status_code, reply.json()["NeutronError"]["type"]) == (401, "HTTPUnauthorized")


def test_a_revoked_token_ends_when_it_is_forgotten(keystone: Cloud, served: Cloud) -> None:
    bob = caller(keystone, served, "bob")
    assert bob.get("/v2.0/networks")[0] == 200
    headers = {"X-Auth-Token": bob.token, "X-Subject-Token": bob.token}
    assert keystone.http.delete(f"{keystone.identity}/auth/tokens", headers=headers).status_code == 204
    wait_until(lambda: bob.get("/v2.0/networks")[0] == 401, "the token ends")


def test_without_keystone_there_is_no_answer_but_a_503(keystone: Cloud, served: Cloud) -> None:
    alice = caller(keystone, served, "alice")
    process = keystone.daemons[0].process
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    wait_until(lambda: alice.get("/v2.0/networks")[0] == 503, "nothing is remembered any more")
    assert alice.get("/v2.0/networks")[1]["NeutronError"]["type"] == "ServiceUnavailable"
