"""What the encoders of logical actions share: where actions run, and what they become.

Tests: tests/cases/controller/actions.txt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ovine import openflow as of
from ovine.controller import tables as t
from ovine.controller.environment import is_switch
from ovine.engine import Reader
from ovine.language import actions as act
from ovine.language import openflow_subfield
from ovine.language.symbols import Subfield
from ovine.model.base import NO_UUID, Uuid

Encoded = tuple[of.Action, ...]
Place = tuple[str, int, int]
"""(field as in ovs-fields(7), lowest bit, number of bits)."""


@dataclass(frozen=True)
class Scope:
    """Where actions run: a table of a pipeline of a datapath, in a logical flow.

    `meter_id` limits what goes to the controller.
    """

    q: Reader
    datapath: Uuid
    pipeline: act.Pipeline
    table: int
    flow: Uuid = NO_UUID
    meter_id: int | None = None

    def next_table(self) -> int:
        """The OpenFlow table after this one."""
        return t.logical_table(self.pipeline, self.table + 1)

    def zone(self) -> Place:
        """The conntrack zone of the packet: the port's in a switch, the router's DNAT zone in a router."""
        return (t.ZONE if is_switch(self.q, self.datapath) else t.DNAT_ZONE, 0, 16)


Encoder = Callable[[Any, Scope], Encoded]


def copy(src: Place, dst: Place) -> of.Action:
    """Copies bits from one place to another of the same width."""
    return of.Move(src[0], src[1], dst[0], dst[1], dst[2])


def call(arguments: Iterable[tuple[Subfield, str]], run: Encoded) -> Encoded:
    """Runs actions that expect each argument as the whole of an OpenFlow field, which is as before afterwards."""
    moved = [(openflow_subfield(given), (field, 0, given.width)) for given, field in arguments]
    moved = [(given, place) for given, place in moved if given != place]
    save = [of.Push(*place) for _, place in moved]
    load = [of.Push(*given) for given, _ in moved] + [of.Pop(*place) for _, place in reversed(moved)]
    return (*save, *load, *run, *(of.Pop(*place) for _, place in reversed(moved)))


def flag_result(arguments: Iterable[tuple[Subfield, str]], table: int, flag: int, dst: Subfield) -> Encoded:
    """A call of a subroutine table that answers with one bit of the flags."""
    clear = of.SetField(t.FLAGS, 0, 1 << flag)
    answer = copy((t.FLAGS, flag, 1), openflow_subfield(dst))
    return (clear, *call(arguments, (of.Resubmit(table=table),)), answer)
