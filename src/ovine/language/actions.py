"""The syntax tree of actions: one frozen class for each action of the language.

Attributes that name fields are `Subfield`, constants are `Constant` (masked or not), ports are names. An action that
yields a result has it as `dst`. Actions with a block hold it as `actions`.

How the regular ones are written is in `ovine.language.action_forms`. Source: ovn-sb(5) "actions", for OVN 23.03, and
the words that OVN main has beyond it.

Tests: tests/unit/language/test_action_cases.py, tests/cases/language/actions.txt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ovine.language.symbols import Subfield
from ovine.language.values import Constant

Pipeline = Literal["ingress", "egress"]
Zone = Literal["dnat", "snat"]
Protocol = Literal["tcp", "udp", "sctp"]


# Flow control


@dataclass(frozen=True, slots=True)
class Output:
    """`output;` ends the ingress pipeline for `outport`, or delivers to it from the egress pipeline."""


@dataclass(frozen=True, slots=True)
class Drop:
    """`drop;` stands alone."""


@dataclass(frozen=True, slots=True)
class FloodRemote:
    """`flood_remote;` sends to every remote chassis."""


@dataclass(frozen=True, slots=True)
class Next:
    """`next;`: run a table; None means the pipeline of the flow, and its next table."""

    pipeline: Pipeline | None = None
    table: int | None = None


@dataclass(frozen=True, slots=True)
class Clone:
    """`clone { … };` runs a block on a copy of the packet."""

    actions: tuple[Action, ...]


# Data


@dataclass(frozen=True, slots=True)
class Set:
    """`field = constant;` with the name of a port for port fields ("" is no port)."""

    dst: Subfield
    value: Constant | str


@dataclass(frozen=True, slots=True)
class SetOvnField:
    """`icmp4.frag_mtu = constant;` and its like, which only the controller can carry out."""

    name: str
    value: Constant


@dataclass(frozen=True, slots=True)
class Move:
    """`dst = src;`"""

    dst: Subfield
    src: Subfield


@dataclass(frozen=True, slots=True)
class Exchange:
    """`left <-> right;`"""

    left: Subfield
    right: Subfield


@dataclass(frozen=True, slots=True)
class Push:
    """`push(field);`"""

    field: Subfield


@dataclass(frozen=True, slots=True)
class Pop:
    """`pop(field);`"""

    field: Subfield


@dataclass(frozen=True, slots=True)
class DecTtl:
    """`ip.ttl--;` stops the packet when it reaches 0."""


# Connection tracking


@dataclass(frozen=True, slots=True)
class CtNext:
    """`ct_next;` tracks and moves on; with a zone, in that one."""

    zone: Zone | None = None


@dataclass(frozen=True, slots=True)
class CtCommit:
    """`ct_commit;` or `ct_commit(ct_mark=…, ct_label=…);`, the older form."""

    mark: Constant | None = None
    label: Constant | None = None


@dataclass(frozen=True, slots=True)
class CtCommitBlock:
    """`ct_commit { … };`: the block only assigns to parts of ct_mark and ct_label."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class CtCommitToZone:
    """`ct_commit_to_zone(dnat);`"""

    zone: Zone


@dataclass(frozen=True, slots=True)
class CtCommitNat:
    """`ct_commit_nat;` applies NAT, commits, moves on."""


@dataclass(frozen=True, slots=True)
class CtClear:
    """`ct_clear;`"""


@dataclass(frozen=True, slots=True)
class CtNat:
    """`ct_dnat`, `ct_snat` and, with `common_zone`, `ct_dnat_in_czone`, `ct_snat_in_czone`; moves on.

    Without an address it undoes the translation; `ports` is an inclusive range.
    """

    direction: Zone
    common_zone: bool = False
    address: Constant | None = None
    ports: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CtSnatToVip:
    """`ct_snat_to_vip;`"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address with a port or without; `logical_port` only in ct_lb_mark_local."""

    address: Constant
    port: int | None = None
    logical_port: str | None = None


LbWord = Literal["ct_lb", "ct_lb_mark", "ct_lb_mark_local"]


@dataclass(frozen=True, slots=True)
class CtLb:
    """`ct_lb_mark(backends=…; hash_fields="…"; skip_snat);` and its kin; moves on. No backends: undo only."""

    word: LbWord
    backends: tuple[Endpoint, ...] = ()
    hash_fields: tuple[str, ...] = ()
    flag: Literal["skip_snat", "force_snat"] | None = None


