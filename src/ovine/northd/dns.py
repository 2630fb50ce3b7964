"""DNS: records for hosts, and the flows that have questions answered.

A question to any server is looked up. If the name is known it becomes the answer in the stage that answers, and the
next one sends it back; if not, it goes on to the server that it was for. These flows are shared by all switches with
records. Answers pass ACLs, as those of DHCP do.

A northbound row that several switches name is one southbound row. Names are put into lower case, since hosts look them
up in it.

Wire behaviour is that of ovn-northd(8), "DNS Lookup" and "DNS Responses".
Tests: tests/cases/northd/dns.txt, tests/cases/packets/dns*.txt.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.northd.acl_shared import SERVICE
from ovine.northd.datapaths import member
from ovine.northd.flows import DATAPATHS, MEMBERS, Shared, datapath_ref, scope
from ovine.northd.pipeline import ANSWER, ANSWERED, FORWARD, OUT_ACL
from ovine.projection import Names, Target

SOURCE = "dns"
RESOLVING = scope("switches with DNS records")

_BACK = "eth.dst <-> eth.src; {0}.dst <-> {0}.src; udp.dst = udp.src; udp.src = 53; "
_OUT = "outport = inport; flags.loopback = 1; output;"
_QUESTION = "udp.dst == 53"

SHARED = (
    Shared(RESOLVING, ANSWER, 40, _QUESTION, f"{ANSWERED.field} = dns_lookup(); next;", SOURCE, "dns"),
    *(
        Shared(RESOLVING, FORWARD, 100, f"{ANSWERED.field} && {ip} && {_QUESTION}", _BACK.format(ip) + _OUT, SOURCE)
        for ip in ("ip4", "ip6")
    ),
    Shared(RESOLVING, OUT_ACL, SERVICE, "flags.loopback && udp.src == 53", "next;", SOURCE),
)

RECORDS: Relation[Uuid, sb.DNS] = Relation("DNS")
"""By the northbound row's uuid."""

SWITCHES_BY_RECORDS = Index(nb.LogicalSwitch, lambda switch: switch.dns_records, "switches by DNS records")
WITH_RECORDS = Index(nb.LogicalSwitch, lambda row: (row.uuid,) if row.dns_records else (), "switches with DNS records")


@rule(over=SWITCHES_BY_RECORDS, writes=(RECORDS,))
def dns(q: Reader, key: Uuid) -> Iterator[Emit]:
    """One southbound row for all switches that name a northbound one."""
    row = q.get(nb.DNS, key)
    switches = [switch for switch in q.find(SWITCHES_BY_RECORDS, key) if q.get(DATAPATHS, switch) is not None]
    if row is None or not switches:
        return
    records = {name.lower(): value for name, value in sorted(row.records.items())}
    ids = {**row.external_ids, "dns_id": str(key)}
    datapaths = tuple(datapath_ref(switch) for switch in switches)
    yield RECORDS(key, sb.DNS(records=StrMap(records), datapaths=datapaths, external_ids=StrMap(ids)))


@rule(over=WITH_RECORDS, writes=(MEMBERS,))
def resolving(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """Questions of switches without a record are not looked at."""
    if any(q.get(nb.DNS, key) is not None for key in q.row(nb.LogicalSwitch, switch).dns_records):
        yield member(RESOLVING, switch)


def _key(row: sb.DNS, names: Names) -> Hashable:
    return row.external_ids.get("dns_id", row.uuid)


TARGET = Target(RECORDS, sb.DNS, _key, ("records", "datapaths", "external_ids"))
