"""Segments: the network type, physical network and number of a network.

An administrator may name all or part of a segment; the rest, and the segments of tenants' networks, are chosen here:
the lowest free number of the configured ranges. That no two networks get the same one is decided by the unique index
of the Network table.

Tests: tests/unit/api/test_api_draft.py, tests/api/test_api_networks.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from neutron_lib import exceptions as n_exc

from ovine.api.config import NETWORK_TYPES, TUNNEL_TYPES, Config
from ovine.api.draft import Draft
from ovine.api.errors import invalid_input
from ovine.api.resources import UNSET
from ovine.model.cloud import Network

MAX_VNI = 0xFFFFFF
MAX_VLAN = 4094


class Segment(NamedTuple):
    """`physical` is "" and `number` 0 where the type has none."""

    kind: str
    physical: str = ""
    number: int = 0


def choose(draft: Draft, config: Config, asked: dict[str, Any]) -> Segment:
    """The segment for a new network, whose attributes are `asked`. Raises neutron-lib's errors."""
    kind, physical, number = (
        None if asked[f"provider:{name}"] is UNSET else asked[f"provider:{name}"]
        for name in ("network_type", "physical_network", "segmentation_id")
    )
    if not kind:
        if physical or number is not None:
            raise invalid_input("network_type required")
        return _for_tenant(draft, config)
    if kind not in NETWORK_TYPES:
        raise invalid_input(f"network_type value '{kind}' not supported")
    if kind == "flat":
        return _flat(draft, config, physical, number)
    if kind == "vlan":
        return _vlan(draft, config, physical, number)
    return _tunnel(draft, config, kind, physical, number)


def _for_tenant(draft: Draft, config: Config) -> Segment:
    for kind in config.tenant_network_types:
        found = _free_vlan(draft, config, None) if kind == "vlan" else _free_tunnel(draft, config, kind)
        if found is not None:
            return found
    raise n_exc.NoNetworkAvailable()


def _used(draft: Draft, kind: str, physical: str = "") -> set[int]:
    networks = draft.find(Network, "network_type", kind)
    return {network.segmentation_id for network in networks if network.physical_network == physical}


def _lowest(ranges: Iterable[tuple[int, int]], used: set[int]) -> int | None:
    return next((n for low, high in ranges for n in range(low, high + 1) if n not in used), None)


def _free_tunnel(draft: Draft, config: Config, kind: str) -> Segment | None:
    number = _lowest(config.ranges(kind), _used(draft, kind))
    return None if number is None else Segment(kind, "", number)


def _free_vlan(draft: Draft, config: Config, physical: str | None) -> Segment | None:
    for name, ranges in config.vlans().items():
        if physical in (None, name):
            number = _lowest(ranges, _used(draft, "vlan", name))
            if number is not None:
                return Segment("vlan", name, number)
    return None


def _tunnel(draft: Draft, config: Config, kind: str, physical: str | None, number: int | None) -> Segment:
    assert kind in TUNNEL_TYPES
    if physical:
        raise invalid_input(f"provider:physical_network prohibited for {kind} provider network")
    if number is None:
        found = _free_tunnel(draft, config, kind)
        if found is None:
            raise n_exc.NoNetworkAvailable()
        return found
    if not 1 <= number <= MAX_VNI:
        raise invalid_input(f"segmentation_id out of range (1 through {MAX_VNI})")
    if number in _used(draft, kind):
        raise n_exc.TunnelIdInUse(tunnel_id=number)
    return Segment(kind, "", number)


def _vlan(draft: Draft, config: Config, physical: str | None, number: int | None) -> Segment:
    if not physical:
        if number is not None:
            raise invalid_input("segmentation_id requires physical_network for VLAN provider network")
    elif physical not in config.vlan_ranges:
        raise invalid_input(f"physical_network '{physical}' unknown for VLAN provider network")
    if number is None:
        found = _free_vlan(draft, config, physical or None)
        if found is None:
            raise n_exc.NoNetworkAvailable()
        return found
    assert physical
    if not 1 <= number <= MAX_VLAN:
        raise invalid_input(f"segmentation_id out of range (1 through {MAX_VLAN})")
    if number in _used(draft, "vlan", physical):
        raise n_exc.VlanIdInUse(vlan_id=number, physical_network=physical)
    return Segment("vlan", physical, number)


def _flat(draft: Draft, config: Config, physical: str | None, number: int | None) -> Segment:
    if not physical:
        raise invalid_input("physical_network required for flat provider network")
    if "*" not in config.flat_networks and physical not in config.flat_networks:
        raise invalid_input(f"physical_network '{physical}' unknown for flat provider network")
    if number is not None:
        raise invalid_input("segmentation_id prohibited for flat provider network")
    if 0 in _used(draft, "flat", physical):
        raise n_exc.FlatNetworkInUse(physical_network=physical)
    return Segment("flat", physical)
