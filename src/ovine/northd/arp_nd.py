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

from ovine.engine import Emit, Index, Reader, rule
from ovine.model.base import Uuid
from ovine.northd.datapaths import SWITCHES, passes_tags
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.inputs import answers_for_down_ports
from ovine.northd.pipeline import ANSWER
from ovine.northd.ports import LOCALNET, LOCALPORT, PORTS, VIF, Port, disputed, is_up, owners_in_order

SOURCE = "arp_nd"

SHARED = (Shared(SWITCHES, ANSWER, 0, "1", "next;", SOURCE),)


def _spoken_for(port: Port) -> bool:
    return port.type in (VIF, LOCALPORT) and bool(port.owned) and not port.unknown


SPOKEN_FOR = Index(PORTS, lambda port: (port.key,) if _spoken_for(port) else (), "ports whose addresses are all known")
OWNERS = Index(
    PORTS,
    lambda port: (
        tuple((port.switch, ip) for owned in port.owned for ip in owned.ip4 + owned.ip6) if _spoken_for(port) else ()
    ),
    "ports by IP address",
)
LOCALNETS = Index(PORTS, lambda port: (port.key,) if port.type == LOCALNET else (), "localnet ports")


def answers(q: Reader, port: Port) -> bool:
    """Whether the switch speaks for one of these ports at present."""
    if passes_tags(q, port.switch):
        return False
    return port.type == LOCALPORT or answers_for_down_ports(q) or is_up(q, port.name)


def _owners(q: Reader, owned: tuple[Uuid, str]) -> list[Port]:
    return [port for port in owners_in_order(q, q.find(OWNERS, owned)) if answers(q, port)]


def _first_owner(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """The reply to requests for an address, while there is a port to speak for."""
    switch, ip = owned
    for port in _owners(q, owned)[:1]:
        mac = next(one.mac for one in port.owned if ip in one.ip4 or ip in one.ip6)
        wide = ":" in ip
        match = f"nd_ns && nd.target == {ip}" if wide else f"arp.op == 1 && arp.tpa == {ip}"
        actions = nd_reply(mac, ip) if wide else arp_reply(mac, ip)
        yield flow(switch, ANSWER, 50, match, actions, source=SOURCE, hint=port.key)


@rule(over=OWNERS, writes=(FLOWS,), on_failure=_first_owner)
def answer_neighbours(q: Reader, owned: tuple[Uuid, str]) -> Iterator[Emit]:
    """The answer for an address; if several ports claim it, the first one has it, and that is reported."""
    ports = _owners(q, owned)
    if len(ports) > 1:
        raise ValueError(disputed(owned[1], ports))
    yield from _first_owner(q, owned)


@rule(over=SPOKEN_FOR, writes=(FLOWS,))
def own_requests(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A port's requests for its own addresses go on to the others."""
    port = q.row(PORTS, key)
    own = _own_requests(port)
    if own and answers(q, port):
        match = f"inport == {quoted(port.name)} && {own}"
        yield flow(port.switch, ANSWER, 100, match, "next;", source=SOURCE, hint=key, port=port.name)


@rule(over=LOCALNETS, writes=(FLOWS,))
def localnet_asks(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A request from the physical network reaches many hosts; the owner of the address answers it, no host does."""
    port = q.row(PORTS, key)
    match = f"inport == {quoted(port.name)} && (arp || nd)"
    yield flow(port.switch, ANSWER, 100, match, "next;", source=SOURCE, hint=key, port=port.name)


def _own_requests(port: Port) -> str:
    ip4 = [ip for owned in port.owned for ip in owned.ip4]
    ip6 = [ip for owned in port.owned for ip in owned.ip6]
    parts: list[str] = []
    if ip4:
        parts.append(f"arp.op == 1 && arp.tpa == {_one_of(ip4)}")
    if ip6:
        parts.append(f"nd_ns && nd.target == {_one_of(ip6)}")
    if not parts:
        return ""
    return parts[0] if len(parts) == 1 else "(" + " || ".join(f"({part})" for part in parts) + ")"


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