@dataclass(frozen=True, slots=True)
class ChkLbHairpin:
    """`R = chk_lb_hairpin();`"""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class ChkLbHairpinReply:
    """`R = chk_lb_hairpin_reply();`"""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class ChkLbAff:
    """`R = chk_lb_aff();`"""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class CommitLbAff:
    """`commit_lb_aff(vip="…", backend="…", proto=tcp, timeout=30);` timeout in seconds."""

    vip: Endpoint
    backend: Endpoint
    protocol: Protocol | None
    timeout: int


@dataclass(frozen=True, slots=True)
class CtNwDst:
    """`F = ct_nw_dst();` the connection's original IPv4 destination."""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class CtIp6Dst:
    """`F = ct_ip6_dst();` the connection's original IPv6 destination."""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class CtTpDst:
    """`F = ct_tp_dst();` the connection's original transport destination."""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class CtProto:
    """`F = ct_proto();` the connection's IP protocol."""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class CtStateSave:
    """`F = ct_state_save();` the low 8 bits of ct_state."""

    dst: Subfield


# Neighbours and forwarding database


@dataclass(frozen=True, slots=True)
class GetArp:
    """`get_arp(P, A);` loads eth.dst, with zero if the address is unknown."""

    port: Subfield
    ip: Subfield


@dataclass(frozen=True, slots=True)
class PutArp:
    """`put_arp(P, A, E);`"""

    port: Subfield
    ip: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class LookupArp:
    """`R = lookup_arp(P, A, M);`"""

    dst: Subfield
    port: Subfield
    ip: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class LookupArpIp:
    """`R = lookup_arp_ip(P, A);`"""

    dst: Subfield
    port: Subfield
    ip: Subfield


@dataclass(frozen=True, slots=True)
class GetNd:
    """`get_nd(P, A);`"""

    port: Subfield
    ip: Subfield


@dataclass(frozen=True, slots=True)
class PutNd:
    """`put_nd(P, A, E);`"""

    port: Subfield
    ip: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class LookupNd:
    """`R = lookup_nd(P, A, M);`"""

    dst: Subfield
    port: Subfield
    ip: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class LookupNdIp:
    """`R = lookup_nd_ip(P, A);`"""

    dst: Subfield
    port: Subfield
    ip: Subfield


@dataclass(frozen=True, slots=True)
class MacCacheUse:
    """`mac_cache_use;`"""


@dataclass(frozen=True, slots=True)
class GetFdb:
    """`P = get_fdb(A);`"""

    dst: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class GetRemoteFdb:
    """`P = get_remote_fdb(A);`"""

    dst: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class PutFdb:
    """`put_fdb(P, A);`"""

    port: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class LookupFdb:
    """`R = lookup_fdb(P, A);`"""

    dst: Subfield
    port: Subfield
    mac: Subfield


@dataclass(frozen=True, slots=True)
class ChkEvpnArp:
    """`R = chk_evpn_arp(A);`"""

    dst: Subfield
    ip: Subfield


# Packet makers: the block runs on a new packet, the original goes on


