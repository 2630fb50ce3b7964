"""Port forwardings in, load balancers out."""

from __future__ import annotations

import pytest

from ovine.engine import Engine
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin.nat import NATS
from ovine.plugin.networks import SWITCHES
from ovine.plugin.port_forwardings import BALANCERS, BalancerKey
from ovine.plugin.routers import ROUTERS
from ovine.plugin.status import FLOATING_IP_STATUS
from ovine.projection import ref
from support.plugin_engine import feed, new_engine


def uuid(kind: int, number: int) -> Uuid:
    return Uuid(f"{kind:08d}-0000-4000-8000-{number:012d}")


OUTSIDE, INSIDE, OTHER = uuid(1, 1), uuid(1, 2), uuid(1, 3)
MACHINE, FLOATING, ROUTER, FIXED = uuid(3, 1), uuid(6, 1), uuid(5, 1), uuid(4, 1)
TCP, UDP = BalancerKey(FLOATING, "tcp"), BalancerKey(FLOATING, "udp")


def forwarding(number: int, outer: str, inner: str, protocol: str = "tcp") -> cloud.PortForwarding:
    return cloud.PortForwarding(
        uuid=uuid(7, number),
        floating_ip=FLOATING,
        protocol=protocol,
        external_ports=outer,
        internal_ports=inner,
        port=MACHINE,
        fixed_ip=FIXED,
        router=ROUTER,
    )


def floating(router: Uuid | None = ROUTER) -> cloud.FloatingIP:
    return cloud.FloatingIP(
        uuid=FLOATING, floating_network=OUTSIDE, floating_ip_address="172.24.5.102", router=router, revision_number=1
    )


@pytest.fixture
def engine() -> Engine:
    made = new_engine()
    feed(
        made,
        *(cloud.Network(uuid=key, mtu=1442) for key in (OUTSIDE, INSIDE, OTHER)),
        cloud.Subnet(uuid=uuid(2, 1), network=INSIDE, cidr="10.1.0.0/24"),
        cloud.IPAllocation(uuid=FIXED, subnet=uuid(2, 1), ip_address="10.1.0.12"),
        cloud.Port(uuid=MACHINE, network=INSIDE, mac_address="m", fixed_ips=(FIXED,)),
        cloud.Router(uuid=ROUTER, name="r1"),
        floating(),
        forwarding(1, "2222:2222", "22:22"),
    )
    return made


def test_a_forwarded_port_is_a_vip_of_the_router_and_of_both_networks(engine: Engine) -> None:
    assert engine.rows(BALANCERS) == {
        TCP: nb.LoadBalancer(
            name=f"pf-floatingip-{FLOATING}-tcp",
            protocol="tcp",
            vips=Map({"172.24.5.102:2222": "10.1.0.12:22"}),
            external_ids=Map(
                {
                    "neutron:device_owner": "port_forwarding_plugin",
                    "neutron:fip_id": FLOATING,
                    "neutron:revision_number": "1",
                    "neutron:router_name": f"neutron-{ROUTER}",
                }
            ),
        )
    }
    places = {key: row.load_balancer for key, row in engine.rows(SWITCHES).items()}
    assert places == {OUTSIDE: (ref(BALANCERS, TCP),), INSIDE: (ref(BALANCERS, TCP),), OTHER: ()}
    assert engine.rows(ROUTERS)[ROUTER].load_balancer == (ref(BALANCERS, TCP),)
    assert engine.rows(NATS) == {}


def test_the_other_networks_of_the_router_have_it_too(engine: Engine) -> None:
    feed(
        engine,
        cloud.Port(uuid=uuid(3, 2), network=OTHER, mac_address="n", device_owner="network:router_interface"),
        cloud.Router(uuid=ROUTER, name="r1", interfaces=(uuid(3, 2),)),
    )
    assert engine.rows(SWITCHES)[OTHER].load_balancer == (ref(BALANCERS, TCP),)
    feed(engine, cloud.Router(uuid=ROUTER, name="r1"))
    assert engine.rows(SWITCHES)[OTHER].load_balancer == ()


def test_a_range_is_a_vip_for_each_port_and_each_protocol_has_its_own(engine: Engine) -> None:
    feed(engine, forwarding(2, "3000:3001", "30:31"), forwarding(3, "53:54", "5353:5353", "udp"))
    assert engine.rows(BALANCERS)[TCP].vips == {
        "172.24.5.102:2222": "10.1.0.12:22",
        "172.24.5.102:3000": "10.1.0.12:30",
        "172.24.5.102:3001": "10.1.0.12:31",
    }
    assert engine.rows(BALANCERS)[UDP].vips == {
        "172.24.5.102:53": "10.1.0.12:5353",
        "172.24.5.102:54": "10.1.0.12:5353",
    }


def test_without_forwardings_or_a_router_there_is_none(engine: Engine) -> None:
    feed(engine, floating(None))
    assert engine.rows(BALANCERS) == {}
    feed(engine, floating())
    engine.feed(cloud.PortForwarding, uuid(7, 1), None)
    engine.run()
    assert engine.rows(BALANCERS) == {}
    assert engine.rows(ROUTERS)[ROUTER].load_balancer == ()


def test_a_floating_ip_is_active_while_its_load_balancer_is_there(engine: Engine) -> None:
    assert engine.rows(FLOATING_IP_STATUS)[FLOATING].status == "DOWN"
    feed(engine, nb.LoadBalancer(uuid=uuid(8, 1), external_ids=Map({"neutron:fip_id": FLOATING})))
    assert engine.rows(FLOATING_IP_STATUS)[FLOATING].status == "ACTIVE"
