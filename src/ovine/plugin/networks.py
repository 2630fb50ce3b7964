"""A network is a logical switch; a flat or VLAN network has a localnet port, too.

Shapes as in an ML2/OVN northbound: the switch is named `neutron-<network>` and has the network's uuid.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin.dns import DNS, is_named
from ovine.plugin.inputs import segment_id
from ovine.plugin.port_forwardings import balancers_at
from ovine.plugin.qos import QOS_OF_NETWORK
from ovine.projection import ref

SWITCHES: Relation[Uuid, nb.LogicalSwitch] = Relation("Logical_Switch")
SWITCH_PORTS: Relation[str, nb.LogicalSwitchPort] = Relation("Logical_Switch_Port")
MEMBERS: Relation[Uuid, Uuid] = Relation("member of a switch")
"""By reference to a switch port: its network. A switch takes its thousands of members from an index, not one by one."""
MEMBERS_OF_NETWORK: Index[Uuid] = Index(MEMBERS, lambda network: (network,), "members by network")

PHYSICAL = ("flat", "vlan")
FDB_AGE = "300"
"""Seconds that a MAC learned on a physical network is believed."""


def switch_name(network: Uuid) -> str:
    return f"neutron-{network}"


def localnet_name(network: Uuid) -> str:
    return f"provnet-{segment_id(network)}"


@rule(over=cloud.Network, writes=(SWITCHES,))
def switch(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A logical switch for each network."""
    network = q.row(cloud.Network, key)
    physical = network.network_type in PHYSICAL
    external_ids = {
        "neutron:availability_zone_hints": ",".join(network.availability_zone_hints.values()),
        "neutron:mtu": str(network.mtu),
        "neutron:network_name": network.name,
        "neutron:provnet-network-type": network.network_type,
        "neutron:revision_number": str(network.revision_number),
    }
    other_config = {"mcast_flood_unregistered": "false", "mcast_snoop": "false", "vlan-passthru": "false"}
    if physical:
        external_ids["neutron:provnet-physical-network"] = network.physical_network
        other_config["fdb_age_threshold"] = FDB_AGE
    if network.external:
        other_config["broadcast-arps-to-all-routers"] = "true"
    yield SWITCHES(
        key,
        nb.LogicalSwitch(
            name=switch_name(key),
            ports=q.find(MEMBERS_OF_NETWORK, key),
            dns_records=(ref(DNS, key),) if is_named(q, key) else (),
            qos_rules=q.find(QOS_OF_NETWORK, key),
            load_balancer=balancers_at(q, key),
            other_config=Map(other_config),
            external_ids=Map(external_ids),
        ),
    )


@rule(over=cloud.Network, writes=(SWITCH_PORTS, MEMBERS))
def localnet(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The port by which a flat or VLAN network reaches its physical network on every host."""
    network = q.row(cloud.Network, key)
    if network.network_type not in PHYSICAL:
        return
    tag = network.segmentation_id if network.network_type == "vlan" else None
    name = localnet_name(key)
    yield MEMBERS(ref(SWITCH_PORTS, name), key)
    yield SWITCH_PORTS(
        name,
        nb.LogicalSwitchPort(
            name=name,
            type="localnet",
            addresses=("unknown",),
            tag=tag,
            tag_request=tag,
            options=Map(
                {
                    "localnet_learn_fdb": "false",
                    "mcast_flood": "false",
                    "mcast_flood_reports": "true",
                    "network_name": network.physical_network,
                }
            ),
            external_ids=Map({"neutron:provnet-physical-network": network.physical_network}),
        ),
    )
