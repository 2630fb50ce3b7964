"""DHCPv4 and DHCPv6 service, and the option definitions that hosts need for it.

One flow for each address that is offered turns a request into a reply and notes who the server is; one flow for all
ports of all switches sends replies back. Requests to other servers go on, as do those that are no requests for an
address that we have.

Wire behaviour is that of ovn-northd(8), "DHCP option processing" and "DHCP responses".
Tests: tests/cases/northd/dhcp.txt, tests/interop/test_northd_trace.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.addresses import link_local, parse_mac
from ovine.northd.datapaths import SWITCHES
from ovine.northd.dhcp_options import V4, V6, rendered
from ovine.northd.flows import FLOWS, Shared, flow, quoted
from ovine.northd.pipeline import ANSWER, ANSWERED, FORWARD, SERVER_IP4, SERVER_IP6, SERVER_MAC
from ovine.northd.ports import PORTS, VIF
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


# --- DHCPv4 -----------------------------------------------------------------------------------------------------------


@query
def options_v4(q: Reader, key: Uuid) -> tuple[str, ...]:
    """The options of a DHCP_Options row as action arguments. Raises ValueError for one that cannot be sent."""
    row = q.row(nb.DHCPOptions, key)
    missing = [name for name in MANDATORY_V4 if name not in row.options]
    if missing:
        raise ValueError(f"DHCP options {row.cidr} ({key}) lack {', '.join(missing)}")
    parse_mac(row.options["server_mac"])
    values = {"netmask": str(ipaddress.IPv4Network(row.cidr, strict=False).netmask)}
    values |= {name: value for name, value in row.options.items() if name not in NOT_OPTIONS}
    return tuple(rendered(V4, name, values[name]) for name in sorted(values))


@rule(over=PORTS, writes=(FLOWS,))
def dhcpv4(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Offers each Ethernet address of a port the first of its addresses that is in the options' CIDR."""
    port = q.row(PORTS, key)
    lsp = q.row(nb.LogicalSwitchPort, key)
    options = lsp.dhcpv4_options
    row = q.get(nb.DHCPOptions, options) if options is not None and port.type == VIF else None
    if options is None or row is None:
        return
    network = ipaddress.IPv4Network(row.cidr, strict=False)
    arguments = options_v4(q, options)
    hostname = lsp.options.get("hostname")
    if hostname is not None:
        arguments = tuple(a for a in arguments if not a.startswith("hostname ="))
        arguments += (rendered(V4, "hostname", hostname),)
    server, mac = row.options["server_id"], parse_mac(row.options["server_mac"])
    for owned in port.owned:
        offered = next((ip for ip in owned.ip4 if ipaddress.IPv4Address(ip) in network), None)
        if offered is None:
            continue
        match = (
            f"inport == {quoted(port.name)} && eth.src == {owned.mac} && udp.src == 68 && udp.dst == 67 && "
            f"((ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255) || "
            f"(ip4.src == {offered} && ip4.dst == {{{server}, 255.255.255.255}}))"
        )
        actions = (
            f"{SERVER_MAC.field} = {mac}; {SERVER_IP4.field} = {server}; "
            f"{ANSWERED.field} = put_dhcp_opts({', '.join((f'offerip = {offered}', *arguments))}); next;"
        )
        yield flow(port.switch, ANSWER, 50, match, actions, source=SOURCE, hint=key, port=port.name)


# --- DHCPv6 -----------------------------------------------------------------------------------------------------------


@query
def options_v6(q: Reader, key: Uuid) -> tuple[str, ...]:
    """As `options_v4`."""
    row = q.row(nb.DHCPOptions, key)
    if "server_id" not in row.options:
        raise ValueError(f"DHCP options {row.cidr} ({key}) lack server_id")
    values = {name: value for name, value in row.options.items() if name not in NOT_OPTIONS}
    return tuple(rendered(V6, name, values[name]) for name in sorted(values))


@rule(over=PORTS, writes=(FLOWS,))
def dhcpv6(q: Reader, key: Uuid) -> Iterator[Emit]:
    """As `dhcpv4`. A stateless server offers no address, only the other options."""
    port = q.row(PORTS, key)
    options = q.row(nb.LogicalSwitchPort, key).dhcpv6_options
    row = q.get(nb.DHCPOptions, options) if options is not None and port.type == VIF else None
    if options is None or row is None:
        return
    network = ipaddress.IPv6Network(row.cidr, strict=False)
    arguments = options_v6(q, options)
    stateless = row.options.get("dhcpv6_stateless", "").lower() == "true"
    mac = parse_mac(row.options["server_id"])
    for owned in port.owned:
        offered = next((ip for ip in owned.ip6 if ipaddress.IPv6Address(ip) in network), None)
        if offered is None:
            continue
        match = (
            f"inport == {quoted(port.name)} && eth.src == {owned.mac} && ip6.dst == ff02::1:2 && "
            "udp.src == 546 && udp.dst == 547"
        )
        given = arguments if stateless else (f"ia_addr = {offered}", *arguments)
        actions = (
            f"{SERVER_MAC.field} = {mac}; {SERVER_IP6.field} = {link_local(mac)}; "
            f"{ANSWERED.field} = put_dhcpv6_opts({', '.join(given)}); next;"
        )
        yield flow(port.switch, ANSWER, 50, match, actions, source=SOURCE, hint=key, port=port.name)


def _key(row: sb.DHCPOptions | sb.DHCPv6Options, names: Names) -> Hashable:
    return row.name


TARGETS: tuple[Target[sb.DHCPOptions] | Target[sb.DHCPv6Options], ...] = (
    Target(DEFINITIONS_V4, sb.DHCPOptions, _key, ("name", "code", "type")),
    Target(DEFINITIONS_V6, sb.DHCPv6Options, _key, ("name", "code", "type")),
)