@dataclass(frozen=True, slots=True)
class Arp:
    """`arp { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class NdNs:
    """`nd_ns { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class NdNa:
    """`nd_na { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class NdNaRouter:
    """`nd_na_router { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Icmp4:
    """`icmp4 { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Icmp4Error:
    """`icmp4_error { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Icmp6:
    """`icmp6 { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Icmp6Error:
    """`icmp6_error { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class TcpReset:
    """`tcp_reset { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class SctpAbort:
    """`sctp_abort { … };`"""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """`reject { … };`"""

    actions: tuple[Action, ...]


# Services


class Option(NamedTuple):
    """`name = value` or `name = {value, …}` of a service's reply, as written; what it means is the service's."""

    name: str
    values: tuple[Constant | str, ...]


@dataclass(frozen=True, slots=True)
class PutDhcpOpts:
    """`R = put_dhcp_opts(offerip = …, …);`"""

    dst: Subfield
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class PutDhcpv6Opts:
    """`R = put_dhcpv6_opts(…);`"""

    dst: Subfield
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class PutNdRaOpts:
    """`R = put_nd_ra_opts(addr_mode = "…", slla = …, …);`"""

    dst: Subfield
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class DnsLookup:
    """`R = dns_lookup();`"""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class DhcpRelayReqChk:
    """`R = dhcp_relay_req_chk(relay, server);`"""

    dst: Subfield
    relay: Constant
    server: Constant


@dataclass(frozen=True, slots=True)
class DhcpRelayRespChk:
    """`R = dhcp_relay_resp_chk(relay, server);`"""

    dst: Subfield
    relay: Constant
    server: Constant


@dataclass(frozen=True, slots=True)
class HandleDhcpv6Reply:
    """`handle_dhcpv6_reply;`"""


@dataclass(frozen=True, slots=True)
class HandleSvcCheck:
    """`handle_svc_check(P);`"""

    port: Subfield


@dataclass(frozen=True, slots=True)
class HandleBfdMsg:
    """`handle_bfd_msg();`"""


@dataclass(frozen=True, slots=True)
class Igmp:
    """`igmp;` gives the packet to multicast snooping."""


@dataclass(frozen=True, slots=True)
class BindVport:
    """`bind_vport("V", P);`"""

    virtual_port: str
    parent: Subfield


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """`trigger_event(event = "empty_lb_backends", vip = "…", …);`"""

    event: str
    options: tuple[Option, ...]


# Choice and cost


class Member(NamedTuple):
    """One of the numbers that `select` may choose."""

    value: int
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Select:
    """`F = select(1=20, 2=30);` or `F = select(values=(1=20, 2=30); hash_fields="…");` moves on."""

    dst: Subfield
    members: tuple[Member, ...]
    hash_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FwdGroup:
    """`fwd_group(liveness=true, childports="p1", "p2");`"""

    liveness: bool
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckPktLarger:
    """`R = check_pkt_larger(L);` length in bytes."""

    dst: Subfield
    length: int


@dataclass(frozen=True, slots=True)
class CommitEcmpNh:
    """`commit_ecmp_nh(ipv6 = false, proto = tcp);`"""

    ipv6: bool
    protocol: Protocol | None = None


@dataclass(frozen=True, slots=True)
class ChkEcmpNhMac:
    """`R = chk_ecmp_nh_mac();`"""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class ChkEcmpNh:
    """`R = chk_ecmp_nh();`"""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class SetQueue:
    """`set_queue(N);` 0 is the default queue."""

    queue: int


@dataclass(frozen=True, slots=True)
class SetMeter:
    """`set_meter(rate, burst);` in kbit/s and kbit."""

    rate: int
    burst: int | None = None


# Guards and watching


@dataclass(frozen=True, slots=True)
class CheckInPortSec:
    """`R = check_in_port_sec();` 1 if the packet fails."""

    dst: Subfield


@dataclass(frozen=True, slots=True)
class CheckOutPortSec:
    """`R = check_out_port_sec();` 1 if the packet fails."""

    dst: Subfield


Verdict = Literal["allow", "drop", "reject", "pass"]
Severity = Literal["alert", "warning", "notice", "info", "debug"]


@dataclass(frozen=True, slots=True)
class Log:
    """`log(name="…", verdict=drop, severity=info, meter="…");`"""

    name: str | None = None
    verdict: Verdict | None = None
    severity: Severity = "info"
    meter: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """`sample(probability=65535, …);` point None is the flow's own cookie."""

    probability: int
    collector_set: int = 0
    domain: int = 0
    point: int | Subfield | None = 0


@dataclass(frozen=True, slots=True)
class Mirror:
    """`mirror("port");`"""

    port: str


Regular = (
    Output | Drop | FloodRemote | DecTtl | CtCommitNat | CtClear | CtSnatToVip | MacCacheUse | HandleDhcpv6Reply | Igmp
)
Block = (
    Clone
    | CtCommitBlock
    | Arp
    | NdNs
    | NdNa
    | NdNaRouter
    | Icmp4
    | Icmp4Error
    | Icmp6
    | Icmp6Error
    | TcpReset
    | SctpAbort
    | Reject
)
Call = (
    Push
    | Pop
    | ChkLbHairpin
    | ChkLbHairpinReply
    | ChkLbAff
    | CtNwDst
    | CtIp6Dst
    | CtTpDst
    | CtProto
    | CtStateSave
    | GetArp
    | PutArp
    | LookupArp
    | LookupArpIp
    | GetNd
    | PutNd
    | LookupNd
    | LookupNdIp
    | GetFdb
    | GetRemoteFdb
    | PutFdb
    | LookupFdb
    | ChkEvpnArp
    | DnsLookup
    | DhcpRelayReqChk
    | DhcpRelayRespChk
    | HandleSvcCheck
    | BindVport
    | CheckPktLarger
    | ChkEcmpNhMac
    | ChkEcmpNh
    | HandleBfdMsg
    | SetQueue
    | CheckInPortSec
    | CheckOutPortSec
    | Mirror
)
PutOptions = PutDhcpOpts | PutDhcpv6Opts | PutNdRaOpts
Action = (
    Regular
    | Block
    | Call
    | PutOptions
    | Next
    | Set
    | SetOvnField
    | Move
    | Exchange
    | CtNext
    | CtCommit
    | CtCommitToZone
    | CtNat
    | CtLb
    | CommitLbAff
    | TriggerEvent
    | Select
    | FwdGroup
    | CommitEcmpNh
    | SetMeter
    | Log
    | Sample
)
