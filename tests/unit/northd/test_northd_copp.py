"""Control plane protection: which flows are metered, and which complaints there are."""

from __future__ import annotations

import pytest

from ovine.engine import Engine
from ovine.northd.flows import FLOWS, Scope
from support.northd import Northbound, compiled, row_uuid

ALL = """
switch s1
switch s2
meter m rate=10
meter fast rate=1000
dns s1,s2 vm1=10.0.0.1
dhcp d4 cidr=10.0.0.0/24 server_id=10.0.0.254 server_mac=0a:00:00:00:00:fe lease_time=60
dhcp d6 cidr=fd00::/64 server_id=0a:00:00:00:00:fe
port s1 p1 addresses='0a:00:00:00:00:01 10.0.0.1 fd00::1' dhcpv4=d4 dhcpv6=d6
port s2 p2 addresses='0a:00:00:00:00:02 10.0.0.2 fd00::2' dhcpv4=d4 dhcpv6=d6
acl s1 a1 to-lport 1 ip4 reject
acl s2 a2 to-lport 1 ip4 reject
"""


def made(text: str) -> Engine:
    northbound = Northbound()
    northbound.apply(ALL + text)
    return compiled(northbound)


def metered(engine: Engine) -> set[tuple[str, str]]:
    """(stage, meter) of flows that have a meter."""
    rows = engine.rows(FLOWS).values()
    return {(row.external_ids["stage-name"], row.controller_meter) for row in rows if row.controller_meter}


@pytest.mark.parametrize(
    ("protocol", "word"),
    [("dns", "dns_lookup"), ("dhcpv4-opts", "put_dhcp_opts"), ("dhcpv6-opts", "put_dhcpv6_opts"), ("reject", "reject")],
)
def test_all_that_a_protocol_hands_to_the_controller_is_limited_where_the_row_is(protocol: str, word: str) -> None:
    engine = made(f"copp s1 {protocol}=m")
    rows = {
        key: row
        for key, row in engine.rows(FLOWS).items()
        if f"{word}" in row.actions and "reg0[5] =" not in row.actions
    }
    limited = {key for key, row in rows.items() if row.controller_meter == "m"}
    assert limited and {row.controller_meter for row in engine.rows(FLOWS).values()} == {None, "m"}
    assert {row.controller_meter for key, row in engine.rows(FLOWS).items() if key not in rows} == {None}
    switch = next(iter(limited))[0]
    assert not isinstance(switch, Scope)
    for place, pipeline, table, priority, match in rows:
        if place == switch:
            assert rows[place, pipeline, table, priority, match].controller_meter == "m"
        elif isinstance(place, Scope):
            assert (switch, pipeline, table, priority + 1, match) in limited, "the limited one goes first"


ROUTERS = """
router r1
router r2
rport r1 r1-a 0a:00:00:00:01:fe 10.0.0.254/24 fd00::fe/64 ra:address_mode=slaac options:gateway_mtu=1400
rport r2 r2-a 0a:00:00:00:02:fe 10.0.0.254/24 fd00::fe/64 ra:address_mode=slaac
rport r1 r1-b 0a:00:00:00:03:fe 10.0.1.254/24
bfd b r1-a 10.0.0.9
"""


@pytest.mark.parametrize(
    ("protocol", "limited"),
    [
        ("arp", {"put_arp"}),
        ("nd-na", {"put_nd(inport, nd.target", "nd_na_router"}),
        ("nd-ns", {"put_nd(inport, ip6.src"}),
        ("arp-resolve", {"arp {"}),
        ("nd-ns-resolve", {"nd_ns {"}),
        ("icmp4-error", {"icmp4 {", "icmp4_error {"}),
        ("icmp6-error", {"icmp6 {", "icmp6_error {"}),
        ("tcp-reset", {"tcp_reset {", "sctp_abort {"}),
        ("nd-ra-opts", {"put_nd_ra_opts"}),
        ("bfd", {"handle_bfd_msg"}),
    ],
)
def test_what_a_router_hands_to_the_controller_is_limited_by_protocol(protocol: str, limited: set[str]) -> None:
    rows = made(f"{ROUTERS}copp r1 {protocol}=m").rows(FLOWS)
    router = row_uuid("router r1")
    mine = {key: row for key, row in rows.items() if key[0] == router and any(word in row.actions for word in limited)}
    assert {row.controller_meter for row in mine.values()} == {"m"}
    assert all(any(word in row.actions for row in mine.values()) for word in limited)
    assert {row.controller_meter for key, row in rows.items() if key not in mine} == {None}
    for place, pipeline, table, priority, match in rows:
        if isinstance(place, Scope) and any(
            w in rows[place, pipeline, table, priority, match].actions for w in limited
        ):
            assert (router, pipeline, table, priority + 1, match) in mine, "the limited one goes first"


def test_what_has_no_effect_is_reported() -> None:
    engine = made("copp s1 dns=none arp=m nonsense=m")
    assert metered(engine) == set()
    (failure,) = engine.failures()
    complaint = "control plane protection copp: nonsense is no protocol that can be limited; there is no meter none"
    assert failure.error.endswith(complaint)


def test_a_meter_that_comes_and_goes_takes_its_flows_along() -> None:
    northbound = Northbound()
    northbound.apply(ALL + "copp s1,s2 dns=fast")
    engine = compiled(northbound)
    assert metered(engine) == {("ls_in_answer", "fast")}
    northbound.apply("copp - dns=fast")
    northbound.feed(engine)
    engine.run()
    assert metered(engine) == set()
