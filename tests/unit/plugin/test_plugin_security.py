"""Security groups as port groups and ACLs, address groups as address sets: the shapes of an ML2/OVN northbound."""

from __future__ import annotations

from typing import Any

import pytest

from ovine.engine import Engine
from ovine.model import cloud
from ovine.model.base import NO_UUID, Uuid
from ovine.plugin import CLOUD, NORTHBOUND, RULES
from ovine.plugin.networks import SWITCH_PORTS
from ovine.plugin.rule_match import address_set, group_name, rule_match
from ovine.plugin.security import ACLS, ADDRESS_SETS, DROP_GROUP, PORT_GROUPS
from ovine.projection import ref

NET = Uuid("11111111-0000-4000-8000-000000000001")
GROUP = Uuid("66666666-0000-4000-8000-000000000001")
OTHER = Uuid("66666666-0000-4000-8000-000000000002")
RULE = Uuid("77777777-0000-4000-8000-000000000001")
ADDRESSES = Uuid("88888888-0000-4000-8000-000000000001")
PG = "pg_66666666_0000_4000_8000_000000000001"


def uuid(number: int) -> Uuid:
    return Uuid(f"33333333-0000-4000-8000-{number:012d}")


def port(number: int, **changes: Any) -> cloud.Port:
    base: dict[str, Any] = {
        "uuid": uuid(number),
        "network": NET,
        "mac_address": f"fa:16:3e:00:00:{number:02x}",
        "security_groups": (GROUP,),
    }
    return cloud.Port(**{**base, **changes})


def group_rule(**changes: Any) -> cloud.SecurityGroupRule:
    return cloud.SecurityGroupRule(**{"uuid": RULE, "security_group": GROUP, **changes})


@pytest.fixture
def engine() -> Engine:
    """One network with three ports of one group, which has one rule."""
    made = Engine(RULES, watch=[t.relation for t in (*NORTHBOUND, *CLOUD)])
    made.feed(cloud.Network, NET, cloud.Network(uuid=NET, mtu=1442))
    made.feed(cloud.SecurityGroup, GROUP, cloud.SecurityGroup(uuid=GROUP))
    made.feed(cloud.SecurityGroupRule, RULE, group_rule())
    for number in range(3):
        made.feed(cloud.Port, uuid(number), port(number))
    made.run()
    assert made.failures() == []
    return made


def refs(*numbers: int) -> tuple[Uuid, ...]:
    return tuple(sorted(ref(SWITCH_PORTS, uuid(number)) for number in numbers))


def test_a_group_is_a_port_group_of_its_ports_and_rules(engine: Engine) -> None:
    row = engine.rows(PORT_GROUPS)[PG]
    assert row.name == PG == group_name(GROUP)
    assert row.ports == refs(0, 1, 2)
    assert row.acls == (ref(ACLS, RULE),)
    assert dict(row.external_ids) == {"neutron:security_group_id": GROUP}


def test_a_rule_allows_and_tracks_connections(engine: Engine) -> None:
    row = engine.rows(ACLS)[RULE]
    assert (row.priority, row.direction, row.action) == (1002, "to-lport", "allow-related")
    assert row.match == f"outport == @{PG} && ip4"
    assert dict(row.external_ids) == {"neutron:security_group_rule_id": RULE}


def test_the_rules_of_a_stateless_group_do_not_track(engine: Engine) -> None:
    engine.feed(cloud.SecurityGroup, GROUP, cloud.SecurityGroup(uuid=GROUP, stateful=False))
    engine.run()
    assert engine.rows(ACLS)[RULE].action == "allow-stateless"


def test_what_no_rule_allows_is_dropped_at_ports_with_port_security(engine: Engine) -> None:
    engine.feed(cloud.Port, uuid(3), port(3, security_groups=(), port_security_enabled=False))
    engine.feed(cloud.Port, uuid(4), port(4, security_groups=()))
    engine.run()
    row = engine.rows(PORT_GROUPS)[DROP_GROUP]
    assert row.ports == refs(0, 1, 2, 4)
    drops = [
        (acl.direction, acl.match, acl.action, acl.priority) for key, acl in engine.rows(ACLS).items() if key != RULE
    ]
    assert sorted(drops) == [
        ("from-lport", "inport == @neutron_pg_drop && ip", "drop", 1001),
        ("to-lport", "outport == @neutron_pg_drop && ip", "drop", 1001),
    ]
    assert set(row.acls) == {ref(ACLS, "from-lport"), ref(ACLS, "to-lport")}


def test_the_drop_group_is_there_before_any_port() -> None:
    empty = Engine(RULES, watch=[t.relation for t in NORTHBOUND])
    empty.run()
    assert list(empty.rows(PORT_GROUPS)) == [DROP_GROUP]


