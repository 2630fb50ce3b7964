"""What the local database should say, gathered from the derived relations.

Tests: tests/interop/controller/.
"""

from __future__ import annotations

from collections.abc import Iterable

from ovine.controller.bfd import BFD
from ovine.controller.local import CLAIMS, Claim
from ovine.controller.mirrors import MIRRORS
from ovine.controller.patches import PATCHES
from ovine.controller.rates import SHAPED
from ovine.controller.southbound import Progress
from ovine.controller.tunnels import TUNNELS
from ovine.controller.vswitch import Wanted
from ovine.controller.zones import ZONES
from ovine.engine import Engine
from ovine.model.base import Uuid


def wanted(engine: Engine, progress: Progress, now: int) -> Wanted:
    """Of an engine at rest; `now` is in milliseconds since the epoch."""
    claims = engine.rows(CLAIMS)
    status = {"ovn-nb-cfg": str(progress.nb_cfg), "ovn-nb-cfg-ts": str(progress.timestamp)}
    return Wanted(
        tunnels=engine.rows(TUNNELS),
        bfd=engine.rows(BFD),
        patches=engine.rows(PATCHES),
        mirrors=engine.rows(MIRRORS),
        shaped=engine.rows(SHAPED),
        zones=engine.rows(ZONES),
        claimed=_interfaces(claims.values()),
        installed=_interfaces(claim for uuid, claim in progress.installed if claims.get(uuid) == claim),
        status=status if progress.nb_cfg else {},
        now=now,
    )


def _interfaces(claims: Iterable[Claim]) -> set[Uuid]:
    return {claim.interface for claim in claims if claim.interface is not None}
