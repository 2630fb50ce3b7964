"""Load balancers of switches.

The first packet of a connection for a virtual address gets its backend in stage BALANCE; connection tracking sends the
others there, and translates replies back, when packets enter it (IN_TRACK, OUT_TRACK). What ACLs deny is not balanced.

A *hairpin* is a packet whose backend is its own sender: its source becomes the virtual address, or `hairpin_snat_ip`,
and it goes back. Hosts tell hairpins from rows of Load_Balancer. ACLs for after load balancing do not see hairpins.

With `affinity_timeout`, hosts remember which backend a client got. What they remember of an IPv6 client comes in xxreg0
on switches (ovn-controller has it so), where other things are: it is moved away before those are.

Cost: for each virtual address one flow, whatever the number of switches; with affinity two more, and two for each
backend. Wire behaviour is that of ovn-northd(8), "Pre-LB" to "Hairpin".
Tests: tests/cases/northd/load_balancers.txt, tests/cases/packets/lb_*.txt.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.model import nb, sb
from ovine.model.base import StrMap, Uuid
from ovine.northd.acl_shared import SOURCE as ACL_SOURCE
from ovine.northd.balancers import BALANCED, VIPS, End, Vip, VipKey, holding, switch_place, tells_of_empty, told_place
from ovine.northd.copp import limit
from ovine.northd.datapaths import SWITCHES
from ovine.northd.flows import DP_GROUPS, FLOWS, Place, Scope, Shared, datapath_ref, flow, quoted
from ovine.northd.health import usable
from ovine.northd.pipeline import (
    AFFINE,
    BALANCE,
    DELIVER,
    HAIRPIN,
    HAIRPIN_NAT,
    HAIRPINS,
    IN_ACL_AFTER,
    IN_RULING,
    IN_TRACK,
    IN_VERDICT,
    OUT_TRACK,
    RETURNS,
    SESSION,
    SESSION_PORTS,
)
from ovine.northd.stages import Stage
from ovine.projection import Names, Target, ref

SOURCE = "lb_switch"

_LOOK = f"{HAIRPINS.field} = chk_lb_hairpin(); {RETURNS.field} = chk_lb_hairpin_reply(); next;"
_BACK = "eth.dst <-> eth.src; outport = inport; flags.loopback = 1; output;"
_BALANCED_NEW = "ct.new && ct_mark.natted == 1 && ct_mark.blocked == 0"

SHARED = (
    Shared(BALANCED, IN_TRACK, 105, "ip", "ct_lb_mark;", SOURCE),
    Shared(BALANCED, OUT_TRACK, 105, "ip", "ct_lb_mark;", SOURCE),
    Shared(BALANCED, BALANCE, 200, IN_RULING.denied.field, "next;", SOURCE),
    Shared(SWITCHES, BALANCE, 0, "1", "next;", SOURCE),
    Shared(BALANCED, HAIRPIN, 100, f"ip && ct.trk && !{IN_RULING.denied.field}", _LOOK, SOURCE),
    Shared(SWITCHES, HAIRPIN, 0, "1", "next;", SOURCE),
    Shared(BALANCED, HAIRPIN_NAT, 100, f"ip && ct.new && {HAIRPINS.field}", "ct_snat_to_vip; next;", SOURCE),
    Shared(BALANCED, HAIRPIN_NAT, 100, f"ip && ct.est && {HAIRPINS.field}", "ct_snat;", SOURCE),
    Shared(BALANCED, HAIRPIN_NAT, 90, f"ip && {RETURNS.field}", "ct_snat;", SOURCE),
    Shared(SWITCHES, HAIRPIN_NAT, 0, "1", "next;", SOURCE),
    Shared(BALANCED, IN_ACL_AFTER, 65535, f"{HAIRPINS.field} || {RETURNS.field}", _BACK, SOURCE),
    # Choosing a backend has committed the connection already.
    Shared(BALANCED, IN_VERDICT, 85, _BALANCED_NEW, "next;", ACL_SOURCE),
)


def to_backends(ends: Iterable[End], vip: Vip, flag: str = "") -> str:
    """The action that chooses one of some backends."""
    words = [f"backends={','.join(map(str, ends))}"]
    words += [f'hash_fields="{vip.fields}"'] if vip.fields else []
    words += [flag] if flag else []
    return f"ct_lb_mark({'; '.join(words)});"


def refused(back: Stage) -> str:
    """The action that refuses a packet; the refusal enters the pipeline at `back`."""
    return f"reg0 = 0; reject {{ outport <-> inport; next(pipeline={back.pipeline}, table={back.table}); }};"


def told(vip: Vip) -> str:
    """The action that tells of a virtual address without backends (ovn-sb(5), Controller_Event)."""
    protocol = vip.protocol or "tcp"
    what = f'vip = {quoted(str(vip.end))}, protocol = "{protocol}", load_balancer = "{vip.balancer}"'
    return f'trigger_event(event = "empty_lb_backends", {what});'


def meter_at(q: Reader, place: Place, protocol: str) -> str | None:
    """The meter for a flow; flows of scopes have none, for each datapath's could be another."""
    return None if isinstance(place, Scope) else limit(q, place, protocol)


def priority(vip: Vip) -> int:
    """A virtual address with a port goes before one without."""
    return 120 if vip.protocol else 110


def new(vip: Vip) -> str:
    """Matches the first packets of connections to a virtual address."""
    return f"ct.new && {vip.match}"