@pytest.mark.parametrize("owner", ["network:distributed", "network:dhcp", "network:router_interface"])
def test_ports_of_network_services_are_in_no_group(engine: Engine, owner: str) -> None:
    engine.feed(cloud.Port, uuid(0), port(0, device_owner=owner))
    engine.run()
    assert engine.rows(PORT_GROUPS)[PG].ports == engine.rows(PORT_GROUPS)[DROP_GROUP].ports == refs(1, 2)
    assert engine.rows(SWITCH_PORTS)[uuid(0)].external_ids["neutron:security_group_ids"] == ""


def test_a_switch_port_names_its_groups(engine: Engine) -> None:
    engine.feed(cloud.Port, uuid(0), port(0, security_groups=(GROUP, OTHER)))
    engine.run()
    assert engine.rows(SWITCH_PORTS)[uuid(0)].external_ids["neutron:security_group_ids"] == f"{GROUP} {OTHER}"


def test_a_port_more_runs_nothing_for_the_other_ports_and_no_rule(engine: Engine) -> None:
    engine.log = []
    engine.feed(cloud.Port, uuid(9), port(9))
    engine.run()
    of_rules = [entry for entry in engine.log if entry[0].startswith("plugin.security")]
    assert sorted(of_rules) == [
        ("plugin.security.drop_group", ()),
        ("plugin.security.port_group", GROUP),
        ("plugin.security.port_groups_of_port", uuid(9)),
    ]


def test_a_rule_more_runs_nothing_for_ports(engine: Engine) -> None:
    engine.log = []
    second = Uuid("77777777-0000-4000-8000-000000000002")
    engine.feed(cloud.SecurityGroupRule, second, group_rule(uuid=second, direction="egress"))
    engine.run()
    assert sorted(engine.log) == [("plugin.security.acl", second), ("plugin.security.port_group", GROUP)]


def test_an_address_group_is_a_set_for_each_ip_version(engine: Engine) -> None:
    row = cloud.AddressGroup(uuid=ADDRESSES, addresses=("192.0.2.0/24", "fd00::/64"), revision_number=2)
    engine.feed(cloud.AddressGroup, ADDRESSES, row)
    engine.run()
    sets = engine.rows(ADDRESS_SETS)
    assert sets[address_set(ADDRESSES, "ip4")].addresses == ("192.0.2.0/24",)
    assert sets[address_set(ADDRESSES, "ip6")].addresses == ("fd00::/64",)
    assert dict(sets[address_set(ADDRESSES, "ip4")].external_ids) == {
        "neutron:address_group_id": ADDRESSES,
        "neutron:revision_number": "2",
    }


MATCHES: list[tuple[dict[str, Any], str]] = [
    ({}, "outport == @PG && ip4"),
    ({"direction": "egress", "ethertype": "IPv6"}, "inport == @PG && ip6"),
    ({"remote_ip_prefix": "10.1.2.3/8"}, "outport == @PG && ip4 && ip4.src == 10.0.0.0/8"),
    ({"direction": "egress", "remote_ip_prefix": "10.0.0.0/8"}, "inport == @PG && ip4 && ip4.dst == 10.0.0.0/8"),
    ({"remote_group": GROUP}, "outport == @PG && ip4 && ip4.src == $PG_ip4"),
    ({"remote_group": GROUP, "ethertype": "IPv6"}, "outport == @PG && ip6 && ip6.src == $PG_ip6"),
    ({"remote_address_group": ADDRESSES}, f"outport == @PG && ip4 && ip4.src == ${address_set(ADDRESSES, 'ip4')}"),
    ({"protocol": "tcp"}, "outport == @PG && ip4 && tcp"),
    ({"protocol": "6", "port_range_min": 22, "port_range_max": 22}, "outport == @PG && ip4 && tcp && tcp.dst == 22"),
    (
        {"protocol": "udp", "port_range_min": 1, "port_range_max": 9},
        "outport == @PG && ip4 && udp && udp.dst >= 1 && udp.dst <= 9",
    ),
    ({"protocol": "sctp", "ethertype": "IPv6"}, "outport == @PG && ip6 && sctp"),
    ({"protocol": "icmp"}, "outport == @PG && ip4 && icmp4"),
    ({"protocol": "icmp", "port_range_min": 8}, "outport == @PG && ip4 && icmp4 && icmp4.type == 8"),
    (
        {"protocol": "ipv6-icmp", "ethertype": "IPv6", "port_range_min": 0, "port_range_max": 0},
        "outport == @PG && ip6 && icmp6 && icmp6.type == 0 && icmp6.code == 0",
    ),
    ({"protocol": "vrrp"}, "outport == @PG && ip4 && ip.proto == 112"),
    ({"protocol": "47"}, "outport == @PG && ip4 && ip.proto == 47"),
    ({"protocol": "ipv6-frag", "ethertype": "IPv6"}, "outport == @PG && ip6 && ip.proto == 44"),
]


@pytest.mark.parametrize(("columns", "match"), MATCHES, ids=[match for _, match in MATCHES])
def test_a_rule_becomes_a_match(columns: dict[str, Any], match: str) -> None:
    assert rule_match(group_rule(uuid=NO_UUID, **columns)) == match.replace("PG", PG)
