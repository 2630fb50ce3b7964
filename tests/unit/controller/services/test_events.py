"""Events: that a packet came for a load balancer without backends."""

from __future__ import annotations

from ovine.controller.packets import PacketServices
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.openflow import PacketIn
from ovine.ovsdb import Transaction
from support.controller_world import uuid_of
from support.frames import build
from support.service_bed import Host, handle, replica_of, userdata

SYN = build("02:00:00:00:00:01>02:00:00:00:00:02 ip 10.0.0.1>10.9.9.9 tcp 5000>80 S")
ABOUT = StrMap({"vip": "10.9.9.9:80", "protocol": "tcp", "load_balancer": "lb1"})
ACTION = 'trigger_event(event = "empty_lb_backends", vip = "10.9.9.9:80", protocol = "tcp", load_balancer = "lb1");'
OURS = sb.Chassis(uuid=uuid_of("hv1"), name="hv1")


def test_a_packet_makes_a_row() -> None:
    host = Host(southbound=replica_of(OURS), time=5.0)
    (row,) = handle(SYN, userdata(ACTION), (), host)
    assert row == sb.ControllerEvent(event_type="empty_lb_backends", event_info=ABOUT, chassis=OURS.uuid, seq_num=5000)


def test_nothing_is_said_before_the_host_has_a_row() -> None:
    assert handle(SYN, userdata(ACTION), (), Host()) == []


def test_there_is_one_row_at_a_time_and_another_when_that_was_seen() -> None:
    there = sb.ControllerEvent(
        uuid=uuid_of("event"), event_type="empty_lb_backends", event_info=ABOUT, chassis=OURS.uuid, seq_num=1
    )
    for rows, count in (((OURS, there), 0), ((OURS,), 1)):
        replica = replica_of(*rows)
        services = PacketServices(Host(southbound=replica))
        for _ in range(2):
            services.handle(PacketIn("action", SYN, userdata=userdata(ACTION).encode()))
        txn = Transaction()
        services.add_learned(txn, replica)
        assert len(txn.operations) == count
        assert services.failures() == []
