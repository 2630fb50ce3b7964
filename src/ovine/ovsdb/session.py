"""One connection to an OVSDB server, without I/O: bytes and the time go in, events and bytes come out.

    start ──▶ set_db_change_aware, _Server monitor, get_schema   (pipelined; older servers refuse the first two)
          ──▶ monitor_cond_since ─▶ monitor_cond ─▶ monitor      (the next one where the server does not know one)
          ──▶ Synced, then Updated, Replied, LockChanged …       until Lost

The session ends with one Lost event, whatever the cause; `Standing` holds what outlives it: the replica, the last
transaction seen, the conditions, the wished lock. A session that follows with the same Standing resumes where this
one stopped, if the server still knows that transaction, and otherwise brings the differences in one batch.

A large update is worked off in steps, with a Paused event after each: the shell may then do something else before it
asks for the next event. The replica changes in the last step.

Invariants: events are yielded one by one, and when one is yielded the replica is in the state just after it; a reply
to a transaction comes after the update that it caused (the server sends them in that order); after Lost nothing is
yielded and nothing more is read.

Sources: RFC 7047, section 4.1; ovsdb-server(7), 4.1.12-4.1.18; ovsdb-server(5) for the _Server database.

Tests: tests/unit/ovsdb/test_session.py, tests/interop/test_ovsdb_server.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ovine.model.base import NO_UUID, Database
from ovine.ovsdb.conditions import encode_column, encode_where
from ovine.ovsdb.errors import ProtocolError
from ovine.ovsdb.framing import Framer, encode
from ovine.ovsdb.plan import Monitor, Plan, plan, request, usable_where
from ovine.ovsdb.replica import Batch, Change, Replica
from ovine.ovsdb.transaction import fit, with_named_uuids

MONITOR_ID = "ovine"
SERVER_ID = "_Server"
_METHODS = ("monitor_cond_since", "monitor_cond", "monitor")
_SERVER_COLUMNS = ["name", "model", "connected", "leader", "cid", "index"]


@dataclass
class Standing:
    """What is wished for and what is known, beyond one connection."""

    database: Database
    monitors: Mapping[str, Monitor]
    replica: Replica
    leader_only: bool = False
    where: dict[str, list[Any]] = field(default_factory=dict)
    """The wished conditions of each table, as JSON."""
    applied: dict[str, list[Any]] | None = None
    """The conditions under which the replica was filled; None while that is uncertain."""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The columns that were monitored when the replica was filled."""
    last_txn: str | None = None
    lock: str | None = None
    steal: bool = False
    named_uuids: bool = False
    """Whether the server is known not to take explicit uuids."""
    newest: tuple[Any, int] = (None, 0)
    """The cluster's id and the highest raft index seen, so that a server that lags behind is not believed."""

    @classmethod
    def of(cls, database: Database, monitors: Mapping[str, Monitor], *, leader_only: bool = False) -> Standing:
        where = {name: encode_where(monitor.table, monitor.where) for name, monitor in monitors.items()}
        return cls(database, monitors, Replica(database), leader_only, where)


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Synced:
    """The monitor is up; `batch` has the differences from what the replica held. `resumed`: only the gap was sent."""

    batch: Batch
    resumed: bool


@dataclass(frozen=True)
class Updated:
    batch: Batch


@dataclass(frozen=True)
class Replied:
    """The answer to the request with this id (see `Session.transact`)."""

    id: int
    result: Any
    error: Any


@dataclass(frozen=True)
class LockChanged:
    held: bool


@dataclass(frozen=True)
class ConditionsApplied:
    pass


@dataclass(frozen=True)
class Paused:
    """Nothing has happened yet, and there is more to do before the next event."""


@dataclass(frozen=True)
class Lost:
    """The connection is of no more use; `reason` is one line."""

    reason: str


Event = Synced | Updated | Replied | LockChanged | ConditionsApplied | Paused | Lost
_Handler = Callable[[Any, Any], Iterator[Event]]


class _GiveUp(Exception):
    """This server cannot serve us; the text says why."""


