"""Networks: planning of create, update and delete.

Each network has a *metadata port* (`network:distributed`, device_id `ovnmeta-NETWORK`), made and deleted with it; it
has an address in each DHCP-enabled subnet and doesn't keep the network or its subnets from being deleted.

Tests: tests/api/test_api_networks.py.
"""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.exceptions.external_net import ExternalNetworkInUse

from ovine.api import qos_policies, security_groups, segments
from ovine.api.config import Config
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.api.errors import invalid_input
from ovine.api.metadata import AUTO_OWNERS, insert_metadata_port
from ovine.api.policy import Judge, Target, not_found, target_of
from ovine.api.resources import NETWORK, UNSET
from ovine.model.cloud import FloatingIP, Network, Port, PortForwarding

MIN_MTU = {4: 68, 6: 1280}
"""The least MTU by IP version, in bytes (RFC 791, RFC 8200)."""

_OUTSIDE_OWNERS = (constants.DEVICE_OWNER_ROUTER_GW, constants.DEVICE_OWNER_FLOATINGIP)
_PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
_COLUMNS = {
    "name": "name",
    "description": "description",
    "admin_state_up": "admin_state_up",
    "shared": "shared",
    "router:external": "external",
    "port_security_enabled": "port_security_enabled",
    "dns_domain": "dns_domain",
}


def visible(draft: Draft, judge: Judge, uuid: str) -> Network:
    """A network that the caller can see. Raises NetworkNotFound."""
    network = draft.get(Network, uuid)
    if network is None or not judge.sees(NETWORK, target_of(draft, network)):
        raise not_found(NETWORK, uuid)
    return network


def create(draft: Draft, env: Env, judge: Judge, given: dict[str, Any], parsed: dict[str, Any]) -> Network:
    """A new network. `given` is the request's object, `parsed` the same made complete."""
    project = parsed["project_id"]
    judge.require_create(NETWORK, given, parsed, Target(project, project, parsed["shared"], parsed["router:external"]))
    security_groups.ensure_default(draft, project)
    segment = segments.choose(draft, env.config, parsed)
    default = qos_policies.default_of(draft, project)
    qos_policy = qos_policies.chosen(draft, judge, parsed) or (default.uuid if default is not None else None)
    network = draft.insert_resource(
        Network(
            project_id=project,
            network_type=segment.kind,
            physical_network=segment.physical,
            segmentation_id=segment.number,
            mtu=_mtu(env.config, segment.kind, segment.physical, parsed["mtu"]),
            qos_policy=qos_policy,
            tags=_tags(parsed),
            **{column: parsed[name] for name, column in _COLUMNS.items()},
        ),
        revision=1,
    )
    if env.config.metadata_ports:
        insert_metadata_port(draft, env, network)
    return network


def _tags(parsed: dict[str, Any]) -> tuple[str, ...]:
    return () if parsed["tags"] is UNSET else tuple(sorted(parsed["tags"]))


def _mtu(config: Config, kind: str, physical: str, asked: int) -> int:
    most = config.max_mtu(kind, physical)
    if asked > most:
        raise invalid_input(f"Requested MTU is too big, maximum is {most}")
    return asked or most


def update(draft: Draft, env: Env, judge: Judge, network: Network, parsed: dict[str, Any]) -> None:
    """Changes a network."""
    judge.require_update(NETWORK, parsed, target_of(draft, network))
    if any(name in parsed for name in _PROVIDER):
        raise invalid_input("Plugin does not support updating provider attributes")
    columns = {column: parsed[name] for name, column in _COLUMNS.items() if name in parsed}
    if network.shared and columns.get("shared") is False:
        _check_unshared(draft, network)
    if network.external and columns.get("external") is False:
        _check_not_used_outside(draft, network)
    if "mtu" in parsed:
        columns["mtu"] = _mtu(env.config, network.network_type, network.physical_network, parsed["mtu"])
        for subnet in draft.subnets_of(network.uuid):
            if columns["mtu"] < MIN_MTU[subnet.ip_version]:
                raise n_exc.NetworkMTUSubnetConflict(net_id=network.uuid, mtu=MIN_MTU[subnet.ip_version])
    columns["qos_policy"] = qos_policies.chosen(draft, judge, parsed, network.qos_policy)
    draft.update(network, **columns)


def _check_unshared(draft: Draft, network: Network) -> None:
    draft.guard_ports(network.uuid)
    users = {port.project_id for port in draft.ports_of(network.uuid) if port.device_owner not in AUTO_OWNERS}
    if users - {network.project_id}:
        raise n_exc.InvalidSharedSetting(network=network.name)


def _check_not_used_outside(draft: Draft, network: Network) -> None:
    draft.guard_ports(network.uuid)
    if any(port.device_owner in _OUTSIDE_OWNERS for port in draft.ports_of(network.uuid)):
        raise ExternalNetworkInUse(net_id=network.uuid)


def _unused_floating_ip(draft: Draft, port: Port) -> FloatingIP | None:
    """The floating IP whose port this is, if it stands for nobody and forwards nothing."""
    floating = next(draft.find(FloatingIP, "floating_port", port.uuid), None)
    if floating is None or floating.port is not None or any(draft.find(PortForwarding, "floating_ip", floating.uuid)):
        return None
    return floating


def delete(draft: Draft, env: Env, judge: Judge, network: Network) -> None:
    """Deletes a network with its subnets, its service ports and its floating IPs in no use; any other port keeps it."""
    judge.require("delete_network", target_of(draft, network))
    for port in list(draft.ports_of(network.uuid)):
        floating = _unused_floating_ip(draft, port)
        if floating is not None:
            draft.delete(floating)
        elif port.device_owner not in AUTO_OWNERS:
            raise n_exc.NetworkInUse(net_id=network.uuid)
        for address in draft.addresses_of(port):
            draft.delete(address)
        draft.delete(port)
    for subnet in draft.subnets_of(network.uuid):
        draft.delete(subnet)
    draft.delete(network)
