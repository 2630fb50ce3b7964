"""The plugin between two real databases: what is written, what is put back, what survives."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ovine.model import cloud, nb, sb
from ovine.model.base import Map, Uuid
from ovine.ovsdb import Client, Transaction
from support.daemons import Daemon, run_daemon
from support.ovsdb import Server, connected, start_server, until


@dataclass
class Bed:
    """Two databases, a client on each, and how to start plugins between them."""

    directory: Path
    above: Client
    below: Client
    servers: tuple[Server, Server]

    def plugin(self, name: str = "a", southbound: Server | None = None) -> Iterator[Daemon]:
        cloud_server, nb_server = self.servers
        remotes = [f"--cloud-db={cloud_server.remote}", f"--ovnnb-db={nb_server.remote}"]
        if southbound is not None:
            remotes.append(f"--ovnsb-db={southbound.remote}")
        return run_daemon("plugin", self.directory / name, *remotes)  # type: ignore[return-value]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        async with asyncio.timeout(20):
            while not condition():
                change = asyncio.Event()
                for client in (self.above, self.below):
                    client.subscribe(lambda _, seen=change: seen.set())
                await change.wait()

    def switch(self, network: Uuid) -> nb.LogicalSwitch | None:
        return self.below.replica.get(nb.LogicalSwitch, network)

    def port(self, name: str) -> nb.LogicalSwitchPort | None:
        return self.below.replica.index(nb.LogicalSwitchPort, "name").one(name)


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "nb").mkdir()
    with start_server(cloud.DATABASE, tmp_path / "cloud") as one, start_server(nb.DATABASE, tmp_path / "nb") as two:
        async with connected(cloud.DATABASE, one.remote) as above, connected(nb.DATABASE, two.remote) as below:
            yield Bed(tmp_path, above, below, (one, two))


async def make_network(bed: Bed, name: str = "n") -> tuple[Uuid, Uuid]:
    """A network with a subnet and one port; returns the ids of network and port."""
    transaction = Transaction()
    number = len(bed.above.replica.rows(cloud.Network)) + 1
    network = transaction.insert(cloud.Network(name=name, mtu=1442, segmentation_id=number))
    subnet = transaction.insert(cloud.Subnet(network=network, cidr="10.0.0.0/24", gateway_ip="10.0.0.1"))
    address = transaction.insert(cloud.IPAllocation(subnet=subnet, ip_address="10.0.0.5"))
    port = transaction.insert(
        cloud.Port(network=network, name="p", mac_address="fa:16:3e:00:00:05", fixed_ips=(address,))
    )
    await bed.above.transact(transaction)
    return network, port


async def test_a_network_becomes_a_switch_with_the_same_uuid_and_goes_with_it(bed: Bed) -> None:
    with bed.plugin() as plugin:
        network, port = await make_network(bed)
        await bed.until(lambda: bed.switch(network) is not None and bed.port(port) is not None, "rows below")
        row = bed.port(port)
        assert row is not None and row.dhcpv4_options is not None
        assert bed.switch(network).ports == (row.uuid,)  # type: ignore[union-attr]
        transaction = Transaction()
        transaction.delete(cloud.Port, port)
        for table in (cloud.IPAllocation, cloud.Subnet, cloud.Network):
            for uuid in bed.above.replica.rows(table):
                transaction.delete(table, uuid)
        await bed.above.transact(transaction)
        await bed.until(lambda: not bed.below.replica.rows(nb.LogicalSwitch), "an empty northbound")
        assert not bed.below.replica.rows(nb.LogicalSwitchPort)
        assert not bed.below.replica.rows(nb.DHCPOptions)
        assert plugin.failures() == []


async def test_a_port_that_is_up_is_active(bed: Bed) -> None:
    with bed.plugin():
        _, port = await make_network(bed)
        await bed.until(lambda: bed.port(port) is not None, "the port below")
        for up, status in ((True, "ACTIVE"), (False, "DOWN")):
            transaction = Transaction()
            transaction.update(nb.LogicalSwitchPort, bed.port(port).uuid, up=up)  # type: ignore[union-attr]
            await bed.below.transact(transaction)
            await bed.until(lambda s=status: bed.above.replica.get(cloud.Port, port).status == s, status)


async def test_a_foreign_change_is_put_back_and_reported_and_a_foreign_row_left_alone(bed: Bed) -> None:
    with bed.plugin() as plugin:
        network, _ = await make_network(bed)
        await bed.until(lambda: bed.switch(network) is not None, "the switch")
        transaction = Transaction()
        foreign = transaction.insert(nb.LogicalSwitch(name="mine"))
        transaction.update(nb.LogicalSwitch, network, ports=())
        await bed.below.transact(transaction)
        await bed.until(lambda: bool(bed.switch(network).ports), "the ports put back")  # type: ignore[union-attr]
        assert bed.switch(foreign) is not None
        await until(lambda: "was changed by somebody else; put back" in plugin.messages(), "the warning")


async def test_the_standby_takes_over_and_changes_nothing_it_need_not(bed: Bed) -> None:
    with bed.plugin("a") as first:
        network, port = await make_network(bed)
        await bed.until(lambda: bed.port(port) is not None, "the port")
        with bed.plugin("b") as second:
            assert second.command("status") == "Status: standby\n"
            before = bed.port(port)
            first.stop(signal.SIGKILL)
            other, _ = await make_network(bed, "other")
            await bed.until(lambda: bed.switch(other) is not None, "the standby's work")
            assert second.command("status") == "Status: active\n"
            assert bed.port(port) == before
            assert bed.switch(network) is not None


async def test_the_databases_may_restart_under_it(bed: Bed) -> None:
    with bed.plugin() as plugin:
        await make_network(bed)
        before = [client.generation for client in (bed.above, bed.below)]
        for server in bed.servers:
            server.restart()
        for client, generation in zip((bed.above, bed.below), before, strict=True):
            await until(lambda c=client, g=generation: c.generation > g, "a new connection")
        network, port = await make_network(bed, "after")
        await bed.until(lambda: bed.port(port) is not None, "work after the restart")
        assert bed.switch(network) is not None
        assert plugin.failures() == []
        assert plugin.command("inc-engine/recompute") == ""
        assert "recompute differs" not in plugin.messages()


# --- gateways ---------------------------------------------------------------------------------------------------------


async def make_router(bed: Bed) -> tuple[Uuid, Uuid]:
    """A router with a gateway on a flat network; returns its gateway port and a floating IP for a port behind it."""
    transaction = Transaction()
    outside = transaction.insert(cloud.Network(network_type="flat", physical_network="public", external=True, mtu=1500))
    outer = transaction.insert(cloud.Subnet(network=outside, cidr="172.24.5.0/24", gateway_ip="172.24.5.1"))
    addresses = [
        transaction.insert(cloud.IPAllocation(subnet=outer, ip_address=f"172.24.5.{number}")) for number in (20, 101)
    ]
    gateway, floating_port = (
        transaction.insert(cloud.Port(network=outside, mac_address=f"fa:16:3e:00:01:0{n}", fixed_ips=(address,)))
        for n, address in enumerate(addresses)
    )
    _, port = await make_network(bed)
    inside = bed.above.replica.get(cloud.Port, port).fixed_ips[0]  # type: ignore[union-attr]
    router = transaction.insert(cloud.Router(name="r", gateways=Map({0: gateway})))
    floating = transaction.insert(
        cloud.FloatingIP(
            floating_network=outside,
            floating_port=floating_port,
            floating_ip_address="172.24.5.101",
            port=port,
            fixed_ip=inside,
            router=router,
            interface=port,
            gateway=gateway,
        )
    )
    await bed.above.transact(transaction)
    return gateway, floating


def scheduled(bed: Bed) -> list[str]:
    rows = sorted(bed.below.replica.rows(nb.GatewayChassis).values(), key=lambda row: -row.priority)
    return [row.chassis_name for row in rows]


async def register(hosts: Client, name: str) -> Uuid:
    transaction = Transaction()
    encap = transaction.insert(sb.Encap(type="geneve", ip=f"192.0.2.{name[-1]}", chassis_name=name))
    mappings = Map({"ovn-bridge-mappings": "public:br-ex"})
    made = transaction.insert(sb.Chassis(name=name, hostname=f"host-{name}", encaps=(encap,), other_config=mappings))
    await hosts.transact(transaction)
    return made


async def test_gateways_are_scheduled_once_the_southbound_is_there_and_stay_when_it_is_not(
    bed: Bed, tmp_path: Path
) -> None:
    (tmp_path / "sb").mkdir()
    with start_server(sb.DATABASE, tmp_path / "sb") as server:
        hosts = Client(sb.DATABASE, server.remote)
        await hosts.start()
        await hosts.ready(10)
        try:
            with bed.plugin(southbound=server) as plugin:
                gateway, floating = await make_router(bed)
                await bed.until(lambda: len(bed.below.replica.rows(nb.LogicalRouterPort)) == 1, "the gateway below")
                assert scheduled(bed) == []
                first = await register(hosts, "hv1")
                await bed.until(lambda: scheduled(bed) == ["hv1"], "a chassis")
                await register(hosts, "hv2")
                await bed.until(lambda: scheduled(bed) == ["hv1", "hv2"], "another chassis, after the first")
                transaction = Transaction()
                datapath = transaction.insert(sb.DatapathBinding(tunnel_key=1))
                transaction.insert(
                    sb.PortBinding(
                        datapath=datapath,
                        logical_port=f"cr-lrp-{gateway}",
                        tunnel_key=1,
                        type="chassisredirect",
                        chassis=first,
                    )
                )
                await hosts.transact(transaction)
                await bed.until(
                    lambda: bed.above.replica.get(cloud.Port, gateway).active_host == "host-hv1", "where it is"
                )
                await bed.until(
                    lambda: bed.above.replica.get(cloud.FloatingIP, floating).status == "ACTIVE",
                    "an active floating IP",
                )
                assert plugin.failures() == []
        finally:
            await hosts.close()
    with bed.plugin("again"):
        _, port = await make_network(bed, "later")
        await bed.until(lambda: bed.port(port) is not None, "work without a southbound")
        assert scheduled(bed) == ["hv1", "hv2"]
        assert bed.above.replica.get(cloud.Port, gateway).active_host == "host-hv1"  # type: ignore[union-attr]
