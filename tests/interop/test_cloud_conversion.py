"""A Cloud database of the schema before the present one: it works, and `ovsdb-client convert` keeps what it holds."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ovine.api.config import Config
from ovine.api.errors import ServiceUnavailable
from ovine.api.store import Store
from ovine.model import cloud, nb, sb
from ovine.model.schema import to_json
from ovine.ovsdb import Client, Transaction
from support.daemons import run_daemon
from support.ovsdb import DEADLINE, start_server, until


def before() -> dict[str, Any]:
    """Schema 0.10.0, as far as it differs."""
    schema: dict[str, Any] = copy.deepcopy(to_json(cloud.DATABASE))
    schema["version"] = "0.10.0"
    tables = schema["tables"]
    for name in ("Agent", "Agent_Check", "Subnet_Pool"):
        del tables[name]
    del tables["Floating_IP"]["columns"]["qos_policy"]
    columns = tables["Subnet"]["columns"]
    del columns["subnet_pool"]
    columns["subnetpool_id"] = {"type": {"key": "string", "min": 0, "max": 1}}
    return schema


async def test_the_plugin_serves_an_older_database_and_counts_agents_once_it_is_converted(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        clients, remotes = [], []
        schemas = (("cloud", before()), ("nb", nb.DATABASE), ("sb", sb.DATABASE))
        for name, schema in schemas:
            server = stack.enter_context(start_server(schema, tmp_path / name))
            remotes.append(f"--{name if name == 'cloud' else f'ovn{name}'}-db={server.remote}")
            client = Client({"cloud": cloud, "nb": nb, "sb": sb}[name].DATABASE, server.remote)
            stack.push_async_callback(client.close)
            await client.start()
            await client.ready(10)
            clients.append((client, server))
        (above, upper), (below, _), (hosts, _) = clients
        made = Transaction()
        network = made.insert(cloud.Network(name="n", mtu=1442, segmentation_id=1))
        subnet = made.insert(cloud.Subnet(network=network, cidr="10.0.0.0/24", gateway_ip="10.0.0.1"))
        await above.transact(made)
        for client, row in ((below, nb.NBGlobal()), (hosts, sb.ChassisPrivate(name="h1"))):
            made = Transaction()
            made.insert(row)
            await client.transact(made)
        plugin = stack.enter_context(run_daemon("plugin", tmp_path / "plugin", *remotes))
        await until(lambda: network in below.replica.rows(nb.LogicalSwitch), "the switch")
        assert plugin.failures() == []
        store = Store(above, Config())
        pool = cloud.SubnetPool(name="p", place="p")
        with pytest.raises(ServiceUnavailable, match="has to be converted first"):
            await store.commit(lambda draft: draft.insert(pool))
        (tmp_path / "new.ovsschema").write_text(json.dumps(to_json(cloud.DATABASE)))
        convert = ["ovsdb-client", "convert", upper.remote, str(tmp_path / "new.ovsschema")]
        await asyncio.to_thread(subprocess.run, convert, check=True, timeout=DEADLINE)
        await until(lambda: above.connected and bool(above.replica.rows(cloud.Agent)), "the host's agent")
        assert above.replica.rows(cloud.Subnet)[subnet].cidr == "10.0.0.0/24"
        assert [row.host for row in above.replica.rows(cloud.Agent).values()] == ["h1"]
        await store.commit(lambda draft: draft.insert(pool))
        await until(lambda: plugin.failures() == [], "no failure left")
