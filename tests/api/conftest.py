"""One API server per test module; tests make their own resources and leave nothing that others would trip over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.api_server import Caller, Cloud, running_cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def admin(cloud: Cloud) -> Caller:
    return cloud.user("admin")


@pytest.fixture
def alice(cloud: Cloud) -> Caller:
    return cloud.user("alice")


@pytest.fixture
def bob(cloud: Cloud) -> Caller:
    return cloud.user("bob")
