"""What an address that is offered to neighbouring routers costs."""

from __future__ import annotations

from ovine.engine import Engine
from ovine.northd.flows import FLOWS
from ovine.northd.sets import ADDRESS_SETS
from support.northd import Northbound, compiled, row_uuid


def cloud(routers: int, addresses: int) -> Northbound:
    """A router with addresses, and others on the switch of its gateway port."""
    northbound = Northbound()
    northbound.apply("switch ext\nrouter r\nport ext ext-r type=router options:router-port=r-ext")
    northbound.apply("rport r r-ext 0a:00:00:00:ff:00 172.16.0.1/16 gateways=gw:20")
    for number in range(routers):
        northbound.apply(f"router q{number}\nport ext ext-q{number} type=router options:router-port=q{number}-ext")
        northbound.apply(f"rport q{number} q{number}-ext 0a:00:00:00:fe:{number:02x} 172.16.1.{number}/16")
    for number in range(addresses):
        northbound.apply(f"nat r dnat 203.0.113.{number} 10.0.0.{number} options:add_route=true")
    return northbound


def offered(engine: Engine) -> list[object]:
    return [key for key, row in engine.rows(FLOWS).items() if row.external_ids["source"] == "offered_routes"]


def test_addresses_and_routers_add_up() -> None:
    for routers, addresses in ((3, 4), (12, 4), (3, 20)):
        assert len(offered(compiled(cloud(routers, addresses)))) == routers + addresses


def test_an_address_more_runs_nothing_of_the_other_routers() -> None:
    northbound = cloud(10, 10)
    engine = compiled(northbound)
    engine.log = []
    northbound.apply("nat r dnat 203.0.113.100 10.0.0.100 options:add_route=true")
    northbound.feed(engine)
    engine.run()
    assert "203.0.113.100" in next(iter(engine.rows(ADDRESS_SETS).values())).addresses
    others = {row_uuid(f"rport q{number}-ext") for number in range(10)}
    assert not [name for name, key in engine.log if key in others]


def test_who_has_the_address_answers_as_before_when_it_is_offered_no_more() -> None:
    northbound = cloud(3, 1)
    engine = compiled(northbound)
    northbound.apply("unnat r dnat 203.0.113.0")
    northbound.feed(engine)
    engine.run()
    assert offered(engine) == []
    assert not engine.rows(ADDRESS_SETS)


def test_the_flow_that_finds_the_address_names_the_northbound_row() -> None:
    engine = compiled(cloud(1, 1))
    hints = {
        row.external_ids["stage-hint"]
        for row in engine.rows(FLOWS).values()
        if row.external_ids["source"] == "offered_routes" and row.external_ids["stage-name"] == "lr_in_resolve"
    }
    assert hints == {row_uuid("nat dnat 203.0.113.0 10.0.0.0")[:8]}
