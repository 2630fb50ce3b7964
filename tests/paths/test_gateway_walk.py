"""Random histories of gateways and NAT: what northd derives step by step is what it would derive at once.

As `test_northd_walk`, over router ports and where they are attached, gateway chassis and groups of them, NAT rules of
all kinds, and hosts that come and have ports.
"""

from __future__ import annotations

import shlex

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.engine import Engine
from ovine.model import nb, sb
from ovine.model.base import StrMap
from ovine.northd import ha_groups, ports
from support.northd import Northbound, row_uuid
from support.northd_walk import walk

START = """
switch s1
switch public
router r1
router r2 chassis=gw1
port s1 p1 addresses="0a:00:00:00:00:01 10.0.0.1"
port s1 s1-r1 type=router addresses=router options:router-port=r1-s1
port public public-r1 type=router addresses=router options:router-port=r1-public options:nat-addresses=router
port public public-r2 type=router addresses=router options:router-port=r2-public options:nat-addresses=router
rport r1 r1-s1 0a:00:00:00:ff:01 10.0.0.254/24
rport r1 r1-public 0a:00:00:00:ff:02 172.16.0.100/24 gateways=gw1:20,gw2:10
rport r2 r2-public 0a:00:00:00:ff:03 172.16.0.200/24
set friends 1.2.3.4
hagroup h gw1:5
"""

ROUTER_PORTS = (
    ("r1", "r1-s1", "0a:00:00:00:ff:01", ("10.0.0.254/24", "10.0.0.254/24 fd00::fe/64", "nonsense")),
    ("r1", "r1-public", "0a:00:00:00:ff:02", ("172.16.0.100/24 fd10::64/64", "172.17.0.100/24")),
    ("r1", "r1-b", "0a:00:00:00:ff:04", ("172.17.0.100/24", "10.9.0.1/24 peer=r2-r1")),
    ("r2", "r2-public", "0a:00:00:00:ff:03", ("172.16.0.200/24",)),
    ("r2", "r2-r1", "0a:00:00:00:ff:05", ("10.9.0.2/24 peer=r1-b", "10.9.0.2/24")),
)
PORT_OPTIONS = (
    "gateways=gw1:20,gw2:10",
    "gateways=gw2:30",
    "hagroup=h",
    "enabled=false",
    "options:redirect-type=bridged",
    "options:reside-on-redirect-chassis=true",
    "options:gateway_mtu=1400",
    "ra:send_periodic=true ra:address_mode=slaac",
)
EXTERNAL = ("172.16.0.110", "172.16.0.100", "172.17.0.110", "fd10::70", "172.16.0.0/24")
LOGICAL = ("10.0.0.1", "10.0.0.0/24", "10.0.0.2", "fd00::1")
NAT_OPTIONS = (
    "mac=0a:00:00:00:aa:01 port=p1",
    "port=p1",
    "options:stateless=true",
    "allowed=friends",
    "exempted=friends",
    "gateway=r1-public",
    "ports=1024-2047",
    "ports=x",
    "match='tcp.dst == 80'",
    "match='udp ||'",
    "priority=7",
    "as=other",
    "options:add_route=true",
)


def some(options: tuple[str, ...], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(options), unique_by=lambda word: word.partition("=")[0], max_size=most).map(
        " ".join
    )


@st.composite
def router_port(draw: st.DrawFn) -> str:
    router, name, mac, networks = draw(st.sampled_from(ROUTER_PORTS))
    return f"rport {router} {name} {mac} {draw(st.sampled_from(networks))} {draw(some(PORT_OPTIONS, 3))}"


@st.composite
def nat(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(("snat", "dnat", "dnat_and_snat")))
    where = f"{draw(st.sampled_from(('r1', 'r2')))} {kind} {draw(st.sampled_from(EXTERNAL))}"
    return f"nat {where} {draw(st.sampled_from(LOGICAL))} {draw(some(NAT_OPTIONS, 3))}"


COMMANDS = st.one_of(
    router_port(),
    nat(),
    nat(),
    st.tuples(st.sampled_from(("r1", "r2")), st.sampled_from(EXTERNAL)).map(
        lambda one: f"unnat {one[0]} snat {one[1]}"
    ),
    st.sampled_from([name for _, name, _, _ in ROUTER_PORTS]).map(lambda name: f"unrport {name}"),
    st.sampled_from(
        (
            "router r1",
            "router r1 enabled=false",
            "router r1 chassis=gw2",
            "router r2 chassis=gw1 options:dnat_force_snat_ip=10.9.0.2",
            "router r2 chassis=gw1 options:lb_force_snat_ip=router_ip",
            "router r2",
            "switch public broadcast-arps-to-all-routers=false",
            "port public ln type=localnet addresses=unknown",
            "delete ln",
            "delete public-r1",
            "port public public-r1 type=router addresses=router options:router-port=r1-public",
            "port public public-r1 type=router addresses='0a:00:00:00:ff:02' options:router-port=r1-b enabled=false",
            "port public public-b type=router addresses=router options:router-port=r1-b options:nat-addresses=router",
            "port s1 ln1 type=localnet addresses=unknown",
            "hagroup h gw1:5 gw2:6",
            "host gw1",
            "host gw2",
            "host h1",
            "here s1 p1 h1",
            "here public ln gw1",
        )
    ),
)


def apply(northbound: Northbound, command: str) -> None:
    """Applies a command; `here SWITCH PORT HOST` says that a host has a port."""
    words = shlex.split(command)
    if words[0] == "nat":
        # A rule that is in one router is taken out of the other.
        key = row_uuid(" ".join(("nat", *words[2:5], *(word for word in words[5:] if word.startswith("as=")))))
        for row in list(northbound.rows.values()):
            if isinstance(row, nb.LogicalRouter) and key in row.nat:
                northbound.put(msgspec.structs.replace(row, nat=tuple(one for one in row.nat if one != key)))
    if words[0] == "port":
        northbound.apply(f"delete {words[2]}")
    if words[0] != "here":
        northbound.apply(command)
        return
    _, switch, port, host = words
    datapath = row_uuid(f"datapath {switch}")
    northbound.put(sb.DatapathBinding(uuid=datapath, external_ids=StrMap({"logical-switch": row_uuid(switch)})))
    binding = row_uuid(f"binding {port}")
    chassis = row_uuid(f"host {host}")
    northbound.put(sb.PortBinding(uuid=binding, logical_port=port, datapath=datapath, chassis=chassis, up=True))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(COMMANDS, max_size=25))
def test_gateways_step_by_step_equal_at_once_and_a_recompute(commands: list[str]) -> None:
    northbound = Northbound()
    northbound.apply(START)
    check_gateways(walk(northbound, commands, apply))


def check_gateways(engine: Engine) -> None:
    """A chassisredirect port has its group; what bindings and groups refer to is there."""
    bindings = engine.rows(ports.PORT_BINDINGS)
    groups = engine.rows(ha_groups.GROUPS)
    for name, binding in bindings.items():
        assert (binding.type == "chassisredirect") == name.startswith("cr-")
        if binding.type == "chassisredirect":
            assert bindings[binding.options["distributed-port"]].options["chassis-redirect-port"] == name
            assert getattr(binding.ha_chassis_group, "key", None) in groups
    members = engine.rows(ha_groups.MEMBERS)
    for group in groups.values():
        assert {getattr(one, "key", None) for one in group.ha_chassis} <= set(members)
    assert {member.group for member in members} <= set(groups)
