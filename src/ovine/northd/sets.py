"""Address sets and port groups, by which matches name many addresses or ports.

An address set is copied down. A port group becomes one southbound row for each datapath that has ports in it, called
`<tunnel key>_<name>`, and two address sets, `<name>_ip4` and `<name>_ip6`, of its ports' addresses (ovn-sb(5)).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import Uuid
from ovine.northd.datapaths import KEYS
from ovine.northd.ports import PORTS
from ovine.projection import Names, Target

ADDRESS_SETS: Relation[str, sb.AddressSet] = Relation("Address_Set")
PORT_GROUPS: Relation[str, sb.PortGroup] = Relation("Port_Group")


@rule(over=nb.AddressSet, writes=(ADDRESS_SETS,))
def address_set(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.row(nb.AddressSet, key)
    yield ADDRESS_SETS(row.name, sb.AddressSet(name=row.name, addresses=row.addresses))


@rule(over=nb.PortGroup, writes=(PORT_GROUPS,))
def port_group(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.row(nb.PortGroup, key)
    members: dict[Uuid, list[str]] = {}
    for lsp in row.ports:
        port = q.get(PORTS, lsp)
        if port is not None:
            members.setdefault(port.switch, []).append(port.name)
    for switch, ports in members.items():
        number = q.get(KEYS, switch)
        if number is not None:
            name = f"{number}_{row.name}"
            yield PORT_GROUPS(name, sb.PortGroup(name=name, ports=tuple(sorted(ports))))


@rule(over=nb.PortGroup, writes=(ADDRESS_SETS,))
def port_group_addresses(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.row(nb.PortGroup, key)
    ip4: set[str] = set()
    ip6: set[str] = set()
    for lsp in row.ports:
        port = q.get(PORTS, lsp)
        for owned in port.owned if port is not None else ():
            ip4.update(owned.ip4)
            ip6.update(owned.ip6)
    for name, addresses in ((f"{row.name}_ip4", ip4), (f"{row.name}_ip6", ip6)):
        yield ADDRESS_SETS(name, sb.AddressSet(name=name, addresses=tuple(sorted(addresses))))


def _key(row: sb.AddressSet | sb.PortGroup, names: Names) -> Hashable:
    return row.name


TARGETS: tuple[Target[sb.AddressSet] | Target[sb.PortGroup], ...] = (
    Target(ADDRESS_SETS, sb.AddressSet, _key, ("name", "addresses")),
    Target(PORT_GROUPS, sb.PortGroup, _key, ("name", "ports")),
)
