"""DHCPv4 and DHCPv6 service, and the option definitions that hosts need for it.

One flow for each address that is offered turns a request into a reply and notes who the server is; one flow for all
ports of all switches sends replies back. Requests to other servers go on, as do those that are no requests for an
address that we have.

Wire behaviour is that of ovn-northd(8), "DHCP option processing" and "DHCP responses".
Tests: tests/cases/northd/dhcp.txt, tests/interop/test_northd_trace.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.model.dhcp_options import V4, V6, rendered
from ovine.northd.addresses import Subnet, link_local, parse_ip4, parse_mac, parse_subnet
from ovine.northd.copp import limit
from ovine.northd.datapaths import SWITCHES
from ovine.northd.external_ports import served_at
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.pipeline import ANSWER, ANSWERED, FORWARD, SERVER_IP4, SERVER_IP6, SERVER_MAC
from ovine.northd.ports import EXTERNAL, PORTS, VIF, Port
from ovine.projection import Names, Target

SOURCE = "dhcp"
MANDATORY_V4 = ("server_id", "server_mac", "lease_time")
NOT_OPTIONS = frozenset({"server_mac", "dhcpv6_stateless"})
"""Keys of DHCP_Options.options that are settings of the server, not options that are sent."""

_BACK = f"eth.dst = eth.src; eth.src = {SERVER_MAC.field};"
_OUT = "outport = inport; flags.loopback = 1; output;"
SHARED = (
    Shared(
        SWITCHES,
        FORWARD,
        100,
        f"{ANSWERED.field} && ip4 && udp.src == 68 && udp.dst == 67",
        f"{_BACK} ip4.src = {SERVER_IP4.field}; udp.src = 67; udp.dst = 68; {_OUT}",
        SOURCE,
    ),
    Shared(
        SWITCHES,
        FORWARD,
        100,
        f"{ANSWERED.field} && ip6 && udp.src == 546 && udp.dst == 547",
        f"{_BACK} ip6.dst = ip6.src; ip6.src = {SERVER_IP6.field}; udp.src = 547; udp.dst = 546; {_OUT}",
        SOURCE,
    ),
)

DEFINITIONS_V4: Relation[str, sb.DHCPOptions] = Relation("DHCP_Options")
DEFINITIONS_V6: Relation[str, sb.DHCPv6Options] = Relation("DHCPv6_Options")


@rule(writes=(DEFINITIONS_V4, DEFINITIONS_V6))
def option_definitions(q: Reader, _: tuple[()]) -> Iterator[Emit]:
    """The codes and types by which hosts encode options."""
    for name, (code, kind) in V4.items():
        yield DEFINITIONS_V4(name, sb.DHCPOptions(name=name, code=code, type=kind))
    for name, (code, kind) in V6.items():
        yield DEFINITIONS_V6(name, sb.DHCPv6Options(name=name, code=code, type=kind))


HAS_V4 = Index(nb.LogicalSwitchPort, lambda row: (row.uuid,) if row.dhcpv4_options else (), "ports with DHCPv4")
HAS_V6 = Index(nb.LogicalSwitchPort, lambda row: (row.uuid,) if row.dhcpv6_options else (), "ports with DHCPv6")


@dataclass(frozen=True)
class Service:
    """What a DHCP_Options row says, ready for use."""

    subnet: Subnet
    mac: str
    server: str
    arguments: tuple[tuple[str, str], ...]
    """The options by name, each as an argument of the action."""
    stateless: bool = False

    def written(self, *more: tuple[str, str]) -> str:
        """All arguments; `more` ones come first and take the place of those of the same name."""
        named = dict(more) | {name: text for name, text in self.arguments if name not in dict(more)}
        return ", ".join(named.values())


@query
def service_v4(q: Reader, key: Uuid) -> Service:
    """A DHCP_Options row for DHCPv4. Raises ValueError for what cannot be sent."""
    row = q.row(nb.DHCPOptions, key)
    missing = [name for name in MANDATORY_V4 if name not in row.options]
    if missing:
        raise ValueError(f"{_name(row)} lack {', '.join(missing)}")
    with _named(row):
        subnet = parse_subnet(row.cidr, 4)
        values = {"netmask": subnet.netmask} | row.options
        server = parse_ip4(row.options["server_id"])
        return Service(subnet, parse_mac(row.options["server_mac"]), server, _arguments(V4, values))


@query
def service_v6(q: Reader, key: Uuid) -> Service:
    """As `service_v4`; the server's address is the link-local one of its Ethernet address."""
    row = q.row(nb.DHCPOptions, key)
    if "server_id" not in row.options:
        raise ValueError(f"{_name(row)} lack server_id")
    with _named(row):
        mac = parse_mac(row.options["server_id"])
        stateless = row.options.get("dhcpv6_stateless", "").lower() == "true"
        return Service(parse_subnet(row.cidr, 6), mac, link_local(mac), _arguments(V6, row.options), stateless)


