"""One member more or less of a large set: CPU of each stage, ours and OVN's C daemons in one run on one machine.

    python bench/set_members.py [--members 100 1000 10000] [--rounds 10] [--repeats 3] [--stacks ovine c] [--json FILE]

Per stack and size a whole column: cloud, northbound and southbound databases, our plugin, northd, and one host: Open
vSwitch with the dummy datapath and a controller. The cloud has one network and so many ports in one security group,
whose rule lets its own members in (`ip4.src == $pg_…_ip4`); a few of them are on the host. Then ports join the group,
and leave it again, one after the other, each awaited in the southbound.

What is told is the CPU time of each process for one port (all threads, as the kernel's scheduler counts it), waiting
excluded. Of several repeats the least counts, for whatever else the machine does makes work slower. The plugin is ours
in both stacks; OVN has none.

Stacks: "ovine" is ours, "c" has Debian's ovn-northd and ovn-controller.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import command_line
import processes
from ovine.model import cloud, nb, sb, vs
from ovine.model.base import StrMap, Uuid
from ovine.ovsdb import Client, Monitor, Transaction
from security_groups import introduce
from support.hosts import OVS_SCHEMA, Vswitchd
from support.ovsdb import Server, start_server

STAGES = ("plugin", "northd", "controller")
BATCH = 500
"""Ports that are made in one transaction."""
LOCAL = 5
"""Members on the host."""
DEADLINE = 900.0


class Cloud:
    """The databases of one stack."""

    def __init__(self, above: Client, middle: Client, below: Client, local: Client) -> None:
        self.above, self.middle, self.below, self.local = above, middle, below, local
        self.group, self.ports = Uuid(""), list[Uuid]()
        self._changed = asyncio.Event()
        for client in (above, middle, below, local):
            client.subscribe(lambda _: self._changed.set())

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def fill(self, members: int, guests: int) -> None:
        """A network with `members` ports in the group, and `guests` that may join it."""
        txn = Transaction()
        network = txn.insert(cloud.Network(name="n", mtu=1442, segmentation_id=1))
        subnet = txn.insert(cloud.Subnet(network=network, cidr="10.0.0.0/8", gateway_ip="10.0.0.1", enable_dhcp=False))
        self.group = txn.insert(cloud.SecurityGroup(name="g", place="default"))
        txn.insert(cloud.SecurityGroupRule(security_group=self.group, remote_group=self.group))
        await self.above.transact(txn)
        for first in range(0, members + guests, BATCH):
            txn = Transaction()
            for number in range(first, min(first + BATCH, members + guests)):
                groups = (self.group,) if number < members else ()
                self.ports.append(txn.insert(_port(txn, network, subnet, number, groups)))
            await self.above.transact(txn)

    def addresses(self) -> int:
        """How many addresses of the group the southbound has."""
        rows = self.below.replica.rows(sb.AddressSet).values()
        return sum(len(row.addresses) for row in rows if row.name.startswith("pg_"))

    async def host_is_up_to_date(self) -> None:
        """Has the northbound's state go all the way down."""
        ((uuid, row),) = self.middle.replica.rows(nb.NBGlobal).items()
        txn = Transaction()
        txn.update(nb.NBGlobal, uuid, nb_cfg=row.nb_cfg + 1)
        await self.middle.transact(txn)
        await self.until(lambda: self.middle.replica.rows(nb.NBGlobal)[uuid].hv_cfg >= row.nb_cfg + 1)

    async def plug(self, names: list[Uuid]) -> None:
        (bridge,) = [row for row in self.local.replica.rows(vs.Bridge).values() if row.name == "br-int"]
        txn = Transaction()
        made = []
        for number, name in enumerate(names):
            interface = txn.insert(vs.Interface(name=f"v{number}", external_ids=StrMap({"iface-id": name})))
            made.append(txn.insert(vs.Port(name=f"v{number}", interfaces=(interface,))))
        txn.mutate(vs.Bridge, bridge.uuid, "ports", "insert", tuple(made))
        await self.local.transact(txn)

    async def move(self, guests: list[Uuid], joins: bool) -> None:
        """Each port joins the group, or leaves it, once the one before has been seen in the southbound."""
        for guest in guests:
            wanted = self.addresses() + (1 if joins else -1)
            txn = Transaction()
            txn.update(cloud.Port, guest, security_groups=(self.group,) if joins else ())
            await self.above.transact(txn)
            await self.until(lambda wanted=wanted: self.addresses() == wanted)
        await self.host_is_up_to_date()


