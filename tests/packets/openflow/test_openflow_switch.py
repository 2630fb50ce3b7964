"""What is sent to a real switch is what it holds and says back."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from typing import Any

import dpkt
import msgspec
import pytest
import pytest_asyncio

from ovine.openflow import (
    BUCKET_FIRST,
    METER_BURST,
    METER_KBPS,
    METER_STATS,
    OVN_GENEVE_TLV,
    SEND_FLOW_REMOVED,
    Aggregate,
    AggregateRequest,
    Band,
    Bucket,
    Connection,
    Controller,
    Ct,
    CtFlush,
    CtFlushZone,
    CtTuple,
    FeaturesRequest,
    Flow,
    FlowMod,
    FlowRemoved,
    FlowStatsRequest,
    Group,
    GroupDescRequest,
    GroupEntry,
    GroupMod,
    Load,
    MeterConfigRequest,
    MeterEntry,
    MeterMod,
    Nat,
    Output,
    PacketIn,
    PacketOut,
    PortDescRequest,
    PortStatus,
    Received,
    Refused,
    RefusedError,
    Resubmit,
    Resume,
    SetAsync,
    SetControllerId,
    SetPacketInFormat,
    TlvTableMod,
    TlvTableReply,
    TlvTableRequest,
    match,
    normalise,
)
from support import openflow_samples


def _frame(payload: bytes) -> bytes:
    udp = dpkt.udp.UDP(sport=53, dport=54, data=payload, ulen=8 + len(payload))
    ip = dpkt.ip.IP(src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", p=17, ttl=64, data=udp, len=28 + len(payload))
    return bytes(dpkt.ethernet.Ethernet(src=b"\x0a\0\0\0\0\1", dst=b"\x0a\0\0\0\0\2", type=0x800, data=ip))


_FRAME = _frame(b"\xde\xad\xbe\xef")


@pytest_asyncio.fixture
async def connection(switch: Any) -> AsyncIterator[Connection]:
    async with await Connection.open(switch.target) as made:
        await made.send(
            SetPacketInFormat(),
            SetAsync(flow_removed=frozenset(range(6))),
            TlvTableMod("clear"),
            TlvTableMod("add", (OVN_GENEVE_TLV,)),
            FlowMod("delete", Flow(255, 0, ())),
            GroupMod("delete", GroupEntry(0xFFFFFFFC, "all")),
            MeterMod("delete", MeterEntry(0xFFFFFFFF, 0)),
        )
        await made.barrier()
        assert isinstance(await made.request(TlvTableRequest()), TlvTableReply)
        yield made
        await made.send(FlowMod("delete", Flow(255, 0, ())), GroupMod("delete", GroupEntry(0xFFFFFFFC, "all")))
        await made.barrier()


async def _next(connection: Connection, kind: type) -> Any:
    """The next event or message of this kind; whatever else comes is passed over."""
    async with asyncio.timeout(10):
        async for event in connection:
            if isinstance(event, kind):
                return event
            if isinstance(event, Received) and isinstance(event.message, kind):
                return event.message
    raise AssertionError("the connection ended")


async def _dump(connection: Connection) -> dict[Any, Flow]:
    return {desc.flow.key: desc.flow for desc in await connection.multipart(FlowStatsRequest())}


async def _prepare(connection: Connection) -> None:
    await connection.send(
        MeterMod("add", MeterEntry(3, METER_KBPS, (Band(1000),))),
        MeterMod("add", MeterEntry(7, METER_KBPS, (Band(1000),))),
        GroupMod("add", GroupEntry(9, "all", (Bucket(1, (Output(1),)),))),
    )


async def test_the_sum_of_what_flows_counted_is_read_without_the_flows(connection: Connection) -> None:
    """What a flow counted is in the sum of its table, and of its match, and of no other."""
    one, other = match(metadata=1), match(metadata=2)
    flows = [Flow(5, 10, one, ()), Flow(5, 10, other, ()), Flow(6, 10, (), ())]
    await connection.transact([FlowMod("add", flow) for flow in flows])
    actions = (Resubmit(table=5), Resubmit(table=5))
    await connection.send(PacketOut("CONTROLLER", actions, _FRAME + bytes(60 - len(_FRAME)), one))
    await connection.barrier()
    for request, packets in (
        (AggregateRequest(5), 2),
        (AggregateRequest(5, one), 2),
        (AggregateRequest(5, other), 0),
        (AggregateRequest(6), 0),
    ):
        assert await connection.multipart(request) == [Aggregate(packets, 60 * packets)]
    (used,) = await connection.multipart(FlowStatsRequest(5, one))
    assert (used.packets, used.idle_age < 5) == (2, True)


# Open vSwitch 3.1 takes an exact match on one of these as masked by its own value.
_MISREAD = ("tun_erspan_ver", "tun_erspan_dir", "tun_erspan_hwid", "tun_gtpu_flags", "tun_gtpu_msgtype")


def _as_read(flow: Flow) -> Flow:
    entries = tuple((name, value, value if name in _MISREAD else mask) for name, value, mask in flow.match)
    return msgspec.structs.replace(flow, match=normalise(entries))


@pytest.mark.parametrize("flow", openflow_samples.flows(), ids=lambda flow: f"{flow.match}-{flow.actions}"[:60])
async def test_a_flow_read_back_equals_the_flow_sent(connection: Connection, flow: Flow) -> None:
    await _prepare(connection)
    await connection.transact([FlowMod("add", flow)])
    read = _as_read(flow)
    assert await _dump(connection) == {read.key: read}


async def test_all_flows_of_one_bundle_are_read_back(connection: Connection) -> None:
    await _prepare(connection)
    flows = {flow.key: flow for flow in map(_as_read, openflow_samples.flows())}
    await connection.transact([FlowMod("add", flow) for flow in flows.values()])
    assert await _dump(connection) == flows


async def test_registers_of_any_width_are_the_same_flow(connection: Connection) -> None:
    wide = Flow(0, 1, match(xxreg0=5 << 96 | 7, xreg2=(3 << 32, 0xFF << 32)))
    narrow = Flow(0, 1, match(reg0=5, reg1=0, reg2=0, reg3=7, reg4=(3, 0xFF)))
    assert wide == narrow
    await connection.transact([FlowMod("add", wide)])
    assert await _dump(connection) == {narrow.key: narrow}


async def test_the_switch_forgets_some_parts_of_a_match(connection: Connection) -> None:
    """The exceptions that docs/openflow.md names, as Open vSwitch 3.1 shows them."""
    tracked = {"eth_type": 0x800, "ct_state": (0x20, 0x30)}
    for sent, read in (
        (match(vlan_tci=(0x3005, 0x3FFF)), match(vlan_pcp=1, vlan_vid=0x1005)),
        (match(**tracked, ct_tp_src=5), match(**tracked)),
    ):
        await connection.transact([FlowMod("delete", Flow(255, 0, ())), FlowMod("add", Flow(0, 1, sent))])
        assert [key[2] for key in await _dump(connection)] == [read]


async def test_a_transaction_of_nothing_does_nothing(connection: Connection) -> None:
    await connection.transact([])
    assert await _dump(connection) == {}


async def test_modify_and_strict_delete_act_on_the_flow_they_name(connection: Connection) -> None:
    first, second = Flow(0, 1, match(reg0=1), (Output(1),), 5), Flow(0, 2, match(reg0=1), (Output(1),), 5)
    await connection.transact([FlowMod("add", first), FlowMod("add", second)])
    changed = Flow(0, 1, match(reg0=1), (Output(2),), 5)
    await connection.transact([FlowMod("modify_strict", changed), FlowMod("delete_strict", second)])
    assert await _dump(connection) == {changed.key: changed}


async def test_a_bundle_with_one_refused_message_changes_nothing(connection: Connection) -> None:
    good = Flow(0, 1, match(reg0=1), (Output(1),))
    for bad in (Flow(0, 2, match(ip_src=1)), Flow(0, 2, (), (Group(4444),))):
        with pytest.raises(RefusedError) as caught:
            await connection.transact([FlowMod("add", good), FlowMod("add", bad)])
        assert caught.value.refusals[0].message == FlowMod("add", bad)
        assert "the switch refused flow add: table=0,priority=2" in str(caught.value)
        assert await _dump(connection) == {}
    await connection.transact([FlowMod("add", good)])
    assert await _dump(connection) == {good.key: good}


async def test_what_is_not_refused_can_take_effect_nevertheless(connection: Connection) -> None:
    good, bad, group = Flow(0, 1, ()), Flow(0, 2, match(ip_src=1)), Flow(0, 2, (), (Group(4444),))
    for refused, there in ((group, {}), (bad, {good.key: good})):  # when committed, when added
        with pytest.raises(RefusedError) as caught:
            await connection.transact([FlowMod("add", refused), FlowMod("add", good)], whole=False)
        assert (caught.value.rest_done, await _dump(connection)) == (bool(there), there)


async def test_a_refusal_names_the_message(connection: Connection) -> None:
    bad = FlowMod("add", Flow(0, 2, (), (Group(4444),)))
    await connection.send(FlowMod("add", Flow(0, 1, ())), bad)
    await connection.barrier()
    refused = await _next(connection, Refused)
    assert (refused.message, refused.error.name) == (bad, "OFPBAC_BAD_OUT_GROUP")


async def test_a_refused_request_raises(connection: Connection) -> None:
    with pytest.raises(RefusedError, match="OFPMMFC_UNKNOWN_METER"):
        await connection.request(MeterMod("modify", MeterEntry(99, METER_KBPS, (Band(5),))))


async def test_groups_are_read_back_as_sent(connection: Connection) -> None:
    groups = [
        GroupEntry(1, "all", (Bucket(0, (Output(1),)), Bucket(5, (Resubmit(None, 3), Load(("reg0", 0, 8), 1))))),
        GroupEntry(2, "select", (Bucket(1, (Output(1),), 100), Bucket(2, (Output(2),)), Bucket(3, (), 0))),
        GroupEntry(3, "indirect", (Bucket(1, (Ct(commit=True, zone=3, actions=(Nat("dst", "10.0.0.9"),)),)),)),
        GroupEntry(4, "ff", (Bucket(1, (Output(1),), watch_port=1), Bucket(2, (Output(2),), watch_port=2))),
        GroupEntry(5, "select", (Bucket(1, (Output(1),), 3),), "dp_hash", 7),
        GroupEntry(
            6,
            "select",
            (Bucket(1, (Output(1),), 3),),
            "hash",
            0,
            match(eth_type=0xFFFF, ip_src=0xFFFFFFFF, nw_proto=255),
        ),
        GroupEntry(7, "all"),
    ]
    await connection.transact([GroupMod("add", group) for group in groups])
    read = await connection.multipart(GroupDescRequest())
    assert sorted(read, key=lambda group: group.group_id) == groups
    assert await connection.multipart(GroupDescRequest(2)) == [groups[1]]


async def test_buckets_are_inserted_and_removed_by_number(connection: Connection) -> None:
    def group(*numbers: int) -> GroupEntry:
        return GroupEntry(1, "all", tuple(Bucket(number, (Output(1),)) for number in numbers))

    await connection.transact([GroupMod("add", group(1, 2))])
    await connection.transact([GroupMod("insert_bucket", group(3), BUCKET_FIRST)])
    await connection.transact([GroupMod("insert_bucket", group(4), 1)])
    await connection.transact([GroupMod("remove_bucket", group(), 2)])
    assert await connection.multipart(GroupDescRequest()) == [group(3, 1, 4)]
    await connection.transact([GroupMod("add_or_mod", group(8))])
    assert await connection.multipart(GroupDescRequest()) == [group(8)]


async def test_meters_are_read_back_as_sent(connection: Connection) -> None:
    meters = [
        MeterEntry(1, METER_KBPS | METER_BURST | METER_STATS, (Band(1000, 200),)),
        MeterEntry(2, METER_KBPS | METER_STATS, (Band(64),)),
    ]
    await connection.send(*(MeterMod("add", meter) for meter in meters))
    assert await connection.multipart(MeterConfigRequest()) == meters


async def test_ports_and_features_are_the_switchs(connection: Connection, switch: Any) -> None:
    ports = {port.name: port.port_no for port in await connection.multipart(PortDescRequest())}
    assert ports == {"br0": 0xFFFFFFFE, "p1": 1, "p2": 2, "p3": 3}
    features = await connection.request(FeaturesRequest())
    assert f"dpid:{features.datapath_id:016x}" in switch.ofctl("show")


async def test_a_new_port_is_announced(connection: Connection, switch: Any) -> None:
    add = ("add-port", "br0", "p9", "--", "set", "interface", "p9", "type=dummy", "ofport_request=9")
    await asyncio.to_thread(switch.vsctl, *add)
    status = await _next(connection, PortStatus)
    assert (status.reason, status.port.name, status.port.port_no) == ("add", "p9", 9)
    await asyncio.to_thread(switch.vsctl, "del-port", "p9")
    while (status := await _next(connection, PortStatus)).reason != "delete":
        pass
    assert status.port.name == "p9"


async def test_a_removed_flow_is_announced(connection: Connection) -> None:
    flow = Flow(3, 7, match(eth_type=0x800, ip_dst=5), (Output(1),), 99)
    await connection.send(FlowMod("add", flow, SEND_FLOW_REMOVED), FlowMod("delete_strict", flow))
    removed = await _next(connection, FlowRemoved)
    assert (removed.table, removed.priority, removed.match, removed.cookie) == (3, 7, flow.match, 99)
    assert removed.reason == "delete"


async def test_a_paused_packet_goes_on_as_the_controller_changed_it(connection: Connection) -> None:
    await connection.transact(
        [
            FlowMod(
                "add", Flow(0, 1, (), (Load(("reg0", 0, 32), 5), Controller(b"\1\2\3", pause=True), Resubmit(None, 1)))
            ),
            FlowMod("add", Flow(1, 1, match(reg0=5), ())),
            FlowMod("add", Flow(1, 1, match(reg0=6, in_port=2), (Controller(b"after"),), 44)),
        ]
    )
    await connection.send(PacketOut(2, (Resubmit(None, 0),), _FRAME))
    paused = await _next(connection, PacketIn)
    assert (paused.packet, paused.userdata, paused.in_port) == (_FRAME, b"\1\2\3", 2)
    assert paused.field("reg0") == 5
    assert paused.continuation
    changed = _frame(b"\xca\xfe\xba\xbe")
    await connection.send(Resume(paused, changed, match(reg0=6)))
    after = await _next(connection, PacketIn)
    assert (after.packet, after.userdata, after.table, after.cookie) == (changed, b"after", 1, 44)
    assert after.field("reg0") == 6


async def test_packets_from_a_port_reach_the_controller(connection: Connection, switch: Any) -> None:
    await connection.transact([FlowMod("add", Flow(0, 1, match(in_port=3), (Controller(b"u"),), 5))])
    await asyncio.to_thread(switch.appctl, "netdev-dummy/receive", "p3", _FRAME.hex())
    seen = await _next(connection, PacketIn)
    assert (seen.in_port, seen.packet, seen.userdata) == (3, _FRAME, b"u")


async def test_a_numbered_controller_gets_only_what_is_sent_to_its_number(connection: Connection) -> None:
    await connection.send(SetControllerId(7))
    await connection.transact(
        [FlowMod("add", Flow(0, 1, (), (Controller(b"other"), Controller(b"mine", controller_id=7))))]
    )
    await connection.send(PacketOut(1, (Resubmit(None, 0),), _FRAME))
    assert (await _next(connection, PacketIn)).userdata == b"mine"


async def test_a_conntrack_zone_is_flushed(connection: Connection, switch: Any) -> None:
    await connection.transact([FlowMod("add", Flow(0, 1, match(eth_type=0x800), (Ct(commit=True, zone=9),)))])
    await connection.send(PacketOut(1, (Resubmit(None, 0),), _FRAME))
    await connection.barrier()
    assert "zone=9" in await asyncio.to_thread(switch.appctl, "dpctl/dump-conntrack")
    await connection.send(CtFlushZone(9))
    await connection.barrier()
    assert "zone=9" not in await asyncio.to_thread(switch.appctl, "dpctl/dump-conntrack")


async def test_connections_of_a_tuple_are_flushed_and_others_stay(connection: Connection, switch: Any) -> None:
    flows = [
        FlowMod("add", Flow(0, 2, match(eth_type=0x800, in_port=1), (Ct(commit=True, zone=8),))),
        FlowMod("add", Flow(0, 1, match(eth_type=0x800), (Ct(commit=True, zone=9),))),
    ]
    await connection.transact(flows)
    for port in (1, 2):
        await connection.send(PacketOut(port, (Resubmit(None, 0),), _FRAME))
    await connection.barrier()

    async def zones() -> set[str]:
        said = await asyncio.to_thread(switch.appctl, "dpctl/dump-conntrack")
        return {zone for zone in ("zone=8", "zone=9") if zone in said}

    ip = dpkt.ethernet.Ethernet(_FRAME).data
    source, target = IPv4Address(ip.src), IPv4Address(ip.dst)
    assert await zones() == {"zone=8", "zone=9"}
    await connection.send(
        CtFlush(ip.p, CtTuple(dst=target + 1)), CtFlush(ip.p, CtTuple(dst=target), CtTuple(target + 1))
    )
    await connection.barrier()
    assert await zones() == {"zone=8", "zone=9"}
    await connection.send(CtFlush(ip.p, CtTuple(dst=target), CtTuple(target), zone=9))
    await connection.barrier()
    assert await zones() == {"zone=8"}
    await connection.send(CtFlush(ip.p, CtTuple(source), CtTuple(dst=source)))
    await connection.barrier()
    assert await zones() == set()
