"""Hosts whose connections to the southbound may do only what role `ovn-controller` may (RBAC, ovn-sb(5)), over TLS.

Each host has a certificate with its name, as the `SSL` table of its Open_vSwitch database says; the southbound's server
takes no other connection. What hosts may write is what our northd says, and Debian's.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from ovine.model import sb, vs
from ovine.model.base import StrMap, Uuid
from ovine.ovsdb import Client, Tls, Transaction, TransactionError
from support.certificates import Authority, Keys, authority
from support.frames import build
from support.hosts import Host, debians_controller, machine
from support.northd_bed import SCHEMAS, NorthdBed
from support.ovsdb import DEADLINE, connected, free_port, start_server, until

NETWORK = """
ls-add s -- set Logical_Switch s other_config:mcast_snoop=true
lsp-add s a -- lsp-set-addresses a "02:00:00:00:00:01 10.0.0.1"
lsp-add s b -- lsp-set-addresses b unknown
lsp-add s c -- lsp-set-addresses c "02:00:00:00:00:03 10.0.0.3"
lr-add r -- set Logical_Router r options:chassis=hv1
lrp-add r r-s 02:00:00:00:ff:01 10.0.0.254/24
lsp-add s s-r -- lsp-set-type s-r router -- lsp-set-addresses s-r router -- lsp-set-options s-r router-port=r-s
create BFD logical_port=r-s dst_ip=10.0.0.2
lb-add web 10.0.0.100:80 10.0.0.1:8080 -- lb-add names 10.0.0.100:53 10.0.0.1:5353 udp -- lb-add none 10.0.0.101:80 ""
set Load_Balancer web ip_port_mappings:10.0.0.1=a:10.0.0.253
set Load_Balancer names ip_port_mappings:10.0.0.1=a:10.0.0.253
--id=@c create Load_Balancer_Health_Check vip="10.0.0.100\\:80" $EACH -- add Load_Balancer web health_check @c
--id=@c create Load_Balancer_Health_Check vip="10.0.0.100\\:53" $EACH -- add Load_Balancer names health_check @c
ls-lb-add s web -- ls-lb-add s names -- ls-lb-add s none
set NB_Global . options:controller_event=true
"""
EACH_SECOND = "options:interval=1 options:timeout=1 options:success_count=1 options:failure_count=1"
ROUTE = ("lr-route-add", "r", "198.51.100.0/24", "10.0.0.2")


class Bed(NorthdBed):
    """A southbound that hosts reach by TLS only."""

    authority: Authority
    target: str

    def client(self, name: str) -> Client:
        keys = self.authority.issue(name)
        return Client(sb.DATABASE, self.target, tls=Tls(keys.key, keys.cert, keys.ca))


@pytest.fixture(params=["ours", "debians"])
def bed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bed]:
    """With a network, under our northd or Debian's."""
    issuer = authority(tmp_path / "keys")
    options = issuer.issue("server").options
    with (
        tempfile.TemporaryDirectory(prefix="roles-") as short,
        start_server(SCHEMAS / "ovn-nb.ovsschema", Path(short) / "nb") as above,
        start_server(
            SCHEMAS / "ovn-sb.ovsschema",
            Path(short) / "sb",
            remotes=("db:OVN_Southbound,SB_Global,connections",),
            options=options,
        ) as below,
    ):
        made = Bed(Path(short), above, below)
        port = free_port()
        made.authority, made.target = issuer, f"ssl:127.0.0.1:{port}"
        made.nbctl("init")
        made.tool("ovn-sbctl", "init")
        made.tool("ovn-sbctl", "set-connection", "role=ovn-controller", f"pssl:{port}:127.0.0.1")
        with made.ours() if request.param == "ours" else made.debians():
            for line in NETWORK.strip().splitlines():
                command = f"ovn-nbctl --timeout={DEADLINE:.0f} {line.replace('$EACH', EACH_SECOND)}"
                made.tool("sh", "-c", command)
            session = made.nbctl("--bare", "--columns=_uuid", "find", "BFD").strip()
            made.nbctl(*ROUTE)
            route = made.nbctl("--bare", "--columns=_uuid", "find", "Logical_Router_Static_Route").strip()
            made.nbctl("--wait=sb", "set", "Logical_Router_Static_Route", route, f"bfd={session}")
            yield made


