"""What is written back to the northbound: whether ports are up, what was given out, the states of BFD sessions, and two
options of NB_Global for who comes after us, or interconnects clouds: mac_prefix and max_tunid.

Unlike the southbound, the northbound belongs to others; so this only ever updates a few columns of rows that are there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from ovine.engine import Engine, Relation
from ovine.model import nb
from ovine.model.base import Row, StrMap, Uuid
from ovine.northd import bfd, config, ipam, ports
from ovine.ovsdb import Change, Replica, Transaction


class Reported(NamedTuple):
    """A table of the northbound, and the columns that are kept equal to those of a relation."""

    table: type[Row]
    states: Relation[Uuid, Any]
    columns: tuple[str, ...]


REPORTED = (
    Reported(nb.LogicalSwitchPort, ports.STATES, ("up", "tag", "dynamic_addresses")),
    Reported(nb.BFD, bfd.STATES, ("status",)),
)


class Upward:
    """Keeps the reported columns equal to their relations, which the engine must watch."""

    def __init__(self, engine: Engine, replica: Replica) -> None:
        self._replica = replica
        self._dirty: dict[tuple[Reported, Uuid], None] = {}
        self.put_back: deque[str] = deque(maxlen=0)
        self.use(engine)

    def use(self, engine: Engine) -> None:
        """Takes states from this engine from now on."""
        self._engine = engine
        for one in REPORTED:
            self._dirty.update(((one, key), None) for key in engine.rows(one.states))

    def note(self, batch: Iterable[Change]) -> None:
        """Takes notice of changes in the northbound."""
        for change in batch:
            for one in REPORTED:
                if change.table is one.table:
                    self._dirty[one, change.uuid] = None

    def lost(self) -> None:
        """The transaction planned last was not done. Nothing is forgotten: its rows are still dirty."""

    def plan(self) -> Transaction:
        """What is to be written now; a row stays dirty until it is seen to be as it should."""
        for one in REPORTED:
            self._dirty.update(((one, delta.key), None) for delta in self._engine.take(one.states))
        transaction = Transaction()
        for one, key in list(self._dirty):
            changes = self._changes(one, key)
            if changes:
                transaction.update(one.table, key, **changes)
            else:
                del self._dirty[one, key]
        self._add_options(transaction)
        return transaction

    def _add_options(self, transaction: Transaction) -> None:
        """Writes down what Ethernet addresses that are given out begin with, if that is open, and the highest key."""
        ours = self._engine.rows(config.SB_GLOBAL).get(config.THE_ROW)
        prefix = self._engine.rows(ipam.PREFIX).get("")
        for key, row in self._replica.rows(nb.NBGlobal).items():
            wanted = {"max_tunid": ours.options["max_tunid"]} if ours is not None else {}
            if prefix is not None and "mac_prefix" not in row.options:
                wanted["mac_prefix"] = prefix
            if any(row.options.get(name) != value for name, value in wanted.items()):
                known = StrMap({name: row.options[name] for name in wanted if name in row.options})
                transaction.mutate(nb.NBGlobal, key, "options", "delete", known)
                transaction.mutate(nb.NBGlobal, key, "options", "insert", StrMap(wanted))

    def _changes(self, one: Reported, key: Uuid) -> dict[str, Any]:
        want = self._engine.rows(one.states).get(key)
        row = self._replica.get(one.table, key)
        if want is None or row is None:
            return {}
        return {name: getattr(want, name) for name in one.columns if getattr(row, name) != getattr(want, name)}
