"""Virtual ports: an address that wanders between the ports of a switch, as VRRP has it.

Terms: a virtual port has the address `options:virtual-ip`, and names in `options:virtual-parents` the ports that may
have it. Who of them announces it (by a gratuitous ARP or neighbour advertisement) has it from then on: that port's host
writes it down as `virtual_parent` of the binding and takes the virtual port over. The *holder* is that port.

The switch does not answer for such an address; its holder does. Routers know the holder's Ethernet address. While there
is none they ask, instead of believing what they once learned.
Wire behaviour is that of ovn-northd(8), "ARP/ND responder" and "ARP/ND Resolution".
Tests: tests/cases/northd/virtual_ports.txt, tests/cases/packets/port_virtual.txt.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_address
from ovine.northd.datapaths import KEYS
from ovine.northd.flows import FLOWS, flow, one_of, place_of, quoted
from ovine.northd.inputs import BOUND, SWITCH_PORT_NAMED
from ovine.northd.next_hops import NEIGHBOURS, known, on_switch
from ovine.northd.pipeline import ANSWER
from ovine.northd.ports import PORTS, VIRTUAL
from ovine.northd.router_pipeline import RESOLVE

SOURCE = "virtual_ports"
NOBODY = "00:00:00:00:00:00"

VIRTUALS = Index(PORTS, lambda port: (port.key,) if port.type == VIRTUAL else (), "virtual ports")


def parents_named(row: nb.LogicalSwitchPort) -> tuple[str, ...]:
    """The names in options:virtual-parents."""
    return tuple(name for text in row.options.get("virtual-parents", "").split(",") if (name := text.strip()))


def parents_of(q: Reader, key: Uuid) -> list[str]:
    """The ports that may have a virtual port's address: those that it names and that are on its switch."""
    switch = q.row(PORTS, key).switch
    named = parents_named(q.row(nb.LogicalSwitchPort, key))
    return [name for name in named if _ethernet(q, switch, name) is not None]


@query
def _ethernet(q: Reader, switch: Uuid, name: str) -> str | None:
    """The Ethernet address of a port of a switch, by name; "" if it has none, None if there is no such port."""
    for key in q.find(SWITCH_PORT_NAMED, name):
        port = q.get(PORTS, key)
        if port is not None and port.switch == switch:
            return port.owned[0].mac if port.owned else ""
    return None


@query
def holder(q: Reader, name: str) -> str | None:
    """The name of the port that has a virtual port's address, as hosts say."""
    for binding in q.find_rows(BOUND, name):
        return binding.virtual_parent if binding.chassis is not None else None
    return None


def _asked_at(ip: str) -> str:
    """Matches the announcements of an address."""
    if ":" not in ip:
        return f"((arp.op == 1 && arp.spa == {ip} && arp.tpa == {ip}) || (arp.op == 2 && arp.spa == {ip}))"
    at = one_of((ip, solicited(ip)))
    return f"((nd_ns && ip6.dst == {at} && nd.target == {ip}) || (nd_na && nd.target == {ip}))"


def solicited(ip: str) -> str:
    """The solicited-node multicast address of an IPv6 address (RFC 4291, section 2.7.1)."""
    low = int(ipaddress.IPv6Address(ip)) & 0xFFFFFF
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("ff02::1:ff00:0")) | low))


@rule(over=VIRTUALS, writes=(FLOWS,))
def announced(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Whoever of the parents announces the address has it."""
    port, row = q.row(PORTS, key), q.row(nb.LogicalSwitchPort, key)
    parents = parents_of(q, key)
    if not parents:
        return
    ip = _address(row)
    match = f"inport == {one_of(map(quoted, parents))} && {_asked_at(ip)}"
    yield flow(
        port.switch, ANSWER, 100, match, f"bind_vport({quoted(port.name)}, inport); next;", source=SOURCE, hint=key
    )


def _address(row: nb.LogicalSwitchPort) -> str:
    """options:virtual-ip. Raises ValueError."""
    try:
        return parse_address(row.options.get("virtual-ip", ""))
    except ValueError as error:
        raise ValueError(f"virtual port {row.name}: virtual-ip: {error}") from None


def _read_address(row: nb.LogicalSwitchPort) -> str | None:
    try:
        return _address(row)
    except ValueError:
        return None  # reported by `announced`


@rule(over=VIRTUALS, writes=(FLOWS,))
def next_hop(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The address, for routers: at its holder. It is nobody's while it has none, whatever routers have learned."""
    port = q.row(PORTS, key)
    ip = _read_address(q.row(nb.LogicalSwitchPort, key))
    place, number = place_of(q, on_switch(port.switch)), q.get(KEYS, port.switch)
    if ip is None or place is None or number is None or q.find(NEIGHBOURS, (port.switch, ip)):
        return
    name = holder(q, port.name)
    mac = _ethernet(q, port.switch, name) if name is not None and name in parents_of(q, key) else None
    yield flow(place, RESOLVE, 100, known(number, ip), f"eth.dst = {mac or NOBODY}; next;", source=SOURCE, hint=key)


RULES = (announced, next_hop)
