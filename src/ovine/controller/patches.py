"""Patch ports between the integration bridge and the provider bridges of `ovn-bridge-mappings`.

Each localnet port of a local datapath, if its network is mapped, has a pair of its own: `patch-br-int-to-LPORT` on the
integration bridge, `patch-LPORT-to-br-int` on the provider's.

Tests: tests/unit/controller/test_controller_local.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ovine.controller.config import config
from ovine.controller.local import BRIDGE_BY_NAME, LOCAL_DATAPATHS
from ovine.controller.physical import patch_name
from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Uuid

LOCALNET_PORT: Final = "ovn-localnet-port"


class Patch(NamedTuple):
    """One end: the bridge it is in, its peer's name, the localnet port it is for."""

    bridge: str
    peer: str
    logical_port: str


PATCHES: Relation[str, Patch] = Relation("patch port")
"""By name."""


class MissingBridge(ValueError):
    """A mapping names a bridge that does not exist."""


@rule(over=sb.PortBinding, writes=(PATCHES,))
def patch_ports(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The two ends for a localnet port of a local datapath."""
    port = q.row(sb.PortBinding, uuid)
    settings = config(q)
    if port.type != "localnet" or settings is None or q.get(LOCAL_DATAPATHS, port.datapath) is None:
        return
    bridge = settings.bridges.get(port.options.get("network_name", ""))
    if bridge is None:
        return
    if not q.find(BRIDGE_BY_NAME, bridge):
        raise MissingBridge(f"ovn-bridge-mappings names bridge {bridge!r}, which does not exist")
    near, far = patch_name(settings.bridge, port.logical_port), patch_name(port.logical_port, settings.bridge)
    yield PATCHES(near, Patch(settings.bridge, far, port.logical_port))
    yield PATCHES(far, Patch(bridge, near, port.logical_port))


RULES = (patch_ports,)
