"""The metadata port of each network: see `ovine.api.networks`."""

from __future__ import annotations

from neutron_lib import constants
from neutron_lib import exceptions as n_exc

from ovine.api import ipam
from ovine.api.draft import Draft
from ovine.api.env import Env
from ovine.model.cloud import Network, Port, Subnet

AUTO_OWNERS = frozenset({constants.DEVICE_OWNER_DISTRIBUTED, constants.DEVICE_OWNER_DHCP})
"""Ports that services made for a network: they go with it."""

_MAC_TRIES = 100


def is_metadata_port(port: Port) -> bool:
    return port.device_owner == constants.DEVICE_OWNER_DISTRIBUTED and port.device_id == f"ovnmeta-{port.network}"


def unused_mac(draft: Draft, env: Env, network: Network) -> str:
    """A random MAC that no port of the network has. Raises HostMacAddressGenerationFailure."""
    for _ in range(_MAC_TRIES):
        mac = env.random_mac()
        if draft.mac_in_use(network.uuid, mac) is None:
            return mac
    raise n_exc.HostMacAddressGenerationFailure(host="")


def insert_metadata_port(draft: Draft, env: Env, network: Network) -> Port:
    return draft.insert_resource(
        Port(
            network=network.uuid,
            project_id=network.project_id,
            mac_address=unused_mac(draft, env, network),
            device_id=f"ovnmeta-{network.uuid}",
            device_owner=constants.DEVICE_OWNER_DISTRIBUTED,
            port_security_enabled=False,
        ),
        revision=1,
    )


def serve(draft: Draft, env: Env, network: Network, subnet: Subnet) -> None:
    """Gives the network's metadata port an address in a subnet; none if the subnet has none left."""
    for port in list(draft.ports_of(network.uuid)):
        if is_metadata_port(port):
            held = draft.addresses_of(port)
            if any(row.subnet == subnet.uuid for row in held):
                continue
            claim = ipam.Claim(network, port.mac_address, port.device_owner, held)
            kept = [ipam.Address(row.subnet, row.ip_address) for row in held]
            if ipam.is_automatic(subnet):
                kept.append(ipam.automatic(draft, claim, subnet))
            elif (ip := ipam.free_address(draft, env, subnet, lowest=True)) is not None:
                kept.append(ipam.Address(subnet.uuid, ip))
            draft.update(port, fixed_ips=ipam.store(draft, kept, held))


def withdraw(draft: Draft, port: Port, subnet: Subnet) -> None:
    """Takes a port's addresses in a subnet away."""
    held = draft.addresses_of(port)
    kept = [ipam.Address(row.subnet, row.ip_address) for row in held if row.subnet != subnet.uuid]
    draft.update(port, fixed_ips=ipam.store(draft, kept, held))
