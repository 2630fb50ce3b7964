"""Proxy ARP: a router's port on a switch answers for addresses that are not on that switch (`options:arp_proxy`).

The option lists addresses or networks, of IPv4 or IPv6. An Ethernet address before them takes the place of the router
port's. Known neighbours, who have a better right, are answered for first.
Wire behaviour is that of ovn-northd(8), "ARP/ND responder". Tests: tests/cases/northd/proxy_arp.txt,
tests/cases/packets/port_proxy_arp.txt.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from ovine.engine import Emit, Index, Reader, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_mac
from ovine.northd.datapaths import passes_tags
from ovine.northd.flows import FLOWS, flow, one_of
from ovine.northd.pipeline import ANSWER, ASKED, OWNER
from ovine.northd.ports import PORTS, ROUTER
from ovine.northd.router_ports import ROUTER_PORTS

SOURCE = "proxy_arp"
_NOBODY = f"(!{ASKED.field} || {OWNER.field} == 0)"
"""Nobody is known to have the address."""
_BACK = "outport = inport; flags.loopback = 1; output;"

PROXIES = Index(
    nb.LogicalSwitchPort,
    lambda row: (row.uuid,) if row.type == ROUTER and row.options.get("arp_proxy", "").strip() else (),
    "ports with proxy ARP",
)


@dataclass(frozen=True)
class Proxied:
    """What a port answers for; `mac` is "" if that is the router's."""

    mac: str
    ip4: tuple[str, ...]
    ip6: tuple[str, ...]


def parse(text: str) -> Proxied:
    """Reads `[MAC] ADDRESS|NETWORK …`. Raises ValueError naming the word that is wrong."""
    words = text.replace(",", " ").split()
    mac = parse_mac(words.pop(0)) if words and words[0].count(":") == 5 and "/" not in words[0] else ""
    found: dict[int, list[str]] = {4: [], 6: []}
    for word in words:
        try:
            network = ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise ValueError(f"{word!r} is neither an IP address nor a network") from None
        found[network.version].append(str(network if "/" in word else network.network_address))
    return Proxied(mac, tuple(found[4]), tuple(found[6]))


@rule(over=PROXIES, writes=(FLOWS,))
def proxied(q: Reader, key: Uuid) -> Iterator[Emit]:
    """One flow for each IP version."""
    port, row = q.get(PORTS, key), q.row(nb.LogicalSwitchPort, key)
    attached = q.get(ROUTER_PORTS, port.router_port) if port is not None and port.router_port is not None else None
    if port is None or attached is None or passes_tags(q, port.switch):
        return
    try:
        wanted = parse(row.options["arp_proxy"])
    except ValueError as error:
        raise ValueError(f"port {row.name}: arp_proxy: {error}") from None
    mac = wanted.mac or attached.mac
    if wanted.ip4:
        match = f"arp.op == 1 && arp.tpa == {one_of(wanted.ip4)} && {_NOBODY}"
        yield flow(port.switch, ANSWER, 45, match, _arp(mac), source=SOURCE, hint=key)
    if wanted.ip6:
        match = f"nd_ns && nd.target == {one_of(wanted.ip6)} && {_NOBODY}"
        yield flow(port.switch, ANSWER, 45, match, _nd(mac), source=SOURCE, hint=key)


def _arp(mac: str) -> str:
    return (
        f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; "
        f"arp.tpa <-> arp.spa; {_BACK}"
    )


def _nd(mac: str) -> str:
    return f"eth.dst = {mac}; nd_na_router {{ {_BACK} }};"  # whoever is addressed answers


RULES = (proxied,)
