"""What is written back to the northbound: whether ports are up, and tags.

Unlike the southbound, the northbound belongs to others; so this only ever updates two columns of rows that are there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ovine.engine import Engine
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.ports import STATES
from ovine.ovsdb import Change, Replica, Transaction


class Upward:
    """Keeps Logical_Switch_Port.up and .tag equal to the relation STATES, which the engine must watch."""

    def __init__(self, engine: Engine, replica: Replica) -> None:
        self._replica = replica
        self._dirty: dict[Uuid, None] = {}
        self.put_back: deque[str] = deque(maxlen=0)
        self.use(engine)

    def use(self, engine: Engine) -> None:
        """Takes states from this engine from now on."""
        self._engine = engine
        self._dirty.update(dict.fromkeys(engine.rows(STATES)))

    def note(self, batch: Iterable[Change]) -> None:
        """Takes notice of changes in the northbound."""
        for change in batch:
            if change.table is nb.LogicalSwitchPort:
                self._dirty[change.uuid] = None

    def lost(self) -> None:
        """The transaction planned last was not done. Nothing is forgotten: its ports are still dirty."""

    def plan(self) -> Transaction:
        """What is to be written now; a port stays dirty until it is seen to be as it should."""
        self._dirty.update((delta.key, None) for delta in self._engine.take(STATES))
        transaction = Transaction()
        for key in list(self._dirty):
            want = self._engine.rows(STATES).get(key)
            row = self._replica.get(nb.LogicalSwitchPort, key)
            if want is None or row is None or (row.up == want.up and row.tag == want.tag):
                del self._dirty[key]
                continue
            changes: dict[str, bool | int | None] = {"up": want.up} if row.up != want.up else {}
            if row.tag != want.tag:
                changes["tag"] = want.tag
            transaction.update(nb.LogicalSwitchPort, key, **changes)
        return transaction
