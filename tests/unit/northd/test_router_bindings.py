"""Bindings of router ports and of the switch ports that lead to them: what hosts read in Port_Binding."""

from __future__ import annotations

import pytest

from ovine.engine import Engine
from ovine.model import sb
from ovine.northd import ports
from ovine.northd.multicast import GROUPS, L2_GROUP
from support.northd import Northbound, compiled, row_uuid

CLOUD = """
switch s1
switch public
port s1 p1 addresses="0a:00:00:00:00:01 10.0.0.1"
port s1 s1-r1 type=router addresses=router options:router-port=r1-s1
port public ln type=localnet addresses=unknown options:network_name=phys
port public public-r1 type=router addresses=router options:router-port=r1-public options:nat-addresses=router
"""
DISTRIBUTED = f"""{CLOUD}
router r1
rport r1 r1-s1 0a:00:00:00:ff:01 10.0.0.254/24 fd00::fe/64
rport r1 r1-public 0a:00:00:00:ff:02 172.16.0.100/24 fd10::64/64 gateways=gw1:20,gw2:10
"""
GATEWAY_ROUTER = f"""{CLOUD}
router r1 chassis=gw1
rport r1 r1-s1 0a:00:00:00:ff:01 10.0.0.254/24
rport r1 r1-public 0a:00:00:00:ff:02 172.16.0.100/24
"""


def engine_of(commands: str) -> Engine:
    northbound = Northbound()
    northbound.apply(commands)
    engine = compiled(northbound)
    assert engine.failures() == []
    return engine


def binding(engine: Engine, name: str) -> sb.PortBinding:
    return engine.rows(ports.PORT_BINDINGS)[name]


def test_a_distributed_router_is_patched_to_its_switches() -> None:
    engine = engine_of(DISTRIBUTED)
    for one, other in (("s1-r1", "r1-s1"), ("r1-s1", "s1-r1"), ("public-r1", "r1-public")):
        assert (binding(engine, one).type, dict(binding(engine, one).options)) == ("patch", {"peer": other})
    assert binding(engine, "r1-s1").mac == ("0a:00:00:00:ff:01 10.0.0.254/24 fd00::fe/64",)
    assert binding(engine, "s1-r1").mac == ("router",)


def test_a_gateway_port_has_a_redirect_port_on_the_same_datapath_with_a_key_of_its_own() -> None:
    engine = engine_of(DISTRIBUTED)
    port, redirect = binding(engine, "r1-public"), binding(engine, "cr-r1-public")
    assert dict(port.options) == {"peer": "public-r1", "chassis-redirect-port": "cr-r1-public"}
    assert redirect.type == "chassisredirect"
    assert dict(redirect.options) == {"distributed-port": "r1-public", "always-redirect": "true"}
    assert redirect.mac == port.mac and redirect.datapath == port.datapath
    assert redirect.ha_chassis_group is not None and port.ha_chassis_group is None
    keys = [binding(engine, name).tunnel_key for name in ("r1-s1", "r1-public", "cr-r1-public")]
    assert sorted(keys) == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        "nat r1 dnat_and_snat 172.16.0.111 10.0.0.1 port=p1 mac=0a:00:00:00:aa:01",
        "rport r1 r1-public 0a:00:00:00:ff:02 172.16.0.100/24 gateways=gw1:20 options:redirect-type=bridged",
    ],
    ids=["floating addresses on the spot", "bridged"],
)
def test_hosts_do_not_always_redirect_where_they_have_work_to_do_themselves(change: str) -> None:
    assert "always-redirect" not in binding(engine_of(DISTRIBUTED + change), "cr-r1-public").options


def test_a_gateway_router_is_on_its_chassis_with_both_sides_of_each_patch() -> None:
    engine = engine_of(GATEWAY_ROUTER)
    for one, other in (("s1-r1", "r1-s1"), ("r1-s1", "s1-r1")):
        assert binding(engine, one).type == "l3gateway"
        assert dict(binding(engine, one).options) == {"peer": other, "l3gateway-chassis": "gw1"}


def test_gateway_chassis_on_a_gateway_router_are_refused_and_the_rest_works() -> None:
    northbound = Northbound()
    northbound.apply(GATEWAY_ROUTER + "rport r1 r1-public 0a:00:00:00:ff:02 172.16.0.100/24 gateways=gw1:20")
    engine = compiled(northbound)
    (failure,) = engine.failures()
    assert "r1-public" in failure.error
    assert binding(engine, "r1-public").type == "l3gateway"
    assert "cr-r1-public" not in engine.rows(ports.PORT_BINDINGS)


def test_routers_are_joined_by_ports_that_name_each_other() -> None:
    join = """
    router r2
    rport r2 r2-r1 0a:00:00:00:fd:01 10.9.0.1/24 peer=r1-r2
    rport r1 r1-r2 0a:00:00:00:fd:02 10.9.0.2/24 peer=r2-r1
    rport r1 alone 0a:00:00:00:fd:03 10.8.0.2/24
    """
    engine = engine_of(DISTRIBUTED + join)
    assert dict(binding(engine, "r1-r2").options) == {"peer": "r2-r1"}
    assert dict(binding(engine, "r2-r1").options) == {"peer": "r1-r2"}
    assert dict(binding(engine, "alone").options) == {}


def test_a_switch_port_names_its_peer_before_that_is_there() -> None:
    engine = engine_of("switch s1\nport s1 early type=router addresses=router options:router-port=later")
    assert dict(binding(engine, "early").options) == {"peer": "later"}


def test_a_port_to_a_router_is_up_at_all_times() -> None:
    engine = engine_of(DISTRIBUTED)
    states = engine.rows(ports.STATES)
    assert states[row_uuid("port s1-r1")].up is True
    assert states[row_uuid("port p1")].up is False


