"""Whole messages: judged by ovs-ofctl, and read back."""

import re
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest

from ovine.openflow import (
    BUCKET_FIRST,
    METER_BURST,
    METER_KBPS,
    METER_PKTPS,
    OVN_GENEVE_TLV,
    AggregateRequest,
    Band,
    BarrierReply,
    BarrierRequest,
    Bucket,
    BundleAdd,
    CtFlush,
    CtFlushZone,
    CtTuple,
    EchoReply,
    EchoRequest,
    EncodeError,
    Error,
    FeaturesReply,
    FeaturesRequest,
    Flow,
    FlowMod,
    FlowStatsRequest,
    Group,
    GroupDescRequest,
    GroupEntry,
    GroupMod,
    Hello,
    Load,
    MeterConfigRequest,
    MeterEntry,
    MeterMod,
    Output,
    PacketIn,
    PacketOut,
    Port,
    PortDescRequest,
    PortStatus,
    Resubmit,
    Resume,
    SetAsync,
    SetControllerId,
    SetPacketInFormat,
    SwitchConfig,
    TlvMap,
    TlvTableMod,
    TlvTableReply,
    TlvTableRequest,
    Unknown,
    bundle,
    commit,
    decode,
    encode,
    group_text,
    match,
)
from ovine.openflow.error_names import error_name
from ovine.openflow.fields import NX_EXPERIMENTER

_SELECT = GroupEntry(
    7,
    "select",
    (Bucket(1, (Load(("reg0", 0, 8), 1), Resubmit(None, 4)), 100), Bucket(2, (Output(2),), 5)),
    "hash",
    3,
    match(ip_src=0xFFFFFFFF, eth_type=0xFFFF, nw_proto=0xFF),
)
_PAUSED = PacketIn(
    b"\1\2\3\4\5\6", match(in_port=3, reg0=5, metadata=9), 8, 77, "action", b"user", b"\0\0\0\0opaque", 99
)

