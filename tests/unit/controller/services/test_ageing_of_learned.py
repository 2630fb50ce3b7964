"""What is used is refreshed, who is sent to is probed, and hosts that use nothing ask for nothing but sums."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from ovine.controller import tables as t
from ovine.controller.flows import FLOWS, as_flow
from ovine.controller.packets import PacketServices
from ovine.controller.services.ageing import AGEING, BATCH, PAUSE, Ages, Counted, Refresher, of_age
from ovine.controller.services.timed import Change, Inquiry
from ovine.model import sb
from ovine.model.ages import NEVER, thresholds
from ovine.model.base import Row, StrMap
from ovine.openflow import (
    Aggregate,
    AggregateRequest,
    Flow,
    FlowDesc,
    FlowStatsRequest,
    PacketOut,
    Resubmit,
    normalise,
)
from ovine.openflow.text import flow_text
from ovine.ovsdb import Transaction
from support.controller_world import World, uuid_of
from support.frames import describe
from support.service_bed import Host, replica_of

NOW = 1_000_000.0
"""What `Host` says the time is, in seconds."""
SWITCH, ROUTER = uuid_of("datapath", "sw0"), uuid_of("datapath", "lr0")
FDB, BINDING, BINDING6 = uuid_of("fdb"), uuid_of("binding"), uuid_of("binding 6")
MAC = "02:00:00:00:00:77"
WANTED = {SWITCH: Ages(1, 80, NEVER), ROUTER: Ages(2, 0, thresholds("80"))}
DUE = 100.0
"""When every look is due."""


def host(age: float = 50.0, *others: Row, **port: Any) -> Host:
    """A host with a learned Ethernet address and two neighbours, of this age in seconds."""
    when = int((NOW - age) * 1000)
    row = {"mac": MAC, "timestamp": when}
    columns = {"mac": ("02:00:00:00:00:fe 10.0.0.254/24 fd00::fe/64",), **port}
    return Host(
        southbound=replica_of(
            sb.DatapathBinding(uuid=SWITCH, tunnel_key=1),
            sb.DatapathBinding(uuid=ROUTER, tunnel_key=2),
            sb.PortBinding(uuid=uuid_of("rp"), logical_port="rp", datapath=ROUTER, tunnel_key=5, **columns),
            sb.FDB(uuid=FDB, dp_key=1, port_key=3, **row),
            sb.MACBinding(uuid=BINDING, datapath=ROUTER, logical_port="rp", ip="10.0.0.7", **row),
            sb.MACBinding(uuid=BINDING6, datapath=ROUTER, logical_port="rp", ip="fd00::7", **row),
            *others,
        )
    )


def hit(table: int, idle: float = 0.0, packets: int = 1, **fields: int) -> FlowDesc:
    """A flow of a table, as the switch describes it."""
    match = normalise((name, value, None) for name, value in fields.items())
    return FlowDesc(Flow(table, 100, match, ()), packets=packets, idle_age=idle)


SENDER = {"metadata": 1, "reg14": 3, "eth_src": 0x77 | 2 << 40}
NEIGHBOUR = {"metadata": 2, "reg14": 5, "reg0": 0x0A000007, "eth_src": 0x77 | 2 << 40}
NEIGHBOUR6 = NEIGHBOUR | {"reg0": 0xFD000000, "reg1": 0, "reg2": 0, "reg3": 7}
SENT = {"metadata": 2, "reg15": 5, "eth_type": 0x0800, "reg0": 0x0A000007}
SENT6 = {"metadata": 2, "reg15": 5, "eth_type": 0x86DD, "reg0": 0xFD000000, "reg1": 0, "reg2": 0, "reg3": 7}


def looked(refresher: Refresher, at: Host, now: float = DUE) -> list[int]:
    """The tables whose sums are asked for."""
    found = list(refresher.step(WANTED, at, now))
    assert all(isinstance(one, Inquiry) and isinstance(one.request, AggregateRequest) for one in found)
    return sorted(one.request.table for one in found)


def told(refresher: Refresher, at: Host, request: Any, *items: Any) -> list[Any]:
    """What follows from an answer, when nothing else is due."""
    refresher.hear(Counted(request, items), DUE)
    return list(refresher.step(WANTED, at, DUE))


def seen(at: Host, *described: FlowDesc) -> list[Any]:
    """What follows from flows that were hit."""
    return told(started(at), at, FlowStatsRequest(described[0].flow.table), *described)


def started(at: Host) -> Refresher:
    """One that has just looked."""
    refresher = Refresher(Random(1))
    list(refresher.step(WANTED, at, 0.0))
    looked(refresher, at)
    return refresher


# --- when it looks ----------------------------------------------------------------------------------------------------


def test_without_a_threshold_nothing_is_ever_asked() -> None:
    refresher = Refresher(Random(1))
    assert list(refresher.step({}, host(), DUE)) == []
    assert refresher.deadline() is None


def test_without_rows_nothing_is_asked() -> None:
    refresher = Refresher(Random(1))
    assert list(refresher.step(WANTED, Host(southbound=replica_of()), DUE)) == []
    assert refresher.deadline() is None


def test_a_database_that_keeps_no_times_is_not_asked_for_ethernet_addresses() -> None:
    at = host()
    at.southbound.missing_columns = frozenset({("FDB", "timestamp")})
    refresher = Refresher(Random(1))
    list(refresher.step(WANTED, at, 0.0))
    assert looked(refresher, at) == sorted((t.LOOKUP_MAC, t.LOOKUP_MAC6, t.NEIGHBOUR_USED))


def test_looks_are_a_part_of_the_least_threshold_apart_and_one_sum_for_each_table() -> None:
    at, refresher = host(), Refresher(Random(1))
    assert looked(refresher, at, 0.0) == []
    first = refresher.deadline()
    assert first is not None and 0.0 <= first < 10.0
    assert looked(refresher, at, 10.0) == sorted((t.LOOKUP_FDB, t.LOOKUP_MAC, t.LOOKUP_MAC6, t.NEIGHBOUR_USED))
    assert refresher.deadline() == 12.5
    assert looked(refresher, at, 12.4) == []
    assert looked(refresher, at, 12.5) == sorted((t.LOOKUP_MAC, t.LOOKUP_MAC6))
    assert looked(refresher, at, 15.0) == sorted((t.LOOKUP_MAC, t.LOOKUP_MAC6, t.NEIGHBOUR_USED))


def test_a_smaller_threshold_brings_the_next_look_forward() -> None:
    at, refresher = host(), started(host())
    soon = WANTED | {SWITCH: Ages(1, 8, NEVER)}
    list(refresher.step(soon, at, DUE))
    assert refresher.deadline() == DUE + 1.0


def test_the_flows_are_read_only_if_their_sum_has_changed_and_only_those_of_what_ages() -> None:
    at = host()
    refresher = started(at)
    sums = AggregateRequest(t.LOOKUP_FDB)
    assert told(refresher, at, sums, Aggregate(0, 0)) == []
    (asked,) = told(refresher, at, sums, Aggregate(7, 700))
    assert asked.request == FlowStatsRequest(t.LOOKUP_FDB, (("metadata", 1, None),))
    assert told(refresher, at, sums, Aggregate(7, 700)) == []
    assert len(told(refresher, at, sums, Aggregate(3, 300))) == 1


# --- what follows -----------------------------------------------------------------------------------------------------


def refreshed(table: type[Row], uuid: Any, at: float) -> Change:
    return Change(table, uuid, (("timestamp", int(at * 1000)),))


def test_what_has_sent_is_refreshed_to_when_it_did() -> None:
    assert seen(host(), hit(t.LOOKUP_FDB, 2.0, **SENDER)) == [refreshed(sb.FDB, FDB, NOW - 2)]


def test_a_neighbour_that_was_heard_is_refreshed() -> None:
    assert seen(host(), hit(t.LOOKUP_MAC, 2.0, **NEIGHBOUR)) == [refreshed(sb.MACBinding, BINDING, NOW - 2)]
    assert seen(host(), hit(t.LOOKUP_MAC6, 2.0, **NEIGHBOUR6)) == [refreshed(sb.MACBinding, BINDING6, NOW - 2)]


@pytest.mark.parametrize(
    ("why", "described"),
    [
        ("never hit", hit(t.LOOKUP_FDB, 0.0, 0, **SENDER)),
        ("not since it was learned", hit(t.LOOKUP_FDB, 45.0, **SENDER)),
        ("at a port that it has left", hit(t.LOOKUP_FDB, **SENDER | {"reg14": 9})),
        ("of a datapath without a threshold", hit(t.LOOKUP_FDB, **SENDER | {"metadata": 7})),
        ("with an address that was given up", hit(t.LOOKUP_MAC, **NEIGHBOUR | {"eth_src": 1})),
        ("of a port that is gone", hit(t.LOOKUP_MAC, **NEIGHBOUR | {"reg14": 9})),
        ("a configured neighbour", hit(t.LOOKUP_MAC, **NEIGHBOUR | {"reg0": 9})),
        ("no neighbour at all", hit(t.LOOKUP_MAC)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_in_use_is_left_to_grow_old(why: str, described: FlowDesc) -> None:
    assert seen(host(), described) == [], why


def test_what_is_too_young_is_looked_at_again_even_if_it_is_not_used_again() -> None:
    at = host(age=30.0)
    refresher = started(at)
    sums, flows = AggregateRequest(t.LOOKUP_FDB), FlowStatsRequest(t.LOOKUP_FDB)
    told(refresher, at, sums, Aggregate(7, 700))
    assert told(refresher, at, flows, hit(t.LOOKUP_FDB, 0.0, **SENDER)) == []
    assert len(told(refresher, at, sums, Aggregate(7, 700))) == 1
    at.time += 10
    assert told(refresher, at, flows, hit(t.LOOKUP_FDB, 10.0, **SENDER)) == [refreshed(sb.FDB, FDB, NOW)]


def test_a_row_without_a_time_is_given_one() -> None:
    """Hosts of OVN 23.03 learn Ethernet addresses without saying when."""
    assert seen(host(age=NOW), hit(t.LOOKUP_FDB, **SENDER)) == [refreshed(sb.FDB, FDB, NOW)]


def test_a_network_that_does_not_age_is_left_alone() -> None:
    at, refresher = host(), started(host())
    apart = {ROUTER: Ages(2, 0, thresholds("10.0.0.0/24:0;80"))}
    for described in (hit(t.LOOKUP_MAC, **NEIGHBOUR), hit(t.LOOKUP_MAC6, **NEIGHBOUR6)):
        refresher.hear(Counted(FlowStatsRequest(described.flow.table), (described,)), DUE)
    assert list(refresher.step(apart, at, DUE)) == [refreshed(sb.MACBinding, BINDING6, NOW)]


# --- probes -----------------------------------------------------------------------------------------------------------


def place(message: PacketOut) -> dict[str, int]:
    assert message.actions == (Resubmit(table=t.REMOTE_OUTPUT),)
    return {name: value for name, value, _ in message.metadata}


def test_a_neighbour_that_is_sent_to_is_asked_at_its_own_address_alone() -> None:
    (asked,) = seen(host(), hit(t.NEIGHBOUR_USED, **SENT))
    assert place(asked) == {"metadata": 2, "reg15": 5}
    mac = "02:00:00:00:00:fe"
    assert describe(asked.data) == f"{mac}>{MAC} arp request {mac}/10.0.0.254>00:00:00:00:00:00/10.0.0.7"


def test_a_neighbour_of_ipv6_is_solicited() -> None:
    (asked,) = seen(host(), hit(t.NEIGHBOUR_USED, **SENT6))
    mac = "02:00:00:00:00:fe"
    assert describe(asked.data) == f"{mac}>{MAC} ip6 fd00::fe>fd00::7 ns fd00::7 {mac}"


def test_the_question_goes_by_way_of_the_gateway() -> None:
    gateway = sb.PortBinding(uuid=uuid_of("cr"), logical_port="cr-rp", datapath=ROUTER, tunnel_key=6)
    at = host(50.0, gateway, options=StrMap({"chassis-redirect-port": "cr-rp"}))
    (asked,) = seen(at, hit(t.NEIGHBOUR_USED, **SENT))
    assert place(asked)["reg15"] == 6


def test_a_port_without_an_address_asks_nothing() -> None:
    for mac in ((), ("02:00:00:00:00:fe",), ("unknown",)):
        assert seen(host(mac=mac), hit(t.NEIGHBOUR_USED, **SENT)) == []


def test_a_port_without_an_address_asks_for_link_local_neighbours_from_its_own() -> None:
    mac = "02:00:00:00:00:fe"
    (asked,) = seen(host(mac=(mac,)), hit(t.NEIGHBOUR_USED, **SENT6))
    assert describe(asked.data).split()[2] == "fe80::ff:fe00:fe>fd00::7"


def test_it_is_asked_again_until_there_is_an_answer() -> None:
    at = host()
    refresher = started(at)
    sums, flows = AggregateRequest(t.NEIGHBOUR_USED), FlowStatsRequest(t.NEIGHBOUR_USED)
    for _ in range(2):
        assert len(told(refresher, at, sums, Aggregate(7, 700))) == 1
        assert isinstance(told(refresher, at, flows, hit(t.NEIGHBOUR_USED, **SENT))[0], PacketOut)


def test_of_many_neighbours_some_are_asked_at_a_time() -> None:
    at = host()
    refresher = started(at)
    many = [hit(t.NEIGHBOUR_USED, **SENT)] * (BATCH + 1)
    assert len(told(refresher, at, FlowStatsRequest(t.NEIGHBOUR_USED), *many)) == BATCH
    assert refresher.deadline() == DUE + PAUSE
    assert list(refresher.step(WANTED, at, DUE)) == []
    assert len(list(refresher.step(WANTED, at, DUE + PAUSE))) == 1
    assert refresher.deadline() == DUE + 2.5


def test_of_many_hosts_that_send_to_a_neighbour_few_probe_before_the_answer_is_known() -> None:
    """The answer is in the row after at most a thirty-second of the lifetime."""
    row = sb.MACBinding(uuid=BINDING, timestamp=5)
    for hosts in (1, 10, 100, 1000):
        drawn = sorted(of_age(t.NEIGHBOUR_USED, row, f"hv{n}") for n in range(hosts))
        assert drawn[0] >= 3 / 8 and drawn[-1] <= 5 / 8
        assert sum(one < drawn[0] + 1 / 32 for one in drawn) <= 8


def test_another_host_is_the_first_the_next_time() -> None:
    first = set()
    for timestamp in range(20):
        row = sb.MACBinding(uuid=BINDING, timestamp=timestamp)
        first.add(min(range(10), key=lambda n: of_age(t.NEIGHBOUR_USED, row, f"hv{n}")))
    assert len(first) > 3


def test_what_is_left_when_the_threshold_goes_is_dropped() -> None:
    at = host()
    refresher = started(at)
    told(refresher, at, FlowStatsRequest(t.NEIGHBOUR_USED), *[hit(t.NEIGHBOUR_USED, **SENT)] * (BATCH + 1))
    assert list(refresher.step({}, at, DUE + PAUSE)) == []
    assert refresher.deadline() is None


def test_news_for_other_services_is_no_work() -> None:
    """Only what is installed, an answer, or the time, makes it look at what ages."""
    at, refresher, wanted = host(), Refresher(Random(1)), dict(WANTED)
    list(refresher.step(wanted, at, 0.0))
    deadline = refresher.deadline()
    wanted.clear()  # the daemon never does that: it gives another object
    assert list(refresher.step(wanted, at, 0.0)) == [] and refresher.deadline() == deadline
    list(refresher.step({}, at, 0.0))
    assert refresher.deadline() is None


def test_the_first_rows_begin_the_looks_whatever_else_is_looked_at() -> None:
    refresher = Refresher(Random(1))
    rows = replica_of(sb.FDB(uuid=FDB, mac=MAC, dp_key=1, port_key=3))
    list(refresher.step(WANTED, Host(southbound=rows), 0.0))
    assert looked(refresher, Host(southbound=rows), 10.0) == [t.LOOKUP_FDB]
    assert looked(refresher, host(), 10.1) == []
    assert looked(refresher, host(), 15.1) == sorted((t.LOOKUP_MAC, t.LOOKUP_MAC6, t.NEIGHBOUR_USED))


# --- flows and rows ---------------------------------------------------------------------------------------------------


def bed(threshold: str) -> World:
    made = World()
    made.datapath("sw0", 1)
    made.datapath("lr0", 2, "router")
    made.port("a", "sw0", 1)
    made.interface("a", 10)
    made.link("sw0", 2, "lr0", 5)
    ids = StrMap({"logical-router": uuid_of("lr0"), **({"mac_binding_age_threshold": threshold} if threshold else {})})
    made.change(sb.DatapathBinding, ROUTER, external_ids=ids)
    made.put(sb.MACBinding(uuid=BINDING, datapath=ROUTER, logical_port="lr0-sw0", ip="10.0.0.7", mac=MAC))
    made.put(sb.MACBinding(uuid=BINDING6, datapath=ROUTER, logical_port="lr0-sw0", ip="fd00::7", mac=MAC))
    made.engine.run()
    return made


def flows(made: World, table: int) -> list[str]:
    found = made.engine.table(FLOWS).rows.items()
    return sorted(flow_text(as_flow(key, body)) for key, body in found if key[0] == table)


def test_what_is_sent_to_neighbours_that_age_is_counted_packets_of_their_own_are_not() -> None:
    made = bed("fd00::/8:0;80")
    assert dict(made.engine.rows(AGEING)) == {ROUTER: Ages(2, 0, thresholds("fd00::/8:0;80"))}
    (counted,) = flows(made, t.NEIGHBOUR_USED)
    assert "eth_type=0x800" in counted and counted.endswith("actions=drop")
    assert [line.count(f"resubmit(,{t.NEIGHBOUR_USED})") for line in flows(made, t.GET_MAC)] == [1]
    assert [line.count(f"resubmit(,{t.NEIGHBOUR_USED})") for line in flows(made, t.GET_MAC6)] == [0]


def test_without_a_threshold_nothing_is_counted() -> None:
    made = bed("")
    assert dict(made.engine.rows(AGEING)) == {} and flows(made, t.NEIGHBOUR_USED) == []
    assert len(flows(made, t.GET_MAC)) == 1


def test_a_refreshed_row_makes_no_difference_to_the_switch() -> None:
    made = bed("80")
    made.engine.take(FLOWS)
    made.change(sb.MACBinding, BINDING, timestamp=5)
    made.engine.log = []
    made.engine.run()
    assert made.engine.take(FLOWS) == [] and made.engine.log == []


def test_a_machine_that_moved_is_dated_where_that_matters() -> None:
    for ids, timestamp in (({}, None), ({"fdb_age_threshold": "80"}, 9)):
        rows = (sb.DatapathBinding(uuid=SWITCH, tunnel_key=1, external_ids=StrMap(ids)),)
        replica = replica_of(*rows, sb.FDB(uuid=FDB, mac=MAC, dp_key=1, port_key=3, timestamp=4))
        services = PacketServices(Host())
        services.carry_out([sb.FDB(mac=MAC, dp_key=1, port_key=8, timestamp=9)])
        transaction = Transaction()
        services.add_learned(transaction, replica)
        (update,) = transaction.operations
        assert update["row"] == {"port_key": 8} | ({"timestamp": timestamp} if timestamp else {})
