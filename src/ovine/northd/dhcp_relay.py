"""DHCP relay: a router takes the DHCP requests of a network to a server elsewhere, and the server's replies back.

Logical_Switch.other_config:dhcp_relay_port names the switch's port to a router; Logical_Router_Port.dhcp_relay of the
port there names a DHCP_Relay row with the server. Requests of the switch's instances that the switch does not answer
itself go to that router alone. Hosts check them and write the router port's address into them (giaddr); then they are
ordinary packets for the server, which are routed, follow policies and may be translated. Replies come back to that
address and are delivered by the port, if they are of that server and for that address.

Requests that come in by other ports than instances' (localnet, layer 2 gateways) are not relayed: each host would do
so once.

Both checks (`dhcp_relay_req_chk`, `dhcp_relay_resp_chk`) are of OVN 24.09. A host that does not know them lacks two
flows for each relay; its requests and replies are dropped by the flows that are there, and the rest goes on.

Cost: seven flows for a relay, however many clients there are.
Sources: ovn-nb(5), ovn-northd(8) of OVN 24.09; RFC 1542, RFC 2131.
Tests: tests/cases/northd/dhcp_relay.txt, tests/unit/northd/test_northd_dhcp_relay.py, tests/cases/packets/dhcp_relay*.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.copp import limit
from ovine.northd.datapaths import member
from ovine.northd.flows import FLOWS, MEMBERS, Shared, flow, one_of, quoted, scope
from ovine.northd.inputs import SWITCH_PORT_NAMED
from ovine.northd.multicast import FLOOD_GROUP
from ovine.northd.pipeline import FORWARD
from ovine.northd.ports import PORTS, ROUTER, VIF, Port
from ovine.northd.router_pipeline import ACCEPTED, INPUT, OUTPORT, OWN4, RELAYED, RESOLVE, UNSNAT
from ovine.northd.router_ports import ROUTER_PORTS

SOURCE = "dhcp_relay"

RELAYING = scope("routers that relay DHCP")
EVERYBODY = "ip4.dst == 255.255.255.255"
_REQUEST = f"{EVERYBODY} && udp.src == 68 && udp.dst == 67"

SHARED = (
    # What was not accepted; without this it might find a default route.
    Shared(RELAYING, UNSNAT, 190, EVERYBODY, "drop;", SOURCE),
    Shared(
        RELAYING,
        RESOLVE,
        400,
        f"ip4 && udp && {ACCEPTED.field}",
        f"ip4.src = {OWN4.field}; udp.dst = 68; next;",
        SOURCE,
    ),
)

RELAYS = Index(
    nb.LogicalRouterPort, lambda row: (row.uuid,) if row.dhcp_relay is not None else (), "router ports with a relay"
)
HANDING = Index(
    nb.LogicalSwitch,
    lambda row: (row.uuid,) if row.other_config.get("dhcp_relay_port") else (),
    "switches with a dhcp_relay_port",
)
NO_CLIENTS = Index(
    PORTS,
    lambda port: (port.switch,) if port.type not in (VIF, ROUTER) and port.switched and port.enabled else (),
    "ports that are no instance's by switch",
)


class Relay(NamedTuple):
    """What is done at a router port."""

    router: Uuid
    name: str
    mac: str
    switch_port: Uuid | None
    networks: tuple[str, ...]
    """Where its clients are."""
    address: str
    """giaddr: where the server sends replies to, and by which it knows the clients' network."""
    server: str

    @property
    def reply(self) -> str:
        """Matches what comes from the server."""
        return f"ip4.src == {self.server} && ip4.dst == {self.address} && !ip.is_frag && udp.src == 67 && udp.dst == 67"


def parse_server(row: nb.DHCPRelay) -> str:
    """The server of a relay, in canonical form; ValueError if there is not one."""
    words = (row.servers or "").replace(",", " ").split()
    if not words:
        raise ValueError(f"DHCP relay {row.name}: it has no server")
    if len(words) > 1:
        raise ValueError(f"DHCP relay {row.name}: it has {len(words)} servers; one is supported")
    try:
        read = ipaddress.IPv4Address(words[0])
    except ValueError:
        raise ValueError(f"DHCP relay {row.name}: the server {words[0]!r} is not an IPv4 address") from None
    if read.is_unspecified or read.is_multicast or read == ipaddress.IPv4Address("255.255.255.255"):
        raise ValueError(f"DHCP relay {row.name}: the server {words[0]} is not the address of a host")
    return str(read)