# A message, and a pattern that ovs-ofctl's words for it match from the start.
MESSAGES = [
    (Hello(), r"OFPT_HELLO:\n version bitmap: 0x06"),
    (EchoRequest(b"ab"), r"OFPT_ECHO_REQUEST: 2 bytes of payload"),
    (EchoReply(b"ab"), r"OFPT_ECHO_REPLY: 2 bytes of payload"),
    (Error(2, 9, b"\6\x0d\0\x08\0\0\0\1"), r"OFPT_ERROR: OFPBAC_BAD_OUT_GROUP"),
    (FeaturesRequest(), r"OFPT_FEATURES_REQUEST:"),
    (FeaturesReply(0xABC, 0, 254, 0, 0x4F), r"OFPT_FEATURES_REPLY: dpid:0000000000000abc\nn_tables:254"),
    (SwitchConfig(0, 128), r"OFPT_SET_CONFIG: frags=normal miss_send_len=128"),
    (BarrierRequest(), r"OFPT_BARRIER_REQUEST:"),
    (BarrierReply(), r"OFPT_BARRIER_REPLY:"),
    (
        PortStatus("add", Port(5, "tap0", "0a:00:00:00:00:01")),
        r"OFPT_PORT_STATUS: ADD: 5\(tap0\): addr:0a:00:00:00:00:01",
    ),
    (
        FlowMod("delete_strict", Flow(3, 7, match(reg0=1), (), 9), 1, 0xFF),
        r"OFPT_FLOW_MOD: DEL_STRICT table:3 priority=7,reg0=0x1 cookie:0x9/0xff send_flow_rem",
    ),
    (FlowMod("modify", Flow(3, 0, (), (Output(1),), 9)), r"OFPT_FLOW_MOD: MOD table:3 .*actions=output:1"),
    (
        GroupMod("add", _SELECT),
        r"OFPT_GROUP_MOD:\n ADD group_id=7,type=select,selection_method=hash,selection_method_param=3,fields\(.*"
        r"bucket=bucket_id:1,weight:100,actions=set_field:0x1/0xff->reg0,resubmit\(,4\),bucket=bucket_id:2,weight:5",
    ),
    (
        GroupMod("insert_bucket", GroupEntry(7, "all", (Bucket(4, (Group(1),)),)), BUCKET_FIRST),
        r"OFPT_GROUP_MOD:\n INSERT_BUCKET command_bucket_id:first,group_id=7,.*bucket=bucket_id:4,actions=group:1",
    ),
    (
        GroupMod("remove_bucket", GroupEntry(7, "all"), 4),
        r"OFPT_GROUP_MOD:\n REMOVE_BUCKET command_bucket_id:4,group_id=7",
    ),
    (
        GroupMod("add", GroupEntry(8, "ff", (Bucket(0, (Output(1),), None, 1, 2),))),
        r".*type=ff,bucket=bucket_id:0,watch_port:1,watch_group:2,actions=output:1",
    ),
    (
        MeterMod("add", MeterEntry(4, METER_PKTPS | METER_BURST, (Band(10, 20),))),
        r"OFPT_METER_MOD: ADD meter=4 pktps burst bands=\ntype=drop rate=10 burst_size=20",
    ),
    (MeterMod("delete", MeterEntry(4, METER_KBPS)), r"OFPT_METER_MOD: DEL meter=4"),
    (SetAsync(), r"OFPT_SET_ASYNC:"),
    (SetPacketInFormat(), r"NXT_SET_PACKET_IN_FORMAT: format=nxt_packet_in2"),
    (SetControllerId(5), r"NXT_SET_CONTROLLER_ID: id=5"),
    (TlvTableRequest(), r"NXT_TLV_TABLE_REQUEST:"),
    (
        TlvTableMod("add", (OVN_GENEVE_TLV,)),
        r"NXT_TLV_TABLE_MOD:\n ADD mapping table:\n .*\n\s+0x102\s+0x80\s+4\s+tun_metadata0",
    ),
    (TlvTableReply((OVN_GENEVE_TLV,), 256, 64), r"NXT_TLV_TABLE_REPLY:\n max option space=256 max fields=64"),
    (CtFlushZone(9), r"NXT_CT_FLUSH_ZONE: zone_id=9"),
    (CtFlush(zone=9), r"NXT_CT_FLUSH: zone=9 'ct_ipv6_src=::,.*ct_nw_proto=0' 'ct_ipv6_src=::,"),
    (
        CtFlush(
            17, CtTuple(dst=IPv4Address("10.0.0.9"), dport=80), CtTuple(IPv4Address("10.0.0.2"), None, 8080), 65535
        ),
        r"NXT_CT_FLUSH: zone=65535 'ct_nw_src=::,ct_nw_dst=10.0.0.9,ct_tp_src=0,ct_tp_dst=80,ct_nw_proto=17' "
        r"'ct_nw_src=10.0.0.2,ct_nw_dst=::,ct_tp_src=8080,ct_tp_dst=0'",
    ),
    (
        CtFlush(132, CtTuple(IPv6Address("fd00::1"), IPv6Address("fd00::9"), 1, 2)),
        r"NXT_CT_FLUSH: zone=0 'ct_ipv6_src=fd00::1,ct_ipv6_dst=fd00::9,ct_tp_src=1,ct_tp_dst=2,ct_nw_proto=132' ",
    ),
    (
        PacketIn(bytes(60), match(in_port=3, reg0=5, metadata=9), 8, 77, "action", b"user"),
        r"NXT_PACKET_IN2: table_id=8 cookie=0x4d total_len=60 reg0=0x5,metadata=0x9,in_port=3 \(via action\)",
    ),
    (
        PacketOut(3, (Output(1), Resubmit(None, 8)), b"\0" * 60, match(metadata=7)),
        r"OFPT_PACKET_OUT: .*metadata=0x7,in_port=3 actions=output:1,resubmit\(,8\) data_len=60",
    ),
    (PacketOut("CONTROLLER", (), b"\0" * 60), r"OFPT_PACKET_OUT: in_port=CONTROLLER actions=drop data_len=60"),
]
_REQUESTS = [
    (FlowStatsRequest(), r"OFPST_FLOW request:"),
    (FlowStatsRequest(3, match(reg0=1), 5, 7), r"OFPST_FLOW request: table=3 reg0=0x1"),
    (AggregateRequest(3, match(reg0=1), 5, 7), r"OFPST_AGGREGATE request: table=3 reg0=0x1"),
    (GroupDescRequest(), r"OFPST_GROUP_DESC request:\s+group_id=ALL"),
    (MeterConfigRequest(), r"OFPST_METER_CONFIG request: meter=all"),
    (PortDescRequest(), r"OFPST_PORT_DESC request: port=ANY"),
    (
        Resume(PacketIn(bytes(60), match(in_port=3, reg0=5, metadata=9), 8), bytes(70), match(reg0=6)),
        r"NXT_RESUME: table_id=8 .*total_len=70 reg0=0x6,metadata=0x9,in_port=3",
    ),
]


@pytest.mark.parametrize(("message", "says"), MESSAGES + _REQUESTS, ids=lambda value: type(value).__name__)
def test_ovs_ofctl_reads_the_message_as_meant(judge, message, says) -> None:
    (printed,) = judge([encode(message, 5)])
    assert re.match(says, printed, re.S), printed


