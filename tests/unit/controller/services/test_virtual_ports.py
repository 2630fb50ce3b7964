"""Who has the address of a virtual port."""

from __future__ import annotations

import pytest

from ovine.controller.services.timed import Change
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.openflow import Match
from support.controller_world import uuid_of
from support.frames import build
from support.service_bed import Host, handle, replica_of, userdata

GARP = build("02:00:00:00:00:01>ff:ff:ff:ff:ff:ff arp request 02:00:00:00:00:01/10.0.0.9>00:00:00:00:00:00/10.0.0.9")
CARRIED = userdata('bind_vport("vip", inport); next;', "arp")
SWITCH, OTHER = (sb.DatapathBinding(uuid=uuid_of(name), tunnel_key=key) for key, name in ((7, "sw"), (8, "other")))
OURS = sb.Chassis(uuid=uuid_of("ours"), name="hv1")
PARENTS = StrMap({"virtual-ip": "10.0.0.9", "virtual-parents": "a,b"})


def port(
    name: str, key: int, datapath: sb.DatapathBinding = SWITCH, kind: str = "", **columns: StrMap
) -> sb.PortBinding:
    return sb.PortBinding(
        uuid=uuid_of(name), logical_port=name, tunnel_key=key, datapath=datapath.uuid, type=kind, **columns
    )


VIP = port("vip", 9, kind="virtual", options=PARENTS)
HOST = Host(southbound=replica_of(OURS, SWITCH, OTHER, VIP, port("a", 1), port("c", 3), port("d", 1, OTHER)))


def at(datapath: int, key: int) -> Match:
    return (("metadata", datapath, None), ("reg14", key, None))


def test_who_announces_the_address_gets_the_port() -> None:
    now = (("virtual_parent", "a"), ("chassis", OURS.uuid))
    assert handle(GARP, CARRIED, at(7, 1), HOST) == [Change(sb.PortBinding, VIP.uuid, now)]


@pytest.mark.parametrize("match", [at(7, 3), at(8, 1), at(7, 5), at(9, 1), ()])
def test_nobody_else_gets_it(match: Match) -> None:
    assert handle(GARP, CARRIED, match, HOST) == []


def test_what_is_no_virtual_port_is_not_bound() -> None:
    assert handle(GARP, userdata('bind_vport("c", inport);', "arp"), at(7, 1), HOST) == []