class Session:
    """The protocol of one connection. `now` is a monotonic time in seconds throughout."""

    def __init__(self, standing: Standing, *, probe_interval: float = 5.0) -> None:
        self.standing = standing
        self.synced = False
        self.lost = False
        self.lock_held = False
        self.plan: Plan | None = None
        self.method = _METHODS[0]
        self._probe_interval = probe_interval
        self._heard = self._probed = 0.0
        self._probing = False
        self._busy = False
        """Whether an update is being worked off, so that nobody listens to the peer."""
        self._framer = Framer()
        self._output: list[bytes] = []
        self._handlers: dict[int, _Handler] = {}
        self._next_id = self._answering = 0
        self._servers: dict[str, dict[str, Any]] = {}
        self._told: dict[str, list[Any]] = {}
        self._changing = 0
        self._locking: int | None = None

    # --- stimuli ---

    def start(self, now: float) -> None:
        """Says hello. Call it once, when the connection stands."""
        self._heard = now
        database = self.standing.database.name
        self._call("set_db_change_aware", [True], _ignored)
        request = {"Database": [{"columns": _SERVER_COLUMNS}]}
        self._call("monitor_cond", ["_Server", SERVER_ID, request], self._server_monitored)
        self._call("get_schema", [database], self._schema_known)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """What `data` brings. Consume it to the end before that of the next call."""
        self._heard, self._probing = now, False
        return self._received(data)

    def _received(self, data: bytes) -> Iterator[Event]:
        if self.lost:
            return
        try:
            for message in self._framer.feed(data):
                yield from self._message(message)
        except (ProtocolError, _GiveUp) as error:
            if isinstance(error, ProtocolError):
                # What we hold may not be what the server believes we hold: start over from a whole dump.
                self.standing.last_txn = None
            yield from self.end(str(error))

    def tick(self, now: float) -> Iterator[Event]:
        """To be called when `next_tick` has come: sends an inactivity probe, or gives a silent peer up."""
        due = self.next_tick()
        if due is None or now < due:
            return
        if self._busy:
            # That we do not hear the peer says nothing of it; but it is to hear from us.
            self._heard = now
            self._call("echo", [], _ignored)
        elif self._probing:
            yield from self.end(f"no answer to an inactivity probe within {self._probe_interval:g} s")
        else:
            self._probing, self._probed = True, now
            self._call("echo", [], _ignored)

    def probe_every(self, seconds: float) -> None:
        """Probes after so much silence from now on, or never (0); `next_tick` changes."""
        self._probe_interval = seconds

    def next_tick(self) -> float | None:
        """When `tick` is due; None for never."""
        if self.lost or self._probe_interval <= 0:
            return None
        return (self._probed if self._probing else self._heard) + self._probe_interval

    def end(self, reason: str) -> Iterator[Event]:
        """Ends the session, also from outside when the connection has closed."""
        if self.lost:
            return
        self.lost, self.synced = True, False
        self._handlers.clear()
        if self.lock_held:
            self.lock_held = False
            yield LockChanged(False)
        yield Lost(reason)

    def take_output(self) -> bytes:
        """The bytes to send, which are then forgotten here."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    # --- requests ---

    def transact(self, operations: Sequence[Mapping[str, Any]]) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """Queues a transaction. Returns its request's id and the operations as they are sent.

        Raises TransactionError if it writes what the server's schema lacks, ValueError for an integer beyond 64 bits.
        """
        if self.plan is not None and self.plan.absent:
            operations = fit(operations, self.plan.absent, self._default)
        if self.standing.named_uuids:
            operations = with_named_uuids(operations)
        params = [self.standing.database.name, *operations]
        return self._call("transact", params, self._replied), operations

    def cancel(self, id: int) -> None:
        """Asks the server to drop a transaction that still waits; its reply is then the error "canceled"."""
        self._notify("cancel", [id])

    def conditions_changed(self) -> None:
        """Tells the server the wished conditions, as far as they differ from those it was told."""
        standing = self.standing
        if not self.synced or self.plan is None or standing.where == self._told:
            return
        if self.method == "monitor":
            # This server sends every row whatever we ask; there is nothing to wait for.
            standing.applied = self._told = dict(standing.where)
            return
        changes = {
            name: [{"where": usable_where(self.plan, name, where)}]
            for name, where in standing.where.items()
            if where != self._told.get(name, []) and name in self.plan.codecs
        }
        told = self._told = dict(standing.where)
        standing.applied = None
        self._changing += 1

        def changed(result: Any, error: Any) -> Iterator[Event]:
            if error is not None:
                raise ProtocolError(f"the server refused a change of conditions: {_error(error)}")
            self._changing -= 1
            if not self._changing:
                standing.applied = told
                yield ConditionsApplied()

        self._call("monitor_cond_change", [MONITOR_ID, MONITOR_ID, changes], changed)

    def lock(self) -> None:
        """Asks for the wished lock, if there is one."""
        name = self.standing.lock
        if name is not None and self.synced:
            self._locking = self._call("steal" if self.standing.steal else "lock", [name], self._lock_replied)

    def unlock(self, name: str) -> Iterator[Event]:
        """Gives a lock, held or waited for, back."""
        if self.synced:
            self._call("unlock", [name], _ignored)
        self._locking = None
        yield from self._hold(False)

    # --- messages ---

    def _message(self, message: dict[str, Any]) -> Iterator[Event]:
        method = message.get("method")
        if method is None:
            yield from self._reply(message)
            return
        params = message.get("params")
        if not isinstance(params, list):
            raise ProtocolError(f"the parameters of {method!r} are not an array")
        match method, params:
            case "echo", _:
                self._send({"id": message.get("id"), "result": params, "error": None})
            case "update3", [str(id), last_txn, updates] if id == MONITOR_ID and self.plan is not None:
                last_txn = _transaction_id(last_txn)
                batch = yield from self._apply(updates)
                self.standing.last_txn = last_txn
                yield from _updated(batch)
            case "update2", [str(id), updates] if id == SERVER_ID:
                self._server_changed(updates)
            case "update2", [str(id), updates] if id == MONITOR_ID and self.plan is not None:
                yield from _updated((yield from self._apply(updates)))
            case "update", [str(id), updates] if id == MONITOR_ID and self.plan is not None:
                yield from _updated((yield from self._apply(updates, old_format=True)))
            case "locked" | "stolen", [name]:
                if name == self.standing.lock and self._locking is None:
                    yield from self._hold(method == "locked")
            case "monitor_canceled", [str(id)] if id == MONITOR_ID:
                raise _GiveUp(f"database {self.standing.database.name} was converted to another schema or removed")
            case "monitor_canceled", [_]:
                pass
            case _:
                if message.get("id") is None:
                    raise ProtocolError(f"unexpected notification {repr(message)[:80]}")
                self._send({"id": message["id"], "result": None, "error": "unknown method"})

    def _apply(
        self, updates: Any, *, old_format: bool = False, whole: bool = False
    ) -> Generator[Event, None, tuple[Change, ...]]:
        """Has the replica changed; pauses in between."""
        assert self.plan is not None
        steps = self.standing.replica.applying(self.plan, updates, old_format=old_format, whole=whole)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return cast("tuple[Change, ...]", done.value)
            self._busy = True
            yield Paused()
            self._busy = False
            if self.lost:
                raise _GiveUp("the session has ended meanwhile")

    def _reply(self, message: dict[str, Any]) -> Iterator[Event]:
        if "result" not in message and "error" not in message:
            raise ProtocolError(f"neither a request nor a reply: {repr(message)[:80]}")
        id = message.get("id")
        handler = self._handlers.pop(id, None) if isinstance(id, int) else None
        if handler is None or not isinstance(id, int):
            raise ProtocolError(f"a reply to no request: {repr(message)[:80]}")
        error = message.get("error")
        self._answering = id
        yield from handler(message.get("result"), error)

    # --- the _Server database ---

    def _server_monitored(self, result: Any, error: Any) -> Iterator[Event]:
        if error is None:
            self._server_changed(result)
        return
        yield

    def _server_changed(self, updates: Any) -> None:
        try:
            for uuid, update in updates.get("Database", {}).items():
                ((kind, row),) = update.items()
                if kind == "delete":
                    self._servers.pop(uuid, None)
                else:
                    self._servers[uuid] = row if kind != "modify" else {**self._servers[uuid], **row}
        except (AttributeError, ValueError, KeyError, TypeError):
            raise ProtocolError(f"malformed update of the _Server database: {repr(updates)[:80]}") from None
        self._judge_server()

    def _judge_server(self) -> None:
        """Raises _GiveUp if this server's copy of a clustered database is not to be used."""
        name = self.standing.database.name
        row = next((row for row in self._servers.values() if row.get("name") == name), None)
        if row is None:
            raise _GiveUp(f"the server has no database {name}")
        if row.get("model", "standalone") == "standalone":
            return
        if not row.get("connected", False):
            raise _GiveUp(f"the server is not in contact with the cluster of database {name}")
        if self.standing.leader_only and not row.get("leader", False):
            raise _GiveUp(f"the server is not the leader of the cluster of database {name}")
        cluster, index = repr(row.get("cid")), row.get("index")
        if isinstance(index, int):
            known, newest = self.standing.newest
            if known == cluster and index < newest:
                raise _GiveUp(f"the server's copy of database {name} is older than what was already seen")
            self.standing.newest = (cluster, index)

    # --- schema and monitor ---

    def _schema_known(self, result: Any, error: Any) -> Iterator[Event]:
        if error is not None:
            raise _GiveUp(f"the server does not give the schema of {self.standing.database.name}: {_error(error)}")
        standing = self.standing
        self.plan = plan(standing.database, standing.monitors, result)
        standing.replica.missing_columns = self.plan.missing
        self._monitor(_METHODS[0])
        return
        yield

    def _monitor(self, method: str) -> None:
        assert self.plan is not None
        standing, self.method = self.standing, method
        self._told = dict(standing.where)
        params = [standing.database.name, MONITOR_ID, request(self.plan, self._told, conditional=method != "monitor")]
        if method == "monitor_cond_since":
            if standing.applied != self._told or standing.columns != self._columns():
                standing.last_txn = None
            params.append(standing.last_txn or NO_UUID)
        self._call(method, params, self._monitored)

    def _monitored(self, result: Any, error: Any) -> Iterator[Event]:
        assert self.plan is not None
        if error is not None:
            following = _METHODS.index(self.method) + 1
            if _error(error).startswith("unknown method") and following < len(_METHODS):
                self._monitor(_METHODS[following])
                return
            raise _GiveUp(f"the server refused to monitor {self.standing.database.name}: {_error(error)}")
        standing, resumed, last_txn = self.standing, False, None
        if self.method == "monitor_cond_since":
            match result:
                case [bool(resumed), last_txn, result]:
                    last_txn = _transaction_id(last_txn)
                case _:
                    raise ProtocolError(f"malformed reply to monitor_cond_since: {repr(result)[:80]}")
        batch = yield from self._apply(result, old_format=self.method == "monitor", whole=not resumed)
        standing.last_txn, standing.applied, standing.columns = last_txn, self._told, self._columns()
        self.synced = True
        yield Synced(batch, resumed)
        self.lock()
        self.conditions_changed()

    def _columns(self) -> dict[str, tuple[str, ...]]:
        return {} if self.plan is None else {name: codec.columns for name, codec in self.plan.codecs.items()}

    # --- locks ---

    def _lock_replied(self, result: Any, error: Any) -> Iterator[Event]:
        if error is not None or not isinstance(result, dict):
            raise ProtocolError(f"the server refused the lock {self.standing.lock!r}: {_error(error)}")
        # What an earlier request got is void: an unlock follows it on its way.
        if self._answering == self._locking:
            self._locking = None
            yield from self._hold(bool(result.get("locked")))

    def _hold(self, held: bool) -> Iterator[Event]:
        if held != self.lock_held:
            self.lock_held = held
            yield LockChanged(held)

    # --- sending ---

    def _replied(self, result: Any, error: Any) -> Iterator[Event]:
        yield Replied(self._answering, result, error)

    def _call(self, method: str, params: list[Any], handler: _Handler) -> int:
        self._next_id += 1
        self._send({"method": method, "params": params, "id": self._next_id})
        self._handlers[self._next_id] = handler
        return self._next_id

    def _notify(self, method: str, params: list[Any]) -> None:
        self._send({"method": method, "params": params, "id": None})

    def _send(self, message: dict[str, Any]) -> None:
        self._output.append(encode(message))

    def _default(self, table: str, column: str) -> Any:
        spec = self.standing.database.tables[table]
        return encode_column(spec.row, spec.columns[column], spec.columns[column].default)


def _ignored(result: Any, error: Any) -> Iterator[Event]:
    return iter(())


def _updated(batch: Batch) -> Iterator[Event]:
    if batch:
        yield Updated(batch)


def _transaction_id(value: Any) -> str | None:
    if not isinstance(value, str):
        raise ProtocolError(f"expected a transaction id, got {repr(value)[:60]}")
    return None if value == NO_UUID else value


def _error(error: Any) -> str:
    """A JSON-RPC error, which may be a text or an object of RFC 7047, section 3.1."""
    if isinstance(error, dict):
        return ": ".join(str(error[key]) for key in ("error", "details") if key in error) or repr(error)
    return str(error)
