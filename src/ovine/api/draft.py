"""A change of the Cloud database while it is being planned: reads see the replica with the planned change on top.

The plan of a request is a function of a `Draft`: it reads, judges, and writes whole rows down; nothing is sent. The
draft then becomes one OVSDB transaction, whose *guards* make it fail if what the plan relied on is no longer so:

- a row that is changed or deleted, or that was `relied` on, must still have the revision that was seen;
- `guard_ports` pins the set of ports of a network;
- unique indexes and strong references of the schema guard the rest (addresses, MACs, segments, things in use).

`ovine.api.store` sends it, and plans again when a guard fails.

Invariants: one row is inserted, updated or deleted at most once in the transaction; an update bumps
`revision_number` by one and sets `updated_at`, once per request, and writes only the columns that differ.

Tests: tests/unit/api/test_api_draft.py.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar, cast

import msgspec
from neutron_lib import constants

from ovine.api.addressing import network_of
from ovine.model.base import NO_UUID, Row, Uuid
from ovine.model.cloud import IPAllocation, Port, SecurityGroup, Subnet
from ovine.ovsdb import Replica, Transaction

R = TypeVar("R", bound=Row)


def _age(subnet: Subnet) -> tuple[str, int, int]:
    return subnet.created_at, subnet.ip_version, int(network_of(subnet.cidr).network_address)


def _has_revision(row: Row) -> bool:
    return "revision_number" in row.spec.columns


class Standard(Protocol):
    """The columns that every resource has."""

    uuid: Uuid
    revision_number: int
    updated_at: str


class Draft:
    """See the module. `now` is the time of the request, RFC 3339 in UTC, to the second."""

    def __init__(self, replica: Replica, now: str) -> None:
        self.now = now
        self._replica = replica
        self._inserted: dict[Uuid, Row] = {}
        self._changed: dict[Uuid, Row] = {}
        self._deleted: dict[Uuid, Row] = {}
        self._relied: dict[Uuid, Row] = {}
        self._pinned: dict[Uuid, tuple[str, ...]] = {}
        self._new_addresses: dict[tuple[Uuid, str], IPAllocation] = {}
        self._new_macs: dict[tuple[Uuid, str], Port] = {}
        self._new_places: dict[tuple[str, str], SecurityGroup] = {}
        self.asked: set[Uuid] = set()
        """The resources that the request itself asks for; others come with them."""

    # --- reading ----------------------------------------------------------------------------------------------------

    def get(self, table: type[R], uuid: str) -> R | None:
        """A row as it will be."""
        key = Uuid(uuid)
        if key in self._deleted:
            return None
        row = self._changed.get(key) or self._inserted.get(key)
        if row is not None:
            return row if isinstance(row, table) else None
        return self._replica.get(table, key)

    def find(self, table: type[R], column: str, value: Any) -> Iterator[R]:
        """The rows of a table that will have that value in a column."""
        found: list[R] = [
            row
            for row in self._replica.index(table, column).find(value)
            if row.uuid not in self._deleted and row.uuid not in self._changed
        ]
        mine = (*self._changed.values(), *self._inserted.values())
        found.extend(new for new in mine if isinstance(new, table) and getattr(new, column) == value)
        return iter(found)

    def rows(self, table: type[R]) -> Iterator[R]:
        """All rows of a table as they will be."""
        found = (self.get(table, uuid) for uuid in self._replica.rows(table))
        yield from (row for row in found if row is not None)
        yield from (row for row in self._inserted.values() if isinstance(row, table))

    def subnets_of(self, network: Uuid) -> list[Subnet]:
        """In the order in which they were made; those of one second in the order of their addresses."""
        return sorted(self.find(Subnet, "network", network), key=_age)

    def ports_of(self, network: Uuid) -> Iterator[Port]:
        return self.find(Port, "network", network)

    def router_interfaces(self, network: Uuid) -> list[Port]:
        """The ports of a network whose owner is a router, in the order of their ids."""
        owner = constants.DEVICE_OWNER_ROUTER_INTF
        seen = self._replica.index(Port, "network", "device_owner").find(network, owner)
        found = (self.get(Port, port.uuid) for port in seen)
        return sorted((port for port in found if port is not None), key=lambda port: port.uuid)

    def allocation(self, subnet: Uuid, address: str) -> IPAllocation | None:
        """Who holds an address of a subnet."""
        found = self._replica.index(IPAllocation, "subnet", "ip_address").one(subnet, address)
        if found is not None and found.uuid not in self._deleted:
            return found
        return self._new_addresses.get((subnet, address))

    def mac_in_use(self, network: Uuid, mac: str) -> Port | None:
        found = self._replica.index(Port, "network", "mac_address").one(network, mac)
        if found is not None:
            now = self.get(Port, found.uuid)
            if now is not None and now.mac_address == mac:
                return now
        return self._new_macs.get((network, mac))

    def addresses_of(self, port: Port) -> list[IPAllocation]:
        """A port's addresses in the API's order."""
        found = (self.get(IPAllocation, uuid) for uuid in port.fixed_ips)
        return sorted((a for a in found if a is not None), key=lambda a: (a.position, a.ip_address))

    def default_group(self, project: str) -> SecurityGroup | None:
        """A project's default security group."""
        found = self._replica.index(SecurityGroup, "project_id", "place").one(project, "default")
        return self.get(SecurityGroup, found.uuid) if found is not None else self._new_places.get((project, "default"))

    def has_members(self, group: Uuid) -> bool:
        """Whether a port that is there already is in a security group; the reference of one to come guards itself."""
        return self._replica.holders(Port, "security_groups").has(group)

    def is_new(self, row: Row) -> bool:
        """Whether this draft itself makes the row."""
        return row.uuid in self._inserted

    # --- writing ----------------------------------------------------------------------------------------------------

    def new_uuid(self) -> Uuid:
        return Uuid(str(uuids.uuid4()))

    def insert(self, row: R) -> R:
        """A new row, which is given an id."""
        made = msgspec.structs.replace(row, uuid=self.new_uuid()) if row.uuid == NO_UUID else row
        self._inserted[made.uuid] = made
        self._note(made)
        return made

    def _note(self, row: Row) -> None:
        if isinstance(row, IPAllocation):
            self._new_addresses[row.subnet, row.ip_address] = row
        elif isinstance(row, Port):
            self._new_macs[row.network, row.mac_address] = row
        elif isinstance(row, SecurityGroup):
            self._new_places[row.project_id, row.place] = row

    def insert_resource(self, row: R, revision: int) -> R:
        """A new resource: with an id, times, and its first revision."""
        times = {"created_at": self.now, "updated_at": self.now, "revision_number": revision}
        return self.insert(msgspec.structs.replace(row, **times))

    def update(self, row: R, **columns: Any) -> R:
        """Changes a row, and bumps its revision once; nothing happens if it has these values already."""
        now = self._now(row)
        if all(getattr(now, name) == value for name, value in columns.items()):
            return now
        return self._replace(now, columns)

    def touch(self, row: R) -> R:
        """Bumps a resource's revision because of a change in what belongs to it."""
        return self._replace(self._now(row), {})

    def _now(self, row: R) -> R:
        now = self.get(type(row), row.uuid)
        if now is None:
            raise KeyError(row.uuid)
        return now

    def _replace(self, now: R, columns: dict[str, Any]) -> R:
        seen = self._replica.get(type(now), now.uuid)
        if seen is not None and _has_revision(now):
            columns |= {"revision_number": cast(Standard, seen).revision_number + 1, "updated_at": self.now}
        made = msgspec.structs.replace(now, **columns)
        (self._inserted if seen is None else self._changed)[made.uuid] = made
        self._note(made)
        return made

    def delete(self, row: Row) -> None:
        """Deletes a row. What refers to it must be changed too.

        An IP_Allocation goes with its port by itself, but not if its subnet is deleted as well: ovsdb-server checks
        references before it collects rows that nothing refers to.
        """
        if self._inserted.pop(row.uuid, None) is None:
            self._changed.pop(row.uuid, None)
            self._deleted[row.uuid] = row

    def rely(self, row: Row) -> None:
        """The plan holds only if this resource is still at the revision seen."""
        if row.uuid not in self._inserted:
            self._relied[row.uuid] = row

    def guard_ports(self, network: Uuid) -> None:
        """The plan holds only if the network's set of ports is still the one seen."""
        seen = self._replica.index(Port, "network").find(network)
        self._pinned[network] = tuple(port.mac_address for port in seen)

    @property
    def inserted(self) -> Iterable[Row]:
        """The rows that will be new."""
        return self._inserted.values()

    @property
    def deleted(self) -> Iterable[Row]:
        """The rows that will be gone."""
        return self._deleted.values()

    # --- sending ----------------------------------------------------------------------------------------------------

    def transaction(self) -> Transaction:
        """The whole draft; empty (false) if nothing is written."""
        txn = Transaction()
        changed = self._really_changed()
        if not (self._inserted or changed or self._deleted):
            return txn
        for row in self._guarded(changed):
            txn.wait_row(row, "revision_number")
        for network, macs in self._pinned.items():
            txn.wait(Port, [("network", "==", network)], ["mac_address"], [{"mac_address": mac} for mac in macs])
        for row in self._inserted.values():
            txn.insert(row)
        for old, columns in changed:
            txn.update(type(old), old.uuid, **columns)
        for row in self._deleted.values():
            txn.delete(type(row), row.uuid)
        return txn

    def _really_changed(self) -> list[tuple[Row, dict[str, Any]]]:
        found = []
        for uuid, new in self._changed.items():
            old = self._replica.get(type(new), uuid)
            if old is None:
                raise KeyError(uuid)
            columns = {
                column.name: getattr(new, column.attribute)
                for column in type(new).spec.columns.values()
                if getattr(new, column.attribute) != getattr(old, column.attribute)
            }
            if columns:
                found.append((old, columns))
        return found

    def _guarded(self, changed: Iterable[tuple[Row, Any]]) -> list[Row]:
        rows = {uuid: self._replica.get(type(row), uuid) or row for uuid, row in self._relied.items()}
        rows |= {old.uuid: old for old, _ in changed}
        rows |= {uuid: self._replica.get(type(row), uuid) or row for uuid, row in self._deleted.items()}
        return [row for row in rows.values() if _has_revision(row)]
