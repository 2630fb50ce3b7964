"""Which tunnels are watched by BFD (RFC 5880), and how often.

Whoever may send to a group of chassis, or be the active one of it, must know which of its members are live: members
watch each other and all chassis in `ref_chassis`, which have ports that reach the group's; those watch the members. A
group of one needs no watching.

Times are SB_Global's options `bfd-min-rx`, `bfd-decay-min-rx`, `bfd-min-tx` (milliseconds) and `bfd-mult`; what is not
set is Open vSwitch's default, with which a dead chassis is noticed after three seconds (ovs-vswitchd.conf.db(5)).

Tests: tests/unit/controller/test_controller_ha.py, tests/lab/test_lab_gateways.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ovine.controller.ha import members
from ovine.controller.local import chassis
from ovine.engine import Emit, Reader, Relation, query, rule
from ovine.model import sb
from ovine.model.base import StrMap, Uuid

BFD: Relation[str, StrMap] = Relation("BFD settings of a tunnel")
"""By name of the chassis to which the tunnels lead."""

SETTINGS: Final = {
    "bfd-min-rx": "min_rx",
    "bfd-decay-min-rx": "decay_min_rx",
    "bfd-min-tx": "min_tx",
    "bfd-mult": "mult",
}
"""The key in Interface.bfd, by option."""


@query
def settings(q: Reader) -> StrMap:
    """What Interface.bfd says of a tunnel that is watched."""
    found = {"enable": "true", "check_tnl_key": "true"}
    for uuid in q.keys(sb.SBGlobal):
        options = q.row(sb.SBGlobal, uuid).options
        found |= {key: options[option] for option, key in SETTINGS.items() if options.get(option, "").isdecimal()}
    return StrMap(found)


@query
def watched(q: Reader, group: Uuid) -> frozenset[Uuid]:
    """The chassis that this one watches for the sake of a group."""
    own, order, row = chassis(q), members(q, group), q.get(sb.HAChassisGroup, group)
    if row is None or len(order) < 2:
        return frozenset()
    if own in order:
        return frozenset((*order, *row.ref_chassis)) - {own}
    return frozenset(order) if own in row.ref_chassis else frozenset()


@rule(writes=(BFD,))
def watched_tunnels(q: Reader, _key: tuple[()]) -> Iterator[Emit]:
    """All chassis that are watched, for whichever group: many groups have the same members."""
    found: set[Uuid] = set()
    for group in q.keys(sb.HAChassisGroup):
        found |= watched(q, group)
    for uuid in sorted(found):
        row = q.get(sb.Chassis, uuid)
        if row is not None:
            yield BFD(row.name, settings(q))


RULES = (watched_tunnels,)
