"""Groups and meters: numbers that flows share, that a restart finds again, and that go with the last who asks."""

from __future__ import annotations

from ovine.controller.switch_tables import GROUPS, METERS
from ovine.model import sb
from ovine.openflow import METER_BURST, METER_KBPS, METER_PKTPS, METER_STATS, Band
from support.controller_world import World, uuid_of

SELECT = "reg8[16..31] = select(1=20, 2);"


def world() -> World:
    made = World()
    for number in (1, 2):
        made.datapath(f"lr{number}", number, "router")
        made.port(f"p{number}", f"lr{number}", 1)
        made.interface(f"p{number}", 10 + number)
    return made


def test_flows_that_choose_in_the_same_way_share_a_group() -> None:
    made = world()
    made.flow("lr1", "ingress", 5, 1, "ip4", SELECT)
    made.flow("lr2", "ingress", 5, 1, "ip4", SELECT)
    (group,) = made.wanted(GROUPS).values()
    assert [bucket.weight for bucket in group.buckets] == [20, 100]
    assert len(made.flows("table=13", f"actions=group:{group.group_id}")) == 2


def test_a_group_has_the_number_that_it_had_before_a_restart() -> None:
    first, second = world(), world()
    first.flow("lr1", "ingress", 5, 1, "ip4", SELECT)
    second.flow("lr1", "ingress", 5, 9, "ip4", "reg8[16..31] = select(1, 2);")
    second.flow("lr2", "ingress", 5, 1, "ip6", SELECT)
    assert first.wanted(GROUPS).items() < second.wanted(GROUPS).items()


def test_a_group_goes_with_the_last_flow_that_uses_it() -> None:
    made = world()
    flows = [made.flow(f"lr{n}", "ingress", 5, 1, "ip4", SELECT) for n in (1, 2)]
    made.run().remove(sb.LogicalFlow, flows[0])
    assert len(made.wanted(GROUPS)) == 1
    made.remove(sb.LogicalFlow, flows[1])
    assert made.wanted(GROUPS) == {}


def test_a_group_is_wanted_only_where_its_datapath_is() -> None:
    made = World()
    made.datapath("lr1", 1, "router")
    made.flow("lr1", "ingress", 5, 1, "ip4", SELECT)
    assert made.wanted(GROUPS) == {}


def test_equal_limits_of_two_flows_are_two_meters() -> None:
    made = world()
    made.flow("lr1", "ingress", 5, 1, "ip4", "set_meter(1000); next;")
    made.flow("lr1", "ingress", 5, 2, "ip6", "set_meter(1000, 50); next;")
    assert {(m.flags, m.bands) for m in made.wanted(METERS).values()} == {
        (METER_KBPS | METER_STATS, (Band(1000),)),
        (METER_KBPS | METER_STATS | METER_BURST, (Band(1000, 50),)),
    }
    assert len(made.flows("table=13")) == 2 and made.failures() == []


def test_what_a_flow_sends_to_the_controller_is_limited_by_the_meter_that_it_names() -> None:
    made = world()
    band = uuid_of("band")
    made.put(sb.MeterBand(uuid=band, action="drop", rate=25))
    made.put(sb.Meter(uuid=uuid_of("meter"), name="slow", unit="pktps", bands=(band,)))
    uuid = made.flow("lr1", "ingress", 5, 1, "arp", "put_arp(inport, arp.spa, arp.sha);")
    made.change(sb.LogicalFlow, uuid, controller_meter="slow")
    (meter,) = made.wanted(METERS).values()
    assert (meter.flags, meter.bands) == (METER_PKTPS | METER_STATS, (Band(25),))
    (line,) = made.flows("table=13")
    assert f"meter_id={meter.meter_id}" in line
    made.change(sb.LogicalFlow, uuid, controller_meter=None)
    assert made.wanted(METERS) == {} and "meter_id" not in made.flows("table=13")[0]
