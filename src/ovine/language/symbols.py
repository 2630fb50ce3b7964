"""The names of the language, as data: fields and predicates.

A **field** is a run of bits of one Open vSwitch field. *Ordinal* fields can be compared in any way and cut into
subfields; *nominal* ones and *strings* (names of ports) only tested for equality. Using a symbol implies its
*prerequisite*, itself an expression. A **predicate** is a name for an expression.

`Symbol` is a field's or predicate's entry; `Subfield` is a use of a field: some of its bits.

The names are the union of OVN main's and of OVN 23.03's (`ct_label.blocked` …), so that flows of either parse.
Sources: ovn-sb(5) "Symbols", ovs-fields(7), and for the named bits of flags, ct_mark and ct_label OVN's register use.

Tests: tests/unit/language/test_symbols.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ovine.language.layout import Place, place_of

Kind = Literal["ordinal", "nominal", "string"]
Writable = Literal["yes", "no", "ct_commit", "ingress", "whole"]
"""Where an action may assign: everywhere, nowhere, only inside ct_commit {}, only in the ingress pipeline, or
everywhere but only the whole field at once."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field symbol. `width` in bits (32 for strings, whose OpenFlow value is a port's key).

    `openflow` is the name in ovs-fields(7), `offset` the lowest bit used in it.
    """

    name: str
    width: int
    kind: Kind
    prerequisite: str
    writable: Writable
    openflow: str
    offset: int = 0

    @property
    def place(self) -> Place:
        """Where its bits are in the long integer of `ovine.language.layout`."""
        return Place(place_of(self.openflow).offset + self.offset, self.width)


@dataclass(frozen=True, slots=True)
class OvnField:
    """A field that only the controller can write, for Open vSwitch has no name for it. `width` in bits."""

    name: str
    width: int
    prerequisite: str


@dataclass(frozen=True, slots=True)
class Subfield:
    """Bits `low` … `low + width - 1` of the field named `name`; the whole field if it is a string."""

    name: str
    low: int
    width: int

    @property
    def field(self) -> Field:
        """The field whose bits these are."""
        return FIELDS[self.name]

    @property
    def whole(self) -> bool:
        """True if it is all of the field."""
        return self.width == FIELDS[self.name].width

    @property
    def place(self) -> Place:
        """Where its bits are in the long integer of `ovine.language.layout`."""
        return Place(FIELDS[self.name].place.offset + self.low, self.width)

    def __str__(self) -> str:
        if self.whole:
            return self.name
        if self.width == 1:
            return f"{self.name}[{self.low}]"
        return f"{self.name}[{self.low}..{self.low + self.width - 1}]"


def whole(name: str) -> Subfield:
    """The whole of a field; KeyError if there is no field of that name."""
    return Subfield(name, 0, FIELDS[name].width)


def openflow_subfield(subfield: Subfield) -> tuple[str, int, int]:
    """What an OpenFlow action names: (field as in ovs-fields(7), lowest bit, number of bits)."""
    field = FIELDS[subfield.name]
    return field.openflow, field.offset + subfield.low, subfield.width


_O: Final = "ordinal"
_N: Final = "nominal"

_ROWS: Final[tuple[tuple[str, int, Kind, str, Writable, str, int], ...]] = (
    # name, bits, kind, prerequisite, writable, openflow, offset
    ("inport", 32, "string", "", "yes", "reg14", 0),
    ("outport", 32, "string", "", "ingress", "reg15", 0),
    ("remote_outport", 32, "string", "", "yes", "reg1", 0),
    ("__inport", 32, _O, "", "no", "reg14", 0),
    ("__outport", 32, _O, "", "no", "reg15", 0),
    *((f"xxreg{n}", 128, _O, "", "yes", f"xxreg{n}", 0) for n in range(2)),
    *((f"xreg{n}", 64, _O, "", "yes", f"xreg{n}", 0) for n in range(5)),
    *((f"reg{n}", 32, _O, "", "yes", f"reg{n}", 0) for n in range(10)),
    ("flags", 32, _O, "", "yes", "reg10", 0),
    ("pkt.mark", 32, _O, "", "yes", "pkt_mark", 0),
    ("ct_mark", 32, _O, "", "ct_commit", "ct_mark", 0),
    ("ct_label", 128, _O, "", "ct_commit", "ct_label", 0),
    ("ct_state", 32, _O, "", "no", "ct_state", 0),
    ("ct_proto", 8, _N, "ct.trk && !ct.inv && ip", "no", "ct_nw_proto", 0),
    ("eth.src", 48, _O, "", "yes", "eth_src", 0),
    ("eth.dst", 48, _O, "", "yes", "eth_dst", 0),
    ("eth.type", 16, _N, "", "no", "eth_type", 0),
    ("vlan.tci", 16, _O, "", "yes", "vlan_tci", 0),
    ("vlan.pcp", 3, _O, "vlan.present", "yes", "vlan_tci", 13),
    ("vlan.vid", 12, _O, "vlan.present", "yes", "vlan_tci", 0),
    ("ip.proto", 8, _N, "ip", "no", "nw_proto", 0),
    ("ip.dscp", 6, _N, "ip", "whole", "ip_dscp", 0),
    ("ip.ecn", 2, _N, "ip", "whole", "nw_ecn", 0),
    ("ip.ttl", 8, _N, "ip", "whole", "nw_ttl", 0),
    ("ip.frag", 2, _O, "ip", "no", "ip_frag", 0),
    ("ip4.src", 32, _O, "ip4", "yes", "ip_src", 0),
    ("ip4.dst", 32, _O, "ip4", "yes", "ip_dst", 0),
    ("ip6.src", 128, _O, "ip6", "yes", "ipv6_src", 0),
    ("ip6.dst", 128, _O, "ip6", "yes", "ipv6_dst", 0),
    ("ip6.label", 20, _O, "ip6", "yes", "ipv6_label", 0),
    ("icmp4.type", 8, _N, "icmp4", "whole", "icmp_type", 0),
    ("icmp4.code", 8, _N, "icmp4", "whole", "icmp_code", 0),
    ("icmp6.type", 8, _N, "icmp6", "whole", "icmpv6_type", 0),
    ("icmp6.code", 8, _N, "icmp6", "whole", "icmpv6_code", 0),
    *(
        row
        for proto in ("arp", "rarp")
        for row in (
            (f"{proto}.op", 16, _N, proto, "whole", "arp_op", 0),
            (f"{proto}.spa", 32, _O, proto, "yes", "arp_spa", 0),
            (f"{proto}.tpa", 32, _O, proto, "yes", "arp_tpa", 0),
            (f"{proto}.sha", 48, _O, proto, "yes", "arp_sha", 0),
            (f"{proto}.tha", 48, _O, proto, "yes", "arp_tha", 0),
        )
    ),
    ("nd.target", 128, _O, "nd", "yes", "nd_target", 0),
    ("nd.sll", 48, _O, "nd_ns", "yes", "nd_sll", 0),
    ("nd.tll", 48, _O, "nd_na", "yes", "nd_tll", 0),
    ("tcp.flags", 12, _O, "tcp", "no", "tcp_flags", 0),
    *(
        (f"{proto}.{side}", 16, _O, proto, "yes", f"{proto}_{side}", 0)
        for proto in ("tcp", "udp", "sctp")
        for side in ("src", "dst")
    ),
)

_FLAG_BITS: Final = (
    ("loopback", 0),
    ("force_snat_for_dnat", 2),
    ("force_snat_for_lb", 3),
    ("skip_snat_for_lb", 9),
    ("use_snat_zone", 11),
    ("localnet", 15),
    ("tunnel_rx", 16),
    ("icmp_snat", 17),
    ("from_ctrl", 19),
    ("unsnat_new", 20),
    ("unsnat_not_tracked", 21),
    ("igmp_loopback", 22),
    ("pkt_sampled", 23),
)

_NAMED_BITS: Final[tuple[tuple[str, str, int, int], ...]] = (
    # name, field, lowest bit, bits
    *((f"flags.{name}", "flags", bit, 1) for name, bit in _FLAG_BITS),
    ("flags.network_id", "flags", 28, 4),
    ("eth.mcast", "eth.dst", 40, 1),
    ("ct_mark.blocked", "ct_mark", 0, 1),
    ("ct_mark.natted", "ct_mark", 1, 1),
    ("ct_mark.skip_snat", "ct_mark", 2, 1),
    ("ct_mark.force_snat", "ct_mark", 3, 1),
    ("ct_mark.obs_stage", "ct_mark", 4, 2),
    ("ct_mark.allow_established", "ct_mark", 6, 1),
    ("ct_mark.obs_collector_id", "ct_mark", 16, 8),
    ("ct_mark.ecmp_reply_port", "ct_mark", 16, 16),
    ("ct_label.blocked", "ct_label", 0, 1),
    ("ct_label.natted", "ct_label", 1, 1),
    ("ct_label.skip_snat", "ct_label", 2, 1),
    ("ct_label.force_snat", "ct_label", 3, 1),
    ("ct_label.nf", "ct_label", 7, 1),
    ("ct_label.tun_if", "ct_label", 8, 1),
    ("ct_label.nf_id", "ct_label", 17, 8),
    ("ct_label.ecmp_reply_eth", "ct_label", 32, 48),
    ("ct_label.ecmp_reply_port", "ct_label", 80, 16),
    ("ct_label.acl_id", "ct_label", 80, 16),
    ("ct_label.tun_if_id", "ct_label", 80, 16),
    ("ct_label.label", "ct_label", 96, 32),
    ("ct_label.obs_point_id", "ct_label", 96, 32),
    ("ct_label.obs_unused", "ct_label", 0, 96),
)

_CT_BITS: Final = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")


def _all_fields() -> dict[str, Field]:
    fields = {row[0]: Field(*row) for row in _ROWS}
    for name, parent_name, low, width in _NAMED_BITS:
        up = fields[parent_name]
        fields[name] = Field(name, width, _O, up.prerequisite, up.writable, up.openflow, up.offset + low)
    for bit, name in enumerate(_CT_BITS):
        prerequisite = "" if name == "trk" else "ct.trk"
        fields[f"ct.{name}"] = Field(f"ct.{name}", 1, _O, prerequisite, "no", "ct_state", bit)
    return fields


FIELDS: Final[dict[str, Field]] = _all_fields()
"""Every field that a match or an assignment may name."""

OVN_FIELDS: Final[dict[str, OvnField]] = {
    field.name: field
    for field in (
        OvnField("icmp4.frag_mtu", 16, "icmp4"),
        OvnField("icmp6.frag_mtu", 32, "icmp6"),
        OvnField("icmp4.inner_ip4.src", 32, "icmp4"),
    )
}
"""Fields that may only be written, by a packet-in to the controller."""

PREDICATES: Final[dict[str, str]] = {
    "vlan.present": "vlan.tci[12]",
    "eth.bcast": "eth.dst == ff:ff:ff:ff:ff:ff",
    "eth.mcastv6": "eth.dst[32..47] == 0x3333",
    "ip4": "eth.type == 0x800",
    "ip6": "eth.type == 0x86dd",
    "ip": "ip4 || ip6",
    "arp": "eth.type == 0x806",
    "rarp": "eth.type == 0x8035",
    "icmp4": "ip4 && ip.proto == 1",
    "icmp6": "ip6 && ip.proto == 58",
    "icmp": "icmp4 || icmp6",
    "igmp": "ip4.mcast && ip.proto == 2",
    "tcp": "ip.proto == 6",
    "udp": "ip.proto == 17",
    "sctp": "ip.proto == 132",
    "ip.is_frag": "ip.frag[0]",
    "ip.later_frag": "ip.frag[1]",
    "ip.first_frag": "ip.is_frag && !ip.later_frag",
    "ip4.src_mcast": "ip4.src[28..31] == 0xe",
    "ip4.mcast": "ip4.dst[28..31] == 0xe",
    "ip6.mcast": "eth.mcastv6 && ip6.dst[120..127] == 0xff",
    "ip6.mcast_rsvd": "ip6.dst[116..127] == 0xff0 && ip6.dst[0..111] == 0",
    "ip6.mcast_all_nodes": "ip6.dst == {ff01::1, ff02::1}",
    "ip6.mcast_all_rtrs": "ip6.dst == {ff01::2, ff02::2, ff05::2}",
    "ip6.mcast_sol_node": "ip6.dst == ff02::1:ff00:0/104",
    "ip6.mcast_flood": "eth.mcastv6"
    " && (ip6.mcast_rsvd || ip6.mcast_all_nodes || ip6.mcast_all_rtrs || ip6.mcast_sol_node)",
    "nd": "icmp6.type == {135, 136} && icmp6.code == 0 && ip.ttl == 255",
    "nd_ns": "icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255",
    "nd_ns_mcast": "ip6.mcast && icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255",
    "nd_na": "icmp6.type == 136 && icmp6.code == 0 && ip.ttl == 255",
    "nd_rs": "icmp6.type == 133 && icmp6.code == 0 && ip.ttl == 255",
    "nd_ra": "icmp6.type == 134 && icmp6.code == 0 && ip.ttl == 255",
    "mldv1": "ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}",
    "mldv2": "ip6.dst == ff02::16 && icmp6.type == 143",
    "from_evpn_vtep": "__inport[31]",
    "to_evpn_vtep": "__outport[31]",
}
"""Predicate → the expression that it stands for. ovn-sb(5) and, for the last ones, OVN main."""
