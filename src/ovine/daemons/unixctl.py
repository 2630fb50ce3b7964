"""Control commands: the protocol of ovs-appctl(8) on a unix socket.

A client sends JSON-RPC 1.0 requests {"method", "params": [words], "id"} and gets {"result": text or null, "error": text
or null, "id"}; there is no separator between messages, so `Splitter` finds their ends. Requests of one connection are
answered in order; connections don't wait for each other, so `exit` may take its time while `version` is answered.
Whoever sends something else is disconnected, and nobody else notices.
Tests: tests/unit/daemons/test_daemon_unixctl.py, tests/interop/daemons/test_appctl.py.
"""

import asyncio
import contextlib
import inspect
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

Handler = Callable[[list[str]], str | Awaitable[str]]
LONGEST_MESSAGE = 1 << 20
LONGEST_ADDRESS = 100  # struct sockaddr_un holds 107 characters and an end mark
_log = logging.getLogger("ovine.unixctl")


class CommandError(Exception):
    """A control command that cannot be obeyed; the text goes to whoever asked."""


@dataclass(frozen=True)
class Command:
    """A control command: its name, its arguments as the list shows them, and how many it takes (None: any number)."""

    name: str
    usage: str
    least: int
    most: int | None
    handler: Handler


class Commands:
    """The control commands of one daemon, by name."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self.register("list-commands", "", 0, 0, lambda words: self.listing())

    def register(self, name: str, usage: str, min_args: int, max_args: int | None, handler: Handler) -> None:
        """Add a command, or put it in the place of the one of that name."""
        self._commands[name] = Command(name, usage, min_args, max_args, handler)

    def listing(self) -> str:
        """What `list-commands` answers."""
        lines = (f"  {name:<23} {self._commands[name].usage}\n" for name in sorted(self._commands))
        return "The available commands are:\n" + "".join(lines)

    async def run(self, name: str, words: list[str]) -> str:
        """Do a command and return its answer.  CommandError if it is unknown, badly called, or says so itself."""
        command = self._commands.get(name)
        if command is None:
            raise CommandError(f'"{name}" is not a valid command (use "list-commands" to see a list of valid commands)')
        if len(words) < command.least:
            raise CommandError(f'"{name}" command requires at least {command.least} arguments')
        if command.most is not None and len(words) > command.most:
            raise CommandError(f'"{name}" command takes at most {command.most} arguments')
        answer = command.handler(words)
        return await answer if inspect.isawaitable(answer) else answer


class Splitter:
    """Finds the ends of JSON objects in a stream of bytes, without I/O.  ValueError on what cannot be one."""

    def __init__(self, longest: int = LONGEST_MESSAGE) -> None:
        self._longest = longest
        self._buffer = bytearray()
        self._seen = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take more bytes; return the objects they complete."""
        self._buffer += data
        while (end := self._scan()) is not None:
            yield bytes(self._buffer[:end])
            del self._buffer[:end]
            self._seen = 0
        if len(self._buffer) > self._longest:
            raise ValueError("message too long")

    def _scan(self) -> int | None:
        for position in range(self._seen, len(self._buffer)):
            if self._ends_at(self._buffer[position]):
                return position + 1
        self._seen = len(self._buffer)
        return None

    def _ends_at(self, byte: int) -> bool:
        if self._in_string:
            self._in_string = self._escaped or byte != 0x22
            self._escaped = byte == 0x5C and not self._escaped
        elif byte == 0x7B:
            self._depth += 1
        elif self._depth == 0:
            if byte not in b" \t\r\n":
                raise ValueError("message is not a JSON object")
        elif byte == 0x22:
            self._in_string = True
        elif byte == 0x7D:
            self._depth -= 1
            return self._depth == 0
        return False


def decode_request(message: bytes) -> tuple[str, list[str], Any]:
    """The method, its words and the id of a request.  ValueError, in the user's terms, if it is not one."""
    request = orjson.loads(message)
    method, params = request.get("method"), request.get("params")
    if not isinstance(method, str):
        raise ValueError('"method" must be a JSON string')
    if not isinstance(params, list) or not all(isinstance(word, str) for word in params):
        raise ValueError('"params" must be a JSON array of strings')
    if request.get("id") is None:
        raise ValueError("unexpected notification")
    return method, params, request["id"]


def _line(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


async def answer(commands: Commands, message: bytes) -> bytes:
    """Do what a request asks and return the reply.  ValueError if it is not a request."""
    method, words, number = decode_request(message)
    result, error = None, None
    try:
        result = _line(await commands.run(method, words))
    except CommandError as refusal:
        error = _line(str(refusal))
    except Exception as failure:  # a bug in one command must not take the daemon down
        _log.exception("command %s failed", method)
        error = f"{method}: internal error: {failure!r}\n"
    return orjson.dumps({"id": number, "result": result, "error": error})


class Server:
    """Serves control commands on one unix socket, which `close` removes."""

    def __init__(self, path: Path, commands: Commands) -> None:
        self.path = path
        self._commands = commands
        self._connections: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Listen.  OSError if the socket cannot be made."""
        listener = listen_on(self.path)
        self._inode = self.path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def close(self, patience: float = 1.0) -> None:
        """Stop listening, remove the socket, and let answers under way leave within `patience` seconds."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        if self._busy:
            await asyncio.wait(self._busy, timeout=patience)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(task, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the client went away, or the daemon ends
        except ValueError as fault:
            _log.info("control connection dropped: %s", fault)
        finally:
            self._connections.discard(task)
            self._busy.discard(task)
            writer.close()

    async def _serve(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        splitter = Splitter()
        while data := await reader.read(65536):
            for message in splitter.feed(data):
                self._busy.add(task)
                writer.write(await answer(self._commands, message))
                await writer.drain()
                self._busy.discard(task)


@contextlib.contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address of the socket that fits into struct sockaddr_un, however long the path is."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listen_on(path: Path) -> socket.socket:
    """A listening unix socket, for its owner and group only; whatever was at the path is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o750)
        path.unlink(missing_ok=True)
        with short_address(path) as address:
            listener.bind(address)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener
