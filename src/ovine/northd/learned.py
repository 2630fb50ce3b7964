"""Rows that hosts wrote about what is no more: learned addresses of deleted datapaths and ports.

They belong to the hosts, who cannot know when their subject is deleted. A MAC_Binding of a deleted datapath would even
keep the datapath from being deleted, since it refers to it strongly.

The forwarding database is northd's as well: it has the known addresses. What neither is known nor can have been
learned, since its port does not learn, goes too.
"""

from __future__ import annotations

from collections.abc import Iterator

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import sb
from ovine.model.base import Row, Uuid
from ovine.northd.arp_nd import is_book
from ovine.northd.expiry import BY_TUNNEL_KEY
from ovine.northd.flows import DATAPATHS, datapath_ref
from ovine.northd.multicast import snoops
from ovine.northd.ports import PORT_BINDINGS, PORTS
from ovine.northd.switching import KNOWN_AT

STALE: Relation[tuple[type[Row], Uuid], bool] = Relation("stale learned rows")

PORTS_BY_KEY = Index(PORT_BINDINGS, lambda row: ((row.datapath, row.tunnel_key),), "ports by tunnel key")


LEARNERS = Index(PORTS, lambda port: ((port.switch, port.name),) if port.learns else (), "learning ports by name")


@rule(over=sb.MACBinding, writes=(STALE,))
def stale_mac_binding(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.row(sb.MACBinding, key)
    if is_book(row.logical_port):
        return
    actual = q.get(sb.DatapathBinding, row.datapath)
    if actual is None or q.get(DATAPATHS, _owner(actual)) is None:
        yield STALE((sb.MACBinding, key), True)


def _owner(row: sb.DatapathBinding) -> Uuid:
    """The northbound switch or router of a datapath, "" if it says none."""
    ids = row.external_ids
    return Uuid(ids.get("logical-router") or ids.get("logical-switch", ""))


@rule(over=sb.FDB, writes=(STALE,))
def stale_fdb(q: Reader, key: Uuid) -> Iterator[Emit]:
    row = q.row(sb.FDB, key)
    if q.get(KNOWN_AT, (row.dp_key, row.mac)) is None and not _learned(q, row):
        yield STALE((sb.FDB, key), True)


@rule(over=sb.IGMPGroup, writes=(STALE,))
def stale_group(q: Reader, key: Uuid) -> Iterator[Emit]:
    """What a host that is gone, or about a switch that is gone or does not snoop, has left."""
    row = q.row(sb.IGMPGroup, key)
    actual = q.get(sb.DatapathBinding, row.datapath) if row.datapath is not None else None
    if row.chassis is None or actual is None or not snoops(q, _owner(actual)):
        yield STALE((sb.IGMPGroup, key), True)


def _learned(q: Reader, row: sb.FDB) -> bool:
    """Whether the row's port learns."""
    switches: tuple[Uuid, ...] = q.find(BY_TUNNEL_KEY, row.dp_key)
    names = q.find(PORTS_BY_KEY, (datapath_ref(switches[0]), row.port_key)) if switches else ()
    return any(q.find(LEARNERS, (switches[0], name)) for name in names)