@rule(over=VIPS, writes=(FLOWS,))
def on_switches(q: Reader, key: VipKey) -> Iterator[Emit]:
    """The flows of a virtual address on switches."""
    vip, place = holding(q, key), switch_place(q, key[0])
    if vip is None or place is None:
        return
    hint = key[0]
    ends = usable(q, key)
    if not ends:
        yield from _empty(q, vip, place)
        return
    if vip.affinity:
        yield from _affinity(vip, place, ends)
    remember = f"{_remembered(vip)} " if vip.affinity else ""
    yield flow(place, BALANCE, priority(vip), new(vip), remember + to_backends(ends, vip), source=SOURCE, hint=hint)


def _empty(q: Reader, vip: Vip, place: Place) -> Iterator[Emit]:
    """What becomes of packets for a virtual address without backends."""
    hint = vip.balancer
    if vip.rejects:
        meter = meter_at(q, place, "reject")
        yield flow(place, BALANCE, priority(vip), new(vip), refused(DELIVER), source=SOURCE, hint=hint, meter=meter)
        return
    if vip.tells or tells_of_empty(q):
        meter = meter_at(q, place, "event-elb")
        yield flow(place, BALANCE, 130, vip.match, told(vip), source=SOURCE, hint=hint, meter=meter)
    yield flow(place, BALANCE, priority(vip), new(vip), "drop;", source=SOURCE, hint=hint)


# --- clients that keep their backend ----------------------------------------------------------------------------------


def backend_field(vip: Vip) -> str:
    """Where hosts put the address of the backend that a client had."""
    return SESSION.field if vip.ip == "ip6" else "reg4"


def _vip_field(vip: Vip) -> str:
    return SESSION.field if vip.ip == "ip6" else "reg5"


def _remembered(vip: Vip) -> str:
    """Keeps the virtual address in sight, while the packet has the backend's."""
    return f"{_vip_field(vip)} = {vip.end.address}; {SESSION_PORTS.field}[16..31] = {vip.end.port};"


def commit_affinity(vip: Vip, end: End) -> str:
    """The action that has the host remember which backend the client got."""
    return (
        f"commit_lb_aff(vip = {quoted(str(vip.end))}, backend = {quoted(str(end))}, proto = {vip.protocol}, "
        f"timeout = {vip.affinity});"
    )


def _affinity(vip: Vip, place: Place, ends: tuple[End, ...]) -> Iterator[Emit]:
    hint = vip.balancer
    moved = f" {SESSION.field} = xxreg0; xxreg0 = 0;" if vip.ip == "ip6" else ""
    look = f"{AFFINE.field} = chk_lb_aff();{moved} ct_lb_mark;"
    yield flow(place, IN_TRACK, 108, vip.match, look, source=SOURCE, hint=hint)
    for end in ends:
        had = f"{backend_field(vip)} == {end.address} && {SESSION_PORTS.field}[0..15] == {end.port}"
        match = f"{AFFINE.field} && {new(vip)} && {had}"
        actions = f"{_remembered(vip)} {to_backends((end,), vip)}"
        yield flow(place, BALANCE, 150, match, actions, source=SOURCE, hint=hint)
        got = f"{vip.ip}.dst == {end.address} && {vip.protocol}.dst == {end.port}"
        was = f"{_vip_field(vip)} == {vip.end.address} && {SESSION_PORTS.field}[16..31] == {vip.end.port}"
        match = f"!{AFFINE.field} && ct.new && {was} && {got}"
        yield flow(place, HAIRPIN, 150, match, f"{commit_affinity(vip, end)} {_LOOK}", source=SOURCE, hint=hint)


# --- what hosts are told ----------------------------------------------------------------------------------------------

LOAD_BALANCERS: Relation[Uuid, sb.LoadBalancer] = Relation("Load_Balancer")
"""By the northbound row. Hosts tell hairpins by them, and end connections (`ct_flush`)."""

BY_BALANCER = Index(VIPS, lambda vip: (vip.balancer,), "virtual addresses by row")


@rule(over=BY_BALANCER, writes=(LOAD_BALANCERS,))
def load_balancer(q: Reader, key: Uuid) -> Iterator[Emit]:
    """The southbound row of a load balancer that is on switches, or whose connections hosts are to end."""
    row, place = q.get(nb.LoadBalancer, key), told_place(q, key)
    vips = [vip for vip in (holding(q, one) for one in q.find(BY_BALANCER, key)) if vip is not None]
    if row is None or place is None or not vips:
        return
    grouped = isinstance(place, Scope)
    yield LOAD_BALANCERS(
        key,
        sb.LoadBalancer(
            name=row.name,
            vips=StrMap({str(vip.end): ",".join(map(str, vip.backends)) for vip in vips}),
            protocol=row.protocol or "tcp",
            datapaths=() if isinstance(place, Scope) else (datapath_ref(place),),
            datapath_group=ref(DP_GROUPS, place) if grouped else None,
            options=row.options,
            external_ids=StrMap({"lb_id": str(key)}),
        ),
    )


def _key(row: sb.LoadBalancer, names: Names) -> Hashable:
    del names
    return row.external_ids.get("lb_id", row.uuid)


TARGET = Target(
    LOAD_BALANCERS,
    sb.LoadBalancer,
    _key,
    ("name", "vips", "protocol", "datapaths", "datapath_group", "options", "external_ids"),
)