@contextlib.asynccontextmanager
async def hypervisor(bed: Bed, name: str, keys: Keys | None, southbound: Client) -> AsyncIterator[Host]:
    """A host whose database knows its keys; `southbound` is the test's own client. Its controller does not run."""
    directory = bed.directory / name
    directory.mkdir()
    ids = {"system-id": name, "ovn-encap-ip": "10.9.0.1", "ovn-remote": bed.target}
    async with machine(directory, bed.below, southbound, ids) as made:
        if keys is not None:
            await give_keys(made, keys)
        yield made


async def give_keys(one: Host, keys: Keys) -> None:
    """As `ovs-vsctl set-ssl` does."""
    (root,) = one.local.replica.rows(vs.OpenVSwitch)
    txn = Transaction()
    ssl = txn.insert(vs.SSL(private_key=str(keys.key), certificate=str(keys.cert), ca_cert=str(keys.ca)))
    txn.update(vs.OpenVSwitch, root, ssl=ssl)
    await one.local.transact(txn)


@contextlib.contextmanager
def our_controller(one: Host) -> Iterator[None]:
    one.controller.start()
    yield
    assert one.controller.failures() == []
    one.controller.command("exit")


def receive(one: Host, port: str, frame: str) -> None:
    """Lets an instance send a frame."""
    command = ["ovs-appctl", "-t", f"{one.directory}/vswitchd.ctl", "netdev-dummy/receive", f"v-{port}"]
    subprocess.run([*command, build(frame).hex()], check=True, timeout=DEADLINE)


def observer(bed: Bed) -> AbstractAsyncContextManager[Client]:
    """A client with all rights."""
    return connected(sb.DATABASE, bed.below.remote)


@pytest.mark.parametrize("controller", [our_controller, debians_controller], ids=["our host", "debian's host"])
async def test_a_host_does_all_its_work_with_the_rights_of_its_role(bed: Bed, controller: Any) -> None:
    keys = bed.authority.issue("hv1")
    async with observer(bed) as below, hypervisor(bed, "hv1", keys, below) as one:
        with controller(one):
            await until(lambda: one.chassis is not None, "registered")
            bound = "the gateway router is bound, though no instance is here"
            await one.until(lambda: one.binding("r-s").chassis == one.chassis.uuid, bound)
            await one.plug("a")
            await one.plug("b")
            await one.until(lambda: all(one.binding(port).up for port in ("a", "b")), "up")
            bed.nbctl(f"--timeout={DEADLINE:.0f}", "--wait=hv", "sync")
            await _teach(one)


async def _teach(one: Host) -> None:
    """Sends what makes a host write into each of the tables of what is learned."""

    async def until_there(table: type[Any], frame: str, **columns: Any) -> None:
        def there() -> bool:
            if one.row(one.southbound, table, **columns) is None:
                receive(one, "b", frame)
                return False
            return True

        await one.until(there, f"a row of {table.__name__}")

    to_router = "02:00:00:00:00:22>02:00:00:00:ff:01 arp reply 02:00:00:00:00:22/10.0.0.2>02:00:00:00:ff:01/10.0.0.254"
    await until_there(sb.FDB, to_router, mac="02:00:00:00:00:22")
    await until_there(sb.MACBinding, to_router, ip="10.0.0.2")
    join = "02:00:00:00:00:22>01:00:5e:00:00:16 ip 10.0.0.2>224.0.0.22 ttl 1 igmp3 join 239.1.1.1"
    await until_there(sb.IGMPGroup, join, address="239.1.1.1")
    (session,) = one.southbound.replica.rows(sb.BFD).values()
    head = "02:00:00:00:00:22>02:00:00:00:ff:01 ip 10.0.0.2>10.0.0.254 ttl 255 udp 49152>3784"
    await until_there(sb.BFD, f"{head} bfd init mine 7 yours {session.disc}", status="up")
    opening = "02:00:00:00:00:22>02:00:00:00:ff:01 ip 10.0.0.2>10.0.0.101 tcp 5000>80 S"
    await until_there(sb.ControllerEvent, opening, event_type="empty_lb_backends", chassis=one.chassis.uuid)
    (event,) = one.southbound.replica.rows(sb.ControllerEvent)
    await one.southbound.transact(_deleted(sb.ControllerEvent, event))
    await one.until(lambda: not one.southbound.replica.rows(sb.ControllerEvent), "whoever saw the event deletes it")
    await until_there(sb.ControllerEvent, opening, event_type="empty_lb_backends", chassis=one.chassis.uuid)
    # Nobody answers at port a: for TCP that is bad, for UDP it is good.
    for number, status in ((8080, "offline"), (5353, "online")):
        await one.until(lambda n=number, s=status: one.row(one.southbound, sb.ServiceMonitor, port=n, status=s), status)


