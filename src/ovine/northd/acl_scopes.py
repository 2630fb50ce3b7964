"""Which switches ACLs concern: those with some, with stateful ones, with a default of dropping.

Load balancers need what stateful ACLs need: all connections are committed, so that invalid packets are known as such.

A switch has the ACLs of its own row and those of the port groups that have ports on it. All flows that ACLs need
besides one for each ACL belong to these scopes.

Tests: tests/cases/northd/acl.txt, tests/unit/northd/test_acl.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ovine.engine import Emit, Index, Reader, Relation, query, rule
from ovine.model import nb
from ovine.model.base import Uuid
from ovine.northd.balancers import balances
from ovine.northd.datapaths import member
from ovine.northd.flows import BY_SCOPE, MEMBERS, Scope, scope
from ovine.northd.inputs import nb_option
from ovine.northd.sets import BY_DATAPATH

RULED = scope("switches with ACLs")
STATEFUL = scope("switches that track connections")
"""Those with stateful ACLs or load balancers."""
STRICT = scope("switches that drop invalid packets")
"""Of those that track connections, all or none."""
AFTER = scope("switches with rules after load balancing")
"""With ACLs for that stage, or a default of dropping, which holds there too."""
REFUSING = scope("switches with ACLs that reject")
CLOSED = scope("switches with ACLs that drop by default")
TIERED_IN = scope("switches with tiers of rules for what comes in")
TIERED_AFTER = scope("switches with tiers of rules after load balancing")
TIERED_OUT = scope("switches with tiers of rules for what goes out")
"""With ACLs in tiers above 0, or ACLs that pass packets on to them."""


class Presence(NamedTuple):
    """A port group's having ports on a switch."""

    group: Uuid
    switch: Uuid


PRESENT: Relation[Presence, Presence] = Relation("port groups on switches")
GROUPS_ON = Index(PRESENT, lambda one: (one.switch,), "port groups by switch")


def group_scope(group: Uuid) -> Scope:
    """The switches that have ports of a port group with ACLs."""
    return scope(f"port group {group}")


@query
def has_acls(q: Reader, group: Uuid) -> bool:
    row = q.get(nb.PortGroup, group)
    return row is not None and bool(row.acls)


@rule(over=BY_DATAPATH, writes=(PRESENT, MEMBERS))
def presence(q: Reader, entry: tuple[Uuid, Uuid]) -> Iterator[Emit]:
    """A group with ACLs puts the switch into its scope. Further ports of a group on the same switch change nothing."""
    one = Presence(*entry)
    if has_acls(q, one.group):
        yield PRESENT(one, one)
        yield member(group_scope(one.group), one.switch)


class Kinds(NamedTuple):
    """What there is among some ACLs."""

    stateful: bool = False
    after: bool = False
    refusing: bool = False
    tiered: frozenset[Scope] = frozenset()
    """The scopes of switches with tiers that these ACLs make."""


def is_after(row: nb.ACL) -> bool:
    """Whether it is evaluated after load balancing: ovn-nb(5) has that for from-lport only."""
    return row.direction == "from-lport" and row.options.get("apply-after-lb", "").lower() == "true"


def _tiered(row: nb.ACL) -> Scope:
    """The scope that an ACL in a tier puts its switches into."""
    if row.direction == "to-lport":
        return TIERED_OUT
    return TIERED_AFTER if is_after(row) else TIERED_IN


@query
def kinds(q: Reader, acls: tuple[Uuid, ...]) -> Kinds:
    rows = [row for row in (q.get(nb.ACL, key) for key in acls) if row is not None]
    return Kinds(
        stateful=any(row.action == "allow-related" for row in rows),
        after=any(is_after(row) for row in rows),
        refusing=any(row.action == "reject" for row in rows),
        tiered=frozenset(_tiered(row) for row in rows if row.tier or row.action == "pass"),
    )


@query
def kinds_of_group(q: Reader, group: Uuid) -> Kinds:
    row = q.get(nb.PortGroup, group)
    return kinds(q, row.acls) if row is not None else Kinds()


@query
def drops_by_default(q: Reader) -> bool:
    """NB_Global options:default_acl_drop."""
    return nb_option(q, "default_acl_drop").lower() == "true"


@query
def drops_invalid(q: Reader) -> bool:
    """NB_Global options:use_ct_inv_match."""
    return nb_option(q, "use_ct_inv_match").lower() != "false"


@query
def is_stateful(q: Reader, switch: Uuid) -> bool:
    """Whether a switch uses connection tracking: it has stateful ACLs, or load balancers."""
    if balances(q, switch):
        return True
    found = [kinds_of_group(q, one.group) for one in q.find(GROUPS_ON, switch)]
    return kinds(q, q.row(nb.LogicalSwitch, switch).acls).stateful or any(one.stateful for one in found)


@query
def stateful_somewhere(q: Reader) -> bool:
    """Whether any switch does."""
    return bool(q.find(BY_SCOPE, STATEFUL))


@rule(over=nb.LogicalSwitch, writes=(MEMBERS,))
def acl_scopes(q: Reader, switch: Uuid) -> Iterator[Emit]:
    """The scopes that a switch is in for its ACLs."""
    acls = q.row(nb.LogicalSwitch, switch).acls
    groups: tuple[Presence, ...] = q.find(GROUPS_ON, switch)
    tracked = is_stateful(q, switch)
    if tracked:
        yield member(STATEFUL, switch)
        if drops_invalid(q):
            yield member(STRICT, switch)
    if tracked or acls or groups:
        yield member(RULED, switch)
    if not acls and not groups:
        return
    found = [kinds(q, acls), *(kinds_of_group(q, one.group) for one in groups)]
    if any(one.after for one in found) or drops_by_default(q):
        yield member(AFTER, switch)
    if any(one.refusing for one in found):
        yield member(REFUSING, switch)
    if drops_by_default(q):
        yield member(CLOSED, switch)
    for tiered in {one for kind in found for one in kind.tiered}:
        yield member(tiered, switch)
