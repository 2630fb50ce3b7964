"""How the regular actions are written, as tables that the parser and the printer both read.

Actions with a syntax of their own (`next`, `ct_lb_mark`, `log` …) are not here but in the parser and the printer.

Tests: tests/unit/language/test_action_cases.py.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ovine.language.actions import (
    Arp,
    BindVport,
    Block,
    CheckInPortSec,
    CheckOutPortSec,
    CheckPktLarger,
    ChkEcmpNh,
    ChkEcmpNhMac,
    ChkEvpnArp,
    ChkLbAff,
    ChkLbHairpin,
    ChkLbHairpinReply,
    Clone,
    CtClear,
    CtCommitNat,
    CtIp6Dst,
    CtNwDst,
    CtProto,
    CtSnatToVip,
    CtStateSave,
    CtTpDst,
    DhcpRelayReqChk,
    DhcpRelayRespChk,
    DnsLookup,
    Drop,
    FloodRemote,
    GetArp,
    GetFdb,
    GetNd,
    GetRemoteFdb,
    HandleBfdMsg,
    HandleDhcpv6Reply,
    HandleSvcCheck,
    Icmp4,
    Icmp4Error,
    Icmp6,
    Icmp6Error,
    Igmp,
    LookupArp,
    LookupArpIp,
    LookupFdb,
    LookupNd,
    LookupNdIp,
    MacCacheUse,
    Mirror,
    NdNa,
    NdNaRouter,
    NdNs,
    Output,
    Pop,
    Push,
    PutArp,
    PutDhcpOpts,
    PutDhcpv6Opts,
    PutFdb,
    PutNd,
    PutNdRaOpts,
    PutOptions,
    Regular,
    Reject,
    SctpAbort,
    SetQueue,
    TcpReset,
)

WORDS: Final[dict[str, type[Regular]]] = {
    "output": Output,
    "drop": Drop,
    "flood_remote": FloodRemote,
    "ct_clear": CtClear,
    "ct_commit_nat": CtCommitNat,
    "ct_snat_to_vip": CtSnatToVip,
    "mac_cache_use": MacCacheUse,
    "handle_dhcpv6_reply": HandleDhcpv6Reply,
    "igmp": Igmp,
}
"""`word;`"""

BLOCKS: Final[dict[str, type[Block]]] = {
    "clone": Clone,
    "arp": Arp,
    "nd_ns": NdNs,
    "nd_na": NdNa,
    "nd_na_router": NdNaRouter,
    "icmp4": Icmp4,
    "icmp4_error": Icmp4Error,
    "icmp6": Icmp6,
    "icmp6_error": Icmp6Error,
    "tcp_reset": TcpReset,
    "sctp_abort": SctpAbort,
    "reject": Reject,
}
"""`word { … };`"""


class Signature(NamedTuple):
    """A call's form. `result` is the width in bits of what it yields, 0 for nothing, -1 for a port.

    A parameter is (attribute, kind), the kind one of `field`, `writable`, `port`, `ip4`, `ip6`, `mac` (fields of that
    width), `string`, `ip4-constant`, or (lowest, highest) for an integer.
    """

    action: type[Any]
    result: int
    parameters: tuple[tuple[str, str | tuple[int, int]], ...] = ()


_P: Final = ("port", "port")
_M: Final = ("mac", "mac")
_A4: Final = ("ip", "ip4")
_A6: Final = ("ip", "ip6")
_RELAY: Final = (("relay", "ip4-constant"), ("server", "ip4-constant"))

PORT_RESULT: Final = -1

CALLS: Final[dict[str, Signature]] = {
    "push": Signature(Push, 0, (("field", "field"),)),
    "pop": Signature(Pop, 0, (("field", "writable"),)),
    "chk_lb_hairpin": Signature(ChkLbHairpin, 1),
    "chk_lb_hairpin_reply": Signature(ChkLbHairpinReply, 1),
    "chk_lb_aff": Signature(ChkLbAff, 1),
    "ct_nw_dst": Signature(CtNwDst, 32),
    "ct_ip6_dst": Signature(CtIp6Dst, 128),
    "ct_tp_dst": Signature(CtTpDst, 16),
    "ct_proto": Signature(CtProto, 8),
    "ct_state_save": Signature(CtStateSave, 8),
    "get_arp": Signature(GetArp, 0, (_P, _A4)),
    "put_arp": Signature(PutArp, 0, (_P, _A4, _M)),
    "lookup_arp": Signature(LookupArp, 1, (_P, _A4, _M)),
    "lookup_arp_ip": Signature(LookupArpIp, 1, (_P, _A4)),
    "get_nd": Signature(GetNd, 0, (_P, _A6)),
    "put_nd": Signature(PutNd, 0, (_P, _A6, _M)),
    "lookup_nd": Signature(LookupNd, 1, (_P, _A6, _M)),
    "lookup_nd_ip": Signature(LookupNdIp, 1, (_P, _A6)),
    "get_fdb": Signature(GetFdb, PORT_RESULT, (_M,)),
    "get_remote_fdb": Signature(GetRemoteFdb, PORT_RESULT, (_M,)),
    "put_fdb": Signature(PutFdb, 0, (_P, _M)),
    "lookup_fdb": Signature(LookupFdb, 1, (_P, _M)),
    "chk_evpn_arp": Signature(ChkEvpnArp, 1, (_A4,)),
    "dns_lookup": Signature(DnsLookup, 1),
    "dhcp_relay_req_chk": Signature(DhcpRelayReqChk, 1, _RELAY),
    "dhcp_relay_resp_chk": Signature(DhcpRelayRespChk, 1, _RELAY),
    "handle_svc_check": Signature(HandleSvcCheck, 0, (_P,)),
    "bind_vport": Signature(BindVport, 0, (("virtual_port", "string"), ("parent", "port"))),
    "check_pkt_larger": Signature(CheckPktLarger, 1, (("length", (0, 65535)),)),
    "chk_ecmp_nh_mac": Signature(ChkEcmpNhMac, 1),
    "chk_ecmp_nh": Signature(ChkEcmpNh, 1),
    "handle_bfd_msg": Signature(HandleBfdMsg, 0),
    "set_queue": Signature(SetQueue, 0, (("queue", (0, 61440)),)),
    "check_in_port_sec": Signature(CheckInPortSec, 1),
    "check_out_port_sec": Signature(CheckOutPortSec, 1),
    "mirror": Signature(Mirror, 0, (("port", "string"),)),
}
"""`word(…);` or `result = word(…);`"""

PUT_OPTIONS: Final[dict[str, type[PutOptions]]] = {
    "put_dhcp_opts": PutDhcpOpts,
    "put_dhcpv6_opts": PutDhcpv6Opts,
    "put_nd_ra_opts": PutNdRaOpts,
}
"""`R = word(name = value, …);`"""