@query
def _server(q: Reader, key: Uuid) -> str | None:
    row = q.get(nb.DHCPRelay, key)
    try:
        return parse_server(row) if row is not None else None
    except ValueError:
        return None


@query
def relay_at(q: Reader, key: Uuid) -> Relay | None:
    """What a router port relays; None if it does not, or cannot."""
    row, port = q.get(nb.LogicalRouterPort, key), q.get(ROUTER_PORTS, key)
    if row is None or port is None or not port.enabled or not port.networks4 or row.dhcp_relay is None:
        return None
    server = _server(q, row.dhcp_relay)
    if server is None:
        return None
    networks = tuple(network.cidr for network in port.networks4)
    return Relay(port.router, port.name, port.mac, port.switch_port, networks, port.networks4[0].address, server)


@rule(over=nb.DHCPRelay, writes=())
def relay_readable(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Reports a relay without a server that can be asked."""
    parse_server(q.row(nb.DHCPRelay, key))
    yield from ()


@rule(over=RELAYS, writes=(FLOWS, MEMBERS))
def relay(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What a router port does with requests and replies. Reports a port that has no address for it."""
    made = relay_at(q, key)
    if made is None:
        port = q.get(ROUTER_PORTS, key)
        if port is not None and not port.networks4:
            raise ValueError(f"router port {port.name}: it has a DHCP relay, but no IPv4 address")
        return
    yield member(RELAYING, made.router)
    meter = limit(q, made.router, "dhcpv4-relay")
    checked = f"({made.address}, {made.server}); next;"

    # A client that has an address, and nearly not any more, asks from that (RFC 2131 §4.4.5).
    clients = one_of(("0.0.0.0", *made.networks))
    inport = f"inport == {quoted(made.name)}"
    # Its switch has sent it here. What is flooded there is not for the router.
    match = f"{inport} && eth.dst == {made.mac} && ip4.src == {clients} && {_REQUEST} && !ip.is_frag"
    actions = f"{RELAYED.field} = dhcp_relay_req_chk{checked}"
    yield flow(made.router, INPUT, 110, match, actions, source=SOURCE, hint=key, meter=meter)
    actions = f"ip4.src = {made.address}; ip4.dst = {made.server}; udp.src = 67; next;"
    match = f"{inport} && ip4 && udp && {RELAYED.field}"
    yield flow(made.router, UNSNAT, 200, match, actions, source=SOURCE, hint=key)

    yield flow(made.router, INPUT, 110, made.reply, "next;", source=SOURCE, hint=key)
    # Wherever a route or policy would have it go: above all policies.
    actions = (
        f"outport = {quoted(made.name)}; eth.src = {made.mac}; {OWN4.field} = {made.address}; flags.loopback = 1; "
        f"{ACCEPTED.field} = dhcp_relay_resp_chk{checked}"
    )
    yield flow(made.router, OUTPORT, 40000, made.reply, actions, source=SOURCE, hint=key, meter=meter)
    yield flow(made.router, RESOLVE, 390, made.reply, "drop;", source=SOURCE, hint=key)


@rule(over=HANDING, writes=(FLOWS,))
def hand_over(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Sends requests of a switch's instances to the router that relays. Reports a port that does not lead to one."""
    row = q.row(nb.LogicalSwitch, switch)
    at = _router_at(q, row)
    if at.router_port is None or not q.find(RELAYS, at.router_port):
        raise ValueError(f"switch {row.name}: dhcp_relay_port {at.name} leads to no router port with a DHCP relay")
    made = relay_at(q, at.router_port)
    if made is None or not at.enabled or made.switch_port != at.key:
        return
    actions = f"eth.dst = {made.mac}; outport = {quoted(at.name)}; output;"
    yield flow(switch, FORWARD, 90, _REQUEST, actions, source=SOURCE, hint=switch)
    others = sorted(port.name for port in q.find_rows(NO_CLIENTS, switch))
    if others:
        match = f"inport == {one_of(map(quoted, others))} && {_REQUEST}"
        yield flow(switch, FORWARD, 91, match, f'outport = "{FLOOD_GROUP}"; output;', source=SOURCE, hint=switch)


def _router_at(q: Reader, row: nb.LogicalSwitch) -> Port:
    """The port to a router that the switch names; ValueError if it has no such port."""
    name = row.other_config["dhcp_relay_port"]
    for key in q.find(SWITCH_PORT_NAMED, name):
        port = q.get(PORTS, key)
        if port is not None and port.type == ROUTER and port.switch == row.uuid:
            return port
    raise ValueError(f"switch {row.name}: dhcp_relay_port {name} is none of its ports to routers")
