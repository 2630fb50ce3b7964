"""Who may reach whom: security groups, address pairs and port security judged on Cloud rows, without any flow.

Written from what Neutron promises its users, and independent of ACLs, sets, ports of switches and logical flows, whose
results it judges. It speaks of the first packet of a connection between two ports of the same network, sent to the
Ethernet address of the second one; ARP, neighbour discovery and DHCP are no part of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ovine.model import cloud
from ovine.model.base import Row, Uuid

NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "ipv6-icmp": 58, "gre": 47, "vrrp": 112}
ICMP = {4: 1, 6: 58}


@dataclass(frozen=True)
class First:
    """A connection's first packet. `low` and `high` are source and destination port, or type and code of ICMP."""

    sender: Uuid
    receiver: Uuid
    mac: str
    """The Ethernet address that the sender claims."""
    source: str
    destination: str
    protocol: int
    low: int = 0
    high: int = 0

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.source).version


def reaches(rows: Mapping[tuple[type[Row], Uuid], Row], packet: First) -> bool:
    """Whether the packet is to arrive."""
    return why_not(rows, packet) == ""


def why_not(rows: Mapping[tuple[type[Row], Uuid], Row], packet: First) -> str:
    """Why it must not arrive; "" if it is to arrive."""
    view = View(rows)
    sender, receiver = view.port(packet.sender), view.port(packet.receiver)
    if sender.network != receiver.network:
        return "they are in different networks"
    if not (sender.admin_state_up and receiver.admin_state_up):
        return "a port is down"
    if not view.owns(sender, packet.mac, packet.source):
        return "the sender claims an address that is not its own"
    if not view.owns(receiver, receiver.mac_address, packet.destination):
        return "the receiver has no such address"
    if not view.lets(sender, "egress", packet.destination, packet):
        return "no rule lets it out"
    return "" if view.lets(receiver, "ingress", packet.source, packet) else "no rule lets it in"


class View:
    """A cloud's rows, as far as security goes."""

    def __init__(self, rows: Mapping[tuple[type[Row], Uuid], Row]) -> None:
        self._rows = rows

    def port(self, key: Uuid) -> cloud.Port:
        row = self._rows[cloud.Port, key]
        assert isinstance(row, cloud.Port)
        return row

    def addresses(self, port: cloud.Port) -> list[str]:
        found = [self._rows[cloud.IPAllocation, key] for key in port.fixed_ips]
        return [row.ip_address for row in found if isinstance(row, cloud.IPAllocation)]

    def owns(self, port: cloud.Port, mac: str, address: str) -> bool:
        """Whether a port may use an IP address with an Ethernet address; one without any IP address may use all."""
        if not is_secured(port):
            return True
        pairs = [tuple(pair.split(" ")) for pair in port.allowed_address_pairs]
        owned = [ip for ip, other in pairs if other == mac]
        if mac == port.mac_address:
            owned += self.addresses(port)
            if not owned:
                return True
        return any(_within(address, one) for one in owned)

    def lets(self, port: cloud.Port, direction: str, peer: str, packet: First) -> bool:
        """Whether a rule of a port's groups allows the packet; ports without port security need none."""
        if not is_secured(port):
            return True
        return any(
            rule.direction == direction and self._allows(rule, peer, packet)
            for rule in self._rules_of(port.security_groups)
        )

    def _rules_of(self, groups: Iterable[Uuid]) -> Iterator[cloud.SecurityGroupRule]:
        mine = set(groups)
        for row in self._rows.values():
            if isinstance(row, cloud.SecurityGroupRule) and row.security_group in mine:
                yield row

    def _allows(self, rule: cloud.SecurityGroupRule, peer: str, packet: First) -> bool:
        return rule.ethertype == f"IPv{packet.version}" and self._names(rule, peer) and _is_of_protocol(rule, packet)

    def _names(self, rule: cloud.SecurityGroupRule, peer: str) -> bool:
        """Whether a rule is about this peer."""
        if rule.remote_group is not None:
            return peer in self._members(rule.remote_group)
        if rule.remote_address_group is not None:
            group = self._rows[cloud.AddressGroup, rule.remote_address_group]
            assert isinstance(group, cloud.AddressGroup)
            return any(_within(peer, one) for one in group.addresses)
        return rule.remote_ip_prefix is None or _within(peer, rule.remote_ip_prefix)

    def _members(self, group: Uuid) -> set[str]:
        """The fixed IPs of a group's ports, in whichever network; address pairs do not make a peer."""
        ports = [row for row in self._rows.values() if isinstance(row, cloud.Port) and group in row.security_groups]
        return {address for port in ports if not is_service(port) for address in self.addresses(port)}


def is_service(port: cloud.Port) -> bool:
    """Ports of the network itself are neither filtered nor members of groups."""
    return port.device_owner.startswith("network:")


def is_secured(port: cloud.Port) -> bool:
    return port.port_security_enabled and not is_service(port)


def _within(address: str, prefix: str) -> bool:
    one, other = ipaddress.ip_address(address), ipaddress.ip_network(prefix)
    return one.version == other.version and one in other


def _is_of_protocol(rule: cloud.SecurityGroupRule, packet: First) -> bool:
    if rule.protocol is None:
        return True
    number = NUMBERS[rule.protocol] if rule.protocol in NUMBERS else int(rule.protocol)
    if number != packet.protocol:
        return False
    first, last = rule.port_range_min, rule.port_range_max
    if number in ICMP.values():
        return first in (None, packet.low) and last in (None, packet.high)
    return first is None or last is None or first <= packet.high <= last