def _arguments(known: dict[str, tuple[int, str]], values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, rendered(known, name, values[name])) for name in sorted(values.keys() - NOT_OPTIONS))


@contextmanager
def _named(row: nb.DHCPOptions) -> Iterator[None]:
    """Puts into an error which options it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{_name(row)}: {error}") from None


def _name(row: nb.DHCPOptions) -> str:
    """In reports. Neutron writes down which port has options of its own."""
    port = row.external_ids.get("port_id")
    return f"DHCP options {row.cidr} of port {port}" if port else f"DHCP options {row.cidr} ({row.uuid})"


def _served(q: Reader, key: Uuid, options: Uuid | None) -> Port | None:
    """The port, if it is of a kind that is served, and its options are there."""
    port = q.get(PORTS, key)
    if port is None or port.type not in (VIF, EXTERNAL) or options is None or q.get(nb.DHCPOptions, options) is None:
        return None
    return port


def _asking(q: Reader, port: Port) -> tuple[str | None, str | None]:
    """Matches what a port sends, and the port whose host alone needs the flow; no match if nothing of it comes in."""
    if port.type == EXTERNAL:
        return served_at(q, port.switch, port.name), None
    return f"inport == {quoted(port.name)}", port.name


@rule(over=HAS_V4, writes=(FLOWS,))
def dhcpv4(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Offers each Ethernet address of a port the first of its addresses that is in the options' CIDR."""
    row = q.row(nb.LogicalSwitchPort, key)
    options = row.dhcpv4_options
    port = _served(q, key, options)
    if port is None or options is None:
        return
    asking, tagged = _asking(q, port)
    service = service_v4(q, options)
    hostname = row.options.get("hostname")
    meter = limit(q, port.switch, "dhcpv4-opts")
    own = [("hostname", rendered(V4, "hostname", hostname))] if hostname is not None else []
    for owned in port.owned:
        offered = next((ip for ip in owned.ip4 if ip in service.subnet), None)
        if offered is None or asking is None:
            continue
        match = (
            f"{asking} && eth.src == {owned.mac} && udp.src == 68 && udp.dst == 67 && "
            f"((ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255) || "
            f"(ip4.src == {offered} && ip4.dst == {{{service.server}, 255.255.255.255}}))"
        )
        actions = (
            f"{SERVER_MAC.field} = {service.mac}; {SERVER_IP4.field} = {service.server}; {ANSWERED.field} = "
            f"put_dhcp_opts({service.written(('offerip', f'offerip = {offered}'), *own)}); next;"
        )
        yield flow(port.switch, ANSWER, 50, match, actions, source=SOURCE, hint=key, port=tagged, meter=meter)


@rule(over=HAS_V6, writes=(FLOWS,))
def dhcpv6(q: Reader, key: Uuid) -> Iterator[Emit]:
    """As `dhcpv4`. A stateless server offers no address, only the other options."""
    options = q.row(nb.LogicalSwitchPort, key).dhcpv6_options
    port = _served(q, key, options)
    if port is None or options is None:
        return
    asking, tagged = _asking(q, port)
    service = service_v6(q, options)
    meter = limit(q, port.switch, "dhcpv6-opts")
    for owned in port.owned:
        offered = next((ip for ip in owned.ip6 if ip in service.subnet), None)
        if offered is None or asking is None:
            continue
        match = f"{asking} && eth.src == {owned.mac} && ip6.dst == ff02::1:2 && udp.src == 546 && udp.dst == 547"
        own = [] if service.stateless else [("ia_addr", f"ia_addr = {offered}")]
        actions = (
            f"{SERVER_MAC.field} = {service.mac}; {SERVER_IP6.field} = {service.server}; "
            f"{ANSWERED.field} = put_dhcpv6_opts({service.written(*own)}); next;"
        )
        yield flow(port.switch, ANSWER, 50, match, actions, source=SOURCE, hint=key, port=tagged, meter=meter)


def _key(row: sb.DHCPOptions | sb.DHCPv6Options, names: Names) -> Hashable:
    return row.name


TARGETS: tuple[Target[sb.DHCPOptions] | Target[sb.DHCPv6Options], ...] = (
    Target(DEFINITIONS_V4, sb.DHCPOptions, _key, ("name", "code", "type")),
    Target(DEFINITIONS_V6, sb.DHCPv6Options, _key, ("name", "code", "type")),
)
