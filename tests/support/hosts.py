"""One host for tests: a southbound database, a switch with the dummy datapath, and our controller, all real processes.

    async with host() as made:
        await made.southbound.transact(…)

Rows are written through clients of the two databases; the switch is asked by `ovs-ofctl`. Everything is ended when the
block ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ovine.daemons.appctl import Unreachable
from ovine.model import sb, vs
from ovine.model.base import Row, StrMap, Uuid
from ovine.ovsdb import Client, Transaction
from support.daemons import Daemon
from support.ovsdb import Server, connected, start_server, wait_until

OVS_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
OVN_SCHEMA = Path("/usr/share/ovn/ovn-sb.ovsschema")
DEADLINE = 20.0


@dataclass
class Vswitchd:
    """ovs-vswitchd with the dummy datapath, in a host's directory."""

    directory: Path
    database: str
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        here = str(self.directory)
        environment = os.environ | {"OVS_RUNDIR": here, "OVS_LOGDIR": here, "OVS_DBDIR": here}
        command = ["ovs-vswitchd", self.database, "--enable-dummy=override", "-vconsole:off"]
        command += [f"--unixctl={here}/vswitchd.ctl", f"--log-file={here}/vswitchd.log"]
        with (self.directory / "vswitchd.stderr").open("ab") as stderr:
            self.process = subprocess.Popen(command, env=environment, stdout=stderr, stderr=stderr)
        control = self.directory / "vswitchd.ctl"
        wait_until(control.exists, "ovs-vswitchd listens")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            (self.directory / "vswitchd.ctl").unlink(missing_ok=True)


@dataclass
class Host:
    """See the module."""

    directory: Path
    southbound_server: Server
    local_server: Server
    southbound: Client
    local: Client
    switch: Vswitchd
    controller: Daemon
    name: str = "hv1"

    # --- waiting and asking

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Returns what the condition gives as soon as that is true."""
        deadline = time.monotonic() + DEADLINE
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {DEADLINE:g} s\n{self.controller.messages()[-2000:]}")
            await asyncio.sleep(0.02)
        return found

    def flows(self) -> list[str]:
        """What the switch holds, without counters."""
        command = ["ovs-ofctl", "-O", "OpenFlow15", "--no-stats", "dump-flows", f"unix:{self.directory}/br-int.mgmt"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return sorted(line.strip() for line in done.stdout.splitlines() if "actions=" in line)

    def status(self) -> dict[str, str]:
        """What `ovine/switch` says; nothing while the controller does not listen yet."""
        try:
            lines = self.controller.command("ovine/switch").splitlines()
        except Unreachable:
            return {}
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def row(self, client: Client, table: type[Any], **columns: Any) -> Any:
        """The only row with these values, or None."""
        rows = client.replica.rows(table).values()
        found = [row for row in rows if all(getattr(row, name) == value for name, value in columns.items())]
        return found[0] if len(found) == 1 else None

    def binding(self, name: str) -> Any:
        return self.row(self.southbound, sb.PortBinding, logical_port=name)

    @property
    def chassis(self) -> Any:
        return self.row(self.southbound, sb.Chassis, name=self.name)

    # --- changing

    async def below(self, *rows: Row) -> list[Uuid]:
        """Inserts southbound rows in one transaction."""
        txn = Transaction()
        uuids = [txn.insert(row) for row in rows]
        await self.southbound.transact(txn)
        return uuids

    async def network(self, name: str, key: int, *ports: str) -> Uuid:
        """A switch with ports, and flows that forward by destination port number of the port's key."""
        datapath = (await self.below(sb.DatapathBinding(tunnel_key=key, external_ids=StrMap({"name": name}))))[0]
        rows: list[Row] = []
        for number, port in enumerate(ports, 1):
            rows.append(sb.PortBinding(logical_port=port, datapath=datapath, tunnel_key=number, up=False))
            match, actions = f"eth.dst == 02:00:00:00:00:{number:02x}", f'outport = "{port}"; output;'
            rows.append(self.logical_flow(datapath, 0, match, actions))
        rows.append(self.logical_flow(datapath, 0, "1", "output;", "egress"))
        await self.below(*rows)
        return datapath

    def logical_flow(
        self, datapath: Uuid, table: int, match: str, actions: str, pipeline: str = "ingress", priority: int = 100
    ) -> sb.LogicalFlow:
        return sb.LogicalFlow(
            logical_datapath=datapath,
            pipeline=pipeline,
            table_id=table,
            priority=priority,
            match=match,
            actions=actions,
        )

    async def plug(self, port: str, bridge: str = "br-int") -> Uuid:
        """An interface of the bridge that names a logical port."""
        row = await self.until(lambda: self.row(self.local, vs.Bridge, name=bridge), f"{bridge} is there")
        txn = Transaction()
        interface = txn.insert(vs.Interface(name=f"v-{port}", external_ids=StrMap({"iface-id": port})))
        port_uuid = txn.insert(vs.Port(name=f"v-{port}", interfaces=(interface,)))
        txn.mutate(vs.Bridge, row.uuid, "ports", "insert", port_uuid)
        await self.local.transact(txn)
        return interface

    async def unplug(self, port: str) -> None:
        bridge = self.row(self.local, vs.Bridge, name="br-int")
        txn = Transaction()
        txn.mutate(vs.Bridge, bridge.uuid, "ports", "delete", self.row(self.local, vs.Port, name=f"v-{port}").uuid)
        await self.local.transact(txn)

    async def set_up(self, *ports: str) -> None:
        """Plugs ports, and returns when all are up."""
        for port in ports:
            await self.plug(port)
        await self.until(lambda: all(self.binding(port).up for port in ports), f"{', '.join(ports)} up")

    async def configure(self, **external_ids: str) -> None:
        """Sets external_ids of the Open_vSwitch row; `_` stands for `-`."""
        given = {key.replace("_", "-"): value for key, value in external_ids.items()}
        (root,) = self.local.replica.rows(vs.OpenVSwitch).values()
        txn = Transaction()
        txn.update(vs.OpenVSwitch, root.uuid, external_ids=StrMap({**root.external_ids, **given}))
        await self.local.transact(txn)

    async def settled(self) -> None:
        """Returns when the controller has nothing left to do and the switch holds what it should."""
        await self.until(
            lambda: self.status().get("pending") == "0" and self.controller.command("ovine/audit") == "", "settled"
        )


