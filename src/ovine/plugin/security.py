"""A security group is a port group with the group's rules as ACLs; an address group is a pair of address sets.

Shapes as in an ML2/OVN northbound. A group's rules allow; what none of them allows is dropped by the ACLs of
`neutron_pg_drop`, the port group of all ports with port security (ports of network services excepted). A rule's peers
are named, never listed: OVN makes the sets `$pg_…_ip4` and `$pg_…_ip6` of each port group.

Invariant: a port that comes, goes or changes its groups touches the port groups concerned, and no ACL.

Tests: tests/unit/plugin/test_plugin_security.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Gather, Index, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.plugin.networks import SWITCH_PORTS
from ovine.plugin.rule_match import DIRECTIONS, address_set, group_name, rule_match
from ovine.projection import ref

PORT_GROUPS: Relation[str, nb.PortGroup] = Relation("Port_Group")
"""By name."""
ACLS: Relation[str, nb.ACL] = Relation("ACL")
"""By the id of the security group rule, or by the direction of what `neutron_pg_drop` drops."""
ADDRESS_SETS: Relation[str, nb.AddressSet] = Relation("Address_Set")
"""By name."""
GROUPS_OF_PORT: Relation[Uuid, tuple[str, ...]] = Relation("port groups of a switch port")
"""By reference to a switch port: the names of its port groups."""
MEMBERS_OF_GROUP = Gather(GROUPS_OF_PORT, lambda port, names: ((name, port) for name in names))
RULES_OF_GROUP: Index[cloud.SecurityGroupRule] = Index(cloud.SecurityGroupRule, lambda rule: (rule.security_group,))

DROP_GROUP = "neutron_pg_drop"
ALLOW, DROP = 1002, 1001
"""Priorities: what a rule allows goes before."""
RULE_ID = "neutron:security_group_rule_id"


def drop_match(direction: str) -> str:
    return f"{DIRECTIONS[direction]} == @{DROP_GROUP} && ip"


@query
def groups_of(q: Reader, port: Uuid) -> tuple[Uuid, ...]:
    """The security groups that a port is filtered by."""
    row = q.row(cloud.Port, port)
    return () if row.device_owner.startswith("network:") else row.security_groups


@rule(over=cloud.Port, writes=(GROUPS_OF_PORT,))
def port_groups_of_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """Where a port is a member."""
    port = q.row(cloud.Port, key)
    names = [group_name(group) for group in groups_of(q, key)]
    if port.port_security_enabled and not port.device_owner.startswith("network:"):
        names.append(DROP_GROUP)
    if names:
        yield GROUPS_OF_PORT(ref(SWITCH_PORTS, key), tuple(sorted(names)))


@rule(over=cloud.SecurityGroup, writes=(PORT_GROUPS,))
def port_group(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The port group of a security group."""
    name = group_name(key)
    yield PORT_GROUPS(
        name,
        nb.PortGroup(
            name=name,
            ports=q.members(MEMBERS_OF_GROUP, name),
            acls=tuple(sorted(ref(ACLS, found) for found in q.find(RULES_OF_GROUP, key))),
            external_ids=Map({"neutron:security_group_id": key}),
        ),
    )


@rule(over=cloud.SecurityGroupRule, writes=(ACLS,))
def acl(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The ACL of a security group rule."""
    row = q.value(cloud.SecurityGroupRule, key)
    if row is None:
        return
    group = q.get(cloud.SecurityGroup, row.security_group)
    if group is None:
        return
    yield ACLS(
        key,
        nb.ACL(
            priority=ALLOW,
            direction="to-lport" if row.direction == "ingress" else "from-lport",
            match=rule_match(row),
            action="allow-related" if group.stateful else "allow-stateless",
            external_ids=Map({RULE_ID: key}),
        ),
    )


@rule(over=None, writes=(PORT_GROUPS, ACLS))
def drop_group(q: Reader, key: tuple[()]) -> Iterator[Emit]:
    """What drops all that no rule allows."""
    for direction in DIRECTIONS:
        yield ACLS(direction, nb.ACL(priority=DROP, direction=direction, match=drop_match(direction), action="drop"))
    acls = tuple(sorted(ref(ACLS, direction) for direction in DIRECTIONS))
    members = q.members(MEMBERS_OF_GROUP, DROP_GROUP)
    yield PORT_GROUPS(DROP_GROUP, nb.PortGroup(name=DROP_GROUP, ports=members, acls=acls))


@rule(over=cloud.AddressGroup, writes=(ADDRESS_SETS,))
def address_sets(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The addresses of an address group, by IP version."""
    group = q.row(cloud.AddressGroup, key)
    external_ids = Map({"neutron:address_group_id": key, "neutron:revision_number": str(group.revision_number)})
    for ip in ("ip4", "ip6"):
        members = tuple(a for a in group.addresses if (":" in a) == (ip == "ip6"))
        name = address_set(key, ip)
        yield ADDRESS_SETS(name, nb.AddressSet(name=name, addresses=members, external_ids=external_ids))