@pytest.mark.parametrize(("message", "says"), MESSAGES, ids=lambda value: type(value).__name__)
def test_what_is_encoded_is_decoded(message, says) -> None:
    assert decode(encode(message, 1234)) == (1234, message)


def test_a_bundle_is_opened_filled_and_committed(judge) -> None:
    mods = [FlowMod("add", Flow(0, 1, ())), GroupMod("delete", GroupEntry(7, "all"))]
    messages = [*bundle(mods, 77), commit(77)]
    assert judge([encode(message, xid) for xid, message in enumerate(messages)], inside=2) == [
        "OFPT_BUNDLE_CONTROL:\n bundle_id=0x4d type=OPEN_REQUEST flags=atomic ordered",
        "OFPT_BUNDLE_ADD_MESSAGE:\n bundle_id=0x4d flags=atomic ordered",
        "OFPT_FLOW_MOD: ADD priority=1 actions=drop",
        "OFPT_BUNDLE_ADD_MESSAGE:\n bundle_id=0x4d flags=atomic ordered",
        "OFPT_GROUP_MOD:\n DEL group_id=7,type=all",
        "OFPT_BUNDLE_CONTROL:\n bundle_id=0x4d type=COMMIT_REQUEST flags=atomic ordered",
    ]
    assert [decode(encode(message, 3))[1] for message in messages] == messages
    assert [message.message for message in messages if isinstance(message, BundleAdd)] == mods


def test_group_text_means_the_group(tmp_path) -> None:
    import subprocess

    path = tmp_path / "groups"
    groups = [_SELECT, GroupEntry(1, "indirect", (Bucket(0, (Output(1),)),))]
    path.write_text("".join(f"{group_text(group)}\n" for group in groups))
    done = subprocess.run(
        ["ovs-ofctl", "-O", "OpenFlow15", "parse-group", path.read_text().splitlines()[0]],
        capture_output=True,
        text=True,
    )
    assert "selection_method=hash" in done.stdout, done.stderr
    assert "bucket=bucket_id:1,weight:100,actions=set_field:0x1/0xff->reg0,resubmit(,4)" in done.stdout


def test_the_names_of_errors_are_ovs_ofctls(judge) -> None:
    numbers = [(0, kind, code) for kind in range(18) for code in range(20)]
    numbers += [(NX_EXPERIMENTER, 0xFFFF, code) for code in range(46)]
    lines = judge([encode(Error(kind, code, bytes(8), vendor)) for vendor, kind, code in numbers])
    for (vendor, kind, code), line in zip(numbers, lines, strict=True):
        ours = error_name(vendor, kind, code)
        if "decode error" in line:
            assert ours.startswith((f"error type {kind}", "Nicira error")), (ours, line)
        else:
            assert line.startswith(f"OFPT_ERROR: {ours}"), (ours, line)


def test_an_error_says_what_it_is() -> None:
    assert str(Error(4, 9)) == "the switch refused a message: OFPBMC_BAD_PREREQ"
    assert Error(0xFFFF, 2300, b"", 0x4F4E4600).name == "error 2300 of vendor 0x4f4e4600"


def test_resume_keeps_the_continuation_and_changes_only_what_is_asked() -> None:
    data = encode(Resume(_PAUSED, b"\7\7", match(reg0=6, reg1=8)))
    # A resume has the layout of a packet-in: read it as one.
    _xid, read = decode(data[:12] + struct.pack("!I", 30) + data[16:])
    assert isinstance(read, PacketIn)
    assert (read.packet, read.continuation, read.userdata) == (b"\7\7", _PAUSED.continuation, b"user")
    assert read.match == match(in_port=3, reg0=6, reg1=8, metadata=9)


def test_a_message_of_unknown_kind_is_kept() -> None:
    message = Unknown(24, b"\0" * 16)
    assert decode(encode(message, 3)) == (3, message)


@pytest.mark.parametrize(
    "make",
    [
        lambda: encode(GroupMod("add", GroupEntry(1, "all", tuple(Bucket(i, (Output(1),)) for i in range(5000))))),
        lambda: encode(PacketOut(1, (), bytes(66000))),
        lambda: encode(MeterMod("add", MeterEntry(1 << 32))),
        lambda: TlvMap(1, 2, 5, 0),
        lambda: GroupEntry(1, "some"),  # type: ignore[arg-type]
        lambda: GroupEntry(1, "select", (), "a method with a long name"),
        lambda: encode(Bucket(1)),
    ],
)
def test_what_cannot_be_said_is_refused(make) -> None:
    with pytest.raises(EncodeError):
        make()
