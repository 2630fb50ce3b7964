"""Mirrors: what ports of this host send, or get, goes also into a tunnel to somebody who listens.

A row of the southbound table Mirror becomes a Mirror of br-int, of the ports that name it and are bound here, with a
GRE or ERSPAN port for its output (`ovine.controller.vswitch` writes both). A mirror whose ports are elsewhere costs
nothing.

Source: ovn-sb(5), tables Mirror and Port_Binding; ovs-vswitchd.conf.db(5), table Mirror.
Tests: tests/unit/controller/test_controller_mirrors.py, tests/interop/controller/test_controller_plans.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ovine.controller.local import CLAIMS
from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import StrMap, Uuid

MARK: Final = "ovn-owned"
"""In external_ids of the mirrors that a controller of OVN, ours or another, has made: "true"."""


class Mirror(NamedTuple):
    """A mirror of this host. `sent`: of what the interfaces send, not of what they get."""

    kind: str
    options: StrMap
    sent: bool
    interfaces: tuple[Uuid, ...]


MIRRORS: Relation[str, Mirror] = Relation("mirror")
"""By name."""

MIRRORED: Final = Index(sb.PortBinding, lambda port: port.mirror_rules, "ports by mirror")


@rule(over=MIRRORED, writes=(MIRRORS,))
def mirrors(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """A mirror with ports here."""
    row = q.get(sb.Mirror, uuid)
    claims = (q.get(CLAIMS, port) for port in q.find(MIRRORED, uuid))
    interfaces = {claim.interface for claim in claims if claim is not None and claim.interface is not None}
    if row is None or not interfaces:
        return
    options = {"remote_ip": row.sink, "key": str(row.index)}
    if row.type == "erspan":
        options |= {"erspan_ver": "1", "erspan_idx": str(row.index)}
    yield MIRRORS(row.name, Mirror(row.type, StrMap(options), row.filter == "from-lport", tuple(sorted(interfaces))))


RULES: Final = (mirrors,)
