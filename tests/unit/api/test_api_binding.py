"""Which host can take which port."""

from __future__ import annotations

import pytest

from ovine.api.binding import bind, host_of
from ovine.model.base import Map
from ovine.model.cloud import Network
from ovine.model.sb import Chassis

HOSTS = [
    host_of(Chassis(name="c1", hostname="host1", other_config=Map({"ovn-bridge-mappings": "p1:br-a, p2:br-b"}))),
    host_of(Chassis(name="c2", hostname="host2", other_config=Map({"datapath-type": "netdev"}))),
    host_of(Chassis(name="c3", hostname="host3", external_ids=Map({"ovn-bridge-mappings": "p1:br-a"}))),
]
TUNNEL = Network(network_type="geneve")
P1 = Network(network_type="vlan", physical_network="p1", segmentation_id=5)
P2 = Network(network_type="flat", physical_network="p2")


@pytest.mark.parametrize(
    "host, network, vnic_type, kind",
    [
        ("host1", TUNNEL, "normal", "ovs"),
        ("c1", TUNNEL, "normal", "ovs"),
        ("host2", TUNNEL, "normal", "ovs"),
        ("host9", TUNNEL, "normal", "binding_failed"),
        ("", TUNNEL, "normal", "unbound"),
        ("host1", P1, "normal", "ovs"),
        ("host1", P2, "normal", "ovs"),
        ("host2", P1, "normal", "binding_failed"),
        ("host3", P1, "normal", "ovs"),
        ("host3", P2, "normal", "binding_failed"),
        ("host1", TUNNEL, "direct", "binding_failed"),
    ],
)
def test_a_port_is_bound_where_its_network_can_be_reached(
    host: str, network: Network, vnic_type: str, kind: str
) -> None:
    found, details = bind(HOSTS, host, network, vnic_type, "br-int")
    assert found == kind
    assert bool(details) == (kind == "ovs")


def test_the_details_are_those_of_the_chassis() -> None:
    assert bind(HOSTS, "host2", TUNNEL, "normal", "br-x")[1]["datapath_type"] == "netdev"
    assert bind(HOSTS, "host1", TUNNEL, "normal", "br-x")[1]["bridge_name"] == "br-x"
