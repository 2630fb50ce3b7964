"""Routers and floating IPs in, northbound rows out: the shapes that an ML2/OVN northbound has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ovine.engine import Engine
from ovine.model import cloud, nb, sb
from ovine.model.base import Map, Row, Uuid
from ovine.plugin.gateways import GATEWAY_CHASSIS, Southbound
from ovine.plugin.nat import NATS, NatKey
from ovine.plugin.networks import SWITCH_PORTS, SWITCHES
from ovine.plugin.router_places import ROUTER_PORTS
from ovine.plugin.routers import BFD, ROUTERS, ROUTES, BfdKey, RouteKey
from ovine.plugin.settings import Settings
from ovine.plugin.status import FLOATING_IP_STATUS, PORT_STATUS
from ovine.projection import ref
from support.plugin_engine import feed, new_engine


def uuid(kind: int, number: int) -> Uuid:
    return Uuid(f"{kind:08d}-0000-4000-8000-{number:012d}")


OUTSIDE, INSIDE = uuid(1, 1), uuid(1, 2)
OUTER, INNER, INNER6 = uuid(2, 1), uuid(2, 2), uuid(2, 3)
GATEWAY, INTERFACE, MACHINE, FLOATING_PORT = uuid(3, 1), uuid(3, 2), uuid(3, 3), uuid(3, 4)
SECOND, OTHER_OUTSIDE, OTHER_OUTER = uuid(3, 5), uuid(1, 3), uuid(2, 4)
ROUTER, FLOATING = uuid(5, 1), uuid(6, 1)


def address(number: int, subnet: Uuid, ip: str) -> cloud.IPAllocation:
    return cloud.IPAllocation(uuid=uuid(4, number), subnet=subnet, ip_address=ip)


def port(key: Uuid, network: Uuid, *addresses: int, **more: Any) -> cloud.Port:
    return cloud.Port(
        uuid=key,
        network=network,
        mac_address=f"fa:16:3e:00:00:{key[-2:]}",
        fixed_ips=tuple(uuid(4, n) for n in addresses),
        revision_number=1,
        **more,
    )


def external(key: Uuid, number: int) -> cloud.Network:
    return cloud.Network(
        uuid=key,
        external=True,
        network_type="vlan",
        physical_network="physnet1",
        segmentation_id=number,
        mtu=1500,
    )


FLOATING_ROW = cloud.FloatingIP(
    uuid=FLOATING,
    floating_network=OUTSIDE,
    floating_port=FLOATING_PORT,
    floating_ip_address="172.24.5.101",
    port=MACHINE,
    fixed_ip=uuid(4, 3),
    router=ROUTER,
    interface=INTERFACE,
    gateway=GATEWAY,
    revision_number=1,
)
ROUTER_ROW = cloud.Router(
    uuid=ROUTER,
    name="r1",
    gateways=Map({0: GATEWAY}),
    interfaces=(INTERFACE,),
    routes=("192.168.50.0/24,10.1.0.50",),
    revision_number=4,
)
ROWS: tuple[Row, ...] = (
    external(OUTSIDE, 10),
    cloud.Network(uuid=INSIDE, mtu=1442),
    cloud.Subnet(uuid=OUTER, network=OUTSIDE, cidr="172.24.5.0/24", gateway_ip="172.24.5.1", enable_dhcp=False),
    cloud.Subnet(uuid=INNER, network=INSIDE, cidr="10.1.0.0/24", gateway_ip="10.1.0.1"),
    address(1, OUTER, "172.24.5.20"),
    address(2, INNER, "10.1.0.1"),
    address(3, INNER, "10.1.0.11"),
    address(4, OUTER, "172.24.5.101"),
    port(GATEWAY, OUTSIDE, 1, device_owner="network:router_gateway", port_security_enabled=False),
    port(INTERFACE, INSIDE, 2, device_owner="network:router_interface", port_security_enabled=False),
    port(MACHINE, INSIDE, 3),
    port(FLOATING_PORT, OUTSIDE, 4, device_owner="network:floatingip", port_security_enabled=False),
    ROUTER_ROW,
    FLOATING_ROW,
)


@pytest.fixture
def engine() -> Engine:
    made = new_engine()
    feed(made, *ROWS)
    return made


def changed(row: Any, **columns: Any) -> Any:
    return msgspec.structs.replace(row, **columns)


def test_a_router_has_its_ports_routes_and_translations(engine: Engine) -> None:
    row = engine.rows(ROUTERS)[ROUTER]
    assert (row.name, row.enabled) == (f"neutron-{ROUTER}", True)
    assert set(row.ports) == {ref(ROUTER_PORTS, GATEWAY), ref(ROUTER_PORTS, INTERFACE)}
    default = RouteKey(ROUTER, "0.0.0.0/0", "172.24.5.1", OUTER)
    extra = RouteKey(ROUTER, "192.168.50.0/24", "10.1.0.50", "")
    assert (
        set(row.static_routes)
        == {ref(ROUTES, default), ref(ROUTES, extra)}
        == {ref(ROUTES, k) for k in rows_of(engine)}
    )
    assert set(row.nat) == {ref(NATS, NatKey("", GATEWAY)), ref(NATS, NatKey(FLOATING, ""))}
    feed(engine, changed(ROUTER_ROW, admin_state_up=False, enable_snat=False, routes=()))
    row = engine.rows(ROUTERS)[ROUTER]
    assert (row.enabled, row.static_routes) == (False, (ref(ROUTES, default),))
    assert row.nat == (ref(NATS, NatKey(FLOATING, "")),)
    assert NatKey("", GATEWAY) not in engine.rows(NATS)


def rows_of(engine: Engine) -> list[RouteKey]:
    return list(engine.rows(ROUTES))


def test_a_gateway_port_tells_what_is_too_big_and_keeps_its_traffic_on_one_chassis(engine: Engine) -> None:
    row = engine.rows(ROUTER_PORTS)[GATEWAY]
    assert (row.name, row.mac, row.networks) == (f"lrp-{GATEWAY}", "fa:16:3e:00:00:01", ("172.24.5.20/24",))
    assert dict(row.options) == {"gateway_mtu": "1442", "reside-on-redirect-chassis": "true"}
    assert (row.external_ids["neutron:is_ext_gw"], row.external_ids["neutron:subnet_ids"]) == ("True", OUTER)
    switch = engine.rows(SWITCH_PORTS)[GATEWAY]
    assert (switch.type, switch.addresses, switch.port_security) == ("router", ("router",), ())
    assert dict(switch.options) == {
        "exclude-lb-vips-from-garp": "true",
        "nat-addresses": "router",
        "router-port": f"lrp-{GATEWAY}",
    }


def test_an_interface_is_a_link_between_switch_and_router(engine: Engine) -> None:
    row = engine.rows(ROUTER_PORTS)[INTERFACE]
    assert (row.networks, dict(row.options), row.gateway_chassis) == (("10.1.0.1/24",), {}, ())
    assert dict(engine.rows(SWITCH_PORTS)[INTERFACE].options) == {"router-port": f"lrp-{INTERFACE}"}
    assert ref(SWITCH_PORTS, INTERFACE) in engine.rows(SWITCHES)[INSIDE].ports


def test_an_interface_advertises_what_the_ipv6_subnet_says(engine: Engine) -> None:
    subnet = cloud.Subnet(
        uuid=INNER6,
        network=INSIDE,
        ip_version=6,
        cidr="fd00:1::/64",
        gateway_ip="fd00:1::",
        ipv6_address_mode="dhcpv6-stateless",
        ipv6_ra_mode="dhcpv6-stateless",
    )
    here = port(INTERFACE, INSIDE, 2, 6, device_owner="network:router_interface")
    feed(engine, subnet, address(6, INNER6, "fd00:1::"), here)
    row = engine.rows(ROUTER_PORTS)[INTERFACE]
    assert row.networks == ("10.1.0.1/24", "fd00:1::/64")
    expected = {
        "address_mode": "dhcpv6_stateless",
        "mtu": "1442",
        "route_info": "MEDIUM-fe80::a9fe:a9fe/128",
        "send_periodic": "true",
    }
    assert dict(row.ipv6_ra_configs) == expected
    feed(engine, changed(subnet, dns_nameservers=Map({0: "9.9.9.9", 1: "fd00::53"})))
    assert dict(engine.rows(ROUTER_PORTS)[INTERFACE].ipv6_ra_configs) == expected | {"rdnss": "fd00::53"}
    feed(engine, changed(subnet, ipv6_address_mode=None, ipv6_ra_mode=None))
    assert dict(engine.rows(ROUTER_PORTS)[INTERFACE].ipv6_ra_configs) == {}


def test_a_floating_ip_is_translated_on_the_gateway(engine: Engine) -> None:
    row = engine.rows(NATS)[NatKey(FLOATING, "")]
    assert (row.type, row.external_ip, row.logical_ip) == ("dnat_and_snat", "172.24.5.101", "10.1.0.11")
    assert (row.logical_port, row.external_mac, row.gateway_port) == (MACHINE, None, None)
    assert row.external_ids["neutron:fip_external_mac"] == "fa:16:3e:00:00:04"
    assert engine.rows(SWITCH_PORTS)[MACHINE].external_ids["neutron:port_fip"] == "172.24.5.101"
    assert FLOATING_PORT not in engine.rows(SWITCH_PORTS)
    feed(engine, changed(FLOATING_ROW, port=None, fixed_ip=None, router=None, interface=None, gateway=None))
    assert NatKey(FLOATING, "") not in engine.rows(NATS)
    assert "neutron:port_fip" not in engine.rows(SWITCH_PORTS)[MACHINE].external_ids


def test_a_distributed_floating_ip_has_its_own_mac_while_its_port_is_up(engine: Engine) -> None:
    engine.feed(Settings, (), Settings(distributed_floating_ips=True))
    for up, mac in ((False, None), (True, "fa:16:3e:00:00:04")):
        feed(engine, nb.LogicalSwitchPort(uuid=uuid(7, 1), name=MACHINE, up=up))
        assert engine.rows(NATS)[NatKey(FLOATING, "")].external_mac == mac
    assert engine.rows(ROUTER_PORTS)[GATEWAY].options["reside-on-redirect-chassis"] == "false"


def test_a_port_that_is_no_routers_does_not_become_one_by_saying_so(engine: Engine) -> None:
    feed(engine, changed(ROUTER_ROW, interfaces=()))
    assert INTERFACE not in engine.rows(ROUTER_PORTS)
    assert engine.rows(SWITCH_PORTS)[INTERFACE].type == ""


def with_second_gateway(engine: Engine, **columns: Any) -> None:
    feed(
        engine,
        external(OTHER_OUTSIDE, 11),
        cloud.Subnet(uuid=OTHER_OUTER, network=OTHER_OUTSIDE, cidr="203.0.113.0/24", gateway_ip="203.0.113.1"),
        address(5, OTHER_OUTER, "203.0.113.9"),
        port(SECOND, OTHER_OUTSIDE, 5, device_owner="network:router_gateway"),
        changed(ROUTER_ROW, gateways=Map({0: GATEWAY, 1: SECOND}), routes=(), **columns),
    )


def test_with_several_gateways_each_translation_says_which_it_is_for(engine: Engine) -> None:
    with_second_gateway(engine)
    assert {key: row.gateway_port for key, row in engine.rows(NATS).items()} == {
        NatKey("", GATEWAY): ref(ROUTER_PORTS, GATEWAY),
        NatKey("", SECOND): ref(ROUTER_PORTS, SECOND),
        NatKey(FLOATING, ""): ref(ROUTER_PORTS, GATEWAY),
    }


def test_default_routes_are_by_the_first_gateway_or_by_all_and_may_be_watched(engine: Engine) -> None:
    with_second_gateway(engine)
    assert [key.nexthop for key in rows_of(engine)] == ["172.24.5.1"]
    with_second_gateway(engine, enable_default_route_ecmp=True)
    assert sorted(key.nexthop for key in rows_of(engine)) == ["172.24.5.1", "203.0.113.1"]
    assert engine.rows(BFD) == {}
    with_second_gateway(engine, enable_default_route_ecmp=True, enable_default_route_bfd=True)
    sessions = {BfdKey(f"lrp-{GATEWAY}", "172.24.5.1"), BfdKey(f"lrp-{SECOND}", "203.0.113.1")}
    assert set(engine.rows(BFD)) == sessions
    assert {row.bfd for row in engine.rows(ROUTES).values()} == {ref(BFD, session) for session in sessions}


def test_a_next_hop_outside_the_subnet_is_told_its_port(engine: Engine) -> None:
    feed(engine, cloud.Subnet(uuid=OUTER, network=OUTSIDE, cidr="172.24.5.0/24", gateway_ip="192.0.2.1"))
    (row,) = [row for row in engine.rows(ROUTES).values() if row.ip_prefix == "0.0.0.0/0"]
    assert (row.nexthop, row.output_port) == ("192.0.2.1", f"lrp-{GATEWAY}")


def test_a_gateway_without_addresses_has_no_router_port(engine: Engine) -> None:
    feed(engine, port(GATEWAY, OUTSIDE, device_owner="network:router_gateway"))
    assert GATEWAY not in engine.rows(ROUTER_PORTS)


def test_states_go_up(engine: Engine) -> None:
    assert engine.rows(FLOATING_IP_STATUS)[FLOATING].status == "DOWN"
    feed(engine, nb.NAT(uuid=FLOATING, external_ids=Map({"neutron:fip_id": FLOATING})))
    assert engine.rows(FLOATING_IP_STATUS)[FLOATING].status == "ACTIVE"
    assert engine.rows(PORT_STATUS)[GATEWAY].active_host == ""
    engine.feed(Southbound, (), Southbound())
    host = sb.Chassis(uuid=uuid(8, 1), name="hv1", hostname="host1")
    feed(engine, host, sb.PortBinding(uuid=uuid(9, 1), logical_port=f"cr-lrp-{GATEWAY}", chassis=host.uuid))
    assert engine.rows(PORT_STATUS)[GATEWAY].active_host == "host1"
    assert engine.rows(PORT_STATUS)[INTERFACE].active_host == ""


def test_where_a_gateway_is_stays_known_while_the_southbound_is_not_seen(engine: Engine) -> None:
    here = port(GATEWAY, OUTSIDE, 1, device_owner="network:router_gateway", active_host="host1")
    feed(engine, here)
    assert engine.rows(PORT_STATUS)[GATEWAY].active_host == "host1"


def test_an_unrelated_port_runs_nothing_of_routers(engine: Engine) -> None:
    before = engine.counts()
    feed(engine, port(uuid(3, 9), INSIDE))
    ran = {name for name, runs in engine.counts().items() if runs != before.get(name, 0)}
    assert not {name for name in ran if name.startswith(("plugin.routers", "plugin.nat", "plugin.gateways"))}
    assert engine.rows(GATEWAY_CHASSIS) == {}
