"""Gratuitous ARP: what hosts announce for a router on the physical network of a switch (Port_Binding.nat_addresses).

An entry is an Ethernet address, IPv4 addresses, and perhaps a condition, `is_chassis_resident("PORT")`: the host where
PORT is announces them. There are entries for:

- the router port's own addresses, where they are handled in one place: gateway ports, ports with
  reside-on-redirect-chassis, and the ports of gateway routers if the switch has a localnet port;
- with options:nat-addresses=router of the switch port, the router's external addresses that are at this port; those of
  rules that are carried out on the spot with their own Ethernet address; and its virtual addresses of load balancers,
  unless options:exclude-lb-vips-from-garp says not to;
- on gateway routers, what options:nat-addresses spells out.

Tests: tests/unit/northd/test_router_bindings.py.
"""

from __future__ import annotations

from ovine.engine import Reader
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_owned
from ovine.northd.balancers import gateway_port, vips_of
from ovine.northd.nats import BY_GATEWAY, BY_ROUTER, NATS
from ovine.northd.router_ports import LOCALNETS, ROUTER_PORTS, RouterPort, speaks_where
from ovine.northd.routers import ROUTERS


def announced(q: Reader, switch_port: Uuid, router_port: Uuid | None) -> tuple[str, ...]:
    """The entries for a switch port of type router. Raises ValueError if its options spell out what cannot be read."""
    port = q.get(ROUTER_PORTS, router_port) if router_port is not None else None
    router = q.get(ROUTERS, port.router) if port is not None else None
    if port is None or router is None:
        return ()
    entries = _own(q, port, bool(router.chassis))
    options = q.row(nb.LogicalSwitchPort, switch_port).options
    wanted = options.get("nat-addresses", "")
    if wanted == "router":
        excluded = options.get("exclude-lb-vips-from-garp", "").lower() == "true"
        entries += _external(q, port, bool(router.chassis), excluded)
    elif wanted and router.chassis:
        owned = parse_owned(wanted)
        entries.append(_entry(owned.mac, owned.ip4, ""))
    return tuple(sorted(entries))


def _own(q: Reader, port: RouterPort, at_home: bool) -> list[str]:
    addresses = tuple(network.address for network in port.networks4)
    condition = speaks_where(q, port.key)
    central = condition or (at_home and port.switch is not None and q.find(LOCALNETS, port.switch))
    return [_entry(port.mac, addresses, condition)] if addresses and central else []


def _external(q: Reader, port: RouterPort, at_home: bool, excluded: bool) -> list[str]:
    if not at_home and not port.gateway:
        return []
    keys = q.find(BY_ROUTER, port.router) if at_home else q.find(BY_GATEWAY, port.key)
    vips = {vip.end.address for vip in vips_of(q, port.router) if vip.ip == "ip4" and vip.responder != "none"}
    if excluded or not (at_home or gateway_port(q, port.router) == port.key):
        vips = set()
    nats = [nat for nat in (q.value(NATS, key) for key in keys) if nat is not None and nat.ip == "ip4"]
    own = {network.address for network in port.networks4}
    entries = [_entry(nat.mac, (nat.external.address,), nat.place) for nat in nats if nat.mac is not None]
    spot = {nat.external.address for nat in nats if nat.mac is not None}
    told = {vip for vip in vips - spot if not vip.startswith("^")}
    central = sorted(({nat.external.address for nat in nats if nat.mac is None} | told) - own)
    if central:
        entries.append(_entry(port.mac, tuple(central), speaks_where(q, port.key)))
    return entries


def _entry(mac: str, addresses: tuple[str, ...], condition: str) -> str:
    return " ".join((mac, *addresses, condition) if condition else (mac, *addresses))
