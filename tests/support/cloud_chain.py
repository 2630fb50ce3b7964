"""From Cloud rows to logical flows in one process: the plugin's rules, then northd's, without databases between them.

Derived rows refer to each other by name (`ovine.projection.ref`); here a row's uuid is made from that name, so that no
server has to give it one. Everything is fed by difference, as by a database's updates.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ovine import northd, plugin
from ovine.engine import Engine
from ovine.model import nb
from ovine.model.base import Row, Uuid
from ovine.model.members import Members
from ovine.projection import Ref, Target, ref
from ovine.trace import World, world_of

Key = tuple[type[Row], Uuid]


def rows_of(engine: Engine, targets: Iterable[Target[Any]]) -> Iterator[Row]:
    """What a database would hold after a projection: references to rows that are not there are left out of sets."""
    made = list(targets)
    uuids = {ref(t.relation, key): _uuid(ref(t.relation, key)) for t in made for key in engine.rows(t.relation)}
    for target in made:
        for key, row in engine.rows(target.relation).items():
            columns = {name: getattr(row, name) for name in target.columns}
            yield target.table(
                uuid=uuids[ref(target.relation, key)],
                **{name: _resolved(value, uuids) for name, value in columns.items()},
            )


def _uuid(name: str) -> Uuid:
    return Uuid(str(uuid.uuid5(uuid.NAMESPACE_OID, name)))


def _resolved(value: Any, uuids: dict[Uuid, Uuid]) -> Any:
    if isinstance(value, Ref):
        return uuids.get(Uuid(value))
    if isinstance(value, tuple | Members) and any(isinstance(member, Ref) for member in value):
        return tuple(sorted(uuids[member] for member in value if member in uuids))
    return value


class Chain:
    """The two compilers, one behind the other. `settle` after changes of `cloud`, the rows at the top."""

    def __init__(self) -> None:
        self.cloud: dict[Key, Row] = {}
        self.plugin = Engine(plugin.RULES, tuple(t.relation for t in (*plugin.NORTHBOUND, *plugin.CLOUD)))
        self.northd = northd.new_engine()
        self._above: dict[Key, Row] = {}
        self._between: dict[Key, Row] = {}

    def put(self, row: Row) -> None:
        self.cloud[type(row), row.uuid] = row

    def change(self, table: type[Row], key: Uuid, **columns: Any) -> None:
        self.put(msgspec.structs.replace(self.cloud[table, key], **columns))

    def drop(self, table: type[Row], key: Uuid) -> None:
        self.cloud.pop((table, key), None)

    def settle(self) -> None:
        """Brings both compilers up to the cloud's rows."""
        _feed(self.plugin, self._above, self.cloud)
        self._above = dict(self.cloud)
        north = [nb.NBGlobal(uuid=_uuid("NB_Global")), *rows_of(self.plugin, plugin.NORTHBOUND)]
        between: dict[Key, Row] = {(type(row), row.uuid): row for row in north}
        _feed(self.northd, self._between, between)
        self._between = between

    def audit(self) -> list[str]:
        """Differences between what was derived step by step and a computation from nothing, and what failed."""
        failures = [str(failure) for engine in (self.plugin, self.northd) for failure in engine.failures()]
        return [*self.plugin.audit(), *self.northd.audit(), *failures]

    def world(self) -> World:
        """The southbound, for `ovine.trace`."""
        return world_of(rows_of(self.northd, northd.TARGETS))


def _feed(engine: Engine, before: dict[Key, Row], after: dict[Key, Row]) -> None:
    for table, key in before.keys() - after.keys():
        engine.feed(table, key, None)
    for (table, key), row in after.items():
        if before.get((table, key)) != row:
            engine.feed(table, key, row)
    engine.run()
