"""Who may reach whom: the compiled cloud says the same as a reference evaluator that knows no flows.

Random histories of groups, rules, members, address groups, address pairs and port security go through the plugin's
rules and northd's; at each step both must equal a recompute, and packets run through the logical flows must arrive
exactly where `support.security_reference` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovine.model import cloud
from ovine.model.base import Uuid
from ovine.trace import Delivered, Options, World, endings, run
from support.cloud_chain import Chain
from support.security_reference import ICMP, First, View, reaches, why_not

GROUPS, NETWORKS, PORTS, RULES = range(3), range(2), range(5), range(8)


def uuid(kind: int, number: int) -> Uuid:
    return Uuid(f"{kind:08d}-0000-4000-8000-{number:012d}")


def net(number: int) -> Uuid:
    return uuid(1, number)


def port_id(number: int) -> Uuid:
    return uuid(4, number)


def group_id(number: int) -> Uuid:
    return uuid(6, number)


def mac(number: int) -> str:
    return f"fa:16:3e:00:00:{number:02x}"


def virtual_mac(number: int) -> str:
    return f"00:00:5e:00:01:{number:02x}"


def address(number: int, version: int) -> str:
    """A port's fixed IP. Ports 0 to 3 share a network, 4 has one of its own."""
    return f"10.{number // 4}.0.{16 + number}" if version == 4 else f"fd00:{number // 4}::{16 + number:x}"


