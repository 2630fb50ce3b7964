"""DNS: one row for each network, with the names and addresses of its instances.

A port is in it while it has a `dns_name` and belongs to somebody (`device_id`): under its bare name, its absolute name,
and its name in the network's domain if that is another; and each address under its reverse name. Names that several
ports have stand for the addresses of all.

Invariant: a change of a port that leaves its names and addresses as they are does not touch the row.

Tests: tests/unit/plugin/test_plugin_dns.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import cloud, nb
from ovine.model.base import Map, Uuid
from ovine.model.dns_names import assigned, domain_of, reverse
from ovine.plugin.inputs import addresses, settings

OWNER = "ls_name"


class Names(NamedTuple):
    """What a port adds to the row of its network: pairs of a name and what it stands for."""

    network: Uuid
    records: tuple[tuple[str, str], ...]


DNS: Relation[Uuid, nb.DNS] = Relation("DNS")
"""By network."""
NAMES: Relation[Uuid, Names] = Relation("DNS names of a port")
NAMES_OF_NETWORK: Index[Names] = Index(NAMES, lambda names: (names.network,), "DNS names by network")


@query
def is_named(q: Reader, network: Uuid) -> bool:
    """Whether a network has a row."""
    return bool(q.find(NAMES_OF_NETWORK, network))


@rule(over=cloud.Port, writes=(NAMES,))
def names_of_port(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The names of a port's addresses."""
    port = q.row(cloud.Port, key)
    fixed = addresses(q, key)
    if not (port.dns_name and port.device_id and fixed):
        return
    own = q.row(cloud.Network, port.network).dns_domain
    domain = domain_of(port.dns_domain, own, settings(q).domain)
    found: dict[tuple[str, str], None] = {}
    for address in fixed:
        hostname, fqdn = assigned(port.dns_name, domain, address.ip)
        whole = fqdn.rstrip(".")
        names = {hostname, whole} | ({f"{hostname}.{own.rstrip('.')}"} if own else set())
        found |= {(name, address.ip): None for name in sorted(names)}
        found[reverse(address.ip), whole] = None
    yield NAMES(key, Names(port.network, tuple(found)))


@rule(over=NAMES_OF_NETWORK, writes=(DNS,))
def dns(q: Reader, key: Uuid) -> Iterator[Emit]:
    """A network's row."""
    found: dict[str, dict[str, None]] = {}
    for port in q.find(NAMES_OF_NETWORK, key):
        names = q.value(NAMES, port)
        for name, stands_for in names.records if names is not None else ():
            found.setdefault(name, {})[stands_for] = None
    records = Map({name: " ".join(values) for name, values in found.items()})
    yield DNS(key, nb.DNS(records=records, external_ids=Map({OWNER: f"neutron-{key}"})))
