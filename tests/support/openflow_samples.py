"""Samples of every field and every action, for the tests of the codec and those with a real switch."""

from ovine.openflow import (
    FIELDS,
    PREREQUISITES,
    Action,
    Bundle,
    CheckPktLarger,
    Clone,
    Conjunction,
    Controller,
    Ct,
    CtClear,
    DecTtl,
    DeleteField,
    Exit,
    Flow,
    GotoTable,
    Group,
    Learn,
    LearnLoad,
    LearnMatch,
    LearnOutput,
    Load,
    Match,
    Meter,
    Move,
    Nat,
    Note,
    Output,
    OutputReg,
    Pop,
    PopVlan,
    Push,
    PushVlan,
    Resubmit,
    Sample,
    SetField,
    SetQueue,
    match,
    normalise,
)

NOTHING: Match = ()
IP4 = match(eth_type=0x800)
IP6 = match(eth_type=0x86DD)
TCP = match(eth_type=0x800, nw_proto=6)
TRACKED = match(eth_type=0x800, ct_state=(0x20, 0x30))
VLAN = match(vlan_vid=(0x1000, 0x1000))

# A flow's match (it satisfies the prerequisites) and its actions.
ACTIONS: list[tuple[Match, tuple[Action, ...]]] = [
    (NOTHING, ()),
    (NOTHING, (Output(5),)),
    (NOTHING, (Output("LOCAL"), Output("IN_PORT"), Output("NORMAL"), Output("FLOOD"), Output("ALL"))),
    (NOTHING, (OutputReg(("reg15", 0, 32)),)),
    (NOTHING, (Bundle((5, 4)), Bundle((7,)), Bundle((1, 2, 3, 4, 5)))),
    (NOTHING, (OutputReg(("reg5", 16, 16)),)),
    (NOTHING, (OutputReg(("tun_erspan_idx", 0, 16)),)),
    (NOTHING, (Resubmit(None, 33), Resubmit(7), Resubmit("LOCAL", 8))),
    (TRACKED, (Resubmit(None, 3, ct=True),)),
    (NOTHING, (SetField("reg0", 5), SetField("reg1", 5, 0xFF), SetField("xxreg1", 7 << 70), SetField("xreg2", 7))),
    (NOTHING, (SetField("eth_src", 0x0A0000000001), SetField("eth_dst", 0x010000000000, 0x010000000000))),
    (NOTHING, (SetField("in_port", 0xFFFF),)),
    (NOTHING, (SetField("in_port", 0), SetField("tun_id", 5), SetField("metadata", 2), SetField("pkt_mark", 9))),
    (NOTHING, (SetField("tun_src", 0x0A000001), SetField("tun_dst", 0x0A000002), SetField("tun_metadata0", 0x10002))),
    (NOTHING, (SetField("tun_ipv6_src", 1), SetField("tun_ipv6_dst", 0xFD << 120), SetField("tun_flags", 1))),
    (NOTHING, (SetField("tun_gbp_id", 3), SetField("tun_gbp_flags", 1), SetField("tun_erspan_idx", 3))),
    (IP4, (SetField("ip_src", 1), SetField("ip_dst", 0x0A000000, 0xFF000000), SetField("ip_dscp", 4))),
    (IP4, (SetField("nw_ecn", 1), SetField("nw_ttl", 64))),
    (IP6, (SetField("ipv6_src", 0xFD << 120 | 5), SetField("ipv6_dst", 9, 0xFF), SetField("ipv6_label", 77))),
    (TCP, (SetField("tcp_src", 80), SetField("tcp_dst", 8080))),
    (match(eth_type=0x86DD, nw_proto=17), (SetField("udp_src", 53), SetField("udp_dst", 54))),
    (match(eth_type=0x800, nw_proto=132), (SetField("sctp_src", 53), SetField("sctp_dst", 54))),
    (match(eth_type=0x806), (SetField("arp_op", 2), SetField("arp_spa", 1), SetField("arp_tpa", 2))),
    (match(eth_type=0x806), (SetField("arp_sha", 1), SetField("arp_tha", 2))),
    (match(eth_type=0x800, nw_proto=1), (SetField("icmp_type", 3), SetField("icmp_code", 1))),
    (match(eth_type=0x86DD, nw_proto=58), (SetField("icmpv6_type", 129), SetField("icmpv6_code", 0))),
    (
        match(eth_type=0x86DD, nw_proto=58, icmpv6_type=136),
        (SetField("nd_target", 5), SetField("nd_tll", 6), SetField("nd_reserved", 0x60000000)),
    ),
    (match(eth_type=0x86DD, nw_proto=58, icmpv6_type=135), (SetField("nd_sll", 6), SetField("nd_options_type", 2))),
    (VLAN, (SetField("vlan_vid", 0x1005), SetField("vlan_pcp", 3))),
    (NOTHING, (Load(("reg10", 3, 1), 1), Load(("xxreg0", 64, 32), 0x0A000001), Load(("reg0", 0, 32), 0))),
    (NOTHING, (Move("reg14", 0, "tun_metadata0", 16, 15), Move("tun_metadata0", 0, "reg15", 0, 16))),
    (
        TRACKED,
        (Move("ct_state", 0, "reg4", 0, 8), Move("ct_label", 96, "reg5", 0, 32), Move("ct_state", 0, "reg6", 0, 32)),
    ),
    (NOTHING, (Move("tun_id", 0, "metadata", 0, 24), Move("eth_src", 0, "eth_dst", 0, 48))),
    (NOTHING, (Move("tun_erspan_idx", 0, "reg0", 0, 8), Move("in_port", 0, "reg14", 0, 16))),
    (NOTHING, (Push("reg0", 0, 32), Push("eth_src", 0, 48), Pop("eth_dst", 0, 48), Pop("xxreg0", 64, 32))),
    (
        TRACKED,
        (
            Ct(
                commit=True,
                zone=("reg13", 0, 16),
                table=10,
                actions=(
                    Nat("src", "10.0.0.1", "10.0.0.5", 1024, 2000, random=True),
                    SetField("ct_mark", 1, 1),
                    Move("reg0", 0, "ct_label", 96, 32),
                ),
            ),
        ),
    ),
    (IP4, (Ct(table=5, zone=7, actions=(Nat(),)), Ct(table=6, zone=("reg11", 0, 16)))),
    (IP4, (Ct(commit=True, zone=1, actions=(Nat("dst", "10.0.0.3", port_min=80, hash=True),)),)),
    (IP4, (Ct(commit=True, zone=1, actions=(Nat("src", "10.0.0.3", persistent=True),)),)),
    (IP4, (Ct(commit=True, zone=1, actions=(Nat("src"),)),)),
    (IP6, (Ct(commit=True, force=True, zone=1, actions=(Nat("dst", "fd00::1", "fd00::9", 5, 6),)),)),
    (IP6, (Ct(commit=True, actions=(SetField("ct_label", 5 << 64), Nat("dst", "fd00::1"))),)),
    (TCP, (Ct(commit=True, zone=3, alg=21),)),
    (NOTHING, (CtClear(), Exit())),
    (NOTHING, (Controller(), Controller(max_len=128, controller_id=4), Controller(b"\0\0\0\5\1"))),
    (NOTHING, (Controller(b"abc", True, 7, 100, "invalid_ttl", 3), Controller(b"\0" * 40, pause=True))),
    (NOTHING, (Conjunction(4096, 2, 3),)),
    (NOTHING, (Conjunction(1, 1, 2), Conjunction(2, 2, 2))),
    (NOTHING, (Clone((Output(1), CtClear(), Clone((Load(("reg0", 0, 1), 1), Resubmit(None, 4))))), Clone(()))),
    (NOTHING, (Meter(3), Group(9))),
    (IP4, (DecTtl(), Output(1))),
    (NOTHING, (PushVlan(), SetField("vlan_vid", 0x1009), Output(2), PopVlan(), PushVlan(0x88A8))),
    (NOTHING, (SetQueue(61440), Note(b""), Note(b"abcdefg"))),
    (NOTHING, (CheckPktLarger(1500, ("reg9", 1, 1)),)),
    (NOTHING, (Sample(65535, 1, 2, 3), Sample(5, 1, 2, 0xFFFFFFFF, 1, 2))),
    (NOTHING, (DeleteField("tun_metadata0"),)),
    (
        IP4,
        (
            Learn(
                76,
                (
                    LearnMatch(("eth_type", 0, 16), 0x800),
                    LearnMatch(("ip_src", 0, 32), ("ip_dst", 0, 32)),
                    LearnMatch(("eth_src", 0, 48), 0x0A0000000001),
                    LearnLoad(("reg0", 3, 1), 1),
                    LearnLoad(("reg1", 0, 32), ("metadata", 0, 32)),
                    LearnOutput(("in_port", 0, 16)),
                ),
                idle_timeout=5,
                hard_timeout=6,
                fin_idle_timeout=7,
                fin_hard_timeout=8,
                priority=9,
                cookie=10,
                delete_learned=True,
                send_flow_removed=True,
            ),
        ),
    ),
    (NOTHING, (Learn(77, (LearnMatch(("ct_label", 0, 96), 5),), limit=10, result=("reg0", 0, 1)),)),
    (NOTHING, (Output(1), GotoTable(9))),
    (NOTHING, (GotoTable(10),)),
]

