"""Mirrors: copied down, and named by the bindings of the ports that they are for; hosts carry them out.

Source: ovn-nb(5), "Mirror TABLE". Tests: tests/unit/northd/test_northd_mirrors.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_address
from ovine.projection import Names, Target, ref

MIRRORS: Relation[str, sb.Mirror] = Relation("Mirror")
"""By name."""


@rule(over=nb.Mirror, writes=(MIRRORS,))
def mirror(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The same row; one without an address to send to is reported, and not there."""
    row = q.row(nb.Mirror, key)
    try:
        sink = parse_address(row.sink)
    except ValueError as error:
        raise ValueError(f"mirror {row.name} mirrors nothing: {error}") from None
    made = sb.Mirror(name=row.name, filter=row.filter, sink=sink, type=row.type, index=row.index)
    yield MIRRORS(row.name, made)


def mirrors_of(q: Reader, rules: tuple[Uuid, ...]) -> tuple[Uuid, ...]:
    """References to the southbound rows of some northbound mirrors."""
    rows = [row for row in (q.get(nb.Mirror, key) for key in rules) if row is not None]
    return tuple(sorted(ref(MIRRORS, row.name) for row in rows))


def _key(row: sb.Mirror, names: Names) -> Hashable:
    return row.name


TARGET = Target(MIRRORS, sb.Mirror, _key, ("name", "filter", "sink", "type", "index"))
