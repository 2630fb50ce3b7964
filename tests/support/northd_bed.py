"""Two real databases with northds between them, ours and Debian's, for interop tests."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovine.daemons.appctl import Unreachable
from ovine.daemons.unixctl import CommandError
from ovine.model.base import Database, Row
from ovine.ovsdb import Client
from support.daemons import Daemon, run_daemon
from support.ovsdb import DEADLINE, Schema, Server, connected, start_server, wait_until

SCHEMAS = Path("/usr/share/ovn")
THEIRS = SCHEMAS / "ovn-nb.ovsschema"


@dataclass
class NorthdBed:
    """The databases, and tools that work on them. Use `northd_bed`."""

    directory: Path
    above: Server
    below: Server
    schema: Schema = THEIRS
    """Of the northbound."""

    @property
    def remotes(self) -> tuple[str, str]:
        return (f"--ovnnb-db={self.above.remote}", f"--ovnsb-db={self.below.remote}")

    def ours(self, name: str = "northd", *options: str) -> contextlib.AbstractContextManager[Daemon]:
        """Our northd; `name` is that of its run directory."""
        return run_daemon("northd", self.directory / name, *self.remotes, *options)

    @contextlib.contextmanager
    def debians(self, name: str = "ovn-northd") -> Iterator[subprocess.Popen[bytes]]:
        """Debian's ovn-northd, killed at the end of the block."""
        home = self.directory / name
        home.mkdir()
        options = ["-vconsole:off", f"--unixctl={home / 'ctl'}", f"--log-file={home / 'log'}"]
        process = subprocess.Popen(["ovn-northd", *self.remotes, *options], cwd=home)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def tool(self, *words: str) -> str:
        """Runs ovn-nbctl, ovn-sbctl or ovn-trace; returns what it prints."""
        environment = os.environ | {"OVN_NB_DB": self.above.remote, "OVN_SB_DB": self.below.remote}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def nbctl(self, *words: str) -> str:
        return self.tool("ovn-nbctl", f"--timeout={DEADLINE:.0f}", *words)

    def join(self, router: str, switch: str, mac: str, network: str, *options: str) -> None:
        """A router port ROUTER-SWITCH on a switch, whose port SWITCH-ROUTER has these options besides."""
        inner, outer = f"{router}-{switch}", f"{switch}-{router}"
        self.nbctl("lrp-add", router, inner, mac, network, "--", "lsp-add", switch, outer)
        self.nbctl("lsp-set-type", outer, "router", "--", "lsp-set-addresses", outer, "router")
        self.nbctl("lsp-set-options", outer, f"router-port={inner}", *options)

    def serve_dhcp(self, port: str) -> None:
        """Gives a port addresses of 10.0.0.0/24 and fd00::/64 by DHCP."""
        four = self.nbctl(
            *("create", "dhcp_options", "cidr=10.0.0.0/24"),
            'options="server_id"="10.0.0.254" "server_mac"="0a:00:00:00:00:fe" "lease_time"="3600" "mtu"="1442"',
        )
        six = self.nbctl("create", "dhcp_options", 'cidr="fd00::/64"', 'options="server_id"="0a:00:00:00:00:fe"')
        self.nbctl("lsp-set-dhcpv4-options", port, four.strip(), "--", "lsp-set-dhcpv6-options", port, six.strip())

    def sync(self) -> None:
        """Returns when the southbound has everything that was asked for so far."""
        self.nbctl("--wait=sb", "sync")

    def trace(self, switch: str, packet: str, *options: str) -> str:
        return self.tool("ovn-trace", f"--db={self.below.remote}", *options, switch, packet)

    def flows(self) -> str:
        return self.tool("ovn-sbctl", "lflow-list")


@contextlib.contextmanager
def northd_bed(directory: Path, schema: Schema = THEIRS) -> Iterator[NorthdBed]:
    """Servers with Debian's schemas, so that Debian's daemons and tools find all that they know.

    `schema` may be another one of the northbound.
    """
    with (
        start_server(schema, directory / "nb") as above,
        start_server(SCHEMAS / "ovn-sb.ovsschema", directory / "sb") as below,
    ):
        bed = NorthdBed(directory, above, below, schema)
        bed.nbctl("init")
        bed.tool("ovn-sbctl", "init")
        yield bed


def replica(server: Server, database: Database) -> AbstractAsyncContextManager[Client]:
    """A client that has everything of a database."""
    return connected(database, server.remote)


async def dump(server: Server, database: Any) -> dict[tuple[type[Row], str], Row]:
    """All rows that a database has now."""
    async with replica(server, database) as client:
        return {
            (table.row, uuid): row
            for table in database.tables.values()
            for uuid, row in client.replica.rows(table.row).items()
        }


def until_status(daemon: Daemon, status: str) -> None:
    """Returns when the daemon says so; right after its start it may not answer yet."""

    def says_so() -> bool:
        try:
            return daemon.command("status").strip() == f"Status: {status}"
        except (Unreachable, CommandError):
            return False

    wait_until(says_so, f"northd is {status}")
