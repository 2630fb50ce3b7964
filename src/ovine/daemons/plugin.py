"""The plugin as a process: Cloud → Northbound, and port status back up.

    ovine plugin --cloud-db=REMOTES --ovnnb-db=REMOTES [--ovnsb-db=REMOTES] [--config=FILE]

Several may run; the one that holds the OVSDB lock `ovine_plugin` of the Cloud database works, the others stand by with
their replicas filled. The southbound tells which chassis there are for gateways; until it can be reached, gateways
stay as they are scheduled and all else goes on. Tests: tests/interop/test_plugin_daemon.py.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovine.daemons.options import OptionError, Parsed, valued
from ovine.daemons.service import Context, DaemonSpec, run_daemon
from ovine.daemons.tls import database_tls
from ovine.daemons.unixctl import Commands

if TYPE_CHECKING:
    from ovine.daemons.derivation import Derivation
    from ovine.daemons.rounds import Rounds
    from ovine.model.base import Row
    from ovine.ovsdb import Client, Monitor
    from ovine.projection import Target

LOCK = "ovine_plugin"
OPTIONS = (
    valued("cloud-db", "REMOTES", "connect to the Cloud database at REMOTES"),
    valued("ovnnb-db", "REMOTES", "connect to the northbound database at REMOTES"),
    valued("ovnsb-db", "REMOTES", "read the chassis from the southbound database at REMOTES"),
    valued("config", "FILE", "read settings from FILE (TOML)"),
)


def _check(parsed: Parsed) -> None:
    from ovine.plugin.settings import SettingsError, load

    path = parsed.value("config")
    try:
        load(Path(path) if path else None)
    except SettingsError as error:
        raise OptionError(str(error)) from None


def _monitor(target: Target[Any]) -> Monitor | type[Row]:
    """What to read of a table that the plugin writes: what it owns there, and all where its rules need more."""
    from ovine.ovsdb import Monitor
    from ovine.plugin import NB_INPUTS

    if target.table in NB_INPUTS:
        return target.table
    columns = target.table.spec.columns.values()
    return Monitor(target.table, [column.name for column in columns if column.attribute in target.columns])


async def _main(context: Context) -> None:
    from ovine.daemons.derivation import Derivation
    from ovine.engine import Engine
    from ovine.plugin import AGENT_TABLES, CLOUD, NORTHBOUND, RULES, SB_INPUTS
    from ovine.plugin.gateways import Southbound

    above, below, hosts = _cloud(context), _northbound(context), _hosts(context)
    derivation = Derivation(
        Engine(RULES, watch=[t.relation for t in (*NORTHBOUND, *CLOUD, *AGENT_TABLES)]), context.log
    )
    _register(context.commands, {"cloud": above, "nb": below, "sb": hosts})
    derivation.register(context.commands)
    above.lock(LOCK)
    await above.start()
    await below.start()
    try:
        await above.ready()
        await below.ready()
        rounds = _wire(context, derivation, above, below, hosts)

        async def look_at_hosts() -> None:
            await hosts.start()
            await hosts.ready()
            derivation.feed(hosts, SB_INPUTS)
            derivation.engine.feed(Southbound, (), Southbound())
            derivation.wake()

        running = [asyncio.create_task(work) for work in (derivation.run(), look_at_hosts(), rounds.run())]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # what went wrong ends the daemon, which says so
        finally:
            for task in running:
                task.cancel()
    finally:
        await above.close()
        await below.close()
        await hosts.close()


def _wire(context: Context, derivation: Derivation, above: Client, below: Client, hosts: Client) -> Rounds:
    """Joins what is read with what is derived of it and where that is written; who has the lock writes.

    Returns what asks the hosts in rounds whether they are alive.
    """
    from ovine.daemons.rounds import Rounds
    from ovine.plugin import AGENT_TABLES, CLOUD, NB_INPUTS, NORTHBOUND
    from ovine.plugin.agents import Remover
    from ovine.plugin.gateways import Southbound
    from ovine.plugin.settings import Settings, load

    path = context.options.value("config")
    settings = load(Path(path) if path else None)
    derivation.engine.feed(Settings, (), settings)
    derivation.feed(above, _cloud_tables())
    derivation.feed(below, NB_INPUTS)
    for client, targets in ((below, NORTHBOUND), (above, CLOUD)):
        derivation.write(client, targets, allowed=lambda: above.lock_held)

    def counts_agents() -> bool:
        """A Cloud database of an older schema has no place for them."""
        return above.lock_held and ("Agent", None) not in above.replica.missing_columns

    def knows_hosts() -> bool:
        return counts_agents() and bool(derivation.engine.rows(Southbound))

    derivation.write(above, AGENT_TABLES, allowed=knows_hosts)
    derivation.add(hosts, Remover(derivation.engine, hosts.replica), allowed=knows_hosts)
    above.on_state(derivation.wake)  # the lock may have come or gone
    return Rounds(above, below, settings.agent_down_time, context.log, counts_agents)


def _cloud_tables() -> list[type[Row]]:
    """All of the Cloud database but what is the API's own."""
    from ovine.model import cloud

    own = (cloud.Quota, cloud.QuotaUsage)
    return [table.row for table in cloud.DATABASE.tables.values() if table.row not in own]


