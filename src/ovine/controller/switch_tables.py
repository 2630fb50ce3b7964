"""Groups and meters of the switch: numbers for what logical actions ask for.

A flow names a group or a meter by number. Whoever compiles a logical flow asks for a number for the *content*: a group
(GroupEntry) or a limit (MeterEntry) whose own number is 0. Flows that want the same group share it; limits are shared
by whom they say they are for. The number wished for is a hash of the content, so that a restart finds in the switch
what it wants. What a number stands for never changes; it comes and goes with those who ask.

Tests: tests/unit/controller/test_controller_groups.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from ovine.engine import Emit, Reader, Relation, Sticky, rule
from ovine.openflow import GroupEntry, MeterEntry


class Limit(NamedTuple):
    """A meter, and whose it is: who exceeds one limit does not use up another one of the same rate."""

    owner: str
    meter: MeterEntry


Content = GroupEntry | Limit

GROUPS: Relation[int, GroupEntry] = Relation("OpenFlow group")
METERS: Relation[int, MeterEntry] = Relation("OpenFlow meter")
GROUP_NUMBERS: Sticky[GroupEntry] = Sticky("number of an OpenFlow group", 1, 0xFFFFFEFF)
METER_NUMBERS: Sticky[Limit] = Sticky("number of an OpenFlow meter", 1, 60000)
"""The kernel's datapath has room for some ten thousand meters; the numbers in the switch are mapped to its own."""


def _wish(content: Content, most: int) -> int:
    digest = hashlib.blake2b(repr(content).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % most + 1


def wants(content: Content) -> Emit:
    """The output of a rule whose flow needs this group or meter."""
    if isinstance(content, GroupEntry):
        return GROUP_NUMBERS.request(content, wanted=_wish(content, 0xFFFFFEFF))
    return METER_NUMBERS.request(content, wanted=_wish(content, 60000))


def number(q: Reader, content: Content) -> int | None:
    """The number that a group or meter has; None as long as it has none."""
    return q.get(GROUP_NUMBERS, content) if isinstance(content, GroupEntry) else q.get(METER_NUMBERS, content)


@rule(over=GROUP_NUMBERS, writes=(GROUPS,))
def group(q: Reader, content: GroupEntry) -> Iterator[Emit]:
    """The group as the switch is told."""
    granted = q.value(GROUP_NUMBERS, content)
    if granted is not None:
        yield GROUPS(granted, replace(content, group_id=granted))


@rule(over=METER_NUMBERS, writes=(METERS,))
def meter(q: Reader, content: Limit) -> Iterator[Emit]:
    """The meter as the switch is told."""
    granted = q.value(METER_NUMBERS, content)
    if granted is not None:
        yield METERS(granted, replace(content.meter, meter_id=granted))


RULES = (group, meter)
