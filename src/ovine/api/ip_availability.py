"""How many addresses a network's subnets have for ports, and how many are used.

What there is are the addresses of a subnet's allocation pools, or of its whole range if it has none; used is every
address that a port has, also one outside of the pools. Tests: tests/api/test_api_ip_availability.py.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any

from neutron_lib.api import converters

from ovine.api import query
from ovine.api.addressing import network_of, parse_pools
from ovine.api.policy import Judge, not_found, target_of
from ovine.api.resources import IP_AVAILABILITY, NETWORK
from ovine.api.views import View
from ovine.model.base import Uuid
from ovine.model.cloud import IPAllocation, Network, Subnet
from ovine.ovsdb import Replica

RULE = "get_network_ip_availability"


def listed(replica: Replica, judge: Judge, text: str, url: str, page_limit: int) -> dict[str, Any]:
    """The reply to `GET /network-ip-availabilities?text`; the filter `ip_version` leaves out other subnets."""
    asked = query.parse(IP_AVAILABILITY, text, page_limit)
    versions = {converters.convert_to_int(value) for value in asked.filters.get("ip_version", ())}
    others = {name: values for name, values in asked.filters.items() if name != "ip_version"}
    passes = query.predicate(IP_AVAILABILITY, replace(asked, filters=others))
    networks = [row for row in replica.rows(Network).values() if judge.allows(RULE, target_of(replica, row))]
    views = [_view(replica, row, versions) for row in networks]
    found = [view for view in views if (view["subnet_ip_availability"] or not versions) and passes(view)]
    items = query.page(found, asked, lambda marker: not_found(NETWORK, marker))
    shown = [query.selected(_public(item), asked.fields) for item in items]
    return {IP_AVAILABILITY.collection: shown} | query.links(IP_AVAILABILITY.collection, url, text, asked, items)


def shown(replica: Replica, judge: Judge, uuid: str, text: str) -> dict[str, Any]:
    """The reply to `GET /network-ip-availabilities/NETWORK`. Raises NetworkNotFound."""
    asked = query.parse(IP_AVAILABILITY, text)
    network = replica.get(Network, Uuid(uuid))
    if network is None or not judge.allows(RULE, target_of(replica, network)):
        raise not_found(NETWORK, uuid)
    return {IP_AVAILABILITY.name: query.selected(_public(_view(replica, network, frozenset())), asked.fields)}


def _view(replica: Replica, network: Network, versions: Set[int]) -> View:
    """A network's figures, in subnets of these IP versions if any are given; `id` is for the order of lists."""
    rows = sorted(replica.index(Subnet, "network").find(network.uuid), key=lambda row: (row.created_at, row.uuid))
    subnets = [_subnet(replica, row) for row in rows if not versions or row.ip_version in versions]
    return {
        "id": network.uuid,
        "network_id": network.uuid,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "subnet_ip_availability": subnets,
        "total_ips": sum(subnet["total_ips"] for subnet in subnets),
        "used_ips": sum(subnet["used_ips"] for subnet in subnets),
    }


def _subnet(replica: Replica, row: Subnet) -> View:
    pools = parse_pools(row.allocation_pools)
    total = sum(last - first + 1 for first, last in pools) if pools else network_of(row.cidr).num_addresses
    return {
        "subnet_id": row.uuid,
        "subnet_name": row.name,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "total_ips": total,
        "used_ips": len(replica.index(IPAllocation, "subnet").find(row.uuid)),
    }


def _public(view: View) -> View:
    return {name: value for name, value in view.items() if name in IP_AVAILABILITY.attributes}
