"""Compiled matches in the words of ovs-ofctl(8)."""

from __future__ import annotations

from ovine.language import FlowMatch

_FRAGMENTS = {(1, 3): "first", (1, 1): "yes", (0, 1): "no", (2, 2): "later", (0, 2): "not_later", (0, 3): "no"}


_UNMASKABLE = {
    *("eth_type", "nw_proto", "nw_ttl", "ip_dscp", "nw_ecn", "arp_op"),
    *("icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code", "conj_id", "ct_nw_proto"),
}


def ofctl_match(flow: FlowMatch) -> str:
    """The match of a flow, with a priority, in the syntax of ovs-ofctl."""
    parts = ["priority=1"]
    for name, value, mask in flow.fields:
        if name == "ip_frag":
            parts.append(f"ip_frag={_FRAGMENTS[value, mask]}")
        elif name in ("eth_src", "eth_dst", "arp_sha", "arp_tha", "nd_sll", "nd_tll"):
            parts.append(f"{name}={value.to_bytes(6).hex(':')}/{mask.to_bytes(6).hex(':')}")
        elif name in ("ip_src", "ip_dst", "arp_spa", "arp_tpa"):
            parts.append(f"{name}={'.'.join(map(str, value.to_bytes(4)))}/{'.'.join(map(str, mask.to_bytes(4)))}")
        elif name in ("ipv6_src", "ipv6_dst", "nd_target"):
            parts.append(f"{name}={value.to_bytes(16).hex(':', 2)}/{mask.to_bytes(16).hex(':', 2)}")
        elif name == "ct_state":
            # ovs-ofctl refuses bits without a name, also where they are asked to be zero, as they are.
            parts.append(f"ct_state={value:#x}/{mask & 0xFF:#x}")
        elif name in _UNMASKABLE:
            assert mask & (mask + 1) == 0, f"{name} can't be masked"
            parts.append(f"{name}={value}")
        else:
            parts.append(f"{name}={value:#x}/{mask:#x}")
    return ",".join(parts)
