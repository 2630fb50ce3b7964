"""A relay between a client and an OVSDB server: cuts connections, and makes a new server look old."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ovine.ovsdb.framing import Framer


@dataclass
class Relay:
    """Passes messages on; `unknown` methods and explicit uuids can be refused as an older server would.

    `requests` are the client's messages, in order. `limit` stops the server's bytes after so many and cuts.
    """

    listen: Path
    target: Path
    unknown: frozenset[str] = frozenset()
    no_uuids: bool = False
    garbage: bytes = b""
    requests: list[dict[str, Any]] = field(default_factory=list)
    limit: int | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def remote(self) -> str:
        return f"unix:{self.listen}"

    def asked(self, method: str) -> list[Any]:
        return [message["params"] for message in self.requests if message.get("method") == method]

    def cut(self) -> None:
        """Breaks every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def open(self) -> None:
        """Listens; called again after `shut`."""
        self.listen.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.listen)

    async def shut(self) -> None:
        """Listens no more, and breaks every connection."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.listen.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        back_reader, back_writer = await asyncio.open_unix_connection(self.target)
        self._writers |= {writer, back_writer}
        try:
            await asyncio.gather(self._up(reader, back_writer, writer), self._down(back_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            back_writer.transport.abort()
            self._tasks.discard(task)

    async def _up(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        framer = Framer()
        while data := await reader.read(65536):
            for message in framer.feed(data):
                self.requests.append(message)
                refusal = self._refusal(message)
                if refusal is None:
                    server.write(orjson.dumps(message))
                else:
                    client.write(orjson.dumps({"id": message["id"], **refusal}))
        server.transport.abort()

    async def _down(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self.garbage:
            client.write(self.garbage)
        passed = 0
        while data := await reader.read(65536):
            if self.limit is not None and passed + len(data) > self.limit:
                client.write(data[: self.limit - passed])
                await client.drain()
                break
            passed += len(data)
            client.write(data)
        client.close()

    def _refusal(self, message: dict[str, Any]) -> dict[str, Any] | None:
        method = message.get("method")
        if method in self.unknown:
            return {"result": None, "error": {"error": "unknown method", "details": method}}
        if self.no_uuids and method == "transact":
            for number, operation in enumerate(message["params"][1:], 1):
                if "uuid" in operation:
                    total = len(message["params"]) - 1
                    details = f"Parsing ovsdb operation {number} of {total} failed: "
                    details += "Member 'uuid' is present but not allowed here."
                    empty = [{}] * (number - 1)
                    return {"result": [*empty, {"error": "syntax error", "details": details}], "error": None}
        return None


@contextlib.asynccontextmanager
async def relay(target: Path, **options: Any) -> AsyncIterator[Relay]:
    """A relay beside the server's socket, shut when the block ends."""
    given = Relay(target.with_suffix(".relay"), target, **options)
    await given.open()
    try:
        yield given
    finally:
        await given.shut()
