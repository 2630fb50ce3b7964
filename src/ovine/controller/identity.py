"""Whether the name and the tunnel addresses that this host goes by are its own.

Two hosts by mistake may have the same `system-id`, or the same tunnel address. The southbound has one Chassis of a name
and one Encap of a type and address, so if each put its own there again and again, neither would work, and the database
would be written without end. The rules:

- An address of another chassis is left to that one. A host without any other address does not register.
- Nobody can see whether the Chassis of our name is that of a live host, so a host that starts takes it. If the row is
  changed to another host's afterwards, the one that has had it for a shorter time gives way: we do if that happens
  within `SETTLED` seconds of our start, or for the `LAST`th time. Who has given way writes nothing, until its settings
  change or the row is gone or as ours would be.
- A name that was ours before `system-id` was changed is *former*: its row is renamed, and what refers to it stays.

Time is an argument. Tests: tests/unit/controller/test_controller_identity.py, tests/faults/test_controller_hosts.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ovine.controller.chassis import Presence
from ovine.model import sb
from ovine.model.base import Uuid
from ovine.ovsdb import Replica

SETTLED: Final = 10.0
"""Seconds after which a host is no newcomer."""
LAST: Final = 4
"""How often a host that is no newcomer lets the row be taken before it gives way after all."""

Encaps = frozenset[tuple[str, str]]


class _Host(NamedTuple):
    """What tells hosts of one name apart."""

    hostname: str
    encaps: Encaps


class Identity:
    """Remembers what was ours; `now` is any clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        self._self: tuple[str, _Host] | None = None
        self._since = 0.0
        self._held = False
        """The row has been as ours, and so a difference is somebody's doing."""
        self._losses = 0
        self._rival = ""
        """Whom we gave way to, in words."""
        self._former: set[str] = set()

    @property
    def given_way(self) -> bool:
        """Whether the rows of our name are another host's."""
        return bool(self._rival)

    def renamed(self, name: str) -> None:
        """Takes notice that this host went by `name` until now; unless that is another host's."""
        if not self._rival:
            self._former.add(name)

    def former(self, replica: Replica, name: str) -> tuple[str, ...]:
        """The names of this host whose rows are still there."""
        chassis = replica.index(sb.Chassis, "name")
        self._former = {old for old in self._former - {name} if chassis.one(old) is not None}
        return tuple(sorted(self._former))

    def settle(self, replica: Replica, presence: Presence, now: float) -> tuple[Presence | None, list[str]]:
        """What may be registered (None: nothing), and what is wrong, a sentence each."""
        free, complaints = self._own_addresses(replica, presence)
        if not free:
            return None, complaints
        presence = presence._replace(encaps=free)
        self._contest(replica, presence, now)
        return (None, [*complaints, self._rival]) if self._rival else (presence, complaints)

    def _own_addresses(self, replica: Replica, presence: Presence) -> tuple[tuple[tuple[str, str], ...], list[str]]:
        names = (presence.name, *self.former(replica, presence.name))
        ours: set[Uuid] = set()
        for name in names:
            row = replica.index(sb.Chassis, "name").one(name)
            ours |= set(row.encaps) if row is not None else set()
        free, complaints = [], []
        for kind, ip in presence.encaps:
            there = (encap for encap in replica.index(sb.Encap, "ip").find(ip) if encap.type == kind)
            others = [encap for encap in there if encap.uuid not in ours]
            if not others:
                free.append((kind, ip))
                continue
            owner = others[0].chassis_name or "another one"
            complaints.append(
                f"ovn-encap-ip: {kind} {ip} belongs to chassis {owner}; each host needs an address of its own"
                f" (if that chassis is gone: ovn-sbctl chassis-del {owner})"
            )
        return tuple(free), complaints

    def _contest(self, replica: Replica, presence: Presence, now: float) -> None:
        own = _Host(presence.hostname, frozenset(presence.encaps))
        if self._self != (presence.name, own):
            self._self, self._since, self._held, self._losses, self._rival = (presence.name, own), now, False, 0, ""
        there = _registered(replica, presence.name)
        if there is None or there == own:
            self._held, self._rival = there is not None, ""
        elif self._held:
            self._held = False
            self._losses += 1
            if now < self._since + SETTLED or self._losses >= LAST:
                self._rival = _complaint(presence.name, there)


def _registered(replica: Replica, name: str) -> _Host | None:
    row = replica.index(sb.Chassis, "name").one(name)
    if row is None:
        return None
    encaps = (replica.get(sb.Encap, uuid) for uuid in row.encaps)
    return _Host(row.hostname, frozenset((encap.type, encap.ip) for encap in encaps if encap is not None))


def _complaint(name: str, other: _Host) -> str:
    addresses = ", ".join(sorted({ip for _, ip in other.encaps})) or "no address"
    return (
        f"system-id: another host goes by {name} ({other.hostname or 'no host name'}, {addresses}); this host is not"
        " registered until one of them has another external_ids:system-id"
    )
