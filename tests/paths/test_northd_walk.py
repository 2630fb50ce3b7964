"""Random northbound histories: what northd derives step by step is what it would derive at once, and no more is done.

`support.northd_walk` says what is checked. Routers have a walk of their own, test_router_walk.py.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.engine import Engine
from ovine.model import nb
from ovine.northd.flows import FLOWS
from support.northd import Northbound
from support.northd_walk import doing_it_again_does_nothing, walk

SWITCHES = ("s1", "s2", "s3")
PORTS = ("p1", "p2", "p3", "p4")
ADDRESSES = (
    "unknown",
    "0a:00:00:00:00:01 10.0.0.1",
    "0a:00:00:00:00:02 10.0.0.2 fd00::2",
    "0a:00:00:00:00:02;unknown",
    "0a:00:00:00:00:03 10.0.0.1",
    "nonsense",
    "dynamic",
    "dynamic 10.0.0.3",
    "0a:00:00:00:00:09 dynamic",
)


@st.composite
def port_command(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(PORTS))
    words = [f"port {draw(st.sampled_from(SWITCHES))} {name} addresses='{draw(st.sampled_from(ADDRESSES))}'"]
    optional = (
        f"type={draw(st.sampled_from(('localnet', 'localport', 'router', 'virtual')))}",
        "enabled=false",
        "security='0a:00:00:00:00:01 10.0.0.1'",
        "dhcpv4=d4",
        "dhcpv6=d6",
        f"options:requested-tnl-key={draw(st.sampled_from(('1', '5', 'x')))}",
        "options:hostname=h",
        "parent_name=p1",
        "tag_request=0",
        "options:mcast_flood=true",
        "options:mcast_flood_reports=true",
        f"options:qos_max_rate={draw(st.sampled_from(('1', '2000', 'x')))}",
        "options:qos_min_rate=1000",
    )
    words += draw(st.lists(st.sampled_from(optional), unique_by=lambda word: word.partition("=")[0], max_size=3))
    return " ".join(words)


OWNERS = (*SWITCHES, "@pg", "@pg2", "-")
ACLS = ("a1", "a2", "a3")
MATCHES = ("ip4", "udp", "outport == @pg && ip4.src == $as", "tcp.dst == 80", "ip4 &&")
ACTIONS = ("allow", "allow-related", "allow-stateless", "drop", "reject")


@st.composite
def acl_command(draw: st.DrawFn) -> str:
    """An ACL of a switch or a group; few names, so that the same one comes again with other columns or owners."""
    words = [f"acl {draw(st.sampled_from(OWNERS))} {draw(st.sampled_from(ACLS))}"]
    words += [draw(st.sampled_from(("from-lport", "to-lport"))), draw(st.sampled_from(("1", "2")))]
    words += [f"'{draw(st.sampled_from(MATCHES))}'", draw(st.sampled_from(ACTIONS))]
    optional = ("log=true", "label=7", "meter=m", "options:log-related=true", "options:apply-after-lb=true")
    return " ".join((*words, *draw(st.lists(st.sampled_from(optional), unique=True))))


COMMANDS = st.one_of(
    port_command(),
    acl_command(),
    st.sampled_from(ACLS).map(lambda name: f"unacl {name}"),
    st.lists(st.sampled_from(PORTS), unique=True).map(lambda ports: f"group pg2 {' '.join(ports)}"),
    st.sampled_from(PORTS).map(lambda name: f"delete {name}"),
    st.sampled_from(SWITCHES).map(lambda name: f"delete {name}"),
    st.tuples(st.sampled_from(SWITCHES), st.sampled_from(("", "vlan-passthru=true", "requested-tnl-key=2"))).map(
        lambda pair: f"switch {pair[0]} {pair[1]}"
    ),
    st.sampled_from(
        (
            "dhcp d4 cidr=10.0.0.0/24 server_id=10.0.0.254 server_mac=0a:00:00:00:00:fe lease_time=60",
            "dhcp d4 cidr=10.0.0.0/24 server_id=10.0.0.254",
            "dhcp d6 cidr=fd00::/64 server_id=0a:00:00:00:00:fe dhcpv6_stateless=true",
            "group pg p1 p2 p3",
            "group pg",
            "set as 10.0.0.1",
            "global default_acl_drop=true",
            "meter m rate=10",
            "meter m rate=10 fair=true",
            "meter m rate=20",
            "dns s1,s2 a=10.0.0.1",
            "qos s1,s2 q1 from-lport 1 ip4 dscp=1 rate=10",
            "qos s2 q1 to-lport 1 ip4 rate=10 burst=2",
            "qos s1 q2 from-lport 1 ip4 dscp=2 rate=10",
            "qos - q2 from-lport 1 'ip4 &&' dscp=2",
            "unqos q1",
            "copp s1,s2 dns=m reject=m dhcpv4-opts=none",
            "copp s2 dns=m",
            "copp - nonsense=m",
            "switch s1 mcast_snoop=true",
            "switch s2 mcast_snoop=true mcast_flood_unregistered=true mcast_table_size=0",
            "heard s1 239.1.1.1 h1 p1 p2",
            "heard s1 239.1.1.1 h2 p3",
            "heard s1 mrouters h1 p2",
            "heard s1 mrouters h1",
            "heard s2 ff0a::1 h1 p1",
            "heard s2 224.0.0.5 h1 p1",
            "switch s1 subnet=10.0.0.0/29",
            "switch s1 subnet=10.0.0.0/29 exclude_ips=10.0.0.2..10.0.0.4 ipv6_prefix=fd00::",
            "switch s2 mac_only=true",
            "switch s2 subnet=nonsense",
            "global mac_prefix=0a:00:aa",
            "dns s2 a=10.0.0.1 b=10.0.0.2",
            "dns -",
            "router r",
            "global ignore_lsp_down=false",
            "global",
            "host h1 nb_cfg=1",
            "host h2 nb_cfg=2",
            "bind p1 h1",
            "bind p1",
            "bind p2 h2 false",
        )
    ),
)


def apply(northbound: Northbound, command: str) -> bool:
    """Applies a command if it makes sense: a port's switch must exist, and a port is in one switch only."""
    words = command.split()
    switches = {row.name for (table, _), row in northbound.rows.items() if table.__name__ == "LogicalSwitch"}
    if words[0] == "port":
        northbound.apply(f"delete {words[2]}")
        if words[1] not in switches:
            return False
    if words[0] == "acl":
        owner = words[1].removeprefix("@")
        groups = {row.name for (table, _), row in northbound.rows.items() if table.__name__ == "PortGroup"}
        if owner != "-" and owner not in (groups if words[1].startswith("@") else switches):
            return False
    northbound.apply(command)
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=25))
def test_step_by_step_equals_at_once_and_a_recompute(commands: list[str]) -> None:
    northbound = Northbound()
    northbound.apply("switch s1\nswitch s2")
    check_acls(walk(northbound, commands, apply))


def check_acls(engine: Engine) -> None:
    """An ACL costs a flow for each of its owners that has switches, and no more for each switch; stateless ones two."""
    acls = engine.rows(nb.ACL)
    hints = Counter(
        row.external_ids["stage-hint"]
        for row in engine.rows(FLOWS).values()
        if row.external_ids["source"] == "acl" and row.external_ids.get("stage-hint")
    )
    for key, acl in acls.items():
        owners = [row for table in (nb.LogicalSwitch, nb.PortGroup) for row in engine.rows(table).values()]
        having = sum(key in row.acls for row in owners)
        assert hints[key[:8]] <= having * (2 if acl.action == "allow-stateless" or acl.label else 1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=12))
def test_doing_it_again_does_nothing(commands: list[str]) -> None:
    northbound = Northbound()
    northbound.apply("switch s1")
    for command in commands:
        apply(northbound, command)
    doing_it_again_does_nothing(northbound)