def _cloud(context: Context) -> Client:
    from ovine.model import cloud
    from ovine.ovsdb import Client

    return Client(
        cloud.DATABASE,
        context.remote("cloud-db", "OVINE_CLOUD_DB", f"unix:{context.paths.ovn_run}/ovine_cloud.sock"),
        monitors=_cloud_tables(),
        leader_only=True,
        tls=database_tls(context.tls),
    )


def _northbound(context: Context) -> Client:
    from ovine.model import nb
    from ovine.ovsdb import Client, Monitor
    from ovine.plugin import NORTHBOUND

    return Client(
        nb.DATABASE,
        context.remote("ovnnb-db", "OVN_NB_DB", f"unix:{context.paths.ovn_run}/ovnnb_db.sock"),
        monitors=[*(_monitor(target) for target in NORTHBOUND), Monitor(nb.NBGlobal, ("nb_cfg",))],
        leader_only=True,
        tls=database_tls(context.tls),
    )


def _hosts(context: Context) -> Client:
    """The client of the southbound, of which only the hosts matter and where gateways are bound."""
    from ovine.model import sb
    from ovine.ovsdb import Client, Monitor

    return Client(
        sb.DATABASE,
        context.remote("ovnsb-db", "OVN_SB_DB", f"unix:{context.paths.ovn_run}/ovnsb_db.sock"),
        monitors=[
            Monitor(sb.Chassis, ("name", "hostname", "other_config", "external_ids")),
            sb.ChassisPrivate,
            Monitor(sb.PortBinding, ("logical_port", "chassis"), [("type", "==", "chassisredirect")]),
        ],
        tls=database_tls(context.tls),
    )


def _register(commands: Commands, clients: dict[str, Client]) -> None:
    above = clients["cloud"]

    def connection(client: Client, words: list[str]) -> str:
        return "connected\n" if client.connected else "not connected\n"

    commands.register("status", "", 0, 0, lambda _: f"Status: {'active' if above.lock_held else 'standby'}\n")
    for name, client in clients.items():
        commands.register(f"{name}-connection-status", "", 0, 0, partial(connection, client))


SPEC = DaemonSpec(
    name="plugin",
    default_program="ovine-plugin",
    description="Ovine's plugin: compiles the Cloud database into OVN_Northbound.",
    example="ovine plugin --cloud-db=unix:/run/ovn/ovine_cloud.sock --ovnnb-db=unix:/run/ovn/ovnnb_db.sock --detach",
    main=_main,
    options=OPTIONS,
    check=_check,
)


def main(argv: Sequence[str], program: str | None = None) -> int:
    return run_daemon(SPEC, argv, program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
