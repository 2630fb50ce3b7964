"""The OpenFlow tables of the integration bridge and the registers between them: declared once, as data.

A packet's way: PHYSICAL_TO_LOGICAL says in which datapath and by which port it came; the logical ingress pipeline
chooses an output port; REMOTE_OUTPUT sends what belongs to other hosts through tunnels, LOCAL_OUTPUT copies what
stays here to each port; CHECK_LOOPBACK drops what would go out where it came in; the logical egress pipeline judges;
LOGICAL_TO_PHYSICAL outputs. The other tables are subroutines: a flow's `resubmit` runs them and goes on with what
they left in a register.

Table numbers matter to nobody but one controller: a restart into a version with other numbers is one atomic difference.
Registers are OVN's own, since logical flows and packets in tunnels depend on them (ovn-architecture(7)).

`TABLES` is what docs/controller.md shows. Tests: tests/unit/controller/test_controller_tables.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PHYSICAL_TO_LOGICAL: Final = 0
LOG_INGRESS: Final = 8
LOG_EGRESS: Final = 64
LOG_TABLES: Final = 40
"""How many tables each logical pipeline may have; OVN's schemas allow 33 to 35."""

REMOTE_OUTPUT: Final = 48
LOCAL_OUTPUT: Final = 49
CHECK_LOOPBACK: Final = 50
SAVE_INPORT: Final = 104
LOGICAL_TO_PHYSICAL: Final = 105

NEIGHBOUR_USED: Final = 107
OUT_PORT_SEC_IP: Final = 108
IN_PORT_SEC_IP: Final = 109
GET_MAC6: Final = 110
LOOKUP_MAC6: Final = 111
GET_MAC: Final = 112
LOOKUP_MAC: Final = 113
GET_FDB: Final = 114
LOOKUP_FDB: Final = 115
IN_PORT_SEC: Final = 116
IN_PORT_SEC_ND: Final = 117
OUT_PORT_SEC: Final = 118
ECMP_NEXT_HOP_MAC: Final = 119
ECMP_NEXT_HOP: Final = 120
LB_HAIRPIN: Final = 121
LB_HAIRPIN_REPLY: Final = 122
LB_HAIRPIN_SNAT: Final = 123
LB_AFFINITY: Final = 124

LEARNED: Final = frozenset({ECMP_NEXT_HOP_MAC, ECMP_NEXT_HOP, LB_HAIRPIN_REPLY, LB_AFFINITY})
"""Tables whose flows the switch makes itself, by `learn` actions. The controller leaves them to their timeouts."""


class Table(NamedTuple):
    """One table, or a run of them from `first` to `last`."""

    first: int
    last: int
    name: str
    purpose: str


