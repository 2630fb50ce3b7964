"""An OVSDB server without sockets or processes, for the joints that a real one cannot be brought into.

It keeps rows, hands every change to its connections in the format that each asked for, and can be told to be old
(`level`). It knows transactions only as `commit`, called by the test. What it writes is computed here from RFC 7047
and ovsdb-server(7), independently of the package under test, except for the JSON of one atom.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from ovine.model.base import NO_UUID, Column, Database, Row, Uuid
from ovine.model.schema import to_json
from ovine.ovsdb.codec import encoder

LEVELS = ("monitor", "monitor_cond", "monitor_cond_since")


class MemoryServer:
    """`level` is the newest monitor method that it knows; `history` how many transactions it can resume from."""

    def __init__(self, database: Database, *, level: str = LEVELS[-1], history: int = 100) -> None:
        self.database, self.level, self.history = database, level, history
        self.schema = to_json(database)
        self.rows: dict[str, dict[Uuid, Row]] = {name: {} for name in database.tables}
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.last_txn = NO_UUID
        self.connections: list[Connection] = []

    def connect(self) -> Connection:
        connection = Connection(self)
        self.connections.append(connection)
        return connection

    def commit(self, changes: Mapping[tuple[type[Row], Uuid], Row | None]) -> None:
        """One transaction: each row becomes the one given, or goes."""
        old_format: dict[str, dict[str, Any]] = {}
        new_format: dict[str, dict[str, Any]] = {}
        for (table, row_uuid), new in changes.items():
            name, rows = table.spec.name, self.rows[table.spec.name]
            old = rows.get(row_uuid)
            if old == new:
                continue
            old_format.setdefault(name, {})[row_uuid] = _row_update(old, new)
            new_format.setdefault(name, {})[row_uuid] = _row_update2(old, new)
            if new is None:
                del rows[row_uuid]
            else:
                rows[row_uuid] = new
        if new_format:
            self.last_txn = Uuid(str(uuid.uuid4()))
            self.log.append((self.last_txn, new_format))
            for connection in self.connections:
                connection.told(old_format, new_format)


class Connection:
    """One client's connection: bytes in by `receive`, bytes out by `take`."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.method: str | None = None
        self.id: Any = None
        self.requests: list[dict[str, Any]] = []
        self._output: list[bytes] = []

    def receive(self, data: bytes) -> None:
        """Whole messages only, each of which our sessions write at once."""
        for text in data.replace(b"}{", b"}\n{").split(b"\n"):
            if text:
                self._message(orjson.loads(text))

    def take(self) -> bytes:
        output = b"".join(self._output)
        self._output.clear()
        return output

    def send(self, message: Mapping[str, Any]) -> None:
        self._output.append(orjson.dumps(message))

    def notify(self, method: str, *params: Any) -> None:
        self.send({"method": method, "params": list(params), "id": None})

    def told(self, old_format: Any, new_format: Any) -> None:
        match self.method:
            case "monitor":
                self.notify("update", self.id, old_format)
            case "monitor_cond":
                self.notify("update2", self.id, new_format)
            case "monitor_cond_since":
                self.notify("update3", self.id, self.server.last_txn, new_format)

    def _message(self, message: dict[str, Any]) -> None:
        self.requests.append(message)
        if "method" not in message or message["id"] is None:
            return
        result, error = self._answer(message["method"], message["params"])
        self.send({"id": message["id"], "result": result, "error": error})

    def _answer(self, method: str, params: list[Any]) -> tuple[Any, Any]:
        server = self.server
        if method in LEVELS:
            if LEVELS.index(method) > LEVELS.index(server.level):
                return None, "unknown method"
            if params[0] != server.database.name:
                return None, {"error": "unknown database", "details": params[0]}
            self.method, self.id = method, params[1]
            return self._initial(method, params), None
        match method:
            case "get_schema":
                return server.schema, None
            case "echo":
                return params, None
            case "transact":
                return [{} for _ in params[1:]], None
            case "lock" | "steal":
                return {"locked": True}, None
            case "unlock" | "monitor_cond_change":
                return {}, None
        return None, "unknown method"

    def _initial(self, method: str, params: list[Any]) -> Any:
        server = self.server
        build = _row_update if method == "monitor" else _initial
        everything = {
            name: {row_uuid: build(None, row) for row_uuid, row in rows.items()}
            for name, rows in server.rows.items()
            if rows
        }
        if method != "monitor_cond_since":
            return everything
        known = [txn for txn, _ in server.log]
        recent = [NO_UUID, *known][-server.history :]
        if params[3] == NO_UUID or params[3] not in recent:
            return [False, server.last_txn, everything]
        merged = _merge(server, known.index(params[3]) + 1)
        return [True, server.last_txn, merged]


def _merge(server: MemoryServer, start: int) -> dict[str, dict[str, Any]]:
    """The changes since a transaction as one update: the rows that were touched, whole."""
    touched = {(name, row) for _, update in server.log[start:] for name, rows in update.items() for row in rows}
    merged: dict[str, dict[str, Any]] = {}
    for name, row_uuid in touched:
        row = server.rows[name].get(row_uuid)
        merged.setdefault(name, {})[row_uuid] = {"delete": None} if row is None else _initial(None, row)
    return merged


def _row_update(old: Row | None, new: Row | None) -> dict[str, Any]:
    update: dict[str, Any] = {}
    if new is not None:
        update["new"] = {c.name: encoder(c)(getattr(new, c.attribute)) for c in _columns(new)}
    if old is not None:
        update["old"] = {
            c.name: encoder(c)(getattr(old, c.attribute))
            for c in _columns(old)
            if new is None or getattr(old, c.attribute) != getattr(new, c.attribute)
        }
    return update


def _initial(old: None, new: Row) -> dict[str, Any]:
    return {"initial": _present(new)}


def _row_update2(old: Row | None, new: Row | None) -> dict[str, Any]:
    if new is None:
        return {"delete": None}
    if old is None:
        return {"insert": _present(new)}
    changed = [c for c in _columns(new) if getattr(old, c.attribute) != getattr(new, c.attribute)]
    return {"modify": {c.name: wire_diff(c, getattr(old, c.attribute), getattr(new, c.attribute)) for c in changed}}


def wire_diff(column: Column, old: Any, new: Any) -> Any:
    """The JSON of a column's difference (ovsdb-server(7), 4.1.14)."""
    if column.max == 1:
        return encoder(column)(new)
    if not column.is_map:
        return encoder(column)(tuple(x for x in (*old, *new) if (x in old) != (x in new)))
    pairs = {key: old.get(key, new.get(key)) for key in (*old, *new) if (key in old) != (key in new)}
    pairs |= {key: new[key] for key in new if key in old and old[key] != new[key]}
    return encoder(column)(pairs)


def _present(row: Row) -> dict[str, Any]:
    return {
        c.name: encoder(c)(getattr(row, c.attribute)) for c in _columns(row) if getattr(row, c.attribute) != c.default
    }


def _columns(row: Row) -> list[Column]:
    return list(type(row).spec.columns.values())