async def test_keys_may_come_late_and_be_renewed(bed: Bed, tmp_path: Path) -> None:
    stranger = authority(tmp_path / "others").issue("hv1")
    async with observer(bed) as below, hypervisor(bed, "hv1", None, below) as one:
        one.controller.start()
        told = await one.until(one.controller.failures, "told")
        assert [f["error"] for f in told if f["rule"] == "ovn-remote"] == [
            "an ssl: remote needs a private key, a certificate and a CA certificate"
        ]
        await give_keys(one, stranger)
        await one.until(lambda: not one.controller.failures(), "tried")
        assert one.controller.command("connection-status") == "not connected\n"
        right = bed.authority.issue("hv1")
        for old, new in ((stranger.key, right.key), (stranger.cert, right.cert), (stranger.ca, right.ca)):
            old.write_bytes(new.read_bytes())
        await one.until(lambda: one.chassis, "registered with what the files hold now")


async def test_a_host_may_change_its_own_rows_and_no_others(bed: Bed) -> None:
    one, two = bed.client("hv1"), bed.client("hv2")
    for client in (one, two):
        await client.start()
        await client.ready(DEADLINE)
    try:
        await one.transact(_registration("hv1", "10.9.0.1"))
        await two.transact(_registration("hv2", "10.9.0.2"))
        theirs = one.replica.index(sb.Chassis, "name")
        await until(lambda: theirs.one("hv2") is not None, "the other host is seen")
        row, private = theirs.one("hv2"), one.replica.index(sb.ChassisPrivate, "name").one("hv2")
        assert row is not None and private is not None
        await two.transact(_changed(sb.Chassis, row.uuid, other_config=StrMap({"own": "1"})))
        await one.transact(_changed(sb.PortBinding, _port(one, "a"), chassis=theirs.one("hv1").uuid, up=True))  # type: ignore[union-attr]
        event = Transaction()
        event.insert(sb.ControllerEvent(event_type="empty_lb_backends", chassis=theirs.one("hv1").uuid, seq_num=1))  # type: ignore[union-attr]
        await one.transact(event)
        flow = next(iter(one.replica.rows(sb.LogicalFlow)))
        refused = [
            _changed(sb.Chassis, row.uuid, other_config=StrMap({"taken": "1"})),
            _changed(sb.ChassisPrivate, private.uuid, nb_cfg=99),
            _changed(sb.Encap, row.encaps[0], ip="10.9.0.9"),
            _changed(sb.PortBinding, _port(one, "c"), tunnel_key=77),
            _changed(sb.LogicalFlow, flow, actions="drop;"),
            _registration("hv3", "10.9.0.3"),
            _deleted(sb.Chassis, row.uuid),
            _deleted(sb.PortBinding, _port(one, "c")),
            _deleted(sb.LogicalFlow, flow),
        ]
        for txn in refused:
            with pytest.raises(TransactionError, match="permission error"):
                await one.transact(txn)
    finally:
        for client in (one, two):
            await client.close()


def _port(client: Client, name: str) -> Uuid:
    row = client.replica.index(sb.PortBinding, "logical_port").one(name)
    assert row is not None
    return row.uuid


def _registration(name: str, ip: str) -> Transaction:
    txn = Transaction()
    chassis = txn.insert(sb.Chassis(name=name, encaps=(txn.insert(sb.Encap(type="geneve", ip=ip, chassis_name=name)),)))
    txn.insert(sb.ChassisPrivate(name=name, chassis=chassis))
    return txn


def _changed(table: type[Any], uuid: Uuid, **columns: Any) -> Transaction:
    txn = Transaction()
    txn.update(table, uuid, **columns)
    return txn


def _deleted(table: type[Any], uuid: Uuid) -> Transaction:
    txn = Transaction()
    txn.delete(table, uuid)
    return txn