TABLES: Final = (
    Table(PHYSICAL_TO_LOGICAL, PHYSICAL_TO_LOGICAL, "physical to logical", "by ingress port: datapath, port, zones"),
    Table(LOG_INGRESS, LOG_INGRESS + LOG_TABLES - 1, "logical ingress", "Logical_Flow rows of the ingress pipeline"),
    Table(REMOTE_OUTPUT, REMOTE_OUTPUT, "remote output", "ports and group members on other hosts: into tunnels"),
    Table(LOCAL_OUTPUT, LOCAL_OUTPUT, "local output", "ports and group members here, one by one"),
    Table(CHECK_LOOPBACK, CHECK_LOOPBACK, "check loopback", "no way back out of the port it came from"),
    Table(LOG_EGRESS, LOG_EGRESS + LOG_TABLES - 1, "logical egress", "Logical_Flow rows of the egress pipeline"),
    Table(SAVE_INPORT, SAVE_INPORT, "save inport", "lets a packet with flags.loopback out of its ingress port"),
    Table(LOGICAL_TO_PHYSICAL, LOGICAL_TO_PHYSICAL, "logical to physical", "out of an OpenFlow port"),
    Table(NEIGHBOUR_USED, NEIGHBOUR_USED, "neighbour used", "counts what is sent to learned neighbours that age"),
    Table(OUT_PORT_SEC_IP, OUT_PORT_SEC_IP, "egress port security of IP", "what a port's MAC may get → reg10[12] = 0"),
    Table(IN_PORT_SEC_IP, IN_PORT_SEC_IP, "ingress port security of IP", "what a port's MAC may send → reg10[12] = 0"),
    Table(GET_MAC6, GET_MAC6, "get MAC, IPv6", "(datapath, reg15, xxreg0) → eth_dst"),
    Table(LOOKUP_MAC6, LOOKUP_MAC6, "look up MAC, IPv6", "(datapath, reg14, xxreg0, eth_src) → reg10[6]"),
    Table(GET_MAC, GET_MAC, "get MAC, IPv4", "(datapath, reg15, reg0) → eth_dst"),
    Table(LOOKUP_MAC, LOOKUP_MAC, "look up MAC, IPv4", "(datapath, reg14, reg0, eth_src) → reg10[6]"),
    Table(GET_FDB, GET_FDB, "get FDB", "(datapath, eth_dst) → reg15"),
    Table(LOOKUP_FDB, LOOKUP_FDB, "look up FDB", "(datapath, reg14, eth_src) → reg10[8]"),
    Table(IN_PORT_SEC, IN_PORT_SEC, "ingress port security", "(datapath, reg14, eth_src) → reg10[12] = 1: refuse"),
    Table(IN_PORT_SEC_ND, IN_PORT_SEC_ND, "ingress port security of ND", "what ND may say → reg10[12] = 0"),
    Table(OUT_PORT_SEC, OUT_PORT_SEC, "egress port security", "(datapath, reg15, eth_dst) → reg10[12] = 1: refuse"),
    Table(
        ECMP_NEXT_HOP_MAC, ECMP_NEXT_HOP_MAC, "ECMP next hop MAC", "learned: (datapath, eth_src, 5-tuple) → reg10[13]"
    ),
    Table(ECMP_NEXT_HOP, ECMP_NEXT_HOP, "ECMP next hop", "learned: (datapath, 5-tuple of the answers) → reg10[13]"),
    Table(LB_HAIRPIN, LB_HAIRPIN, "hairpins", "(first destination, the packet) → reg10[7]; learns the answers"),
    Table(LB_HAIRPIN_REPLY, LB_HAIRPIN_REPLY, "answers of hairpins", "learned: (datapath, addresses) → reg10[7]"),
    Table(LB_HAIRPIN_SNAT, LB_HAIRPIN_SNAT, "sources of hairpins", "first destination → commits with it as source"),
    Table(LB_AFFINITY, LB_AFFINITY, "load-balancing sessions", "learned: (datapath, client, VIP) → reg10[14], backend"),
)

# --- registers (ovn-architecture(7), "Architectural Physical Life Cycle of a Packet") --------------------------------

DATAPATH: Final = "metadata"
INPORT: Final = "reg14"
OUTPORT: Final = "reg15"
FLAGS: Final = "reg10"
ZONE: Final = "reg13"
"""Conntrack zone of the logical port, bits 0..15."""
DNAT_ZONE: Final = "reg11"
SNAT_ZONE: Final = "reg12"

# --- bits of reg10, `flags` in the language; those without a symbol there are ours to set -----------------------------

LOOPBACK: Final = 0
FROM_RAMP: Final = 1
LOCAL_ONLY: Final = 4
NESTED_CONTAINER: Final = 5
LOOKUP_MAC_HIT: Final = 6
LOOKUP_LB_HAIRPIN: Final = 7
LOOKUP_FDB_HIT: Final = 8
FROM_LOCALPORT: Final = 10
PORT_SEC_REFUSES: Final = 12
LOOKUP_ECMP_HIT: Final = 13
USE_LB_AFFINITY: Final = 14
TUNNEL_RX: Final = 16
FROM_SEVERAL: Final = 24
"""The packet is from a port that is in several places, on a provider's network."""
PORT_SEC_ANY: Final = 25
"""The MAC that port security looks at may have any address;"""
PORT_SEC_V4: Final = 26
"""it may have some IPv4 addresses;"""
PORT_SEC_V6: Final = 27
"""it may have some IPv6 addresses."""


def logical_table(pipeline: str, table: int) -> int:
    """The OpenFlow table of a logical table; ValueError if the pipeline has no such table."""
    if not 0 <= table < LOG_TABLES:
        raise ValueError(f"logical table {table} is not one of 0 to {LOG_TABLES - 1}")
    return (LOG_INGRESS if pipeline == "ingress" else LOG_EGRESS) + table
