"""Random histories of load balancers: their addresses, groups, checks, where they are, and what hosts find."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.northd import Northbound
from support.northd_walk import doing_it_again_does_nothing, walk

BALANCER = st.sampled_from(("web", "dns", "bad"))
VIPS = (
    "10.9.9.9:80=10.0.0.1:80,10.0.0.2:80",
    "10.9.9.9:80=",
    "10.9.9.9:80=10.0.0.2:8080",
    "10.9.9.8=10.0.0.1",
    "172.16.0.10:80=10.0.0.1:80",
    "172.16.0.100:80=10.0.0.1:80",
    "[fd09::9]:80=[fd00::1]:80",
    "10.9.9.9:80=[fd00::1]:80",
    "^vip:80=^backends",
    "nonsense=10.0.0.1",
)
SETTINGS = (
    "protocol=udp",
    "protocol=sctp",
    "fields=ip_src,tp_dst",
    "options:reject=true",
    "options:event=true",
    "options:affinity_timeout=60",
    "options:skip_snat=true",
    "options:neighbor_responder=all",
    "options:neighbor_responder=none",
    "options:hairpin_snat_ip=10.9.9.7",
    "options:template=true",
    "options:add_route=true",
    "check=10.9.9.9:80",
    "map=10.0.0.1=p1:10.0.0.9",
    "map=10.0.0.2=p2:10.0.0.9",
)


def few(words: tuple[str, ...], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), max_size=most, unique=True).map(" ".join)


def line(*parts: st.SearchStrategy[str] | str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(" ".join)


COMMANDS = st.one_of(
    line("lb", BALANCER, few(VIPS, 3), few(SETTINGS, 2)),
    line("unlb", BALANCER),
    line("lbgroup g", few(("web", "dns", "bad"), 3)),
    line("balance", st.sampled_from(("s1", "s2", "r1", "g1", "g2")), few(("web", "dns", "bad", "@g"), 2)),
    line("router g1", few(("chassis=h1", "lb_force_snat_ip=router_ip", "enabled=false"), 2)),
    line("router r1", few(("enabled=false",), 1)),
    line("rport r1 r1-out 0a:00:00:00:ff:01 172.16.0.100/24", few(("gateways=h1:2", "enabled=false"), 1)),
    line("rport r1 r1-more 0a:00:00:00:ff:02 172.17.0.100/24", few(("gateways=h1:2",), 1)),
    line("nat r1", st.sampled_from(("snat 172.16.0.100 10.0.0.0/24", "dnat_and_snat 172.16.0.10 10.0.0.1"))),
    st.sampled_from(("unnat r1 snat 172.16.0.100", "unnat r1 dnat_and_snat 172.16.0.10")),
    st.sampled_from(("port s1 p1 addresses=0a:00:00:00:00:01", "delete p1", "bind p1 h1", "bind p1")),
    line("found p1 10.0.0.1 80", st.sampled_from(("online", "offline", "error"))),
    st.sampled_from(("acl s1 a from-lport 1 ip4 allow-related", "acl s1 b from-lport 1 ip4 drop", "unacl a")),
    st.sampled_from(("global controller_event=true", "global svc_monitor_mac=0a:00:00:00:00:99", "global")),
    st.sampled_from(("templates h1 vip=10.9.9.1", "templates h1 vip=10.9.9.2 backends=10.0.0.1:80")),
)
START = (
    *("switch s1", "switch s2", "router r1", "router g1 chassis=h1", "router g2 chassis=h2"),
    *("port s2 out type=router options:router-port=r1-out addresses=router options:nat-addresses=router",),
    *("rport r1 r1-out 0a:00:00:00:ff:01 172.16.0.100/24 gateways=h1:2", "port s1 p1", "port s1 p2"),
    *("lb web 10.9.9.9:80=10.0.0.1:80", "lb dns 172.16.0.10:80=10.0.0.1:80", "lb bad", "lbgroup g dns"),
    *("balance s1 web", "balance r1 @g"),
    *("router q", "rport q q-s2 0a:00:00:00:ff:09 172.16.0.9/24", "port s2 q type=router options:router-port=q-s2"),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=12)
@given(st.lists(COMMANDS, max_size=12))
def test_every_history_of_load_balancers_comes_to_what_its_last_state_says(commands: list[str]) -> None:
    northbound = Northbound()
    walk(northbound, (*START, *commands), lambda to, text: to.apply(text))
    doing_it_again_does_nothing(northbound)
