"""How little runs, and how few flows there are, when something changes around a DHCP relay."""

from __future__ import annotations

from ovine.engine import Engine
from ovine.northd.flows import FLOWS
from support.northd import Northbound, rules_run, start

CLOUD = """
switch s dhcp_relay_port=s-r
port s s-r type=router options:router-port=r-s
port s a addresses="0a:00:00:00:00:01 10.0.1.1"
meter m rate=10
relay d 172.16.0.5
router r
rport r r-s 0a:00:00:00:01:fe 10.0.1.254/24 relay=d
rport r r-ext 0a:00:00:00:02:fe 172.16.0.254/24
"""


def made(text: str = "") -> tuple[Northbound, Engine]:
    return start(CLOUD + text)


def again(northbound: Northbound, engine: Engine, text: str) -> list[str]:
    """The rules of the relay that run for a change."""
    names = rules_run(northbound, engine, text)
    assert not engine.failures()
    return sorted(name.removeprefix("dhcp_relay.") for name in names if name.startswith("dhcp_relay."))


def flows(engine: Engine) -> dict[tuple[int, str], str]:
    """Actions by table and match."""
    rows = engine.rows(FLOWS).values()
    return {(row.table_id, row.match): row.actions for row in rows if row.external_ids.get("source") == "dhcp_relay"}


def test_clients_cost_nothing() -> None:
    northbound, engine = made()
    before = flows(engine)
    ran = again(northbound, engine, 'port s b addresses="0a:00:00:00:00:02 10.0.1.2"\nport s c addresses=unknown')
    assert ran == []
    assert flows(engine) == before


def test_another_server_is_the_business_of_the_ports_that_use_it() -> None:
    northbound, engine = made("\nrelay e 172.16.0.6\nrport r r-t 0a:00:00:00:03:fe 10.0.3.254/24 relay=e")
    assert "relay" not in again(northbound, engine, "relay f 172.16.0.9")
    ran = again(northbound, engine, "relay d 172.16.0.7")
    assert ran.count("relay") == 1
    assert ran.count("relay_readable") == 1
    assert any("172.16.0.7" in actions for actions in flows(engine).values())
    assert not any("172.16.0.5" in match + actions for (_, match), actions in flows(engine).items())


def test_a_relay_that_is_taken_away_leaves_nothing() -> None:
    northbound, engine = made()
    assert len(flows(engine)) == 8
    northbound.apply("switch s\nrport r r-s 0a:00:00:00:01:fe 10.0.1.254/24")
    northbound.feed(engine)
    engine.run()
    assert flows(engine) == {}
    assert not engine.failures()


def test_requests_and_replies_are_limited_like_other_protocols() -> None:
    northbound, engine = made()
    northbound.apply("copp r dhcpv4-relay=m")
    northbound.feed(engine)
    engine.run()
    rows = [row for row in engine.rows(FLOWS).values() if "dhcp_relay_re" in row.actions]
    assert [row.controller_meter for row in rows] == ["m", "m"]
