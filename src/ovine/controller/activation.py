"""Ports that wait to be activated: additional bindings with `options:activation-strategy`.

While a machine migrates, its port is on both hosts. On the new one it is *blocked*, in both directions, until a packet
comes out of it that shows that the machine runs there: a *sign of life*, as hypervisors or the machine itself send it.
That packet is let through, and reported (`ovine.controller.services.activation`). The port is open at once
(`Activated`), and this chassis enters itself into `options:additional-chassis-activated`, which counts from then on.

A nested port is blocked with its parent. Source: ovn-nb(5), options:activation-strategy.
Tests: tests/unit/controller/services/test_activation.py, tests/cases/controller/places.txt,
tests/cases/packets/port_activation.txt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ovine.controller.config import config
from ovine.controller.local import CLAIMS, port_named
from ovine.controller.services.userdata import Opcode, Userdata
from ovine.engine import Reader, query
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.openflow import Controller, Entry

ACTIVATED: Final = "additional-chassis-activated"
SIGNS: Final[dict[str, tuple[Entry, ...]]] = {
    "rarp": (("eth_type", 0x8035, None),),
    "garp": (("eth_type", 0x0806, None),),
    "na": (("eth_type", 0x86DD, None), ("ip_proto", 58, None), ("icmpv6_type", 136, None)),
}
"""What counts as a sign of life, by the word of a strategy. OVN has the first since 22.09, the others since 25.03."""


@dataclass(frozen=True)
class Activated:
    """A port has given a sign of life, and its binding does not say so yet. By logical port."""


REPORT: Final = Controller(userdata=Userdata(Opcode.ACTIVATE).encode())


def _strategies(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word in SIGNS)


@query
def is_blocked(q: Reader, uuid: Uuid) -> bool:
    """Whether a port that is claimed here waits to be activated."""
    return _waiting(q, uuid) is not None


@query
def signs_of_life(q: Reader, uuid: Uuid) -> tuple[tuple[Entry, ...], ...]:
    """What ends a blocked port's waiting. A nested port waits for its parent."""
    row = q.row(sb.PortBinding, uuid)
    waiting = _waiting(q, uuid)
    if waiting != uuid:
        return ()
    return tuple(SIGNS[word] for word in _strategies(row.options.get("activation-strategy", "")))


def _waiting(q: Reader, uuid: Uuid) -> Uuid | None:
    """The port that has to be activated before this one is open: itself, or its parent."""
    port, claim, settings = q.row(sb.PortBinding, uuid), q.get(CLAIMS, uuid), config(q)
    if claim is None or settings is None or not claim.additional:
        return None
    if port.parent_port:
        parent = port_named(q, port.parent_port)
        return _waiting(q, parent) if parent is not None else None
    if not _strategies(port.options.get("activation-strategy", "")):
        return None
    said = settings.chassis in port.options.get(ACTIVATED, "").split(",")
    return None if said or q.value(Activated, port.logical_port) is not None else uuid


def is_over(binding: sb.PortBinding | None, name: str, ours: Uuid | None) -> bool:
    """Whether a binding says by now that its port is active on the chassis `name`, or is not to be there any more."""
    if binding is None or ours not in binding.requested_additional_chassis:
        return True
    return name in binding.options.get(ACTIVATED, "").split(",")
