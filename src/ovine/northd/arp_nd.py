"""Answers for neighbours: ARP requests and IPv6 neighbour solicitations for known addresses are answered at once.

Cost: one flow for each address, and one for each port, which keeps a port from being told that its own address is
taken when it looks for duplicates (RFC 5227, RFC 4862): such requests go on to the others.

Not answered are ports with unknown addresses, requests that come in through a localnet port (every host would answer
them), and, if NB_Global options:ignore_lsp_down is false, ports that are down.
Wire behaviour is that of ovn-northd(8), "ARP/ND responder".
Tests: tests/cases/northd/arp_nd.txt, tests/interop/test_northd_trace.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Reader, query, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import SWITCHES, passes_tags
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.inputs import answers_for_down_ports
from ovine.northd.pipeline import ANSWER
from ovine.northd.ports import LOCALNET, LOCALPORT, PORTS, VIF, Port, is_up

SOURCE = "arp_nd"

SHARED = (Shared(SWITCHES, ANSWER, 0, "1", "next;", SOURCE),)


@query
def answers(q: Reader, key: Uuid) -> bool:
    """Whether the switch speaks for this port."""
    port = q.row(PORTS, key)
    if port.type not in (VIF, LOCALPORT) or port.unknown or not port.owned or passes_tags(q, port.switch):
        return False
    return port.type == LOCALPORT or answers_for_down_ports(q) or is_up(q, port.name)


@rule(over=PORTS, writes=(FLOWS,))
def answer_neighbours(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A reply to each request for an address of the port."""
    if not answers(q, key):
        return
    port = q.row(PORTS, key)
    for owned in port.owned:
        for ip in owned.ip4:
            match = f"arp.op == 1 && arp.tpa == {ip}"
            yield flow(port.switch, ANSWER, 50, match, arp_reply(owned.mac, ip), source=SOURCE, hint=key)
        for ip in owned.ip6:
            match = f"nd_ns && nd.target == {ip}"
            yield flow(port.switch, ANSWER, 50, match, nd_reply(owned.mac, ip), source=SOURCE, hint=key)
    own = _own_requests(port)
    if own:
        match = f"inport == {quoted(port.name)} && ({own})"
        yield flow(port.switch, ANSWER, 100, match, "next;", source=SOURCE, hint=key, port=port.name)


@rule(over=PORTS, writes=(FLOWS,))
def localnet_asks(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A request from the physical network reaches many hosts; the owner of the address answers it, no host does."""
    port = q.row(PORTS, key)
    if port.type == LOCALNET:
        match = f"inport == {quoted(port.name)} && (arp || nd)"
        yield flow(port.switch, ANSWER, 100, match, "next;", source=SOURCE, hint=key, port=port.name)


def _own_requests(port: Port) -> str:
    ip4 = [ip for owned in port.owned for ip in owned.ip4]
    ip6 = [ip for owned in port.owned for ip in owned.ip6]
    parts = []
    if ip4:
        parts.append(f"arp.op == 1 && arp.tpa == {_one_of(ip4)}")
    if ip6:
        parts.append(f"nd_ns && nd.target == {_one_of(ip6)}")
    return parts[0] if len(parts) == 1 else " || ".join(f"({part})" for part in parts)


def _one_of(values: list[str]) -> str:
    return values[0] if len(values) == 1 else "{" + ", ".join(values) + "}"


def arp_reply(mac: str, ip: str) -> str:
    """Turns an ARP request into the reply that `mac` has `ip`, and sends it back."""
    return (
        f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; "
        f"arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;"
    )


def nd_reply(mac: str, ip: str) -> str:
    """Sends back the neighbour advertisement that `mac` has `ip`."""
    return (
        f"nd_na {{ eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; "
        "outport = inport; flags.loopback = 1; output; };"
    )
