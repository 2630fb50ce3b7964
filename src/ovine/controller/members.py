"""The members of sets, one by one: an address of an address set, a port of a port group, a datapath of a flow.

Logical flows that were taken apart (`ovine.controller.plans`) enter themselves as *users* of their sets. One rule
instance per port of a group on this host makes the OpenFlow flows that this member adds for all users of its set;
`ovine.controller.addresses` does so for addresses. So a set is compiled once for all datapaths.

The keys of ports repeat from datapath to datapath; the flow of a port therefore names its datapath, and stands for
that dimension too.

Tests: tests/cases/controller/sets.txt, tests/unit/controller/test_controller_sets.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Final, Literal, NamedTuple

from ovine.controller.environment import PORT_GROUP_BY_NAME
from ovine.controller.flows import FLOWS, Body
from ovine.controller.local import LOCAL_DATAPATHS
from ovine.controller.placed import PLACED, is_here
from ovine.controller.sums import CLAUSES, Owner, clause
from ovine.controller.tables import DATAPATH
from ovine.engine import Emit, Index, Reader, Relation, rule
from ovine.language import Subfield
from ovine.language.layout import fields_in
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.model.members import Tagged
from ovine.openflow import Entry, normalise

Kind = Literal["addresses", "ports", "datapaths"]


class Role(NamedTuple):
    """A clause of a conjunction: which one, and of how many."""

    owner: Owner
    clause: int
    n_clauses: int


class User(NamedTuple):
    """A flow that is wanted once for each member of a set, beside what it asks for in any case (`base`).

    It is a clause of a conjunction, or acts by itself. `name` is that of an address set or port group; datapaths are
    those of the logical flow `flow`.
    """

    kind: Kind
    name: str
    flow: Uuid
    table: int
    priority: int
    base: tuple[Entry, ...]
    field: Subfield | None
    then: Role | Body


class Member(NamedTuple):
    """A port on this host that is in a port group."""

    group: str
    datapath: Uuid
    datapath_key: int
    key: int


ADDRESSES: Final = Index(sb.AddressSet, lambda row: Tagged(row.name, row.addresses), "addresses by set")
GROUPS_OF_PORT: Final = Index(sb.PortGroup, lambda row: row.ports, "Port_Group by port")
USERS: Relation[tuple[Owner, int, str], User] = Relation("user of a set")
"""By the owner of what it is part of, the clause, and the set's name."""
USERS_OF_SET: Final = Index(USERS, lambda user: ((user.kind, user.name),), "users by set")
MEMBERS: Relation[tuple[str, Uuid], Member] = Relation("local member of a port group")
"""By group and Port_Binding."""
MEMBERS_IN: Final = Index(MEMBERS, lambda m: ((m.group, m.datapath),), "local members by group and datapath")


def with_member(user: User, *more: Entry) -> Emit:
    """The flow for one member."""
    key = (user.table, user.priority, normalise((*user.base, *more)))
    if isinstance(user.then, Role):
        return clause(key, *user.then)
    return FLOWS(key, user.then)


def entries_of(field: Subfield, value: int, mask: int) -> tuple[Entry, ...]:
    """A match on the field."""
    offset = field.place.offset
    value, mask = value << offset, mask << offset
    return tuple((name, value >> at & own, own) for name, at, own in fields_in(mask))


def first_of_each(emitted: Iterable[Emit]) -> Iterator[Emit]:
    """Of several users that ask for the very same packets the first holds.

    Overlapping ports or prefixes of two ACLs have pieces in common; at one priority either may act.
    """
    seen: set[Hashable] = set()
    for emit in emitted:
        if emit.relation is FLOWS:
            if emit.key in seen:
                continue
            seen.add(emit.key)
        yield emit


@rule(over=sb.PortBinding, writes=(MEMBERS,))
def group_members(q: Reader, uuid: Uuid) -> Iterator[Emit]:
    """The port groups of a port that is here. The part of a group in a datapath is named KEY_NAME, if it is cut so."""
    port = q.row(sb.PortBinding, uuid)
    rows = q.find(GROUPS_OF_PORT, port.logical_port)
    datapath_key = q.get(LOCAL_DATAPATHS, port.datapath) if rows else None
    if datapath_key is None or not is_here(q, uuid):
        return
    prefix = f"{datapath_key}_"
    for row in rows:
        name = q.row(sb.PortGroup, row).name
        names = [name.removeprefix(prefix)] if name.startswith(prefix) else []
        if not q.find(PORT_GROUP_BY_NAME, prefix + name):
            names.append(name)
        for group in names:
            yield MEMBERS((group, uuid), Member(group, port.datapath, datapath_key, port.tunnel_key))


@rule(over=MEMBERS, writes=(FLOWS, CLAUSES))
def port_flows(q: Reader, key: tuple[str, Uuid]) -> Iterator[Emit]:
    """What one port of a group adds, to those flows that hold in its datapath."""
    member = q.value(MEMBERS, key)
    if member is None:
        return
    yield from first_of_each(_of_port(q, member))


def _of_port(q: Reader, member: Member) -> Iterator[Emit]:
    for user_key in q.find(USERS_OF_SET, ("ports", member.group)):
        user = q.value(USERS, user_key)
        if user is not None and user.field is not None and q.get(PLACED, (user.flow, member.datapath)):
            port = entries_of(user.field, member.key, 0xFFFFFFFF)
            yield with_member(user, (DATAPATH, member.datapath_key, None), *port)


def datapath_flows(q: Reader, uuid: Uuid, datapath_key: int) -> Iterator[Emit]:
    """What one local datapath adds to a logical flow that uses sets but no port group."""
    for user_key in q.find(USERS_OF_SET, ("datapaths", uuid)):
        user = q.value(USERS, user_key)
        if user is not None:
            yield with_member(user, (DATAPATH, datapath_key, None))


RULES = (group_members, port_flows)
