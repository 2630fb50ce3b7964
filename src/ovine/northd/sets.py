"""Address sets and port groups, by which matches name many addresses or ports.

An address set is copied down. A port group becomes one southbound row for each datapath that has ports in it, called
`<tunnel key>_<name>`, and two address sets, `<name>_ip4` and `<name>_ip6`, of its ports' addresses (ovn-sb(5)).

Groups may have all ports of a cloud, so what a port contributes is a fact of its own: when one port comes, only its own
facts are worked out, and gathered into the rows' sets; a set costs what changes of it, not what it has.

Tests: tests/unit/northd/test_northd_sets.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Gather, Index, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.datapaths import KEYS
from ovine.northd.ports import PORTS
from ovine.projection import Names, Target

ADDRESS_SETS: Relation[str, sb.AddressSet] = Relation("Address_Set")
PORT_GROUPS: Relation[str, sb.PortGroup] = Relation("Port_Group")

MEMBERS: Relation[tuple[Uuid, Uuid, str], tuple[Uuid, Uuid]] = Relation("members of port groups")
"""(group, switch, port name); the value is (group, switch)."""
ADDRESSES: Relation[tuple[Uuid, str, Uuid], tuple[Uuid, int]] = Relation("addresses of port groups")
"""(group, address, port); the value is (group, IP version)."""

GROUPS_OF = Index(nb.PortGroup, lambda row: row.ports, "port groups by port")
BY_DATAPATH = Index(MEMBERS, lambda where: (where,), "members of port groups by switch")
PORTS_OF = Gather(MEMBERS, lambda key, where: ((where, key[2]),))
ADDRESSES_OF = Gather(ADDRESSES, lambda key, what: ((what, key[1]),))


@rule(over=nb.AddressSet, writes=(ADDRESS_SETS,))
def address_set(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.row(nb.AddressSet, key)
    yield ADDRESS_SETS(row.name, sb.AddressSet(name=row.name, addresses=row.addresses))


@rule(over=GROUPS_OF, writes=(MEMBERS, ADDRESSES))
def membership(q: Reader, lsp: Uuid) -> Iterator[Emit]:
    """What one port contributes to each of its groups."""
    port = q.get(PORTS, lsp)
    if port is None:
        return
    for group in q.find(GROUPS_OF, lsp):
        yield MEMBERS((group, port.switch, port.name), (group, port.switch))
        for owned in port.owned:
            for ip in owned.ip4:
                yield ADDRESSES((group, ip, lsp), (group, 4))
            for ip in owned.ip6:
                yield ADDRESSES((group, ip, lsp), (group, 6))


@rule(over=BY_DATAPATH, writes=(PORT_GROUPS,))
def port_group(q: Reader, entry: tuple[Uuid, Uuid]) -> Iterator[Emit]:
    """The part of a group that is on one switch."""
    group, switch = entry
    row, number = q.get(nb.PortGroup, group), q.get(KEYS, switch)
    if row is not None and number is not None:
        name = f"{number}_{row.name}"
        yield PORT_GROUPS(name, sb.PortGroup(name=name, ports=q.members(PORTS_OF, entry)))


@rule(over=nb.PortGroup, writes=(ADDRESS_SETS,))
def port_group_addresses(q: Reader, group: Uuid) -> Iterator[Emit]:
    name = q.row(nb.PortGroup, group).name
    for version in (4, 6):
        row = sb.AddressSet(name=f"{name}_ip{version}", addresses=q.members(ADDRESSES_OF, (group, version)))
        yield ADDRESS_SETS(row.name, row)


def _key(row: sb.AddressSet | sb.PortGroup, names: Names) -> Hashable:
    return row.name


TARGETS: tuple[Target[sb.AddressSet] | Target[sb.PortGroup], ...] = (
    Target(ADDRESS_SETS, sb.AddressSet, _key, ("name", "addresses")),
    Target(PORT_GROUPS, sb.PortGroup, _key, ("name", "ports")),
)
