"""A port that was blocked until its machine gave a sign of life."""

from __future__ import annotations

import msgspec

from ovine.controller.activation import ACTIVATED, REPORT, Activated, is_over
from ovine.controller.services import decode
from ovine.controller.services.timed import Change, Fact
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.openflow import Match
from support.controller_world import uuid_of
from support.frames import build
from support.service_bed import Host, handle, replica_of

RARP = build("02:00:00:00:00:01>ff:ff:ff:ff:ff:ff rarp 02:00:00:00:00:01")
SWITCH = sb.DatapathBinding(uuid=uuid_of("sw"), tunnel_key=7)
CARRIED = decode(REPORT.userdata)
AT: Match = (("metadata", 7, None), ("reg14", 1, None))


def port(**options: str) -> sb.PortBinding:
    return sb.PortBinding(
        uuid=uuid_of("a"), logical_port="a", tunnel_key=1, datapath=SWITCH.uuid, options=StrMap(options)
    )


def test_the_chassis_is_added_to_those_where_the_port_is_active() -> None:
    for before, after in (("", "hv1"), ("hv0", "hv0,hv1"), ("hv2,hv0", "hv0,hv1,hv2")):
        row = port(**{"requested-chassis": "hv0,hv1"} | ({ACTIVATED: before} if before else {}))
        expected = StrMap({"requested-chassis": "hv0,hv1", ACTIVATED: after})
        host = Host(southbound=replica_of(SWITCH, row))
        fact = Fact(Activated, "a", Activated())
        assert handle(RARP, CARRIED, AT, host) == [fact, Change(sb.PortBinding, row.uuid, (("options", expected),))]


def test_it_is_said_once() -> None:
    host = Host(southbound=replica_of(SWITCH, port(**{ACTIVATED: "hv1"})))
    assert handle(RARP, CARRIED, AT, host) == []


def test_what_is_unknown_is_not_activated() -> None:
    assert handle(RARP, CARRIED, AT, Host(southbound=replica_of(SWITCH))) == []
    assert handle(RARP, CARRIED, AT, Host(southbound=replica_of())) == []


def test_the_binding_counts_once_it_says_so_or_the_port_is_elsewhere() -> None:
    ours, theirs = uuid_of("hv1"), uuid_of("hv2")
    waiting = port(**{ACTIVATED: "hv2"})
    for row, over in (
        (msgspec.structs.replace(waiting, requested_additional_chassis=(ours,)), False),
        (msgspec.structs.replace(waiting, requested_additional_chassis=(theirs,)), True),
        (msgspec.structs.replace(port(**{ACTIVATED: "hv1,hv2"}), requested_additional_chassis=(ours,)), True),
        (None, True),
    ):
        assert is_over(row, "hv1", ours) == over
