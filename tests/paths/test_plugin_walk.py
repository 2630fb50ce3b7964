"""Random histories of a cloud: the plugin's incremental output equals a recompute, whatever the order of changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ovine.engine import Engine
from ovine.model import cloud, nb, sb
from ovine.model.base import Map, Row, Uuid
from ovine.model.chassis import GATEWAY, METADATA_ID, METADATA_SB_CFG
from ovine.plugin import AGENT_TABLES, CLOUD, NORTHBOUND, RULES
from ovine.plugin.agents import REMOVALS
from ovine.plugin.gateways import Southbound
from ovine.plugin.settings import Settings

WATCHED = (*(target.relation for target in (*NORTHBOUND, *CLOUD, *AGENT_TABLES)), REMOVALS)


def uuid(kind: int, number: int) -> Uuid:
    return Uuid(f"{kind:08d}-0000-4000-8000-{number:012d}")


def network(number: int, kind: str, mtu: int) -> cloud.Network:
    physical = "physnet1" if kind in ("vlan", "flat") else ""
    return cloud.Network(uuid=uuid(1, number), name=f"n{number}", network_type=kind, physical_network=physical, mtu=mtu)


def subnet(number: int, net: int, version: int, dhcp: bool, gateway: bool) -> cloud.Subnet:
    base = f"10.{number}.0." if version == 4 else f"fd00:{number}::"
    return cloud.Subnet(
        uuid=uuid(2, number),
        network=uuid(1, net),
        ip_version=version,
        cidr=f"{base}0/24" if version == 4 else f"{base}/64",
        gateway_ip=f"{base}1" if gateway else None,
        enable_dhcp=dhcp,
        ipv6_address_mode="dhcpv6-stateful" if version == 6 else None,
    )


def address(number: int, sub: int, position: int) -> cloud.IPAllocation:
    return cloud.IPAllocation(
        uuid=uuid(3, number), subnet=uuid(2, sub), ip_address=f"10.{sub}.0.{10 + number}", position=position
    )


def port(
    number: int,
    net: int,
    ips: list[int],
    owner: str,
    secure: bool,
    opts: dict[str, str],
    groups: list[int],
    name: str = "",
    policy: int | None = None,
    pairs: list[int] | None = None,
) -> cloud.Port:
    return cloud.Port(
        uuid=uuid(4, number),
        network=uuid(1, net),
        mac_address=f"fa:16:3e:00:00:{number:02x}",
        fixed_ips=tuple(sorted({uuid(3, ip) for ip in ips})),
        device_owner=owner,
        port_security_enabled=secure,
        security_groups=tuple(sorted({uuid(6, group) for group in groups})),
        extra_dhcp_opts=Map(opts),
        device_id="i",
        binding_host_id="h0" if policy == 1 else "",
        dns_name=name,
        allowed_address_pairs=tuple(sorted({f"10.{p}.0.{10 + p} fa:16:3e:00:00:0{p}" for p in pairs or ()})),
        qos_policy=None if policy is None else uuid(15, policy),
    )


def switch_port(number: int, up: bool) -> nb.LogicalSwitchPort:
    return nb.LogicalSwitchPort(uuid=uuid(5, number), name=uuid(4, number), up=up)


def group(number: int, stateful: bool) -> cloud.SecurityGroup:
    return cloud.SecurityGroup(uuid=uuid(6, number), stateful=stateful)


def group_rule(number: int, of: int, protocol: str | None, remote: int | None, version: int) -> cloud.SecurityGroupRule:
    return cloud.SecurityGroupRule(
        uuid=uuid(7, number),
        security_group=uuid(6, of),
        protocol=protocol,
        ethertype=f"IPv{version}",
        remote_group=None if remote is None else uuid(6, remote),
    )


def address_group(number: int, addresses: list[str]) -> cloud.AddressGroup:
    return cloud.AddressGroup(uuid=uuid(8, number), addresses=tuple(sorted(set(addresses))))


def router(
    number: int, gateways: list[int], interfaces: list[int], routes: list[str], snat: bool, ecmp: bool, bfd: bool
) -> cloud.Router:
    return cloud.Router(
        uuid=uuid(9, number),
        gateways=Map(enumerate(dict.fromkeys(uuid(4, p) for p in gateways))),
        interfaces=tuple(sorted({uuid(4, p) for p in interfaces if p not in gateways})),
        routes=tuple(sorted(set(routes))),
        enable_snat=snat,
        enable_default_route_ecmp=ecmp,
        enable_default_route_bfd=bfd,
    )


def floating(number: int, outside: int, to: int | None, by: int, policy: int | None = None) -> cloud.FloatingIP:
    used = to is not None
    return cloud.FloatingIP(
        uuid=uuid(10, number),
        floating_network=uuid(1, 0),
        floating_port=uuid(4, outside),
        floating_ip_address=f"192.0.2.{number}",
        port=uuid(4, to) if to is not None else None,
        fixed_ip=uuid(3, to) if to is not None else None,
        router=uuid(9, by) if used or by < 2 else None,
        interface=uuid(4, 0) if used else None,
        gateway=uuid(4, 1) if used else None,
        qos_policy=None if policy is None else uuid(15, policy),
    )


def nat(number: int) -> nb.NAT:
    return nb.NAT(uuid=uuid(11, number), external_ids=Map({"neutron:fip_id": uuid(10, number)}))


def scheduled(number: int, port_number: int, chassis: int, priority: int) -> nb.GatewayChassis:
    name = f"lrp-{uuid(4, port_number)}_hv{chassis}-{number}"
    return nb.GatewayChassis(uuid=uuid(12, number), name=name, chassis_name=f"hv{chassis}", priority=priority)


def chassis(number: int, offers: bool, mapped: bool) -> sb.Chassis:
    settings = {"ovn-cms-options": GATEWAY if offers else "", "ovn-bridge-mappings": "physnet1:br" if mapped else ""}
    return sb.Chassis(uuid=uuid(13, number), name=f"hv{number}", hostname=f"host{number}", other_config=Map(settings))


def binding(number: int, port_number: int, on: int | None) -> sb.PortBinding:
    bound = None if on is None else uuid(13, on)
    return sb.PortBinding(uuid=uuid(14, number), logical_port=f"cr-lrp-{uuid(4, port_number)}", chassis=bound)


def limit(number: int, policy: int, direction: str, rate: int) -> cloud.QoSBandwidthLimitRule:
    return cloud.QoSBandwidthLimitRule(
        uuid=uuid(16, number), policy=uuid(15, policy), direction=direction, max_kbps=rate
    )


def mark(number: int, policy: int, dscp: int) -> cloud.QoSDSCPMarkingRule:
    return cloud.QoSDSCPMarkingRule(uuid=uuid(17, number), policy=uuid(15, policy), dscp_mark=dscp)


def forwarding(number: int, of: int, to: int, protocol: str, ports: str) -> cloud.PortForwarding:
    return cloud.PortForwarding(
        uuid=uuid(18, number),
        floating_ip=uuid(10, of),
        protocol=protocol,
        external_ports=ports,
        internal_ports="80:80",
        port=uuid(4, to),
        fixed_ip=uuid(3, to),
        router=uuid(9, 0),
    )


def inactive(number: int, of: int, host: str) -> cloud.PortBinding:
    return cloud.PortBinding(uuid=uuid(21, number), port=uuid(4, of), host=host)


def trunk(number: int, parent: int) -> cloud.Trunk:
    return cloud.Trunk(uuid=uuid(19, number), port=uuid(4, parent))


def subport(number: int, of: int, child: int) -> cloud.SubPort:
    return cloud.SubPort(uuid=uuid(20, number), trunk=uuid(19, of), port=uuid(4, child), segmentation_id=number + 1)


def private(number: int, on: int, answered: int, metadata: str | None) -> sb.ChassisPrivate:
    marks = {} if metadata is None else {METADATA_ID: uuid(23, number), METADATA_SB_CFG: metadata}
    return sb.ChassisPrivate(
        uuid=uuid(22, number), name=uuid(24, number), chassis=uuid(13, on), nb_cfg=answered, external_ids=Map(marks)
    )


def agent(number: int, kind: int, responding: bool, heartbeat: str, removal: bool) -> cloud.Agent:
    return cloud.Agent(
        uuid=uuid(23 + kind, number),
        responding=responding,
        heartbeat_at=heartbeat,
        started_at=heartbeat,
        created_at=heartbeat,
        removal=removal,
    )


def check(number: int, asked: list[int]) -> cloud.AgentCheck:
    return cloud.AgentCheck(uuid=uuid(25, number), asked=Map({n: f"2026-01-01T00:00:0{n}Z" for n in asked}))


few = st.integers(0, 2)
some = st.lists(few, max_size=2)
cidrs = st.lists(st.sampled_from(["192.0.2.0/24", "fd00::/64"]), max_size=2)
options = st.sampled_from([{}, {"4:mtu": "1300"}, {"4:dhcp_disabled": "true"}, {"4:no-such-option": "1"}])
owners = st.sampled_from(["", "compute:nova", "network:distributed", "network:dhcp", "network:router_gateway"])
hops = st.lists(st.sampled_from(["192.168.0.0/16,10.0.0.9", "::/0,fd00::9"]), max_size=2)
yes = st.booleans()
known = st.sampled_from([None, Southbound()]).map(lambda value: (Southbound, (), value))
chosen = st.booleans().map(lambda value: (Settings, (), Settings(distributed_floating_ips=value)))


def change(row: type[Row], kind: int, make: Callable[..., Row], *parts: Any) -> Any:
    """A row of one of three ids made anew, or gone."""
    made = st.tuples(few, st.none() | st.tuples(*parts))
    return made.map(lambda m: (row, uuid(kind, m[0]), None if m[1] is None else make(m[0], *m[1])))


changes = st.one_of(
    change(cloud.Network, 1, network, st.sampled_from(["geneve", "vlan", "flat"]), st.sampled_from([1442, 1500])),
    change(cloud.Subnet, 2, subnet, few, st.sampled_from([4, 6]), st.booleans(), st.booleans()),
    change(cloud.IPAllocation, 3, address, few, st.integers(0, 1)),
    change(
        cloud.Port,
        4,
        port,
        few,
        some,
        owners,
        st.booleans(),
        options,
        some,
        st.sampled_from(["", "a", "b"]),
        st.none() | few,
        some,
    ),
    change(cloud.QoSBandwidthLimitRule, 16, limit, few, st.sampled_from(["ingress", "egress"]), st.integers(1, 2)),
    change(cloud.QoSDSCPMarkingRule, 17, mark, few, st.sampled_from([8, 26])),
    change(cloud.SecurityGroup, 6, group, st.booleans()),
    change(
        cloud.SecurityGroupRule,
        7,
        group_rule,
        few,
        st.sampled_from([None, "tcp", "112"]),
        st.none() | few,
        st.sampled_from([4, 6]),
    ),
    change(cloud.AddressGroup, 8, address_group, cidrs),
    change(nb.LogicalSwitchPort, 5, switch_port, st.booleans()),
    change(cloud.Router, 9, router, some, some, hops, yes, yes, yes),
    change(cloud.FloatingIP, 10, floating, few, st.none() | few, few, st.none() | few),
    change(
        cloud.PortForwarding,
        18,
        forwarding,
        few,
        few,
        st.sampled_from(["tcp", "udp"]),
        st.sampled_from(["80:80", "80:82"]),
    ),
    change(nb.NAT, 11, nat),
    change(cloud.Trunk, 19, trunk, few),
    change(cloud.PortBinding, 21, inactive, few, st.sampled_from(["h1", "h2"])),
    change(cloud.SubPort, 20, subport, few, few),
    change(nb.GatewayChassis, 12, scheduled, few, few, st.integers(1, 3)),
    change(sb.Chassis, 13, chassis, yes, yes),
    change(sb.PortBinding, 14, binding, few, st.none() | few),
    change(sb.ChassisPrivate, 22, private, few, few, st.sampled_from([None, "", "1", "2"])),
    change(cloud.Agent, 23, lambda n, *parts: agent(n, 0, *parts), yes, st.sampled_from(["", "2026"]), yes),
    change(cloud.Agent, 24, lambda n, *parts: agent(n, 1, *parts), yes, st.sampled_from(["", "2026"]), yes),
    change(cloud.AgentCheck, 25, check, some),
    known,
    chosen,
)


def fed(*rows: Row) -> list[Any]:
    return [(type(row), row.uuid, row) for row in rows]


ROUTED = fed(
    network(0, "vlan", 1500),
    network(1, "geneve", 1442),
    subnet(0, 0, 4, False, True),
    subnet(1, 1, 4, True, True),
    subnet(2, 1, 6, True, True),
    address(0, 1, 0),
    address(1, 0, 0),
    address(2, 1, 0),
    port(0, 1, [0], "network:router_interface", False, {}, []),
    port(1, 0, [1], "network:router_gateway", False, {}, []),
    port(2, 1, [2], "compute:nova", True, {}, []),
    port(5, 0, [], "network:floatingip", False, {}, []),
    router(0, [1], [0], ["192.168.0.0/16,10.0.0.9"], True, False, True),
    floating(0, 5, 2, 0, 0),
    limit(0, 0, "egress", 1000),
    chassis(0, True, True),
    chassis(1, True, True),
    switch_port(2, True),
    scheduled(0, 1, 0, 2),
)
"""A cloud with a router, its gateway and a floating IP, from which a history may start."""
histories = st.builds(
    lambda start, more: [*start, *more], st.sampled_from([[], ROUTED]), st.lists(changes, max_size=30)
)


@settings(max_examples=300, deadline=None)
@given(histories)
def test_incremental_equals_recompute_on_any_history(history: list[Any]) -> None:
    engine = Engine(RULES, WATCHED)
    for relation, key, row in history:
        engine.feed(relation, key, row)
        engine.run()
    assert engine.audit() == []
    assert engine.failures() == engine.recomputed().failures()


@settings(max_examples=100, deadline=None)
@given(histories, st.randoms())
def test_the_last_state_alone_decides(history: list[Any], random: Any) -> None:
    one_by_one, at_once = Engine(RULES, WATCHED), Engine(RULES, WATCHED)
    one_by_one.run()  # there may be no history
    for relation, key, row in history:
        one_by_one.feed(relation, key, row)
        one_by_one.run()
    final = list({(relation, key): row for relation, key, row in history}.items())
    random.shuffle(final)
    for (relation, key), row in final:
        at_once.feed(relation, key, row)
    at_once.run()
    assert one_by_one.differences(at_once) == []
