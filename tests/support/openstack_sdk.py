"""openstacksdk as a user of a test's API (`support.api_server`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import openstack.connection

from support.api_server import Cloud


@contextlib.contextmanager
def sdk_connection(cloud: Cloud, name: str) -> Iterator[openstack.connection.Connection]:
    """A connection of this user, with the user's first project."""
    environment = cloud.environment(name)
    auth = {
        "auth_url": cloud.identity,
        "username": name,
        "password": environment["OS_PASSWORD"],
        "project_name": environment["OS_PROJECT_NAME"],
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    made = openstack.connection.Connection(
        auth=auth, region_name="RegionOne", identity_interface="public", identity_api_version="3"
    )
    with contextlib.closing(made):
        yield made
