"""The metadata service of one host as a process; see `ovine.metadata` and docs/metadata.md.

    ovine metadata --nova=http://controller:8775 --secret-file=FILE [--namespace=NAME] [OVS-DB-REMOTE]

The chassis, the integration bridge and the southbound database are those of the host's `external_ids`, as for the
controller. What should be is worked out anew at each change, and brought about by one task. Tests:
tests/lab/test_lab_metadata.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ovine.daemons.options import OptionError, Parsed, valued
from ovine.daemons.service import CannotStart, Context, DaemonSpec, run_daemon

if TYPE_CHECKING:
    from aiohttp import web

    from ovine.metadata.rules import Guest, Responder
    from ovine.model import vs
    from ovine.ovsdb import Batch, Client

RETRY = 1.0
"""Seconds before what failed is tried again."""
OPTIONS = (
    valued("nova", "URL", "hand requests on to Nova's metadata API at URL"),
    valued("secret-file", "FILE", "sign with the secret in FILE: Nova's metadata_proxy_shared_secret"),
    valued("namespace", "NAME", "answer in network namespace NAME (default: ovine-metadata)"),
)


def _check(parsed: Parsed) -> None:
    for name in ("nova", "secret-file"):
        if not parsed.value(name):
            raise OptionError(f"--{name} is missing")
    url = urlsplit(parsed.value("nova") or "")
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.path not in ("", "/"):
        raise OptionError(f"--nova: {parsed.value('nova')!r} is not of the form http://HOST:PORT")
    _secret(parsed)


def _secret(parsed: Parsed) -> bytes:
    path = Path(parsed.value("secret-file") or "")
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise OptionError(f"--secret-file: {path}: {error.strerror}") from None
    if not secret:
        raise OptionError(f"--secret-file: {path} is empty")
    return secret


class Service:
    """The host's databases, what follows from them, and the listening sockets."""

    def __init__(self, context: Context, local: Client) -> None:
        from ovine.metadata.proxy import Proxy, Upstream

        self.context, self.log, self.local = context, context.log, local
        self.namespace = context.options.value("namespace") or "ovine-metadata"
        self.southbound: Client | None = None
        self.remote = self.chassis = self.bridge = ""
        self.engine: Any = None
        self.wake = asyncio.Event()
        url = (context.options.value("nova") or "").rstrip("/")
        self.proxy = Proxy(Upstream(url, _secret(context.options)), self.who, self.log)
        self.sites: dict[str, list[web.SockSite]] = {}
        self.indexes: dict[str, int] = {}
        """The device behind a name, for as long as it is the same one: sockets are bound to that."""
        self.datapaths: dict[str, str] = {}
        """Datapath by device."""

    # --- who asks

    def who(self, request: web.Request) -> tuple[Guest, str] | None:
        """The instance behind a connection, by the device that it came in by and its address."""
        from ovine.metadata.devices import device_of
        from ovine.metadata.rules import GUESTS

        transport = request.transport
        if transport is None or request.remote is None or self.engine is None:
            return None
        address = request.remote.partition("%")[0]
        datapath = self.datapaths.get(device_of(transport.get_extra_info("socket")))
        guest = self.engine.rows(GUESTS).get((datapath, address))
        return (guest, address) if guest is not None else None

    # --- what is known

    def changed(self, batch: Batch) -> None:
        for change in batch:
            if self.engine is not None:
                self.engine.feed(change.table, change.uuid, change.new)
        self.wake.set()

    async def follow_settings(self) -> None:
        """Turns to the southbound database that the host's settings name."""
        from ovine.model import vs

        ids = next((row.external_ids for row in self.local.replica.rows(vs.OpenVSwitch).values()), None)
        if ids is None:
            return
        chassis = ids.get("system-id", "")

        def get(name: str) -> str:
            return ids.get(f"{name}-{chassis}", ids.get(name, ""))

        self.bridge = get("ovn-bridge") or "br-int"
        if (get("ovn-remote"), chassis) != (self.remote, self.chassis):
            self.remote, self.chassis = get("ovn-remote"), chassis
            await self._connect()

    async def _connect(self) -> None:
        from ovine.daemons.tls import database_tls
        from ovine.metadata.rules import new_engine
        from ovine.model import sb
        from ovine.ovsdb import Client, Monitor

        if self.southbound is not None:
            await self.southbound.close()
            self.southbound = None
        self.engine = new_engine(self.chassis)
        if not self.remote or not self.chassis:
            self.log.warning("waiting: external_ids of Open_vSwitch names no system-id or no ovn-remote")
            return
        columns = ("logical_port", "type", "datapath", "chassis", "mac", "external_ids")
        client = Client(
            sb.DATABASE,
            self.remote,
            monitors=[
                Monitor(sb.SBGlobal, ("nb_cfg",)),
                Monitor(sb.Chassis, ("name",), [("name", "==", self.chassis)]),
                Monitor(sb.ChassisPrivate, ("name", "external_ids"), [("name", "==", self.chassis)]),
                Monitor(sb.PortBinding, columns, [("type", "==", "localport")]),
            ],
            tls=database_tls(self.context.tls),
        )
        client.subscribe(self.changed)
        client.on_state(self.wake.set)
        self.southbound = client
        await client.start()

    def ask(self) -> None:
        """Besides the metadata ports, only ports that are bound here are of interest."""
        from ovine.model import sb

        if self.southbound is not None:
            own = sorted(self.southbound.replica.rows(sb.Chassis))
            where: list[Any] = [("type", "==", "localport"), *(("chassis", "==", uuid) for uuid in own)]
            self.southbound.set_condition(sb.PortBinding, where)

    # --- what is to be done

    async def run(self, runner: web.AppRunner) -> None:
        """Works for ever; to be cancelled."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            try:
                await self.follow_settings()
                self.ask()
                if self.engine is not None and self.southbound is not None and self.southbound.connected:
                    self.engine.run()
                    await self._make(runner)
                    await self._announce(self.southbound)
            except Exception as error:
                self.log.error("%s; trying again", error)
                await asyncio.sleep(RETRY)
                self.wake.set()

    async def _make(self, runner: web.AppRunner) -> None:
        from ovine.metadata import devices, ports
        from ovine.metadata.rules import RESPONDERS

        wanted = ports.by_device(self.engine.rows(RESPONDERS), self.local.replica)
        if txn := ports.plan(self.local.replica, self.bridge, wanted.values()):
            await self.local.transact(txn)
        made = {name: wanted[name] for name, row in ports.marked(self.local.replica).items() if _usable(row, wanted)}
        ready = await asyncio.to_thread(devices.bring_in, self.namespace, made) if made else {}
        for device in sorted(self.sites):
            if ready.get(device) != self.indexes[device]:
                await self._stop(device)
        for device in sorted(set(ready) - set(self.sites)):
            await self._listen(runner, device)
            self.indexes[device] = ready[device]
        self.datapaths = {device: wanted[device].datapath for device in ready}

    async def _announce(self, southbound: Client) -> None:
        """Lets the cloud know that the service is here, and up to what change it has come."""
        from ovine.metadata.presence import announcement

        if txn := announcement(southbound.replica, self.chassis):
            await southbound.transact(txn)

    async def _listen(self, runner: web.AppRunner, device: str) -> None:
        from aiohttp import web

        from ovine.metadata import devices

        opened = await asyncio.to_thread(devices.listeners, self.namespace, device)
        self.sites[device] = [web.SockSite(runner, one) for one in opened]
        for site in self.sites[device]:
            await site.start()
        self.log.info("answering on %s", device)

    async def _stop(self, device: str) -> None:
        for site in self.sites.pop(device):
            await site.stop()
        self.log.info("no longer answering on %s", device)

    async def leave(self) -> None:
        """Takes the responders away, after a plain `exit`; a restart finds them as they were."""
        from ovine.metadata import devices, ports
        from ovine.metadata.presence import farewell
        from ovine.ovsdb import NotConnected, TransactionError

        if self.context.ending is None or not self.context.ending.clean_up:
            return
        if self.southbound is not None and self.southbound.connected:
            with contextlib.suppress(NotConnected, TransactionError):
                if gone := farewell(self.southbound.replica, self.chassis):
                    await self.southbound.transact(gone)
        if txn := ports.plan(self.local.replica, self.bridge, ()):
            await self.local.transact(txn)
        await asyncio.to_thread(devices.remove_namespace, self.namespace)


def _usable(row: vs.Interface, wanted: dict[str, Responder]) -> bool:
    return row.name in wanted and row.ofport is not None and row.ofport > 0


async def _main(context: Context) -> None:
    from aiohttp import web

    from ovine.daemons.tls import database_tls
    from ovine.metadata import devices
    from ovine.model import vs
    from ovine.ovsdb import Client, RemoteError

    remote = context.options.positional[0] if context.options.positional else context.paths.ovs_database
    try:
        local = Client(
            vs.DATABASE,
            remote,
            monitors=[vs.OpenVSwitch, vs.Bridge, vs.Port, vs.Interface],
            tls=database_tls(context.tls),
        )
    except RemoteError as error:
        raise CannotStart(str(error)) from None
    service = Service(context, local)
    runner = web.AppRunner(service.proxy.app, access_log=None, handle_signals=False)
    context.commands.register("status", "", 0, 0, lambda _: _status(service))
    context.commands.register("ovine/audit", "", 0, 0, lambda _: _audit(service))
    await asyncio.to_thread(devices.make_namespace, service.namespace)
    await runner.setup()
    local.subscribe(lambda _: service.wake.set())
    await local.start()

    async def leave() -> None:
        await runner.cleanup()
        await service.leave()

    context.on_exit(leave)
    await local.ready()
    await service.run(runner)


def _status(service: Service) -> str:
    devices = "".join(f"  {device}\n" for device in sorted(service.sites))
    connected = service.southbound is not None and service.southbound.connected
    state = "connected" if connected else "not connected"
    return f"southbound: {state}\nanswered: {service.proxy.answered}\ninterfaces:\n{devices}"


def _audit(service: Service) -> str:
    return "".join(f"{line}\n" for line in service.engine.audit()) if service.engine is not None else ""


SPEC = DaemonSpec(
    name="metadata",
    default_program="ovine-metadata",
    description="Ovine's metadata service: answers the instances of one host on 169.254.169.254.",
    example="ovine metadata --nova=http://controller:8775 --secret-file=/etc/ovine/metadata.secret --detach",
    main=_main,
    options=OPTIONS,
    check=_check,
    arguments="[OVS-DATABASE]",
    positional=(0, 1),
)


def main(argv: Sequence[str], program: str | None = None) -> int:
    return run_daemon(SPEC, argv, program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
