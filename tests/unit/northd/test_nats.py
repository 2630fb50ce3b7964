"""What a NAT rule costs: flows for each rule, and rule keys run for each change."""

from __future__ import annotations

from ovine.engine import Engine
from ovine.northd.flows import FLOWS
from support.northd import Northbound, compiled, row_uuid

CLOUD = """
switch s1
switch public
port s1 p1 addresses="0a:00:00:00:00:01 10.0.0.1"
port s1 s1-r1 type=router addresses=router options:router-port=r1-s1
port public ln type=localnet addresses=unknown
port public public-r1 type=router addresses=router options:router-port=r1-public options:nat-addresses=router
router r1
rport r1 r1-s1 0a:00:00:00:ff:01 10.0.0.254/24
rport r1 r1-public 0a:00:00:00:ff:02 172.16.0.100/16 gateways=gw1:20
nat r1 snat 172.16.0.100 10.0.0.0/16
"""


def cloud(addresses: int) -> Northbound:
    northbound = Northbound()
    northbound.apply(CLOUD)
    for number in range(addresses):
        northbound.apply(f"nat r1 dnat_and_snat 172.16.1.{number} 10.0.1.{number}")
    return northbound


def changed(northbound: Northbound, engine: Engine, command: str) -> list[tuple[str, object]]:
    """The rules and queries that a command runs."""
    engine.log = []
    northbound.apply(command)
    northbound.feed(engine)
    engine.run()
    return list(engine.log)


def test_a_floating_address_costs_ten_flows_however_many_there_are() -> None:
    few, many = (len(compiled(cloud(count)).rows(FLOWS)) for count in (10, 60))
    assert many - few == 50 * 10


def test_one_on_the_spot_costs_four_more() -> None:
    northbound = cloud(5)
    before = len(compiled(northbound).rows(FLOWS))
    northbound.apply("nat r1 dnat_and_snat 172.16.2.1 10.0.2.1 mac=0a:00:00:00:aa:01 port=p1")
    assert len(compiled(northbound).rows(FLOWS)) - before == 10 + 4


def test_a_new_rule_runs_what_is_about_itself_and_no_other_rule() -> None:
    northbound = cloud(40)
    engine = compiled(northbound)
    ran = changed(northbound, engine, "nat r1 dnat_and_snat 172.16.3.1 10.0.3.1")
    others = {row_uuid(f"nat dnat_and_snat 172.16.1.{number} 10.0.1.{number}") for number in range(40)}
    assert not [name for name, key in ran if key in others]
    assert len(ran) < 40, ran


def test_a_set_of_peers_that_changes_runs_no_rule_of_nat() -> None:
    northbound = cloud(3)
    northbound.apply("set friends 1.2.3.4\nnat r1 snat 172.16.4.1 10.4.0.0/24 allowed=friends")
    engine = compiled(northbound)
    ran = changed(northbound, engine, "set friends 1.2.3.4 1.2.3.5")
    assert [name for name, _ in ran if ".nat" in name] == []


def test_a_rule_with_a_match_on_a_level_that_is_there_runs_no_other_rule() -> None:
    northbound = cloud(0)
    for number in range(20):
        northbound.apply(f'nat r1 snat 172.16.2.{number} 10.2.{number}.0/24 "match=tcp.dst == {number}" priority=3')
    engine = compiled(northbound)
    before = len(engine.rows(FLOWS))
    ran = changed(northbound, engine, 'nat r1 snat 172.16.3.1 10.3.0.0/24 "match=tcp.dst == 90" priority=3')
    others = {row_uuid(f"nat snat 172.16.2.{number} 10.2.{number}.0/24") for number in range(20)}
    assert not [name for name, key in ran if key in others]
    northbound.apply("unnat r1 snat 172.16.3.1")
    assert before == len(compiled(northbound).rows(FLOWS))


def test_a_match_costs_a_rule_no_flow() -> None:
    plain, matching = cloud(0), cloud(0)
    plain.apply("nat r1 dnat_and_snat 172.16.2.1 10.0.2.1")
    matching.apply('nat r1 dnat_and_snat 172.16.2.1 10.0.2.1 "match=tcp" priority=7')
    assert len(compiled(plain).rows(FLOWS)) == len(compiled(matching).rows(FLOWS))
