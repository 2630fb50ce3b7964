"""Gateway routers that hide who sent what they have translated: options dnat_force_snat_ip and lb_force_snat_ip.

Where several gateway routers lead to one network, replies must come back through the router that translated the
request, and knows the connection. So the router puts an address of its own in place of the sender's.

Each option has an IPv4 and an IPv6 address at most; lb_force_snat_ip may instead be `router_ip`: the first address of
the port by which the packet leaves. Packets are marked where they are translated (`ovine.northd.nat`).
Wire behaviour is that of ovn-northd(8), "UNSNAT on Gateway Routers" and "SNAT on Gateway Routers".
Tests: tests/cases/northd/nat_gateway.txt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_address
from ovine.northd.flows import FLOWS, flow, quoted
from ovine.northd.router_pipeline import OUT_SNAT, UNSNAT
from ovine.northd.router_ports import PORTS_OF_ROUTER, ROUTER_PORTS
from ovine.northd.routers import ROUTERS

SOURCE = "nat_forced"

OPTIONS = ("dnat_force_snat_ip", "lb_force_snat_ip")
ROUTER_IP = "router_ip"

FORCING = Index(
    nb.LogicalRouter,
    lambda row: (row.uuid,) if "chassis" in row.options and any(name in row.options for name in OPTIONS) else (),
    "gateway routers that hide senders",
)


def read_forced(text: str) -> tuple[str, ...]:
    """The addresses of an option, one of each IP version at most. Raises ValueError."""
    found = tuple(parse_address(word) for word in text.replace(",", " ").split())
    if len({":" in address for address in found}) != len(found):
        raise ValueError(f"{text!r} has more than one address of an IP version")
    return found


def address_of(addresses: tuple[str, ...], ip: str) -> str:
    """The address of this IP version, "ip4" or "ip6"; "" if there is none."""
    return next((address for address in addresses if (":" in address) == (ip == "ip6")), "")


@query
def forced_for_dnat(q: Reader, router: Uuid) -> tuple[str, ...]:
    """What replaces the senders of what a gateway router has translated; nothing if that cannot be read."""
    return _addresses(q, router, "dnat_force_snat_ip")


@query
def forced_for_lb(q: Reader, router: Uuid) -> tuple[str, ...]:
    """As `forced_for_dnat`, for what it has balanced; nothing with `router_ip`."""
    return _addresses(q, router, "lb_force_snat_ip")


@query
def forces_router_ip(q: Reader, router: Uuid) -> bool:
    """Whether what a gateway router has balanced has the address of the output port for its sender."""
    row = q.row(nb.LogicalRouter, router)
    return bool(row.options.get("chassis")) and row.options.get("lb_force_snat_ip") == ROUTER_IP


def _addresses(q: Reader, router: Uuid, option: str) -> tuple[str, ...]:
    options = q.row(nb.LogicalRouter, router).options
    text = options.get(option, "")
    if not options.get("chassis") or text == ROUTER_IP:
        return ()
    try:
        return read_forced(text)
    except ValueError:
        return ()


@rule(over=FORCING, writes=(FLOWS,))
def forced(q: Reader, router: Uuid) -> Iterator[Emit]:
    """Replaces senders, and takes replies back."""
    if q.get(ROUTERS, router) is None:
        return
    for addresses, mark in ((forced_for_dnat(q, router), "dnat"), (forced_for_lb(q, router), "lb")):
        for address in addresses:
            ip = "ip6" if ":" in address else "ip4"
            marked = f"flags.force_snat_for_{mark} == 1 && {ip}"
            yield flow(router, UNSNAT, 110, f"{ip}.dst == {address}", "ct_snat;", source=SOURCE, hint=router)
            yield flow(router, OUT_SNAT, 400, marked, f"ct_snat({address});", source=SOURCE, hint=router)
    if forces_router_ip(q, router):
        for key in q.find(PORTS_OF_ROUTER, router):
            yield from _by_port(q, router, key)


def _by_port(q: Reader, router: Uuid, key: Uuid) -> Iterator[Emit]:
    port = q.row(ROUTER_PORTS, key)
    for ip, networks in (("ip4", port.networks4), ("ip6", port.networks6)):
        address = next((network.address for network in networks if not network.link_local), "")
        if address:
            name = quoted(port.name)
            marked = f"flags.force_snat_for_lb == 1 && {ip} && outport == {name}"
            match = f"inport == {name} && {ip}.dst == {address}"
            yield flow(router, UNSNAT, 110, match, "ct_snat;", source=SOURCE, hint=key)
            yield flow(router, OUT_SNAT, 410, marked, f"ct_snat({address});", source=SOURCE, hint=key)


@rule(over=FORCING, writes=())
def forced_readable(q: Reader, router: Uuid) -> Iterator[Emit]:
    """Reports addresses that cannot be read."""
    row = q.row(nb.LogicalRouter, router)
    for name in OPTIONS:
        text = row.options.get(name, "")
        if name == "lb_force_snat_ip" and text == ROUTER_IP:
            continue
        try:
            read_forced(text)
        except ValueError as error:
            raise ValueError(f"router {row.name}: {name}: {error}; it has no effect") from None
    yield from ()