# Fields whose value is not free, with one that Open vSwitch takes.
_VALUES = {
    "in_port": 1,
    "in_port_oxm": 0xFFFFFFFE,
    "actset_output": 2,
    "packet_type": 0x10800,
    "eth_type": 0x88CC,
    "vlan_vid": 0x1005,
    "vlan_tci": 0x7005,
    "ct_state": 0x22,
    "nw_tos": 0x28,
    "nd_reserved": 0x60000000,
    "tun_flags": 1,
    "ip_frag": 1,
    "nw_proto": 17,
    "arp_op": 2,
    "nsh_mdtype": 1,
    "tun_erspan_dir": 1,
}


def field_matches() -> list[Match]:
    """For each field a match on its value, and on part of it where that is possible, with what the field requires."""
    found = []
    for field in FIELDS.values():
        if field.name.startswith("tun_metadata") and field.name != "tun_metadata0":
            continue
        value = _VALUES.get(field.name, 0x5A3C5A3C5A3C5A3C5A3C5A3C5A3C5A3C & field.ones)
        if field.variable:
            value &= 0xFFFFFFFF
        conditions = PREREQUISITES[field.prerequisite][0]
        found.append(normalise((*conditions, (field.name, value, None))))
        if field.maskable:
            mask = 0x1000 if field.name == "vlan_vid" else 0x1FFF if field.name == "vlan_tci" else value
            found.append(normalise((*conditions, (field.name, value & mask, mask))))
        if field.format == "ipv6":
            found.append(normalise((*conditions, (field.name, 0xFD << 120, 0xFFFF << 112))))
    return found


def flows() -> list[Flow]:
    """A flow for each of the samples above."""
    by_field = [Flow(1, 1000, entries, (Output(1),), 7) for entries in field_matches()]
    by_action = [
        Flow(2, number, entries, actions, number << 32, number, 2 * number)
        for number, (entries, actions) in enumerate(ACTIONS)
    ]
    return by_field + by_action