@contextlib.asynccontextmanager
async def host(*, start: bool = True) -> AsyncIterator[Host]:
    """A host named hv1, with br-int made by the controller, and no port. Its directory's name is short, for sockets."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ovine-host-")))
        below = stack.enter_context(start_server(OVN_SCHEMA, directory / "sb", name="OVN_Southbound"))
        async with connected(sb.DATABASE, below.remote) as client:
            await client.transact(_inserted(sb.SBGlobal()))
            async with machine(directory, below, client) as made:
                if start:
                    made.controller.start()
                    await made.until(lambda: made.chassis, "the chassis is registered")
                yield made


@contextlib.asynccontextmanager
async def machine(
    directory: Path, below: Server, southbound: Client, ids: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Host]:
    """A host with a directory of its own, on any southbound database; `ids` are settings besides the usual ones.

    The controller is not started.
    """
    async with contextlib.AsyncExitStack() as stack:
        here = directory / "host"
        here.mkdir()
        server = stack.enter_context(start_server(OVS_SCHEMA, directory / "vs", name="Open_vSwitch"))
        local = await stack.enter_async_context(connected(vs.DATABASE, server.remote))
        settings = {
            "system-id": "hv1",
            "hostname": "machine",
            "ovn-remote": below.remote,
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "10.9.0.1",
        }
        await local.transact(_inserted(vs.OpenVSwitch(external_ids=StrMap(settings | dict(ids)))))
        switch = Vswitchd(here, server.remote)
        switch.start()
        stack.callback(switch.kill)
        controller = Daemon("controller", here, (server.remote,))
        stack.callback(lambda: controller.stop(signal.SIGKILL))
        yield Host(here, below, server, southbound, local, switch, controller, (settings | dict(ids))["system-id"])


@contextlib.contextmanager
def debians_controller(one: Host) -> Iterator[None]:
    """Debian's ovn-controller on a host whose own one does not run."""
    here = str(one.directory)
    command = ["ovn-controller", one.local_server.remote, "-vconsole:off"]
    environment = os.environ | {"OVS_RUNDIR": here, "OVN_RUNDIR": here}
    with subprocess.Popen([*command, f"--log-file={here}/c.log"], env=environment) as process:
        try:
            yield
        finally:
            process.kill()


def _inserted(row: Row) -> Transaction:
    txn = Transaction()
    txn.insert(row)
    return txn
