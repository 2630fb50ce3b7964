"""Patch ports between the integration bridge and the provider bridges of `ovn-bridge-mappings`.

Each localnet port of a local datapath, and each port of a layer 2 gateway that is bound here, has a pair of its own if
its network is mapped: `patch-br-int-to-LPORT` on the integration bridge, `patch-LPORT-to-br-int` on the provider's.

Tests: tests/unit/controller/test_controller_local.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ovine.controller.config import config
from ovine.controller.local import BRIDGE_BY_NAME, CLAIMS, LOCAL_DATAPATHS
from ovine.controller.physical import patch_name
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid

LOCALNET_PORT: Final = "ovn-localnet-port"
L2GATEWAY_PORT: Final = "ovn-l2gateway-port"
MARKS: Final = {"localnet": LOCALNET_PORT, "l2gateway": L2GATEWAY_PORT}


class Patch(NamedTuple):
    """One end: the bridge it is in, its peer's name, the logical port it is for, and the mark that says so."""

    bridge: str
    peer: str
    logical_port: str
    mark: str = LOCALNET_PORT


PATCHES: Relation[str, Patch] = Relation("patch port")
"""By name."""


class MissingBridge(ValueError):
    """A mapping names a bridge that does not exist."""


@rule(over=sb.PortBinding, writes=(PATCHES,))
def patch_ports(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The two ends for a localnet port of a local datapath, or a layer 2 gateway's port that is bound here."""
    port = q.row(sb.PortBinding, uuid)
    settings, mark = config(q), MARKS.get(port.type)
    if mark is None or settings is None or q.get(LOCAL_DATAPATHS, port.datapath) is None:
        return
    if port.type == "l2gateway" and q.get(CLAIMS, uuid) is None:
        return
    bridge = settings.bridges.get(port.options.get("network_name", ""))
    if bridge is None:
        return
    if not q.find(BRIDGE_BY_NAME, bridge):
        raise MissingBridge(f"ovn-bridge-mappings names bridge {bridge!r}, which does not exist")
    near, far = patch_name(settings.bridge, port.logical_port), patch_name(port.logical_port, settings.bridge)
    yield PATCHES(near, Patch(settings.bridge, far, port.logical_port, mark))
    yield PATCHES(far, Patch(bridge, near, port.logical_port, mark))


RULES = (patch_ports,)
