"""Gateway scheduling: who qualifies, what stays, how the load is shared."""

from __future__ import annotations

from collections import Counter

import pytest

from ovine.engine import Engine
from ovine.model import cloud, nb, sb
from ovine.model.base import Map, Uuid
from ovine.plugin import RULES
from ovine.plugin.gateways import GATEWAY_CHASSIS, MOST, Southbound

OUTSIDE = Uuid("00000001-0000-4000-8000-000000000001")


class Bed:
    """An engine whose Gateway_Chassis rows come back as the northbound's, as in a running cloud."""

    def __init__(self) -> None:
        self.engine = Engine(RULES, watch=[GATEWAY_CHASSIS])
        network = cloud.Network(uuid=OUTSIDE, network_type="flat", physical_network="public", external=True)
        self.engine.feed(cloud.Network, OUTSIDE, network)
        self.engine.feed(Southbound, (), Southbound())
        self._written: dict[str, nb.GatewayChassis] = {}

    def chassis(self, *numbers: int, offers: bool = True, mapped: bool = True, zones: str = "") -> None:
        options = {
            "ovn-cms-options": f"availability-zones={zones},enable-chassis-as-gw" if offers else "",
            "ovn-bridge-mappings": "x:br-x, public:br-ex" if mapped else "x:br-x",
        }
        for number in numbers:
            row = sb.Chassis(uuid=Uuid(f"c{number}"), name=f"hv{number}", other_config=Map(options))
            self.engine.feed(sb.Chassis, row.uuid, row)

    def without(self, *numbers: int) -> None:
        for number in numbers:
            self.engine.feed(sb.Chassis, Uuid(f"c{number}"), None)

    def router(self, number: int, *zones: str) -> None:
        gateway = self.gateway(number)
        self.engine.feed(cloud.Port, gateway, cloud.Port(uuid=gateway, network=OUTSIDE))
        made = cloud.Router(gateways=Map({0: gateway}), availability_zone_hints=Map(enumerate(zones)))
        self.engine.feed(cloud.Router, Uuid(f"r{number}"), made)

    def gateway(self, number: int) -> Uuid:
        return Uuid(f"00000003-0000-4000-8000-{number:012d}")

    def settle(self) -> dict[int, list[str]]:
        """Writes until nothing changes; the chassis of each gateway in their order."""
        for _ in range(5):
            self.engine.run()
            wanted = dict(self.engine.rows(GATEWAY_CHASSIS))
            if self._written == wanted:
                return self.schedules(wanted)
            for name in self._written.keys() | wanted.keys():
                if self._written.get(name) != wanted.get(name):
                    self.engine.feed(nb.GatewayChassis, Uuid(f"g-{name}"), wanted.get(name))
            self._written = wanted
        raise AssertionError("schedules do not come to rest")

    def schedules(self, wanted: dict[str, nb.GatewayChassis]) -> dict[int, list[str]]:
        found: dict[int, list[nb.GatewayChassis]] = {}
        for name, row in wanted.items():
            found.setdefault(int(name[28:40]), []).append(row)
        for rows in found.values():
            rows.sort(key=lambda row: -row.priority)
            assert [row.priority for row in rows] == list(range(len(rows), 0, -1))
        return {number: [row.chassis_name for row in rows] for number, rows in found.items()}


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_only_chassis_that_reach_the_network_and_offer_themselves_are_taken(bed: Bed) -> None:
    bed.chassis(1)
    bed.chassis(2, offers=False)
    bed.chassis(3, mapped=False)
    bed.router(1)
    assert bed.settle() == {1: ["hv1"]}


def test_where_none_offers_itself_all_that_reach_the_network_are_taken(bed: Bed) -> None:
    bed.chassis(1, 2, offers=False)
    bed.chassis(3, offers=False, mapped=False)
    bed.router(1)
    assert sorted(bed.settle()[1]) == ["hv1", "hv2"]


def test_an_offer_of_a_chassis_elsewhere_counts_too(bed: Bed) -> None:
    bed.chassis(1, offers=False)
    bed.chassis(2, mapped=False)
    bed.router(1)
    assert bed.settle() == {}


def test_a_router_with_hints_stays_in_its_zones(bed: Bed) -> None:
    bed.chassis(1, zones="north:east")
    bed.chassis(2, zones="south")
    bed.chassis(3)
    bed.router(1, "east", "west")
    bed.router(2, "west")
    bed.router(3)
    found = bed.settle()
    assert (found[1], 2 in found, len(found[3])) == (["hv1"], False, 3)
    bed.chassis(1, zones="south")
    assert 1 not in bed.settle()


def test_at_most_five_are_taken(bed: Bed) -> None:
    bed.chassis(*range(7))
    bed.router(1)
    assert len(bed.settle()[1]) == MOST


def test_routers_made_one_by_one_share_the_chassis_evenly(bed: Bed) -> None:
    bed.chassis(1, 2, 3)
    for number in range(30):
        bed.router(number)
        bed.settle()
    assert set(Counter(order[0] for order in bed.settle().values()).values()) == {10}


def test_routers_made_at_once_are_spread(bed: Bed) -> None:
    bed.chassis(1, 2, 3)
    for number in range(90):
        bed.router(number)
    first = Counter(order[0] for order in bed.settle().values())
    assert all(count >= 15 for count in first.values())
    assert len(first) == 3


def test_what_is_scheduled_stays_when_chassis_come(bed: Bed) -> None:
    bed.chassis(1, 2)
    for number in range(6):
        bed.router(number)
        bed.settle()
    before = bed.settle()
    bed.chassis(3)
    assert bed.settle() == {number: [*order, "hv3"] for number, order in before.items()}


def test_a_chassis_that_goes_is_replaced_and_the_others_keep_their_order(bed: Bed) -> None:
    bed.chassis(*range(6))
    for number in range(4):
        bed.router(number)
        bed.settle()
    before = bed.settle()
    bed.without(2)
    for number, order in bed.settle().items():
        kept = [name for name in before[number] if name != "hv2"]
        assert order[: len(kept)] == kept
        assert len(order) == MOST
    bed.chassis(2)
    moved = bed.settle()
    assert all("hv2" not in order for order in moved.values())


def test_a_chassis_that_loses_its_bridge_or_its_offer_goes_too(bed: Bed) -> None:
    bed.chassis(1, 2)
    bed.router(1)
    bed.settle()
    bed.chassis(1, mapped=False)
    assert bed.settle() == {1: ["hv2"]}
    bed.chassis(1)
    bed.chassis(2, offers=False)
    assert bed.settle() == {1: ["hv1"]}


def test_nothing_is_scheduled_or_withdrawn_while_the_southbound_is_not_seen(bed: Bed) -> None:
    bed.chassis(1, 2)
    bed.router(1)
    before = bed.settle()
    bed.engine.feed(Southbound, (), None)
    bed.without(1, 2)
    bed.router(2)
    assert bed.settle() == before


def test_a_new_router_does_not_run_the_schedules_of_others(bed: Bed) -> None:
    bed.chassis(1, 2)
    for number in range(20):
        bed.router(number)
    bed.settle()
    before = bed.engine.counts()
    bed.router(99)
    bed.settle()
    after = bed.engine.counts()
    assert after["plugin.gateways.gateway_chassis"] - before["plugin.gateways.gateway_chassis"] <= 3
