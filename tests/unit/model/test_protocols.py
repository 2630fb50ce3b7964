"""Names of protocols."""

from __future__ import annotations

import pytest
from neutron_lib import constants

from ovine.model.protocols import PROTOCOLS, protocol_number


def test_the_names_are_neutrons() -> None:
    assert dict(constants.IP_PROTOCOL_MAP) == PROTOCOLS


@pytest.mark.parametrize(("text", "number"), [("tcp", 6), ("6", 6), ("icmpv6", 58), ("255", 255)])
def test_a_protocol_is_a_name_or_a_number(text: str, number: int) -> None:
    assert protocol_number(text) == number
