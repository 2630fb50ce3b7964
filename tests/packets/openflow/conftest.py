"""A real ovs-vswitchd for one test module."""

from collections.abc import Iterator

import pytest

from support.dummy_switch import Switch, running_switch


@pytest.fixture(scope="module")
def switch() -> Iterator[Switch]:
    with running_switch() as made:
        yield made
