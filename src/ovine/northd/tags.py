"""VLAN tags of nested ports: a port with a parent and `tag_request` 0 is given one that no other port of it has.

It keeps the one that it has (Logical_Switch_Port.tag) for as long as nobody requests that very tag.

Source: ovn-nb(5), tag_request. Tests: tests/unit/northd/test_northd_rules.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, Sticky, rule
from ovine.model import nb
from ovine.model.base import Uuid

TAGS: Sticky[Uuid] = Sticky("VLAN tags given out", 1, 4094)
"""By port; a pool for each parent's name."""

NESTED = Index(
    nb.LogicalSwitchPort,
    lambda row: (row.uuid,) if row.parent_name and row.tag_request is not None else (),
    "nested ports that request tags",
)


@rule(over=NESTED, writes=(TAGS,))
def ask_tag(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Asks for the tag that it requests, else for the one that it has, else for any."""
    row = q.row(nb.LogicalSwitchPort, key)
    yield TAGS.request(key, pool=row.parent_name, wanted=row.tag_request or row.tag)


def tag_of(q: Reader, key: Uuid) -> int | None:
    """The tag of a port: what it requests or was given. One that is requested is had, whoever else has it."""
    row = q.row(nb.LogicalSwitchPort, key)
    if row.tag_request:
        return row.tag_request
    if row.tag_request == 0 and row.parent_name:
        return q.get(TAGS, key)
    return row.tag
