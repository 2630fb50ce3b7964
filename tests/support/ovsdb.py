"""Real ovsdb-servers for tests: standalone or a raft cluster, each in a directory of its own.

    with start_server(nb.DATABASE, tmp_path) as server:
        async with connected(nb.DATABASE, server.remote) as client:

The servers are children of the test, killed when the `with` block ends, in all cases.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovine.model.base import Database
from ovine.model.schema import to_json
from ovine.ovsdb import Client

DEADLINE = 30.0

Schema = Database | Mapping[str, Any] | Path | str


@dataclass
class Server:
    """One ovsdb-server process and how to reach it. `remote` is its unix socket, `extra` the other remotes."""

    directory: Path
    database: Path
    name: str
    socket: Path
    extra: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def remote(self) -> str:
        return f"unix:{self.socket}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def control(self) -> Path:
        """The socket for `appctl`."""
        return self.socket.with_suffix(".ctl")

    def start(self) -> None:
        """Starts the server and returns when it listens."""
        self.socket.unlink(missing_ok=True)
        command = ["ovsdb-server", f"--remote=punix:{self.socket}", *(f"--remote={r}" for r in self.extra)]
        command += [f"--unixctl={self.control}", f"--log-file={self.directory / 'ovsdb-server.log'}"]
        command += ["-vconsole:off", "--no-chdir", *self.options, str(self.database)]
        with (self.directory / "stderr").open("ab") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        process = self.process

        def up() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"ovsdb-server ended: {(self.directory / 'stderr').read_text()[-2000:]}")
            return _listens(self.socket)

        wait_until(up, "ovsdb-server listens")

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Ends the process, by default without any chance to tidy up."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signum)
            self.process.wait(DEADLINE)
        self.process = None

    def restart(self) -> None:
        """`kill -9`, then a new process on the same files and remotes."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: the process keeps its sockets and says nothing more."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def select(self, table: str, *columns: str) -> list[dict[str, Any]]:
        """These columns of all rows of a table, in the protocol's JSON (RFC 7047), asked of the server itself."""
        query = json.dumps([self.name, {"op": "select", "table": table, "where": [], "columns": columns}])
        command = ["ovsdb-client", "transact", self.remote, query]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE)
        found: list[dict[str, Any]] = json.loads(done.stdout)[0]["rows"]
        return found

    def appctl(self, *command: str) -> str:
        """The answer of a command to the server's control socket."""
        done = subprocess.run(
            ["ovs-appctl", "-t", str(self.control), *command], capture_output=True, text=True, timeout=DEADLINE
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()


@contextlib.contextmanager
def start_server(
    schema: Schema, directory: Path, *, remotes: Sequence[str] = (), options: Sequence[str] = (), name: str = "db"
) -> Iterator[Server]:
    """A standalone server of one empty database. `remotes` are further passive remotes, such as ptcp:0:127.0.0.1."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    file, text = directory / f"{name}.db", schema_json(schema)
    schema_file = directory / f"{name}.ovsschema"
    schema_file.write_text(json.dumps(text))
    subprocess.run(["ovsdb-tool", "create", str(file), str(schema_file)], check=True, timeout=DEADLINE)
    with _socket_directory() as sockets:
        server = Server(directory, file, text["name"], sockets / f"{name}.sock", tuple(remotes), tuple(options))
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.asynccontextmanager
async def connected(database: Database, remote: str, **options: Any) -> AsyncIterator[Client]:
    """A client whose replica is complete; `options` are those of `Client`."""
    client = Client(database, remote, **options)
    await client.start()
    try:
        await client.ready(DEADLINE)
        yield client
    finally:
        await client.close()


@contextlib.contextmanager
def start_cluster(schema: Schema, directory: Path, size: int = 3) -> Iterator[list[Server]]:
    """A raft cluster on loopback ports, all of whose members have joined."""
    directory = Path(directory)
    text = schema_json(schema)
    directory.mkdir(parents=True, exist_ok=True)
    schema_file = directory / "cluster.ovsschema"
    schema_file.write_text(json.dumps(text))
    addresses = [f"tcp:127.0.0.1:{free_port()}" for _ in range(size)]
    with _socket_directory() as sockets:
        servers: list[Server] = []
        try:
            for number, address in enumerate(addresses):
                home = directory / f"member{number}"
                home.mkdir()
                file = home / "db"
                if number == 0:
                    command = ["create-cluster", str(file), str(schema_file), address]
                else:
                    command = ["join-cluster", str(file), text["name"], address, addresses[0]]
                subprocess.run(["ovsdb-tool", *command], check=True, timeout=DEADLINE)
                server = Server(home, file, text["name"], sockets / f"m{number}.sock")
                servers.append(server)
                server.start()
                wait_until(lambda server=server: joined(server), f"member {number} joins")
            yield servers
        finally:
            for server in servers:
                server.kill()


def cluster_status(server: Server) -> dict[str, str]:
    """`cluster/status` as a dict of its "Key: value" lines."""
    lines = server.appctl("cluster/status", server.name).splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def joined(server: Server) -> bool:
    try:
        status = cluster_status(server)
    except RuntimeError:
        return False
    return status.get("Status") == "cluster member" and status.get("Leader", "unknown") != "unknown"


def leader_of(servers: Sequence[Server]) -> Server:
    """The member that says it leads; waits for one."""
    found: list[Server] = []

    def one_leads() -> bool:
        found[:] = [s for s in servers if s.process is not None and cluster_status(s).get("Role") == "leader"]
        return len(found) == 1

    wait_until(one_leads, "a leader")
    return found[0]


def schema_json(schema: Schema) -> dict[str, Any]:
    """The schema's JSON, from a declaration, a dict or a file."""
    if isinstance(schema, Database):
        return to_json(schema)
    if isinstance(schema, Mapping):
        return dict(schema)
    text: dict[str, Any] = json.loads(Path(schema).read_text())
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(holds: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Polls until `holds()`; AssertionError that names `what` after the deadline, in seconds."""
    end = time.monotonic() + deadline
    while not holds():
        assert time.monotonic() < end, f"waited {deadline:g} s in vain: {what}"
        time.sleep(0.01)


async def until(holds: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Like `wait_until`, in an event loop."""
    end = time.monotonic() + deadline
    while not holds():
        assert time.monotonic() < end, f"waited {deadline:g} s in vain: {what}"
        await asyncio.sleep(0.01)


@contextlib.contextmanager
def _socket_directory() -> Iterator[Path]:
    """A short path: the name of a unix socket may have 107 bytes, and pytest's directories are long."""
    with tempfile.TemporaryDirectory(prefix="ovsdb-") as name:
        yield Path(name)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
