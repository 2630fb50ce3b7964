"""HA_Chassis_Group and HA_Chassis: who may be a gateway, and whom gateways watch."""

from __future__ import annotations

from ovine import northd
from ovine.engine import Engine
from ovine.model import sb
from ovine.model.base import StrMap
from ovine.northd import ha_groups
from ovine.northd.ha_groups import Member
from support.northd import Northbound, compiled, row_uuid

TWO_TENANTS = """
switch public
port public ln type=localnet addresses=unknown options:network_name=phys
host gw1
host gw2
host h1
host h2
"""


def tenant(number: int) -> str:
    return f"""
    switch s{number}
    port s{number} p{number}
    port s{number} s{number}-r{number} type=router addresses=router options:router-port=r{number}-s{number}
    port public public-r{number} type=router addresses=router options:router-port=r{number}-public
    router r{number}
    rport r{number} r{number}-s{number} 0a:00:00:00:0{number}:01 10.{number}.0.254/24
    rport r{number} r{number}-public 0a:00:00:00:0{number}:02 172.16.0.10{number}/24 gateways=gw{number}:20,gw9:10
    """


def bound(northbound: Northbound, switch: str, port: str, host: str) -> None:
    """A host has a port; the southbound says so."""
    northbound.put(
        sb.DatapathBinding(uuid=row_uuid(f"dp {switch}"), external_ids=StrMap({"logical-switch": row_uuid(switch)}))
    )
    northbound.put(
        sb.PortBinding(
            uuid=row_uuid(f"binding {port}"),
            logical_port=port,
            datapath=row_uuid(f"dp {switch}"),
            chassis=row_uuid(f"host {host}"),
        )
    )


def two_tenants() -> Northbound:
    northbound = Northbound()
    northbound.apply(TWO_TENANTS + tenant(1) + tenant(2))
    bound(northbound, "s1", "p1", "h1")
    bound(northbound, "s2", "p2", "h2")
    return northbound


def refs(engine: Engine, group: str) -> set[str]:
    names = {row_uuid(f"host {name}"): name for name in ("gw1", "gw2", "h1", "h2")}
    return {names[one] for one in engine.rows(ha_groups.GROUPS)[group].ref_chassis}


def test_a_list_of_gateway_chassis_becomes_a_group_with_the_name_of_the_port() -> None:
    engine = compiled(two_tenants())
    members = engine.rows(ha_groups.MEMBERS)
    present, absent = members[Member("r1-public", "gw1")], members[Member("r1-public", "gw9")]
    assert (present.chassis, present.priority) == (row_uuid("host gw1"), 20)
    assert (absent.chassis, absent.priority) == (None, 10)
    assert absent.external_ids["chassis-name"] == "gw9"
    assert len(engine.rows(ha_groups.GROUPS)["r1-public"].ha_chassis) == 2


def test_a_group_of_the_northbound_keeps_its_name_goes_before_a_list_and_is_one_for_all_its_ports() -> None:
    northbound = two_tenants()
    northbound.apply("hagroup h gw1:5\nhagroup unused gw1:5")
    for number in (1, 2):
        networks = f"0a:00:00:00:0{number}:02 172.16.0.10{number}/24"
        northbound.apply(f"rport r{number} r{number}-public {networks} gateways=gw2:20 hagroup=h")
    engine = compiled(northbound)
    assert set(engine.rows(ha_groups.GROUPS)) == {"h"}
    assert set(engine.rows(ha_groups.MEMBERS)) == {Member("h", "gw1")}
    assert refs(engine, "h") == {"h1", "h2", "gw1"}


def test_gateways_watch_the_hosts_of_their_router_and_other_gateways_but_not_the_hosts_behind_them() -> None:
    engine = compiled(two_tenants())
    assert refs(engine, "r1-public") == {"h1", "gw1", "gw2"}
    assert refs(engine, "r2-public") == {"h2", "gw1", "gw2"}


def test_hosts_that_handle_floating_addresses_come_to_the_provider_network_and_are_watched() -> None:
    northbound = two_tenants()
    northbound.apply("nat r2 dnat_and_snat 172.16.0.50 10.2.0.1 port=p2 mac=0a:00:00:00:aa:02")
    engine = compiled(northbound)
    assert refs(engine, "r1-public") == {"h1", "h2", "gw1"}


def test_routers_that_are_joined_share_their_hosts() -> None:
    northbound = two_tenants()
    northbound.apply(
        """
        rport r1 r1-r2 0a:00:00:00:01:03 10.9.0.1/24 peer=r2-r1
        rport r2 r2-r1 0a:00:00:00:02:03 10.9.0.2/24 peer=r1-r2
        """
    )
    assert refs(compiled(northbound), "r1-public") == {"h1", "h2", "gw1", "gw2"}


def test_another_port_on_a_host_that_is_there_already_touches_no_group() -> None:
    northbound = two_tenants()
    northbound.apply("port s1 p3")
    engine = compiled(northbound)
    engine.log = []
    bound(northbound, "s1", "p3", "h1")
    northbound.feed(engine)
    engine.run()
    assert not any("ha_groups" in name for name, _ in engine.log)
    engine.log = []
    bound(northbound, "s1", "p3", "h2")
    northbound.feed(engine)
    engine.run()
    assert [key for name, key in engine.log if name.endswith("group_of_port")] == [row_uuid("rport r1-public")]
    assert "h2" in refs(engine, "r1-public")


def test_what_lies_beyond_a_shared_network_is_looked_for_once_for_all_its_routers() -> None:
    northbound = Northbound()
    northbound.apply(TWO_TENANTS)
    for number in range(1, 9):
        northbound.apply(tenant(number))
        northbound.apply(
            f"nat r{number} dnat_and_snat 172.16.1.{number} 10.{number}.0.1 port=p{number} mac=0a:00:00:00:aa:0{number}"
        )
        bound(northbound, f"s{number}", f"p{number}", "h1" if number % 2 else "h2")
    engine = northd.new_engine()
    northbound.feed(engine)
    engine.log = []
    engine.run()
    assert [key for name, key in engine.log if name == "within_reach"] == [(row_uuid("public"),)]
    assert refs(engine, "r1-public") == {"h1", "h2"}
