"""What a host remembers of who wants which multicast, and what it writes and asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

from ovine.controller import tables as t
from ovine.controller.services.igmp import Message
from ovine.controller.services.snooping import SWITCHES, Heard, Snooping, Switch, heard
from ovine.controller.services.timed import Gone
from ovine.model import sb
from ovine.model.base import Row, Uuid
from ovine.model.schema import to_json
from ovine.openflow import PacketOut, SetField
from ovine.ovsdb import Replica
from ovine.ovsdb.plan import monitors_of, plan
from support.controller_world import World, uuid_of
from support.frames import build
from support.service_bed import Host, packet_in, userdata

DATAPATH = uuid_of("datapath", "sw")
OURS, OTHER = uuid_of("chassis", "hv1"), uuid_of("chassis", "hv2")
SWITCH = Switch(DATAPATH, 7, (), 2048, 300.0, 150.0, 0)
ROW = uuid_of("ip multicast")
PLAN = plan(sb.DATABASE, monitors_of(sb.DATABASE, None), to_json(sb.DATABASE))


@dataclass
class Bed:
    """The service, and the southbound as it writes to it."""

    service: Snooping = field(default_factory=Snooping)
    host: Host = field(default_factory=Host)
    switch: Switch | None = SWITCH
    asked: list[PacketOut] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host.southbound = Replica(sb.DATABASE)
        ports = {uuid_of("port", str(n)): _port(n, OURS) for n in (1, 2, 3)}
        ports[uuid_of("port", "9")] = _port(9, OTHER)
        self.apply("Chassis", {OURS: {"name": "hv1"}})
        self.apply("Port_Binding", ports)

    def apply(self, table: str, rows: dict[Uuid, dict[str, Any] | None]) -> None:
        changes = {uuid: {"delete": None} if row is None else {"insert": row} for uuid, row in rows.items()}
        self.host.southbound.apply(PLAN, {table: changes})

    def hear(self, port: int, now: float, joined: str = "", left: str = "", asks: bool = False) -> None:
        groups = [tuple(ip_address(word) for word in words.split()) for words in (joined, left)]
        self.service.hear(Heard(7, port, Message(asks, asks, groups[0], groups[1])), now)

    def step(self, now: float) -> None:
        """Lets the service work, and carries out what it says."""
        wanted = {ROW: self.switch} if self.switch is not None else {}
        for effect in self.service.step(wanted, self.host, now):
            if isinstance(effect, PacketOut):
                self.asked.append(effect)
            elif isinstance(effect, Gone):
                self.apply("IGMP_Group", {effect.uuid: None})
            else:
                self.write(effect)

    def write(self, row: Any) -> None:
        assert isinstance(row, Row) and row.chassis == OURS and row.datapath == DATAPATH  # type: ignore[attr-defined]
        key = uuid_of("group", row.address)  # type: ignore[attr-defined]
        if self.host.southbound.get(sb.IGMPGroup, key) is not None:
            self.apply("IGMP_Group", {key: None})
        ports = ["set", [["uuid", port] for port in row.ports]]  # type: ignore[attr-defined]
        columns = {"address": row.address, "datapath": ["uuid", DATAPATH], "chassis": ["uuid", OURS], "ports": ports}  # type: ignore[attr-defined]
        self.apply("IGMP_Group", {key: columns})

    def rows(self) -> dict[str, set[int]]:
        numbers = {uuid_of("port", str(n)): n for n in (1, 2, 3, 9)}
        found = self.host.southbound.rows(sb.IGMPGroup).values()
        return {row.address: {numbers[port] for port in row.ports} for row in found}


def _port(key: int, chassis: Uuid) -> dict[str, Any]:
    where = {"datapath": ["uuid", DATAPATH], "chassis": ["uuid", chassis]}
    return {"logical_port": f"p{key}", "tunnel_key": key, **where}


@pytest.fixture
def bed() -> Bed:
    made = Bed()
    made.step(0.0)
    return made


def test_who_joins_is_in_the_row_and_who_leaves_is_out(bed: Bed) -> None:
    bed.hear(1, 1.0, "239.1.1.1 ff0a::1")
    bed.hear(2, 1.0, "239.1.1.1")
    bed.step(1.0)
    assert bed.rows() == {"239.1.1.1": {1, 2}, "ff0a::1": {1}}
    bed.hear(1, 2.0, "", "239.1.1.1 ff0a::1")
    bed.step(2.0)
    assert bed.rows() == {"239.1.1.1": {2}}


def test_who_does_not_report_again_is_forgotten_in_time(bed: Bed) -> None:
    bed.hear(1, 0.0, "239.1.1.1")
    bed.hear(2, 0.0, "239.1.1.1")
    bed.hear(3, 0.0, asks=True)
    bed.hear(1, 200.0, "239.1.1.1")
    bed.step(299.0)
    assert bed.rows() == {"239.1.1.1": {1, 2}, "mrouters": {3}}
    bed.step(300.0)
    assert bed.rows() == {"239.1.1.1": {1}}
    bed.step(500.0)
    assert bed.rows() == {} and bed.service.deadline() == 501.0
    bed.step(501.0)
    assert bed.service.deadline() is None


def test_the_table_has_a_limit(bed: Bed) -> None:
    bed.switch = SWITCH._replace(most=2)
    bed.step(0.0)
    for second, group in enumerate(("239.1.1.1", "239.1.1.2", "239.1.1.1", "239.1.1.3")):
        bed.hear(1, float(second), group)
    bed.step(4.0)
    assert bed.rows().keys() == {"239.1.1.1", "239.1.1.3"}, "the one that would be forgotten first makes room"


def test_a_port_that_is_gone_or_elsewhere_is_in_no_row(bed: Bed) -> None:
    bed.hear(1, 1.0, "239.1.1.1")
    bed.hear(9, 1.0, "239.1.1.1 239.1.1.2")
    bed.hear(77, 1.0, "239.1.1.3")
    bed.step(1.0)
    assert bed.rows() == {"239.1.1.1": {1}}


def test_a_restart_begins_with_the_rows_that_are_there(bed: Bed) -> None:
    bed.hear(1, 1.0, "239.1.1.1")
    bed.hear(2, 1.0, asks=True)
    bed.step(1.0)
    bed.service = Snooping()
    bed.step(1000.0)
    assert bed.rows() == {"239.1.1.1": {1}, "mrouters": {2}}
    bed.step(1300.0)
    assert bed.rows() == {}


def test_a_flush_and_a_switch_that_stops_to_snoop_leave_nothing(bed: Bed) -> None:
    bed.hear(1, 1.0, "239.1.1.1")
    bed.step(1.0)
    bed.switch = SWITCH._replace(number=1)
    bed.step(2.0)
    assert bed.rows() == {}
    bed.hear(1, 3.0, "239.1.1.1")
    bed.step(3.0)
    assert bed.rows() == {"239.1.1.1": {1}}
    bed.switch = None
    bed.step(4.0)
    assert bed.rows() == {}


def test_what_was_not_written_is_written_again(bed: Bed) -> None:
    bed.hear(1, 1.0, "239.1.1.1")
    wanted = {ROW: SWITCH}
    assert len(list(bed.service.step(wanted, bed.host, 1.0))) == 1
    assert bed.service.deadline() == 2.0
    assert len(list(bed.service.step(wanted, bed.host, 2.0))) == 1


def test_a_querier_asks_at_once_and_then_in_its_interval(bed: Bed) -> None:
    bed.switch = SWITCH._replace(queries=(b"four", b"six"), interval=10.0)
    for now in (0.0, 5.0, 9.0, 10.0, 19.0):
        bed.step(now)
    assert [packet.data for packet in bed.asked] == [b"four", b"six"] * 2
    assert all(SetField(t.FLAGS, 1 << t.LOCAL_ONLY, 1 << t.LOCAL_ONLY) in packet.actions for packet in bed.asked)
    assert bed.service.deadline() == 20.0


# --- rows and packets -------------------------------------------------------------------------------------------------


def test_rows_of_switches_of_this_host_say_how_to_snoop() -> None:
    world = World()
    world.datapath("sw", 7)
    world.datapath("other", 8)
    world.port("a", "sw", 1)
    world.interface("a", 10)
    row = sb.IPMulticast(
        uuid=ROW,
        datapath=DATAPATH,
        enabled=True,
        querier=True,
        eth_src="02:00:00:00:00:fe",
        ip4_src="10.0.0.254",
        ip6_src="nonsense",
        idle_timeout=60,
        seq_no=3,
    )
    world.put(row)
    world.put(sb.IPMulticast(uuid=uuid_of("off"), datapath=uuid_of("datapath", "other"), enabled=True))
    ((_, switch),) = world.wanted(SWITCHES).items()
    assert (switch.key, switch.most, switch.idle, switch.interval, switch.number) == (7, 2048, 60, 30, 3)
    assert len(switch.queries) == 1, "what has no address to come from is not asked"
    world.change(sb.IPMulticast, ROW, enabled=False)
    assert not world.wanted(SWITCHES)


@pytest.mark.parametrize(("text", "group"), [("igmp query", 32772), ("igmp2 report 239.1.1.1", 32770)])
def test_questions_go_to_all_and_reports_to_who_asks(text: str, group: int) -> None:
    carried = userdata("igmp;", "ip4")
    frame = build(f"02:00:00:00:00:01>01:00:5e:00:00:01 ip 10.0.0.1>224.0.0.1 ttl 1 {text}")
    match = ((t.DATAPATH, 7, None), (t.INPORT, 3, None), ("reg0", 9, None))
    event, out = heard(packet_in(frame, carried, match), carried, Host())
    assert isinstance(event, Heard) and (event.datapath, event.port) == (7, 3)
    assert isinstance(out, PacketOut) and SetField(t.OUTPORT, group) in out.actions
    assert out.metadata == match[:2] and out.data == frame
    assert list(heard(packet_in(frame[:-5], carried, match), carried, Host())) == []
