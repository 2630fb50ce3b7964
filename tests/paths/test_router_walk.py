"""Random histories of routers, their ports, routes, policies, translations, and what hosts say about them."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.model import nb
from support.northd import Northbound
from support.northd_walk import doing_it_again_does_nothing, walk

ROUTERS = ("r1", "r2")
RPORTS = ("r-a", "r-b", "r-c")
NETWORKS = ("10.0.0.1/24", "10.0.0.2/24", "10.0.1.1/24", "fd00::1/64", "fe80::9/64", "10.0.0/24")
NEXT_HOPS = ("10.0.0.9", "10.0.0.8", "10.0.1.9", "fd00::9", "fe80::7", "discard", "nonsense")
PREFIXES = ("0.0.0.0/0", "192.168.0.0/24", "192.168.0.1/24", "fd09::/64", "nonsense")
MATCHES = ("ip4", "ip4.src == 10.0.0.1", "1", "ip4 &&")


def some(*words: str) -> st.SearchStrategy[list[str]]:
    """A few of the words, at most one for each column or option."""
    return st.lists(st.sampled_from(words), unique_by=lambda word: word.partition("=")[0], max_size=3)


def command(
    *parts: st.SearchStrategy[str] | str, more: st.SearchStrategy[list[str]] | None = None
) -> st.SearchStrategy[str]:
    drawn = [st.just(part) if isinstance(part, str) else part for part in parts]
    words = st.tuples(*drawn).map(" ".join)
    return words if more is None else st.tuples(words, more).map(lambda pair: " ".join((pair[0], *pair[1])))


ROUTER = st.sampled_from(ROUTERS)
RPORT = st.sampled_from(RPORTS)
HOLDER = st.sampled_from((*ROUTERS, "-"))
BFD = ("b1", "b2")
POLICIES = st.sampled_from(("p", "q", "s", "t"))
ACTIONS = st.sampled_from(("allow", "drop", "reroute", "jump"))
SWITCH = st.sampled_from(("s1", "s2"))
COMMANDS = st.one_of(
    command(
        "router",
        ROUTER,
        more=some(
            "chassis=h1",
            "enabled=false",
            "always_learn_from_arp_request=false",
            "dynamic_neigh_routers=true",
            "mac_binding_age_threshold=10",
            "mac_binding_age_threshold=10.0.0.0/24:5;0",
            "mac_binding_age_threshold=soon",
            "dnat_force_snat_ip=10.0.0.1",
            "requested-tnl-key=1",
            "mcast_relay=true",
        ),
    ),
    command(
        *("rport", ROUTER, RPORT, st.sampled_from(("0a:00:00:00:00:01", "0a:00:00:00:00:02", "nonsense"))),
        *(st.sampled_from(NETWORKS), st.sampled_from(NETWORKS)),
        more=some(
            "gateways=h1:2,h2:1",
            "enabled=false",
            "peer=r-b",
            "peer=r-a",
            "options:gateway_mtu=1400",
            "options:gateway_mtu=1300",
            "options:gateway_mtu_bypass=tcp",
            "options:route_table=blue",
            "options:reside-on-redirect-chassis=true",
            "options:redirect-type=bridged",
            "options:mcast_flood=true",
            "ra:address_mode=slaac",
            "ra:rdnss=nobody",
            "relay=d",
            "relay=e",
        ),
    ),
    command("unrport", RPORT),
    command("unrouter", ROUTER),
    command(
        *("route", HOLDER, st.sampled_from(("x", "y", "z")), st.sampled_from(PREFIXES), st.sampled_from(NEXT_HOPS)),
        more=some("table=blue", "policy=src-ip", "port=r-a", "bfd=b1", "bfd=b2", "options:ecmp_symmetric_reply=true"),
    ),
    command("unroute", st.sampled_from(("x", "y", "z"))),
    command(
        *("policy", HOLDER, POLICIES, st.sampled_from(("1", "2"))),
        *(st.sampled_from(MATCHES).map(lambda match: f"'{match}'"), ACTIONS),
        *(st.sampled_from(NEXT_HOPS), st.sampled_from(NEXT_HOPS)),
        more=some("pkt_mark=7", "chain=a", "chain=b", "to=a", "to=b", "to=c"),
    ),
    command("unpolicy", POLICIES),
    command("nat", ROUTER, st.sampled_from(("snat 10.0.0.1", "snat 10.0.1.7", "dnat_and_snat 10.0.1.7")), "10.1.0.1"),
    command("bfd", st.sampled_from(BFD), RPORT, st.sampled_from(("10.0.0.9", "fd00::9"))),
    command("unbfd", st.sampled_from(BFD)),
    command("said", RPORT, st.sampled_from(("10.0.0.9", "fd00::9")), st.sampled_from(("up", "down", "admin_down"))),
    command("mac", RPORT, "10.0.0.9", st.sampled_from(("0a:00:00:00:00:09", "nonsense"))),
    command("learned", ROUTER, RPORT, "10.0.0.9 0a:00:00:00:00:09", st.sampled_from(("0", "1000", "2000"))),
    command(
        *("port", SWITCH, st.sampled_from(("p1", "p2", "p3")), "type=router"),
        more=some("options:router-port=r-a", "options:router-port=r-b", "options:router-port=r-c", "enabled=false"),
    ),
    command(
        *("port", SWITCH, st.sampled_from(("p3", "p4"))),
        more=some(
            "addresses='0a:00:00:00:00:11 10.0.0.5 fd00::5'",
            "addresses='0a:00:00:00:00:12 10.0.0.1'",
            "type=localnet",
            "enabled=false",
        ),
    ),
    command("delete", st.sampled_from(("p1", "p2", "p3", "p4", "s1", "s2"))),
    command("fdb", st.sampled_from("12"), st.sampled_from("12"), "0a:00:00:00:00:11", st.sampled_from(("0", "1000"))),
    st.sampled_from(("switch s1", "switch s2 requested-tnl-key=1", "switch s1 mcast_snoop=true")),
    st.sampled_from(("switch s1 fdb_age_threshold=10", "switch s1 fdb_age_threshold=soon")),
    command("switch", SWITCH, st.sampled_from(("dhcp_relay_port=p1", "dhcp_relay_port=p2", "dhcp_relay_port=p4"))),
    command("relay", st.sampled_from("de"), st.sampled_from(("10.9.0.5", "10.9.0.6", "nonsense", ""))),
    command("heard", SWITCH, st.sampled_from(("239.1.1.1", "ff0a::1", "mrouters")), "h1", more=some("p1", "p3", "p4")),
)


def apply(northbound: Northbound, command: str) -> None:
    """Applies a command if it makes sense: what something is put into must exist, and a port is in one place only."""
    words = command.split()
    there = {row.name for row in northbound.rows.values() if isinstance(row, nb.LogicalSwitch | nb.LogicalRouter)}
    sessions = {(row.logical_port, row.dst_ip): row.uuid for row in northbound.rows.values() if isinstance(row, nb.BFD)}
    if words[0] in ("port", "rport"):
        northbound.apply(f"delete {words[2]}" if words[0] == "port" else f"unrport {words[2]}")
    if words[0] in ("port", "rport", "nat") and words[1] not in there:
        return
    if words[0] == "bfd" and (words[2], words[3]) in sessions:
        return  # an index of the northbound keeps sessions apart
    northbound.apply(command)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=25))
def test_routers_step_by_step_are_those_at_once_and_of_a_recompute(commands: list[str]) -> None:
    northbound = Northbound()
    northbound.apply("switch s1\nrouter r1\nrport r1 r-a 0a:00:00:00:00:01 10.0.0.1/24 fd00::1/64")
    northbound.apply("port s1 p1 type=router options:router-port=r-a")
    walk(northbound, commands, apply)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=12))
def test_telling_it_of_routers_again_does_nothing(commands: list[str]) -> None:
    northbound = Northbound()
    northbound.apply("switch s1\nrouter r1")
    for command in commands:
        apply(northbound, command)
    doing_it_again_does_nothing(northbound)
