"""MAC bindings that the northbound lays down. Those that hosts learn, and their age, are in `ovine.northd.expiry`.

Tests: tests/unit/northd/test_router_rules.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_mac
from ovine.northd.flows import datapath_ref
from ovine.northd.inputs import ROUTER_PORT_NAMED
from ovine.northd.router_ports import ROUTER_PORTS
from ovine.projection import Names, Target

STATIC: Relation[tuple[str, str], sb.StaticMACBinding] = Relation("Static_MAC_Binding")
"""By (logical port, IP address)."""


@rule(over=nb.StaticMACBinding, writes=(STATIC,))
def static_binding(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The southbound row of a static binding, while there is such a router port."""
    row = q.row(nb.StaticMACBinding, key)
    try:
        ip, mac = str(ipaddress.ip_address(row.ip)), parse_mac(row.mac)
    except ValueError as error:
        raise ValueError(f"static MAC binding of {row.logical_port}: {error}") from None
    for key_ in q.find(ROUTER_PORT_NAMED, row.logical_port):
        port = q.get(ROUTER_PORTS, key_)
        if port is not None:
            made = sb.StaticMACBinding(
                logical_port=row.logical_port,
                ip=ip,
                mac=mac,
                override_dynamic_mac=row.override_dynamic_mac,
                datapath=datapath_ref(port.router),
            )
            yield STATIC((row.logical_port, ip), made)


def _key(row: sb.StaticMACBinding, names: Names) -> Hashable:
    return (row.logical_port, row.ip)


TARGET = Target(STATIC, sb.StaticMACBinding, _key, ("logical_port", "ip", "mac", "override_dynamic_mac", "datapath"))