def new_cloud() -> Chain:
    """Two networks, five ports with both IP versions, three groups that let everything out, two address groups.

    The third group lets its members in as a project's default group does.
    """
    chain = Chain()
    for number in NETWORKS:
        chain.put(cloud.Network(uuid=net(number), name=f"n{number}", mtu=1442))
        for version, cidr in ((4, f"10.{number}.0.0/24"), (6, f"fd00:{number}::/64")):
            chain.put(cloud.Subnet(uuid=uuid(2, 2 * number + version // 5), network=net(number), cidr=cidr,
                                   ip_version=version, enable_dhcp=False))  # fmt: skip
    for number in GROUPS:
        chain.put(cloud.SecurityGroup(uuid=group_id(number)))
        for version in (4, 6):
            chain.put(rule(100 + 2 * number + version // 5, number, "egress", version, (None, None, None), None))
    for version in (4, 6):
        chain.put(rule(106 + version // 5, 2, "ingress", version, (None, None, None), ("remote_group", group_id(2))))
    for number in range(2):
        chain.put(cloud.AddressGroup(uuid=uuid(8, number)))
    for number in PORTS:
        for version in (4, 6):
            chain.put(cloud.IPAllocation(uuid=uuid(3, 2 * number + version // 5), position=version // 5,
                                         subnet=uuid(2, 2 * (number // 4) + version // 5),
                                         ip_address=address(number, version)))  # fmt: skip
        chain.put(
            cloud.Port(
                uuid=port_id(number),
                network=net(number // 4),
                mac_address=mac(number),
                fixed_ips=(uuid(3, 2 * number), uuid(3, 2 * number + 1)),
                security_groups=(group_id(number % 2),),
            )
        )
    return chain


Service = tuple[str | None, int | None, int | None]
"""Protocol and ports, or type and code."""


def rule(
    number: int, of: int, direction: str, version: int, service: Service, remote: tuple[str, Any] | None
) -> cloud.SecurityGroupRule:
    protocol, low, high = service
    return cloud.SecurityGroupRule(
        uuid=uuid(7, number),
        security_group=group_id(of),
        direction=direction,
        ethertype=f"IPv{version}",
        protocol="ipv6-icmp" if (protocol, version) == ("icmp", 6) else protocol,
        port_range_min=low,
        port_range_max=high,
        **dict([remote] if remote else []),
    )


# --- changes --------------------------------------------------------------------------------------------------------

Change = Callable[[Chain], None]
PREFIXES = {4: ("10.0.0.0/24", "10.0.0.16/31", "10.0.0.18/32", "192.0.2.0/24"),
            6: ("fd00:0::/64", "fd00::10/127", "fd00::12/128", "2001:db8::/32")}  # fmt: skip
SERVICES: tuple[Service, ...] = (
    (None, None, None),
    ("tcp", None, None),
    ("tcp", 80, 80),
    ("tcp", 80, 443),
    ("udp", 53, 53),
    ("sctp", 1, 100),
    ("icmp", None, None),
    ("icmp", 8, None),
    ("icmp", 8, 0),
    ("gre", None, None),
    ("112", None, None),
)


@st.composite
def rules(draw: st.DrawFn) -> Change:
    version = draw(st.sampled_from((4, 6)))
    remotes = [None, *(("remote_ip_prefix", prefix) for prefix in PREFIXES[version])]
    remotes += [("remote_group", group_id(number)) for number in GROUPS]
    remotes += [("remote_address_group", uuid(8, number)) for number in range(2)]
    made = rule(
        draw(st.sampled_from(RULES)),
        draw(st.sampled_from(GROUPS)),
        draw(st.sampled_from(("ingress", "ingress", "egress"))),
        version,
        draw(st.sampled_from(SERVICES)),
        draw(st.sampled_from(remotes)),
    )

    def change(chain: Chain) -> None:
        with_groups(chain, {made.security_group, made.remote_group} - {None})
        chain.put(made)

    return change


def with_groups(chain: Chain, groups: Iterable[Any]) -> None:
    """Groups that are named must be there."""
    for key in groups:
        chain.cloud.setdefault((cloud.SecurityGroup, key), cloud.SecurityGroup(uuid=key))


def without_group(chain: Chain, key: Uuid) -> None:
    """A group goes with all that names it."""
    for (table, of), row in list(chain.cloud.items()):
        if isinstance(row, cloud.SecurityGroupRule) and key in (row.security_group, row.remote_group):
            chain.drop(table, of)
        if isinstance(row, cloud.Port):
            chain.change(table, of, security_groups=tuple(one for one in row.security_groups if one != key))
    chain.drop(cloud.SecurityGroup, key)


@st.composite
def members(draw: st.DrawFn) -> Change:
    groups = draw(st.lists(st.sampled_from(GROUPS), unique=True, max_size=3))
    number = draw(st.sampled_from(PORTS))
    chosen = tuple(sorted(map(group_id, groups)))

    def change(chain: Chain) -> None:
        with_groups(chain, chosen)
        chain.change(cloud.Port, port_id(number), security_groups=chosen)

    return change


@st.composite
def pairs(draw: st.DrawFn) -> Change:
    number = draw(st.sampled_from(PORTS))
    choices = [f"{ip} {mac(number)}" for ip in ("10.0.0.100", "10.9.0.0/16", "fd00::64", "fd09::/32")]
    choices += [f"10.0.0.101 {virtual_mac(number)}", f"fd00::65 {virtual_mac(number)}"]
    chosen = draw(st.lists(st.sampled_from(choices), unique=True, max_size=3))
    columns = {"allowed_address_pairs": tuple(sorted(chosen))}
    return lambda chain: chain.change(cloud.Port, port_id(number), **columns)


@st.composite
def ports(draw: st.DrawFn) -> Change:
    """Port security off and on, a service's port, a port that is down, one without addresses."""
    number = draw(st.sampled_from(PORTS))
    both = (uuid(3, 2 * number), uuid(3, 2 * number + 1))
    columns = draw(
        st.sampled_from(
            (
                {"port_security_enabled": False, "security_groups": (), "allowed_address_pairs": ()},
                {"port_security_enabled": True},
                {"device_owner": "network:dhcp"},
                {"device_owner": "compute:nova"},
                {"admin_state_up": False},
                {"admin_state_up": True},
                {"fixed_ips": ()},
                {"fixed_ips": both[:1]},
                {"fixed_ips": both},
            )
        )
    )

    def change(chain: Chain) -> None:
        chain.change(cloud.Port, port_id(number), **columns)
        if not columns.get("port_security_enabled", True):
            return
        row = View(chain.cloud).port(port_id(number))
        if not row.port_security_enabled:  # groups are for secured ports only, and so are pairs
            chain.change(cloud.Port, row.uuid, security_groups=(), allowed_address_pairs=())

    return change


@st.composite
def address_groups(draw: st.DrawFn) -> Change:
    choices = (*PREFIXES[4], *PREFIXES[6], "10.9.0.0/16", "fd00::64/128")
    chosen = draw(st.lists(st.sampled_from(choices), unique=True, max_size=4))
    made = cloud.AddressGroup(uuid=uuid(8, draw(st.integers(0, 1))), addresses=tuple(sorted(chosen)))
    return lambda chain: chain.put(made)


stateful = st.tuples(st.sampled_from(GROUPS), st.booleans()).map(
    lambda drawn: lambda chain: chain.put(cloud.SecurityGroup(uuid=group_id(drawn[0]), stateful=drawn[1]))
)
unruled = st.sampled_from([*RULES, *range(100, 108)]).map(
    lambda number: lambda chain: chain.drop(cloud.SecurityGroupRule, uuid(7, number))
)
ungrouped = st.sampled_from(GROUPS).map(lambda number: lambda chain: without_group(chain, group_id(number)))
CHANGES = st.one_of(
    rules(), rules(), rules(), unruled, members(), members(), pairs(), ports(), address_groups(), stateful, ungrouped
)


# --- packets --------------------------------------------------------------------------------------------------------


ASKED = (
    *((6, 999, port) for port in (79, 80, 81, 443, 444)),
    *((17, 53, port) for port in (53, 54)),
    *((132, 5, port) for port in (1, 100, 101)),
    *((1, kind, code) for kind, code in ((8, 0), (8, 1), (13, 0))),
    (47, 0, 0),
    (112, 0, 0),
)
"""Protocol and ports, or type and code: what rules speak of, and what is beside it."""


def a_packet(random: Random) -> First:
    """Mostly between ports' own addresses."""
    sender, receiver = random.sample(PORTS[:4] if random.random() < 0.95 else PORTS, 2)
    version = random.choice((4, 6))
    other = {4: ("10.0.0.100", "10.9.1.1", "10.0.0.200"), 6: ("fd00::64", "fd09::1", "fd00::c8")}[version]
    virtual = {4: "10.0.0.101", 6: "fd00::65"}[version]
    claim, target = (mac(sender), address(sender, version)), address(receiver, version)
    if random.random() < 0.2:
        spoofed = [(mac(sender), ip) for ip in other] + [(virtual_mac(sender), ip) for ip in (virtual, other[0])]
        claim = random.choice([*spoofed, (mac(9), claim[1])])
    elif random.random() < 0.1:
        target = random.choice(other)
    protocol, low, high = random.choice(ASKED)
    kind = ICMP[version] if protocol == 1 else protocol
    return First(port_id(sender), port_id(receiver), *claim, target, kind, low, high)


def arrives(world: World, packet: First) -> bool:
    """Whether logical flows deliver the packet, for which connection tracking knows no connection."""
    ip = f"ip{packet.version}"
    names = {6: "tcp", 17: "udp", 132: "sctp", 1: "icmp4", 58: "icmp6"}
    terms = [
        f'inport == "{packet.sender}"',
        f"eth.src == {packet.mac}",
        f"eth.dst == {mac(int(packet.receiver[-12:]))}",
        f"{ip}.src == {packet.source}",
        f"{ip}.dst == {packet.destination}",
        "ip.ttl == 64",
        f"ip.proto == {packet.protocol}",
    ]
    if packet.protocol in names:
        name = names[packet.protocol]
        low, high = ("type", "code") if name.startswith("icmp") else ("src", "dst")
        terms += [f"{name}.{low} == {packet.low}", f"{name}.{high} == {packet.high}"]
    trace = run(world, "", " && ".join(terms), Options(ct=("new",) * 4))
    return any(isinstance(end, Delivered) and end.port == packet.receiver for end, _ in endings(trace))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CHANGES, min_size=4, max_size=14), st.integers(0, 2**32))
def test_packets_arrive_exactly_where_the_rules_say(changes: list[Change], seed: int) -> None:
    random = Random(seed)
    chain = new_cloud()
    chain.settle()
    for number, change in enumerate(changes, start=1):
        change(chain)
        chain.settle()
        assert chain.audit() == []
        if number % 4 == 0 or number == len(changes):
            world = chain.world()
            for packet in (a_packet(random) for _ in range(40)):
                reason = why_not(chain.cloud, packet)
                assert arrives(world, packet) == (reason == ""), (packet, reason)


# --- the evaluator's own cases: what both must say ------------------------------------------------------------------

KNOWN = (
    # (changes to a new cloud, sender, receiver, service, why not)
    ((), 0, 2, (6, 999, 80), "no rule lets it in"),
    ((rule(0, 0, "ingress", 4, (None, None, None), ("remote_group", group_id(0))),), 0, 2, (6, 999, 80), ""),
    ((rule(0, 0, "ingress", 4, (None, None, None), ("remote_group", group_id(0))),), 1, 2, (6, 999, 80),
     "no rule lets it in"),
    ((rule(0, 0, "ingress", 6, (None, None, None), None),), 0, 2, (6, 999, 80), "no rule lets it in"),
    ((rule(0, 0, "ingress", 4, ("tcp", 80, 443), None),), 0, 2, (6, 999, 443), ""),
    ((rule(0, 0, "ingress", 4, ("tcp", 80, 443), None),), 0, 2, (6, 999, 444), "no rule lets it in"),
    ((rule(0, 0, "ingress", 4, ("tcp", 80, 443), None),), 0, 2, (17, 999, 443), "no rule lets it in"),
    ((rule(0, 0, "ingress", 4, ("icmp", 8, None), None),), 0, 2, (1, 8, 0), ""),
    ((rule(0, 0, "ingress", 4, ("icmp", 8, None), None),), 0, 2, (1, 13, 0), "no rule lets it in"),
    ((rule(0, 0, "ingress", 4, ("112", None, None), ("remote_ip_prefix", "10.0.0.16/32")),), 0, 2, (112, 0, 0), ""),
)  # fmt: skip


@pytest.mark.parametrize(("made", "sender", "receiver", "service", "reason"), KNOWN)
def test_cases_with_known_answers(
    made: tuple[cloud.SecurityGroupRule, ...], sender: int, receiver: int, service: tuple[int, int, int], reason: str
) -> None:
    chain = new_cloud()
    for row in made:
        chain.put(row)
    chain.settle()
    ends = (address(sender, 4), address(receiver, 4))
    packet = First(port_id(sender), port_id(receiver), mac(sender), *ends, *service)
    assert why_not(chain.cloud, packet) == reason
    assert arrives(chain.world(), packet) == reaches(chain.cloud, packet)
