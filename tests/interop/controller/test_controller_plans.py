"""Plans carried out by a real ovsdb-server: what is written is what was wanted, and the next plan is empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ovine.controller import southbound, vswitch
from ovine.controller.chassis import Presence
from ovine.controller.config import Config
from ovine.controller.local import Claim
from ovine.controller.mirrors import Mirror
from ovine.controller.patches import Patch
from ovine.controller.rates import Queue
from ovine.controller.southbound import Progress
from ovine.controller.tunnels import TunnelKey
from ovine.controller.vswitch import Wanted
from ovine.model import sb, vs
from ovine.model.base import Database, Map, StrMap, Uuid
from ovine.ovsdb import Client, Transaction
from support.ovsdb import connected, start_server

PRESENCE = Presence(
    "hv1", "host", (("geneve", "10.0.0.1"), ("vxlan", "10.0.0.1")), StrMap({"csum": "true"}), StrMap({"a": "b"}), ()
)


@dataclass
class Bench:
    """A database with a client, and plans to carry out."""

    client: Client

    async def write(self, *rows: Any) -> list[Uuid]:
        txn = Transaction()
        uuids = [txn.insert(row) for row in rows]
        await self.client.transact(txn)
        return uuids

    async def carry_out(self, plan: Callable[[], Transaction]) -> None:
        """Carries a plan out; then there is nothing left to plan."""
        txn = plan()
        assert txn
        await self.client.transact(txn)
        assert plan().operations == []

    def all(self, table: type[Any]) -> list[Any]:
        return list(self.client.replica.rows(table).values())

    def one(self, table: type[Any], **columns: Any) -> Any:
        found = [r for r in self.all(table) if all(getattr(r, name) == value for name, value in columns.items())]
        assert len(found) == 1, found
        return found[0]


async def bench(database: Database, directory: Path) -> AsyncIterator[Bench]:
    with start_server(database, directory) as server:
        async with connected(database, server.remote) as client:
            yield Bench(client)


@pytest.fixture
async def below(tmp_path: Path) -> AsyncIterator[Bench]:
    async for made in bench(sb.DATABASE, tmp_path):
        yield made


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Bench]:
    async for made in bench(vs.DATABASE, tmp_path):
        await made.write(vs.OpenVSwitch())
        yield made


NOTHING = Progress()


# --- southbound -------------------------------------------------------------------------------------------------------


async def ports(below: Bench, *names: str) -> list[Uuid]:
    (datapath,) = await below.write(sb.DatapathBinding(tunnel_key=1))
    rows = [
        sb.PortBinding(logical_port=name, datapath=datapath, tunnel_key=n, up=False) for n, name in enumerate(names, 1)
    ]
    return await below.write(*rows)


def claim(name: str) -> Claim:
    return Claim(name, Uuid("11111111-1111-4111-8111-111111111111"), 5)


async def test_the_first_plan_registers_the_chassis_with_an_encap_for_each_type(below: Bench) -> None:
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {}, Progress(3, 1000)))
    chassis = below.one(sb.Chassis, name="hv1")
    assert {(e.type, e.ip, e.chassis_name) for e in below.all(sb.Encap)} == {
        ("geneve", "10.0.0.1", "hv1"),
        ("vxlan", "10.0.0.1", "hv1"),
    }
    private = below.one(sb.ChassisPrivate, name="hv1")
    assert (private.chassis, private.nb_cfg, private.nb_cfg_timestamp) == (chassis.uuid, 3, 1000)


async def test_progress_is_not_reported_where_the_cloud_does_not_want_it(below: Bench) -> None:
    option = StrMap({"enable_chassis_nb_cfg_update": "false"})
    (row,) = await below.write(sb.SBGlobal(options=option))
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {}, Progress(3, 1000)))
    assert below.one(sb.ChassisPrivate, name="hv1").nb_cfg == 0
    txn = Transaction()
    txn.update(sb.SBGlobal, row, options=StrMap())
    await below.client.transact(txn)
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {}, Progress(3, 1000)))
    assert below.one(sb.ChassisPrivate, name="hv1").nb_cfg == 3


async def test_a_change_of_the_address_replaces_the_encaps_and_keeps_the_chassis(below: Bench) -> None:
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {}, Progress()))
    before = below.one(sb.Chassis, name="hv1")
    moved = PRESENCE._replace(encaps=(("geneve", "10.0.0.9"),))
    await below.carry_out(lambda: southbound.plan(below.client.replica, moved, {}, Progress()))
    assert [(e.type, e.ip) for e in below.all(sb.Encap)] == [("geneve", "10.0.0.9")]
    assert below.one(sb.Chassis, name="hv1").uuid == before.uuid


async def test_keys_of_others_in_other_config_stay(below: Bench) -> None:
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {}, Progress()))
    row = below.one(sb.Chassis, name="hv1")
    txn = Transaction()
    txn.update(sb.Chassis, row.uuid, other_config=StrMap({"foreign": "1", "a": "changed"}))
    await below.client.transact(txn)
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {}, Progress()))
    assert below.one(sb.Chassis, name="hv1").other_config == {"foreign": "1", "a": "b"}


async def test_a_claimed_port_is_bound_at_once_and_up_when_it_is_installed(below: Bench) -> None:
    (port,) = await ports(below, "p1")
    claims = {port: claim("p1")}
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, claims, Progress()))
    row = below.one(sb.PortBinding, logical_port="p1")
    assert row.chassis == below.one(sb.Chassis, name="hv1").uuid and row.up is False
    done = Progress(installed={(port, claims[port])})
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, claims, done))
    assert below.one(sb.PortBinding, logical_port="p1").up is True


async def test_what_was_installed_for_another_interface_does_not_make_a_port_up(below: Bench) -> None:
    (port,) = await ports(below, "p1")
    old, new = claim("p1"), claim("p1")._replace(ofport=6)
    done = Progress(installed={(port, old)})
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {port: new}, done))
    assert below.one(sb.PortBinding, logical_port="p1").up is False


async def test_a_port_that_is_no_longer_claimed_is_released(below: Bench) -> None:
    (port,) = await ports(below, "p1")
    claims = {port: claim("p1")}
    done = Progress(installed={(port, claims[port])})
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, claims, done))
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {}, done))
    row = below.one(sb.PortBinding, logical_port="p1")
    assert row.chassis is None and row.up is False


async def test_bindings_that_are_known_first_are_written_by_a_registered_chassis_and_release_nothing(
    below: Bench,
) -> None:
    first, second = await ports(below, "p1", "p2")
    new = {second: claim("p2")}
    assert not southbound.plan_bindings(below.client.replica, "hv1", new, NOTHING)
    done = Progress(installed={(first, claim("p1"))})
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {first: claim("p1")}, done))
    await below.carry_out(lambda: southbound.plan_bindings(below.client.replica, "hv1", new, done))
    ours = below.one(sb.Chassis, name="hv1").uuid
    bound = {row.logical_port: (row.chassis, row.up) for row in below.all(sb.PortBinding)}
    assert bound == {"p1": (ours, True), "p2": (ours, False)}


async def test_a_port_that_another_chassis_has_taken_over_is_not_released(below: Bench) -> None:
    (port,) = await ports(below, "p1")
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {port: claim("p1")}, Progress()))
    late = southbound.plan(below.client.replica, PRESENCE, {}, Progress())
    neighbour = PRESENCE._replace(name="hv2", encaps=(("geneve", "10.0.0.2"),))
    await below.carry_out(lambda: southbound.plan(below.client.replica, neighbour, {port: claim("p1")}, Progress()))
    await below.client.transact(late)
    assert below.one(sb.PortBinding, logical_port="p1").chassis == below.one(sb.Chassis, name="hv2").uuid


async def test_an_additional_chassis_enters_itself_beside_others_and_takes_itself_out(below: Bench) -> None:
    (port,) = await ports(below, "p1")
    beside = claim("p1")._replace(additional=True, encap_ip="10.0.0.1")
    neighbour = PRESENCE._replace(name="hv2", encaps=(("geneve", "10.0.0.2"),))
    third = PRESENCE._replace(name="hv3", encaps=(("geneve", "10.0.0.3"),))

    async def state(presence: Presence, mine: dict[Uuid, Claim], progress: Progress = NOTHING) -> sb.PortBinding:
        await below.carry_out(lambda: southbound.plan(below.client.replica, presence, mine, progress))
        return below.one(sb.PortBinding, logical_port="p1")

    await state(neighbour, {port: claim("p1")})
    await state(third, {port: beside._replace(encap_ip="")})
    await state(PRESENCE, {})
    row = await state(PRESENCE, {port: beside})
    ours, theirs, others = (below.one(sb.Chassis, name=name) for name in ("hv1", "hv2", "hv3"))
    assert (row.chassis, set(row.additional_chassis)) == (theirs.uuid, {ours.uuid, others.uuid})
    assert set(row.additional_encap) <= set(ours.encaps) and len(row.additional_encap) == 1
    # It becomes the main one; what was installed for it before will do.
    done = Progress(installed={(port, beside)})
    row = await state(PRESENCE, {port: beside._replace(additional=False)}, done)
    assert (row.chassis, row.up) == (ours.uuid, True)
    assert (row.additional_chassis, row.additional_encap) == ((others.uuid,), ())
    # And an additional one again.
    await state(PRESENCE, {port: beside})
    row = await state(neighbour, {port: claim("p1")})
    assert (row.chassis, set(row.additional_chassis)) == (theirs.uuid, {ours.uuid, others.uuid})
    row = await state(PRESENCE, {})
    assert (row.chassis, row.additional_chassis) == (theirs.uuid, (others.uuid,))
    await below.client.transact(southbound.leave(below.client.replica, "hv3"))
    assert below.one(sb.PortBinding, logical_port="p1").additional_chassis == ()


async def test_a_virtual_port_that_is_released_is_at_no_port_unless_another_chassis_has_it(below: Bench) -> None:
    parent, port = await ports(below, "parent", "vip")
    plan = southbound.plan
    await below.carry_out(lambda: plan(below.client.replica, PRESENCE, {port: Claim("vip")}, Progress()))
    ours = below.one(sb.Chassis, name="hv1").uuid
    neighbour = PRESENCE._replace(name="hv2", encaps=(("geneve", "10.0.0.2"),))
    await below.carry_out(lambda: plan(below.client.replica, neighbour, {}, Progress()))
    theirs = below.one(sb.Chassis, name="hv2").uuid
    for at, expected in ((theirs, "parent"), (ours, None), (None, None)):
        txn = Transaction()
        txn.update(sb.PortBinding, port, type="virtual", virtual_parent="parent", chassis=ours)
        txn.update(sb.PortBinding, parent, chassis=at)
        await below.client.transact(txn)
        await below.carry_out(lambda: plan(below.client.replica, PRESENCE, {}, Progress()))
        row = below.one(sb.PortBinding, logical_port="vip")
        assert (row.chassis, row.virtual_parent) == (None, expected)


async def test_an_interface_may_ask_for_one_of_our_encaps(below: Bench) -> None:
    (port,) = await ports(below, "p1")
    claims = {port: claim("p1")._replace(encap_ip="10.0.0.2")}
    two = PRESENCE._replace(encaps=(("geneve", "10.0.0.1"), ("geneve", "10.0.0.2")))
    await below.carry_out(lambda: southbound.plan(below.client.replica, two, {}, Progress()))
    await below.carry_out(lambda: southbound.plan(below.client.replica, two, claims, Progress()))
    chosen = below.one(sb.Encap, ip="10.0.0.2")
    assert below.one(sb.PortBinding, logical_port="p1").encap == chosen.uuid


async def test_leaving_takes_everything_of_ours_back_and_nothing_else(below: Bench) -> None:
    port, other = await ports(below, "p1", "p2")
    rival = PRESENCE._replace(name="hv2", encaps=(("geneve", "10.0.0.2"),))
    await below.carry_out(lambda: southbound.plan(below.client.replica, rival, {other: claim("p2")}, Progress()))
    await below.carry_out(lambda: southbound.plan(below.client.replica, PRESENCE, {port: claim("p1")}, Progress()))
    await below.carry_out(lambda: southbound.leave(below.client.replica, "hv1"))
    assert [row.name for row in below.all(sb.Chassis)] == ["hv2"]
    assert [row.name for row in below.all(sb.ChassisPrivate)] == ["hv2"]
    assert below.one(sb.PortBinding, logical_port="p1").chassis is None
    assert below.one(sb.PortBinding, logical_port="p2").chassis == below.one(sb.Chassis, name="hv2").uuid


# --- the local database -----------------------------------------------------------------------------------------------

CONFIG = Config(chassis="hv1", hostname="host", datapath_type="netdev")
TUNNEL = TunnelKey("chassis-with-a-long-name", "10.0.0.2", "10.0.0.1", "geneve")
OPTIONS = StrMap({"key": "flow", "remote_ip": "10.0.0.2"})


async def made(switch: Bench) -> None:
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, None))


async def test_the_bridge_is_made_secure_and_out_of_band(switch: Bench) -> None:
    await made(switch)
    bridge = switch.one(vs.Bridge)
    assert (bridge.name, bridge.fail_mode, bridge.datapath_type) == ("br-int", "secure", "netdev")
    assert bridge.other_config == {"disable-in-band": "true"}
    assert switch.one(vs.Interface).type == "internal"


async def test_a_bridge_that_is_there_is_put_right_without_losing_what_others_set(switch: Bench) -> None:
    txn = Transaction()
    (root,) = switch.client.replica.rows(vs.OpenVSwitch)
    bridge = txn.insert(
        vs.Bridge(name="br-int", fail_mode="standalone", other_config=StrMap({"x": "y"}), protocols=("OpenFlow13",))
    )
    txn.mutate(vs.OpenVSwitch, root, "bridges", "insert", bridge)
    await switch.client.transact(txn)
    await made(switch)
    row = switch.one(vs.Bridge)
    assert (row.fail_mode, row.protocols) == ("secure", ("OpenFlow13", "OpenFlow15"))
    assert row.other_config == {"x": "y", "disable-in-band": "true"}


async def test_tunnel_ports_come_change_and_go_and_other_ports_stay(switch: Bench) -> None:
    await made(switch)
    wanted = Wanted(tunnels={TUNNEL: OPTIONS})
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, wanted))
    port = switch.one(vs.Port, name="ovn-chassi-0")
    assert port.external_ids == {"ovn-chassis-id": "chassis-with-a-long-name@10.0.0.2%10.0.0.1"}
    changed = Wanted(tunnels={TUNNEL: StrMap({**OPTIONS, "csum": "true"})})
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, changed))
    assert switch.one(vs.Port, name="ovn-chassi-0").uuid == port.uuid
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted()))
    assert [row.name for row in switch.all(vs.Port)] == ["br-int"]


async def test_bfd_is_on_where_it_is_wanted_and_off_elsewhere_and_others_settings_of_it_stay(switch: Bench) -> None:
    await made(switch)
    tunnels = {TunnelKey(name, f"10.0.0.{name[-1]}", "10.0.0.1", "geneve"): StrMap() for name in ("hv2", "hv3")}
    watched = StrMap({"enable": "true", "min_rx": "300"})

    async def settings(bfd: dict[str, StrMap]) -> dict[str, StrMap]:
        await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted(tunnels, bfd)))
        assert not vswitch.plan(switch.client.replica, CONFIG, Wanted(tunnels, bfd))
        by_port = {port.external_ids["ovn-chassis-id"][:3]: port for port in switch.all(vs.Port) if port.external_ids}
        return {name: switch.client.replica.get(vs.Interface, p.interfaces[0]).bfd for name, p in by_port.items()}  # type: ignore[union-attr]

    assert await settings({"hv2": watched}) == {"hv2": watched, "hv3": StrMap()}
    faster = StrMap({"enable": "true", "min_rx": "100"})
    assert await settings({"hv2": faster, "hv3": watched}) == {"hv2": faster, "hv3": watched}
    assert await settings({"hv3": watched}) == {"hv2": StrMap({"enable": "false"}), "hv3": watched}


async def test_a_tunnel_port_of_an_older_controller_is_taken_over(switch: Bench) -> None:
    await made(switch)
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted(tunnels={TUNNEL: OPTIONS})))
    port = switch.one(vs.Port, name="ovn-chassi-0")
    txn = Transaction()
    txn.update(vs.Port, port.uuid, external_ids=StrMap({"ovn-chassis-id": "chassis-with-a-long-name@10.0.0.2"}))
    await switch.client.transact(txn)
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted(tunnels={TUNNEL: OPTIONS})))
    now = switch.one(vs.Port, name="ovn-chassi-0")
    assert now.uuid == port.uuid and now.external_ids["ovn-chassis-id"] == TUNNEL.text


async def test_two_chassis_whose_names_begin_alike_have_ports_of_different_names(switch: Bench) -> None:
    await made(switch)
    other = TUNNEL._replace(chassis="chassis-two", remote_ip="10.0.0.3")
    tunnels = {TUNNEL: OPTIONS, other: StrMap({**OPTIONS, "remote_ip": "10.0.0.3"})}
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted(tunnels=tunnels)))
    assert {row.name for row in switch.all(vs.Port)} == {"br-int", "ovn-chassi-0", "ovn-chassi-1"}


async def test_patch_ports_stand_in_both_bridges(switch: Bench) -> None:
    await made(switch)
    txn = Transaction()
    (root,) = switch.client.replica.rows(vs.OpenVSwitch)
    txn.mutate(vs.OpenVSwitch, root, "bridges", "insert", txn.insert(vs.Bridge(name="br-ex")))
    await switch.client.transact(txn)
    patches = {"near": Patch("br-int", "far", "net"), "far": Patch("br-ex", "near", "net")}
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted(patches=patches)))
    assert {(row.name, row.options.get("peer")) for row in switch.all(vs.Interface) if row.type == "patch"} == {
        ("near", "far"),
        ("far", "near"),
    }
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted()))
    assert [row.name for row in switch.all(vs.Port)] == ["br-int"]


async def test_zones_are_remembered_changed_and_forgotten(switch: Bench) -> None:
    await made(switch)
    for zones in ({"a": 1, "b": 2}, {"a": 3}, {"c": 9}):
        await switch.carry_out(lambda zones=zones: vswitch.plan(switch.client.replica, CONFIG, Wanted(zones=zones)))
        assert switch.one(vs.Bridge).external_ids == {f"ct-zone-{name}": str(n) for name, n in zones.items()}


async def test_an_interface_is_marked_when_it_is_installed_and_unmarked_when_its_port_is_not_ours(
    switch: Bench,
) -> None:
    await made(switch)
    txn = Transaction()
    interface = txn.insert(vs.Interface(name="v1", external_ids=StrMap({"iface-id": "p1", "x": "y"})))
    port = txn.insert(vs.Port(name="v1", interfaces=(interface,)))
    txn.mutate(vs.Bridge, switch.one(vs.Bridge).uuid, "ports", "insert", port)
    await switch.client.transact(txn)
    done = Wanted(claimed={interface}, installed={interface}, now=5)
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, done))
    assert switch.one(vs.Interface, name="v1").external_ids == {
        "iface-id": "p1",
        "x": "y",
        "ovn-installed": "true",
        "ovn-installed-ts": "5",
    }
    assert not vswitch.plan(switch.client.replica, CONFIG, Wanted(claimed={interface}))
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, Wanted()))
    assert switch.one(vs.Interface, name="v1").external_ids == {"iface-id": "p1", "x": "y"}


async def test_a_mirror_has_a_port_to_send_to_and_follows_what_is_wanted(switch: Bench) -> None:
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, None))
    bridge = switch.one(vs.Bridge, name="br-int").uuid
    txn = Transaction()
    interfaces = [txn.insert(vs.Interface(name=name)) for name in ("tap1", "tap2")]
    taps = [txn.insert(vs.Port(name=f"tap{n}", interfaces=(one,))) for n, one in enumerate(interfaces, 1)]
    for tap in taps:
        txn.mutate(vs.Bridge, bridge, "ports", "insert", tap)
    await switch.client.transact(txn)
    found = {port.name: port.uuid for port in switch.all(vs.Port)}
    one, two = (row.uuid for name in ("tap1", "tap2") for row in switch.all(vs.Interface) if row.name == name)

    def plan(kind: str, remote: str, sent: bool, *of: Uuid) -> Transaction:
        wanted = {"m": Mirror(kind, StrMap({"remote_ip": remote, "key": "7"}), sent, of)} if of else {}
        return vswitch.plan(switch.client.replica, CONFIG, Wanted(mirrors=wanted))

    await switch.carry_out(lambda: plan("gre", "10.9.0.9", True, one))
    row = switch.one(vs.Mirror, name="m")
    assert (row.select_src_port, row.select_dst_port) == ((found["tap1"],), ())
    output = switch.one(vs.Port, uuid=row.output_port)
    assert switch.one(vs.Interface, uuid=output.interfaces[0]).options == {"remote_ip": "10.9.0.9", "key": "7"}
    await switch.carry_out(lambda: plan("gre", "10.9.0.8", False, one, two))
    changed = switch.one(vs.Mirror, name="m")
    assert (changed.uuid, changed.output_port) == (row.uuid, row.output_port)
    assert (changed.select_src_port, set(changed.select_dst_port)) == ((), {found["tap1"], found["tap2"]})
    txn = plan("erspan", "10.9.0.8", False, one)
    await switch.client.transact(txn)
    await switch.client.transact(plan("erspan", "10.9.0.8", False, one))
    assert switch.one(vs.Interface, type="erspan") and not [r for r in switch.all(vs.Interface) if r.type == "gre"]
    assert plan("erspan", "10.9.0.8", False, one).operations == []
    await switch.carry_out(lambda: plan("erspan", "", False))
    assert switch.all(vs.Mirror) == [] and {port.name for port in switch.all(vs.Port)} == {"br-int", "tap1", "tap2"}


async def test_queues_of_an_interface_follow_what_is_wanted_and_leave_nothing_behind(switch: Bench) -> None:
    await switch.carry_out(lambda: vswitch.plan(switch.client.replica, CONFIG, None))
    bridge = switch.one(vs.Bridge, name="br-int").uuid
    txn = Transaction()
    theirs = txn.insert(vs.QoS(type="linux-sfq"))
    for name, qos in (("eth1", None), ("eth2", theirs)):
        port = txn.insert(vs.Port(name=name, interfaces=(txn.insert(vs.Interface(name=name)),), qos=qos))
        txn.mutate(vs.Bridge, bridge, "ports", "insert", port)
    await switch.client.transact(txn)
    one, other = (switch.one(vs.Port, name=name).uuid for name in ("eth1", "eth2"))

    def plan(**rates: tuple[int, str]) -> Transaction:
        queues = Map({n: Queue(n, name, StrMap({"max-rate": rate})) for name, (n, rate) in rates.items()})
        wanted = Wanted(shaped={one: queues, other: queues} if queues else {})
        return vswitch.plan(switch.client.replica, CONFIG, wanted)

    def there() -> dict[str, tuple[int, str]]:
        qos = switch.one(vs.QoS, type="linux-htb")
        assert switch.one(vs.Port, name="eth1").qos == qos.uuid
        rows = {n: switch.one(vs.Queue, uuid=uuid) for n, uuid in qos.queues.items()}
        assert len(rows) == len(switch.all(vs.Queue))
        return {row.external_ids["ovn_port"]: (n, row.other_config["max-rate"]) for n, row in rows.items()}

    for rates in ({"a": (1, "10")}, {"a": (1, "20"), "b": (2, "5")}, {"b": (3, "5")}, {"c": (3, "6")}):
        await switch.carry_out(lambda rates=rates: plan(**rates))
        assert there() == rates
    await switch.carry_out(plan)
    assert switch.all(vs.Queue) == []
    assert [row.type for row in switch.all(vs.QoS)] == ["linux-sfq"]
    assert switch.one(vs.Port, name="eth2").qos == switch.one(vs.QoS).uuid
    await switch.carry_out(lambda: plan(a=(1, "10")))
    await switch.carry_out(lambda: vswitch.leave(switch.client.replica, CONFIG))
    assert switch.all(vs.Queue) == []