def _port(txn: Transaction, network: Uuid, subnet: Uuid, number: int, groups: tuple[Uuid, ...]) -> cloud.Port:
    # Every other address, so that members do not merge into prefixes and each is flows of its own on the host.
    place = 2 * number + 10
    ip = f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}"
    address = txn.insert(cloud.IPAllocation(subnet=subnet, ip_address=ip))
    mac = f"fa:16:3e:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    return cloud.Port(
        network=network, mac_address=mac, fixed_ips=(address,), security_groups=groups, port_security_enabled=True
    )


async def connected(database: Any, server: Server, *tables: Any) -> Client:
    client = Client(database, server.remote, monitors=[Monitor(table) for table in tables])
    await client.start()
    await client.ready(30)
    return client


async def measure(stack: str, members: int, rounds: int, repeats: int, root: Path) -> dict[str, dict[str, float]]:
    """Milliseconds of CPU per port by stage, of joining and of leaving."""
    with ExitStack() as stage:
        enter = stage.enter_context
        for name in ("cloud", "nb", "sb", "host", "northd"):
            (root / name).mkdir(parents=True)
        above, middle = (
            enter(start_server(cloud.DATABASE, root / "cloud")),
            enter(start_server(nb.DATABASE, root / "nb")),
        )
        below, local = (
            enter(start_server(sb.DATABASE, root / "sb")),
            enter(start_server(OVS_SCHEMA, root / "host/vs", name="conf")),
        )
        clients = [
            await connected(cloud.DATABASE, above, cloud.Port),
            await connected(nb.DATABASE, middle, nb.NBGlobal),
            await connected(sb.DATABASE, below, sb.AddressSet),
            await connected(vs.DATABASE, local, vs.Bridge, vs.OpenVSwitch),
        ]
        await introduce(clients[3], below)
        switch = Vswitchd(root / "host", local.remote)
        switch.start()
        stage.callback(switch.kill)
        world = Cloud(clients[0], clients[1], clients[2], clients[3])
        await world.fill(members, rounds)
        remotes = (f"--ovnnb-db={middle.remote}", f"--ovnsb-db={below.remote}")
        plugin = processes.our_daemon("plugin", root / "plugin", f"--cloud-db={above.remote}", remotes[0])
        running = {"plugin": enter(plugin)}
        running["northd"] = enter(processes.northd(stack, root / "northd", *remotes))
        running["controller"] = enter(processes.controller(stack, root / "host", local.remote))
        await world.until(lambda: any(row.name == "br-int" for row in clients[3].replica.rows(vs.Bridge).values()))
        await world.until(lambda: len(clients[1].replica.rows(nb.NBGlobal)) == 1)
        await world.plug(world.ports[:LOCAL])
        await world.until(lambda: world.addresses() == members)
        await world.host_is_up_to_date()
        guests = world.ports[members:]
        await world.move(guests[:2], joins=True)  # warms up
        await world.move(guests[:2], joins=False)
        found: dict[str, dict[str, float]] = {}
        for what, joins in (("join", True), ("leave", False)) * repeats:
            before = {name: processes.exact_cpu_seconds(process.pid) for name, process in running.items()}
            await world.move(guests, joins)
            spent = {name: processes.exact_cpu_seconds(p.pid) - before[name] for name, p in running.items()}
            least = found.setdefault(what, dict.fromkeys(running, float("inf")))
            for name, seconds in spent.items():
                least[name] = min(least[name], seconds * 1000 / len(guests))
        for client in clients:
            await client.close()
        return found


def tell(results: dict[str, dict[int, Any]]) -> None:
    columns = [(stack, name) for stack in results for name in STAGES]
    print(f"{'ms of CPU':24}" + "".join(f"{stack + ' ' + name:>18}" for stack, name in columns))
    for members in next(iter(results.values())):
        for what in ("join", "leave"):
            cells = (f"{results[stack][members][what][name]:>18.2f}" for stack, name in columns)
            print(f"{what + f', {members:,} members':24}" + "".join(cells))


def main() -> None:
    parser = command_line.parser(__doc__)
    command_line.add_stacks(parser)
    parser.add_argument("--members", type=int, nargs="+", default=[100, 1000, 10_000], help="sizes of the group")
    parser.add_argument("--rounds", type=int, default=10, help="ports that join and leave")
    parser.add_argument("--repeats", type=int, default=3, help="how often they do; the least counts")
    options = parser.parse_args()
    results: dict[str, dict[int, Any]] = {stack: {} for stack in options.stacks}
    for stack, found in results.items():
        for members in options.members:
            with tempfile.TemporaryDirectory(prefix="set-members-") as root:
                found[members] = asyncio.run(measure(stack, members, options.rounds, options.repeats, Path(root)))
            print(f"{stack}, {members} members: {found[members]}", file=sys.stderr)
    tell(results)
    command_line.publish(options, results)


if __name__ == "__main__":
    main()