def test_the_group_of_ports_that_lead_to_no_router_exists_where_there_are_routers() -> None:
    engine = engine_of(DISTRIBUTED + "switch s2\nport s2 p2")
    groups = {key: row for key, row in engine.rows(GROUPS).items() if key[1] == L2_GROUP}
    assert set(groups) == {(row_uuid("s1"), L2_GROUP), (row_uuid("public"), L2_GROUP)}
    assert groups[row_uuid("s1"), L2_GROUP].ports == (ports.binding_ref("p1"),)


# --- what is announced ------------------------------------------------------------------------------------------------

NATS = """
nat r1 snat 172.16.0.100 10.0.0.0/24
nat r1 snat 172.16.0.120 10.1.0.0/24
nat r1 dnat_and_snat 172.16.0.110 10.0.0.1
nat r1 dnat_and_snat fd10::70 fd00::1
"""
SPOT = "nat r1 dnat_and_snat 172.16.0.111 10.0.0.2 port=p1 mac=0a:00:00:00:aa:11"


def test_the_gateway_announces_its_port_and_the_external_addresses_the_host_of_an_instance_its_own() -> None:
    assert binding(engine_of(DISTRIBUTED + NATS + SPOT), "public-r1").nat_addresses == (
        '0a:00:00:00:aa:11 172.16.0.111 is_chassis_resident("p1")',
        '0a:00:00:00:ff:02 172.16.0.100 is_chassis_resident("cr-r1-public")',
        '0a:00:00:00:ff:02 172.16.0.110 172.16.0.120 is_chassis_resident("cr-r1-public")',
    )


def test_a_gateway_router_announces_without_condition() -> None:
    engine = engine_of(GATEWAY_ROUTER + NATS.replace("nat r1 dnat_and_snat fd10::70 fd00::1\n", ""))
    assert binding(engine, "public-r1").nat_addresses == (
        "0a:00:00:00:ff:02 172.16.0.100",
        "0a:00:00:00:ff:02 172.16.0.110 172.16.0.120",
    )
    assert binding(engine, "s1-r1").nat_addresses == ()


def test_external_addresses_are_announced_only_if_that_is_asked_for() -> None:
    port = "port public public-r1 type=router addresses=router options:router-port=r1-public"
    assert binding(engine_of(DISTRIBUTED + NATS + port), "public-r1").nat_addresses == (
        '0a:00:00:00:ff:02 172.16.0.100 is_chassis_resident("cr-r1-public")',
    )


def test_addresses_that_are_spelled_out_are_announced_for_gateway_routers() -> None:
    port = (
        "port public public-r1 type=router addresses=router options:router-port=r1-public "
        "'options:nat-addresses=0a:00:00:00:ff:02 172.16.0.7 172.16.0.8'"
    )
    assert binding(engine_of(GATEWAY_ROUTER + port), "public-r1").nat_addresses == (
        "0a:00:00:00:ff:02 172.16.0.100",
        "0a:00:00:00:ff:02 172.16.0.7 172.16.0.8",
    )


def test_a_port_that_resides_on_the_redirect_chassis_is_announced_there() -> None:
    resides = """
    port s1 ln1 type=localnet addresses=unknown options:network_name=phys
    rport r1 r1-s1 0a:00:00:00:ff:01 10.0.0.254/24 options:reside-on-redirect-chassis=true
    """
    assert binding(engine_of(DISTRIBUTED + resides), "s1-r1").nat_addresses == (
        '0a:00:00:00:ff:01 10.0.0.254 is_chassis_resident("cr-r1-public")',
    )


# --- router advertisements --------------------------------------------------------------------------------------------


def test_hosts_are_told_to_advertise_a_router_by_the_options_of_its_port() -> None:
    ra = (
        "rport r1 r1-s1 0a:00:00:00:ff:01 10.0.0.254/24 fd00::fe/64 fd01::1/80 ra:send_periodic=true "
        "ra:address_mode=slaac ra:mtu=1400 ra:router_preference=HIGH ra:rdnss=fd00::53 ra:dnssl=a.b "
        "ra:route_info=HIGH-aef1::11/48"
    )
    assert dict(binding(engine_of(DISTRIBUTED + ra), "r1-s1").options) == {
        "peer": "s1-r1",
        "ipv6_ra_send_periodic": "true",
        "ipv6_ra_address_mode": "slaac",
        "ipv6_ra_max_interval": "600",
        "ipv6_ra_min_interval": "200",
        "ipv6_ra_prefixes": "fd00::/64 fd01::/80",
        "ipv6_ra_src_eth": "0a:00:00:00:ff:01",
        "ipv6_ra_src_addr": "fe80::800:ff:fe00:ff01",
        "ipv6_ra_prf": "HIGH",
        "ipv6_ra_mtu": "1400",
        "ipv6_ra_rdnss": "fd00::53",
        "ipv6_ra_dnssl": "a.b",
        "ipv6_ra_route_info": "HIGH-aef1::11/48",
    }


def test_what_is_wrong_with_advertisements_is_reported_and_the_rest_advertised() -> None:
    northbound = Northbound()
    ra = "ra:send_periodic=true ra:address_mode=slaac ra:max_interval=often"
    northbound.apply(f"{DISTRIBUTED}\nrport r1 r1-s1 0a:00:00:00:ff:01 fd00::fe/64 {ra}")
    engine = compiled(northbound)
    (failure,) = engine.failures()
    assert "r1-s1: ipv6_ra_configs: max_interval 'often' is not a number" in failure.error
    assert binding(engine, "r1-s1").options["ipv6_ra_max_interval"] == "600"
