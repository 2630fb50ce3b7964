"""MAC bindings: those that the northbound lays down, and the age that learned ones may reach.

Learned bindings belong to the hosts, which write the time of learning into them. With a router's option
mac_binding_age_threshold (seconds), each of its bindings has an hour at which it is to be deleted;
`ovine.northd.ageing` has the order, and whoever runs the engine the clock.
Tests: tests/cases/northd/mac_bindings.txt, tests/unit/northd/test_router_rules.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterator, Mapping

from ovine.engine import Emit, Reader, Relation, query, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.addresses import parse_mac
from ovine.northd.flows import datapath_ref
from ovine.northd.inputs import ROUTER_PORT_NAMED
from ovine.northd.router_ports import ROUTER_PORTS
from ovine.projection import Names, Target

STATIC: Relation[tuple[str, str], sb.StaticMACBinding] = Relation("Static_MAC_Binding")
"""By (logical port, IP address)."""
EXPIRY: Relation[Uuid, int] = Relation("expiry of learned bindings")
"""Milliseconds since the epoch, by the southbound row's uuid."""


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


@query
def greatest_age(q: Reader, router: Uuid) -> int | None:
    """options:mac_binding_age_threshold in milliseconds; None where bindings do not age."""
    row = q.get(nb.LogicalRouter, router)
    text = row.options.get("mac_binding_age_threshold", "") if row is not None else ""
    return int(text) * 1000 if text.isascii() and text.isdigit() and int(text) > 0 else None


@rule(over=sb.MACBinding, writes=(EXPIRY,))
def expiry(q: Reader, key: Uuid) -> Iterator[Emit]:
    """When a learned binding is to go. One without a time of learning, from older hosts, stays."""
    row = q.row(sb.MACBinding, key)
    actual = q.get(sb.DatapathBinding, row.datapath)
    if actual is None:
        return
    age = greatest_age(q, Uuid(actual.external_ids.get("logical-router", "")))
    if age is not None and row.timestamp > 0:
        yield EXPIRY(key, row.timestamp + age)


def removal_limit(options: Mapping[str, str]) -> int:
    """NB_Global options:mac_binding_removal_limit, 0 where there is none."""
    text = options.get("mac_binding_removal_limit", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _key(row: sb.StaticMACBinding, names: Names) -> Hashable:
    return (row.logical_port, row.ip)


TARGET = Target(STATIC, sb.StaticMACBinding, _key, ("logical_port", "ip", "mac", "override_dynamic_mac", "datapath"))
