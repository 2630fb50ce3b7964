"""Tables of what was learned, and learning."""

from __future__ import annotations

import pytest

from ovine.controller import tables as t
from ovine.controller.flows import FLOWS, as_flow
from ovine.model import sb
from ovine.model.schema import to_json
from ovine.openflow.text import flow_text
from ovine.ovsdb import Replica
from ovine.ovsdb.plan import monitors_of, plan
from support.controller_world import World, uuid_of
from support.frames import build
from support.service_bed import Host, handle, userdata, world

FRAME = build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.0.0.2 udp 1>2")


def flows(made: World, *tables: int) -> list[str]:
    made.engine.run()
    found = made.engine.table(FLOWS).rows.items()
    return sorted(flow_text(as_flow(key, body)) for key, body in found if key[0] in tables)


def test_a_learned_mac_is_found_and_known_at_its_port_only() -> None:
    made = world()
    made.port("far", "sw0", 4, chassis=made.chassis("hv2", "geneve", "127.0.0.2"))
    made.put(sb.FDB(uuid=uuid_of("fdb"), mac="02:00:00:00:00:77", dp_key=1, port_key=1))
    made.put(sb.FDB(uuid=uuid_of("far"), mac="02:00:00:00:00:79", dp_key=1, port_key=4))
    made.put(sb.FDB(uuid=uuid_of("elsewhere"), mac="02:00:00:00:00:78", dp_key=2, port_key=4))
    shown = flows(made, t.GET_FDB, t.LOOKUP_FDB)
    assert [line.partition("priority")[2] for line in shown] == [
        "=100,eth_dst=02:00:00:00:00:77,metadata=1 actions=set_field:1->reg15",
        # By the port of an instance elsewhere nothing comes in here.
        "=100,eth_src=02:00:00:00:00:77,metadata=1,reg14=1 actions=set_field:0x100/0x100->reg10",
        "=100,eth_dst=02:00:00:00:00:79,metadata=1 actions=set_field:4->reg15",
    ]


def test_where_an_instance_that_is_nowhere_was_matters_only_to_those_who_take_the_unknown() -> None:
    made = world()
    made.port("nowhere", "sw0", 4)
    made.put(sb.FDB(uuid=uuid_of("fdb"), mac="02:00:00:00:00:77", dp_key=1, port_key=4))
    assert flows(made, t.GET_FDB) == []
    made.group("_MC_unknown", "sw0", 32769, "a")
    assert len(flows(made, t.GET_FDB)) == 1


def test_put_fdb_learns_the_source_behind_the_inport() -> None:
    carried = userdata("put_fdb(inport, eth.src); next;")
    place = (("metadata", 1, None), ("reg14", 4, None))
    row = sb.FDB(mac="02:00:00:00:00:01", dp_key=1, port_key=4, timestamp=1_000_000_000)
    assert handle(FRAME, carried, place) == [row]
    older = Host()
    older.southbound.missing_columns = frozenset({("FDB", "timestamp")})
    assert handle(FRAME, carried, place, older) == [sb.FDB(mac="02:00:00:00:00:01", dp_key=1, port_key=4)]


@pytest.mark.parametrize(
    ("frame", "place"),
    [
        (FRAME, (("metadata", 1, None),)),
        (FRAME, (("reg14", 1, None),)),
        (b"", (("metadata", 1, None), ("reg14", 4, None))),
        (b"\x02" * 6 + b"\x03" * 6 + b"\x08\x00", (("metadata", 1, None), ("reg14", 4, None))),
    ],
)
def test_nothing_is_learned_from_what_says_nothing(frame: bytes, place: tuple[tuple[str, int, None], ...]) -> None:
    assert handle(frame, userdata("put_fdb(inport, eth.src); next;"), place) == []


def neighbours(ip: str, **static: bool) -> World:
    made = World()
    made.datapath("sw0", 1)
    made.port("a", "sw0", 5)
    made.interface("a", 10)
    row = {"logical_port": "a", "ip": ip, "mac": "02:00:00:00:00:77", "datapath": uuid_of("datapath", "sw0")}
    if static:
        made.put(sb.StaticMACBinding(uuid=uuid_of("static"), override_dynamic_mac=static["override"], **row))
    else:
        made.put(sb.MACBinding(uuid=uuid_of("learned"), **row))
    return made


@pytest.mark.parametrize(
    ("ip", "get", "look_up"),
    [("10.0.0.7", t.GET_MAC, t.LOOKUP_MAC), ("fd00::7", t.GET_MAC6, t.LOOKUP_MAC6)],
)
def test_a_neighbour_is_found_by_address_and_known_by_address_and_mac(ip: str, get: int, look_up: int) -> None:
    made = neighbours(ip)
    found, known = flows(made, get), flows(made, look_up)
    assert len(found) == len(known) == 1
    assert all("reg15=5" in line and "set_field:02:00:00:00:00:77->eth_dst" in line for line in found)
    assert all("reg14=5" in line and "eth_src=02:00:00:00:00:77" in line for line in known)
    assert all("set_field:0x40/0x40->reg10" in line for line in found + known)


def test_a_neighbour_behind_a_port_elsewhere_is_found_too() -> None:
    made = neighbours("10.0.0.7")
    made.port("far", "sw0", 6)
    made.change(sb.MACBinding, uuid_of("learned"), logical_port="far")
    assert len(flows(made, t.GET_MAC)) == 1
    assert flows(made, t.LOOKUP_MAC) == []


@pytest.mark.parametrize(("override", "priority"), [(True, 150), (False, 50)])
def test_a_configured_neighbour_yields_unless_it_overrides(override: bool, priority: int) -> None:
    assert all(f"priority={priority}" in line for line in flows(neighbours("10.0.0.7", override=override), t.GET_MAC))


def replica_with_port_a() -> Replica:
    datapath = uuid_of("datapath", "sw0")
    port = {"logical_port": "a", "datapath": ["uuid", datapath], "tunnel_key": 5}
    replica = Replica(sb.DATABASE)
    rows = {
        "Datapath_Binding": {datapath: {"insert": {"tunnel_key": 1}}},
        "Port_Binding": {uuid_of("port", "a"): {"insert": port}},
    }
    replica.apply(plan(sb.DATABASE, monitors_of(sb.DATABASE, None), to_json(sb.DATABASE)), rows)
    return replica


@pytest.mark.parametrize(
    ("action", "registers", "ip"),
    [
        ("put_arp(inport, arp.spa, arp.sha);", (("reg0", 0x0A000007, None),), "10.0.0.7"),
        ("put_nd(inport, ip6.src, nd.sll);", (("reg0", 0xFD000000, None), ("reg3", 7, None)), "fd00::7"),
    ],
)
def test_put_arp_and_put_nd_learn_a_neighbour(
    action: str, registers: tuple[tuple[str, int, None], ...], ip: str
) -> None:
    made, host = neighbours("10.0.0.9"), Host(southbound=replica_with_port_a())
    place = (("metadata", 1, None), ("reg14", 5, None), *registers)
    learned = handle(FRAME, userdata(action, made=made), place, host)
    expected = sb.MACBinding(
        logical_port="a",
        ip=ip,
        mac="02:00:00:00:00:01",
        timestamp=1_000_000_000,
        datapath=uuid_of("datapath", "sw0"),
    )
    assert learned == [expected]
    assert (
        handle(FRAME, userdata(action, made=made), (("metadata", 1, None), ("reg14", 6, None), *registers), host) == []
    )
