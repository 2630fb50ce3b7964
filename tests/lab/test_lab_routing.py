"""A routed cloud with real traffic over three hosts: routing, NAT, TCP, path MTU, a moved instance, a dead gateway.

The same cloud is measured by bench/gateway_failover.py and bench/restart_losses.py, with Debian's daemons beside ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ovine.lab import Lab, migration, restarts
from ovine.lab.tcp import transfer
from routed_cloud import INTERNET, RoutedCloud, lost_during, make


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="ovine", controllers=["ovine", "ovine", "ovine"]) as lab:
        yield lab


@pytest.fixture(scope="module")
def cloud(lab: Lab) -> RoutedCloud:
    return make(lab)


@pytest.fixture(autouse=True)
def audited(lab: Lab) -> Iterator[None]:
    yield
    assert lab.audit() == []


def test_instances_of_two_networks_reach_each_other_through_the_router(cloud: RoutedCloud) -> None:
    blue = cloud.blue1.addresses[0].split("/")[0]
    cloud.red1.wait_reaches(blue)
    assert transfer(cloud.red1, cloud.blue1, blue) == cloud.red1.addresses[0].split("/")[0]


def test_the_router_answers_on_each_of_its_addresses(cloud: RoutedCloud) -> None:
    for address in ("10.1.0.1", "10.2.0.1", cloud.snat_address):
        cloud.red1.wait_reaches(address)


def test_an_instance_without_floating_ip_goes_out_with_the_routers_address(cloud: RoutedCloud) -> None:
    cloud.blue1.wait_reaches(INTERNET)
    assert transfer(cloud.blue1, cloud.internet, INTERNET) == cloud.snat_address


def test_an_instance_with_a_floating_ip_goes_out_with_it_and_is_reached_by_it(cloud: RoutedCloud) -> None:
    cloud.internet.wait_reaches(cloud.floating_ip)
    assert transfer(cloud.red1, cloud.internet, INTERNET) == cloud.floating_ip
    assert transfer(cloud.internet, cloud.red1, cloud.floating_ip) == INTERNET


def test_a_neighbour_reaches_an_instance_by_its_floating_ip(cloud: RoutedCloud) -> None:
    cloud.blue1.wait_reaches(cloud.floating_ip)
    transfer(cloud.blue1, cloud.red1, cloud.floating_ip)


def test_the_outside_learns_the_path_mtu_by_an_icmp_error_and_then_fits(cloud: RoutedCloud) -> None:
    """Outside takes packets of 1500 bytes, Geneve inside fewer."""
    mtu = cloud.lab.cloud.network("red")["mtu"]
    inside = mtu - 28
    refused = cloud.internet.ping(cloud.floating_ip, count=1, size=1472, fragment=False)
    assert refused.none and f"mtu = {mtu}" in refused.output.lower(), refused.output
    assert cloud.internet.ping(cloud.floating_ip, count=2, size=inside, fragment=False).all
    transfer(cloud.internet, cloud.red1, cloud.floating_ip, size=400_000)


def test_daemons_that_restart_lose_no_routed_or_translated_packet(cloud: RoutedCloud) -> None:
    for name in ("northd", "sb-db", "nb-db", f"{cloud.gateway}-controller", "h1-controller"):
        outage = lost_during(cloud.internet, cloud.floating_ip, lambda name=name: _restarted(cloud.lab, name))
        assert (outage.lost, outage.sent > 10) == (0, True), name


def _restarted(lab: Lab, name: str) -> None:
    restarts.restart(lab, name)
    lab.sync()


def test_a_moved_instance_keeps_its_addresses_and_its_floating_ip(cloud: RoutedCloud) -> None:
    cloud.red1 = migration.move(cloud.lab, "red1", cloud.gateway)
    cloud.internet.wait_reaches(cloud.floating_ip)
    cloud.blue1.wait_reaches(cloud.red1.addresses[0].split("/")[0])
    cloud.red1 = migration.move(cloud.lab, "red1", "h1")
    cloud.internet.wait_reaches(cloud.floating_ip)


def test_without_its_floating_ip_an_instance_is_not_reached_any_more(cloud: RoutedCloud) -> None:
    api = cloud.lab.cloud
    floating = api.get("floatingips", floating_ip_address=cloud.floating_ip)["floatingips"][0]
    assert floating["status"] == "ACTIVE"
    api.put(f"floatingips/{floating['id']}", {"floatingip": {"port_id": None}})
    cloud.lab.sync()
    assert cloud.internet.ping(cloud.floating_ip, count=2, wait=0.5).none
    cloud.red1.wait_reaches(INTERNET)
    assert transfer(cloud.red1, cloud.internet, INTERNET) == cloud.snat_address
    api.put(f"floatingips/{floating['id']}", {"floatingip": {"port_id": cloud.red1.record.port_id}})
    cloud.internet.wait_reaches(cloud.floating_ip)


@pytest.fixture
def other_lab(lab_machine: None) -> Iterator[Lab]:
    with Lab(northd="ovine", controllers=["ovine", "ovine", "ovine"]) as lab:
        yield lab


def test_when_the_gateways_host_dies_the_other_takes_its_floating_ips_over(other_lab: Lab) -> None:
    cloud = make(other_lab)
    cloud.internet.wait_reaches(cloud.floating_ip)
    dead, heir = cloud.gateway, cloud.spare
    restarts.kill_host(other_lab, other_lab.spec.host(dead))
    cloud.internet.wait_reaches(cloud.floating_ip, timeout=20)
    assert cloud.gateway == heir
    cloud.blue1.wait_reaches(INTERNET)
