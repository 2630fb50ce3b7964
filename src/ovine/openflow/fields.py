"""Every packet and pipeline field that Open vSwitch matches or writes, as one table.

Terms.  An *OXM header* is the 32-bit name of a field on the wire: class (16 bits), number (7), has-mask (1), payload
length in bytes (8).  *NXM* is the same format with Nicira's classes 0 and 1.  An *experimenter* field has class 0xffff
and 32 more bits of experimenter number behind its header, which count as payload.  The *canonical name* is the heading
name of ovs-fields(7); `ALIASES` gives the other spellings.

Invariants.  A name has one entry; an entry has one header per direction of use (`in_port` in a match travels as the
32-bit OXM field, see `match.py`).  All known headers of a field are read; the one listed first is written, and it is
the one that Open vSwitch itself writes when it speaks OpenFlow 1.5.

Source: ovs-fields(7) of Open vSwitch 3.1.  Tests: tests/unit/openflow/test_openflow_fields.py, where each entry is
judged by `ovs-ofctl ofp-parse`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ovine.openflow.errors import EncodeError

NX_EXPERIMENTER = 0x00002320
ONF_EXPERIMENTER = 0x4F4E4600
NSH_EXPERIMENTER = 0x005AD650

# Prefix used in the table below -> (class, experimenter or 0).
_CLASSES = {
    "nxm": (0x0000, 0),
    "nx": (0x0001, 0),
    "eric": (0x1000, 0),
    "oxm": (0x8000, 0),
    "pkt": (0x8001, 0),
    "onf": (0xFFFF, ONF_EXPERIMENTER),
    "nxet": (0xFFFF, NX_EXPERIMENTER),
    "nsh": (0xFFFF, NSH_EXPERIMENTER),
}

# name | bits that may be set | bits on the wire | m = maskable | format of the text | prerequisite | headers
_TABLE = """
conj_id          32  32 - int    -      nx37
tun_id           64  64 m int    -      oxm38 nx16
tun_src          32  32 m ipv4   -      nx31
tun_dst          32  32 m ipv4   -      nx32
tun_ipv6_src    128 128 m ipv6   -      nx109
tun_ipv6_dst    128 128 m ipv6   -      nx110
tun_gbp_id       16  16 m int    -      nx38
tun_gbp_flags     8   8 m int    -      nx39
tun_erspan_ver    4   8 m int    -      nxet12
tun_erspan_idx   20  32 m int    -      nxet11
tun_erspan_dir    1   8 m int    -      nxet13
tun_erspan_hwid   6   8 m int    -      nxet14
tun_gtpu_flags    8   8 m int    -      nxet15
tun_gtpu_msgtype  8   8 m int    -      nxet16
tun_flags         1  16 m flags  -      nx104
in_port          16  16 - port   -      nxm0
in_port_oxm      32  32 - port   -      oxm0
pkt_mark         32  32 m int    -      nx33
actset_output    32  32 - port   -      oxm43 onf43
packet_type      32  32 - ptype  -      oxm44
ct_state         32  32 m int    -      nx105
ct_zone          16  16 - int    -      nx106
ct_mark          32  32 m int    -      nx107
ct_label        128 128 m int    -      nx108
ct_nw_proto       8   8 - int    ct     nx119
ct_nw_src        32  32 m ipv4   ct4    nx120
ct_nw_dst        32  32 m ipv4   ct4    nx121
ct_ipv6_src     128 128 m ipv6   ct6    nx122
ct_ipv6_dst     128 128 m ipv6   ct6    nx123
ct_tp_src        16  16 m int    ct_tp  nx124
ct_tp_dst        16  16 m int    ct_tp  nx125
metadata         64  64 m int    -      oxm2
xxreg0          128 128 m int    -      nx111
xxreg1          128 128 m int    -      nx112
xxreg2          128 128 m int    -      nx113
xxreg3          128 128 m int    -      nx114
eth_src          48  48 m mac    -      oxm4 nxm2
eth_dst          48  48 m mac    -      oxm3 nxm1
eth_type         16  16 - int    -      oxm5 nxm3
vlan_vid         13  16 m int    -      oxm6
vlan_pcp          3   8 - int    vlan   oxm7
vlan_tci         16  16 m int    -      nxm4
mpls_label       20  32 - int    mpls   oxm34
mpls_tc           3   8 - int    mpls   oxm35
mpls_bos          1   8 - int    mpls   oxm36
mpls_ttl          8   8 - int    mpls   nx30
ip_src           32  32 m ipv4   ip4    oxm11 nxm7
ip_dst           32  32 m ipv4   ip4    oxm12 nxm8
ipv6_src        128 128 m ipv6   ip6    oxm26 nx19
ipv6_dst        128 128 m ipv6   ip6    oxm27 nx20
ipv6_label       20  32 m int    ip6    oxm28 nx27
nw_proto          8   8 - int    ip     oxm10 nxm6
nw_ttl            8   8 - int    ip     nx29
ip_frag           2   8 m frag   ip     nx26
nw_tos            8   8 - int    ip     nxm5
ip_dscp           6   8 - int    ip     oxm8
nw_ecn            2   8 - int    ip     oxm9 nx28
arp_op           16  16 - int    arp    oxm21 nxm15
arp_spa          32  32 m ipv4   arp    oxm22 nxm16
arp_tpa          32  32 m ipv4   arp    oxm23 nxm17
arp_sha          48  48 m mac    arp    oxm24 nx17
arp_tha          48  48 m mac    arp    oxm25 nx18
nsh_flags         8   8 m int    nsh    nsh1
nsh_ttl           8   8 - int    nsh    nsh10
nsh_mdtype        8   8 - int    nsh    nsh2
nsh_np            8   8 - int    nsh    nsh3
nsh_spi          24  32 - int    nsh    nsh4
nsh_si            8   8 - int    nsh    nsh5
nsh_c1           32  32 m int    nsh    nsh6
nsh_c2           32  32 m int    nsh    nsh7
nsh_c3           32  32 m int    nsh    nsh8
nsh_c4           32  32 m int    nsh    nsh9
tcp_src          16  16 m int    tcp    oxm13 nxm9
tcp_dst          16  16 m int    tcp    oxm14 nxm10
tcp_flags        12  16 m int    tcp    oxm42 onf42 nx34
udp_src          16  16 m int    udp    oxm15 nxm11
udp_dst          16  16 m int    udp    oxm16 nxm12
sctp_src         16  16 m int    sctp   oxm17
sctp_dst         16  16 m int    sctp   oxm18
icmp_type         8   8 - int    icmp4  oxm19 nxm13
icmp_code         8   8 - int    icmp4  oxm20 nxm14
icmpv6_type       8   8 - int    icmp6  oxm29 nx21
icmpv6_code       8   8 - int    icmp6  oxm30 nx22
nd_target       128 128 m ipv6   nd     oxm31 nx23
nd_sll           48  48 m mac    nd_ns  oxm32 nx24
nd_tll           48  48 m mac    nd_na  oxm33 nx25
nd_reserved      32  32 - int    nd     eric1
nd_options_type   8   8 - int    nd     eric2
"""

# Numbered families: the registers, their 64-bit pairs, and the Geneve options (whose length the TLV table decides).
_TABLE += "".join(f"reg{i} 32 32 m int - nx{i}\n" for i in range(16))
_TABLE += "".join(f"xreg{i} 64 64 m int - pkt{i}\n" for i in range(8))
_TABLE += "".join(f"tun_metadata{i} 992 992 m int - nx{40 + i}\n" for i in range(64))

# Another spelling -> canonical name.  Spellings of ovs-ofctl, and of the OpenFlow specification.
ALIASES = {
    "tunnel_id": "tun_id",
    "dl_src": "eth_src",
    "dl_dst": "eth_dst",
    "dl_type": "eth_type",
    "dl_vlan_pcp": "vlan_pcp",
    "nw_src": "ip_src",
    "nw_dst": "ip_dst",
    "ipv4_src": "ip_src",
    "ipv4_dst": "ip_dst",
    "ipv6_flabel": "ipv6_label",
    "ip_proto": "nw_proto",
    "ip_ttl": "nw_ttl",
    "nw_frag": "ip_frag",
    "ip_ecn": "nw_ecn",
    "nsp": "nsh_spi",
    "nsi": "nsh_si",
    "nshc1": "nsh_c1",
    "nshc2": "nsh_c2",
    "nshc3": "nsh_c3",
    "nshc4": "nsh_c4",
    "icmpv4_type": "icmp_type",
    "icmpv4_code": "icmp_code",
    "icmp6_type": "icmpv6_type",
    "icmp6_code": "icmpv6_code",
    "ipv6_nd_target": "nd_target",
    "ipv6_nd_sll": "nd_sll",
    "ipv6_nd_tll": "nd_tll",
}

Condition = tuple[str, int, int | None]

_IP4: Condition = ("eth_type", 0x0800, None)
_IP6: Condition = ("eth_type", 0x86DD, None)
_ND_TARGETS = tuple((_IP6, ("nw_proto", 58, None), ("icmpv6_type", kind, None)) for kind in (135, 136))

# Connection tracking gives an original tuple to a packet that is tracked and valid: +trk-inv, or a bit that implies it.
_CT_VALID: tuple[Condition, ...] = (
    ("ct_state", 0x20, 0x30),
    *(("ct_state", bit, bit) for bit in (0x01, 0x02, 0x04, 0x08, 0x40, 0x80)),
)

# Prerequisite -> alternatives, each a tuple of conditions that must all be part of the match before the field may be.
PREREQUISITES: dict[str, tuple[tuple[Condition, ...], ...]] = {
    "-": ((),),
    "ct": tuple((state, ip) for state in _CT_VALID for ip in (_IP4, _IP6)),
    "ct4": tuple((state, _IP4) for state in _CT_VALID),
    "ct6": tuple((state, _IP6) for state in _CT_VALID),
    "ct_tp": tuple(
        (state, ip, ("ct_nw_proto", protocol, None))
        for protocol in (6, 17, 132)
        for state in _CT_VALID
        for ip in (_IP4, _IP6)
    ),
    "vlan": ((("vlan_vid", 0x1000, 0x1000),),),
    "mpls": ((("eth_type", 0x8847, None),), (("eth_type", 0x8848, None),)),
    "ip4": ((_IP4,),),
    "ip6": ((_IP6,),),
    "ip": ((_IP4,), (_IP6,)),
    "arp": ((("eth_type", 0x0806, None),), (("eth_type", 0x8035, None),)),
    "nsh": ((("eth_type", 0x894F, None),),),
    "tcp": tuple((ip, ("nw_proto", 6, None)) for ip in (_IP4, _IP6)),
    "udp": tuple((ip, ("nw_proto", 17, None)) for ip in (_IP4, _IP6)),
    "sctp": tuple((ip, ("nw_proto", 132, None)) for ip in (_IP4, _IP6)),
    "icmp4": ((_IP4, ("nw_proto", 1, None)),),
    "icmp6": ((_IP6, ("nw_proto", 58, None)),),
    "nd": _ND_TARGETS,
    "nd_ns": _ND_TARGETS[:1],
    "nd_na": _ND_TARGETS[1:],
}


class Field(NamedTuple):
    """One field.  `bits` may be set; `n_bytes` travel.  `header` and `masked_header` precede the payload."""

    name: str
    bits: int
    n_bytes: int
    maskable: bool
    format: str
    prerequisite: str
    header: bytes
    masked_header: bytes
    ones: int
    variable: bool


def _header(code: str, n_bytes: int, masked: bool) -> bytes:
    prefix = code.rstrip("0123456789")
    oxm_class, experimenter = _CLASSES[prefix]
    length = (n_bytes << masked) + (4 if experimenter else 0)
    head = struct.pack("!HBB", oxm_class, int(code[len(prefix) :]) << 1 | masked, length)
    return head + struct.pack("!I", experimenter) if experimenter else head


def _parse(line: str) -> tuple[Field, tuple[str, ...]]:
    name, bits, wire, maskable, text, prerequisite, *codes = line.split()
    variable = name.startswith("tun_metadata")
    # Open vSwitch allots OVN's Geneve option 4 bytes; a longer value gets a longer header when it is encoded.
    n_bytes = 4 if variable else int(wire) // 8
    field = Field(
        name,
        int(bits),
        n_bytes,
        maskable == "m",
        text,
        prerequisite,
        _header(codes[0], n_bytes, False),
        _header(codes[0], n_bytes, True),
        (1 << int(bits)) - 1,
        variable,
    )
    return field, tuple(codes)


_PARSED = [_parse(line) for line in _TABLE.strip().splitlines()]

FIELDS: dict[str, Field] = {field.name: field for field, _codes in _PARSED}


def _wire_keys() -> Iterator[tuple[tuple[int, int, int], Field]]:
    for field, codes in _PARSED:
        for code in codes:
            prefix = code.rstrip("0123456789")
            oxm_class, experimenter = _CLASSES[prefix]
            yield (oxm_class, int(code[len(prefix) :]), experimenter), field


# (class, number, experimenter) -> field, for reading.
BY_WIRE: dict[tuple[int, int, int], Field] = dict(_wire_keys())


def canonical(name: str) -> str:
    """The ovs-fields(7) heading name for any accepted spelling; EncodeError for an unknown one."""
    found = name if name in FIELDS else ALIASES.get(name)
    if found is None:
        raise EncodeError(f"unknown OpenFlow field {name!r}")
    return found


def field(name: str) -> Field:
    """The field of this name or alias; EncodeError for an unknown one."""
    found = FIELDS.get(name)
    return found if found is not None else FIELDS[canonical(name)]


def header_of(field_: Field, n_bytes: int, masked: bool) -> bytes:
    """The header for a payload of `n_bytes` (without mask), which differs from the stored one only for tun_metadata."""
    if n_bytes == field_.n_bytes:
        return field_.masked_header if masked else field_.header
    stored = field_.header
    return stored[:2] + bytes((stored[2] | masked, n_bytes << masked)) + stored[4:]
