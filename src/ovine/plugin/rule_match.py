"""The match of a security group rule in the logical flow language (ovn-sb(5)). Pure.

Tests: tests/unit/plugin/test_plugin_security.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ovine.model.base import Uuid
from ovine.model.cloud import SecurityGroupRule
from ovine.model.protocols import protocol_number

DIRECTIONS = {"from-lport": "inport", "to-lport": "outport"}
"""Directions of ACLs, and which port of a packet they look at."""

_ICMP = (1, 58)
_WITH_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}


def group_name(group: Uuid) -> str:
    """The port group of a security group."""
    return f"pg_{group.replace('-', '_')}"


def address_set(address_group: Uuid, ip: str) -> str:
    """The address set of an address group for "ip4" or "ip6"."""
    return f"ag_{address_group.replace('-', '_')}_{ip}"


def rule_match(rule: SecurityGroupRule) -> str:
    """Who sends or gets the packet, from or to whom, and which protocol it has."""
    ip = "ip4" if rule.ethertype == "IPv4" else "ip6"
    port, peer = ("outport", "src") if rule.direction == "ingress" else ("inport", "dst")
    terms = [f"{port} == @{group_name(rule.security_group)}", ip]
    terms += [f"{ip}.{peer} == {who}" for who in _peers(rule, ip)]
    terms += _protocol(rule, ip)
    return " && ".join(terms)


def _peers(rule: SecurityGroupRule, ip: str) -> Iterator[str]:
    if rule.remote_ip_prefix is not None:
        yield str(ipaddress.ip_network(rule.remote_ip_prefix, strict=False))
    if rule.remote_group is not None:
        yield f"${group_name(rule.remote_group)}_{ip}"
    if rule.remote_address_group is not None:
        yield f"${address_set(rule.remote_address_group, ip)}"


def _protocol(rule: SecurityGroupRule, ip: str) -> Iterator[str]:
    if rule.protocol is None:
        return
    number, low, high = protocol_number(rule.protocol), rule.port_range_min, rule.port_range_max
    if number in _ICMP:
        icmp = ip.replace("ip", "icmp")
        yield icmp
        if low is not None:
            yield f"{icmp}.type == {low}"
        if high is not None:
            yield f"{icmp}.code == {high}"
    elif number in _WITH_PORTS:
        name = _WITH_PORTS[number]
        yield name
        if low is not None and low == high:
            yield f"{name}.dst == {low}"
        elif low is not None and high is not None:
            yield f"{name}.dst >= {low}"
            yield f"{name}.dst <= {high}"
    else:
        yield f"ip.proto == {number}"
