"""IPv6 prefix delegation (RFC 8415 §6.3): not offered.

northd has flows for the answers of a delegating router at every router port; a host that asks for no prefixes gets none
and drops what comes. A port that is told to ask is a failure by name.

Tests: tests/unit/controller/services/test_prefix_delegation.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller.local import LOCAL_DATAPATHS
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid

DELEGATIONS: Relation[Uuid, bool] = Relation("prefix delegation")


class UnsupportedDelegation(ValueError):
    """A router port that is to get prefixes from somebody."""


@rule(over=sb.PortBinding, writes=(DELEGATIONS,))
def delegation(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """Whether a port of a local datapath asks for no prefixes."""
    port = q.row(sb.PortBinding, uuid)
    if "true" in (port.options.get("ipv6_prefix_delegation"), port.options.get("ipv6_prefix")):
        if q.get(LOCAL_DATAPATHS, port.datapath) is not None:
            raise UnsupportedDelegation(f"port {port.logical_port!r}: IPv6 prefix delegation is not supported")
        yield DELEGATIONS(uuid, True)


RULES: Final = (delegation,)
